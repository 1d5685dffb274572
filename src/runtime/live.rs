//! A live run: messages from a broker through the engine and back to it, until told to stop.
//!
//! Time is the clock's, or that of a driven clock (wire.md, `clock`): then nothing moves between
//! its beats, and each beat is acknowledged once all that follows from it has been sent.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::{Engine, Event, RunError};
use super::replay::{BATCH, SECOND, keep};
use super::status;
use crate::domain::time::Timestamp;
use crate::io::archive::Archive;
use crate::ports::{Message, Publication, SharedClock, Sink, Source};

/// How often the clock is looked at. Well under the second that the engine counts in, and under a
/// second of event time still when a demo runs the clock ten times as fast.
const LOOK: Duration = Duration::from_millis(50);

/// How often health goes out, by the run's own clock.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Messages that may wait for one beat: hours of a city's sensors. More means that no beat comes.
const MOST_WAITING: usize = 1_000_000;

/// What moves time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    Clock,
    /// Beats on this topic move time; each is answered on `{topic}/ack`.
    Driven {
        topic: String,
    },
}

/// Where a live run reads and writes.
pub struct LiveOptions<'a> {
    pub pace: Pace,
    pub clock: SharedClock,
    pub source: &'a mut dyn Source,
    pub sink: &'a mut dyn Sink,
    pub archive: Option<&'a mut Archive>,
    /// What the connection counts about itself, for the status message.
    pub link: &'a (dyn Fn() -> Value + Sync),
    /// Hears of everything that happens.
    pub observe: &'a mut (dyn FnMut(&[Event]) + Send),
}

impl std::fmt::Debug for LiveOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveOptions").field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// Runs until `stop` is ready, the source ends, or a port fails for good. Says `online` first and
/// `stopped` last.
pub async fn run(
    engine: &mut Engine,
    options: LiveOptions<'_>,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut live = Live { engine, options, status: Status::default() };
    let mut stop = pin!(stop);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting = Vec::new();
    live.say("online").await?;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            messages = live.options.source.next_batch(BATCH) => {
                let Some(messages) = messages else { break };
                let over = match &live.options.pace {
                    Pace::Clock => live.by_the_clock(messages?).await?,
                    Pace::Driven { .. } => live.driven(messages?, &mut waiting).await?,
                };
                if over == Beats::Over {
                    break;
                }
            }
            _ = look.tick() => {
                if live.options.pace == Pace::Clock {
                    let now = live.options.clock.now();
                    live.seconds(now).await?;
                }
                live.health().await?;
            }
        }
    }
    live.say("stopped").await?;
    live.options.sink.flush().await?;
    Ok(())
}

struct Live<'e, 'o> {
    engine: &'e mut Engine,
    options: LiveOptions<'o>,
    status: Status,
}

#[derive(Default)]
struct Status {
    seq: u64,
    last: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
enum Beats {
    More,
    Over,
}

/// wire.md, `clock`.
#[derive(Deserialize)]
struct Beat {
    v: i64,
    seq: i64,
    ts: Timestamp,
    #[serde(default)]
    r#final: bool,
}

impl Live<'_, '_> {
    /// Takes messages as they were received, with the seconds between them.
    async fn by_the_clock(&mut self, messages: Vec<Message>) -> Result<Beats, RunError> {
        let Some(receipt) = messages.last().map(|message| message.receipt) else {
            return Ok(Beats::More);
        };
        let same_second = |a: &Message, b: &Message| {
            a.received_at.floor_to(SECOND) == b.received_at.floor_to(SECOND)
        };
        for messages in messages.chunk_by(same_second) {
            self.seconds(messages[0].received_at).await?;
            self.messages(messages).await?;
        }
        self.options.source.acknowledge(receipt).await?;
        Ok(Beats::More)
    }

    /// Holds messages back until the beat that they belong to.
    async fn driven(
        &mut self,
        messages: Vec<Message>,
        waiting: &mut Vec<Message>,
    ) -> Result<Beats, RunError> {
        let Pace::Driven { topic } = self.options.pace.clone() else { return Ok(Beats::More) };
        for message in messages {
            if message.topic == topic {
                if self.beat(&message, waiting).await? == Beats::Over {
                    return Ok(Beats::Over);
                }
            } else if waiting.len() >= MOST_WAITING {
                return Err(RunError::NoBeat { waiting: waiting.len() });
            } else {
                // A broker that waits for acknowledgements would hold the beat back, too.
                self.options.source.acknowledge(message.receipt).await?;
                waiting.push(message);
            }
        }
        Ok(Beats::More)
    }

    /// Moves the engine on to `now`.
    async fn seconds(&mut self, now: Timestamp) -> Result<(), RunError> {
        for tick in self.engine.seconds.until(now) {
            let events = tokio::task::block_in_place(|| self.engine.tick(tick))?;
            self.hand_out(&events).await?;
        }
        Ok(())
    }

    /// Messages of one second.
    async fn messages(&mut self, messages: &[Message]) -> Result<(), RunError> {
        let events = tokio::task::block_in_place(|| self.engine.messages(messages))?;
        self.hand_out(&events).await
    }

    async fn hand_out(&mut self, events: &[Event]) -> Result<(), RunError> {
        (self.options.observe)(events);
        if let Some(archive) = self.options.archive.as_deref_mut() {
            keep(archive, events)?;
        }
        for event in events {
            if let Event::Publish(publication) = event {
                self.options.sink.send(publication).await?;
            }
        }
        Ok(())
    }

    /// All that was received before a beat counts as received at its moment.
    async fn beat(
        &mut self,
        message: &Message,
        waiting: &mut Vec<Message>,
    ) -> Result<Beats, RunError> {
        let beat = match serde_json::from_slice::<Beat>(&message.payload) {
            Ok(beat) if beat.v == 1 => beat,
            other => {
                let what = other.err().map_or_else(|| "`v` is not 1".to_owned(), |e| e.to_string());
                tracing::error!(what, "a beat of the driven clock cannot be read");
                self.options.source.acknowledge(message.receipt).await?;
                return Ok(Beats::More);
            }
        };
        self.seconds(beat.ts - Duration::from_millis(1)).await?;
        for held in waiting.iter_mut() {
            held.received_at = beat.ts;
        }
        for messages in waiting.chunks(BATCH) {
            self.messages(messages).await?;
        }
        waiting.clear();
        self.seconds(beat.ts).await?;
        self.options.sink.flush().await?;
        let ack = Publication {
            ts: beat.ts,
            topic: format!("{}/ack", message.topic),
            payload: json!({"v": 1, "seq": beat.seq}),
            qos: 1,
            retain: false,
            expiry: None,
        };
        self.options.sink.send(&ack).await?;
        self.options.source.acknowledge(message.receipt).await?;
        Ok(if beat.r#final { Beats::Over } else { Beats::More })
    }

    async fn health(&mut self) -> Result<(), RunError> {
        let now = self.options.clock.now();
        if self.status.last.is_none_or(|last| now.since(last) >= STATUS_EVERY) {
            self.say("online").await?;
        }
        Ok(())
    }

    async fn say(&mut self, state: &str) -> Result<(), RunError> {
        let now = self.options.clock.now();
        self.status.seq += 1;
        self.status.last = Some(now);
        let link = (self.options.link)();
        let plan = self.engine.plan();
        let publication =
            status::publication(plan, self.engine, state, self.status.seq, now, &link);
        Ok(self.options.sink.send(&publication).await?)
    }
}

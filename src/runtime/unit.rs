//! What a unit does with what it hears, as one thing after the other: no tasks, no sockets, no disk.
//! Live and after a crash the same calls give the same results.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::engine::{Engine, Event};
use super::error::RunError;
use super::replay::{BATCH, SECOND};
use crate::domain::time::Timestamp;
use crate::ports::{Message, Publication};

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

/// What came of it, in order.
#[derive(Debug)]
pub(super) enum Did {
    Events(Vec<Event>),
    /// A beat was taken; all that follows from it stands before.
    Beat {
        answer: Publication,
        last: bool,
    },
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

pub(super) struct Unit<'e> {
    pub engine: &'e mut Engine,
    pace: Pace,
    /// Messages that wait for a beat.
    pub waiting: Vec<Message>,
    /// The moment of the last beat.
    pub beaten: Option<Timestamp>,
}

impl<'e> Unit<'e> {
    pub fn new(engine: &'e mut Engine, pace: Pace) -> Self {
        Self { engine, pace, waiting: Vec::new(), beaten: None }
    }

    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Takes messages in the order in which they were received.
    pub fn messages(&mut self, messages: Vec<Message>, did: &mut Vec<Did>) -> Result<(), RunError> {
        let Pace::Driven { topic } = &self.pace else { return self.by_the_clock(&messages, did) };
        let topic = topic.clone();
        for message in messages {
            if message.topic == topic {
                self.beat(&message, did)?;
            } else if self.waiting.len() >= MOST_WAITING {
                return Err(RunError::NoBeat { waiting: self.waiting.len() });
            } else {
                self.waiting.push(message);
            }
        }
        Ok(())
    }

    /// Whether the clock's being at `now` changes anything.
    pub fn ticks_at(&self, now: Timestamp) -> bool {
        self.pace == Pace::Clock && self.engine.seconds.clone().until(now).next().is_some()
    }

    /// Receive time has come to `now`.
    pub fn seconds(&mut self, now: Timestamp, did: &mut Vec<Did>) -> Result<(), RunError> {
        for tick in self.engine.seconds.until(now) {
            did.push(Did::Events(self.engine.tick(tick)?));
        }
        Ok(())
    }

    /// What a direction's expiry is measured by: the last second of a clock, or the last beat.
    pub fn now(&self) -> Option<Timestamp> {
        self.beaten.or(self.engine.seconds.last())
    }

    fn by_the_clock(&mut self, messages: &[Message], did: &mut Vec<Did>) -> Result<(), RunError> {
        let same_second = |a: &Message, b: &Message| {
            a.received_at.floor_to(SECOND) == b.received_at.floor_to(SECOND)
        };
        for messages in messages.chunk_by(same_second) {
            self.seconds(messages[0].received_at, did)?;
            did.push(Did::Events(self.engine.messages(messages)?));
        }
        Ok(())
    }

    /// All that was received before a beat counts as received at its moment.
    fn beat(&mut self, message: &Message, did: &mut Vec<Did>) -> Result<(), RunError> {
        let beat = match serde_json::from_slice::<Beat>(&message.payload) {
            Ok(beat) if beat.v == 1 => beat,
            other => {
                let what = other.err().map_or_else(|| "`v` is not 1".to_owned(), |e| e.to_string());
                tracing::error!(what, "a beat of the driven clock cannot be read");
                return Ok(());
            }
        };
        let answer = Publication {
            ts: beat.ts,
            topic: format!("{}/ack", message.topic),
            payload: json!({"v": 1, "seq": beat.seq}).into(),
            qos: 1,
            retain: false,
            expiry: None,
        };
        let answer = Did::Beat { answer, last: beat.r#final };
        if self.beaten.is_some_and(|last| beat.ts <= last) {
            // Sent once more, by its sender or by the broker after a crash: it is answered, and what
            // has come since waits for the next one.
            did.push(answer);
            return Ok(());
        }
        self.seconds(beat.ts - Duration::from_millis(1), did)?;
        // Not with the first message: which one that is differs where a broker repeats some.
        did.push(Did::Events(self.engine.advance(beat.ts)?));
        let mut waiting = std::mem::take(&mut self.waiting);
        for held in &mut waiting {
            held.received_at = beat.ts;
        }
        for messages in waiting.chunks(BATCH) {
            did.push(Did::Events(self.engine.messages(messages)?));
        }
        self.seconds(beat.ts, did)?;
        self.beaten = Some(beat.ts);
        did.push(answer);
        Ok(())
    }
}

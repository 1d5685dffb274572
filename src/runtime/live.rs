//! A live run: messages from a broker through the engine and back to it, until told to stop.
//!
//! Time is the clock's, or that of a driven clock (wire.md, `clock`): then nothing moves between
//! its beats, and each beat is answered once all that follows from it has been sent.
//!
//! With a journal nothing is acknowledged and nothing goes out before the disk has it; without one
//! a message is acknowledged when it has been taken.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::engine::{Engine, Event};
use super::error::RunError;
use super::keeping::{Journaling, Keeping, Released};
use super::outgoing;
use super::replay::{BATCH, write};
use super::status;
use super::unit::{Did, Pace, Unit};
use crate::domain::time::Timestamp;
use crate::io::archive::GrowingArchive;
use crate::io::journal::Progress;
use crate::ports::{Message, Publication, SharedClock, Sink, Source};

/// How often the clock is looked at. Well under the second that the engine counts in, and under a
/// second of event time still when a demo runs the clock ten times as fast.
const LOOK: Duration = Duration::from_millis(50);

/// How often health goes out, by the run's own clock.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// A clock that differs by more than this from the time that has passed has been set. Less is the
/// slewing of a time service.
const LEAST_STEP_MS: u64 = 3_000;

/// How often the archive is brought to the disk where no snapshot does it.
const ARCHIVE_EVERY: Duration = Duration::from_mins(1);

/// Where a live run reads and writes.
pub struct LiveOptions<'a> {
    pub pace: Pace,
    pub clock: SharedClock,
    pub source: &'a mut dyn Source,
    pub sink: &'a mut dyn Sink,
    pub archive: Option<GrowingArchive>,
    /// `None`: a crash loses what was not sent yet.
    pub journal: Option<Journaling>,
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
    let LiveOptions { pace, clock, source, sink, mut archive, journal, link, observe } = options;
    let mut unit = Unit::new(engine, pace);
    let keeping = match journal {
        None => None,
        Some(journal) => {
            let now = clock.elapsed();
            let resumed = tokio::task::block_in_place(|| {
                Keeping::resume(journal, &mut unit, &mut archive, now)
            });
            Some(resumed?)
        }
    };
    let archived = clock.elapsed();
    let mut live = Live {
        unit,
        clock,
        source,
        sink,
        archive,
        archived,
        keeping,
        link,
        observe,
        status: Status::default(),
        set_by: None,
        set_back: false,
        owed: VecDeque::new(),
    };
    let ran = live.run(stop).await;
    let told = match ran {
        Ok(()) => live.farewell().await,
        Err(_) => Ok(()),
    };
    // A broker that is away at the end costs nothing that was to be kept.
    let ended = live.end(ran.is_ok());
    ran.and(told).and(ended)
}

struct Live<'e, 'o> {
    unit: Unit<'e>,
    clock: SharedClock,
    source: &'o mut dyn Source,
    sink: &'o mut dyn Sink,
    archive: Option<GrowingArchive>,
    /// When the archive was last brought to the disk.
    archived: Duration,
    keeping: Option<Keeping>,
    link: &'o (dyn Fn() -> Value + Sync),
    observe: &'o mut (dyn FnMut(&[Event]) + Send),
    status: Status,
    /// How far the clock had been set when it was last asked.
    set_by: Option<i64>,
    /// It was set back, and messages may wait that were stamped before.
    set_back: bool,
    /// Answers to beats that go out once everything before them is out; with the last one the run is
    /// over.
    owed: VecDeque<(Publication, Beats)>,
}

#[derive(Default)]
struct Status {
    seq: u64,
    last: Option<Timestamp>,
}

/// Whether more beats come after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beats {
    More,
    Over,
}

impl Live<'_, '_> {
    /// From the first word to the end of messages.
    async fn run(&mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        self.begin().await?;
        self.mind_the_past();
        self.say("online").await?;
        self.send_again().await?;
        self.until(stop).await?;
        self.settle().await
    }

    async fn farewell(&mut self) -> Result<(), RunError> {
        self.say("stopped").await?;
        Ok(self.sink.flush().await?)
    }

    /// Waits for the first snapshot: entries without one before them could not be taken up again.
    async fn begin(&mut self) -> Result<(), RunError> {
        let Some(keeping) = &self.keeping else { return Ok(()) };
        while !keeping.has_begun()? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn until(&mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let mut stop = pin!(stop);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut progress = self.keeping.as_ref().map(Keeping::progress);
        loop {
            let full = self.keeping.as_ref().is_some_and(Keeping::is_full);
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = changed(&mut progress) => self.release().await?,
                // However long the broker is away: who drives the clock waits as well.
                flushed = self.sink.flush(), if !self.owed.is_empty() => {
                    flushed?;
                    if self.answer().await? == Beats::Over {
                        return Ok(());
                    }
                }
                // Before the messages: there may be some at any time, and health is to be heard of
                // then too.
                _ = look.tick() => self.look().await?,
                messages = self.source.next_batch(BATCH), if !full => {
                    let Some(messages) = messages else { return Ok(()) };
                    self.take(messages?).await?;
                }
            }
        }
    }

    /// Answers the beats that everything is out for.
    async fn answer(&mut self) -> Result<Beats, RunError> {
        while let Some((answer, beats)) = self.owed.pop_front() {
            self.sink.send(&answer).await?;
            if beats == Beats::Over {
                return Ok(Beats::Over);
            }
        }
        Ok(Beats::More)
    }

    /// Takes messages in.
    async fn take(&mut self, mut messages: Vec<Message>) -> Result<(), RunError> {
        // A step comes before the messages that were stamped after it.
        self.mind_the_clock();
        if self.set_back {
            self.stamp_anew(&mut messages);
        }
        let receipt = messages.last().map(|message| message.receipt);
        if let Some(keeping) = &mut self.keeping {
            keeping.received(&messages);
        }
        // A broker that waits for acknowledgements would hold a beat back: without a journal what
        // waits for one is acknowledged at once.
        let held = matches!(self.unit.pace(), Pace::Driven { .. }) && self.keeping.is_none();
        if let (true, Some(receipt)) = (held, receipt) {
            self.source.acknowledge(receipt).await?;
        }
        let mut did = Vec::new();
        tokio::task::block_in_place(|| self.unit.messages(messages, &mut did))?;
        self.hand_out(did).await?;
        if let (false, None, Some(receipt)) = (held, &self.keeping, receipt) {
            self.source.acknowledge(receipt).await?;
        }
        self.snapshot()
    }

    /// What waited while the clock was set back would carry time on to where the clock was, and there
    /// it does not come back from.
    fn stamp_anew(&mut self, messages: &mut [Message]) {
        let now = self.clock.now();
        for message in messages {
            self.set_back = message.received_at > now + Duration::from_millis(LEAST_STEP_MS);
            if !self.set_back {
                return;
            }
            message.received_at = now;
        }
    }

    /// Tells the engine if the clock has been set since it was last asked.
    fn mind_the_clock(&mut self) {
        let set_by = self.clock.set_by_ms();
        let by = set_by - *self.set_by.get_or_insert(set_by);
        if self.step(by) {
            self.set_by = Some(set_by);
            self.set_back = by < 0;
        }
    }

    /// A unit may start with a clock behind what it has seen: one that keeps no time without power, or
    /// that ran ahead before. No second would pass until it came there, and nobody would be told anything.
    fn mind_the_past(&mut self) {
        if let Some(last) = self.unit.engine.seconds.last() {
            self.step((self.clock.now().millis() - last.millis()).min(0));
        }
    }

    /// The clock has been set by so many milliseconds; whether it is worth a word.
    fn step(&mut self, by: i64) -> bool {
        let set = *self.unit.pace() == Pace::Clock && by.unsigned_abs() > LEAST_STEP_MS;
        if set {
            if let Some(keeping) = &mut self.keeping {
                keeping.stepped(by);
            }
            self.unit.engine.step(by);
            self.status.last = None;
        }
        set
    }

    /// Looks at the clock.
    async fn look(&mut self) -> Result<(), RunError> {
        self.mind_the_clock();
        let now = self.clock.now();
        if self.unit.ticks_at(now) {
            if let Some(keeping) = &mut self.keeping {
                keeping.ticked(now);
            }
            let mut did = Vec::new();
            tokio::task::block_in_place(|| self.unit.seconds(now, &mut did))?;
            self.hand_out(did).await?;
        }
        if self.status.last.is_none_or(|last| now.since(last) >= STATUS_EVERY) {
            self.say("online").await?;
        }
        self.snapshot()
    }

    async fn hand_out(&mut self, did: Vec<Did>) -> Result<(), RunError> {
        let mut words = self.unit.engine.take_words();
        for did in did {
            match did {
                Did::Events(events) => {
                    (self.observe)(&events);
                    if let Some(archive) = &mut self.archive {
                        tokio::task::block_in_place(|| write(archive, &events))?;
                    }
                    let plan = self.unit.engine.plan();
                    match &mut self.keeping {
                        Some(keeping) => {
                            keeping.follows(plan, &events, &std::mem::take(&mut words))?;
                        }
                        None => {
                            for publication in outgoing::publications(plan, &events) {
                                self.sink.send(&*publication?).await?;
                            }
                        }
                    }
                }
                Did::Beat { answer, last } => {
                    self.settle().await?;
                    self.owed.push_back((answer, if last { Beats::Over } else { Beats::More }));
                }
            }
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.commit();
        }
        Ok(())
    }

    /// Sends and acknowledges what the disk has.
    async fn release(&mut self) -> Result<(), RunError> {
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        let Released { receipt, publications } = keeping.released()?;
        for publication in publications {
            let nth = self.sink.send(&publication).await?;
            keeping.unsent.sent(nth, publication);
        }
        keeping.unsent.done(self.sink.done());
        if let Some(receipt) = receipt {
            self.source.acknowledge(receipt).await?;
        }
        Ok(())
    }

    /// Waits until nothing waits for the disk.
    async fn settle(&mut self) -> Result<(), RunError> {
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        keeping.commit();
        let mut progress = keeping.progress();
        loop {
            self.release().await?;
            if self.keeping.as_ref().is_none_or(Keeping::is_settled) {
                return Ok(());
            }
            if progress.changed().await.is_err() {
                return Err(RunError::Disk("the journal has ended".to_owned()));
            }
        }
    }

    /// After a crash nobody knows what had reached the broker: what should be seen now goes out once
    /// more, under the ids that it had.
    async fn send_again(&mut self) -> Result<(), RunError> {
        let now = match self.unit.pace() {
            Pace::Clock => Some(self.clock.now()),
            Pace::Driven { .. } => self.unit.now(),
        };
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        for publication in keeping.send_again(now) {
            let nth = self.sink.send(&publication).await?;
            keeping.unsent.sent(nth, publication);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<(), RunError> {
        let now = self.clock.elapsed();
        match &mut self.keeping {
            Some(keeping) if keeping.is_due(now) => {
                keeping.unsent.done(self.sink.done());
                tokio::task::block_in_place(|| {
                    keeping.snapshot(&self.unit, self.archive.as_mut(), now)
                })
            }
            Some(_) => Ok(()),
            None => {
                self.archive(now, ARCHIVE_EVERY);
                Ok(())
            }
        }
    }

    fn archive(&mut self, now: Duration, every: Duration) {
        if let Some(archive) = &mut self.archive
            && now.saturating_sub(self.archived) >= every
        {
            self.archived = now;
            tokio::task::block_in_place(|| archive.mark());
        }
    }

    async fn say(&mut self, state: &str) -> Result<(), RunError> {
        let now = self.clock.now();
        self.status.seq += 1;
        self.status.last = Some(now);
        let around = json!({
            "link": (self.link)(),
            "journal": self.keeping.as_ref().map(Keeping::stats),
            "archive": self.archive.as_ref().map(GrowingArchive::stats),
        });
        let publication =
            status::publication(self.unit.engine, state, self.status.seq, now, around);
        self.sink.send(&publication).await?;
        Ok(())
    }

    /// The archive and the journal are complete. After a failure the engine may have stopped in the
    /// middle of a message: what it knows is not kept, the journal has it.
    fn end(mut self, whole: bool) -> Result<(), RunError> {
        let now = self.clock.elapsed();
        let Some(mut keeping) = self.keeping.take() else {
            self.archive(now, Duration::ZERO);
            return Ok(());
        };
        if whole {
            keeping.unsent.done(self.sink.done());
            keeping.snapshot(&self.unit, self.archive.as_mut(), now)?;
        }
        keeping.close()
    }
}

/// Ready when the disk is further; never without a journal.
async fn changed(progress: &mut Option<watch::Receiver<Progress>>) {
    if let Some(progress) = progress
        && progress.changed().await.is_ok()
    {
        return;
    }
    // A journal that has ended says why when it is asked next.
    std::future::pending::<()>().await;
}

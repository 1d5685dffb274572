//! A recording through the engine, as fast as it goes or paced: the same bytes out every time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::{Engine, Event};
use super::error::RunError;
use crate::domain::time::Timestamp;
use crate::io::archive::{Archive, RunFiles};
use crate::ports::{Message, Source};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// After an hour without a message every window is closed and every direction has run out: the
/// seconds of a longer gap say nothing more, and a wrong date must not cost billions of them.
const LONGEST_GAP: Duration = Duration::from_hours(1);

/// Receive time in whole seconds, driven by whoever has messages or a clock.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seconds {
    /// The last second that was ticked.
    last: Option<Timestamp>,
}

impl Seconds {
    /// The clock has been set: seconds go on from one `by` ms later.
    pub fn step(&mut self, by: i64) {
        self.last = self.last.map(|last| last.moved(by).floor_to(SECOND));
    }

    /// The last second that was ticked.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The seconds to tick before whatever happens at `now`, the one of `now` included.
    pub fn until(&mut self, now: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let floor = now.floor_to(SECOND);
        let (mut next, gap_end) = match self.last {
            None => (floor, floor),
            Some(last) => (last + SECOND, last + LONGEST_GAP),
        };
        if self.last.is_none_or(|last| floor > last) {
            self.last = Some(floor);
        }
        std::iter::from_fn(move || {
            let tick = next;
            next = if tick < gap_end || tick >= floor { tick + SECOND } else { floor };
            (tick <= floor && tick < next).then_some(tick)
        })
    }
}

/// Messages that are decoded together, unless somebody wants it otherwise.
pub const BATCH: usize = 1_000;

/// How a recording is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Messages that are taken together at most: changes no byte of the result.
    pub batch: usize,
    /// What follows from messages and seconds before this receive time is not written: the run is
    /// warm when it comes here, and what is written then is what the whole run would write.
    pub seek: Option<Timestamp>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { batch: BATCH, seek: None }
    }
}

/// Runs `source` to its end through `engine` into `archive`. `observe` hears of every step: its
/// receive time and what followed from it.
pub async fn replay(
    engine: &mut Engine,
    source: &mut dyn Source,
    archive: &mut Archive,
    options: ReplayOptions,
    observe: &mut dyn FnMut(Timestamp, &[Event]),
) -> Result<Unwritten, RunError> {
    let mut replay = Replay::new(engine, archive, options, observe);
    while let Some(message) = source.next().await {
        match message {
            Ok(message) => replay.push(message)?,
            Err(error) => {
                // What stands before the damage counts.
                replay.flush()?;
                return Err(error.into());
            }
        }
    }
    replay.finish()
}

/// What came before the moment that was sought, and went through all the stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unwritten {
    pub messages: u64,
    pub windows: u64,
    /// Publications, dead letters and late readings.
    pub lines: u64,
}

/// A replay that is fed message by message.
pub struct Replay<'r> {
    engine: &'r mut Engine,
    archive: &'r mut Archive,
    options: ReplayOptions,
    unwritten: Unwritten,
    /// Read, not yet taken: all of one second.
    held: Vec<Message>,
    now: Option<Timestamp>,
    observe: &'r mut dyn FnMut(Timestamp, &[Event]),
}

impl std::fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl<'r> Replay<'r> {
    pub fn new(
        engine: &'r mut Engine,
        archive: &'r mut Archive,
        options: ReplayOptions,
        observe: &'r mut dyn FnMut(Timestamp, &[Event]),
    ) -> Self {
        let (unwritten, held) = (Unwritten::default(), Vec::new());
        Self { engine, archive, options, unwritten, held, now: None, observe }
    }

    /// Takes the next message of the recording.
    pub fn push(&mut self, message: Message) -> Result<(), RunError> {
        if !self.engine.subscribed(&message) {
            return Ok(());
        }
        let mut ticks = self.engine.seconds.until(message.received_at).peekable();
        if ticks.peek().is_some() || self.held.len() >= self.options.batch.max(1) {
            self.flush()?;
        }
        for tick in ticks {
            let events = self.engine.tick(tick)?;
            self.keep(tick, &events)?;
        }
        self.now = Some(message.received_at);
        self.held.push(message);
        Ok(())
    }

    /// Takes what is held: after it the engine's state is that of all messages so far.
    pub fn flush(&mut self) -> Result<(), RunError> {
        let Some(last) = self.held.last() else { return Ok(()) };
        let now = last.received_at;
        let events = self.engine.messages(&self.held)?;
        if self.comes_before(now) {
            self.unwritten.messages += self.held.len() as u64;
        }
        self.held.clear();
        self.keep(now, &events)
    }

    /// The recording is over.
    pub fn finish(mut self) -> Result<Unwritten, RunError> {
        self.flush()?;
        if let Some(now) = self.now {
            let events = self.engine.finish(now)?;
            self.keep(now, &events)?;
        }
        Ok(self.unwritten)
    }

    fn keep(&mut self, now: Timestamp, events: &[Event]) -> Result<(), RunError> {
        if self.comes_before(now) {
            let is_window = |event: &&Event| matches!(event, Event::Window { .. });
            let windows = events.iter().filter(is_window).count() as u64;
            self.unwritten.windows += windows;
            self.unwritten.lines += events.len() as u64 - windows;
        } else {
            write(self.archive, events)?;
        }
        (self.observe)(now, events);
        Ok(())
    }

    /// Messages that are held together are of one second, and `seek` is taken down to its own.
    fn comes_before(&self, now: Timestamp) -> bool {
        self.options.seek.is_some_and(|seek| now < seek.floor_to(SECOND))
    }
}

/// Writes what happened where it belongs.
pub(super) fn write(archive: &mut impl RunFiles, events: &[Event]) -> Result<(), RunError> {
    for event in events {
        match event {
            Event::Window { name, result } => archive.window(result, name)?,
            Event::Publish(publication) => archive.publication(publication)?,
            Event::Dead(letter) => archive.dead(letter)?,
            Event::Late(late) => archive.late(late)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn every_second_is_ticked_once_and_in_order() {
        let mut seconds = Seconds::default();
        assert_eq!(seconds.until(at(10_400)).collect::<Vec<_>>(), [at(10_000)]);
        assert_eq!(seconds.until(at(10_900)).count(), 0);
        assert_eq!(
            seconds.until(at(13_000)).collect::<Vec<_>>(),
            [at(11_000), at(12_000), at(13_000)]
        );
        // Time does not run backwards.
        assert_eq!(seconds.until(at(9_000)).count(), 0);
        assert_eq!(seconds.until(at(14_000)).collect::<Vec<_>>(), [at(14_000)]);
    }

    #[test]
    fn a_wrong_date_costs_an_hour_of_seconds_at_most() {
        let mut seconds = Seconds::default();
        assert_eq!(seconds.until(at(0)).count(), 1);
        let far = Timestamp::parse("9998-01-01T00:00:00Z").unwrap();
        let ticks: Vec<_> = seconds.until(far).collect();
        assert_eq!(ticks.len(), 3601);
        assert_eq!(ticks.last(), Some(&far));
    }
}

//! A recording as a source of messages, as fast as it can be read or at a pace.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::{CORRUPT_TOPIC, Entry, Reader, RecordingError};
use crate::domain::time::Timestamp;
use crate::ports::{Message, PortError, SharedClock, Source};

/// If none of so many first lines is a record, the file is none.
const LINES_TO_BELIEVE: usize = 64;

/// The messages of a recording, a file or a folder, in its order. The receive time is `pub`, else `ts`, and
/// never runs back: a message that stands behind a newer one is received with it.
///
/// Reading blocks for as long as the disk takes.
#[derive(Debug)]
pub struct RecordingSource {
    reader: Reader,
    /// Read ahead while looking for the first record, whose time the lines before it share.
    ahead: VecDeque<Entry>,
    /// What ended the reading ahead, to be told in its place.
    broken: Option<RecordingError>,
    now: Timestamp,
    given: u64,
    corrupt: u64,
}

impl RecordingSource {
    /// Fails as well when the file holds lines but no messages.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let mut reader = Reader::open(path)?;
        let mut ahead = VecDeque::new();
        let mut broken = None;
        let mut now = Timestamp::default();
        let mut first_reason = None;
        while ahead.len() < LINES_TO_BELIEVE {
            match reader.next() {
                None => break,
                Some(Err(error)) => {
                    broken = Some(error);
                    break;
                }
                Some(Ok(Entry::Record(record))) => {
                    now = record.published.unwrap_or(record.ts);
                    first_reason = None;
                    ahead.push_back(Entry::Record(record));
                    break;
                }
                Some(Ok(Entry::Corrupt { number, reason, bytes })) => {
                    first_reason.get_or_insert((number, reason.clone()));
                    ahead.push_back(Entry::Corrupt { number, reason, bytes });
                }
            }
        }
        if let (Some((first, reason)), None) = (first_reason, &broken) {
            let (path, lines) = (path.to_owned(), ahead.len());
            return Err(RecordingError::NotARecording { path, lines, first, reason });
        }
        Ok(Self { reader, ahead, broken, now, given: 0, corrupt: 0 })
    }

    /// Lines or rows so far that were no records.
    pub fn corrupt(&self) -> u64 {
        self.corrupt
    }

    fn message(&mut self, entry: Entry) -> Message {
        let (topic, payload) = match entry {
            Entry::Record(record) => {
                self.now = self.now.max(record.published.unwrap_or(record.ts));
                (record.topic, record.payload)
            }
            Entry::Corrupt { number, reason, bytes } => {
                self.corrupt += 1;
                tracing::warn!(
                    "{}:{number}: no record, goes to the dead letters: {reason}",
                    self.reader.path().display()
                );
                (format!("{CORRUPT_TOPIC}{number}"), bytes)
            }
        };
        self.given += 1;
        Message { topic, payload, received_at: self.now, receipt: self.given }
    }
}

#[async_trait]
impl Source for RecordingSource {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        if let Some(entry) = self.ahead.pop_front() {
            return Some(Ok(self.message(entry)));
        }
        if let Some(error) = self.broken.take() {
            return Some(Err(error.into()));
        }
        match self.reader.next()? {
            Ok(entry) => Some(Ok(self.message(entry))),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// A file needs no acknowledgement.
    async fn acknowledge(&mut self, _receipt: u64) -> Result<(), PortError> {
        Ok(())
    }
}

/// A source whose messages come at the pace of their receive times, `speed` times as fast.
pub struct Paced<S> {
    source: S,
    clock: SharedClock,
    speed: f64,
    /// Messages before this moment are not waited for.
    from: Option<Timestamp>,
    /// The first message's time, and the clock's then.
    start: Option<(Timestamp, Duration)>,
    /// Taken from the source, not yet due.
    held: Option<Message>,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Paced<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paced")
            .field("source", &self.source)
            .field("speed", &self.speed)
            .finish_non_exhaustive()
    }
}

impl<S: Source> Paced<S> {
    /// `speed` 1 is the pace of the recording; it must be finite and above 0, else 1 is taken.
    pub fn new(source: S, clock: SharedClock, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { source, clock, speed, from: None, start: None, held: None }
    }

    /// Whatever comes before this moment comes at once.
    #[must_use]
    pub fn waiting_from(self, from: Option<Timestamp>) -> Self {
        Self { from, ..self }
    }

    /// How long until a message of this time is due.
    pub(super) fn wait(&mut self, time: Timestamp) -> Duration {
        let elapsed = self.clock.elapsed();
        let (first, begun) = *self.start.get_or_insert((time, elapsed));
        let due = time.since(first).as_secs_f64() / self.speed;
        // A speed close to 0 gives more than a duration can hold: that is for ever.
        let due = Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX);
        due.saturating_sub(elapsed.saturating_sub(begun))
    }
}

#[async_trait]
impl<S: Source> Source for Paced<S> {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        if self.held.is_none() {
            match self.source.next().await? {
                Ok(message) => self.held = Some(message),
                Err(error) => return Some(Err(error)),
            }
        }
        let time = self.held.as_ref()?.received_at;
        let early = self.from.is_some_and(|from| time < from);
        let wait = if early { Duration::ZERO } else { self.wait(time) };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.held.take().map(Ok)
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError> {
        self.source.acknowledge(receipt).await
    }
}

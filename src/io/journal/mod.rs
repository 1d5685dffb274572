//! The journal: every received message and second in an append-only, checksummed log, with
//! snapshots of the state beside it; what is older becomes recordings in Parquet.
//!
//! | file | holds |
//! |---|---|
//! | `000000000001.wsj` | a segment: the entries from position 1 on (`segment` has the form) |
//! | `000000000420.wss` | a snapshot: the state after position 420 |
//! | `recordings/date=2008-11-11/hour=07/1-419.parquet` | messages of closed segments, by receive time |
//! | `*.damaged` | what could not be read, kept until room is needed |
//! | `lock` | held by the unit that writes here |
//!
//! One thread writes and syncs: commits that queue up while it syncs are joined into one. Another
//! turns closed segments into recordings and keeps the limits. What happens when the disk is full
//! or fails stands at [`Progress`].
//!
//! Knows nothing of what entries mean or what a snapshot holds.

mod chain;
mod compact;
mod handle;
mod keep;
mod medium;
mod open;
mod queue;
mod record;
mod segment;
mod shelf;
mod snapshot;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub(in crate::io) use chain::{Chain, Piece};
pub use handle::Journal;
pub use medium::{Disk, Medium, MediumFile};
pub use open::{Recovered, Tail};
pub(in crate::io) use shelf::{
    RECORDINGS, RecordingFile, SEGMENT, SegmentFile, damaged, hive_files, recordings, segments,
    snapshots,
};
pub(in crate::io) use snapshot::read as read_snapshot;

use crate::domain::time::Timestamp;
use crate::plan;
use crate::ports::Message;

/// What the journal remembers, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A message as it was received. Its receipt is not kept: it reads 0.
    Message(Message),
    /// Receive time has moved on to this second.
    Tick(Timestamp),
    /// Something that the runtime wants to remember; opaque here.
    Note { kind: u8, bytes: Vec<u8> },
}

/// The number of an entry: from 1, growing by one over all segments, never used again once it is
/// on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state after an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub position: Position,
    /// Whose state it is (the pipeline's hash); compared by whoever restores it.
    pub identity: String,
    pub bytes: Vec<u8>,
}

/// How far the journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whatever waits for entries up to here may go on: they lie on the disk, or could not be kept
    /// because it is full.
    pub through: Position,
    pub state: State,
    /// The newest snapshot does not reach over a gap (or there is none that can be read): until
    /// there is a fresh one, a crash falls back to before the gap.
    pub snapshot_wanted: bool,
}

/// Whether entries are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// The disk is full and there is nothing left to shed, for an entry or for the first snapshot of
    /// the run. Entries pass by without being kept and are counted as `unjournaled`; it is tried
    /// again every few seconds.
    Suspended,
    /// The disk failed: nothing after `through` was or ever will be kept. The unit has to stop.
    Failed(Arc<str>),
}

/// Where the journal lies and what it may take.
#[derive(Clone)]
pub struct JournalOptions {
    pub dir: PathBuf,
    /// A segment is closed when the next commit would make it longer than this.
    pub segment_bytes: u64,
    /// Over segments, snapshots and recordings. What a recovery needs is never dropped for it.
    pub max_bytes: u64,
    /// Recordings of older hours are dropped. Hours that have recordings are counted, from the newest
    /// message back, not those of the clock: it may be wrong, by years.
    pub max_age: Duration,
    /// Closed segments become recordings; else they are dropped once two snapshots lie after them.
    pub record: bool,
    /// How often a full disk is tried again.
    pub retry_every: Duration,
    pub medium: Arc<dyn Medium>,
}

impl fmt::Debug for JournalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalOptions").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl JournalOptions {
    /// Segments of 16 MiB, recordings without limits.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 16 << 20,
            max_bytes: u64::MAX,
            max_age: Duration::MAX,
            record: true,
            retry_every: Duration::from_secs(5),
            medium: Arc::new(Disk),
        }
    }
}

impl From<&plan::Journal> for JournalOptions {
    fn from(plan: &plan::Journal) -> Self {
        Self {
            max_bytes: plan.max_bytes,
            max_age: plan.max_age,
            record: plan.record,
            ..Self::new(&plan.dir)
        }
    }
}

/// A place in the journal's files that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
    /// The first and the last entry that are lost with it, where that is known.
    pub lost: Option<(Position, Position)>,
    pub reason: CutReason,
    /// The first of the bytes.
    #[serde(skip)]
    pub sample: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CutReason {
    /// The last write was not complete: nothing of it was ever reported committed.
    Torn,
    /// Bytes that do not verify, between entries that do.
    Damaged,
    /// An entry longer than the format allows; it was never written.
    TooLong,
    /// A segment without a readable header.
    Unreadable,
    /// Entries that should stand between two segments, or before the first, and do not.
    Missing,
    /// Entries passed by without being kept, while the disk was full.
    Gap,
    /// A snapshot that does not verify.
    Snapshot,
}

impl CutReason {
    /// Whether what stands behind must not be read as the continuation of what stands before.
    pub fn breaks(self) -> bool {
        matches!(self, Self::Unreadable | Self::Missing | Self::Gap)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Torn => "the last write was not complete",
            Self::Damaged => "the bytes do not verify",
            Self::TooLong => "an entry was too long to be kept",
            Self::Unreadable => "the segment has no readable header",
            Self::Missing => "entries are missing",
            Self::Gap => "entries passed by without being kept",
            Self::Snapshot => "the snapshot does not verify",
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason.words())?;
        if self.bytes > 0 {
            write!(f, ", {} bytes from byte {}", self.bytes, self.offset)?;
        }
        if let Some((from, to)) = self.lost {
            write!(f, ", entries {from} to {to}")?;
        }
        Ok(())
    }
}

/// What the journal counts, for the status message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalStats {
    /// `running`, `suspended` or `failed`.
    pub state: &'static str,
    /// Of segments, snapshots and recordings. Looked at, with the three numbers below, when a
    /// segment or snapshot was finished, and once a minute.
    pub bytes: u64,
    pub segments: u64,
    pub snapshots: u64,
    pub recordings: u64,
    /// Entries appended, of this process.
    pub appended: u64,
    /// Entries of this process that lie on the disk.
    pub committed: u64,
    /// The last position that lies on the disk.
    pub durable: u64,
    pub fsyncs: u64,
    /// Entries that passed by while the disk was full, or after it failed.
    pub unjournaled: u64,
    pub snapshots_written: u64,
    /// Snapshots that could not be written or were overtaken by a newer one.
    pub snapshots_skipped: u64,
    /// Recordings and segments dropped because the disk was full.
    pub shed: u64,
    /// Recordings dropped for the limits of size and age, and segments that no recording could be
    /// made of.
    pub expired: u64,
    /// Segments that became recordings, or were dropped where none are made.
    pub compacted: u64,
    pub compaction_failures: u64,
    /// Places that could not be read: at opening and while making recordings.
    pub cut: u64,
    pub cut_bytes: u64,
    /// Entries that are known to be lost with them.
    pub lost: u64,
}

impl JournalStats {
    fn count_cut(&mut self, cut: &Cut) {
        self.cut += 1;
        self.cut_bytes += cut.bytes;
        if let Some((from, to)) = cut.lost {
            self.lost += to.0.saturating_sub(from.0) + 1;
        }
    }
}

/// The journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{}: another unit holds this journal", dir.display())]
    Locked { dir: PathBuf },
    #[error("{}: the journal cannot be {doing}: {source}", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("the journal has failed: {reason}")]
    Failed { reason: String },
}

impl JournalError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Locked { .. } => {
                "two units cannot share a journal: stop the other one, or give each its own `journal.dir`"
            }
            Self::Io { .. } => {
                "check that the folder may be read and written, and the disk's health"
            }
            Self::Failed { .. } => {
                "check the disk; what was acknowledged lies in the journal and is read at the next start"
            }
        }
    }
}

#[cfg(test)]
mod tests;

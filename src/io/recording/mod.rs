//! Recordings of messages, read and written: NDJSON, NDJSON.gz and Parquet, told apart by the
//! file's extension; and read alone: a unit's journal folder, one of its segments (`.wsj`), or a
//! folder of Parquet files.
//!
//! **NDJSON** is one line a message in publish order:
//! `{"ts":"..","pub":"..","topic":"..","payload":..}`. `ts` is event time; `pub`, where it stands,
//! is the moment of publishing, which is the receive time in a replay (else `ts` is). `payload` is
//! the JSON object as it was sent, byte for byte; any other payload is a string that holds its
//! bytes. Bytes that are no UTF-8 stand as `payload_hex`; a string with lone low surrogates
//! (`\udc80` to `\udcff`, as other tools write such bytes) is understood as well.
//!
//! **Parquet** has the columns `ts`, `pub` (nullable), `topic` and `payload` (binary), zstd. The
//! footer holds checksums: over all rows (`wayside.crc32`), and over the bytes of the row groups
//! (`wayside.row_groups`), which are checked before they are decoded.
//!
//! **A journal folder** gives the messages of its recordings and then of its segments, each once and
//! in the order of their positions, also while a unit writes there. Other folders give the messages
//! of the Parquet files in them, in the order of their paths (`date=2008-11-11/hour=07/…`).
//!
//! A line or row that is no record does not stop a replay: it is handed on as a message on the topic
//! `$recording/line/<number>` with its bytes as payload. No topic filter of a pipeline matches a
//! topic that begins with `$`, so it ends among the dead letters. What cannot be read on from, such
//! as a gzip file that breaks off, ends the run after everything before it was delivered.
//!
//! Knows nothing of what payloads mean.

mod between;
mod folder;
mod inspect;
mod line;
mod reader;
mod rows;
mod source;
mod sums;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub use between::Between;
pub use inspect::{Info, Place, Repaired, Silence, info, repair, verify};
pub use reader::{Entry, Reader};
pub(in crate::io) use rows::RowWriter;
pub use source::{Paced, RecordingSource};
pub use writer::{Converted, RecordingWriter, convert};

use super::payload;
use crate::domain::time::Timestamp;
use crate::ports::{Message, PortError};

/// Longest line, and longest payload of a row, that is taken. A payload of 1.5 MB, the most that
/// the MQTT side lets in, fits as hex.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// Begins the topic of what is no record: `$recording/line/17`.
pub const CORRUPT_TOPIC: &str = "$recording/line/";

/// One message of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Event time: the end of the interval that the payload speaks of.
    pub ts: Timestamp,
    /// When it was published, if known.
    pub published: Option<Timestamp>,
    pub topic: String,
    pub payload: Vec<u8>,
}

impl Record {
    /// A message as it was received. `ts` is the payload's member `ts`, where that is a time, else
    /// the receive time.
    pub fn received(message: Message) -> Self {
        Self {
            ts: payload::time(&message.payload).unwrap_or(message.received_at),
            published: Some(message.received_at),
            topic: message.topic,
            payload: message.payload,
        }
    }
}

/// How a recording is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Ndjson,
    NdjsonGz,
    Parquet,
}

impl Form {
    /// By the extension: `.ndjson` (or `.jsonl`), the same with `.gz`, `.parquet`.
    pub fn of(path: &Path) -> Result<Self, RecordingError> {
        Self::split(path).map(|(form, _)| form)
    }

    /// The form, and the extension that says so.
    fn split(path: &Path) -> Result<(Self, &'static str), RecordingError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [
            (Self::Ndjson, ".ndjson"),
            (Self::Ndjson, ".jsonl"),
            (Self::NdjsonGz, ".ndjson.gz"),
            (Self::NdjsonGz, ".jsonl.gz"),
            (Self::Parquet, ".parquet"),
        ]
        .into_iter()
        .find(|(_, extension)| name.ends_with(extension))
        .ok_or_else(|| RecordingError::UnknownForm { path: path.to_owned() })
    }
}

/// A recording that cannot be read on or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("{}: the file name does not say what kind of recording this is", path.display())]
    UnknownForm { path: PathBuf },
    #[error("{}: the recording cannot be opened: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}: this is no recording: none of its first {lines} lines is a message; line {first}: {reason}", path.display())]
    NotARecording { path: PathBuf, lines: usize, first: u64, reason: String },
    #[error("{}: the file breaks off or is damaged after {records} messages: {source}", path.display())]
    BrokenOff { path: PathBuf, records: u64, source: io::Error },
    #[error("{}: the Parquet file cannot be read after {records} messages: {reason}", path.display())]
    Parquet { path: PathBuf, records: u64, reason: String },
    #[error("{}: the file is there already", path.display())]
    Exists { path: PathBuf },
    #[error("{}: the recording cannot be written: {reason}", path.display())]
    Write { path: PathBuf, reason: String },
}

impl RecordingError {
    /// What to do about it, where there is something.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownForm { .. } => {
                Some("name it .ndjson, .ndjson.gz or .parquet, by what it holds".to_owned())
            }
            Self::NotARecording { .. } => Some(
                "a recording has one line a message: {\"ts\":\"..\",\"topic\":\"..\",\"payload\":{..}}"
                    .to_owned(),
            ),
            Self::BrokenOff { .. } => {
                Some("copy the file again, or go on with the messages before the break".to_owned())
            }
            Self::Parquet { .. } => Some(
                "needed are the columns ts and pub (timestamps), topic (string) and payload \
                 (binary), compressed with zstd or not at all"
                    .to_owned(),
            ),
            Self::Exists { .. } => {
                Some("recordings are never overwritten: choose another name".to_owned())
            }
            Self::Open { .. } | Self::Write { .. } => None,
        }
    }
}

impl From<RecordingError> for PortError {
    fn from(error: RecordingError) -> Self {
        Self::Fatal { what: error.to_string(), help: error.help() }
    }
}

#[cfg(test)]
mod tests;

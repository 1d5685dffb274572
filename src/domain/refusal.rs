//! What is refused, and why: the words under which nothing vanishes uncounted.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Why a message is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// No source claims it.
    Unclaimed,
    TooLarge,
    NotUtf8,
    NotJson,
    /// JSON, but nested deeper than any reading is.
    TooDeep,
    NotAnObject,
    /// The member `v` is absent or another one than the schema's.
    UnknownVersion,
    MissingField,
    WrongType,
    OutOfRange,
    UnknownValue,
    UnknownSegment,
    BadTime,
    /// Event time further ahead of receipt than `max_future`.
    Future,
}

impl DeadReason {
    pub fn word(self) -> &'static str {
        match self {
            Self::Unclaimed => "unclaimed",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::TooDeep => "too_deep",
            Self::NotAnObject => "not_an_object",
            Self::UnknownVersion => "unknown_version",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::UnknownValue => "unknown_value",
            Self::UnknownSegment => "unknown_segment",
            Self::BadTime => "bad_time",
            Self::Future => "future",
        }
    }
}

/// Why and where one message was refused; the message itself is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: DeadReason,
    /// The source that claimed it, if one did.
    pub source: Option<String>,
    /// What exactly: the field, what it held, what was expected. At most a few hundred characters.
    pub detail: String,
}

/// A message that will never be a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub received_at: Timestamp,
    pub topic: String,
    pub payload: Vec<u8>,
    pub refusal: Refusal,
}

/// A reading whose windows have all closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateReading {
    pub received_at: Timestamp,
    pub event_time: Timestamp,
    /// The watermark it came behind.
    pub watermark: Timestamp,
    pub topic: String,
    pub payload: Vec<u8>,
}

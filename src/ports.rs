//! The openings of the house: where messages come in, where publications go out, who words them,
//! and what time it is.
//!
//! Traits only. `io` and `model` stand behind them; the stages never see which.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::time::Timestamp;
use crate::domain::wording::{Draft, EarlierText, WordingRequest};

/// One message as it came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub topic: String,
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// The receive time: the clock's in a live run, `pub` (else `ts`) in a replay.
    pub received_at: Timestamp,
    /// What the source needs to acknowledge it; meaningless to everybody else.
    pub receipt: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Waiting will not help: wrong password, unreadable file. The run ends with this.
    #[error("{what}")]
    Fatal { what: String, help: Option<String> },
}

/// Where messages come from. Transient trouble (a broker away) is the source's own affair.
#[async_trait]
pub trait Source: Send {
    /// The next message; `None` after the last one. Cancel-safe.
    async fn next(&mut self) -> Option<Result<Message, PortError>>;

    /// The next messages, `most` at most: those that are there, or the first that comes. An error
    /// comes alone. Cancel-safe.
    async fn next_batch(&mut self, most: usize) -> Option<Result<Vec<Message>, PortError>> {
        debug_assert!(most > 0, "room for one message at least");
        Some(self.next().await?.map(|message| vec![message]))
    }

    /// Everything up to this receipt has been dealt with and may be acknowledged.
    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError>;
}

/// Drops what can be missed more than what does not fit on a full disk.
pub trait MakeRoom: std::fmt::Debug + Send {
    /// Drops something on the disk of `path`; false where nothing there may go.
    fn make_room(&self, path: &Path) -> bool;
}

/// What a message that goes out says: JSON text, or nothing at all, which clears a retained message.
/// Shared: a copy costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// # Errors
    /// The value is none that JSON has.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(value)?.into()))
    }

    /// Clears what is retained.
    pub fn nothing() -> Self {
        Self("".into())
    }

    /// JSON; empty where there is nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self(value.to_string().into())
    }
}

/// One message to send out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    pub ts: Timestamp,
    pub topic: String,
    pub payload: Payload,
    pub qos: u8,
    pub retain: bool,
    /// When the broker should drop it (MQTT 5 message expiry), counted from `ts`.
    pub expiry: Option<Duration>,
}

/// Where publications go.
#[async_trait]
pub trait Sink: Send {
    /// Which one it is of all that were sent, counted from 1.
    async fn send(&mut self, publication: &Publication) -> Result<u64, PortError>;

    /// Everything sent so far has left the house. Cancel-safe.
    async fn flush(&mut self) -> Result<(), PortError>;

    /// How many publications, counted from the first that was sent, are done with: taken by who they
    /// were for, or given up and counted. After a crash those behind them may have to go out again.
    fn done(&self) -> u64;
}

/// Why a writer gave no draft. The request then goes to the template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriterError {
    #[error("the deadline passed before the text was complete")]
    Late,
    #[error("no text satisfies the request: {0}")]
    Unsatisfiable(String),
    #[error("the writer failed: {0}")]
    Failed(String),
}

/// A request, with the words of its direction that it is to replace, if there are any: what they say
/// of facts that have not changed should stay as it is.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub request: &'a WordingRequest,
    pub before: Option<&'a EarlierText>,
}

impl<'a> From<&'a WordingRequest> for Asked<'a> {
    fn from(request: &'a WordingRequest) -> Self {
        Self { request, before: None }
    }
}

/// Asked between steps whether the time for a text is over; several threads may ask.
pub type Expired<'e> = dyn Fn() -> bool + Sync + 'e;

/// Words directions.
pub trait Writer: Send {
    /// `attempt` 0 is the first candidate; higher ones ask for another text for the same request.
    /// `expired` is asked between steps; once it says true the writer stops with `Late`.
    fn write(
        &mut self,
        request: &WordingRequest,
        attempt: u32,
        expired: &Expired<'_>,
    ) -> Result<Draft, WriterError>;

    /// The first candidates of several requests at once, which costs less than one by one where a
    /// writer can do it; each gets what it would get alone. A writer that cannot keep earlier words
    /// writes new ones.
    fn write_all(
        &mut self,
        asked: &[Asked<'_>],
        expired: &Expired<'_>,
    ) -> Vec<Result<Draft, WriterError>> {
        asked.iter().map(|asked| self.write(asked.request, 0, expired)).collect()
    }

    /// Goes into `why`: the name of what writes this request, and the first 12 digits of its hash.
    fn name(&self, request: &WordingRequest) -> &str;
}

/// What time it is. Only `io/clock` asks the machine.
pub trait Clock: Send + Sync {
    /// UTC.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never runs backwards.
    fn elapsed(&self) -> Duration;
    /// How far `now` has been set against the time that has passed, ms: changes when somebody, or a
    /// time service, sets the clock.
    fn set_by_ms(&self) -> i64 {
        0
    }
}

pub type SharedClock = Arc<dyn Clock>;

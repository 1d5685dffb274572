//! A closure announced by the road operator, and the set of roads that are closed now.
//!
//! Knows nothing of payloads; decode makes a `Closure` from one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::network::SegmentId;
use super::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosureState {
    Active,
    Cleared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosureKind {
    /// No car may pass.
    RoadClosed,
    /// Some lanes are shut; cars still pass.
    LanesClosed,
}

/// Why a road is closed, in the words that an operator may choose from. Free text is never passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Roadworks,
    Accident,
    Flooding,
    /// A market, a race, a procession: something that people come to.
    Event,
    Fog,
    Ice,
    Snow,
    Wind,
}

impl Reason {
    pub const ALL: [Self; 8] = [
        Self::Roadworks,
        Self::Accident,
        Self::Flooding,
        Self::Event,
        Self::Fog,
        Self::Ice,
        Self::Snow,
        Self::Wind,
    ];

    /// As it stands in messages and in the phrase material.
    pub fn word(self) -> &'static str {
        match self {
            Self::Roadworks => "roadworks",
            Self::Accident => "accident",
            Self::Flooding => "flooding",
            Self::Event => "event",
            Self::Fog => "fog",
            Self::Ice => "ice",
            Self::Snow => "snow",
            Self::Wind => "wind",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

/// One message of the road operator about one event. Edges are the names of the feed: the stage
/// that knows the network resolves them and refuses unknown ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    pub event_id: String,
    pub state: ClosureState,
    pub kind: ClosureKind,
    #[serde(default)]
    pub reason: Option<Reason>,
    pub edges: Vec<String>,
    #[serde(default)]
    pub lanes_closed: Option<u32>,
    /// When the operator said so (event time).
    pub ts: Timestamp,
    #[serde(default)]
    pub start: Option<Timestamp>,
    #[serde(default)]
    pub planned_end: Option<Timestamp>,
}

/// The event that closes each segment now. Ordered, so that whatever walks it is repeatable.
pub type ClosedSegments = BTreeMap<SegmentId, String>;

/// What operators say of a segment that is closed, or has lanes shut, now. Where several events are on
/// it, only what they agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announced {
    pub reason: Option<Reason>,
    /// The first of the events' beginnings, where all of them have one.
    pub since: Option<Timestamp>,
    /// When it is planned to be over: the latest of the events' ends, where all of them have one and
    /// it is not long past. What is planned opens nothing.
    pub until: Option<Timestamp>,
    /// Lanes that are shut; none where the whole road is closed.
    pub lanes: Option<u32>,
}

impl Announced {
    /// What holds of two parts of one road alike.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn alike<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            if one == other { one } else { None }
        }
        Self {
            reason: alike(self.reason, other.reason),
            since: alike(self.since, other.since),
            until: self.until.zip(other.until).map(|(one, other)| one.max(other)),
            lanes: alike(self.lanes, other.lanes),
        }
    }
}

/// By segment; of one that is closed, what is said of the closure.
pub type Announcements = BTreeMap<SegmentId, Announced>;

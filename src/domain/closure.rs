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

/// One message of the road operator about one event. Edges are the names of the feed: the stage
/// that knows the network resolves them and refuses unknown ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Closure {
    pub event_id: String,
    pub state: ClosureState,
    pub kind: ClosureKind,
    pub edges: Vec<String>,
    pub lanes_closed: Option<u32>,
    /// When the operator said so (event time).
    pub ts: Timestamp,
    pub start: Option<Timestamp>,
    pub planned_end: Option<Timestamp>,
}

/// The event that closes each segment now. Ordered, so that whatever walks it is repeatable.
pub type ClosedSegments = BTreeMap<SegmentId, String>;

//! A direction: the facts of who should be told what, before any words.
//!
//! Made by the route stage, worded by a writer, checked by the guard. Holds no text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::closure::Announced;
use super::congestion::CongestionLevel;
use super::network::{SegmentId, SignId, Turn};
use super::time::Timestamp;

/// Why a road should be avoided (wire.md, `cause`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Closure,
    Congestion,
    Incident,
}

impl Cause {
    pub fn word(self) -> &'static str {
        match self {
            Self::Closure => "closure",
            Self::Congestion => "congestion",
            Self::Incident => "incident",
        }
    }
}

/// What a driver would run into who looks for a way round by himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// A closure, or traffic that queues (`congestion`).
    pub cause: Cause,
    pub segment: SegmentId,
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Audience {
    /// A variable message sign of the network.
    Sign(SignId),
    /// Vehicles on `Direction::applies_on`, reached by the quadkey tile their segment lies in
    /// (zoom 16); `part` tells apart several directions in one tile.
    Area { tile: String, part: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectionState {
    Show,
    Clear,
}

/// The facts of one direction. Everything that a text may say comes from here.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// Stable over the revisions of one direction, unique in a run: `d-0042`.
    pub id: String,
    /// 1 for the first message under this id, then one more for each.
    pub revision: u32,
    pub ts: Timestamp,
    pub valid_until: Timestamp,
    pub state: DirectionState,
    pub audience: Audience,
    pub cause: Cause,
    /// What the road's operator said of the closure or of the lanes that are shut; nothing of
    /// congestion, or of what was found by sensors.
    pub announced: Announced,
    /// The worst level on the avoided segments, where known; none for closures.
    pub level: Option<CongestionLevel>,
    /// Segments to avoid, at least one; the first is where the trouble is, and names it.
    pub avoid: Vec<SegmentId>,
    /// Those of them that an operator has closed.
    pub closed: Vec<SegmentId>,
    /// Segments to pass in order, chosen so that the way is unmistakable; empty: "another way".
    pub via: Vec<SegmentId>,
    /// The whole advised way, in order, as drivers fill it in: from the addressed segment (the
    /// nearest one of an area) to the end of the destination (for the guard and `why`).
    pub way: Vec<SegmentId>,
    /// `Area` only: the segments whose vehicles are addressed.
    pub applies_on: Vec<SegmentId>,
    /// The turn at the end of the addressed segment, where the advised way leaves the old one there.
    pub turn: Option<Turn>,
    /// Index into `Network::places` of the destination that is affected most.
    pub destination: Option<usize>,
    /// Vehicles only.
    pub second: Option<Second>,
    /// Seconds lost by who stays on the old way, where it can still be driven.
    pub delay_s: Option<u32>,
    /// Seconds saved by the advised way over the old one.
    pub saving_s: Option<u32>,
    pub evidence: Evidence,
}

/// What a direction rests on: goes out in `why`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The closure events, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// `window@start` of the windows whose values decided, at most a handful.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// The rules that spoke, in words of the code: `closure_upstream`, `saving_over_minimum`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// The old way and the ways that were weighed: edge names and seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<WeighedWay>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeighedWay {
    /// `advised`, `usual`, `rejected`
    pub verdict: Cow<'static, str>,
    pub edges: Vec<String>,
    pub travel_time_s: u32,
}

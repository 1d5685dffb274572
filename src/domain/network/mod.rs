//! The road network of a site: segments, the moves between them, and what stands along them.
//!
//! Read-only once loaded. Knows nothing of the traffic on it.

mod load;
mod names;
mod routing;
mod side;
#[cfg(test)]
pub(crate) mod testing;
mod tile;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

pub use load::{NetworkError, NetworkFinding};
pub use names::fold;
pub use routing::{Costs, Penalties, Router, Tree, Way};
pub use tile::quadkey;

/// Index of a segment in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId(pub u32);

/// Index of a sign in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignId(pub u32);

/// A directed road edge between two junctions.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The edge's id in the network file, as in payloads.
    pub name: String,
    pub from_junction: String,
    pub to_junction: String,
    /// The street's name, from names.csv or else the network file.
    pub street: Option<String>,
    pub length_m: f64,
    /// Stands in for free-flow speed until one is learnt.
    pub speed_limit_kmh: f64,
    pub lanes: u16,
    pub cars_allowed: bool,
    pub to_signal: bool,
    /// WGS 84, longitude first; at least two points.
    pub line: geo::LineString<f64>,
}

impl Segment {
    /// Seconds to drive the segment at the speed limit.
    pub fn free_flow_s(&self) -> f64 {
        self.length_m / (self.speed_limit_kmh / 3.6)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    Straight,
    Left,
    Right,
    PartLeft,
    PartRight,
    TurnAround,
}

impl Turn {
    pub fn word(self) -> &'static str {
        match self {
            Self::Straight => "straight",
            Self::Left => "left",
            Self::Right => "right",
            Self::PartLeft => "part_left",
            Self::PartRight => "part_right",
            Self::TurnAround => "turn_around",
        }
    }

    /// Whether drivers call both by one word: half left is "left" to them.
    pub fn sounds_like(self, other: Self) -> bool {
        let word = |turn| match turn {
            Self::PartLeft => Self::Left,
            Self::PartRight => Self::Right,
            turn => turn,
        };
        word(self) == word(other)
    }
}

/// An allowed move from the end of one segment into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    pub from: SegmentId,
    pub to: SegmentId,
    pub turn: Turn,
    pub lanes: u16,
    pub cars_allowed: bool,
}

impl Connection {
    /// Whether cars may make this move, and it is none of turning round.
    pub fn leads_on(&self) -> bool {
        self.cars_allowed && self.turn != Turn::TurnAround
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorKind {
    /// An induction loop in one lane.
    Loop,
    /// A camera over the whole segment.
    Camera,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    pub sensor_id: String,
    pub kind: DetectorKind,
    pub segment: SegmentId,
    pub lane: Option<u16>,
    pub pos_m: f64,
}

/// A variable message sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    pub name: String,
    pub segment: SegmentId,
    /// Metres from the start of the segment.
    pub pos_m: f64,
    pub rows: u8,
    pub cols: u8,
    /// One, or two that it shows in turns.
    pub pages: u8,
    /// Its pixels, where they are known: then a text must fit them as well.
    pub face: Option<SignFace>,
}

/// The dots of a sign and the font that it shows texts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignFace {
    /// The font in `tfon` form, as read from its file.
    pub font: Arc<str>,
    /// That file's path, for messages.
    pub file: String,
    pub width_px: u16,
    pub height_px: u16,
}

/// A destination that drivers know by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub name: String,
    pub segment: SegmentId,
    /// Relative weight: how many arrive there.
    pub weight: f64,
}

#[derive(Debug)]
pub struct Network {
    /// The `city` of the network file.
    pub city: String,
    /// SHA-256 over the files it was read from, in hex.
    pub hash: String,
    pub segments: Vec<Segment>,
    pub detectors: Vec<Detector>,
    pub signs: Vec<Sign>,
    pub places: Vec<Place>,
    /// Moves out of each segment, sorted by target.
    pub(crate) outgoing: Vec<Vec<Connection>>,
    /// Moves into each segment, sorted by origin.
    pub(crate) incoming: Vec<Vec<Connection>>,
    pub(crate) by_name: ByName,
}

/// Where each segment is by its name; the names themselves stand in the segments.
#[derive(Debug, Default)]
pub(crate) struct ByName {
    known: HashTable<SegmentId>,
    hasher: RandomState,
}

impl ByName {
    pub(crate) fn of(segments: &[Segment]) -> Self {
        let mut by_name = Self::default();
        by_name.known.reserve(segments.len(), |_| 0);
        for index in 0..segments.len() {
            by_name.insert(segments, SegmentId(index as u32));
        }
        by_name
    }

    /// Of two segments of one name the first one is found.
    pub(crate) fn insert(&mut self, segments: &[Segment], id: SegmentId) {
        let hash = |id: &SegmentId| self.hasher.hash_one(&segments[id.0 as usize].name);
        self.known.insert_unique(hash(&id), id, hash);
    }

    fn get(&self, segments: &[Segment], name: &str) -> Option<SegmentId> {
        let is = |id: &SegmentId| segments[id.0 as usize].name == name;
        self.known.find(self.hasher.hash_one(name), is).copied()
    }
}

impl Network {
    pub fn segment(&self, id: SegmentId) -> &Segment {
        &self.segments[id.0 as usize]
    }

    pub fn sign(&self, id: SignId) -> &Sign {
        &self.signs[id.0 as usize]
    }

    pub fn segment_by_name(&self, name: &str) -> Option<SegmentId> {
        self.by_name.get(&self.segments, name)
    }

    pub fn sign_by_name(&self, name: &str) -> Option<SignId> {
        self.sign_ids().find(|id| self.sign(*id).name == name)
    }

    pub fn segment_ids(&self) -> impl Iterator<Item = SegmentId> + use<> {
        (0..self.segments.len()).map(|i| SegmentId(i as u32))
    }

    pub fn sign_ids(&self) -> impl Iterator<Item = SignId> + use<> {
        (0..self.signs.len()).map(|i| SignId(i as u32))
    }

    /// Allowed moves out of a segment, sorted by target.
    pub fn outgoing(&self, id: SegmentId) -> &[Connection] {
        &self.outgoing[id.0 as usize]
    }

    /// Allowed moves into a segment, sorted by origin.
    pub fn incoming(&self, id: SegmentId) -> &[Connection] {
        &self.incoming[id.0 as usize]
    }

    /// The move between two segments, where there is one that cars may make.
    pub fn connection(&self, from: SegmentId, to: SegmentId) -> Option<&Connection> {
        self.outgoing(from).iter().find(|c| c.to == to && c.cars_allowed)
    }

    /// The quadkey of the tile (zoom 16) that holds the middle of a segment.
    pub fn tile(&self, id: SegmentId) -> String {
        tile::of_line(&self.segment(id).line)
    }

    /// Every name that may stand in a text: streets and places, sorted, each once.
    pub fn spoken_names(&self) -> Vec<&str> {
        let streets = self.segments.iter().filter_map(|s| s.street.as_deref());
        let mut names: Vec<&str> =
            streets.chain(self.places.iter().map(|p| p.name.as_str())).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

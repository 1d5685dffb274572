//! Shortest ways over allowed moves, by current travel times, around what is closed.

use super::{Network, SegmentId};

/// Seconds to pass each segment now, by segment index; infinite where closed to cars.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs(pub Vec<f64>);

/// A drivable way, first and last segment included.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub segments: Vec<SegmentId>,
    /// Seconds from the start of the first segment to the end of the last one.
    pub travel_time_s: f64,
}

/// Finds ways on one network.
#[derive(Debug)]
pub struct Router<'n> {
    pub(super) network: &'n Network,
}

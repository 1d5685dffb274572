//! How full a road is: level words and the state of one segment.
//!
//! Knows nothing of windows or columns; the congestion stage makes these from them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::closure::{Announcements, ClosedSegments};
use super::network::SegmentId;

/// Traffic status by share of free-flow speed, in the words of DATEX II (`TrafficStatusEnum` /
/// `TrafficTrendType` use the same five). Ordered from clear to standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CongestionLevel {
    FreeFlow,
    Heavy,
    Slow,
    Queuing,
    Stationary,
}

impl CongestionLevel {
    /// Level from the share (0 to 1 and above) of free-flow speed that is driven: stationary below
    /// 0.10, queuing below 0.25, slow below 0.75, heavy below 0.90 (DATEX II v3, `TrafficStatus`).
    pub fn from_share(share: f64) -> Self {
        match share {
            s if s < 0.10 => Self::Stationary,
            s if s < 0.25 => Self::Queuing,
            s if s < 0.75 => Self::Slow,
            s if s < 0.90 => Self::Heavy,
            _ => Self::FreeFlow,
        }
    }

    /// The word on the wire and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::FreeFlow => "freeFlow",
            Self::Heavy => "heavy",
            Self::Slow => "slow",
            Self::Queuing => "queuing",
            Self::Stationary => "stationary",
        }
    }
}

/// What is known of one segment after a window. `None` is unknown, which is never shown as clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentState {
    pub level: Option<CongestionLevel>,
    /// Mean speed of the newest window that had one, km/h.
    pub speed_kmh: Option<f64>,
    /// Vehicles counted in the newest window.
    pub vehicles: Option<f64>,
    /// Detector occupancy in the newest window, percent of time.
    pub occupancy_pct: Option<f64>,
}

/// The event behind each segment that is hard to pass now.
pub type Incidents = BTreeMap<SegmentId, String>;

/// All that is known of the traffic at one moment: what directions are made from.
pub struct View<'a> {
    /// Another number than last time if and only if something below has changed.
    pub change: u64,
    /// By segment index.
    pub states: &'a [SegmentState],
    pub closed: &'a ClosedSegments,
    pub announced: &'a Announcements,
    pub incidents: &'a Incidents,
    /// Segments that nobody can pass by all that the sensors say, though nobody announced it; with
    /// `detected@` and the moment.
    pub blocked: &'a Incidents,
    /// `window@start` of the window that last spoke for a segment.
    pub evidence: Box<dyn Fn(SegmentId) -> Option<String> + 'a>,
}

impl View<'_> {
    /// The state of a segment; unknown where there is none.
    pub fn state(&self, id: SegmentId) -> SegmentState {
        self.states.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Whether nobody can pass the segment, announced or not.
    pub fn shut(&self, id: SegmentId) -> bool {
        self.closed.contains_key(&id) || self.blocked.contains_key(&id)
    }

    /// All segments that nobody can pass; some perhaps twice.
    pub fn all_shut(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.closed.keys().chain(self.blocked.keys()).copied()
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("change", &self.change)
            .field("states", &self.states)
            .field("closed", &self.closed)
            .field("announced", &self.announced)
            .field("incidents", &self.incidents)
            .field("blocked", &self.blocked)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_belong_to_the_clearer_level() {
        use CongestionLevel::{FreeFlow, Heavy, Queuing, Slow, Stationary};
        for (share, level) in [
            (0.0, Stationary),
            (0.0999, Stationary),
            (0.10, Queuing),
            (0.25, Slow),
            (0.75, Heavy),
            (0.90, FreeFlow),
            (1.4, FreeFlow),
        ] {
            assert_eq!(CongestionLevel::from_share(share), level, "{share}");
        }
    }
}

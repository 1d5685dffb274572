//! Travel times of the moment, and what a change of way gains by them.
//!
//! Most segments have no detector. What is assumed of them is chosen so that a saving is never
//! larger for not knowing.

use std::collections::BTreeSet;

use crate::domain::congestion::{CongestionLevel, View};
use crate::domain::network::{Costs, Network, Router, SegmentId};

/// Share of free-flow speed assumed on a segment of unknown state in an advised way: the middle of
/// "heavy". On the old way it is taken to flow freely.
const UNKNOWN_SHARE: f64 = 0.8;

/// Share assumed where a queue stands and no speed was measured: the middle of "stationary".
const STATIONARY_SHARE: f64 = 0.05;

/// A measured speed below this is taken as this, walking pace: a window in which nobody moved must
/// not make a street last for hours.
const MIN_SPEED_KMH: f64 = 3.0;

#[derive(Debug)]
pub(super) struct Times {
    /// By speed limits, closures not regarded: how drivers know the town.
    pub(super) free: Costs,
    /// As measured, unknown segments at `UNKNOWN_SHARE`, closed ones infinite.
    pub(super) cautious: Costs,
    /// As measured, unknown segments at free flow, closed ones infinite.
    pub(super) hopeful: Costs,
}

impl Times {
    pub(super) fn of(network: &Network, view: &View<'_>) -> Self {
        let free = Costs::free_flow(network);
        let (mut cautious, mut hopeful) = (free.clone(), free.clone());
        for id in network.segment_ids() {
            let limit_kmh = network.segment(id).speed_limit_kmh;
            let state = view.state(id);
            let share = match (state.level, state.speed_kmh) {
                (None, _) => None,
                (Some(_), Some(speed)) => Some(speed.max(MIN_SPEED_KMH) / limit_kmh),
                (Some(CongestionLevel::Stationary), None) => Some(STATIONARY_SHARE),
                // Only an empty road is known without a speed.
                (Some(_), None) => Some(1.0),
            };
            // Faster than the limit is not counted on.
            let seconds = |share: f64| free.get(id) / share.min(1.0);
            cautious.set(id, seconds(share.unwrap_or(UNKNOWN_SHARE)));
            hopeful.set(id, seconds(share.unwrap_or(1.0)));
        }
        for &id in view.closed.keys() {
            cautious.close(id);
            hopeful.close(id);
        }
        Self { free, cautious, hopeful }
    }

    /// Seconds that `new` saves over `old`, both from one segment to another; negative if it costs.
    /// What both share weighs the same in both. `None` where either cannot be driven.
    pub(super) fn saving_s(
        &self,
        router: Router<'_>,
        old: &[SegmentId],
        new: &[SegmentId],
    ) -> Option<f64> {
        let kept: BTreeSet<SegmentId> = new.iter().copied().collect();
        let left = old.iter().filter(|id| !kept.contains(id));
        let margin: f64 = left.map(|&id| self.cautious.get(id) - self.hopeful.get(id)).sum();
        let old_s = router.travel_time_s(old, &self.cautious)? - margin;
        Some(old_s - router.travel_time_s(new, &self.cautious)?)
    }

    /// Seconds lost on a way against free flow, as far as is measured.
    pub(super) fn delay_s(&self, way: &[SegmentId]) -> f64 {
        way.iter().map(|&id| self.hopeful.get(id) - self.free.get(id)).sum()
    }
}

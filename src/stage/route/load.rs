//! What advice puts on the roads before any detector sees it.
//!
//! Knows nothing of who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::network::{Costs, SegmentId};
use crate::domain::time::Timestamp;

use super::times::Times;

/// Traffic above this share of what a road lets through makes a queue: arrivals are not even.
const QUEUES_FROM: f64 = 0.75;

/// For how long a queue of our own making grows before it is measured and regarded.
const UNSEEN_S: f64 = 120.0;

/// A queue that nobody measures is not reckoned to take longer than this.
const LONGEST_QUEUE_S: f64 = 600.0;

/// Seconds that a way costs more for each full road's worth of advised traffic, even while there is
/// room: so that ways of one length are shared.
const SHARING_S: f64 = 20.0;

/// Vehicles a second that advice sends over each segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Sent lately, fading.
    lately: BTreeMap<SegmentId, f64>,
    at: Option<Timestamp>,
    /// Vehicles that stand before the ends of roads without a detector, as far as they were sent there:
    /// nobody will measure these queues.
    queues: BTreeMap<SegmentId, f64>,
    /// Sent by what is said now.
    #[serde(skip)]
    sent: BTreeMap<SegmentId, f64>,
}

impl Load {
    pub(super) fn step(&mut self, by: i64) {
        self.at = self.at.map(|at| at.moved(by));
    }

    /// Time goes on: what was sent since the last look joins what was sent lately.
    pub(super) fn pass(
        &mut self,
        now: Timestamp,
        sent: BTreeMap<SegmentId, f64>,
        decay: Duration,
        times: &Times,
    ) {
        let passed = self.at.map_or(Duration::ZERO, |at| now.since(at)).as_secs_f64();
        let kept = (-passed / decay.as_secs_f64().max(1.0)).exp();
        for (&id, &veh_s) in &sent {
            let lately = self.lately.entry(id).or_default();
            *lately += (veh_s - *lately) * (1.0 - kept);
        }
        for (id, lately) in &mut self.lately {
            if !sent.contains_key(id) {
                *lately *= kept;
            }
        }
        self.lately.retain(|_, veh_s| *veh_s > 1e-3);
        for &id in self.lately.keys().filter(|id| !times.is_measured_free(**id)) {
            self.queues.entry(id).or_default();
        }
        for (&id, queue) in &mut self.queues {
            let sent = self.lately.get(&id).copied().unwrap_or_default();
            let (usual, capacity) =
                (times.usual_veh_s[id.0 as usize], times.capacity_veh_s[id.0 as usize]);
            *queue += (usual + sent - capacity) * passed;
            *queue = queue.clamp(0.0, LONGEST_QUEUE_S * capacity);
        }
        self.queues.retain(|id, queue| *queue > 0.0 && !times.is_measured_free(*id));
        self.at = Some(now);
        self.sent = sent;
    }

    pub(super) fn add(&mut self, way: &[SegmentId], veh_s: f64) {
        for &id in way {
            *self.sent.entry(id).or_default() += veh_s;
        }
    }

    pub(super) fn take(&mut self, way: &[SegmentId], veh_s: f64) {
        self.add(way, -veh_s);
    }

    /// Travel times now, with what is sent.
    pub(super) fn costs(&self, times: &Times) -> Costs {
        let mut costs = times.now.clone();
        let all: BTreeSet<SegmentId> =
            self.sent.keys().chain(self.lately.keys()).chain(self.queues.keys()).copied().collect();
        for id in all {
            costs.set(id, costs.get(id) + self.extra_s(times, id));
        }
        costs
    }

    /// Seconds that a segment takes longer for what is sent over it.
    pub(super) fn extra_s(&self, times: &Times, id: SegmentId) -> f64 {
        let of = |load: &BTreeMap<SegmentId, f64>| load.get(&id).copied().unwrap_or_default();
        let at = id.0 as usize;
        let capacity = times.capacity_veh_s[at];
        let unseen_s = (of(&self.queues) / capacity - times.measured_delay_s(id)).max(0.0);
        let sent = of(&self.sent).max(of(&self.lately)).max(0.0);
        if sent <= 1e-6 {
            return unseen_s;
        }
        let before = times.usual_veh_s[at] / capacity;
        let queue = |share: f64| (share - QUEUES_FROM).max(0.0) * UNSEEN_S;
        queue(before + sent / capacity) - queue(before) + SHARING_S * sent / capacity + unseen_s
    }
}

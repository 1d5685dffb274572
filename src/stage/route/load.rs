//! What advice puts on the roads before any detector sees it.
//!
//! Knows nothing of who is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::network::{Costs, SegmentId};
use crate::domain::time::Timestamp;

use super::times::Times;

/// Traffic above this share of what a road lets through makes a queue: arrivals are not even.
const QUEUES_FROM: f64 = 0.75;

/// For how long a queue of our own making grows before it is measured and regarded.
const UNSEEN_S: f64 = 120.0;

/// Seconds that a way costs more for each full road's worth of advised traffic, even while there is
/// room: so that ways of one length are shared.
const SHARING_S: f64 = 20.0;

/// Vehicles a second that advice sends over each segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Sent lately, fading.
    lately: BTreeMap<SegmentId, f64>,
    at: Option<Timestamp>,
    /// Sent by what is said now.
    #[serde(skip)]
    sent: BTreeMap<SegmentId, f64>,
}

impl Load {
    pub(super) fn step(&mut self, by: i64) {
        self.at = self.at.map(|at| at.moved(by));
    }

    /// Time goes on: what was sent since the last look joins what was sent lately.
    pub(super) fn pass(&mut self, now: Timestamp, sent: BTreeMap<SegmentId, f64>, decay: Duration) {
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
        let more = self.lately.keys().filter(|id| !self.sent.contains_key(id));
        for &id in self.sent.keys().chain(more) {
            costs.set(id, costs.get(id) + self.extra_s(times, id));
        }
        costs
    }

    /// Seconds that a segment takes longer for what is sent over it.
    pub(super) fn extra_s(&self, times: &Times, id: SegmentId) -> f64 {
        let of = |load: &BTreeMap<SegmentId, f64>| load.get(&id).copied().unwrap_or_default();
        let sent = of(&self.sent).max(of(&self.lately)).max(0.0);
        if sent <= 1e-6 {
            return 0.0;
        }
        let at = id.0 as usize;
        let capacity = times.capacity_veh_s[at];
        let before = times.usual_veh_s[at] / capacity;
        let queue = |share: f64| (share - QUEUES_FROM).max(0.0) * UNSEEN_S;
        queue(before + sent / capacity) - queue(before) + SHARING_S * sent / capacity
    }
}

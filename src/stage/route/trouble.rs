//! What should be driven around: closures, jams, incidents.
//!
//! Knows nothing of who should be told.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::congestion::{CongestionLevel, View};
use crate::domain::direction::Cause;
use crate::domain::network::{Costs, Network, Router, SegmentId, Turn};

/// One stretch of road to avoid, and whence traffic comes upon it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    pub(super) cause: Cause,
    /// Sorted; never empty.
    pub(super) segments: Vec<SegmentId>,
    /// The road operator's events behind it.
    pub(super) events: Vec<String>,
    /// The segments upstream within reach, with metres to the trouble.
    pub(super) upstream: BTreeMap<SegmentId, f64>,
}

/// All troubles, closures first, each kind by its lowest segment.
///
/// A closure is one trouble an event. A jam is one trouble as far as congested segments continue
/// straight into each other, for a queue runs along a road. A jam on a segment whose lanes are shut,
/// or that runs into such a segment, is an incident.
pub(super) fn find(
    network: &Network,
    view: &View<'_>,
    open: &Costs,
    speak_from: CongestionLevel,
    reach_m: f64,
) -> Vec<Trouble> {
    let router = Router::new(network);
    let cars = |id: &SegmentId| {
        network.segments.get(id.0 as usize).is_some_and(|segment| segment.cars_allowed)
    };
    let trouble = |cause, segments: BTreeSet<SegmentId>, events: BTreeSet<String>| {
        let segments: Vec<SegmentId> = segments.into_iter().collect();
        let upstream = router.upstream(&segments, reach_m, open);
        Trouble { cause, segments, events: events.into_iter().collect(), upstream }
    };

    let mut by_event: BTreeMap<&str, BTreeSet<SegmentId>> = BTreeMap::new();
    for (&id, event) in view.closed.iter().filter(|(id, _)| cars(id)) {
        by_event.entry(event).or_default().insert(id);
    }
    let mut troubles: Vec<Trouble> = by_event
        .into_iter()
        .map(|(event, ids)| trouble(Cause::Closure, ids, [event.to_owned()].into()))
        .collect();

    for mut jam in jams(network, view, speak_from) {
        let mut events = BTreeSet::new();
        for (&shut, event) in view.incidents.iter().filter(|(id, _)| cars(id)) {
            let feeds = jam.iter().any(|&id| network.connection(id, shut).is_some());
            if (jam.contains(&shut) || feeds) && !view.closed.contains_key(&shut) {
                jam.insert(shut);
                events.insert(event.clone());
            }
        }
        let cause = if events.is_empty() { Cause::Congestion } else { Cause::Incident };
        troubles.push(trouble(cause, jam, events));
    }
    troubles.sort_by_key(|t| (t.cause, t.segments.clone()));
    troubles
}

/// Congested segments, joined where one continues straight into the next.
fn jams(
    network: &Network,
    view: &View<'_>,
    speak_from: CongestionLevel,
) -> Vec<BTreeSet<SegmentId>> {
    let congested = |id: SegmentId| {
        view.state(id).level >= Some(speak_from)
            && network.segment(id).cars_allowed
            && !view.closed.contains_key(&id)
    };
    let mut left: BTreeSet<SegmentId> = network.segment_ids().filter(|&id| congested(id)).collect();
    let mut jams = Vec::new();
    while let Some(first) = left.pop_first() {
        let mut jam = BTreeSet::from([first]);
        let mut frontier = vec![first];
        while let Some(id) = frontier.pop() {
            let after = network.outgoing(id).iter().map(|c| (c, c.to));
            let before = network.incoming(id).iter().map(|c| (c, c.from));
            for (c, next) in after.chain(before) {
                let straight = c.cars_allowed && c.turn == Turn::Straight;
                if straight && left.remove(&next) {
                    jam.insert(next);
                    frontier.push(next);
                }
            }
        }
        jams.push(jam);
    }
    jams
}

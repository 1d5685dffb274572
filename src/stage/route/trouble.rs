//! What should be driven around: closures, roads found to be blocked, jams.
//!
//! Knows nothing of who should be told.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::congestion::{CongestionLevel, View};
use crate::domain::direction::Cause;
use crate::domain::network::{Connection, Costs, Network, Router, SegmentId, Turn};

/// One stretch of road to avoid, and whence traffic comes upon it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    pub(super) cause: Cause,
    /// Nobody can pass: drivers have to go round, whether that saves time or not.
    pub(super) shut: bool,
    /// Sorted; never empty.
    pub(super) segments: Vec<SegmentId>,
    /// The road operator's events behind it, or `detected@` and the moment.
    pub(super) events: Vec<String>,
    /// The segments upstream within reach, with metres to the trouble.
    pub(super) upstream: BTreeMap<SegmentId, f64>,
}

/// All troubles, closures first, then what was found to be blocked, each kind by its lowest segment.
///
/// A closure is one trouble an event. Roads that were found to be blocked are one incident as far as
/// they lead into each other. A jam is one trouble as far as congested segments continue
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
    let trouble = |cause, shut, segments: BTreeSet<SegmentId>, events: BTreeSet<String>| {
        let segments: Vec<SegmentId> = segments.into_iter().collect();
        let upstream = router.upstream(&segments, reach_m, open);
        Trouble { cause, shut, segments, events: events.into_iter().collect(), upstream }
    };

    let mut by_event: BTreeMap<&str, BTreeSet<SegmentId>> = BTreeMap::new();
    for (&id, event) in view.closed.iter().filter(|(id, _)| cars(id)) {
        by_event.entry(event).or_default().insert(id);
    }
    let mut troubles: Vec<Trouble> = by_event
        .into_iter()
        .map(|(event, ids)| trouble(Cause::Closure, true, ids, [event.to_owned()].into()))
        .collect();

    let blocked = view.blocked.keys().filter(|id| cars(id) && !view.closed.contains_key(id));
    for ids in joined(network, blocked.copied().collect(), |_| true) {
        let events = ids.iter().filter_map(|id| view.blocked.get(id).cloned()).collect();
        troubles.push(trouble(Cause::Incident, true, ids, events));
    }

    let congested =
        |id: &SegmentId| view.state(*id).level >= Some(speak_from) && cars(id) && !view.shut(*id);
    let congested = network.segment_ids().filter(congested).collect();
    for mut jam in joined(network, congested, |c| c.turn == Turn::Straight) {
        let mut events = BTreeSet::new();
        for (&shut, event) in view.incidents.iter().filter(|(id, _)| cars(id)) {
            let feeds = jam.iter().any(|&id| network.connection(id, shut).is_some());
            if (jam.contains(&shut) || feeds) && !view.shut(shut) {
                jam.insert(shut);
                events.insert(event.clone());
            }
        }
        let cause = if events.is_empty() { Cause::Congestion } else { Cause::Incident };
        troubles.push(trouble(cause, false, jam, events));
    }
    troubles.sort_by_key(|t| (!t.shut, t.cause, t.segments.clone()));
    troubles
}

/// The segments, joined where a move of this kind leads from one into the next.
fn joined(
    network: &Network,
    mut left: BTreeSet<SegmentId>,
    leads: impl Fn(&Connection) -> bool,
) -> Vec<BTreeSet<SegmentId>> {
    let mut groups = Vec::new();
    while let Some(first) = left.pop_first() {
        let mut group = BTreeSet::from([first]);
        let mut frontier = vec![first];
        while let Some(id) = frontier.pop() {
            let after = network.outgoing(id).iter().map(|c| (c, c.to));
            let before = network.incoming(id).iter().map(|c| (c, c.from));
            for (c, next) in after.chain(before) {
                if c.cars_allowed && leads(c) && left.remove(&next) {
                    group.insert(next);
                    frontier.push(next);
                }
            }
        }
        groups.push(group);
    }
    groups
}

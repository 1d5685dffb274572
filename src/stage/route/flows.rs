//! Where the traffic of a trouble comes from and where it would go on to, by turning shares.
//!
//! Nobody tells a roadside unit where drivers are bound. At each junction the traffic is taken to
//! divide as the traffic on the roads beyond does. Knows nothing of what is advised.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::network::{Connection, Network, SegmentId};

use super::times::Times;

/// How far beyond the trouble its traffic is followed, metres of road.
const BEYOND_M: f64 = 600.0;

/// Gates with less of the traffic than this, and beyond this number, are left out.
const LEAST_SHARE: f64 = 0.03;
const MAX_GATES: usize = 10;

/// A road beyond the trouble, with the share of the trouble's traffic that is bound there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gate {
    pub(super) segment: SegmentId,
    pub(super) share: f64,
}

/// How the traffic at the end of a segment divides: each next segment with its share.
pub(super) fn turning(network: &Network, times: &Times, from: SegmentId) -> Vec<(SegmentId, f64)> {
    let moves: Vec<(SegmentId, f64)> = network
        .outgoing(from)
        .iter()
        .filter_map(|c| Some((c.to, onward_veh_s(network, times, c)?)))
        .collect();
    let all: f64 = moves.iter().map(|(_, veh_s)| veh_s).sum();
    moves.into_iter().map(|(to, veh_s)| (to, veh_s / all)).collect()
}

/// The share of one move in the traffic at the end of its segment.
pub(super) fn turning_share(network: &Network, times: &Times, connection: &Connection) -> f64 {
    let moves = network.outgoing(connection.from).iter();
    let all: f64 = moves.filter_map(|c| onward_veh_s(network, times, c)).sum();
    onward_veh_s(network, times, connection).map_or(0.0, |veh_s| veh_s / all)
}

/// What speaks for a move: the traffic on the road beyond. `None` where no traffic is counted on.
fn onward_veh_s(network: &Network, times: &Times, c: &Connection) -> Option<f64> {
    let to = network.segment(c.to);
    if !c.leads_on() || !to.cars_allowed {
        return None;
    }
    // A road of three lanes is not reached over one alone.
    let part = (f64::from(c.lanes.max(1)) / f64::from(to.lanes.max(1))).min(1.0);
    Some(times.usual_veh_s[c.to.0 as usize].max(0.001) * part)
}

/// The roads beyond a trouble by which its traffic would have gone on, greatest share first. Traffic that
/// comes upon more that is shut is followed to the end of that, however far: it `goes_round_all` of it.
pub(super) fn gates(
    network: &Network,
    times: &Times,
    trouble: &[SegmentId],
    goes_round_all: impl Fn(SegmentId) -> bool,
) -> Vec<Gate> {
    // Nearest first; millimetres, since floats are no keys.
    let mut open: BTreeMap<(u64, SegmentId), f64> = BTreeMap::new();
    for &id in trouble {
        let traffic = times.usual_veh_s[id.0 as usize].max(0.001);
        for (next, share) in turning(network, times, id) {
            if !trouble.contains(&next) {
                *open.entry((0, next)).or_default() += traffic * share;
            }
        }
    }
    let all: f64 = open.values().sum();
    let mut passed: BTreeSet<SegmentId> = trouble.iter().copied().collect();
    let mut gates: BTreeMap<SegmentId, f64> = BTreeMap::new();
    while let Some(((millimetres, id), traffic)) = open.pop_first() {
        passed.insert(id);
        let counts = if goes_round_all(id) { 0.0 } else { network.segment(id).length_m.max(0.0) };
        let beyond = millimetres + (counts * 1e3) as u64;
        let onward: Vec<(SegmentId, f64)> = turning(network, times, id)
            .into_iter()
            .filter(|(next, _)| !passed.contains(next))
            .collect();
        let left: f64 = onward.iter().map(|(_, share)| share).sum();
        if beyond as f64 >= BEYOND_M * 1e3 || left <= 0.0 {
            *gates.entry(id).or_default() += traffic / all;
            continue;
        }
        for (next, share) in onward {
            // A road that is reached by two ways is passed once, with the traffic of both.
            let known = open.keys().find(|(_, id)| *id == next).copied();
            *open.entry(known.unwrap_or((beyond, next))).or_default() += traffic * share / left;
        }
    }
    let mut gates: Vec<Gate> = gates
        .into_iter()
        .map(|(segment, share)| Gate { segment, share })
        .filter(|gate| gate.share >= LEAST_SHARE)
        .collect();
    gates.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.segment.cmp(&b.segment)));
    gates.truncate(MAX_GATES);
    gates
}

/// Of the traffic on each upstream segment, the share that is bound for the trouble.
pub(super) fn bound(
    network: &Network,
    times: &Times,
    trouble: &[SegmentId],
    upstream: &BTreeMap<SegmentId, f64>,
) -> BTreeMap<SegmentId, f64> {
    let mut near: Vec<(f64, SegmentId)> = upstream.iter().map(|(&id, &m)| (m, id)).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut bound: BTreeMap<SegmentId, f64> = BTreeMap::new();
    // Twice, since a way to the trouble may first lead away from it.
    for _ in 0..2 {
        for &(_, id) in &near {
            let share = |(next, share): (SegmentId, f64)| {
                let there = if trouble.contains(&next) { 1.0 } else { *bound.get(&next)? };
                Some(share * there)
            };
            let sum = turning(network, times, id).into_iter().filter_map(share).sum();
            bound.insert(id, sum);
        }
    }
    bound
}

/// Vehicles a second that come newly upon one of `points` on their way to the trouble: those of a
/// segment, less those that have passed another point before it. Scaled to the trouble's traffic.
pub(super) fn arriving(
    network: &Network,
    times: &Times,
    trouble: &[SegmentId],
    upstream: &BTreeMap<SegmentId, f64>,
    points: &BTreeSet<SegmentId>,
) -> BTreeMap<SegmentId, f64> {
    /// Part of a point's traffic that counts as new in any case: trips begin everywhere.
    const LEAST_NEW: f64 = 0.1;
    let bound = bound(network, times, trouble, upstream);
    let veh_s = |id: SegmentId| times.usual_veh_s[id.0 as usize];
    let there = |id: SegmentId| bound.get(&id).copied().unwrap_or_default();
    let mut new: BTreeMap<SegmentId, f64> = BTreeMap::new();
    for &point in points {
        let headed = veh_s(point) * there(point);
        let before: f64 = network
            .incoming(point)
            .iter()
            .filter(|c| points.contains(&c.from))
            .map(|c| {
                let into = turning(network, times, c.from).into_iter().find(|(to, _)| *to == point);
                veh_s(c.from) * into.map_or(0.0, |(_, share)| share) * there(point)
            })
            .sum();
        new.insert(point, (headed - before).max(LEAST_NEW * headed));
    }
    let sum: f64 = new.values().sum();
    let traffic: f64 = trouble.iter().map(|&id| veh_s(id)).fold(0.0, f64::max);
    if sum > 0.0 {
        for veh_s in new.values_mut() {
            *veh_s *= traffic / sum;
        }
    }
    new
}

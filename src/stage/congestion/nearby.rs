//! Which segments lie near a blocked or shut one, and on which drivers may wait for it.
//!
//! Knows roads and metres, nothing of traffic.

use std::collections::BTreeSet;

use crate::domain::network::{Network, SegmentId};

/// What falls empty within so many metres of road of a shut one is its doing: who is led round it, and
/// the queues of who is not, reach about as far as signs speak (`reach_m`).
const NEAR_M: f64 = 2_000.0;

/// How far upstream of the empty road somebody must wait, along segments without detectors.
const LOOK_UPSTREAM_M: f64 = 500.0;

/// The segments within `NEAR_M` of road before and after these, with them.
pub(super) fn near(
    network: &Network,
    shut: impl IntoIterator<Item = SegmentId>,
) -> BTreeSet<SegmentId> {
    let shut: Vec<SegmentId> = shut.into_iter().collect();
    let mut near: BTreeSet<SegmentId> = shut.iter().copied().collect();
    for onward in [true, false] {
        // Metres to the near end of each that was reached; nearest first, in millimetres.
        let mut seen: BTreeSet<SegmentId> = shut.iter().copied().collect();
        let mut open: BTreeSet<(u64, SegmentId)> = shut.iter().map(|&id| (0, id)).collect();
        while let Some((millimetres, at)) = open.pop_first() {
            let moves = if onward { network.outgoing(at) } else { network.incoming(at) };
            for c in moves.iter().filter(|c| c.cars_allowed) {
                let next = if onward { c.to } else { c.from };
                if !seen.insert(next) {
                    continue;
                }
                near.insert(next);
                let passed = (network.segment(next).length_m.max(0.0) * 1e3) as u64;
                if ((millimetres + passed) as f64) < NEAR_M * 1e3 {
                    open.insert((millimetres + passed, next));
                }
            }
        }
    }
    near
}

/// The segments before this one on which drivers may be seen to wait for it.
pub(super) fn before(network: &Network, id: SegmentId) -> BTreeSet<SegmentId> {
    let mut found = BTreeSet::new();
    visit_before(network, id, |before| {
        found.insert(before);
        Look::Beyond
    });
    found
}

/// Whether to look beyond a segment.
#[derive(PartialEq)]
pub(super) enum Look {
    Beyond,
    NoFarther,
}

/// The segments upstream of this one, each once, as far as they are looked for.
pub(super) fn visit_before(
    network: &Network,
    id: SegmentId,
    mut look: impl FnMut(SegmentId) -> Look,
) {
    let mut seen = BTreeSet::from([id]);
    let mut ahead = vec![(id, 0.0)];
    while let Some((at, metres)) = ahead.pop() {
        for connection in network.incoming(at).iter().filter(|c| c.cars_allowed) {
            let before = connection.from;
            if !seen.insert(before) {
                continue;
            }
            let metres = metres + network.segment(before).length_m;
            if look(before) == Look::Beyond && metres < LOOK_UPSTREAM_M {
                ahead.push((before, metres));
            }
        }
    }
}

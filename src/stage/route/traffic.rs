//! How many vehicles usually use each road, counted or not, and how many its lanes let through.
//!
//! Knows nothing of the moment, nor of what is advised.

use std::collections::BTreeSet;

use crate::domain::network::{Connection, Network, Segment, SegmentId, Turn};

/// Traffic of a lane whose traffic is unknown, vehicles a second: a fifth or so of its capacity.
const UNKNOWN_LANE_VEH_S: f64 = 0.06;

/// What a lane lets through, vehicles a second: 1,800 an hour, half of it at a signal.
const LANE_VEH_S: f64 = 0.5;
const SIGNAL_LANE_VEH_S: f64 = 0.25;

/// Seconds that who gives way needs between two vehicles, and the next one behind him (Highway
/// Capacity Manual 2010, chapter 19, two-way stop: between its figures for turning right and left).
const GAP_S: f64 = 6.5;
const FOLLOW_S: f64 = 3.5;

/// Moves over which what is counted at one place bounds what is not counted at another.
const ROUNDS: usize = 4;

/// Roads that run into the same roads without a signal.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// As wide: they take turns.
    equal: usize,
    /// Wider: they go first.
    first: Vec<SegmentId>,
}

impl Rivals {
    pub(super) fn of(network: &Network, id: SegmentId) -> Self {
        let lanes = network.segment(id).lanes;
        let others: BTreeSet<SegmentId> = onward(network, id)
            .flat_map(|c| before(network, c.to))
            .map(|c| c.from)
            .filter(|&from| from != id && network.segment(from).lanes >= lanes)
            .collect();
        let (first, equal): (Vec<SegmentId>, Vec<SegmentId>) =
            others.into_iter().partition(|&from| network.segment(from).lanes > lanes);
        Self { equal: equal.len(), first }
    }
}

/// What a lane at the end of a segment lets through, vehicles a second. Roads that take turns share:
/// four of them let through 450 an hour each (Highway Capacity Manual 2010, chapter 20, all-way
/// stop).
pub(super) fn lane_veh_s(segment: &Segment, rivals: &Rivals, usual_veh_s: &[f64]) -> f64 {
    if segment.to_signal {
        return SIGNAL_LANE_VEH_S;
    }
    let in_turn_veh_s = LANE_VEH_S / (1 + rivals.equal) as f64;
    let first_veh_s: f64 = rivals.first.iter().map(|id| usual_veh_s[id.0 as usize]).sum();
    if rivals.first.is_empty() {
        in_turn_veh_s
    } else {
        in_turn_veh_s.min(in_gaps_veh_s(first_veh_s))
    }
}

/// What finds gaps in so much traffic, vehicles a second (ibid., equation 19-32).
fn in_gaps_veh_s(first_veh_s: f64) -> f64 {
    let veh_s = first_veh_s.max(1e-6);
    veh_s * (-veh_s * GAP_S).exp() / (1.0 - (-veh_s * FOLLOW_S).exp())
}

/// Vehicles a second that usually use each segment. Where they are not counted: some, but no fewer
/// than must come from or go on to roads that lead nowhere else, and no more than all the roads
/// before it, or after it, carry.
pub(super) fn usual_veh_s(network: &Network, counted_veh_s: &[Option<f64>]) -> Vec<f64> {
    let mut least: Vec<f64> = counted_veh_s.iter().map(|veh_s| veh_s.unwrap_or(0.0)).collect();
    let mut most: Vec<f64> = counted_veh_s.iter().map(|veh_s| veh_s.unwrap_or(f64::MAX)).collect();
    let unknown = |id: &SegmentId| counted_veh_s[id.0 as usize].is_none();
    for _ in 0..ROUNDS {
        let mut same = true;
        for id in network.segment_ids().filter(unknown) {
            let of = |bounds: &[f64], id: SegmentId| bounds[id.0 as usize];
            let came = before(network, id).filter(|c| onward(network, c.from).count() == 1);
            let came: f64 = came.map(|c| of(&least, c.from)).sum();
            let goes = onward(network, id).filter(|c| before(network, c.to).count() == 1);
            let goes: f64 = goes.map(|c| of(&least, c.to)).sum();
            // Where the map begins or ends traffic comes from elsewhere, or goes there.
            let all_before = sum(before(network, id).map(|c| of(&most, c.from)));
            let all_after = sum(onward(network, id).map(|c| of(&most, c.to)));
            let bounds = (came.max(goes), all_before.min(all_after));
            let (least, most) = (&mut least[id.0 as usize], &mut most[id.0 as usize]);
            same &= (*least, *most) == bounds;
            (*least, *most) = bounds;
        }
        if same {
            break;
        }
    }
    let usual = |id: SegmentId| {
        let (least, most) = (least[id.0 as usize], most[id.0 as usize]);
        let some = f64::from(network.segment(id).lanes.max(1)) * UNKNOWN_LANE_VEH_S;
        counted_veh_s[id.0 as usize].unwrap_or_else(|| some.min(most).max(least))
    };
    network.segment_ids().map(usual).collect()
}

/// No bound where there is nothing to sum up.
fn sum(bounds: impl Iterator<Item = f64>) -> f64 {
    bounds.fold(None, |sum, bound| Some(sum.unwrap_or(0.0) + bound)).unwrap_or(f64::MAX)
}

fn onward(network: &Network, id: SegmentId) -> impl Iterator<Item = &Connection> {
    network.outgoing(id).iter().filter(|c| leads_on(c))
}

fn before(network: &Network, id: SegmentId) -> impl Iterator<Item = &Connection> {
    network.incoming(id).iter().filter(|c| leads_on(c))
}

fn leads_on(c: &Connection) -> bool {
    c.cars_allowed && c.turn != Turn::TurnAround
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::network::testing::Draft;

    /// A main road of three segments, with a side road running into the second one and an exit after
    /// the third.
    fn main_road(main_lanes: u16) -> (Network, [SegmentId; 5]) {
        let mut draft = Draft::new();
        let first = draft.segment("a", "", [(0.0, 0.0), (100.0, 0.0)]);
        let second = draft.segment("b", "", [(100.0, 0.0), (200.0, 0.0)]);
        let third = draft.segment("c", "", [(200.0, 0.0), (300.0, 0.0)]);
        let side = draft.segment("s", "", [(100.0, -100.0), (100.0, 0.0)]);
        let exit = draft.segment("x", "", [(300.0, 0.0), (400.0, 0.0)]);
        for (from, to) in [(first, second), (second, third), (third, exit)] {
            draft.link(from, to, Turn::Straight);
        }
        draft.link(side, second, Turn::Right);
        for id in [first, second, third] {
            draft.edit(id).lanes = main_lanes;
        }
        (draft.build(), [first, second, third, side, exit])
    }

    fn lane(network: &Network, id: SegmentId, usual_veh_s: &[f64]) -> f64 {
        lane_veh_s(network.segment(id), &Rivals::of(network, id), usual_veh_s)
    }

    #[test]
    fn roads_of_one_width_take_turns_and_a_wider_one_goes_first() {
        let (network, [first, second, _, side, _]) = main_road(1);
        let none = [0.0; 5];
        assert!((lane(&network, first, &none) - 0.25).abs() < 1e-9);
        assert!((lane(&network, side, &none) - 0.25).abs() < 1e-9);
        assert!(
            (lane(&network, second, &none) - 0.5).abs() < 1e-9,
            "nobody else runs into the next road"
        );
        let (network, [first, _, _, side, _]) = main_road(2);
        let beside = |main_veh_s: f64| lane(&network, side, &[main_veh_s, 0.0, 0.0, 0.0, 0.0]);
        assert!((lane(&network, first, &none) - 0.5).abs() < 1e-9);
        // v e^(-6.5 v) / (1 - e^(-3.5 v)), by hand.
        assert!((beside(0.1) - 0.176_778).abs() < 1e-5, "{}", beside(0.1));
        assert!((beside(0.4) - 0.039_434).abs() < 1e-5, "{}", beside(0.4));
        assert!(beside(0.0) > beside(0.1) && beside(2.0) < 1e-3);
    }

    #[test]
    fn a_signal_gives_half_of_the_time() {
        let mut draft = Draft::new();
        let first = draft.segment("a", "", [(0.0, 0.0), (100.0, 0.0)]);
        draft.edit(first).to_signal = true;
        let network = draft.build();
        assert!((lane(&network, first, &[0.0]) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn what_is_counted_bounds_what_is_not() {
        let (network, [first, second, third, side, exit]) = main_road(2);
        let at = |id: SegmentId| id.0 as usize;
        let mut counted = [None; 5];
        let usual = usual_veh_s(&network, &counted);
        assert!((usual[at(second)] - 0.12).abs() < 1e-9 && (usual[at(side)] - 0.06).abs() < 1e-9);
        // All that begins on the main road goes on over it.
        counted[at(first)] = Some(0.4);
        let usual = usual_veh_s(&network, &counted);
        assert!(
            [second, third, exit].iter().all(|&id| (usual[at(id)] - 0.4).abs() < 1e-9),
            "{usual:?}"
        );
        // No more than leave by the exit can be on the roads that lead there.
        counted = [None; 5];
        counted[at(exit)] = Some(0.01);
        let usual = usual_veh_s(&network, &counted);
        assert!(
            [first, second, third, side].iter().all(|&id| usual[at(id)] <= 0.01 + 1e-9),
            "{usual:?}"
        );
        // All that leave by the exit came over the main road.
        counted[at(exit)] = Some(0.4);
        let usual = usual_veh_s(&network, &counted);
        assert!((usual[at(second)] - 0.4).abs() < 1e-9 && (usual[at(side)] - 0.06).abs() < 1e-9);
    }
}

//! Ways against a slower search that cannot be wrong.

use proptest::prelude::*;

use super::super::testing::{BLOCK_M, Draft, grid};
use super::*;

const BLOCK_S: f64 = BLOCK_M / (50.0 / 3.6);

#[test]
fn goes_straight_and_counts_both_ends() {
    let network = grid(4, 2).build();
    let costs = Costs::free_flow(&network);
    let way = Router::new(&network)
        .fastest(network.id("0,0>1,0"), network.id("2,0>3,0"), &costs)
        .unwrap();
    assert_eq!(way.segments, ["0,0>1,0", "1,0>2,0", "2,0>3,0"].map(|n| network.id(n)));
    assert!((way.travel_time_s - 3.0 * BLOCK_S).abs() < 1e-9);
}

#[test]
fn goes_around_what_is_closed_and_not_out_of_a_closed_start() {
    let network = grid(4, 2).build();
    let mut costs = Costs::free_flow(&network);
    costs.close(network.id("1,0>2,0"));
    let router = Router::new(&network);
    let way = router.fastest(network.id("0,0>1,0"), network.id("2,0>3,0"), &costs).unwrap();
    let around = ["0,0>1,0", "1,0>1,1", "1,1>2,1", "2,1>2,0", "2,0>3,0"];
    assert_eq!(way.segments, around.map(|n| network.id(n)));
    assert_eq!(router.fastest(network.id("1,0>2,0"), network.id("2,0>3,0"), &costs), None);
}

#[test]
fn turning_around_and_signals_cost_their_penalty() {
    let mut draft = Draft::new();
    let there = draft.segment("there", "A", [(0.0, 0.0), (100.0, 0.0)]);
    let back = draft.segment("back", "A", [(100.0, 0.0), (0.0, 0.0)]);
    draft.link(there, back, Turn::TurnAround);
    draft.edit(there).to_signal = true;
    let network = draft.build();
    let costs = Costs::free_flow(&network);
    let time = |p| Router::with_penalties(&network, p).fastest(there, back, &costs).unwrap();
    let plain = time(Penalties::SPEED_LIMITS).travel_time_s;
    assert!((time(Penalties::TYPICAL).travel_time_s - plain - 38.0).abs() < 1e-9);
    let never = Router::with_penalties(&network, Penalties::TYPICAL.never_around());
    assert_eq!(never.fastest(there, back, &costs), None);
    assert_eq!(never.travel_time_s(&[there, back], &costs), None);
    assert_eq!(Router::new(&network).fastest(back, there, &costs), None);
}

#[test]
fn a_bad_figure_closes() {
    let network = grid(2, 1).build();
    let id = network.id("0,0>1,0");
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let mut costs = Costs::free_flow(&network);
        costs.set(id, bad);
        assert!(Router::new(&network).fastest(id, id, &costs).is_none(), "{bad}");
    }
}

#[test]
fn upstream_measures_from_the_end_of_the_segment() {
    let network = grid(5, 1).build();
    let costs = Costs::free_flow(&network);
    let target = network.id("3,0>4,0");
    let found = Router::new(&network).upstream(&[target], BLOCK_M, &costs);
    let expected = [(network.id("1,0>2,0"), BLOCK_M), (network.id("2,0>3,0"), 0.0)];
    assert_eq!(found, expected.into());
}

#[test]
fn upstream_stops_at_a_closure() {
    let network = grid(5, 1).build();
    let mut costs = Costs::free_flow(&network);
    costs.close(network.id("1,0>2,0"));
    let found = Router::new(&network).upstream(&[network.id("3,0>4,0")], 1e6, &costs);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [network.id("2,0>3,0")]);
}

/// A network of random moves between `count` segments, and a cost for each.
fn random_network() -> impl Strategy<Value = (Network, Costs)> {
    (2_usize..9).prop_flat_map(|count| {
        let moves = proptest::collection::vec((0..count, 0..count, any::<bool>()), 0..24);
        // Few different whole costs make ties likely; 9 stands for closed.
        let costs = proptest::collection::vec(0_u8..10, count);
        (moves, costs).prop_map(move |(moves, costs)| {
            let mut draft = Draft::new();
            let ids: Vec<SegmentId> = (0..count)
                .map(|i| draft.segment(&format!("s{i}"), "", [(0.0, 0.0), (100.0, 0.0)]))
                .collect();
            // A network lists a move once.
            let moves: BTreeMap<_, _> = moves.into_iter().map(|(a, b, t)| ((a, b), t)).collect();
            for ((from, to), around) in moves {
                let turn = if around { Turn::TurnAround } else { Turn::Straight };
                draft.link(ids[from], ids[to], turn);
            }
            let seconds = |c| if c == 9 { f64::INFINITY } else { f64::from(c) };
            (draft.build(), Costs::of(costs.into_iter().map(seconds).collect()))
        })
    })
}

/// Bellman-Ford: relax every move as often as there are segments.
fn reference(network: &Network, costs: &Costs, from: SegmentId) -> Vec<f64> {
    let mut times = vec![f64::INFINITY; network.segments.len()];
    times[from.0 as usize] = costs.get(from);
    for _ in &network.segments {
        for c in network.outgoing.iter().flatten() {
            let around = if c.turn == Turn::TurnAround { 30.0 } else { 0.0 };
            let time = times[c.from.0 as usize] + around + costs.get(c.to);
            if time < times[c.to.0 as usize] {
                times[c.to.0 as usize] = time;
            }
        }
    }
    times
}

proptest! {
    #[test]
    fn agrees_with_bellman_ford((network, costs) in random_network()) {
        let router = Router::new(&network);
        for from in network.segment_ids() {
            let expected = reference(&network, &costs, from);
            let tree = router.tree_from(from, &costs);
            for to in network.segment_ids() {
                let time = expected[to.0 as usize];
                let time = time.is_finite().then_some(time);
                prop_assert_eq!(tree.travel_time_s(to), time);
                prop_assert_eq!(router.tree_to(to, &costs).travel_time_s(from), time);
                let way = router.fastest(from, to, &costs);
                prop_assert_eq!(way.as_ref().map(|w| w.travel_time_s), time);
                for way in [way, tree.way(to), router.tree_to(to, &costs).way(from)]
                    .into_iter()
                    .flatten()
                {
                    prop_assert_eq!(router.travel_time_s(&way.segments, &costs), time);
                    prop_assert_eq!(way.segments.first(), Some(&from));
                    prop_assert_eq!(way.segments.last(), Some(&to));
                }
            }
        }
    }

    #[test]
    fn passing_agrees_with_the_ways((network, costs) in random_network(), marked in 0_u32..9) {
        let marked = SegmentId(marked);
        let tree = Router::new(&network).tree_from(SegmentId(0), &costs);
        let passes = tree.passing(|id| id == marked);
        for to in network.segment_ids() {
            let on_way = tree.way(to).is_some_and(|w| w.segments.contains(&marked));
            prop_assert_eq!(passes[to.0 as usize], on_way);
        }
    }
}

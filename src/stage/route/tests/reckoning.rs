//! Travel times, traffic, load and ways, each by itself.

use super::super::around::{Around, Maps, via};
use super::super::flows;
use super::super::load::{Load, Roads};
use super::super::times::{Memory, Times};
use super::super::trouble::{self, Trouble};
use super::*;

fn times(network: &Network, traffic: &Traffic) -> Times {
    let mut memory = Memory::new(network);
    memory.observe(network, &traffic.view());
    Times::of(network, &traffic.view(), &memory)
}

fn closure(network: &Network, traffic: &Traffic, times: &Times) -> Trouble {
    let found =
        trouble::find(network, &traffic.view(), &times.now, CongestionLevel::Queuing, 2_000.0);
    found.into_iter().next().unwrap()
}

#[test]
fn what_is_not_measured_is_taken_from_its_neighbours_and_trusted_less() {
    let (network, _) = town();
    let mut traffic = Traffic::on(&network);
    for segment in &network.segments {
        traffic.unknown(&segment.name);
    }
    let id = network.id("1,1>2,1");
    let nothing = times(&network, &traffic);
    traffic.speed("2,1>3,1", 5.0);
    let jam_ahead = times(&network, &traffic);
    traffic.unknown("2,1>3,1");
    traffic.speed("0,1>1,1", 5.0);
    let jam_behind = times(&network, &traffic);
    let seconds = |times: &Times| times.now.get(id);
    assert!(seconds(&nothing) > nothing.free.get(id), "unknown is not free");
    assert!(seconds(&jam_ahead) > seconds(&jam_behind), "queues grow against the traffic");
    assert!(seconds(&jam_behind) > seconds(&nothing));
    assert!(nothing.delay_s(&[id]) < 1e-9 && jam_ahead.delay_s(&[id]) > 0.0);
}

#[test]
fn the_time_without_traffic_is_learnt_slowly_upwards_and_quickly_downwards() {
    let (network, _) = town();
    let id = network.id("2,1>3,1");
    let mut traffic = Traffic::on(&network);
    let mut memory = Memory::new(&network);
    let limit_s = network.segment(id).free_flow_s();
    for minute in 0..200_u64 {
        // Four of five windows are slow.
        let speed = if minute % 5 == 0 { 50.0 } else { 10.0 } + 1e-9 * minute as f64;
        traffic.speed("2,1>3,1", speed);
        memory.observe(&network, &traffic.view());
    }
    let learnt = Times::of(&network, &traffic.view(), &memory).quiet.get(id);
    assert!(learnt >= limit_s && learnt < 0.5 * 200.0 / (10.0 / 3.6), "{learnt}");
    // What a closure does is not learnt.
    traffic.close("0,0>1,0", "works");
    let before = memory.state();
    for minute in 200..400_u64 {
        traffic.speed("2,1>3,1", 4.0 + 1e-9 * minute as f64);
        memory.observe(&network, &traffic.view());
    }
    let after = Times::of(&network, &traffic.view(), &memory).quiet.get(id);
    assert!((after - learnt).abs() < 1e-9, "{after} for {learnt}");
    let mut again = Memory::new(&network);
    again.restore(before);
    let restored = Times::of(&network, &traffic.view(), &again).quiet.get(id);
    assert!((restored - learnt).abs() < 1e-9);
}

#[test]
fn traffic_divides_at_junctions_and_goes_on_beyond_the_trouble() {
    let (network, _) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let times = times(&network, &traffic);
    let shares = flows::turning(&network, &times, network.id("1,1>2,1"));
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    assert!((sum - 1.0).abs() < 1e-9 && shares.len() == 3, "{shares:?}");
    let trouble = closure(&network, &traffic, &times);
    let gates = flows::gates(&network, &times, &trouble.segments, |_| false);
    let all: f64 = gates.iter().map(|gate| gate.share).sum();
    assert!(all > 0.7 && all < 1.0 + 1e-9, "{gates:?}");
    assert!(gates.iter().all(|gate| !trouble.segments.contains(&gate.segment)));
    let bound = flows::bound(&network, &times, &trouble.segments, &trouble.upstream);
    let (near, far) = (bound[&network.id("1,1>2,1")], bound[&network.id("0,1>1,1")]);
    assert!(near > far && far > 0.0 && near <= 1.0, "{near} {far}");
    // Whoever has passed one place is not new to the next.
    let points = ["0,1>1,1", "1,1>2,1"].map(|name| network.id(name)).into();
    let arriving = flows::arriving(&network, &times, &trouble.segments, &trouble.upstream, &points);
    let whole: f64 = arriving.values().sum();
    assert!((whole - times.usual_veh_s[network.id("2,1>3,1").0 as usize]).abs() < 1e-9);
}

#[test]
fn an_unmeasured_road_lets_through_what_the_next_one_takes() {
    let network = draft().build();
    let mut draft = draft();
    let wide = network.id("1,0>2,0");
    draft.edit(wide).lanes = 8;
    let network = Arc::new(draft.build());
    let mut traffic = Traffic::on(&network);
    let capacity = |traffic: &Traffic| times(&network, traffic).capacity_veh_s;
    let lane_veh_s = times(&network, &traffic).lane_veh_s[wide.0 as usize];
    let measured = capacity(&traffic);
    traffic.unknown("1,0>2,0");
    let unmeasured = capacity(&traffic);
    let onward = network.outgoing(wide).iter().map(|c| c.to.0 as usize);
    let taken: f64 = onward.map(|to| unmeasured[to]).sum();
    let wide = wide.0 as usize;
    assert!((measured[wide] - 8.0 * lane_veh_s).abs() < 1e-9, "{measured:?}");
    assert!((unmeasured[wide] - taken).abs() < 1e-9 && taken < measured[wide], "{taken}");
}

#[test]
fn without_a_signal_roads_take_turns_and_a_wider_one_goes_first() {
    let network = draft().build();
    let [in_question, across] = ["1,1>2,1", "2,0>2,1"].map(|name| network.id(name));
    let lane_veh_s = |edit: &dyn Fn(&mut Draft)| {
        let mut draft = draft();
        edit(&mut draft);
        let network = Arc::new(draft.build());
        let times = times(&network, &Traffic::on(&network));
        [in_question, across].map(|id| times.lane_veh_s[id.0 as usize])
    };
    let [alike, also] = lane_veh_s(&|_| {});
    assert!((alike - 450.0 / 3600.0).abs() < 1e-9 && (also - alike).abs() < 1e-9, "{alike}");
    let [first, waits] = lane_veh_s(&|draft| draft.edit(in_question).lanes = 2);
    assert!((first - 4.0 * alike).abs() < 1e-9 && (waits - alike).abs() < 1e-9, "{first} {waits}");
    let [signal, _] = lane_veh_s(&|draft| draft.edit(in_question).to_signal = true);
    assert!(signal > alike && signal < first, "its green comes as often: {signal}");
}

#[test]
fn what_is_sent_over_a_road_makes_it_longer_and_fades() {
    let mut draft = draft();
    let way = ["0,0>1,0", "1,0>2,0"].map(|name| grid(6, 3).build().id(name));
    draft.edit(way[1]).lanes = 2;
    let network = Arc::new(draft.build());
    let traffic = Traffic::on(&network);
    let times = times(&network, &traffic);
    let roads = Roads { network: &network, times: &times };
    let seconds = |load: &Load| load.costs(roads).get(way[1]) - times.now.get(way[1]);
    let mut load = Load::default();
    let decay = Duration::from_mins(3);
    load.pass(at(0), roads, [].iter(), decay);
    assert!(seconds(&load).abs() < 1e-9);
    load.add(&way, 0.1);
    let some = seconds(&load);
    load.add(&way, 0.9);
    let more = seconds(&load);
    assert!(some > 0.0 && more > 10.0 * some, "a queue costs more than sharing: {some} {more}");
    load.take(&way, 1.0);
    assert!(seconds(&load) < 1e-6);
    load.pass(at(60), roads, [(way.to_vec(), 0.4)].iter(), decay);
    load.pass(at(120), roads, [].iter(), decay);
    let soon = seconds(&load);
    load.pass(at(900), roads, [].iter(), decay);
    let late = seconds(&load);
    assert!(soon > 0.0 && late < soon / 4.0, "{soon} {late}");
}

#[test]
fn beyond_a_turn_that_is_full_there_is_what_it_lets_through() {
    let (network, _) = town();
    let traffic = Traffic::on(&network);
    let times = times(&network, &traffic);
    let roads = Roads { network: &network, times: &times };
    let way = ["0,0>1,0", "1,0>2,0", "2,0>3,0"].map(|name| network.id(name));
    let beyond_s = |load: &Load| load.costs(roads).get(way[2]) - times.now.get(way[2]);
    let decay = Duration::from_mins(3);
    let after = |veh_s: f64| {
        let mut load = Load::default();
        load.pass(at(0), roads, [(way.to_vec(), veh_s)].iter(), decay);
        load
    };
    let (full, twice) = (after(2.0), after(4.0));
    let at_turn_s = |load: &Load| load.costs(roads).get(way[1]);
    assert!(at_turn_s(&twice) > at_turn_s(&full) + 100.0, "all of them stand before it");
    assert!(beyond_s(&full) > 0.0 && (beyond_s(&twice) - beyond_s(&full)).abs() < 1e-6);
    // What is taken out is what was put in.
    let mut empty = twice.clone();
    empty.take(&way, 4.0);
    assert!(beyond_s(&empty) < 1e-6);
}

#[test]
fn a_lane_that_turns_across_lets_through_less_than_its_road() {
    let (network, mut draft) = (draft().build(), draft());
    let names = ["0,1>1,1", "1,1>2,1", "1,1>1,2", "1,1>1,0"];
    let [from, on, left, right] = names.map(|name| network.id(name));
    for id in [from, on, left, right] {
        draft.edit(id).lanes = 3;
    }
    draft.edit(from).to_signal = true;
    let network = Arc::new(draft.build());
    let turn = |to| network.connection(from, to).unwrap().turn;
    assert_eq!([on, left, right].map(turn), [Turn::Straight, Turn::Left, Turn::Right]);
    let mut traffic = Traffic::on(&network);
    for state in &mut traffic.states {
        state.vehicles = Some(1.0);
    }
    let times = times(&network, &traffic);
    // What a move costs beside its segments, for so much traffic.
    let roads = Roads { network: &network, times: &times };
    let cost = |to: SegmentId, veh_s: f64| {
        let mut load = Load::default();
        load.add(&[from, to], veh_s);
        load.costs(roads).move_s(from, to)
    };
    assert!(cost(left, 0.05).abs() < 1e-9, "a few can turn");
    assert!(cost(left, 0.2) > cost(right, 0.2) + 30.0, "left gives way");
    assert!(cost(right, 0.4) > 30.0, "one lane of three turns right");
    // The router goes by it.
    let mut load = Load::default();
    load.add(&[from, left], 0.6);
    let costs = load.costs(roads);
    let router = Router::with_penalties(&network, Penalties::SPEED_LIMITS);
    let way_s = |costs: &Costs| router.travel_time_s(&[from, left], costs).unwrap();
    let by_tree = router.tree_to(left, &costs).travel_time_s(from).unwrap();
    assert!(way_s(&costs) > way_s(&times.now) + 100.0);
    assert!(by_tree <= way_s(&costs));
}

#[test]
fn ways_round_are_several_open_and_ordered() {
    let (network, _) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let times = times(&network, &traffic);
    let trouble = closure(&network, &traffic, &times);
    let closed = traffic.closed.keys().copied();
    let around =
        Around::new(&network, &times, &trouble, closed, &[], &mut Maps::default()).unwrap();
    let here = network.id("0,1>1,1");
    let place = around.place(here).unwrap();
    let costs = around.costs(&Load::default(), here);
    let candidates = around.candidates(&place, &costs);
    assert!(candidates.len() > 2, "{candidates:?}");
    assert!(candidates[2..].windows(2).all(|p| p[0].expected_s <= p[1].expected_s));
    for candidate in &candidates {
        assert_eq!(candidate.stem[0], here);
        assert!(!candidate.stem.iter().any(|id| around.avoid.contains(id)));
        for pair in candidate.stem.windows(2) {
            assert!(network.connection(pair[0], pair[1]).is_some());
        }
        let loads = around.loads(&place, &candidate.stem);
        assert!((loads.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        let shut = network.id("2,1>3,1");
        assert!(!loads.iter().any(|(way, _)| way.contains(&shut)));
        // What is told is enough to drive it whatever map one has.
        let told = via(&network, &candidate.stem);
        assert_eq!(told.last(), candidate.stem.last());
    }
    // A road that is full of our own making is left for another one.
    let best = &candidates[0];
    let mut load = Load::default();
    load.add(&best.stem, 2.0);
    let costs = around.costs(&load, here);
    let other = around.candidates(&place, &costs);
    assert_ne!(other[0].stem, best.stem);
}

/// What was said may lead past the roads beyond the trouble, over one that is shut later.
#[test]
fn a_way_past_its_gate_over_a_shut_road_is_none() {
    let (network, _) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let times = times(&network, &traffic);
    let trouble = closure(&network, &traffic, &times);
    let here = network.id("0,1>1,1");
    let expected = |shut: &[SegmentId], stem: &[SegmentId]| {
        let mut maps = Maps::default();
        let around =
            Around::new(&network, &times, &trouble, shut.iter().copied(), &[], &mut maps).unwrap();
        let place = around.place(here).unwrap();
        around.expected_s(&place, stem, &around.costs(&Load::default(), here))
    };
    let mut maps = Maps::default();
    let around = Around::new(&network, &times, &trouble, [].into_iter(), &[], &mut maps).unwrap();
    let place = around.place(here).unwrap();
    let best = around.candidates(&place, &around.costs(&Load::default(), here)).remove(0);
    let mut stem = around.way(&place, &best.stem).unwrap();
    let gate = *stem.last().unwrap();
    let onward = network.outgoing(gate).iter().filter(|c| c.leads_on()).map(|c| c.to);
    let next = onward.into_iter().find(|to| !stem.contains(to)).unwrap();
    stem.push(next);
    assert!(expected(&[], &stem).is_some());
    assert_eq!(expected(&[next], &stem), None);
}

/// Nobody who is bound for the far end of a long closed road gets there from its middle.
#[test]
fn gates_lie_beyond_all_that_is_shut() {
    let (network, _) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("1,1>2,1", "works");
    let times = times(&network, &traffic);
    let trouble = closure(&network, &traffic, &times);
    let shut: Vec<SegmentId> = network
        .segment_ids()
        .filter(|&id| trouble.segments.iter().any(|&at| network.connection(at, id).is_some()))
        .collect();
    let near = flows::gates(&network, &times, &trouble.segments, |_| false);
    let far = flows::gates(&network, &times, &trouble.segments, |id| shut.contains(&id));
    assert!(far.iter().all(|gate| !shut.contains(&gate.segment)));
    assert_ne!(near, far);
    let all: f64 = far.iter().map(|gate| gate.share).sum();
    assert!(all > 0.5, "{far:?}");
}

/// The traffic of a queue before a closed road goes on by other roads, which takes as long as it does.
#[test]
fn going_on_through_a_jam_beside_a_closed_road_takes_a_time() {
    let (network, _) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    traffic.speed("1,1>2,1", 3.0);
    let times = times(&network, &traffic);
    let jam = network.id("1,1>2,1");
    let trouble = Trouble {
        cause: Cause::Congestion,
        shut: false,
        segments: vec![jam],
        ..closure(&network, &traffic, &times)
    };
    let closed = traffic.closed.keys().copied();
    let mut maps = Maps::default();
    let around = Around::new(&network, &times, &trouble, closed, &[], &mut maps).unwrap();
    let place = around.place(network.id("0,1>1,1")).unwrap();
    assert!(around.unguided_s(&place, &times.now).is_some());
}

#[test]
fn closures_split_the_approaches_over_more_than_one_way() {
    let network = Arc::new(grid(7, 5).build());
    let mut route = Route::new(&Directions { compliance: 1.0, ..plan() }, Arc::clone(&network));
    let mut traffic = Traffic::on(&network);
    for state in &mut traffic.states {
        state.vehicles = Some(20.0);
    }
    traffic.change += 1;
    assert_eq!(route.update(at(0), &traffic.view()), []);
    traffic.close("3,2>4,2", "works");
    let told = route.update(at(60), &traffic.view());
    let over = |column: &str| {
        let id = network.id(column);
        told.iter().filter(|d| d.way.contains(&id)).count()
    };
    let (north, south) = (over("3,3>4,3"), over("3,1>4,1"));
    assert!(north > 0 && south > 0, "{north} one way, {south} the other");
}

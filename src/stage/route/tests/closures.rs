//! What is said of shut roads, one and several.

use super::*;

#[test]
fn a_closure_speaks_at_once_is_renewed_and_is_withdrawn_at_once() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let shown = sign(route.update(at(0), &traffic.view())).unwrap();
    assert_eq!((shown.id.as_str(), shown.revision, shown.state), ("d-0001", 1, Show));
    assert_eq!(shown.audience, Audience::Sign(SignId(0)));
    assert_eq!(shown.cause, Cause::Closure);
    assert_eq!(names(&network, &shown.avoid), ["2,1>3,1"]);
    assert_eq!(shown.destination, Some(0));
    assert_eq!(shown.delay_s, None);
    assert_eq!(shown.valid_until, at(300));
    assert_eq!(shown.evidence.events, ["works"]);
    assert_eq!(shown.evidence.rules[0], "closure_upstream");
    assert_eq!(shown.way.first(), Some(&network.id("0,1>1,1")));
    assert_eq!(shown.way.last(), Some(&network.id("4,1>5,1")));
    let other = |id: &SegmentId| network.segment(*id).street.as_deref() != Some("Row 1");
    assert!(shown.via.iter().any(other), "the road that is closed");

    for quiet in [1, 60, 149] {
        assert_eq!(route.update(at(quiet), &traffic.view()), [], "{quiet}");
    }
    let renewed = sign(route.update(at(150), &traffic.view())).unwrap();
    assert_eq!((renewed.id.as_str(), renewed.revision), ("d-0001", 2));
    assert_eq!((renewed.valid_until, renewed.via), (at(450), shown.via.clone()));

    traffic.open("2,1>3,1");
    let cleared = route.update(at(151), &traffic.view());
    assert!(cleared.iter().all(|d| d.state == Clear && d.valid_until > d.ts));
    let cleared = sign(cleared).unwrap();
    assert_eq!((cleared.id.as_str(), cleared.revision), ("d-0001", 3));
    assert_eq!(route.update(at(1_000), &traffic.view()), []);
}

#[test]
fn a_way_that_closes_is_left_at_once() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let first = sign(route.update(at(0), &traffic.view())).unwrap();
    let via = network.segment(first.via[0]).name.clone();
    traffic.close(&via, "crash");
    let second = sign(route.update(at(1), &traffic.view())).unwrap();
    assert_eq!((second.id.as_str(), second.revision, second.state), ("d-0001", 2, Show));
    assert!(!second.via.contains(&first.via[0]) && !second.way.contains(&first.via[0]));
    assert!(second.avoid.contains(&first.via[0]));
}

#[test]
fn no_way_round_means_no_direction() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    for name in ["1,1>2,1", "1,1>1,0", "1,1>1,2"] {
        traffic.close(name, "flood");
    }
    assert_eq!(signs(route.update(at(0), &traffic.view())), []);
}

/// Left of the sign a road leads on to two more; where both are shut one can only turn around.
#[test]
fn no_way_but_by_turning_around_means_no_direction() {
    let mut draft = draft();
    for road in ["1,1>1,2", "0,1>1,1", "1,1>2,1"] {
        turn_about(&mut draft, &grid(6, 3).build(), road);
    }
    let network = Arc::new(draft.build());
    let told = |shut: &[&str]| {
        let mut route = Route::new(&plan(), Arc::clone(&network));
        let mut traffic = Traffic::on(&network);
        for road in shut {
            traffic.close(road, "flood");
        }
        let all = route.update(at(0), &traffic.view());
        assert!(!all.iter().any(|d| turns_around(&network, &d.way)), "{all:?}");
        sign(all)
    };
    let ahead = ["1,1>2,1", "1,1>1,0", "1,2>2,2"];
    let round = told(&ahead).unwrap();
    assert!(names(&network, &round.way).contains(&"1,2>0,2".to_owned()));
    assert_eq!(told(&[&ahead[..], &["1,2>0,2"]].concat()), None);
}

/// Of a road that is closed in two parts, by two events, the first is gone round with the second.
#[test]
fn two_closures_in_a_row_are_gone_round_together() {
    let mut draft = Draft::new();
    let [a, x, y, z] = [(0.0, 200.0), (200.0, 400.0), (400.0, 1_400.0), (1_400.0, 1_600.0)]
        .map(|(from, to)| draft.segment(&format!("at {from}"), "Long", [(from, 0.0), (to, 0.0)]));
    let round = draft.segment("round", "Side", [(200.0, 0.0), (1_400.0, 1.0)]);
    for (from, to) in [(a, x), (x, y), (y, z)] {
        draft.link(from, to, Turn::Straight);
    }
    draft.link(a, round, Turn::Left);
    draft.link(round, z, Turn::Right);
    draft.sign(a);
    let network = Arc::new(draft.build());
    let mut route = Route::new(&plan(), Arc::clone(&network));
    let mut traffic = Traffic::on(&network);
    traffic.close("at 200", "first");
    assert_eq!(sign(route.update(at(0), &traffic.view())), None, "all are bound for the middle");
    traffic.close("at 400", "second");
    let both = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!((both.state, both.via), (Show, vec![round]));
    assert_eq!(both.avoid, [x, y]);
}

/// Where the road that most are bound for is closed and may not be gone round, who is bound for the other
/// closed one is told.
#[test]
fn where_nothing_can_be_said_of_one_closure_another_is_spoken_of() {
    let mut draft = Draft::new();
    let before = draft.segment("before", "Long", [(0.0, 0.0), (200.0, 0.0)]);
    let long = draft.segment("long", "Long", [(200.0, 0.0), (1_200.0, 0.0)]);
    let beyond = draft.segment("beyond", "Long", [(1_200.0, 0.0), (1_400.0, 0.0)]);
    let round = draft.segment("round", "Side", [(200.0, 0.0), (1_200.0, 1.0)]);
    let turn = draft.segment("turn", "Second", [(200.0, 0.0), (200.0, -400.0)]);
    let second = draft.segment("second", "Second", [(200.0, -400.0), (1_200.0, -400.0)]);
    let after = draft.segment("after", "Second", [(1_200.0, -400.0), (1_400.0, -400.0)]);
    let other = draft.segment("other", "Third", [(200.0, 0.0), (1_200.0, -399.0)]);
    for (from, to, way) in [
        (before, long, Turn::Straight),
        (long, beyond, Turn::Straight),
        (before, round, Turn::Left),
        (round, beyond, Turn::Right),
        (before, turn, Turn::Right),
        (turn, second, Turn::Left),
        (second, after, Turn::Straight),
        (before, other, Turn::Right),
        (other, after, Turn::Left),
    ] {
        draft.link(from, to, way);
    }
    draft.sign(before);
    let network = Arc::new(draft.build());
    let mut traffic = Traffic::on(&network);
    traffic.close("long", "first");
    traffic.close("second", "second");
    let via = |never_via: Vec<SegmentId>| {
        let mut route = Route::new(&Directions { never_via, ..plan() }, Arc::clone(&network));
        sign(route.update(at(0), &traffic.view())).map(|said| (said.via, said.avoid[0]))
    };
    assert_eq!(via(vec![]), Some((vec![round], long)));
    assert_eq!(via(vec![round]), Some((vec![other], second)));
    assert_eq!(via(vec![round, other]), None);
}

/// A way that was told leads to a road whose other exit is found blocked later.
#[test]
fn a_kept_way_does_not_end_where_a_later_find_leaves_no_way_on() {
    let network = Arc::new(grid(5, 4).build());
    let mut route = Route::new(&plan(), Arc::clone(&network));
    let mut traffic = Traffic::on(&network);
    traffic.close("4,2>3,2", "works");
    route.update(at(0), &traffic.view());
    let end = network.id("4,3>4,2");
    let ends_there = |route: &Route| {
        route.shown.values().filter(|s| s.said.advice.way.last() == Some(&end)).count()
    };
    assert!(ends_there(&route) > 0);
    traffic.block("4,2>4,1");
    route.update(at(40), &traffic.view());
    assert_eq!(ends_there(&route), 0);
    assert!(!route.shown.is_empty());
}

//! What is said to be wrong, and what operators say of it.

use super::*;
use crate::domain::direction::Second;

fn because(reason: Reason) -> Announced {
    Announced { reason: Some(reason), ..Announced::default() }
}

#[test]
fn a_reason_goes_with_its_closure_and_a_new_one_is_said_at_once() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    let road = network.id("2,1>3,1");
    traffic.close("2,1>3,1", "works");
    traffic.announced.insert(road, because(Reason::Roadworks));
    let shown = sign(route.update(at(0), &traffic.view())).unwrap();
    assert_eq!((shown.revision, shown.announced), (1, because(Reason::Roadworks)));
    assert_eq!(shown.closed, [road]);
    traffic.announced.insert(road, because(Reason::Event));
    traffic.change += 1;
    let shown = sign(route.update(at(1), &traffic.view())).unwrap();
    assert_eq!((shown.revision, shown.announced), (2, because(Reason::Event)));
    traffic.announced.clear();
    traffic.change += 1;
    let shown = sign(route.update(at(2), &traffic.view())).unwrap();
    assert_eq!((shown.revision, shown.announced), (3, Announced::default()));
}

/// Two events on one road are told as far as they agree, and until the later end.
#[test]
fn what_is_said_holds_of_all_that_is_closed_of_a_road() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    let [one, other] = ["2,1>3,1", "3,1>4,1"].map(|name| network.id(name));
    traffic.close("2,1>3,1", "crash");
    traffic.close("3,1>4,1", "works");
    let said = |reason, until: Option<u64>| Announced { until: until.map(at), ..because(reason) };
    traffic.announced.insert(one, said(Reason::Accident, Some(3_600)));
    traffic.announced.insert(other, said(Reason::Roadworks, Some(7_200)));
    let both = sign(route.update(at(0), &traffic.view())).unwrap().announced;
    assert_eq!(both, Announced { until: Some(at(7_200)), ..Announced::default() });
    traffic.announced.insert(other, said(Reason::Accident, None));
    traffic.change += 1;
    let both = sign(route.update(at(1), &traffic.view())).unwrap().announced;
    assert_eq!(both, because(Reason::Accident));
}

/// Who is sent round a closed road hears of that alone, and nobody is sent round a jam over the roads that
/// those need.
#[test]
fn closures_go_before_jams_in_vehicles() {
    let network = Arc::new(grid(7, 5).build());
    // By place and cause the way that is told.
    let said = |closed: &[&str], jam: &str| {
        let mut route = Route::new(&plan(), Arc::clone(&network));
        let mut traffic = Traffic::on(&network);
        for road in closed {
            traffic.close(road, "works");
        }
        traffic.speed(jam, 2.0);
        route.update(at(10), &traffic.view());
        let mut ways = [BTreeMap::new(), BTreeMap::new()];
        for Shown { said: Proposal { audience, advice }, .. } in route.shown.values() {
            if matches!(audience, Audience::Area { .. }) {
                let which = usize::from(advice.cause == Cause::Congestion);
                ways[which].insert(advice.here, advice.stem[1..].to_vec());
            }
        }
        ways
    };
    let (mut silent, mut kept_free) = (0, 0);
    for jam in ["2,2>3,2", "3,1>4,1", "3,3>4,3", "4,1>5,1"] {
        let [none, without] = said(&[], jam);
        let [closures, jams] = said(&["3,2>4,2"], jam);
        let needed: BTreeSet<SegmentId> = closures.values().flatten().copied().collect();
        let crosses = |way: &[SegmentId]| way.iter().any(|id| needed.contains(id));
        assert!(none.is_empty() && !closures.is_empty());
        assert!(!jams.keys().any(|here| closures.contains_key(here)), "{jam}");
        assert!(!jams.values().any(|way| crosses(way)), "{jam}");
        silent += without.keys().filter(|here| closures.contains_key(here)).count();
        let others = without.iter().filter(|(here, _)| !closures.contains_key(here));
        kept_free += others.filter(|(_, way)| crosses(way)).count();
    }
    assert!(silent > 0 && kept_free > 0, "{silent} {kept_free}");
}

#[test]
fn what_sensors_found_has_no_reason() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.block("2,1>3,1");
    traffic.announced.insert(network.id("2,1>3,1"), because(Reason::Fog));
    let shown = sign(route.update(at(0), &traffic.view())).unwrap();
    assert_eq!((shown.cause, shown.announced), (Cause::Incident, Announced::default()));
}

/// A jam before lanes that are shut is called by the road that they are on, with what its operator says.
#[test]
fn lanes_that_are_shut_go_with_the_jam_before_them() {
    let lanes = Announced { lanes: Some(1), ..because(Reason::Accident) };
    let told = |named: &str| {
        let mut draft = draft();
        let shut = grid(6, 3).build().id("3,1>4,1");
        draft.edit(shut).street = Some(named.to_owned());
        let network = Arc::new(draft.build());
        let mut route = Route::new(&plan(), Arc::clone(&network));
        let mut traffic = Traffic::on(&network);
        traffic.speed("2,1>3,1", 3.0);
        traffic.incidents.insert(shut, "crash".to_owned());
        traffic.announced.insert(shut, lanes);
        sign(route.update(at(0), &traffic.view())).map(|shown| (shown.cause, shown.announced))
    };
    let (network, _) = town();
    let street = network.segment(network.id("2,1>3,1")).street.clone().unwrap_or_default();
    assert_eq!(told(&street), Some((Cause::Incident, lanes)));
    assert_eq!(told("Elsewhere"), Some((Cause::Incident, lanes)));
}

#[test]
fn a_closure_displaces_a_jam() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.speed("3,1>4,1", 3.0);
    let jam = sign(route.update(at(0), &traffic.view())).unwrap();
    traffic.close("1,1>2,1", "works");
    // One cause, one id: the jam's direction is withdrawn, the closure's begins.
    let [over, closure] = signs(route.update(at(1), &traffic.view())).try_into().unwrap();
    assert_eq!((jam.cause, closure.cause), (Cause::Congestion, Cause::Closure));
    assert_eq!((&over.id, over.revision, over.state), (&jam.id, 2, Clear));
    assert_eq!((closure.revision, closure.state), (1, Show));
    assert_ne!(closure.id, jam.id);
}

fn the_sign() -> Audience {
    Audience::Sign(SignId(0))
}

/// What nobody has announced may come and go: then there would be no room left for a closure.
#[test]
fn a_sign_that_has_changed_thrice_begins_with_closures_alone() {
    let (network, mut route) = town();
    route.flips.changed(&the_sign(), at(0));
    let mut traffic = Traffic::on(&network);
    traffic.speed("3,1>4,1", 3.0);
    assert!(sign(route.update(at(0), &traffic.view())).is_some());
    traffic.close("1,1>2,1", "works");
    assert_eq!(signs(route.update(at(60), &traffic.view())).len(), 2, "one goes, one comes");
    traffic.open("1,1>2,1");
    traffic.speed("3,1>4,1", 70.0);
    traffic.block("2,1>3,1");
    let over = sign(route.update(at(120), &traffic.view())).unwrap();
    assert_eq!((over.cause, over.state), (Cause::Closure, Clear));
    assert_eq!(signs(route.update(at(1_000), &traffic.view())), []);
    traffic.close("1,1>2,1", "works");
    let again = sign(route.update(at(1_060), &traffic.view())).unwrap();
    assert_eq!((again.cause, again.state), (Cause::Closure, Show));
    traffic.open("1,1>2,1");
    assert_eq!(sign(route.update(at(1_120), &traffic.view())).unwrap().state, Clear);
    assert_eq!(route.report().flips_worst_hour, 6);
    // An hour later it may say what was found.
    traffic.change += 1;
    let found = sign(route.update(at(4_800), &traffic.view())).unwrap();
    assert_eq!((found.cause, found.state), (Cause::Incident, Show));
}

/// A closure that stands is not taken off a sign for a find that it may not speak of.
#[test]
fn a_sign_that_may_not_tell_of_a_find_tells_of_the_closure_behind_it() {
    for (changes, cause) in [(0, Cause::Incident), (3, Cause::Closure)] {
        let (network, mut route) = town();
        let mut traffic = Traffic::on(&network);
        for _ in 0..changes {
            route.flips.changed(&the_sign(), at(0));
        }
        traffic.close("3,1>4,1", "works");
        assert_eq!(sign(route.update(at(0), &traffic.view())).unwrap().cause, Cause::Closure);
        traffic.block("1,1>2,1");
        route.update(at(60), &traffic.view());
        let shown = &route.shown[&the_sign()].said.advice;
        assert_eq!(shown.cause, cause);
        assert!(!shown.stem.contains(&network.id("1,1>2,1")));
    }
}

/// What is closed on the other side of the town is avoided as well, which no sign has room to show.
#[test]
fn a_closure_far_away_is_no_change_of_a_sign() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.fill_row();
    assert_eq!(route.update(at(0), &traffic.view()), []);
    route.flips.changed(&the_sign(), at(0));
    route.flips.changed(&the_sign(), at(0));
    traffic.block("2,1>3,1");
    let found = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!((found.cause, found.state), (Cause::Incident, Show));
    let flips = route.report().flips;
    traffic.close("1,0>0,0", "works");
    let same = sign(route.update(at(120), &traffic.view())).unwrap();
    assert_eq!((&same.id, same.revision, same.state), (&found.id, 2, Show));
    assert!(same.avoid.contains(&network.id("1,0>0,0")));
    assert_eq!(route.report().flips, flips);
}

/// A queue ends where its tail clears, and goes on as the same jam.
#[test]
fn a_jam_whose_tail_clears_goes_on() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.speed("2,1>3,1", 3.0);
    traffic.speed("3,1>4,1", 3.0);
    let jam = sign(route.update(at(0), &traffic.view())).unwrap();
    assert_eq!(jam.avoid[0], network.id("2,1>3,1"));
    traffic.speed("2,1>3,1", 70.0);
    let rest = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!((rest.id, rest.state), (jam.id, Show));
    assert_eq!(rest.avoid, [network.id("3,1>4,1")]);
}

/// Two roads that the same minute has found are two finds.
#[test]
fn of_two_finds_of_one_minute_the_one_that_ends_is_withdrawn() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.block("1,1>2,1");
    let first = sign(route.update(at(0), &traffic.view())).unwrap();
    traffic.open("1,1>2,1");
    traffic.block("3,1>4,1");
    let [over, next] = signs(route.update(at(60), &traffic.view())).try_into().unwrap();
    assert_eq!((&over.id, over.state), (&first.id, Clear));
    assert_eq!((next.revision, next.avoid[0]), (1, network.id("3,1>4,1")));
}

/// Roads that are found one after the other change what is to be avoided, though the way stays.
#[test]
fn a_find_that_will_not_stand_still_is_taken_down() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.fill_row();
    assert_eq!(route.update(at(0), &traffic.view()), []);
    let mut told = Vec::new();
    let finds = ["3,1>4,1", "2,1>3,1", "1,1>2,1"];
    for (minute, road) in (1..).zip(finds) {
        traffic.block(road);
        told.push(sign(route.update(at(60 * minute), &traffic.view())).unwrap());
    }
    let firsts: Vec<SegmentId> = told.iter().map(|direction| direction.avoid[0]).collect();
    assert_eq!(firsts, finds.map(|name| network.id(name)));
    assert!(told.iter().all(|direction| direction.state == Show && direction.id == told[0].id));
    traffic.open("1,1>2,1");
    let over = sign(route.update(at(240), &traffic.view())).unwrap();
    assert_eq!((&over.id, over.state), (&told[0].id, Clear));
    traffic.open("2,1>3,1");
    assert_eq!(sign(route.update(at(1_000), &traffic.view())), None, "three changes are enough");
    // A closure goes on being told whatever it grows to.
    for (minute, road) in (20..).zip(["3,1>4,1", "2,1>3,1", "1,1>2,1"]) {
        traffic.close(road, "works");
        let shown = sign(route.update(at(60 * minute), &traffic.view())).unwrap();
        assert_eq!((shown.cause, shown.state), (Cause::Closure, Show));
    }
}

/// Whoever follows a closure by its direction's id learns that it has ended, though another one
/// stands on the way.
#[test]
fn a_closure_that_ends_is_withdrawn_where_another_one_stands() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "a");
    let first = sign(route.update(at(0), &traffic.view())).unwrap();
    traffic.close("3,1>4,1", "b");
    let both = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!((&both.id, both.revision, both.state), (&first.id, 2, Show));
    assert_eq!(both.avoid, ["2,1>3,1", "3,1>4,1"].map(|name| network.id(name)));
    let flips = route.report().flips;
    traffic.open("2,1>3,1");
    let [over, next] = signs(route.update(at(120), &traffic.view())).try_into().unwrap();
    assert_eq!((&over.id, over.revision, over.state), (&first.id, 3, Clear));
    assert_eq!((next.cause, next.revision, next.state), (Cause::Closure, 1, Show));
    assert_eq!(next.avoid, [network.id("3,1>4,1")]);
    assert_ne!(next.id, first.id);
    assert_eq!(route.report().flips, flips + 1, "drivers see one change");
    traffic.open("3,1>4,1");
    let over = sign(route.update(at(180), &traffic.view())).unwrap();
    assert_eq!((over.id, over.state), (next.id, Clear));
}

/// As with closures, but no sign changes over and over for what nobody announced.
#[test]
fn a_find_that_ends_is_withdrawn_where_another_one_stands() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    let mut ids = Vec::new();
    for (minute, name) in (0..).zip(["2,1>3,1", "3,1>4,1", "2,1>3,1"]) {
        traffic.blocked = [(network.id(name), format!("detected@07:{minute:02}"))].into();
        traffic.change += 1;
        let mut said = signs(route.update(at(60 * minute), &traffic.view()));
        let shown = said.pop().unwrap();
        assert_eq!((shown.cause, shown.revision, shown.state), (Cause::Incident, 1, Show));
        assert_eq!(shown.avoid, [network.id(name)]);
        let over: Vec<_> = said.iter().map(|over| (&over.id, over.state)).collect();
        assert_eq!(over, ids.last().map(|id| (id, Clear)).into_iter().collect::<Vec<_>>());
        assert!(!ids.contains(&shown.id));
        ids.push(shown.id);
    }
    assert_eq!(route.report().flips, 3, "drivers see one change each");
    traffic.blocked = [(network.id("3,1>4,1"), "detected@07:03".to_owned())].into();
    traffic.change += 1;
    let over = sign(route.update(at(180), &traffic.view())).unwrap();
    assert_eq!((Some(&over.id), over.state), (ids.last(), Clear));
    traffic.blocked.clear();
    traffic.close("2,1>3,1", "works");
    let closure = sign(route.update(at(240), &traffic.view())).unwrap();
    assert_eq!((closure.cause, closure.state), (Cause::Closure, Show));
    // A closure that ends where a find stands is over; the find is not begun with any more.
    traffic.open("2,1>3,1");
    traffic.block("2,1>3,1");
    let over = sign(route.update(at(300), &traffic.view())).unwrap();
    assert_eq!((over.id, over.state), (closure.id, Clear));
    assert_eq!(route.report().flips_worst_hour, 6);
}

#[test]
fn an_event_that_opens_one_of_its_roads_goes_on() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    traffic.close("3,1>4,1", "works");
    let first = sign(route.update(at(0), &traffic.view())).unwrap();
    assert_eq!(first.avoid[0], network.id("2,1>3,1"));
    traffic.open("2,1>3,1");
    let next = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!((&next.id, next.revision, next.state), (&first.id, 2, Show));
    assert_eq!(next.avoid, [network.id("3,1>4,1")]);
}

#[test]
fn shut_lanes_make_the_jam_before_them_an_incident() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.incidents.insert(network.id("3,1>4,1"), "crash".to_owned());
    assert_eq!(route.update(at(0), &traffic.view()), []);
    traffic.speed("2,1>3,1", 3.0);
    let shown = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!(shown.cause, Cause::Incident);
    assert_eq!(shown.evidence.events, ["crash"]);
    assert!(shown.avoid.contains(&network.id("3,1>4,1")));
}

#[test]
fn a_road_found_to_be_blocked_is_an_incident_to_go_round() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.block("2,1>3,1");
    let blocked = sign(route.update(at(0), &traffic.view())).unwrap();
    assert_eq!((blocked.cause, blocked.level, blocked.delay_s), (Cause::Incident, None, None));
    assert_eq!(blocked.avoid, [network.id("2,1>3,1")]);
    assert_eq!(blocked.evidence.events, ["detected@07:20"]);
    assert_eq!(blocked.evidence.rules[0], "blocked_upstream");
    // What the operator then says of it takes its place, and its end ends both.
    traffic.open("2,1>3,1");
    traffic.close("2,1>3,1", "works");
    let [over, closure] = signs(route.update(at(60), &traffic.view())).try_into().unwrap();
    assert_eq!((&over.id, over.state), (&blocked.id, Clear));
    assert_eq!((closure.cause, closure.avoid), (Cause::Closure, blocked.avoid));
    traffic.open("2,1>3,1");
    assert_eq!(sign(route.update(at(120), &traffic.view())).unwrap().state, Clear);
}

#[test]
fn blocked_roads_that_lead_into_each_other_are_one_incident() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.fill_row();
    assert_eq!(route.update(at(0), &traffic.view()), []);
    traffic.block("2,1>3,1");
    traffic.block("3,1>4,1");
    traffic.block("1,0>0,0");
    let shown = sign(route.update(at(60), &traffic.view())).unwrap();
    let names = names(&network, &shown.avoid);
    // The sign's traffic is bound for the two; the third, which comes first by number, is avoided too.
    assert_eq!(names[0], "2,1>3,1");
    assert_eq!(names.len(), 3, "{names:?}");
    let told: BTreeSet<&SegmentId> =
        route.shown.values().filter_map(|shown| shown.said.advice.avoid.first()).collect();
    assert!(told.contains(&network.id("1,0>0,0")), "others are told of that one");
}

/// Who would go round by his own map is told what he would meet there.
#[test]
fn a_second_trouble_on_the_map_way_round_is_named() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "c-1");
    let area = |directions: Vec<Direction>| {
        let on = network.id("1,1>2,1");
        let of = |d: &Direction| d.applies_on == [on] && d.state == Show;
        directions.into_iter().find(of).unwrap()
    };
    let alone = area(route.update(at(0), &traffic.view()));
    assert_eq!(alone.second, None);
    // The way that is told is the map's as long as all else is free.
    let met = alone.way[2];
    let name = network.segment(met).name.clone();
    traffic.close(&name, "c-2");
    let directions = route.update(at(60), &traffic.view());
    assert!(signs(directions.clone()).iter().all(|d| d.second.is_none()), "signs have no room");
    let second = Some(Second { cause: Cause::Closure, segment: met });
    assert_eq!(area(directions).second, second);
    traffic.open(&name);
    traffic.speed(&name, 3.0);
    let (_, mut fresh) = town();
    let full = area(fresh.update(at(120), &traffic.view()));
    assert!(!full.way.contains(&met));
    assert_eq!(full.second, Some(Second { cause: Cause::Congestion, segment: met }));
    traffic.speed(&name, 30.0);
    let (_, mut fresh) = town();
    assert_eq!(area(fresh.update(at(180), &traffic.view())).second, None, "slow is no queue");
}

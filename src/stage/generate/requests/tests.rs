//! What writers are asked, and what is kept from them.

use std::time::Duration;

use geo::line_string;
use proptest::prelude::*;

use super::*;
use crate::domain::closure::Announced;
use crate::domain::congestion::CongestionLevel;
use crate::domain::direction::{Cause, DirectionState, Evidence};
use crate::domain::network::{ByName, Connection, Place, Segment, SegmentId, Sign, SignId};
use crate::domain::time::Timestamp;
use crate::domain::wording::{MIN_SIGN_COLS, MIN_SIGN_ROWS, MIN_VEHICLE_CHARS};
use crate::ports::Writer;
use crate::stage::generate::{TemplateWriter, fill, multi};

/// A network of loose segments with these streets; a sign of 3 x 18 stands on the first.
fn network(streets: &[&str], places: &[&str]) -> Network {
    let segment = |(i, street): (usize, &&str)| Segment {
        name: format!("e{i}"),
        from_junction: "a".to_owned(),
        to_junction: "b".to_owned(),
        street: (!street.is_empty()).then(|| (*street).to_owned()),
        length_m: 100.0,
        speed_limit_kmh: 50.0,
        lanes: 1,
        cars_allowed: true,
        to_signal: false,
        line: line_string![(x: 11.0, y: 44.0), (x: 11.1, y: 44.0)],
    };
    let place =
        |name: &&str| Place { name: (*name).to_owned(), segment: SegmentId(0), weight: 1.0 };
    Network {
        city: "test".to_owned(),
        hash: String::new(),
        segments: streets.iter().enumerate().map(segment).collect(),
        detectors: Vec::new(),
        signs: vec![Sign {
            name: "vms_01".to_owned(),
            segment: SegmentId(0),
            pos_m: 10.0,
            rows: 3,
            cols: 18,
            pages: 1,
            face: None,
        }],
        places: places.iter().map(place).collect(),
        outgoing: vec![Vec::new(); streets.len()],
        incoming: vec![Vec::new(); streets.len()],
        by_name: ByName::default(),
    }
}

fn direction(avoid: &[u32], via: &[u32]) -> Direction {
    let segments = |ids: &[u32]| ids.iter().map(|id| SegmentId(*id)).collect::<Vec<_>>();
    Direction {
        id: "d-0001".to_owned(),
        revision: 1,
        ts: Timestamp::default(),
        valid_until: Timestamp::default() + Duration::from_mins(5),
        state: DirectionState::Show,
        audience: Audience::Sign(SignId(0)),
        cause: Cause::Closure,
        announced: Announced::default(),
        level: None,
        avoid: segments(avoid),
        closed: segments(avoid),
        via: segments(via),
        way: segments(via),
        applies_on: Vec::new(),
        turn: None,
        destination: None,
        second: None,
        delay_s: None,
        saving_s: None,
        evidence: Evidence::default(),
    }
}

const SIGN: Space = Space::Sign { rows: 3, cols: 18, pages: 1 };
const VEHICLE: Space = Space::Vehicle { max_chars: 200 };

fn offered(network: Network, direction: &Direction, space: Space) -> Vec<(Slot, String, bool)> {
    let mut all = Requests::new(Arc::new(network)).of(direction, space, &[Language::It]);
    let slots = all.remove(0).slots;
    slots.into_iter().map(|fact| (fact.slot, fact.text, fact.required)).collect()
}

#[test]
fn facts_become_slots() {
    let streets = ["Via Alta", "Viale dei Platani", "Via San Marco", "Corso Isonzo"];
    let mut direction = direction(&[1], &[2, 2, 3]);
    direction.turn = Some(Turn::PartLeft);
    direction.destination = Some(0);
    direction.delay_s = Some(330);
    direction.saving_s = Some(299);
    let network = || network(&streets, &["Porta Nord"]);
    let fact = |slot, text: &str, required| (slot, text.to_owned(), required);
    assert_eq!(
        offered(network(), &direction, SIGN),
        [
            fact(Slot::Closed, "VIALE DEI PLATANI", false),
            fact(Slot::Via0, "VIA SAN MARCO", true),
            fact(Slot::Via1, "CORSO ISONZO", false),
            fact(Slot::Dest, "PORTA NORD", false),
            fact(Slot::Delay, "6 MIN", false),
            fact(Slot::Saving, "4 MIN", false),
            fact(Slot::Turn, "A SINISTRA", false),
        ]
    );
    direction.audience = Audience::Area { tile: "1".to_owned(), part: "1".to_owned() };
    direction.applies_on = vec![SegmentId(0), SegmentId(1)];
    assert_eq!(
        offered(network(), &direction, VEHICLE),
        [
            fact(Slot::Closed, "Viale dei Platani", true),
            fact(Slot::Via0, "Via San Marco", true),
            fact(Slot::Via1, "Corso Isonzo", false),
            fact(Slot::Dest, "Porta Nord", false),
            fact(Slot::Delay, "6 min", false),
            fact(Slot::Saving, "4 min", false),
        ],
        "vehicles on two segments have no common next junction"
    );
}

/// "Via B closed, go left, to Via C" must not be said where left is another part of Via B.
#[test]
fn a_turn_into_a_road_called_like_the_closed_one_is_not_said_with_a_name() {
    let slots = |streets: &[&str], via: &[u32]| {
        let direction = Direction { turn: Some(Turn::Left), ..direction(&[1], via) };
        let offers = offered(network(streets, &[]), &direction, SIGN).into_iter();
        offers.map(|(slot, ..)| slot).collect::<Vec<_>>()
    };
    let streets = ["Via A", "Via B", "Via B", "Via C", "Via A"];
    assert_eq!(slots(&streets, &[3, 2]), [Slot::Closed, Slot::Via0, Slot::Turn]);
    assert_eq!(slots(&streets, &[4, 3]), [Slot::Closed, Slot::Via0, Slot::Turn]);
    assert_eq!(slots(&streets, &[2, 3]), [Slot::Closed, Slot::Via0]);
    assert_eq!(slots(&streets, &[2]), [Slot::Closed, Slot::Turn]);
    // Who is on the closed road himself turns nowhere into it.
    assert_eq!(
        slots(&["Via B", "Via B", "Via B", "Via C"], &[2, 3]),
        [Slot::Closed, Slot::Via0, Slot::Turn]
    );
}

#[test]
fn a_second_road_is_offered_to_vehicles_by_a_name_of_its_own() {
    let streets = ["Via Alta", "Viale dei Platani", "Via San Marco", "Corso Isonzo", "Via Alta"];
    let second = |segment, cause| {
        let area = Audience::Area { tile: "1".to_owned(), part: "1".to_owned() };
        let second = Some(Second { cause, segment: SegmentId(segment) });
        Direction {
            audience: area,
            applies_on: vec![SegmentId(0)],
            second,
            ..direction(&[1], &[2])
        }
    };
    let said = |direction: &Direction, space| {
        let slots = offered(network(&streets, &[]), direction, space).into_iter();
        let also = |slot| matches!(slot, Slot::AlsoClosed | Slot::AlsoQueue);
        slots.filter(|(slot, ..)| also(*slot)).map(|(slot, text, _)| (slot, text)).next()
    };
    let road = "Corso Isonzo".to_owned();
    let queue = second(3, Cause::Congestion);
    assert_eq!(said(&queue, VEHICLE), Some((Slot::AlsoQueue, road.clone())));
    assert_eq!(said(&second(3, Cause::Closure), VEHICLE), Some((Slot::AlsoClosed, road)));
    assert_eq!(said(&second(3, Cause::Incident), VEHICLE), None);
    for like in [1, 2, 4] {
        // As the closed road, the advised one, and the one that the reader is on.
        assert_eq!(said(&second(like, Cause::Congestion), VEHICLE), None, "{like}");
    }
    let on_a_sign = Direction { audience: Audience::Sign(SignId(0)), ..queue };
    assert_eq!(said(&on_a_sign, SIGN), None);
}

#[test]
fn names_that_could_mislead_are_not_offered() {
    let slots = |streets: &[&str], places: &[&str], via: &[u32]| {
        let mut direction = direction(&[1], via);
        direction.destination = (!places.is_empty()).then_some(0);
        let offers = offered(network(streets, places), &direction, SIGN);
        offers.into_iter().map(|(slot, text, _)| (slot, text)).collect::<Vec<_>>()
    };
    let closed = (Slot::Closed, "VIA B".to_owned());
    let only_closed = [closed.clone()];
    // The closed street itself, and the one that the driver is on, are no way around.
    assert_eq!(slots(&["Via A", "Via B", "Via B", "Via A"], &[], &[2, 3]), only_closed);
    // Two streets that a sign cannot tell apart.
    assert_eq!(slots(&["Via A", "Via B", "Via Forlì", "Via Forli"], &[], &[2]), only_closed);
    // Digits, and marks that signs do not have.
    assert_eq!(slots(&["Via A", "Via B", "Via 4 Novembre"], &[], &[2]), only_closed);
    assert_eq!(slots(&["Via A", "Via B", "Via C/D"], &[], &[2]), only_closed);
    // Letters that the fold loses: a sign would name another road.
    assert_eq!(slots(&["Via A", "Via B", "Via Ωmega"], &[], &[2]), only_closed);
    // Too long for the sign.
    let long = "Via dei Santi Quattro Coronati";
    assert_eq!(slots(&["Via A", "Via B", long], &[], &[2]), only_closed);
    // What follows a road that cannot be said would read as if it came first.
    assert_eq!(slots(&["Via A", "Via B", long, "Via C"], &[], &[2, 3]), only_closed);
    // A destination without a way, or with the name of one.
    assert_eq!(slots(&["Via A", "Via B"], &["Porta Nord"], &[]), only_closed);
    let via = (Slot::Via0, "VIA C".to_owned());
    assert_eq!(slots(&["Via A", "Via B", "Via C"], &["Via C"], &[2]), [closed, via]);
}

#[test]
fn vehicles_may_hear_longer_names_but_no_markup() {
    let slots = |name: &str| {
        let direction = direction(&[1], &[2]);
        offered(network(&["Via A", "Via B", name], &[]), &direction, VEHICLE).len()
    };
    assert_eq!(slots("Via dei Santi Quattro Coronati"), 2);
    assert_eq!(slots("Via 4 Novembre"), 2);
    for name in ["Via <VIA_0>", "Via A, Via C", "Via\nC", "Via  C", "Via C ", "!"] {
        assert_eq!(slots(name), 1, "{name:?}");
    }
}

#[test]
fn times_are_said_from_two_minutes_on() {
    let times = |delay_s, saving_s| {
        let mut direction = direction(&[1], &[]);
        direction.delay_s = delay_s;
        direction.saving_s = saving_s;
        let offers = offered(network(&["Via A", ""], &[]), &direction, SIGN);
        offers.into_iter().map(|(_, text, _)| text).collect::<Vec<_>>()
    };
    assert_eq!(times(Some(89), Some(119)), Vec::<String>::new());
    assert_eq!(times(Some(90), Some(120)), ["2 MIN", "2 MIN"]);
    assert_eq!(times(Some(150), Some(300)), ["3 MIN"], "no saving beyond the delay");
    assert_eq!(times(None, Some(300)), ["5 MIN"]);
}

#[test]
fn demands_fall_until_a_template_fits() {
    let streets = ["Via Alta", "Viale dei Platani", "Via San Marco"];
    let mut direction = direction(&[1], &[2]);
    direction.turn = Some(Turn::Right);
    let required = |space, direction: &Direction| {
        let offers = offered(network(&streets, &[]), direction, space);
        let required = offers.into_iter().filter(|(.., required)| *required);
        required.map(|(slot, ..)| slot).collect::<Vec<_>>()
    };
    let sign = |rows, cols| Space::Sign { rows, cols, pages: 1 };
    assert_eq!(required(sign(3, 13), &direction), [Slot::Via0]);
    assert_eq!(required(sign(2, 13), &direction), [Slot::Turn; 0], "neither fits two rows");
    assert_eq!(required(sign(2, 17), &direction), [Slot::Turn], "ANDARE A DESTRA");
    assert_eq!(required(sign(2, 10), &direction), [Slot::Turn; 0]);
    let vehicle = |max_chars| Space::Vehicle { max_chars };
    direction.applies_on = vec![SegmentId(0)];
    assert_eq!(required(vehicle(120), &direction), [Slot::Closed, Slot::Via0]);
    assert_eq!(required(vehicle(60), &direction), [Slot::Via0]);
}

#[test]
fn the_seed_is_stable_and_survives_renewal() {
    let network = Arc::new(network(&["Via A", "Via B"], &[]));
    let requests = Requests::new(network);
    let mut direction = direction(&[1], &[]);
    let seeds = |direction: &Direction| -> Vec<u64> {
        requests.of(direction, SIGN, &Language::ALL).iter().map(|r| r.seed).collect()
    };
    let first = seeds(&direction);
    assert_ne!(first[0], first[1]);
    direction.revision = 2;
    assert_eq!(seeds(&direction), first);
    direction.id = "d-0002".to_owned();
    assert_ne!(seeds(&direction)[0], first[0]);
}

proptest! {
    /// Any facts on any sign of the least size or more, any vehicle text of the least length or
    /// more: the template has a text, it fills, and a sign's markup is made.
    #[test]
    fn no_request_is_impossible(
        streets in prop::collection::vec("([A-Z][a-zàéì]{0,9}( |'|-)){0,3}[A-Z][a-zè0-9]{0,7}", 6),
        avoid in 0_u32..7,
        via in prop::collection::vec(0_u32..7, 0..4),
        turn in prop::option::of(prop::sample::select(vec![
            Turn::Left, Turn::Right, Turn::Straight, Turn::TurnAround, Turn::PartRight,
        ])),
        delay_s in prop::option::of(0_u32..90_000),
        saving_s in prop::option::of(0_u32..90_000),
        level in prop::option::of(prop::sample::select(vec![
            CongestionLevel::Stationary, CongestionLevel::Slow, CongestionLevel::Heavy,
        ])),
        cause in prop::sample::select(vec![Cause::Closure, Cause::Congestion, Cause::Incident]),
        rows in MIN_SIGN_ROWS..5,
        cols in MIN_SIGN_COLS..26,
        max_chars in MIN_VEHICLE_CHARS..300,
    ) {
        let streets: Vec<&str> = streets.iter().map(String::as_str).collect();
        let mut network = network(&streets, &[streets[5], "Porta Nord"]);
        network.signs[0].rows = rows;
        network.signs[0].cols = cols;
        let sign = network.signs[0].clone();
        let mut direction = direction(&[avoid], &via);
        direction.turn = turn;
        direction.destination = Some(via.len() % 3);
        direction.delay_s = delay_s;
        direction.saving_s = saving_s;
        direction.level = level;
        direction.cause = cause;
        direction.applies_on = vec![SegmentId(0)];
        let requests = Requests::new(Arc::new(network));
        for space in [Space::Sign { rows, cols, pages: 1 }, Space::Vehicle { max_chars }] {
            for request in requests.of(&direction, space, &Language::ALL) {
                let draft = TemplateWriter.write(&request, 0, &|| false).unwrap();
                let wording = fill(&request, &draft, "template").unwrap();
                if matches!(space, Space::Sign { .. }) {
                    multi(&wording, &sign, None).unwrap();
                }
            }
        }
    }
}

/// Who is told a road's name may stay on it beyond the way, as far as it leads.
#[test]
fn a_road_that_runs_into_a_shut_part_of_it_is_not_named() {
    let streets = ["Via Alta", "Viale dei Platani", "Via Lunga", "Via Lunga", "Corso Isonzo"];
    let told = |avoid: &[u32], turn| {
        let mut network = network(&streets, &[]);
        let (from, to) = (SegmentId(2), SegmentId(3));
        network.outgoing[2] = vec![Connection { from, to, turn, lanes: 1, cars_allowed: true }];
        let mut direction = direction(avoid, &[2, 4]);
        direction.way = [0, 2, 4].map(SegmentId).to_vec();
        let slots = offered(network, &direction, VEHICLE).into_iter();
        let ways = slots.filter(|(slot, ..)| matches!(slot, Slot::Via0 | Slot::Via1));
        ways.map(|(_, text, _)| text).collect::<Vec<_>>()
    };
    assert_eq!(told(&[1], Turn::Straight), ["Via Lunga", "Corso Isonzo"]);
    assert_eq!(told(&[1, 3], Turn::Straight), Vec::<String>::new());
    assert_eq!(told(&[1, 3], Turn::TurnAround), ["Via Lunga", "Corso Isonzo"]);
}

/// By the clock of the place, only while it is to come, and only where the day is beyond doubt.
#[test]
fn the_planned_end_is_a_time_of_day() {
    let network = Arc::new(network(&["Via Alta", "Viale dei Platani"], &[]));
    let until = |zone, from: &str, to: &str| {
        let mut direction = direction(&[1], &[]);
        direction.ts = Timestamp::parse(from).unwrap();
        direction.announced.until = Some(Timestamp::parse(to).unwrap());
        let requests = Requests::new(Arc::clone(&network)).by_clock_of(zone);
        let request = requests.of(&direction, SIGN, &[Language::It]).remove(0);
        request.slot(Slot::Until).map(|fact| fact.text.clone())
    };
    let rome = Some(chrono_tz::Europe::Rome);
    let summer = "2026-07-01T06:00:00.000Z";
    assert_eq!(until(rome, summer, "2026-07-01T15:30:00.000Z").as_deref(), Some("17:30"));
    assert_eq!(until(rome, summer, "2026-07-01T15:30:00.001Z").as_deref(), Some("17:31"));
    assert_eq!(until(rome, summer, "2026-07-01T18:00:00.000Z").as_deref(), Some("20:00"));
    assert_eq!(until(rome, summer, "2026-07-01T18:00:00.001Z"), None);
    assert_eq!(until(rome, summer, summer), None);
    assert_eq!(until(None, summer, "2026-07-01T15:30:00.000Z"), None);
    // Clocks are put back at three: half past two comes twice.
    let autumn = "2026-10-25T00:05:00.000Z";
    assert_eq!(until(rome, autumn, "2026-10-25T00:30:00.000Z"), None);
    assert_eq!(until(rome, autumn, "2026-10-25T01:30:00.000Z"), None);
    assert_eq!(until(rome, autumn, "2026-10-25T02:30:00.000Z").as_deref(), Some("03:30"));
    let winter = "2026-12-31T20:00:00.000Z";
    assert_eq!(until(rome, winter, "2026-12-31T23:05:00.000Z").as_deref(), Some("00:05"));
}

/// What an operator says of shut lanes, on a road of three.
#[test]
fn lanes_are_told_with_their_noun_while_some_are_open() {
    let mut network = network(&["Via Alta", "Viale dei Platani"], &[]);
    network.segments[1].lanes = 3;
    let requests = Requests::new(Arc::new(network));
    let told = |lanes, cause, space, language| {
        let announced = Announced { lanes: Some(lanes), ..Announced::default() };
        let direction = Direction { cause, announced, ..direction(&[1], &[]) };
        let request = requests.of(&direction, space, &[language]).remove(0);
        request.slot(Slot::Lanes).map(|fact| fact.text.clone())
    };
    assert_eq!(told(2, Cause::Incident, SIGN, Language::It).as_deref(), Some("2 CORSIE"));
    assert_eq!(told(1, Cause::Incident, VEHICLE, Language::De).as_deref(), Some("1 Spur"));
    assert_eq!(told(3, Cause::Incident, VEHICLE, Language::De), None);
    assert_eq!(told(0, Cause::Incident, VEHICLE, Language::De), None);
    assert_eq!(told(2, Cause::Closure, VEHICLE, Language::De), None);
}

/// In vehicles, by the minute that was running then, and only where the day is beyond doubt.
#[test]
fn the_beginning_is_a_time_of_day() {
    let network = Arc::new(network(&["Via Alta", "Viale dei Platani"], &[]));
    let since = |zone, from: &str, now: &str, space| {
        let since = Some(Timestamp::parse(from).unwrap());
        let announced = Announced { since, ..Announced::default() };
        let mut direction = Direction { announced, ..direction(&[1], &[]) };
        direction.ts = Timestamp::parse(now).unwrap();
        let requests = Requests::new(Arc::clone(&network)).by_clock_of(zone);
        let request = requests.of(&direction, space, &[Language::It]).remove(0);
        request.slot(Slot::Since).map(|fact| fact.text.clone())
    };
    let rome = Some(chrono_tz::Europe::Rome);
    let (from, now) = ("2026-07-01T06:00:59.999Z", "2026-07-01T07:00:00.000Z");
    assert_eq!(since(rome, from, now, VEHICLE).as_deref(), Some("08:00"));
    assert_eq!(since(rome, from, now, SIGN), None);
    assert_eq!(since(None, from, now, VEHICLE), None);
    assert_eq!(since(rome, from, from, VEHICLE), None);
    assert_eq!(since(rome, from, "2026-07-01T18:01:00.000Z", VEHICLE), None);
}

/// Each segment begins where the one before it ends.
#[test]
fn a_closed_stretch_lies_between_the_roads_at_its_ends() {
    let streets = ["Via Alta", "Viale dei Platani", "Viale dei Platani", "Corso Isonzo"];
    let between = |direction: &Direction, space| -> Vec<String> {
        let mut network = network(&streets, &[]);
        for (at, segment) in network.segments.iter_mut().enumerate() {
            (segment.from_junction, segment.to_junction) = (at.to_string(), (at + 1).to_string());
        }
        let slots = offered(network, direction, space);
        let ends = [Slot::Between0, Slot::Between1];
        let told = slots.into_iter().filter(|(slot, ..)| ends.contains(slot));
        told.map(|(_, text, _)| text).collect()
    };
    let closure = direction(&[1, 2], &[]);
    assert_eq!(between(&closure, VEHICLE), ["Via Alta", "Corso Isonzo"]);
    assert_eq!(between(&closure, SIGN), Vec::<String>::new());
    // Where one of the ends has no road of another name, neither is said.
    let half = Direction { closed: vec![SegmentId(1)], ..closure.clone() };
    assert_eq!(between(&half, VEHICLE), Vec::<String>::new());
    let incident = Direction { cause: Cause::Incident, ..closure };
    assert_eq!(between(&incident, VEHICLE), Vec::<String>::new());
}

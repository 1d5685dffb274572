//! Facts that take more than a look at the direction: times of day, stretches, lanes, a second road.

use super::rules::{at, direction, ids};
use super::*;
use crate::domain::closure::{Announced, ClosedSegments};
use crate::domain::congestion::CongestionLevel;
use crate::domain::direction::{Audience, Cause, Direction, Second};
use crate::domain::time::Timestamp;
use crate::domain::wording::Language::{De, En, Es, Fr, It};
use crate::domain::wording::Problem::{Queue, RoadClosed};
use crate::domain::wording::Slot::{Closed, Via0};
use crate::stage::guard::Rule;

#[test]
fn a_time_of_day_must_be_the_planned_end() {
    let guard = nasty().by_clock_of(Some(chrono_tz::Europe::Rome));
    let ends = |at: Timestamp| {
        let announced = Announced { until: Some(at), ..Announced::default() };
        Direction { announced, ..direction() }
    };
    let hour = std::time::Duration::from_hours(1);
    // One in the morning in Rome is midnight UTC.
    let asked = |time: &str| request(En, SIGN, RoadClosed, &[(Slot::Until, time)]);
    assert_eq!(guard.check_request(&ends(at(0) + 2 * hour), &asked("03:00")), Ok(()));
    // Half past two comes twice in the night in which clocks are put back.
    let night = |ts: &str, until: &str| {
        let [ts, until] = [ts, until].map(|time| Timestamp::parse(time).unwrap());
        Direction { ts, valid_until: until, ..ends(until) }
    };
    let (autumn, end) = ("2026-10-25T00:05:00.000Z", "2026-10-25T01:30:00.000Z");
    let answer = guard.check_request(&night(autumn, end), &asked("02:30"));
    assert_eq!(answer.map_err(|o| o.rule()), Err(Rule::RequestFacts));
    let end = "2026-10-25T02:30:00.000Z";
    assert_eq!(guard.check_request(&night(autumn, end), &asked("03:30")), Ok(()));
    let refused = |direction: &Direction, time: &str| {
        let answer = guard.check_request(direction, &asked(time)).map_err(|o| o.rule());
        assert_eq!(answer, Err(Rule::RequestFacts), "{time}");
    };
    refused(&ends(at(0) + 2 * hour), "02:00");
    refused(&ends(at(0) + 13 * hour), "14:00");
    refused(&ends(at(0)), "01:00");
    refused(&direction(), "03:00");
    let said = |rows: &str, time: &str| {
        let request = request(En, SIGN, RoadClosed, &[(Slot::Until, time)]);
        guard.check(&request, &wording(En, rows)).map_err(|o| o.rule())
    };
    assert_eq!(said("ROAD CLOSED / UNTIL 17:30 / USE OTHER ROUTE", "17:30"), Ok(()));
    assert_eq!(said("ROAD CLOSED / UNTIL 17:31 / USE OTHER ROUTE", "17:30"), Err(Rule::Number));
    assert_eq!(said("ROAD CLOSED / UNTIL 17:60 / USE OTHER ROUTE", "17:60"), Err(Rule::Grammar));
    assert_eq!(said("ROAD CLOSED / UNTIL 17 / USE OTHER ROUTE", "17:30"), Err(Rule::Grammar));
    // When it opens again is planned, not known.
    assert_eq!(said("ROAD CLOSED / REOPENS ABOUT 17:30 / USE OTHER ROUTE", "17:30"), Ok(()));
    for (language, text) in [
        (En, "ROAD CLOSED / REOPENS 17:30 / USE OTHER ROUTE"),
        (It, "STRADA CHIUSA / RIAPRE ALLE 17:30 / USARE ALTRA STRADA"),
        (De, "GESPERRT / FREI AB 17:30 UHR / BITTE AUSWEICHEN"),
        (Fr, "ROUTE BARREE / REOUVERTURE A 17:30 / PRENDRE AUTRE ROUTE"),
        (Es, "CALLE CORTADA / REABRE A LAS 17:30 / TOME OTRA RUTA"),
    ] {
        let request = request(language, SIGN, RoadClosed, &[(Slot::Until, "17:30")]);
        let refused = guard.check(&request, &wording(language, text)).map_err(|o| o.rule());
        assert_eq!(refused, Err(Rule::Grammar), "{text}");
        let row = text.split(" / ").nth(1).unwrap();
        let without = text.replace(&format!("{row} / "), "");
        assert_eq!(guard.check(&request, &wording(language, &without)), Ok(()), "{without}");
    }
    let queue = request(En, SIGN, Queue, &[(Slot::Until, "17:30")]);
    let text = wording(En, "QUEUES AHEAD / UNTIL 17:30 / USE OTHER ROUTE");
    assert_eq!(guard.check(&queue, &text).map_err(|o| o.rule()), Err(Rule::Grammar));
}

/// Segment 4, Via San, is closed; Via Ritardo leads into it, Via San Marco away.
#[test]
fn a_stretch_must_lie_between_the_roads_that_are_named() {
    let guard = nasty();
    let area = Audience::Area { tile: "1".to_owned(), part: "a".to_owned() };
    let direction = Direction { audience: area, applies_on: ids(&[0]), ..direction() };
    let asked = |direction: &Direction, between: [&str; 2]| {
        let facts = [(Slot::Between0, between[0]), (Slot::Between1, between[1])];
        let request = request(En, VEHICLE, RoadClosed, &facts);
        guard.check_request(direction, &request).map_err(|o| o.rule())
    };
    assert_eq!(asked(&direction, ["Via Ritardo", "Via San Marco"]), Ok(()));
    assert_eq!(asked(&direction, ["Via San Marco", "Via Ritardo"]), Ok(()));
    for wrong in [
        ["Via Ritardo", "Via Ritardo"],
        ["Via Ritardo", "Via Minuti"],
        ["Via Chiusa", "Via San Marco"],
        ["Via San", "Via San Marco"],
    ] {
        assert_eq!(asked(&direction, wrong), Err(Rule::RequestFacts), "{wrong:?}");
    }
    let one = request(En, VEHICLE, RoadClosed, &[(Slot::Between0, "Via Ritardo")]);
    let answer = guard.check_request(&direction, &one).map_err(|o| o.rule());
    assert_eq!(answer, Err(Rule::RequestFacts));
    // What is not closed, or not known to be, has no ends.
    let open = Direction { closed: Vec::new(), cause: Cause::Incident, ..direction };
    let facts = [(Slot::Between0, "Via Ritardo"), (Slot::Between1, "Via San Marco")];
    let request = request(En, VEHICLE, Problem::Incident, &facts);
    let answer = guard.check_request(&open, &request).map_err(|o| o.rule());
    assert_eq!(answer, Err(Rule::RequestFacts));
}

/// A way may begin with the road at which the closed stretch does.
#[test]
fn the_road_at_a_stretchs_end_may_be_the_way() {
    let facts = [
        (Closed, "!Via Roma"),
        (Slot::Between0, "Via San"),
        (Slot::Between1, "Via San Marco"),
        (Via0, "!Via San"),
    ];
    let said = |text: &str| {
        let request = request(En, VEHICLE, RoadClosed, &facts);
        nasty().check(&request, &wording(En, text)).map_err(|o| o.rule())
    };
    let text = "Via Roma is closed. Between Via San and Via San Marco. Use Via San.";
    assert_eq!(said(text), Ok(()));
    let swapped = "Via Roma is closed. Between Via San Marco and Via San. Use Via San.";
    assert_eq!(said(swapped), Err(Rule::Road));
    let wrong = "Via Roma is closed. Between Via San and Via Minuti. Use Via San.";
    assert_eq!(said(wrong), Err(Rule::Road));
}

/// The first road of the way leads on into a part of it that is to be avoided.
#[test]
fn a_road_that_runs_into_a_shut_part_of_it_may_not_be_named() {
    let asked = |turn: Option<Turn>, avoid: &[u32]| {
        let mut network = network(&STREETS, &PLACES);
        let street = network.segments[1].street.clone();
        network.segments[6].street = street;
        let to = ids(&[6])[0];
        let into = turn.map(|turn| Connection { to, turn, ..network.outgoing[1][0] });
        network.outgoing[1].extend(into);
        let direction = Direction { avoid: ids(avoid), ..direction() };
        let street = network.segments[1].street.clone().unwrap();
        let request = request(En, SIGN, RoadClosed, &[(Via0, &street)]);
        let guard = Guard::new(Arc::new(network));
        guard.check_request(&direction, &request).map_err(|o| o.rule())
    };
    assert_eq!(asked(Some(Turn::Straight), &[4, 6]), Err(Rule::RequestFacts));
    assert_eq!(asked(Some(Turn::Straight), &[4]), Ok(()));
    assert_eq!(asked(Some(Turn::TurnAround), &[4, 6]), Ok(()));
    assert_eq!(asked(None, &[4, 6]), Ok(()));
}

#[test]
fn lanes_and_beginnings_must_be_the_operators() {
    use crate::domain::wording::Problem::Incident;
    let mut network = network(&STREETS, &PLACES);
    network.segments[6].lanes = 3;
    let guard = Guard::new(Arc::new(network)).by_clock_of(Some(chrono_tz::Europe::Rome));
    let minute = std::time::Duration::from_mins(1);
    let announced = Announced { lanes: Some(1), since: Some(at(0)), ..Announced::default() };
    let incident = Direction {
        cause: Cause::Incident,
        avoid: ids(&[6]),
        closed: Vec::new(),
        announced,
        ts: at(0) + 90 * minute,
        valid_until: at(0) + 95 * minute,
        ..direction()
    };
    assert_eq!(guard.check_direction(&incident, &ClosedSegments::new()), Ok(()));
    let asked = |slot, text: &str| {
        let request = request(En, SIGN, Incident, &[(slot, text)]);
        guard.check_request(&incident, &request).map_err(|o| o.rule())
    };
    assert_eq!(asked(Slot::Lanes, "1 lane"), Ok(()));
    assert_eq!(asked(Slot::Lanes, "2 lanes"), Err(Rule::RequestFacts));
    assert_eq!(asked(Slot::Lanes, "1 lanes"), Err(Rule::RequestFacts));
    assert_eq!(asked(Slot::Since, "01:00"), Ok(()));
    assert_eq!(asked(Slot::Since, "02:30"), Err(Rule::RequestFacts));
    let said = |rows: &str, lanes: &str| {
        let request = request(En, SIGN, Incident, &[(Slot::Lanes, lanes)]);
        guard.check(&request, &wording(En, rows)).map_err(|o| o.rule())
    };
    assert_eq!(said("INCIDENT / 2 LANES BLOCKED / USE OTHER ROUTE", "2 lanes"), Ok(()));
    assert_eq!(said("INCIDENT / 3 LANES BLOCKED / USE OTHER ROUTE", "2 lanes"), Err(Rule::Number));
    assert_eq!(said("INCIDENT / 2 LANE BLOCKED / USE OTHER ROUTE", "2 lanes"), Err(Rule::Grammar));
    // A closed road has none, and its closure is not said to be an incident's.
    let closed = wording(En, "ROAD CLOSED / 2 LANES BLOCKED / USE OTHER ROUTE");
    let request = request(En, SIGN, RoadClosed, &[(Slot::Lanes, "2 lanes")]);
    assert_eq!(guard.check(&request, &closed).map_err(|o| o.rule()), Err(Rule::Grammar));
    let stray =
        Direction { cause: Cause::Congestion, level: Some(CongestionLevel::Slow), ..incident };
    let answer = guard.check_direction(&stray, &ClosedSegments::new()).map_err(|o| o.rule());
    assert_eq!(answer, Err(Rule::OperatorsWord));
}

/// Segment 4 is closed, the way leads over 0 to 3; Via San Marco is segment 5.
#[test]
fn a_second_road_must_be_the_directions() {
    let guard = nasty();
    let with = |cause, segment| Direction {
        audience: Audience::Area { tile: "1".to_owned(), part: "a".to_owned() },
        applies_on: ids(&[0]),
        second: Some(Second { cause, segment: SegmentId(segment) }),
        ..direction()
    };
    let closed = |segments: &[u32]| -> ClosedSegments {
        ids(segments).into_iter().map(|id| (id, "incident-1".to_owned())).collect()
    };
    let sound = |direction: &Direction, shut: &[u32]| {
        guard.check_direction(direction, &closed(shut)).map_err(|o| o.rule())
    };
    assert_eq!(sound(&with(Cause::Closure, 5), &[4, 5]), Ok(()));
    assert_eq!(sound(&with(Cause::Congestion, 5), &[4]), Ok(()));
    assert_eq!(sound(&with(Cause::Closure, 5), &[4]), Err(Rule::TrueCause));
    assert_eq!(sound(&with(Cause::Congestion, 5), &[4, 5]), Err(Rule::TrueCause));
    assert_eq!(sound(&with(Cause::Incident, 5), &[4]), Err(Rule::TrueCause));
    assert_eq!(sound(&with(Cause::Congestion, 2), &[4]), Err(Rule::NotOverAvoided));
    assert_eq!(sound(&with(Cause::Congestion, 999), &[4]), Err(Rule::KnownIndices));

    let asked = |direction: &Direction, slot, name: &str| {
        let request = request(En, VEHICLE, RoadClosed, &[(slot, name)]);
        guard.check_request(direction, &request).map_err(|o| o.rule())
    };
    let shut = with(Cause::Closure, 5);
    assert_eq!(asked(&shut, Slot::AlsoClosed, "Via San Marco"), Ok(()));
    assert_eq!(asked(&shut, Slot::AlsoQueue, "Via San Marco"), Err(Rule::RequestFacts));
    assert_eq!(asked(&shut, Slot::AlsoClosed, "Via San Marino"), Err(Rule::RequestFacts));
    let full = with(Cause::Congestion, 5);
    assert_eq!(asked(&full, Slot::AlsoQueue, "Via San Marco"), Ok(()));
    assert_eq!(asked(&full, Slot::AlsoClosed, "Via San Marco"), Err(Rule::RequestFacts));
    // Of a road that is called like one of the way nobody is warned.
    let on_the_way = Direction { second: with(Cause::Congestion, 2).second, ..full };
    assert_eq!(asked(&on_the_way, Slot::AlsoQueue, "Via Minuti"), Err(Rule::RequestFacts));
    let none = Direction { second: None, ..with(Cause::Closure, 5) };
    assert_eq!(asked(&none, Slot::AlsoQueue, "Via San Marco"), Err(Rule::RequestFacts));

    let facts = [(Closed, "!Via Roma"), (Slot::AlsoQueue, "Via San Marco"), (Via0, "!Via San")];
    let said = |facts: &[(Slot, &str)], second: &str| {
        let request = request(En, VEHICLE, RoadClosed, facts);
        let text = format!("Via Roma is closed. {second} Use Via San.");
        guard.check(&request, &wording(En, &text)).map_err(|o| o.rule())
    };
    assert_eq!(said(&facts, "Besides, there are queues on Via San Marco."), Ok(()));
    assert_eq!(said(&facts, "Besides, Via San Marco is closed."), Err(Rule::Road));
    assert_eq!(said(&facts, "Besides, there are queues on Via San."), Err(Rule::Road));
    let alike = [(Closed, "!Via Roma"), (Slot::AlsoQueue, "Via Roma"), (Via0, "!Via San")];
    assert_eq!(said(&alike, "There are queues on Via Roma as well."), Err(Rule::NamesApart));
}

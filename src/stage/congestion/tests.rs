//! Levels, screening and closures, window by window.

mod closures;
mod silence;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray};

use super::columns::Observation;
use super::*;
use crate::domain::closure::{Announced, ClosureKind, ClosureState, Reason};
use crate::domain::congestion::CongestionLevel;
use crate::domain::network::testing::grid;
use crate::domain::refusal::DeadReason;

use CongestionLevel::{FreeFlow, Queuing, Slow, Stationary};

const ROAD: &str = "1,0>2,0";
const OTHER: &str = "2,0>3,0";
const T0: i64 = 1_226_386_800_000;

fn minute(n: i64) -> Timestamp {
    Timestamp::from_millis(T0 + n * 60_000).unwrap()
}

fn window(name: &str) -> plan::Window {
    let (name, accept_for) = (name.to_owned(), Duration::from_mins(1));
    plan::Window { name, accept_for, ..plan::testing::window(60, 60) }
}

fn stage(windows: &[usize]) -> Congestion {
    let plan = plan::Congestion {
        windows: windows.to_vec(),
        enter_after: 2,
        leave_after: 3,
        detect_incidents: true,
    };
    let network = Arc::new(grid(4, 2).build());
    Congestion::new(&plan, &[window("loops"), window("cameras")], network)
}

/// A while after it was said.
fn hear(stage: &mut Congestion, closure: &Closure) -> Result<Taken, Refusal> {
    stage.closure(closure, closure.ts + Duration::from_hours(1))
}

fn observation(
    speed_kmh: Option<f64>,
    vehicles: Option<f64>,
    occupancy_pct: Option<f64>,
) -> Observation {
    Observation { speed_kmh, vehicles, occupancy_pct }
}

fn batch(window: usize, n: i64, rows: &[(Option<&str>, Observation)]) -> WindowBatch {
    let floats = |value: fn(&Observation) -> Option<f64>| {
        Arc::new(rows.iter().map(|(_, o)| value(o)).collect::<Float64Array>()) as ArrayRef
    };
    let names: StringArray = rows.iter().map(|(name, _)| *name).collect();
    let columns = [
        ("segment", Arc::new(names) as ArrayRef),
        ("speed_kmh", floats(|o| o.speed_kmh)),
        ("vehicles", floats(|o| o.vehicles)),
        ("occupancy_pct", floats(|o| o.occupancy_pct)),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    let (start, end) = (minute(n), minute(n + 1));
    WindowBatch { window, start, end, revision: 1, rows: rows.unwrap() }
}

/// Feeds one window a minute for `ROAD` and gives its level after each.
fn levels(stage: &mut Congestion, windows: &[Observation]) -> Vec<Option<CongestionLevel>> {
    let road = stage.network.id(ROAD);
    let after = |(n, o): (i64, &Observation)| {
        stage.window(&batch(0, n, &[(Some(ROAD), *o)])).unwrap();
        stage.states()[road.0 as usize].level
    };
    (0..).zip(windows).map(after).collect()
}

/// Speeds that differ in the last digit, as real ones do.
fn driven(speeds: &[f64]) -> Vec<Observation> {
    let each = |(n, speed): (usize, &f64)| {
        observation(Some(speed + n as f64 * 0.01), Some(9.0), Some(20.0))
    };
    speeds.iter().enumerate().map(each).collect()
}

fn closure(event: &str, state: ClosureState, ts: i64, edges: &[&str]) -> Closure {
    Closure {
        event_id: event.to_owned(),
        state,
        kind: ClosureKind::RoadClosed,
        reason: None,
        edges: edges.iter().map(|&e| e.to_owned()).collect(),
        lanes_closed: None,
        ts: minute(ts),
        start: None,
        planned_end: Some(minute(ts + 1)),
    }
}

#[test]
fn levels_follow_the_share_of_the_limit_with_hysteresis() {
    let seen = levels(&mut stage(&[0]), &driven(&[49.0, 8.0, 8.0, 48.0, 48.0, 48.0]));
    let expected = [FreeFlow, FreeFlow, Queuing, Queuing, Queuing, FreeFlow];
    assert_eq!(seen, expected.map(Some));
}

#[test]
fn nobody_passing_is_clear_or_standing_by_occupancy() {
    let nobody = |pct| observation(None, Some(0.0), pct);
    for (window, level) in [
        (nobody(Some(0.0)), Some(FreeFlow)),
        (nobody(Some(98.0)), Some(Stationary)),
        (nobody(Some(30.0)), None),
        (nobody(None), None),
        // Nobody was counted, so 0 is no speed.
        (observation(Some(0.0), Some(0.0), None), None),
        (observation(Some(0.0), Some(3.0), None), Some(Stationary)),
        (observation(Some(f64::NAN), Some(3.0), None), None),
        (observation(None, None, Some(0.0)), None),
    ] {
        let seen = levels(&mut stage(&[0]), &[window, window]);
        assert_eq!(seen[1], level, "{window:?}");
    }
}

#[test]
fn faulty_segments_are_unknown_and_named() {
    let stuck = vec![observation(Some(31.2), Some(7.0), Some(12.35)); 5];
    let no_occupancy: Vec<_> = driven(&[30.0, 31.0, 32.0])
        .into_iter()
        .map(|o| Observation { occupancy_pct: Some(0.0), ..o })
        .collect();
    let flapping = driven(&[50.0, 1.0, 50.0, 1.0, 50.0, 1.0, 50.0]);
    for (windows, fault) in [
        (vec![observation(Some(250.0), Some(1.0), Some(3.0))], Fault::ImpossibleSpeed),
        (vec![observation(Some(-4.0), Some(1.0), Some(3.0))], Fault::ImpossibleSpeed),
        (vec![observation(Some(f64::INFINITY), None, None)], Fault::ImpossibleSpeed),
        (vec![observation(Some(50.0), Some(1.0), Some(101.0))], Fault::ImpossibleOccupancy),
        (vec![observation(None, Some(0.0), Some(-1.0))], Fault::ImpossibleOccupancy),
        (vec![observation(Some(50.0), Some(-2.0), None)], Fault::ImpossibleCount),
        (stuck, Fault::Stuck),
        (no_occupancy, Fault::FlowWithoutOccupancy),
        (flapping, Fault::Flapping),
    ] {
        let mut stage = stage(&[0]);
        // One window before the last nothing is suspected yet.
        let (last, before) = windows.split_last().unwrap();
        levels(&mut stage, before);
        assert_eq!(stage.faults().count(), 0, "{fault:?}");
        let n = i64::try_from(before.len()).unwrap();
        stage.window(&batch(0, n, &[(Some(ROAD), *last)])).unwrap();
        let road = stage.network.id(ROAD);
        assert_eq!(stage.faults().collect::<Vec<_>>(), [(road, fault)]);
        assert_eq!(stage.states()[road.0 as usize], SegmentState::default(), "{fault:?}");
    }
}

#[test]
fn a_faulty_segment_is_believed_again_after_plausible_windows() {
    let mut windows = vec![observation(Some(900.0), Some(1.0), Some(3.0))];
    windows.extend(driven(&[50.0, 50.0, 50.0]));
    assert_eq!(levels(&mut stage(&[0]), &windows), [None, None, None, Some(FreeFlow)]);
}

#[test]
fn an_empty_road_is_not_stuck() {
    let empty = observation(None, Some(0.0), Some(0.0));
    assert_eq!(levels(&mut stage(&[0]), &[empty; 20]), [Some(FreeFlow); 20]);
}

#[test]
fn silence_is_unknown() {
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD);
    levels(&mut stage, &driven(&[49.0]));
    let other = (Some(OTHER), driven(&[49.0])[0]);
    for (n, level) in [(1, Some(FreeFlow)), (2, Some(FreeFlow)), (3, None)] {
        stage.window(&batch(0, n, &[other])).unwrap();
        assert_eq!(stage.states()[road.0 as usize].level, level, "{n}");
    }
    // No windows at all: three more minutes and the grace.
    let change = stage.view().change;
    stage.advance(minute(8), minute(8));
    assert_eq!(stage.view().change, change);
    stage.advance(minute(9), minute(9));
    assert_ne!(stage.view().change, change);
    assert!(stage.states().iter().all(|s| s.level.is_none()));
}

#[test]
fn the_first_listed_window_speaks_while_it_knows() {
    let mut stage = stage(&[1, 0]);
    let road = stage.network.id(ROAD);
    let mut say = |window, n, speed: f64| {
        let row = observation(Some(speed), Some(5.0 + n as f64), None);
        stage.window(&batch(window, n, &[(Some(ROAD), row)])).unwrap();
        (stage.states()[road.0 as usize].level, stage.evidence(road).unwrap())
    };
    assert_eq!(say(0, 0, 49.0), (Some(FreeFlow), format!("loops@{}", minute(0))));
    assert_eq!(say(1, 0, 20.0), (Some(FreeFlow), format!("loops@{}", minute(0))));
    assert_eq!(say(1, 1, 20.0), (Some(Slow), format!("cameras@{}", minute(1))));
    assert_eq!(say(0, 1, 49.0).0, Some(Slow));
}

#[test]
fn a_revision_replaces_the_newest_window_and_no_older_one() {
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD).0 as usize;
    levels(&mut stage, &driven(&[49.0, 8.0, 8.0]));
    assert_eq!(stage.states()[road].level, Some(Queuing));
    let revised = |n| batch(0, n, &[(Some(ROAD), driven(&[45.0])[0])]);
    stage.window(&revised(1)).unwrap();
    assert_eq!(stage.states()[road].level, Some(Queuing));
    stage.window(&revised(2)).unwrap();
    assert_eq!(stage.states()[road].level, Some(FreeFlow));
}

#[test]
fn rows_that_tell_nothing_are_counted() {
    let mut stage = stage(&[0]);
    let o = driven(&[49.0])[0];
    let rows = [(None, o), (Some("nowhere"), o), (Some(ROAD), o), (Some(ROAD), o)];
    stage.window(&batch(0, 0, &rows)).unwrap();
    let expected = UnusedRows { null_segment: 1, unknown_segment: 1, repeated_segment: 1 };
    assert_eq!(stage.unused_rows(), expected);
}

#[test]
fn any_number_type_will_do_and_no_other() {
    let mut stage = stage(&[0]);
    let names = Arc::new(StringViewArray::from(vec![ROAD])) as ArrayRef;
    let speed = Arc::new(Int64Array::from(vec![49])) as ArrayRef;
    let mut result = batch(0, 0, &[]);
    result.rows =
        RecordBatch::try_from_iter([("segment", names.clone()), ("speed_kmh", speed)]).unwrap();
    stage.window(&result).unwrap();
    let road = stage.network.id(ROAD);
    assert_eq!(stage.states()[road.0 as usize].level, Some(FreeFlow));

    result.rows =
        RecordBatch::try_from_iter([("segment", names.clone()), ("speed_kmh", names)]).unwrap();
    let error = stage.window(&result).unwrap_err();
    assert_eq!(error, "window `loops`: column `speed_kmh` is Utf8View, not a number");
    let speed = Arc::new(Int64Array::from(vec![49])) as ArrayRef;
    result.rows = RecordBatch::try_from_iter([("speed_kmh", speed)]).unwrap();
    assert!(stage.window(&result).unwrap_err().contains("no column `segment`"));
}

#[test]
fn a_road_opens_when_the_last_of_its_events_is_cleared() {
    use ClosureState::{Active, Cleared};
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD);
    let mut take = |event, state, ts| {
        hear(&mut stage, &closure(event, state, ts, &[ROAD])).unwrap();
        stage.closed().get(&road).cloned()
    };
    assert_eq!(take("works", Active, 0).as_deref(), Some("works"));
    assert_eq!(take("crash", Active, 1).as_deref(), Some("crash"));
    assert_eq!(take("crash", Cleared, 3).as_deref(), Some("works"));
    // Older than what is known of it.
    assert_eq!(take("crash", Active, 2).as_deref(), Some("works"));
    // In the same instant the closing word wins, whichever comes first.
    assert_eq!(take("works", Cleared, 0).as_deref(), Some("works"));
    assert_eq!(take("works", Cleared, 5), None);
    // The planned end of all of these was a minute after they were announced.
}

/// What operators say of a segment now.
fn told(stage: &Congestion, id: SegmentId) -> Announced {
    stage.view().announced.get(&id).copied().unwrap_or_default()
}

/// Beginnings count from the first of all events; lanes are said while no road is closed, and where
/// all who give a number give the same one.
#[test]
fn lanes_and_beginnings_are_told_where_events_agree() {
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD);
    let mut take = |event, kind, ts, start: Option<i64>, lanes_closed| {
        let told_at = closure(event, ClosureState::Active, ts, &[ROAD]);
        let start = start.map(minute);
        hear(&mut stage, &Closure { kind, lanes_closed, start, ..told_at }).unwrap();
        let told = told(&stage, road);
        (told.since, told.lanes)
    };
    let (lanes, road_closed) = (ClosureKind::LanesClosed, ClosureKind::RoadClosed);
    assert_eq!(take("works", lanes, 5, Some(4), Some(1)), (Some(minute(4)), Some(1)));
    assert_eq!(take("crash", lanes, 6, Some(3), None), (Some(minute(3)), Some(1)));
    assert_eq!(take("crash", lanes, 7, None, Some(2)), (None, None));
    assert_eq!(take("flood", road_closed, 8, Some(7), Some(2)), (Some(minute(7)), None));
}

#[test]
fn a_road_is_closed_for_a_reason_that_all_who_give_one_agree_on() {
    use ClosureState::{Active, Cleared};
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD);
    let mut take = |event, state, ts, reason| {
        let closure = Closure { reason, ..closure(event, state, ts, &[ROAD]) };
        hear(&mut stage, &closure).unwrap();
        (told(&stage, road).reason, stage.view().change)
    };
    let (reason, before) = take("works", Active, 0, None);
    assert_eq!(reason, None);
    // The operator adds why, and nothing else: that is news too.
    let (reason, after) = take("works", Active, 1, Some(Reason::Roadworks));
    assert_eq!(reason, Some(Reason::Roadworks));
    assert_ne!(before, after);
    assert_eq!(take("silent", Active, 2, None).0, Some(Reason::Roadworks));
    assert_eq!(take("water", Active, 3, Some(Reason::Flooding)).0, None);
    assert_eq!(take("more", Active, 4, Some(Reason::Flooding)).0, None);
    assert_eq!(take("works", Cleared, 5, None).0, Some(Reason::Flooding));
}

#[test]
fn a_planned_end_opens_nothing_and_an_announced_start_closes_nothing_yet() {
    let mut stage = stage(&[0]);
    hear(&mut stage, &closure("works", ClosureState::Active, 0, &[ROAD])).unwrap();
    let mut announced = closure("later", ClosureState::Active, 0, &[OTHER]);
    announced.start = Some(minute(10));
    hear(&mut stage, &announced).unwrap();
    stage.advance(minute(9), minute(9));
    assert_eq!(stage.closed().values().collect::<Vec<_>>(), ["works"]);
    stage.advance(minute(10), minute(10));
    assert_eq!(stage.closed().len(), 2);
}

/// The latest end of all that closes a road, as long as each has one and it is not long past.
#[test]
fn a_closed_road_has_an_end_where_all_say_so() {
    let mut stage = stage(&[0]);
    let road = stage.network.id(ROAD);
    let mut take = |event, state, ts, end: Option<i64>| {
        let mut closure = closure(event, state, ts, &[ROAD]);
        closure.planned_end = end.map(minute);
        hear(&mut stage, &closure).unwrap();
        stage.advance(minute(ts), minute(ts));
        (told(&stage, road).until, stage.view().change)
    };
    let (end, before) = take("works", ClosureState::Active, 0, Some(20));
    assert_eq!(end, Some(minute(20)));
    assert_eq!(take("water", ClosureState::Active, 1, Some(30)).0, Some(minute(30)));
    assert_eq!(take("market", ClosureState::Active, 2, None).0, None);
    assert_eq!(take("market", ClosureState::Cleared, 3, None).0, Some(minute(30)));
    assert_eq!(take("water", ClosureState::Cleared, 4, None).0, Some(minute(20)));
    let (end, after) = take("works", ClosureState::Active, 5, Some(25));
    assert_eq!(end, Some(minute(25)));
    assert_ne!(before, after);
    // It has passed, and the road is still closed.
    stage.advance(minute(25), minute(25));
    assert_eq!(told(&stage, road).until, Some(minute(25)));
    stage.advance(minute(26), minute(26));
    assert_eq!(told(&stage, road).until, None);
    assert!(stage.closed().contains_key(&road));
}

#[test]
fn known_edges_are_closed_and_none_is_refused() {
    let mut stage = stage(&[0]);
    let refusal = hear(&mut stage, &closure("e", ClosureState::Active, 0, &["nowhere", "neither"]))
        .unwrap_err();
    assert_eq!(refusal.reason, DeadReason::UnknownSegment);
    let refusal = hear(&mut stage, &closure("e", ClosureState::Active, 0, &[])).unwrap_err();
    assert_eq!(refusal.reason, DeadReason::MissingField);
    hear(&mut stage, &closure("e", ClosureState::Active, 0, &["nowhere", ROAD])).unwrap();
    assert_eq!(stage.closed().len(), 1);
    hear(&mut stage, &closure("e", ClosureState::Cleared, 1, &[])).unwrap();
    assert!(stage.closed().is_empty());
}

#[test]
fn shut_lanes_close_nothing_but_are_an_incident() {
    let mut stage = stage(&[0]);
    let mut lanes = closure("lanes", ClosureState::Active, 0, &[ROAD]);
    lanes.kind = ClosureKind::LanesClosed;
    hear(&mut stage, &lanes).unwrap();
    assert!(stage.closed().is_empty());
    assert_eq!(stage.incidents().values().collect::<Vec<_>>(), ["lanes"]);
}

/// Twenty minutes of traffic on two segments in a row; then minutes of these: vehicles on the road
/// and speed before it.
fn empty_road(stage: &mut Congestion, from: i64, minutes: &[(f64, f64)]) -> Vec<bool> {
    const BEFORE: &str = "0,0>1,0";
    let road = stage.network.id(ROAD);
    let window = |n: i64, vehicles: f64, speed_before: f64| {
        let swing = (n % 3) as f64;
        let here = observation((vehicles > 0.0).then_some(44.0 + swing), Some(vehicles), Some(4.0));
        let before = observation(Some(speed_before + swing), Some(60.0 - swing), Some(8.0));
        batch(0, n, &[(Some(ROAD), here), (Some(BEFORE), before)])
    };
    for n in from..from + 20 {
        stage.window(&window(n, 18.0 + (n % 5) as f64, 40.0)).unwrap();
        assert!(stage.view().blocked.is_empty(), "ordinary traffic, minute {n}");
    }
    let after = |(n, (vehicles, speed)): (i64, &(f64, f64))| {
        stage.window(&window(n, *vehicles, *speed)).unwrap();
        stage.view().blocked.contains_key(&road)
    };
    (from + 20..).zip(minutes).map(after).collect()
}

#[test]
fn a_road_that_empties_while_drivers_wait_before_it_is_blocked_until_it_flows() {
    let mut stage = stage(&[0]);
    let change = stage.view().change;
    let blocked =
        empty_road(&mut stage, 0, &[(0.0, 30.0), (0.0, 15.0), (1.0, 8.0), (0.0, 8.0), (12.0, 8.0)]);
    assert_eq!(blocked, [false, true, true, true, false]);
    assert!(stage.view().change > change);
    assert_eq!(stage.detected(), (1, 0));
}

#[test]
fn a_detector_that_dies_while_nobody_waits_is_no_incident() {
    let blocked = empty_road(&mut stage(&[0]), 0, &[(0.0, 40.0); 20]);
    assert_eq!(blocked, [false; 20]);
}

#[test]
fn an_incident_is_given_up_when_nobody_waits_for_it_any_more() {
    let mut minutes = vec![(0.0, 10.0), (0.0, 10.0)];
    minutes.extend([(0.0, 40.0); 20]);
    let blocked = empty_road(&mut stage(&[0]), 0, &minutes);
    assert!(blocked[1] && blocked[10]);
    assert!(!blocked[12], "{blocked:?}");
}

#[test]
fn drivers_who_wait_for_an_hour_do_not_become_usual() {
    let mut stage = stage(&[0]);
    let blocked = empty_road(&mut stage, 0, &[(0.0, 10.0); 90]);
    assert!(blocked[1..60].iter().all(|blocked| *blocked), "{blocked:?}");
    assert!(!blocked[80], "nor for ever: {blocked:?}");
    assert_eq!(stage.detected(), (1, 0), "and it is not found anew");
}

#[test]
fn what_is_announced_is_not_discovered() {
    let mut stage = stage(&[0]);
    hear(&mut stage, &closure("works", ClosureState::Active, 0, &[ROAD])).unwrap();
    assert_eq!(empty_road(&mut stage, 0, &[(0.0, 10.0); 5]), [false; 5]);
    // When it is open again it takes a while until traffic comes back.
    hear(&mut stage, &closure("works", ClosureState::Cleared, 25, &[])).unwrap();
    for n in 25..40 {
        let before = observation(Some(10.0), Some(60.0), Some(8.0));
        let here = observation(None, Some(0.0), Some(4.0));
        stage.window(&batch(0, n, &[(Some(ROAD), here), (Some("0,0>1,0"), before)])).unwrap();
        assert!(stage.view().blocked.is_empty(), "minute {n}");
    }
    let kept = stage.state();
    let plan = plan::Congestion {
        windows: vec![0],
        enter_after: 2,
        leave_after: 3,
        detect_incidents: false,
    };
    let network = Arc::clone(&stage.network);
    let mut other = Congestion::new(&plan, &[window("loops"), window("cameras")], network);
    assert!(!other.restore(kept), "a state with detection is of another plan");
}

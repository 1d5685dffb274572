//! The closure of the Bologna recording: which signs speak, and whether drivers who obey them get
//! round it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wayside::domain::closure::{Closure, ClosureKind, ClosureState};
use wayside::domain::congestion::CongestionLevel;
use wayside::domain::direction::{Audience, Direction, DirectionState};
use wayside::domain::network::{Costs, Network, Router, SegmentId, Turn};
use wayside::domain::time::Timestamp;
use wayside::plan;
use wayside::stage::congestion::Congestion;
use wayside::stage::guard::Guard;
use wayside::stage::route::Route;

const CLOSED: &str = "a72[0]";

fn bologna(test: &str) -> Option<Arc<Network>> {
    let data = std::env::var_os("WAYSIDE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let dir = data.join("bologna");
    if !dir.is_dir() {
        eprintln!("SKIPPED {test}: no data at {}", dir.display());
        return None;
    }
    match Network::load(&dir) {
        Ok(network) => Some(Arc::new(network)),
        Err(error) => panic!("{error}"),
    }
}

fn closure(edge: &str, state: ClosureState, ts: Timestamp) -> Closure {
    Closure {
        event_id: "incident-1".to_owned(),
        state,
        kind: ClosureKind::RoadClosed,
        reason: None,
        edges: vec![edge.to_owned()],
        lanes_closed: Some(3),
        ts,
        start: None,
        planned_end: None,
    }
}

fn stages(network: &Arc<Network>) -> (Congestion, Route) {
    let congestion = plan::Congestion {
        windows: Vec::new(),
        enter_after: 2,
        leave_after: 3,
        detect_incidents: true,
    };
    let directions = plan::Directions {
        min_saving: Duration::from_mins(1),
        dwell: Duration::from_mins(5),
        expiry: Duration::from_mins(5),
        diversion_cap: 0.3,
        speak_from: CongestionLevel::Queuing,
        reach_m: 2_000.0,
        area_reach_m: 1_000.0,
        areas: true,
        area_dwell: Duration::from_mins(1),
        switch_gain: 0.15,
        compliance: 0.5,
        advice_decay: Duration::from_mins(3),
        signs: Vec::new(),
        never_via: Vec::new(),
    };
    (
        Congestion::new(&congestion, &[], Arc::clone(network)),
        Route::new(&directions, Arc::clone(network)),
    )
}

fn describe(network: &Network, direction: &Direction) -> String {
    let who = match &direction.audience {
        Audience::Sign(id) => {
            let sign = network.sign(*id);
            format!("{} on {}", sign.name, network.segment(sign.segment).name)
        }
        Audience::Area { tile, part } => {
            format!("{tile}/{part} for {} segments", direction.applies_on.len())
        }
    };
    let street = |id: &SegmentId| {
        let segment = network.segment(*id);
        format!("{} ({})", segment.name, segment.street.as_deref().unwrap_or("-"))
    };
    let list = |ids: &[SegmentId]| ids.iter().map(street).collect::<Vec<_>>().join(", ");
    format!(
        "{who}: avoid {}; via {}; turn {:?}; to {:?}; saving {:?}",
        list(&direction.avoid),
        list(&direction.via),
        direction.turn,
        direction.destination.map(|i| &network.places[i].name),
        direction.saving_s,
    )
}

#[test]
fn bologna_closure_is_told_at_once_and_taken_back_at_once() {
    let Some(network) = bologna("bologna_closure_is_told_at_once_and_taken_back_at_once") else {
        return;
    };
    let closed = network.segment_by_name(CLOSED).unwrap();
    let begin = Timestamp::parse("2008-11-11T07:20:00.000Z").unwrap();
    let (mut congestion, mut route) = stages(&network);
    assert!(route.update(begin, &congestion.view()).is_empty());
    congestion.closure(&closure(CLOSED, ClosureState::Active, begin), begin).unwrap();
    let shown = route.update(begin + Duration::from_secs(1), &congestion.view());
    for direction in &shown {
        println!("{}", describe(&network, direction));
    }
    let signs = shown.iter().filter(|d| matches!(d.audience, Audience::Sign(_))).count();
    assert!(signs >= 3, "{signs} signs speak");
    assert!(shown.len() > signs, "no area is told");

    let router = Router::new(&network);
    let mut open = Costs::free_flow(&network);
    open.close(closed);
    let mut addressed = BTreeSet::new();
    for direction in &shown {
        assert_eq!(direction.state, DirectionState::Show);
        assert_eq!(direction.avoid, [closed]);
        assert!(router.travel_time_s(&direction.way, &open).is_some(), "{direction:?}");
        assert!(direction.via.iter().all(|id| direction.way.contains(id)));
        for id in &direction.applies_on {
            assert!(addressed.insert(*id), "{} is told twice", network.segment(*id).name);
        }
    }

    let end = begin + Duration::from_mins(20);
    let renewed = route.update(end, &congestion.view());
    assert!(!renewed.is_empty());
    // What is out: another way may have taken the place of one, or silence.
    let mut out: BTreeSet<Audience> = BTreeSet::new();
    for direction in shown.iter().chain(&renewed) {
        match direction.state {
            DirectionState::Show => out.insert(direction.audience.clone()),
            DirectionState::Clear => out.remove(&direction.audience),
        };
    }
    congestion.closure(&closure(CLOSED, ClosureState::Cleared, end), end).unwrap();
    let cleared = route.update(end + Duration::from_secs(1), &congestion.view());
    assert!(cleared.iter().all(|d| d.state == DirectionState::Clear));
    let cleared: BTreeSet<Audience> = cleared.into_iter().map(|d| d.audience).collect();
    assert_eq!(cleared, out);
}

/// Round `a161` one could drive left from `vms_17` to the edge of the map, turn around there and come
/// back; the others lie beside junctions and roads where one may turn around as well.
#[test]
fn bologna_nobody_is_told_to_turn_around() {
    let Some(network) = bologna("bologna_nobody_is_told_to_turn_around") else {
        return;
    };
    let guard = Guard::new(Arc::clone(&network));
    let begin = Timestamp::parse("2008-11-11T07:20:00.000Z").unwrap();
    let mut told = 0;
    for edge in ["a161", "a74", "b11[1][1]", "b5[1][1][1]", "b67"] {
        let (mut congestion, mut route) = stages(&network);
        congestion.closure(&closure(edge, ClosureState::Active, begin), begin).unwrap();
        let view = congestion.view();
        for direction in route.update(begin, &view) {
            let moves = direction.way.windows(2).map(|pair| network.connection(pair[0], pair[1]));
            let turns: Vec<Turn> = moves.map(|taken| taken.unwrap().turn).collect();
            assert!(!turns.contains(&Turn::TurnAround), "{}", describe(&network, &direction));
            assert_eq!(guard.check_direction(&direction, view.closed), Ok(()));
            told += 1;
        }
    }
    assert!(told > 0);
}

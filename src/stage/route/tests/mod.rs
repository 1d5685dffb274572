//! Directions on made-up towns.

mod causes;
mod closures;
mod properties;
mod reckoning;

use super::*;
use crate::domain::closure::{Announced, Announcements, ClosedSegments, Reason};
use crate::domain::congestion::{CongestionLevel, Incidents, SegmentState};
use crate::domain::network::testing::{Draft, grid};
use crate::domain::network::{Costs, Penalties, Router, SegmentId, SignId, Turn};

use DirectionState::{Clear, Show};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_226_386_800_000).unwrap() + Duration::from_secs(seconds)
}

fn plan() -> Directions {
    Directions {
        min_saving: Duration::from_secs(30),
        dwell: Duration::from_mins(5),
        expiry: Duration::from_mins(5),
        diversion_cap: 1.0,
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
    }
}

/// The traffic on a network, to be set by hand.
struct Traffic {
    network: Arc<Network>,
    states: Vec<SegmentState>,
    closed: ClosedSegments,
    announced: Announcements,
    incidents: Incidents,
    blocked: Incidents,
    change: u64,
}

impl Traffic {
    /// Everywhere free flow.
    fn on(network: &Arc<Network>) -> Self {
        let free = |s: &crate::domain::network::Segment| SegmentState {
            level: Some(CongestionLevel::FreeFlow),
            speed_kmh: Some(s.speed_limit_kmh),
            vehicles: Some(10.0),
            occupancy_pct: Some(3.0),
        };
        Self {
            states: network.segments.iter().map(free).collect(),
            network: Arc::clone(network),
            closed: ClosedSegments::new(),
            announced: Announcements::new(),
            incidents: Incidents::new(),
            blocked: Incidents::new(),
            change: 1,
        }
    }

    fn close(&mut self, name: &str, event: &str) {
        self.closed.insert(self.network.id(name), event.to_owned());
        self.change += 1;
    }

    /// Shut by all that the sensors say.
    fn block(&mut self, name: &str) {
        self.blocked.insert(self.network.id(name), "detected@07:20".to_owned());
        self.change += 1;
    }

    fn open(&mut self, name: &str) {
        self.closed.remove(&self.network.id(name));
        self.blocked.remove(&self.network.id(name));
        self.change += 1;
    }

    fn speed(&mut self, name: &str, speed_kmh: f64) {
        let id = self.network.id(name);
        let share = speed_kmh / self.network.segment(id).speed_limit_kmh;
        let state = &mut self.states[id.0 as usize];
        state.level = Some(CongestionLevel::from_share(share));
        state.speed_kmh = Some(speed_kmh);
        self.change += 1;
    }

    /// Much traffic on the town's Row 1.
    fn fill_row(&mut self) {
        for x in 0..5 {
            let road = self.network.id(&format!("{x},1>{},1", x + 1));
            self.states[road.0 as usize].vehicles = Some(60.0);
        }
    }

    fn unknown(&mut self, name: &str) {
        self.states[self.network.id(name).0 as usize] = SegmentState::default();
        self.change += 1;
    }

    fn view(&self) -> View<'_> {
        View {
            change: self.change,
            states: &self.states,
            closed: &self.closed,
            announced: &self.announced,
            incidents: &self.incidents,
            blocked: &self.blocked,
            evidence: Box::new(|id| Some(format!("minute@{}", id.0))),
        }
    }
}

fn signs(directions: Vec<Direction>) -> Vec<Direction> {
    directions.into_iter().filter(|d| matches!(d.audience, Audience::Sign(_))).collect()
}

/// The sign's one direction.
fn sign(directions: Vec<Direction>) -> Option<Direction> {
    let mut signs = signs(directions);
    assert!(signs.len() <= 1, "{signs:?}");
    signs.pop()
}

/// A town of 6 by 3 junctions; a sign on Row 1 before the second junction; `Station` at its end.
/// Row 1 is the fast way through.
fn town() -> (Arc<Network>, Route) {
    town_with(&plan())
}

fn draft() -> Draft {
    let mut draft = grid(6, 3);
    let network = grid(6, 3).build();
    for x in 0..5 {
        draft.edit(network.id(&format!("{x},1>{},1", x + 1))).speed_limit_kmh = 70.0;
    }
    draft.sign(network.id("0,1>1,1"));
    draft.place("Station", network.id("4,1>5,1"), 100.0);
    draft
}

fn town_with(plan: &Directions) -> (Arc<Network>, Route) {
    let network = Arc::new(draft().build());
    let route = Route::new(plan, Arc::clone(&network));
    (network, route)
}

fn names(network: &Network, ids: &[SegmentId]) -> Vec<String> {
    ids.iter().map(|&id| network.segment(id).name.clone()).collect()
}

/// Lets drivers turn around at the end of a road, as in `1,1>1,2`.
fn turn_about(draft: &mut Draft, network: &Network, road: &str) {
    let (from, to) = road.split_once('>').unwrap();
    let back = network.id(&format!("{to}>{from}"));
    draft.link(network.id(road), back, Turn::TurnAround);
}

fn turns_around(network: &Network, way: &[SegmentId]) -> bool {
    let turn = |pair: &[SegmentId]| network.connection(pair[0], pair[1]).map(|c| c.turn);
    way.windows(2).any(|pair| turn(pair) == Some(Turn::TurnAround))
}

#[test]
fn nothing_is_said_of_free_roads_or_unknown_ones() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    assert_eq!(route.update(at(0), &traffic.view()), []);
    for segment in &network.segments {
        traffic.unknown(&segment.name);
    }
    assert_eq!(route.update(at(1), &traffic.view()), []);
}

#[test]
fn a_sign_that_cannot_be_reached_in_time_or_has_passed_it_is_silent() {
    let (network, mut route) = town_with(&Directions { reach_m: 100.0, ..plan() });
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    assert_eq!(signs(route.update(at(0), &traffic.view())), []);
    // Nobody passes the sign towards the west.
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("3,1>2,1", "works");
    assert_eq!(signs(route.update(at(0), &traffic.view())), []);
}

#[test]
fn roads_that_must_not_be_advised_are_not() {
    let network = draft().build();
    let north = ["1,2>2,2", "2,2>3,2", "3,2>4,2"];
    let never_via = north.map(|n| network.id(n)).to_vec();
    let (network, mut route) = town_with(&Directions { never_via: never_via.clone(), ..plan() });
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let shown = sign(route.update(at(0), &traffic.view())).unwrap();
    assert!(never_via.iter().all(|id| !shown.way.contains(id)), "{:?}", shown.way);
    assert!(names(&network, &shown.way).contains(&"2,0>3,0".to_owned()));
}

#[test]
fn the_turn_is_given_where_the_way_parts_at_the_sign() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("1,1>2,1", "works");
    let shown = sign(route.update(at(0), &traffic.view())).unwrap();
    let turn = network.connection(shown.way[0], shown.way[1]).unwrap().turn;
    assert_eq!(shown.turn, Some(turn));
    assert!(matches!(turn, Turn::Left | Turn::Right));
}

#[test]
fn a_jam_speaks_if_avoiding_it_saves_enough() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    // 200 m at 7 km/h: 103 s for 10 s, and the way round takes 35 s more.
    traffic.speed("2,1>3,1", 7.0);
    let first = route.update(at(0), &traffic.view());
    assert!(!first.is_empty(), "enough for vehicles");
    assert_eq!(signs(first), [], "but not for a sign");
    traffic.speed("2,1>3,1", 3.0);
    let shown = sign(route.update(at(60), &traffic.view())).unwrap();
    assert_eq!(shown.cause, Cause::Congestion);
    assert_eq!(shown.level, Some(CongestionLevel::Stationary));
    // 230 s by the newest window, 93 by the one before, which has four tenths of the weight.
    let delay = shown.delay_s.unwrap();
    assert!((165..=185).contains(&delay), "{delay}");
    let saving = shown.saving_s.unwrap();
    assert!((60..delay).contains(&saving), "{saving}");
    assert_eq!(shown.evidence.windows, [format!("minute@{}", network.id("2,1>3,1").0)]);
    let verdicts: Vec<_> = shown.evidence.ways.iter().map(|w| w.verdict.as_ref()).collect();
    assert_eq!(verdicts[..2], ["advised", "usual"]);
}

#[test]
fn signs_ask_for_more_where_vehicles_are_told_nothing() {
    let told = |areas: bool, speed_kmh: f64| {
        let (network, mut route) = town_with(&Directions { areas, ..plan() });
        let mut traffic = Traffic::on(&network);
        // 200 m at 5 km/h: 144 s for 10 s, at 3 km/h 240 s; the way round takes 35 s more.
        traffic.speed("2,1>3,1", speed_kmh);
        sign(route.update(at(0), &traffic.view())).is_some()
    };
    assert!(told(true, 5.0) && !told(false, 5.0));
    assert!(told(true, 3.0) && told(false, 3.0));
}

#[test]
fn a_jam_direction_dwells_then_leaves_and_ends_with_its_jam() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.speed("2,1>3,1", 3.0);
    assert!(sign(route.update(at(0), &traffic.view())).is_some());
    // Still a queue, but avoiding it gains less than half of the minimum: that waits for the dwell.
    traffic.speed("2,1>3,1", 11.0);
    assert_eq!(sign(route.update(at(60), &traffic.view())), None);
    traffic.speed("2,1>3,1", 11.1);
    assert_eq!(sign(route.update(at(120), &traffic.view())), None);
    traffic.speed("2,1>3,1", 11.0);
    let renewed = sign(route.update(at(150), &traffic.view())).unwrap();
    assert_eq!((renewed.state, renewed.level), (Show, Some(CongestionLevel::Queuing)));
    assert!(renewed.saving_s < Some(60), "{:?}", renewed.saving_s);
    traffic.speed("2,1>3,1", 11.1);
    assert_eq!(sign(route.update(at(300), &traffic.view())).unwrap().state, Clear);

    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.speed("2,1>3,1", 3.0);
    assert!(sign(route.update(at(0), &traffic.view())).is_some());
    traffic.speed("2,1>3,1", 50.0);
    assert_eq!(sign(route.update(at(1), &traffic.view())).unwrap().state, Clear);
}

#[test]
fn a_full_way_round_is_left_after_the_dwell() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.speed("2,1>3,1", 3.0);
    let shown = sign(route.update(at(0), &traffic.view())).unwrap();
    for name in ["1,0>2,0", "2,0>3,0", "1,2>2,2", "2,2>3,2"] {
        traffic.speed(name, 12.0);
    }
    let held = sign(route.update(at(60), &traffic.view()));
    assert!(held.is_none_or(|d| d.state == Show && d.via == shown.via));
    let after = sign(route.update(at(300), &traffic.view()));
    assert!(after.is_some_and(|d| d.state == Clear || d.via != shown.via));
}

#[test]
fn what_the_guidance_promised_is_compared_with_what_came_of_it() {
    // Of the few who are reckoned with nobody follows: they make no queue of their own.
    let (network, mut route) = town_with(&Directions { compliance: 0.01, ..plan() });
    let mut traffic = Traffic::on(&network);
    traffic.speed("2,1>3,1", 3.0);
    assert!(sign(route.update(at(0), &traffic.view())).is_some());
    let said = route.shown.values().next().unwrap().said.advice.clone();
    // The jam dissolves after the vehicles have set out.
    traffic.speed("2,1>3,1", 70.0);
    for n in 1..40 {
        traffic.change += 1;
        route.update(at(30 * n), &traffic.view());
    }
    let report = route.report();
    let saving = report.saving_s.unwrap();
    assert!(saving.predicted >= 60.0, "{report:?}");
    assert!(saving.realised < saving.predicted / 2.0, "{report:?}");
    let way = report.told_way_s.unwrap();
    assert!((way.realised - way.predicted).abs() < 0.3 * way.predicted, "{report:?}");
    // It came and it went, once each.
    assert_eq!((report.flips, report.flips_worst_hour), (2, 2));
    let hours = 39.0 * 30.0 / 3_600.0;
    assert!((report.flips_per_sign_hour - 2.0 / hours).abs() < 0.01, "{report:?}");
    let dwell = report.dwell_s.unwrap();
    assert_eq!(dwell.of, 1);
    assert!(dwell.least >= 30.0, "{report:?}");
    assert!(report.told_road_min > 0.0 && report.overloaded_road_min < 1e-9, "{report:?}");
    assert!(report.diverted.reckoned.unwrap() > 0.0, "{report:?}");
    assert_eq!(report.diverted.measured, Some(0.0), "nobody followed");
    assert!(!said.usual.is_empty() && said.usual != said.way);
}

#[test]
fn a_told_way_that_fills_is_counted_as_overloaded() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    route.update(at(0), &traffic.view());
    let told: BTreeSet<SegmentId> =
        route.shown.values().flat_map(|shown| shown.said.advice.stem[1..].to_vec()).collect();
    for &id in &told {
        traffic.speed(&network.segment(id).name.clone(), 5.0);
    }
    route.update(at(60), &traffic.view());
    let report = route.report();
    let roads = told.len() as f64;
    assert_eq!((report.told_road_min, report.overloaded_road_min), (roads, roads));
}

#[test]
fn areas_address_each_approach_once() {
    let (network, mut route) = town();
    let mut traffic = Traffic::on(&network);
    traffic.close("2,1>3,1", "works");
    let directions = route.update(at(0), &traffic.view());
    let mut addressed = Vec::new();
    for direction in &directions {
        let Audience::Area { tile, part } = &direction.audience else { continue };
        assert!(part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        for &id in &direction.applies_on {
            assert_eq!(network.tile(id), *tile);
            addressed.push(id);
        }
        assert!(direction.applies_on.contains(&direction.way[0]));
    }
    assert!(addressed.contains(&network.id("1,1>2,1")) && addressed.len() > 2);
    let count = addressed.len();
    addressed.sort();
    addressed.dedup();
    assert_eq!(addressed.len(), count);
    assert!(!addressed.contains(&network.id("2,1>3,1")));
}

#[test]
fn the_same_traffic_gives_the_same_directions() {
    let run = || {
        let (network, mut route) = town();
        let mut traffic = Traffic::on(&network);
        traffic.close("2,1>3,1", "works");
        traffic.speed("2,0>3,0", 4.0);
        route.update(at(0), &traffic.view())
    };
    assert_eq!(run(), run());
}

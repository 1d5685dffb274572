//! Travel times of the moment, how far each can be trusted, and what is usual.
//!
//! Most segments have no detector. What is assumed of them comes from their neighbours, and where
//! those know nothing either it is chosen so that a saving is never larger for not knowing. What is
//! usual (free flow, traffic) is learnt; a limit and a number of lanes stand in for it until then.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::{CongestionLevel, SegmentState, View};
use crate::domain::network::{Costs, DetectorKind, Network, Segment, SegmentId, Turn};
use crate::domain::packed::Packed;

/// Share of free-flow speed assumed where nothing is known, not even of neighbours: the middle of
/// "heavy".
const UNKNOWN_SHARE: f64 = 0.8;

/// Share assumed where a queue stands and no speed was measured: the middle of "stationary".
const STATIONARY_SHARE: f64 = 0.05;

/// A measured speed below this is taken as this, walking pace: a window in which nobody moved must
/// not make a street last for hours.
const MIN_SPEED_KMH: f64 = 3.0;

/// Seconds lost at a signal where they are not measured (see `Penalties::TYPICAL`). A camera sees
/// them; a loop sees the speed of who passes it.
const SIGNAL_S: f64 = 8.0;

/// Weight of the newest window in the time of a segment: a single vehicle at a red light is no jam.
const NEWEST: f64 = 0.6;

/// Weight of one window in the usual traffic, once there have been as many.
const USUAL_WINDOWS: u32 = 20;

/// Weights of a shorter and of a longer time in what is learnt as free flow: settles near the 15th
/// percentile or so.
const FREE_DOWN: f64 = 0.25;
const FREE_UP: f64 = 0.02;

/// Traffic of a lane whose traffic is unknown, vehicles a second: a fifth or so of its capacity.
const UNKNOWN_LANE_VEH_S: f64 = 0.06;

/// What a lane lets through, vehicles a second: 1,800 an hour, half of it at a signal.
const LANE_VEH_S: f64 = 0.5;
const SIGNAL_LANE_VEH_S: f64 = 0.25;

/// Seconds in which a camera counts the vehicles that it sees (wire.md, `period_s`): of those, some
/// were there before.
const CAMERA_PERIOD_S: f64 = 30.0;
/// Seconds in which a loop's vehicles were counted.
const LOOP_PERIOD_S: f64 = 60.0;

/// How much neighbours say of a segment without a detector, against `PRIOR` for what is assumed
/// anyway: queues grow against the traffic, so the road ahead says more than the one behind.
const FROM_AHEAD: f64 = 1.0;
const FROM_BEHIND: f64 = 0.4;
const PRIOR: f64 = 0.5;

/// What one segment has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    last: SegmentState,
    /// Smoothed seconds to pass it, while it is measured.
    time_s: Option<f64>,
    /// Vehicles a second in the newest window.
    veh_s: Option<f64>,
    free_s: Option<f64>,
    /// Usual traffic, vehicles a second, and the windows it was learnt from.
    usual_veh_s: f64,
    windows: u32,
}

impl Track {
    fn more_veh_s(&self) -> Option<f64> {
        self.veh_s.filter(|_| self.windows > 0).map(|veh_s| veh_s - self.usual_veh_s)
    }
}

/// Learns from one look to the next.
#[derive(Debug)]
pub(super) struct Memory {
    tracks: Vec<Track>,
    /// By segment index: whether a camera sees all of it.
    seen_whole: Vec<bool>,
    giving_way: Arc<BTreeSet<(SegmentId, SegmentId)>>,
    /// By segment index.
    lane_veh_s: Arc<Vec<f64>>,
}

/// What is learnt of each segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Learnt(Packed<Vec<Track>>);

impl Memory {
    pub(super) fn new(network: &Network) -> Self {
        let count = network.segments.len();
        let mut seen_whole = vec![false; count];
        for detector in network.detectors.iter().filter(|d| d.kind == DetectorKind::Camera) {
            seen_whole[detector.segment.0 as usize] = true;
        }
        let giving_way = Arc::new(network.giving_way());
        let lane_veh_s =
            Arc::new(network.segment_ids().map(|id| lane_veh_s(network, id)).collect());
        Self { tracks: vec![Track::default(); count], seen_whole, giving_way, lane_veh_s }
    }

    pub(super) fn state(&self) -> Learnt {
        Learnt(Packed::Value(self.tracks.clone()))
    }

    /// What was learnt on another network is not taken up.
    pub(super) fn restore(&mut self, learnt: Learnt) {
        if let Some(tracks) = learnt.0.value().filter(|tracks| tracks.len() == self.tracks.len()) {
            self.tracks = tracks;
        }
    }

    /// Takes what has been measured since the last look.
    pub(super) fn observe(&mut self, network: &Network, view: &View<'_>) {
        // What a closure does to the traffic is not usual.
        let ordinary = view.all_shut().next().is_none();
        for id in network.segment_ids() {
            let state = view.state(id);
            let seen_whole = self.seen_whole[id.0 as usize];
            let track = &mut self.tracks[id.0 as usize];
            if state == track.last {
                continue;
            }
            track.last = state;
            let Some(time_s) = measured_s(network.segment(id), state, seen_whole) else {
                (track.time_s, track.veh_s) = (None, None);
                continue;
            };
            let smooth_s = track.time_s.map_or(time_s, |old| old + NEWEST * (time_s - old));
            track.time_s = Some(smooth_s);
            track.veh_s = traffic_veh_s(state, time_s, seen_whole);
            if !ordinary {
                continue;
            }
            let driven = state.vehicles.is_some_and(|vehicles| vehicles >= 1.0);
            if driven {
                let free_s = track.free_s.unwrap_or_else(|| by_limit_s(network.segment(id)));
                let weight = if time_s < free_s { FREE_DOWN } else { FREE_UP };
                track.free_s = Some(free_s + weight * (time_s - free_s));
            }
            if let Some(veh_s) = track.veh_s {
                track.windows = (track.windows + 1).min(USUAL_WINDOWS);
                track.usual_veh_s += (veh_s - track.usual_veh_s) / f64::from(track.windows);
            }
        }
    }

    /// Vehicles a second that usually use the segment, as far as is known.
    fn usual_veh_s(&self, network: &Network, id: SegmentId) -> f64 {
        let track = &self.tracks[id.0 as usize];
        if track.windows > 0 {
            track.usual_veh_s
        } else {
            f64::from(network.segment(id).lanes.max(1)) * UNKNOWN_LANE_VEH_S
        }
    }
}

/// What a lane at the end of the segment lets through, vehicles a second. Where roads run into each
/// other without a signal those take turns; four let through 450 an hour each (Highway Capacity
/// Manual 2010, chapter 20, all-way stop), and a wider road goes first.
fn lane_veh_s(network: &Network, id: SegmentId) -> f64 {
    let segment = network.segment(id);
    if segment.to_signal {
        return SIGNAL_LANE_VEH_S;
    }
    let onward = network.outgoing(id).iter().filter(|c| c.leads_on());
    let others: BTreeSet<SegmentId> = onward
        .flat_map(|c| network.incoming(c.to))
        .filter(|c| c.leads_on())
        .filter(|c| c.from != id && network.segment(c.from).lanes >= segment.lanes)
        .map(|c| c.from)
        .collect();
    LANE_VEH_S / (1 + others.len()) as f64
}

/// Seconds to pass the segment at its limit, with the mean wait at a signal.
fn by_limit_s(segment: &Segment) -> f64 {
    segment.free_flow_s() + if segment.to_signal { SIGNAL_S } else { 0.0 }
}

/// Seconds to pass the segment by the newest window, if it said something.
fn measured_s(segment: &Segment, state: SegmentState, seen_whole: bool) -> Option<f64> {
    let share = match (state.level?, state.speed_kmh) {
        (_, Some(speed)) => speed.max(MIN_SPEED_KMH) / segment.speed_limit_kmh,
        (CongestionLevel::Stationary, None) => STATIONARY_SHARE,
        // Only an empty road is known without a speed.
        (_, None) => 1.0,
    };
    // Faster than the limit is not counted on.
    let rolling_s = segment.free_flow_s() / share.min(1.0);
    let waits = segment.to_signal && !seen_whole;
    Some(rolling_s + if waits { SIGNAL_S } else { 0.0 })
}

fn traffic_veh_s(state: SegmentState, time_s: f64, seen_whole: bool) -> Option<f64> {
    let vehicles = state.vehicles?;
    // Of the vehicles that a camera sees in its period, those of one passage were there before.
    let seconds = if seen_whole { CAMERA_PERIOD_S + time_s } else { LOOP_PERIOD_S };
    Some(vehicles / seconds)
}

/// Travel times and traffic of one moment.
#[derive(Debug)]
pub(super) struct Times {
    /// By speed limits, closures not regarded: how drivers know the town.
    pub(super) free: Costs,
    /// Expected now; segments that nobody can pass infinite.
    pub(super) now: Costs,
    /// How far the expectation is measured: 1 by the segment's own detector, 0 not at all.
    trust: Vec<f64>,
    /// Vehicles a second that usually use each segment.
    pub(super) usual_veh_s: Vec<f64>,
    /// Vehicles a second more than usual, where there is a detector.
    more_veh_s: Vec<Option<f64>>,
    /// Vehicles a second that each segment lets through.
    pub(super) capacity_veh_s: Vec<f64>,
    /// When nothing is in the way, signals included.
    pub(super) quiet: Costs,
    /// Moves that cross the way of those who come towards them.
    pub(super) giving_way: Arc<BTreeSet<(SegmentId, SegmentId)>>,
    /// Vehicles a second that a lane at the end of each segment lets through.
    pub(super) lane_veh_s: Arc<Vec<f64>>,
}

impl Times {
    pub(super) fn of(network: &Network, view: &View<'_>, memory: &Memory) -> Self {
        let free = Costs::free_flow(network);
        let quiet = |id: SegmentId| {
            let segment = network.segment(id);
            let learnt_s = memory.tracks[id.0 as usize].free_s;
            learnt_s.unwrap_or_else(|| by_limit_s(segment)).max(segment.free_flow_s())
        };
        let quiet = Costs::of(network.segment_ids().map(quiet).collect());
        let (shares, trust) = shares(network, memory, &quiet);
        let mut now = free.clone();
        for id in network.segment_ids().filter(|&id| network.segment(id).cars_allowed) {
            now.set(id, quiet.get(id) / shares[id.0 as usize]);
        }
        for id in view.all_shut() {
            now.close(id);
        }
        let own = |id: SegmentId| {
            f64::from(network.segment(id).lanes.max(1)) * memory.lane_veh_s[id.0 as usize]
        };
        // No more can leave a road than the roads after it let through; where there is a detector it
        // shows.
        let capacity = |id: SegmentId| {
            let cars = network.outgoing(id).iter().filter(|c| c.cars_allowed);
            let onward: f64 = cars.map(|c| own(c.to)).sum();
            let bound = onward > 0.0 && trust[id.0 as usize] < 1.0;
            if bound { own(id).min(onward) } else { own(id) }
        };
        let capacity_veh_s = network.segment_ids().map(capacity).collect();
        Self {
            free,
            now,
            trust,
            usual_veh_s: network.segment_ids().map(|id| memory.usual_veh_s(network, id)).collect(),
            more_veh_s: memory.tracks.iter().map(Track::more_veh_s).collect(),
            capacity_veh_s,
            quiet,
            giving_way: Arc::clone(&memory.giving_way),
            lane_veh_s: Arc::clone(&memory.lane_veh_s),
        }
    }

    /// Vehicles a second more than usual on the segment; absent where that is not measured.
    pub(super) fn more_veh_s(&self, id: SegmentId) -> Option<f64> {
        self.more_veh_s.get(id.0 as usize).copied().flatten()
    }

    /// Seconds lost on a way against free flow, as far as is measured.
    pub(super) fn delay_s(&self, way: &[SegmentId]) -> f64 {
        let lost =
            |id: SegmentId| (self.now.get(id) - self.quiet.get(id)) * self.trust[id.0 as usize];
        way.iter().map(|&id| lost(id)).filter(|s| s.is_finite()).sum::<f64>().max(0.0)
    }
}

/// The share of free flow on every segment and how far it is measured.
fn shares(network: &Network, memory: &Memory, quiet: &Costs) -> (Vec<f64>, Vec<f64>) {
    let count = network.segments.len();
    let mut known: Vec<Option<(f64, f64)>> = vec![None; count];
    for (at, track) in memory.tracks.iter().enumerate() {
        if let Some(time_s) = track.time_s {
            let quiet_s = quiet.get(SegmentId(at as u32));
            known[at] = Some(((quiet_s / time_s.max(f64::MIN_POSITIVE)).min(1.0), 1.0));
        }
    }
    // Twice: from detectors to their neighbours, and on to theirs.
    for _ in 0..2 {
        let before = known.clone();
        for id in network.segment_ids() {
            if before[id.0 as usize].is_none() {
                known[id.0 as usize] = by_neighbours(network, &before, id);
            }
        }
    }
    let share = |k: &Option<(f64, f64)>| k.map_or(UNKNOWN_SHARE, |(share, _)| share);
    let trust = |k: &Option<(f64, f64)>| k.map_or(0.0, |(_, trust)| trust);
    (known.iter().map(share).collect(), known.iter().map(trust).collect())
}

fn by_neighbours(
    network: &Network,
    known: &[Option<(f64, f64)>],
    id: SegmentId,
) -> Option<(f64, f64)> {
    let ahead = network.outgoing(id).iter().map(|c| (c, c.to, FROM_AHEAD));
    let behind = network.incoming(id).iter().map(|c| (c, c.from, FROM_BEHIND));
    let (mut sum, mut weights) = (0.0, 0.0);
    for (c, neighbour, weight) in ahead.chain(behind) {
        let Some((share, trust)) = known[neighbour.0 as usize] else { continue };
        if !c.leads_on() {
            continue;
        }
        let turning = if c.turn == Turn::Straight { 1.0 } else { 0.5 };
        sum += share * weight * trust * turning;
        weights += weight * trust * turning;
    }
    (weights > 0.0).then(|| {
        let share = (sum + PRIOR * UNKNOWN_SHARE) / (weights + PRIOR);
        (share, 0.5 * weights / (weights + PRIOR))
    })
}

//! What advice puts on the roads before any detector sees it.
//!
//! Counted by moves: a road of three lanes of which one turns left lets a third of its traffic turn
//! left. Knows nothing of who is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::network::{Connection, Costs, Network, SegmentId};
use crate::domain::time::Timestamp;

use super::flows;
use super::times::Times;

/// Traffic above this share of what a road lets through makes a queue: arrivals are not even.
const QUEUES_FROM: f64 = 0.75;

/// For how long a queue of our own making grows before it is measured and regarded.
const UNSEEN_S: f64 = 120.0;

/// Seconds that a way costs more for each full road's worth of advised traffic, even while there is
/// room: so that ways of one length are shared.
const SHARING_S: f64 = 20.0;

/// What a single lane lets through at a signal where it must give way to those coming towards it,
/// vehicles a second. 600 vehicles an hour towards it leave gaps for 830 turns an hour of green
/// (Highway Capacity Manual 2010, chapter 31, permitted left turns: critical headway 4.5 s,
/// follow-up 2.5 s), and green is four tenths of the time or so.
const GIVING_WAY_VEH_S: f64 = 0.1;

/// Vehicles a second over each move.
pub(super) type Moves = BTreeMap<(SegmentId, SegmentId), f64>;

/// Vehicles a second that advice sends over each move.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Sent lately, fading.
    lately: Moves,
    at: Option<Timestamp>,
    /// Sent by what is said now.
    #[serde(skip)]
    sent: Moves,
    /// The share that gets through in time, where it is not all.
    #[serde(skip)]
    through: Moves,
}

impl Load {
    pub(super) fn step(&mut self, by: i64) {
        self.at = self.at.map(|at| at.moved(by));
    }

    /// Time goes on: what was sent since the last look joins what was sent lately.
    pub(super) fn pass<'w>(
        &mut self,
        now: Timestamp,
        roads: Roads<'_>,
        loads: impl Iterator<Item = &'w (Vec<SegmentId>, f64)>,
        decay: Duration,
    ) {
        let loads: Vec<_> = loads.collect();
        (self.sent, self.through) = (Moves::new(), Moves::new());
        for (way, veh_s) in &loads {
            self.add(way, *veh_s);
        }
        self.through = roads.through(&self.sent);
        self.sent.clear();
        for (way, veh_s) in loads {
            self.add(way, *veh_s);
        }
        let sent = &self.sent;
        let passed = self.at.map_or(Duration::ZERO, |at| now.since(at)).as_secs_f64();
        let kept = (-passed / decay.as_secs_f64().max(1.0)).exp();
        for (&id, &veh_s) in sent {
            let lately = self.lately.entry(id).or_default();
            *lately += (veh_s - *lately) * (1.0 - kept);
        }
        for (id, lately) in &mut self.lately {
            if !sent.contains_key(id) {
                *lately *= kept;
            }
        }
        self.lately.retain(|_, veh_s| *veh_s > 1e-3);
        self.at = Some(now);
    }

    /// Sends so many vehicles a second over a way that begins with the road they are on already.
    /// Of those who must pass a turn that lets through fewer, that share goes on beyond it.
    pub(super) fn add(&mut self, way: &[SegmentId], veh_s: f64) {
        let mut on = veh_s;
        for pair in way.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            *self.sent.entry((from, to)).or_default() += on;
            on *= self.through.get(&(from, to)).copied().unwrap_or(1.0);
        }
    }

    pub(super) fn take(&mut self, way: &[SegmentId], veh_s: f64) {
        self.add(way, -veh_s);
    }

    /// Travel times now, with what is sent.
    pub(super) fn costs(&self, roads: Roads<'_>) -> Costs {
        let Roads { network, times } = roads;
        let mut costs = times.now.clone();
        let (sent, lately) = (by_road(&self.sent), by_road(&self.lately));
        let mut of_roads: BTreeMap<SegmentId, f64> = BTreeMap::new();
        for id in sent.keys().chain(lately.keys().filter(|id| !sent.contains_key(id))) {
            let veh_s = most(&sent, &lately, id);
            let capacity_veh_s = times.capacity_veh_s[id.0 as usize];
            let queue_s = queue_s(times.usual_veh_s[id.0 as usize], veh_s, capacity_veh_s);
            of_roads.insert(*id, queue_s);
            costs.set(*id, costs.get(*id) + queue_s + SHARING_S * veh_s / capacity_veh_s);
        }
        let (sent, lately) = (&self.sent, &self.lately);
        for at in sent.keys().chain(lately.keys().filter(|at| !sent.contains_key(at))) {
            let Some(connection) = network.connection(at.0, at.1) else { continue };
            let Turning { usual_veh_s, capacity_veh_s } = roads.turn(connection);
            let queue_s = queue_s(usual_veh_s, most(sent, lately, at), capacity_veh_s);
            // Both queues stand at the end of one road: the longer one counts.
            let more_s = queue_s - of_roads.get(&at.0).copied().unwrap_or_default();
            if more_s > 0.0 {
                costs.set_move(at.0, at.1, more_s);
            }
        }
        costs
    }
}

/// Vehicles a second that are sent into each road.
fn by_road(moves: &Moves) -> BTreeMap<SegmentId, f64> {
    let mut by_road: BTreeMap<SegmentId, f64> = BTreeMap::new();
    for (&(_, to), &veh_s) in moves {
        *by_road.entry(to).or_default() += veh_s;
    }
    by_road
}

fn most<K: Ord>(sent: &BTreeMap<K, f64>, lately: &BTreeMap<K, f64>, at: &K) -> f64 {
    let of = |load: &BTreeMap<K, f64>| load.get(at).copied().unwrap_or_default();
    of(sent).max(of(lately)).max(0.0)
}

/// Seconds in a queue of our own making where so many vehicles a second are sent beside the usual
/// ones.
fn queue_s(usual_veh_s: f64, sent_veh_s: f64, capacity_veh_s: f64) -> f64 {
    let queue_s = |veh_s: f64| (veh_s / capacity_veh_s - QUEUES_FROM).max(0.0) * UNSEEN_S;
    queue_s(usual_veh_s + sent_veh_s) - queue_s(usual_veh_s)
}

/// The roads of a network as they are now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roads<'a> {
    pub(super) network: &'a Network,
    pub(super) times: &'a Times,
}

/// Traffic of one move.
struct Turning {
    usual_veh_s: f64,
    /// What its lanes let through.
    capacity_veh_s: f64,
}

impl Roads<'_> {
    /// The share of what is sent that each move lets through, where it is not all.
    fn through(&self, sent: &Moves) -> Moves {
        let share = |(&at, &veh_s): (&(SegmentId, SegmentId), &f64)| {
            let turn = self.turn(self.network.connection(at.0, at.1)?);
            (veh_s > turn.capacity_veh_s).then(|| (at, turn.capacity_veh_s / veh_s))
        };
        sent.iter().filter_map(share).collect()
    }

    fn turn(&self, connection: &Connection) -> Turning {
        let Self { network, times } = *self;
        let share = flows::turning_share(network, times, connection);
        let usual_veh_s = times.usual_veh_s[connection.from.0 as usize] * share;
        let lanes = connection.lanes.max(1);
        // Where two lanes turn across they have a green of their own.
        let gives_way = lanes == 1 && times.giving_way.contains(&(connection.from, connection.to));
        let own_veh_s = times.lane_veh_s[connection.from.0 as usize];
        let lane_veh_s = if gives_way { GIVING_WAY_VEH_S } else { own_veh_s };
        // What passes without a queue on usual days fits.
        let capacity_veh_s = (f64::from(lanes) * lane_veh_s).max(usual_veh_s / QUEUES_FROM);
        Turning { usual_veh_s, capacity_veh_s }
    }
}

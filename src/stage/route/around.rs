//! The ways round one trouble: which there are from a place, and what each would take.
//!
//! Nobody knows where drivers are bound, so a way is judged by all the roads beyond the trouble (its
//! gates): drivers follow what they are told as far as that goes, and their own map from there.
//! Where no detour but one over a turn-about is left, there is none: nobody is told to turn around,
//! on a road or in a junction. Knows nothing of who is told, or of what was said before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::network::{Connection, Costs, Network, Penalties, Router, SegmentId, Tree};

use super::flows::{self, Gate};
use super::load::{Load, Roads};
use super::times::Times;
use super::trouble::Trouble;

/// Gates to which the fastest way is a candidate, and further ways to the first of them.
const GATES_TRIED: usize = 3;
const ALTERNATIVES: usize = 2;

/// A further way is looked for as if the roads of those before it took this much longer.
const OTHERWISE: f64 = 1.6;

/// A gate weighs by this much less for as many seconds more than its direct way that a driver would
/// need by way of the trouble: nobody goes far out of his way.
const OUT_OF_THE_WAY_S: f64 = 30.0;

/// Where the gates weigh less than this together, next to nobody would come upon the trouble.
const LEAST_BOUND: f64 = 0.2;

/// A way that is told no further than another one and takes no more than this factor longer is
/// preferred: it leaves more to drivers, who know where they are bound.
const SHORTER: f64 = 1.005;

/// Ways by the map that have been worked out: they depend on the network and on what is avoided.
#[derive(Debug, Default)]
pub(super) struct Maps(BTreeMap<(SegmentId, Driver, BTreeSet<SegmentId>), Arc<Tree>>);

/// Whose way by the map it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Driver {
    /// Finds it himself, and turns around where that is allowed.
    Alone,
    /// Is led: nowhere by turning around.
    Led,
}

impl Driver {
    fn router(self, network: &Network, penalties: Penalties) -> Router<'_> {
        let penalties = match self {
            Self::Alone => penalties,
            Self::Led => penalties.never_around(),
        };
        Router::with_penalties(network, penalties)
    }
}

/// Bytes that each store of trees may take, and what a segment takes in a tree.
const TREES_BYTES: usize = 128 << 20;
const TREE_BYTES_A_SEGMENT: usize = 20;

/// Trees that are kept at most.
pub(super) fn most_trees(network: &Network) -> usize {
    TREES_BYTES / (TREE_BYTES_A_SEGMENT * network.segments.len().max(1))
}

impl Maps {
    fn tree_to(
        &mut self,
        network: &Network,
        times: &Times,
        to: SegmentId,
        driver: Driver,
        avoid: &BTreeSet<SegmentId>,
    ) -> Arc<Tree> {
        let key = (to, driver, avoid.clone());
        if let Some(tree) = self.0.get(&key) {
            return Arc::clone(tree);
        }
        let mut costs = times.free.clone();
        for &id in avoid {
            costs.close(id);
        }
        let router = driver.router(network, Penalties::SPEED_LIMITS);
        let tree = Arc::new(router.tree_to(to, &costs));
        if self.0.len() >= most_trees(network) {
            self.0.clear();
        }
        self.0.insert(key, Arc::clone(&tree));
        tree
    }
}

/// A gate as drivers reach it by their own map.
#[derive(Debug)]
struct Reached {
    gate: Gate,
    /// To the gate, not over what is avoided, for who is led.
    round: Arc<Tree>,
    /// The same for who has been led as far as was told, and finds the rest himself.
    rest: Arc<Tree>,
    /// To the gate, with the trouble open.
    usual: Arc<Tree>,
    /// To the gate, for who knows of the trouble and of nothing else that is shut.
    own: Arc<Tree>,
    /// By segment index, whether the usual way from there meets the trouble.
    meets: Vec<bool>,
}

/// The ways round one trouble at one moment.
#[derive(Debug)]
pub(super) struct Around<'a> {
    network: &'a Network,
    times: &'a Times,
    pub(super) trouble: &'a Trouble,
    /// The trouble, and all that is shut elsewhere: a driver fills the gaps of a way by his own
    /// map, and it must not lead him to another barrier.
    pub(super) avoid: BTreeSet<SegmentId>,
    dead_ends: BTreeSet<SegmentId>,
    never_via: &'a [SegmentId],
    gates: Vec<Reached>,
    /// By the map to the trouble's busiest segment.
    to_trouble: Arc<Tree>,
    busiest: SegmentId,
}

/// A way as far as it is told: from the place on, that included.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) stem: Vec<SegmentId>,
    /// Mean seconds to the gates from the end of the place.
    pub(super) expected_s: f64,
}

/// One place, with the shares of its drivers that are bound for each gate.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) here: SegmentId,
    /// Index into the gates; shares sum to 1.
    shares: Vec<(usize, f64)>,
}

impl<'a> Around<'a> {
    pub(super) fn new(
        network: &'a Network,
        times: &'a Times,
        trouble: &'a Trouble,
        shut: impl Iterator<Item = SegmentId>,
        never_via: &'a [SegmentId],
        maps: &mut Maps,
    ) -> Option<Self> {
        let shut: BTreeSet<SegmentId> = shut.collect();
        let dead_ends = dead_ends(network, &shut);
        let avoid: BTreeSet<SegmentId> = trouble.segments.iter().copied().chain(shut).collect();
        let nobody_gets_on = |id| avoid.contains(&id) || dead_ends.contains(&id);
        // Who goes on through a jam does not go on through what is shut beside it.
        let goes_round_all = |id| trouble.shut && nobody_gets_on(id);
        let all_of_it = joined(network, &trouble.segments, goes_round_all);
        let elsewhere: BTreeSet<SegmentId> = avoid.difference(&all_of_it).copied().collect();
        let alone: BTreeSet<SegmentId> = trouble.segments.iter().copied().collect();
        let mut reached = |gate: Gate| {
            let mut tree =
                |driver, avoid| maps.tree_to(network, times, gate.segment, driver, avoid);
            let usual = tree(Driver::Alone, &elsewhere);
            Reached {
                gate,
                own: tree(Driver::Alone, &alone),
                round: tree(Driver::Led, &avoid),
                rest: tree(Driver::Alone, &avoid),
                meets: usual.passing(|id| trouble.segments.contains(&id)),
                usual,
            }
        };
        let traffic = |id: SegmentId| times.usual_veh_s[id.0 as usize];
        let busiest = trouble
            .segments
            .iter()
            .copied()
            .max_by(|&a, &b| traffic(a).total_cmp(&traffic(b)).then(b.cmp(&a)))?;
        let gates = flows::gates(network, times, &trouble.segments, goes_round_all);
        let gates = gates.into_iter().filter(|gate| !nobody_gets_on(gate.segment));
        let gates = gates.map(&mut reached).collect();
        Some(Self {
            gates,
            to_trouble: maps.tree_to(network, times, busiest, Driver::Alone, &elsewhere),
            busiest,
            network,
            times,
            trouble,
            avoid,
            dead_ends,
            never_via,
        })
    }

    /// Vehicles a second that usually come upon the trouble.
    pub(super) fn traffic_veh_s(&self) -> f64 {
        self.times.usual_veh_s[self.busiest.0 as usize]
    }

    /// Who stands at a place and would meet the trouble; `None` where nobody can go round.
    pub(super) fn place(&self, here: SegmentId) -> Option<Place> {
        let at = here.0 as usize;
        let mut shares: Vec<(usize, f64)> = Vec::new();
        for (i, reached) in self.gates.iter().enumerate() {
            let round = reached.round.travel_time_s(here).is_some();
            if !round || reached.gate.segment == here {
                continue;
            }
            let detour_s = if reached.meets.get(at) == Some(&true) {
                0.0
            } else {
                let to = self.to_trouble.travel_time_s(here);
                let on = reached.usual.travel_time_s(self.busiest);
                let direct = reached.usual.travel_time_s(here);
                match (to, on, direct) {
                    (Some(to), Some(on), Some(direct)) => {
                        to + on - self.times.free.get(self.busiest) - direct
                    }
                    _ => continue,
                }
            };
            let weight = reached.gate.share * (-detour_s.max(0.0) / OUT_OF_THE_WAY_S).exp();
            shares.push((i, weight));
        }
        let all: f64 = shares.iter().map(|(_, share)| share).sum();
        if all < LEAST_BOUND {
            return None;
        }
        for (_, share) in &mut shares {
            *share /= all;
        }
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Some(Place { here, shares })
    }

    /// Travel times under what is sent by now, without what must not be advised.
    pub(super) fn costs(&self, load: &Load, here: SegmentId) -> Costs {
        let mut costs = load.costs(Roads { network: self.network, times: self.times });
        for &id in self.avoid.iter().chain(self.never_via).filter(|id| **id != here) {
            costs.close(id);
        }
        costs
    }

    /// The ways from a place, the best one first.
    pub(super) fn candidates(&self, place: &Place, costs: &Costs) -> Vec<Candidate> {
        let router = self.router(Driver::Led);
        let mut ways: Vec<Vec<SegmentId>> = Vec::new();
        for &(gate, _) in place.shares.iter().take(GATES_TRIED) {
            let to = self.gates[gate].gate.segment;
            ways.extend(router.fastest(place.here, to, costs).map(|way| way.segments));
        }
        if let Some(&(gate, _)) = place.shares.first() {
            let to = self.gates[gate].gate.segment;
            let mut otherwise = costs.clone();
            for _ in 0..ALTERNATIVES {
                for &id in ways.iter().flatten() {
                    otherwise.set(id, costs.get(id) * OTHERWISE);
                }
                ways.extend(router.fastest(place.here, to, &otherwise).map(|way| way.segments));
            }
        }
        // Told so far that the usual way from there no longer meets the trouble.
        let past = |stem: &&[SegmentId]| {
            let last = stem.last().map_or(0, |id| id.0 as usize);
            let first = place.shares.first().map(|(gate, _)| &self.gates[*gate]);
            first.is_none_or(|reached| reached.meets.get(last) != Some(&true))
        };
        let stems: BTreeSet<&[SegmentId]> = ways
            .iter()
            .flat_map(|way| (2..=way.len()).map(|end| &way[..end]))
            .filter(past)
            .collect();
        let mut candidates: Vec<Candidate> = stems
            .into_iter()
            .filter_map(|stem| {
                let expected_s = self.expected_s(place, stem, costs)?;
                Some(Candidate { stem: stem.to_vec(), expected_s })
            })
            .collect();
        candidates.sort_by(|a, b| {
            a.expected_s.total_cmp(&b.expected_s).then_with(|| a.stem.cmp(&b.stem))
        });
        if let Some(best_s) = candidates.first().map(|best| best.expected_s) {
            let near = |c: &Candidate| c.expected_s <= best_s * SHORTER;
            let shortest = candidates
                .iter()
                .enumerate()
                .take_while(|(_, c)| near(c))
                .min_by_key(|(i, c)| (c.stem.len(), *i))
                .map_or(0, |(i, _)| i);
            candidates[..=shortest].rotate_right(1);
        }
        candidates
    }

    /// Mean seconds to the gates of who is told this much of a way. `None` if it is not open, leads
    /// most drivers in a circle or to where they turn around, or some where no advised way may go.
    pub(super) fn expected_s(
        &self,
        place: &Place,
        stem: &[SegmentId],
        costs: &Costs,
    ) -> Option<f64> {
        // What was said before may lead past the gates, over what has been shut since.
        self.seconds(stem, costs)?;
        if stem.last().is_none_or(|last| self.dead_ends.contains(last)) {
            return None;
        }
        let (mut sum_s, mut followed) = (0.0, 0.0);
        for &(gate, share) in &place.shares {
            let (way, follows) = self.driven(place.here, stem, gate)?;
            followed += if follows { share } else { 0.0 };
            sum_s += share * self.seconds(&way, costs)?;
        }
        (followed >= 0.5).then_some(sum_s)
    }

    /// Mean seconds to the gates of who is told nothing and goes on through the trouble; `None`
    /// where that is shut.
    pub(super) fn unguided_s(&self, place: &Place, costs: &Costs) -> Option<f64> {
        let mut sum_s = 0.0;
        for &(gate, share) in &place.shares {
            let way = self.gates[gate].usual.way(place.here)?.segments;
            sum_s += share * self.seconds(&way, costs)?;
        }
        Some(sum_s)
    }

    /// The ways from the place on that drivers take who are told this, with the share of each.
    pub(super) fn loads(&self, place: &Place, stem: &[SegmentId]) -> Vec<(Vec<SegmentId>, f64)> {
        let way = |&(gate, share): &(usize, f64)| {
            let (way, _) = self.driven(place.here, stem, gate)?;
            Some((way, share))
        };
        place.shares.iter().filter_map(way).collect()
    }

    /// The whole way to the gate that most are bound for.
    pub(super) fn way(&self, place: &Place, stem: &[SegmentId]) -> Option<Vec<SegmentId>> {
        let followed = |&(gate, _): &(usize, f64)| {
            let (way, follows) = self.driven(place.here, stem, gate)?;
            // What is told may lead past the gate.
            let whole = if way.len() < stem.len() { stem.to_vec() } else { way };
            follows.then_some(whole)
        };
        place.shares.iter().find_map(followed)
    }

    /// The way of who knows of the trouble alone and goes round it by the map, to the gate that most are
    /// bound for; without the place itself.
    pub(super) fn by_own_map(&self, place: &Place) -> Option<Vec<SegmentId>> {
        let (gate, _) = place.shares.first()?;
        let way = self.gates[*gate].own.way(place.here)?;
        way.segments.get(1..).map(<[_]>::to_vec)
    }

    /// The whole way to a segment, if who is told this gets there by it.
    pub(super) fn to_place(&self, stem: &[SegmentId], to: SegmentId) -> Option<Vec<SegmentId>> {
        if self.dead_ends.contains(&to) {
            return None;
        }
        let mut map = self.times.free.clone();
        for &id in &self.avoid {
            map.close(id);
        }
        let router = Driver::Alone.router(self.network, Penalties::SPEED_LIMITS);
        let rest = router.fastest(*stem.last()?, to, &map)?.segments;
        let way: Vec<SegmentId> = stem.iter().chain(&rest[1..]).copied().collect();
        let barred = way[1..].iter().any(|id| self.never_via.contains(id));
        (!repeats(&way) && !barred && self.leads_on(&way)).then_some(way)
    }

    /// The next segment by the map on the way to the trouble.
    pub(super) fn towards(&self, here: SegmentId) -> Option<SegmentId> {
        self.to_trouble.way(here)?.segments.get(1).copied()
    }

    /// The way to a gate, and whether it follows what is told: nobody follows a sign in a circle, and
    /// who would turn around where what is told ends has not been told enough.
    fn driven(
        &self,
        here: SegmentId,
        stem: &[SegmentId],
        gate: usize,
    ) -> Option<(Vec<SegmentId>, bool)> {
        let reached = &self.gates[gate];
        // Who passes the gate on the way is there.
        if let Some(at) = stem.iter().position(|id| *id == reached.gate.segment) {
            return Some((stem[..=at].to_vec(), true));
        }
        let rest = reached.rest.way(*stem.last()?);
        let told = rest.map(|rest| [stem, &rest.segments[1..]].concat());
        if let Some(way) = told.filter(|way| !repeats(way)) {
            let follows = self.leads_on(&way);
            return Some((way, follows));
        }
        Some((reached.rest.way(here)?.segments, false))
    }

    /// Whether the way nowhere turns around.
    fn leads_on(&self, way: &[SegmentId]) -> bool {
        let mut moves = way.windows(2);
        moves
            .all(|pair| self.network.connection(pair[0], pair[1]).is_some_and(Connection::leads_on))
    }

    /// Seconds from the end of the way's first segment to the end of its last one.
    fn seconds(&self, way: &[SegmentId], costs: &Costs) -> Option<f64> {
        let first = *way.first()?;
        let whole_s = self.router(Driver::Alone).travel_time_s(way, costs)?;
        Some(whole_s - costs.get(first))
    }

    /// Signals are in the travel times.
    fn router(&self, driver: Driver) -> Router<'a> {
        driver.router(self.network, Penalties { signal_s: 0.0, ..Penalties::TYPICAL })
    }
}

/// The trouble with what is shut next to it: for who is bound beyond, that is one shut road.
fn joined(
    network: &Network,
    trouble: &[SegmentId],
    goes_round_all: impl Fn(SegmentId) -> bool,
) -> BTreeSet<SegmentId> {
    let mut joined: BTreeSet<SegmentId> = trouble.iter().copied().collect();
    let mut open: Vec<SegmentId> = trouble.to_vec();
    while let Some(at) = open.pop() {
        let after = network.outgoing(at).iter().map(|c| (c, c.to));
        let before = network.incoming(at).iter().map(|c| (c, c.from));
        for (c, next) in after.chain(before) {
            if c.leads_on() && goes_round_all(next) && joined.insert(next) {
                open.push(next);
            }
        }
    }
    joined
}

/// The segments to name so that nobody can take another way: each that is one of several onward
/// roads, and the last.
pub(super) fn via(network: &Network, stem: &[SegmentId]) -> Vec<SegmentId> {
    let choice =
        |from: SegmentId| network.outgoing(from).iter().filter(|c| c.cars_allowed).count() > 1;
    let last = stem.len().saturating_sub(1);
    let told = stem.windows(2).enumerate();
    told.filter(|(i, pair)| choice(pair[0]) || i + 1 == last).map(|(_, pair)| pair[1]).collect()
}

/// The segments from which nobody gets on but over shut ones or by turning around: a closure reaches
/// back that far, and no way that is told ends there.
pub(super) fn dead_ends(network: &Network, shut: &BTreeSet<SegmentId>) -> BTreeSet<SegmentId> {
    let mut dead = shut.clone();
    let mut open: Vec<SegmentId> = shut.iter().copied().collect();
    while let Some(at) = open.pop() {
        for before in network.incoming(at).iter().filter(|c| c.leads_on()).map(|c| c.from) {
            let mut onward = network.outgoing(before).iter().filter(|c| c.leads_on());
            if onward.all(|c| dead.contains(&c.to)) && dead.insert(before) {
                open.push(before);
            }
        }
    }
    dead
}

fn repeats(way: &[SegmentId]) -> bool {
    let mut sorted = way.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

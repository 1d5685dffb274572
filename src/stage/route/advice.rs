//! What to tell whoever is on one segment about one trouble: who of them would meet it, which other
//! way is best, and how to name that way so that a driver really drives it.
//!
//! Knows nothing of signs, of tiles, or of what was said before.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::congestion::{CongestionLevel, View};
use crate::domain::direction::{Cause, Evidence, WeighedWay};
use crate::domain::network::{Costs, Network, Penalties, Router, SegmentId, Tree, Turn, Way, fold};
use crate::plan::Directions;

use super::destinations::{Destination, Destinations};
use super::times::Times;
use super::trouble::{self, Trouble};

/// A way with road names to follow is preferred to "another way" and to a faster way with worse
/// names while it is slower by no more than this factor ...
const NAMED_WAY_FACTOR: f64 = 1.05;
/// ... and these seconds.
const NAMED_WAY_SLACK_S: f64 = 10.0;

/// Roads of the advised way that are tried, alone and in pairs, as its names.
const MAX_NAMED_ROADS: usize = 6;

/// Segments of a trouble whose windows are given as evidence.
const MAX_EVIDENCE: usize = 5;

/// The facts for whoever is on one segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Advice {
    pub(super) here: SegmentId,
    pub(super) cause: Cause,
    pub(super) level: Option<CongestionLevel>,
    pub(super) avoid: Vec<SegmentId>,
    pub(super) via: Vec<SegmentId>,
    /// From `here` to the destination that is affected most.
    pub(super) way: Vec<SegmentId>,
    pub(super) turn: Option<Turn>,
    pub(super) goal: SegmentId,
    pub(super) destination: Option<usize>,
    pub(super) delay_s: Option<u32>,
    pub(super) saving_s: Option<u32>,
    /// Seconds saved, negative where the advised way is slower; zero for closures.
    pub(super) gain_s: f64,
    /// Whether the way round has a segment as congested as what is avoided for.
    pub(super) filled: bool,
    /// The longest segment that only the way round uses: who shares it shares the alternative.
    pub(super) alternative: SegmentId,
    /// The trouble's lowest segment, which tells one trouble from another.
    pub(super) trouble: SegmentId,
    /// What is closed anywhere, as far as it is in `avoid`.
    pub(super) closed: Vec<SegmentId>,
    /// Seconds that the way takes now.
    pub(super) time_s: f64,
    /// Metres of road to the trouble.
    pub(super) distance_m: f64,
    /// What one trip there is worth: saving times weight.
    pub(super) worth: f64,
    pub(super) evidence: Evidence,
}

/// One destination whose usual way meets the trouble, and the fastest way round.
#[derive(Clone, Debug)]
struct Trip {
    to: Destination,
    usual: Vec<SegmentId>,
    fastest: Way,
    /// Seconds saved by `fastest`; for closures none is worked out here.
    saving_s: f64,
}

/// Who on `here` is concerned by a trouble: a reason to look closer.
#[derive(Clone, Debug)]
struct Case {
    here: SegmentId,
    trouble: usize,
    /// First the trouble's segment that is met first.
    avoid: Vec<SegmentId>,
    trips: Vec<Trip>,
    /// Index of the trip that is affected most.
    most: usize,
}

/// How drivers fill in the way, given roads to pass.
#[derive(Clone, Debug)]
struct Offer {
    via: Vec<SegmentId>,
    /// One a trip of the case.
    driven: Vec<Way>,
    /// Mean travel time now, over the trips by weight.
    mean_s: f64,
}

/// The usual ways from a segment, which depend on the network alone.
pub(super) type Usual = BTreeMap<SegmentId, Arc<Tree>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    /// Current times, without what is avoided, closed, or never advised.
    Now,
    /// A driver's map: speed limits, without what is avoided.
    Map,
}

/// All that holds at one moment.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    network: &'a Network,
    plan: &'a Directions,
    view: &'a View<'a>,
    destinations: &'a Destinations,
    usual: &'a mut Usual,
    times: Times,
    pub(super) troubles: Vec<Trouble>,
    trees: BTreeMap<(By, SegmentId, Vec<SegmentId>), Arc<Tree>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        network: &'a Network,
        plan: &'a Directions,
        view: &'a View<'a>,
        destinations: &'a Destinations,
        usual: &'a mut Usual,
    ) -> Self {
        let times = Times::of(network, view);
        let troubles = trouble::find(network, view, &times.hopeful, plan.speak_from, plan.reach_m);
        let trees = BTreeMap::new();
        Self { network, plan, view, destinations, usual, times, troubles, trees }
    }

    /// The direction that serves `here` best: for the nearest closure, else for the trouble whose
    /// avoiding saves most.
    pub(super) fn best(&mut self, here: SegmentId) -> Option<Advice> {
        let min_saving_s = self.plan.min_saving.as_secs_f64();
        let mut cases: Vec<Case> = (0..self.troubles.len())
            .filter_map(|trouble| self.case(here, trouble, min_saving_s, None))
            .collect();
        let rank = |case: &Case| {
            let trouble = &self.troubles[case.trouble];
            match trouble.cause {
                Cause::Closure => (0, trouble.upstream.get(&here).copied().unwrap_or_default()),
                Cause::Congestion | Cause::Incident => (1, -case.worth()),
            }
        };
        cases.sort_by(|a, b| {
            let ((kind_a, rank_a), (kind_b, rank_b)) = (rank(a), rank(b));
            kind_a.cmp(&kind_b).then(rank_a.total_cmp(&rank_b)).then(a.trouble.cmp(&b.trouble))
        });
        cases.into_iter().find_map(|case| {
            let offer = self.choose(&case)?;
            let advice = self.advice(&case, &offer)?;
            // From one jam into another is no advice.
            let pays = advice.gain_s >= min_saving_s && !advice.filled;
            (advice.cause == Cause::Closure || pays).then_some(advice)
        })
    }

    /// The same advice as before under today's figures; `None` if it no longer holds: the trouble
    /// is over, nobody on `here` is concerned any more, or the way is not open.
    pub(super) fn again(&mut self, before: &Advice) -> Option<Advice> {
        let at = before.avoid.first()?;
        let trouble = self
            .troubles
            .iter()
            .position(|t| t.cause == before.cause && t.segments.contains(at))?;
        let case = self.case(before.here, trouble, f64::NEG_INFINITY, Some(before.goal))?;
        let avoid = self.avoid(&self.troubles[trouble].segments, Some(*at));
        let case = Case { avoid, ..case };
        let offer = self.offer(&case, &before.via)?;
        self.advice(&case, &offer)
    }

    fn router(&self) -> Router<'a> {
        Router::new(self.network)
    }

    fn usual_from(&mut self, here: SegmentId) -> Arc<Tree> {
        let router = self.router();
        let free = &self.times.free;
        self.usual.entry(here).or_insert_with(|| Arc::new(router.tree_from(here, free))).clone()
    }

    fn tree(&mut self, by: By, root: SegmentId, avoid: &[SegmentId]) -> Arc<Tree> {
        let mut key = (by, root, avoid.to_vec());
        // The order of what is avoided changes nothing.
        key.2.sort_unstable();
        if let Some(tree) = self.trees.get(&key) {
            return tree.clone();
        }
        let without = |costs: &Costs, more: &[SegmentId]| {
            let mut costs = costs.clone();
            for &id in avoid.iter().chain(more) {
                costs.close(id);
            }
            costs
        };
        let tree = match by {
            By::Now => {
                let costs = without(&self.times.cautious, &self.plan.never_via);
                self.router().tree_from(root, &costs)
            }
            By::Map => {
                let costs = without(&self.times.free, &[]);
                Router::with_penalties(self.network, Penalties::SPEED_LIMITS)
                    .tree_from(root, &costs)
            }
        };
        let tree = Arc::new(tree);
        self.trees.insert(key, tree.clone());
        tree
    }

    /// Who on `here` would meet the trouble and could still go round it, saving at least
    /// `least_s` (closures: whatever it saves). `goal` is kept as the most affected destination
    /// while it is one.
    fn case(
        &mut self,
        here: SegmentId,
        trouble: usize,
        least_s: f64,
        goal: Option<SegmentId>,
    ) -> Option<Case> {
        let Trouble { cause, segments, upstream, .. } = self.troubles.get(trouble)?.clone();
        // The upstream segments hold neither the trouble itself nor anything closed.
        upstream.get(&here)?;
        let closure = cause == Cause::Closure;
        let usual = self.usual_from(here);
        let meets = usual.passing(|id| segments.contains(&id));
        for guess in self.destinations.guesses(self.network, &segments, closure) {
            let met: Vec<(Destination, Vec<SegmentId>, SegmentId)> = guess
                .into_iter()
                .filter(|to| meets.get(to.segment.0 as usize) == Some(&true))
                .filter_map(|to| {
                    let way = usual.way(to.segment)?.segments;
                    // Another closure before the trouble hides it.
                    let first = way
                        .iter()
                        .find(|id| segments.contains(id) || self.view.closed.contains_key(id))?;
                    let first = segments.contains(first).then_some(*first)?;
                    Some((to, way, first))
                })
                .collect();
            if met.is_empty() {
                continue;
            }
            let avoid = self.avoid(&segments, None);
            let now = self.tree(By::Now, here, &avoid);
            let trip = |(to, usual, first): (Destination, Vec<SegmentId>, SegmentId)| {
                let fastest = now.way(to.segment)?;
                let saving_s = if closure {
                    0.0
                } else {
                    self.times.saving_s(self.router(), &usual, &fastest.segments)?
                };
                Some((Trip { to, usual, fastest, saving_s }, first))
            };
            let trips: Vec<(Trip, SegmentId)> = met.into_iter().filter_map(trip).collect();
            let Some(most) = most_affected(&trips, closure, least_s, goal) else {
                continue;
            };
            let avoid = self.avoid(&segments, Some(trips[most].1));
            let trips = trips.into_iter().map(|(trip, _)| trip).collect();
            return Some(Case { here, trouble, avoid, trips, most });
        }
        None
    }

    /// The trouble, beginning with `first`, and all that is closed elsewhere: a driver fills the
    /// gaps of a way by his own map, and it must not lead him to another barrier.
    fn avoid(&self, segments: &[SegmentId], first: Option<SegmentId>) -> Vec<SegmentId> {
        let mut avoid: Vec<SegmentId> = first.into_iter().collect();
        for &id in segments.iter().chain(self.view.closed.keys()) {
            if !avoid.contains(&id) {
                avoid.push(id);
            }
        }
        avoid
    }

    /// What drivers make of these roads to pass: from `here` over them to each destination by their
    /// own map. Whom they would lead in a circle, or nowhere, goes his own way round, as he would
    /// without them. `None` if that serves the most affected destination not at all, most of the
    /// others badly, or if somebody would be led where no advised way may go.
    fn offer(&mut self, case: &Case, via: &[SegmentId]) -> Option<Offer> {
        let own = self.tree(By::Map, case.here, &case.avoid);
        let mut stem = vec![case.here];
        let mut from = own.clone();
        for &road in via {
            stem.extend(from.way(road)?.segments.into_iter().skip(1));
            from = self.tree(By::Map, road, &case.avoid);
        }
        let router = self.router();
        let mut driven = Vec::new();
        let (mut followed, mut total, mut sum_s) = (0.0, 0.0, 0.0);
        for (i, trip) in case.trips.iter().enumerate() {
            let goal = trip.to.segment;
            let named = from.way(goal).map(|rest| {
                stem.iter().copied().chain(rest.segments.into_iter().skip(1)).collect::<Vec<_>>()
            });
            let named = named.filter(|way| !repeats(way));
            if named.is_none() && i == case.most {
                return None;
            }
            let follows = named.is_some();
            let way = named.or_else(|| own.way(goal).map(|w| w.segments))?;
            let inner = way.get(1..way.len().saturating_sub(1)).unwrap_or_default();
            if inner.iter().any(|id| self.plan.never_via.contains(id)) {
                return None;
            }
            let travel_time_s = router.travel_time_s(&way, &self.times.cautious)?;
            total += trip.to.weight;
            followed += if follows { trip.to.weight } else { 0.0 };
            sum_s += trip.to.weight * travel_time_s;
            driven.push(Way { segments: way, travel_time_s });
        }
        let mean_s = sum_s / total;
        (2.0 * followed >= total).then(|| Offer { via: via.to_vec(), driven, mean_s })
    }

    /// The fewest and best-known roads that bring drivers round nearly as fast as can be; none,
    /// if no roads do.
    fn choose(&mut self, case: &Case) -> Option<Offer> {
        let roads = self.named_roads(case);
        let alone = roads.iter().map(|&road| vec![road]);
        let on_way =
            |id: SegmentId| case.trips[case.most].fastest.segments.iter().position(|&s| s == id);
        let in_order = |via: &Vec<SegmentId>| via.windows(2).all(|p| on_way(p[0]) < on_way(p[1]));
        let mut offers: Vec<Offer> = alone.filter_map(|via| self.offer(case, &via)).collect();
        let near = |offer: &Offer, best_s: f64| {
            offer.mean_s <= best_s * NAMED_WAY_FACTOR + NAMED_WAY_SLACK_S
        };
        let ideal_s = case.mean_s();
        if let Some(good) = offers.iter().find(|offer| near(offer, ideal_s)) {
            return Some(good.clone());
        }
        // Two roads where no single one will do, and no road where drivers find as good a way
        // by themselves.
        let pairs = roads.iter().flat_map(|&a| roads.iter().map(move |&b| vec![a, b]));
        let pairs: Vec<Vec<SegmentId>> = pairs.filter(in_order).collect();
        offers.extend(pairs.iter().filter_map(|via| self.offer(case, via)));
        let plain = self.offer(case, &[]);
        let best_s = offers.iter().chain(&plain).map(|o| o.mean_s).min_by(f64::total_cmp)?;
        offers.into_iter().find(|offer| near(offer, best_s)).or(plain)
    }

    /// Roads of the fastest way that the usual one does not use, one segment each, best name first:
    /// other names than the road one is on, longest stretch first. Roads that share the name of
    /// what is avoided are left out: "avoid Via Larga, take Via Larga" helps nobody.
    fn named_roads(&self, case: &Case) -> Vec<SegmentId> {
        let trip = &case.trips[case.most];
        let street = |id: SegmentId| self.network.segment(id).street.as_deref();
        let own = street(case.here);
        let mut roads: Vec<(bool, f64, usize, SegmentId)> = Vec::new();
        let way = &trip.fastest.segments;
        let mut at = 1;
        while at < way.len() {
            let name = street(way[at]);
            // Unnamed segments do not make one road.
            let same = |id: &&SegmentId| name.is_some() && street(**id) == name;
            let run = 1 + way[at + 1..].iter().take_while(same).count();
            let stretch = &way[at..at + run];
            let length_m = |id: &SegmentId| self.network.segment(*id).length_m;
            let longest = stretch
                .iter()
                .filter(|id| !trip.usual.contains(id))
                .max_by(|a, b| length_m(a).total_cmp(&length_m(b)).then(b.cmp(a)));
            let avoided = case.avoid.iter().any(|&id| same_name(street(id), name));
            if let Some(&road) = longest
                && !avoided
            {
                let dull = name.is_none() || same_name(own, name);
                roads.push((dull, -stretch.iter().map(length_m).sum::<f64>(), at, road));
            }
            at += run;
        }
        roads.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        roads.into_iter().take(MAX_NAMED_ROADS).map(|(.., road)| road).collect()
    }

    fn advice(&self, case: &Case, offer: &Offer) -> Option<Advice> {
        let trouble = &self.troubles[case.trouble];
        let trip = &case.trips[case.most];
        let driven = &offer.driven[case.most];
        let router = self.router();
        let closure = trouble.cause == Cause::Closure;
        let barrier = closure.then(|| self.at_the_barrier(&trip.usual, trip.to.segment)).flatten();
        let old = if closure { barrier.as_deref() } else { Some(&trip.usual[..]) };
        let gain_s = old.and_then(|old| self.times.saving_s(router, old, &driven.segments));
        let seconds = |s: f64| s.round() as u32;
        let delay_s = self.times.delay_s(&trip.usual);
        let round: Vec<SegmentId> =
            driven.segments.iter().copied().filter(|id| !trip.usual.contains(id)).collect();
        let length_m = |id: SegmentId| self.network.segment(id).length_m;
        let alternative = round
            .iter()
            .copied()
            .max_by(|&a, &b| length_m(a).total_cmp(&length_m(b)).then(b.cmp(&a)))?;
        let full = |id: &SegmentId| self.view.state(*id).level >= Some(self.plan.speak_from);
        let level = trouble.segments.iter().filter_map(|&id| self.view.state(id).level).max();
        Some(Advice {
            here: case.here,
            cause: trouble.cause,
            level,
            avoid: case.avoid.clone(),
            via: offer.via.clone(),
            way: driven.segments.clone(),
            turn: self.turn(case, offer),
            goal: trip.to.segment,
            destination: trip.to.place,
            delay_s: (!closure && delay_s >= 1.0).then(|| seconds(delay_s)),
            saving_s: gain_s.filter(|&s| s >= 1.0).map(seconds),
            gain_s: if closure { 0.0 } else { gain_s? },
            filled: round.iter().any(full),
            alternative,
            trouble: *trouble.segments.first()?,
            closed: self.view.closed.keys().copied().filter(|id| case.avoid.contains(id)).collect(),
            time_s: driven.travel_time_s,
            distance_m: trouble.upstream.get(&case.here).copied().unwrap_or_default(),
            worth: case.worth(),
            evidence: self.evidence(case, offer, barrier.as_deref()),
        })
    }

    /// The turn at the end of the addressed segment, if everybody concerned makes it and the most
    /// affected would not make it anyway. Turning around is no turn that a text gives.
    fn turn(&self, case: &Case, offer: &Offer) -> Option<Turn> {
        let next = *offer.driven[case.most].segments.get(1)?;
        let usual = case.trips[case.most].usual.get(1);
        let together = offer.driven.iter().all(|way| way.segments.get(1) == Some(&next));
        let turn = self.network.connection(case.here, next)?.turn;
        (usual != Some(&next) && together && turn != Turn::TurnAround).then_some(turn)
    }

    /// What a driver does whom nobody told: he goes on to the last junction from which there is a
    /// way that is open, and takes the fastest by the map from there.
    fn at_the_barrier(&self, usual: &[SegmentId], goal: SegmentId) -> Option<Vec<SegmentId>> {
        let barrier = usual.iter().position(|id| self.view.closed.contains_key(id))?;
        let mut open = self.times.free.clone();
        for &id in self.view.closed.keys() {
            open.close(id);
        }
        (0..barrier).rev().find_map(|last| {
            let rest = self.router().fastest(usual[last], goal, &open)?.segments;
            Some(usual[..last].iter().copied().chain(rest).collect())
        })
    }

    fn evidence(&self, case: &Case, offer: &Offer, barrier: Option<&[SegmentId]>) -> Evidence {
        let trouble = &self.troubles[case.trouble];
        let trip = &case.trips[case.most];
        let driven = &offer.driven[case.most];
        let closure = trouble.cause == Cause::Closure;
        let mut windows: Vec<String> =
            trouble.segments.iter().filter_map(|&id| (self.view.evidence)(id)).collect();
        windows.sort_unstable();
        windows.dedup();
        windows.truncate(MAX_EVIDENCE);
        let rules = [
            if closure { "closure_upstream" } else { "saving_over_minimum" },
            if offer.via.is_empty() { "own_way_round" } else { "way_by_named_roads" },
        ];
        let weighed = |verdict, way: &[SegmentId], costs: &Costs| {
            let name = |id: &SegmentId| self.network.segment(*id).name.clone();
            let seconds = self.router().travel_time_s(way, costs)?;
            let edges = way.iter().map(name).collect();
            Some(WeighedWay { verdict, edges, travel_time_s: seconds.round() as u32 })
        };
        let now = &self.times.cautious;
        // A closed way has no travel time now; what it takes when it is open is given instead.
        let usual_costs = if closure { &self.times.free } else { now };
        let fastest = &trip.fastest.segments;
        let ways = [
            weighed("advised", &driven.segments, now),
            weighed("usual", &trip.usual, usual_costs),
            barrier
                .filter(|way| *way != driven.segments)
                .and_then(|way| weighed("rejected", way, now)),
            (*fastest != driven.segments).then(|| weighed("rejected", fastest, now)).flatten(),
        ];
        Evidence {
            events: trouble.events.clone(),
            windows: if closure { Vec::new() } else { windows },
            rules: rules.map(str::to_owned).to_vec(),
            ways: ways.into_iter().flatten().collect(),
        }
    }
}

impl Case {
    /// Mean travel time of the fastest ways round, by weight: what no offer can beat.
    fn mean_s(&self) -> f64 {
        let total: f64 = self.trips.iter().map(|trip| trip.to.weight).sum();
        let sum_s: f64 =
            self.trips.iter().map(|trip| trip.to.weight * trip.fastest.travel_time_s).sum();
        sum_s / total
    }

    /// What avoiding the trouble is worth to the most affected: seconds times weight; for closures
    /// the weight.
    fn worth(&self) -> f64 {
        let trip = &self.trips[self.most];
        trip.to.weight * trip.saving_s.max(1.0)
    }
}

/// The index of the trip that is affected most: of those that save enough, the greatest saving
/// times weight; for closures the greatest weight. `None` if no trip saves enough, or if what some
/// save is less than what the others lose when all who read the same words follow them.
fn most_affected(
    trips: &[(Trip, SegmentId)],
    closure: bool,
    least_s: f64,
    goal: Option<SegmentId>,
) -> Option<usize> {
    let pays = |trip: &Trip| closure || trip.saving_s >= least_s;
    let worth = |trip: &Trip| {
        let seconds = if closure { 1.0 } else { trip.saving_s };
        trip.to.weight * seconds
    };
    let together: f64 = trips.iter().map(|(trip, _)| worth(trip)).sum();
    if !closure && least_s.is_finite() && together <= 0.0 {
        return None;
    }
    let kept = trips.iter().position(|(t, _)| Some(t.to.segment) == goal && pays(t));
    let paying = trips.iter().enumerate().filter(|(_, (trip, _))| pays(trip));
    let most = paying
        .max_by(|(i, (a, _)), (j, (b, _))| worth(a).total_cmp(&worth(b)).then(j.cmp(i)))
        .map(|(i, _)| i);
    kept.or(most)
}

fn repeats(way: &[SegmentId]) -> bool {
    let mut sorted = way.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether a sign could not tell the two names apart.
fn same_name(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let folded = fold(a);
            a == b || (!folded.is_empty() && folded == fold(b))
        }
        _ => false,
    }
}

//! What to tell whoever is on one segment: about which trouble, and the facts of the way round it.
//!
//! Knows nothing of signs, of tiles, or of what was said before.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::CongestionLevel;
use crate::domain::direction::{Cause, Evidence, WeighedWay};
use crate::domain::network::{Costs, SegmentId, Turn};

use super::case::Case;
use super::scene::Scene;
use super::via::Offer;

/// Segments of a trouble whose windows are given as evidence.
const MAX_EVIDENCE: usize = 5;

/// The facts for whoever is on one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

impl Scene<'_> {
    /// The direction that serves `here` best: for the nearest closure, else for the trouble whose
    /// avoiding saves most.
    pub(super) fn best(&mut self, here: SegmentId) -> Option<Advice> {
        let min_saving_s = self.plan.min_saving.as_secs_f64();
        let mut closures = Vec::new();
        let mut jams = Vec::new();
        for index in 0..self.troubles.len() {
            let trouble = Arc::clone(&self.troubles[index]);
            let Some(&distance_m) = trouble.upstream.get(&here) else { continue };
            let guesses = self.meeting(here, &trouble);
            if trouble.cause == Cause::Closure {
                closures.push((distance_m, index, guesses));
            } else {
                let trips = guesses.iter().flatten();
                let most = trips.map(|m| m.to.weight * self.times.delay_s(&m.usual).max(1.0));
                let most = most.fold(0.0, f64::max);
                jams.push((most, index, guesses));
            }
        }
        closures.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, trouble, guesses) in closures {
            let case = self.case(here, trouble, guesses, 0.0, None);
            if let Some(advice) = case.and_then(|case| self.resolve(&case)) {
                return Some(advice);
            }
        }
        // What a jam may be worth at most is cheap to say, what it is worth is not.
        jams.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut best: Option<Advice> = None;
        for (most, trouble, guesses) in jams {
            let beats = |worth: f64| best.as_ref().is_none_or(|best| worth > best.worth);
            if !beats(most) {
                break;
            }
            let case = self.case(here, trouble, guesses, min_saving_s, None);
            let Some(case) = case.filter(|case| beats(case.worth())) else { continue };
            // From one jam into another is no advice.
            let pays = |a: &Advice| a.gain_s >= min_saving_s && !a.filled;
            best = self.resolve(&case).filter(pays).or(best);
        }
        best
    }

    fn resolve(&mut self, case: &Case) -> Option<Advice> {
        let offer = self.choose(case)?;
        self.advice(case, &offer)
    }

    /// The same advice as before under today's figures; `None` if it no longer holds: the trouble
    /// is over, nobody on `here` is concerned any more, or the way is not open.
    pub(super) fn again(&mut self, before: &Advice) -> Option<Advice> {
        let at = before.avoid.first()?;
        let trouble = self
            .troubles
            .iter()
            .position(|t| t.cause == before.cause && t.segments.contains(at))?;
        let guesses = self.meeting(before.here, &Arc::clone(&self.troubles[trouble]));
        let least_s = f64::NEG_INFINITY;
        let case = self.case(before.here, trouble, guesses, least_s, Some(before.goal))?;
        let avoid = self.avoid(&self.troubles[trouble].segments, Some(*at));
        let case = Case { avoid, ..case };
        let offer = self.offer(&case, &before.via)?;
        self.advice(&case, &offer)
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
        // An empty closed road flows freely, which is nobody's business.
        let levels = trouble.segments.iter().filter_map(|&id| self.view.state(id).level);
        let level = levels.max().filter(|_| !closure);
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
    /// affected would not make it anyway. Turning around is no turn that a text gives, and where
    /// two roads go left, "left" is none either.
    fn turn(&self, case: &Case, offer: &Offer) -> Option<Turn> {
        let next = *offer.driven[case.most].segments.get(1)?;
        let usual = case.trips[case.most].usual.get(1);
        let together = offer.driven.iter().all(|way| way.segments.get(1) == Some(&next));
        let turn = self.network.connection(case.here, next)?.turn;
        let moves = self.network.outgoing(case.here).iter().filter(|c| c.cars_allowed);
        let clear = moves.filter(|c| c.turn.sounds_like(turn)).count() == 1;
        (usual != Some(&next) && together && clear && turn != Turn::TurnAround).then_some(turn)
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
        let weighed = |verdict: &'static str, way: &[SegmentId], costs: &Costs| {
            let name = |id: &SegmentId| self.network.segment(*id).name.clone();
            let seconds = self.router().travel_time_s(way, costs)?;
            let edges = way.iter().map(name).collect();
            Some(WeighedWay {
                verdict: verdict.into(),
                edges,
                travel_time_s: seconds.round() as u32,
            })
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

//! Who on one segment would meet one trouble, and the fastest way round it for each of them.
//!
//! Knows nothing of how a way is named.

use std::sync::Arc;

use crate::domain::direction::Cause;
use crate::domain::network::{SegmentId, Way};

use super::destinations::Destination;
use super::scene::{By, Scene};
use super::trouble::Trouble;

/// One destination whose usual way meets the trouble.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) to: Destination,
    pub(super) usual: Vec<SegmentId>,
    /// The trouble's segment that is met first.
    pub(super) first: SegmentId,
}

/// The same, and the fastest way round.
#[derive(Clone, Debug)]
pub(super) struct Trip {
    pub(super) to: Destination,
    pub(super) usual: Vec<SegmentId>,
    pub(super) fastest: Way,
    /// Seconds saved by `fastest`; for closures none is worked out here.
    pub(super) saving_s: f64,
}

/// Who on `here` is concerned by a trouble: a reason to look closer.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) here: SegmentId,
    pub(super) trouble: usize,
    /// First the trouble's segment that is met first.
    pub(super) avoid: Vec<SegmentId>,
    pub(super) trips: Vec<Trip>,
    /// Index of the trip that is affected most.
    pub(super) most: usize,
}

impl Scene<'_> {
    /// The destinations whose usual way from `here` meets the trouble, one list a guess.
    pub(super) fn meeting(&mut self, here: SegmentId, trouble: &Trouble) -> Vec<Vec<Met>> {
        let segments = &trouble.segments;
        // The upstream segments hold neither the trouble itself nor anything closed.
        if !trouble.upstream.contains_key(&here) {
            return Vec::new();
        }
        let usual = self.usual_from(here);
        let meets = usual.passing(|id| segments.contains(&id));
        let met = |to: Destination| {
            if !*meets.get(to.segment.0 as usize)? {
                return None;
            }
            let usual = usual.way(to.segment)?.segments;
            // Another closure before the trouble hides it.
            let stops =
                |id: &&SegmentId| segments.contains(id) || self.view.closed.contains_key(*id);
            let first = usual.iter().find(stops).copied()?;
            segments.contains(&first).then_some(Met { to, usual, first })
        };
        self.destinations
            .guesses(self.network, segments, trouble.cause == Cause::Closure)
            .into_iter()
            .map(|guess| guess.into_iter().filter_map(met).collect())
            .collect()
    }

    /// Who on `here` could still go round the trouble, saving at least `least_s` (closures:
    /// whatever it saves). `goal` is kept as the most affected destination while it is one.
    pub(super) fn case(
        &mut self,
        here: SegmentId,
        trouble: usize,
        guesses: Vec<Vec<Met>>,
        least_s: f64,
        goal: Option<SegmentId>,
    ) -> Option<Case> {
        let found = Arc::clone(self.troubles.get(trouble)?);
        let segments = &found.segments;
        let closure = found.cause == Cause::Closure;
        for met in guesses {
            // No way is faster than the usual one when it is free: none saves more than its delay.
            let may_pay = |m: &Met| closure || self.times.delay_s(&m.usual) >= least_s;
            if !met.iter().any(may_pay) {
                continue;
            }
            let avoid = self.avoid(segments, None);
            let now = self.tree(By::Now, here, &avoid);
            let trip = |Met { to, usual, first }: Met| {
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
            let avoid = self.avoid(segments, Some(trips[most].1));
            let trips = trips.into_iter().map(|(trip, _)| trip).collect();
            return Some(Case { here, trouble, avoid, trips, most });
        }
        None
    }
}

impl Case {
    /// Mean travel time of the fastest ways round, by weight: what no offer can beat.
    pub(super) fn mean_s(&self) -> f64 {
        let total: f64 = self.trips.iter().map(|trip| trip.to.weight).sum();
        let sum_s: f64 =
            self.trips.iter().map(|trip| trip.to.weight * trip.fastest.travel_time_s).sum();
        sum_s / total
    }

    /// What avoiding the trouble is worth to the most affected: seconds times weight; for closures
    /// the weight.
    pub(super) fn worth(&self) -> f64 {
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

//! The facts of what is said to whoever is on one segment.
//!
//! Knows nothing of signs, of tiles, or of how a way was chosen.

use serde::{Deserialize, Serialize};

use crate::domain::closure::Announced;
use crate::domain::congestion::{CongestionLevel, View};
use crate::domain::direction::{Cause, Evidence, Second, WeighedWay};
use crate::domain::network::{Costs, Network, Penalties, Router, SegmentId, Tree, Turn};
use crate::domain::wording::Problem;

use super::around::{Around, Candidate, Place, via};
use super::times::Times;
use super::trouble::Trouble;

/// Segments of a trouble whose windows are given as evidence.
const MAX_EVIDENCE: usize = 5;

/// Ways that were weighed and not taken, as evidence.
const MAX_REJECTED: usize = 2;

/// Places that are tried, greatest weight first, to say for whom the way is.
const MAX_PLACES: usize = 12;

/// The facts for whoever is on one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Advice {
    pub(super) here: SegmentId,
    pub(super) cause: Cause,
    #[serde(default)]
    pub(super) announced: Announced,
    pub(super) level: Option<CongestionLevel>,
    pub(super) avoid: Vec<SegmentId>,
    pub(super) via: Vec<SegmentId>,
    /// From `here` to the destination that most are bound for.
    pub(super) way: Vec<SegmentId>,
    /// The usual way there by the map, where it can be driven.
    pub(super) usual: Vec<SegmentId>,
    /// The part of the way that is told.
    pub(super) stem: Vec<SegmentId>,
    pub(super) turn: Option<Turn>,
    pub(super) destination: Option<usize>,
    #[serde(default)]
    pub(super) second: Option<Second>,
    pub(super) delay_s: Option<u32>,
    pub(super) saving_s: Option<u32>,
    /// What the operator has closed anywhere, as far as it is in `avoid`.
    pub(super) closed: Vec<SegmentId>,
    /// The same of what was found to be blocked.
    pub(super) blocked: Vec<SegmentId>,
    /// Vehicles a second that are reckoned to follow.
    pub(super) veh_s: f64,
    /// The ways that they then take and the vehicles a second on each.
    pub(super) loads: Vec<(Vec<SegmentId>, f64)>,
    pub(super) evidence: Evidence,
}

/// What advice is made from.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) network: &'a Network,
    pub(super) view: &'a View<'a>,
    pub(super) times: &'a Times,
    /// By the map, from the place.
    pub(super) usual: &'a Tree,
}

impl Facts<'_> {
    /// `saving_s`: of the chosen way over the old one, where that can still be driven. `rejected`:
    /// the other ways that were weighed.
    pub(super) fn advice(
        &self,
        around: &Around<'_>,
        place: &Place,
        chosen: &Candidate,
        rejected: &[Candidate],
        saving_s: Option<f64>,
        veh_s: f64,
    ) -> Option<Advice> {
        let here = place.here;
        let trouble = around.trouble;
        let stem = &chosen.stem;
        let (destination, way) = match self.destination(around, stem) {
            Some((place, way)) => (Some(place), way),
            None => (None, around.way(place, stem)?),
        };
        let usual = self.usual.way(*way.last()?).map(|way| way.segments).unwrap_or_default();
        let first = self.called_by(trouble, &usual)?;
        let mut avoid = vec![first];
        avoid.extend(trouble.segments.iter().copied().filter(|id| *id != first));
        avoid.extend(around.avoid.iter().copied().filter(|id| !trouble.segments.contains(id)));
        // An empty road flows freely, which is nobody's business where it is shut; and what is worse round
        // the corner is not said of this road.
        let street = |id: SegmentId| self.network.segment(id).street.as_ref();
        let of_it = trouble.segments.iter().filter(|id| street(**id) == street(first));
        let levels = of_it.filter_map(|&id| self.view.state(id).level);
        let level = levels.max().filter(|_| !trouble.shut);
        let seconds = |s: f64| s.round() as u32;
        let delay_s = self.times.delay_s(&usual);
        let avoided = |ids: &mut dyn Iterator<Item = &SegmentId>| -> Vec<SegmentId> {
            ids.copied().filter(|id| avoid.contains(id)).collect()
        };
        let closed = avoided(&mut self.view.closed.keys());
        let blocked = avoided(&mut self.view.blocked.keys());
        Some(Advice {
            here,
            cause: trouble.cause,
            announced: self.announced(trouble, first),
            level,
            via: via(self.network, stem),
            turn: self.turn(here, stem, &usual),
            second: self.second(around, place, &way),
            destination,
            delay_s: (!trouble.shut && delay_s >= 1.0).then(|| seconds(delay_s)),
            saving_s: saving_s.filter(|s| *s >= 1.0).map(seconds),
            closed,
            blocked,
            veh_s,
            loads: around
                .loads(place, stem)
                .into_iter()
                .map(|(way, share)| (way, share * veh_s))
                .collect(),
            evidence: self.evidence(around, place, &way, &usual, rejected),
            usual: if trouble.shut { Vec::new() } else { usual },
            stem: stem.clone(),
            avoid,
            way,
        })
    }

    /// What operators say of the road that the trouble is called by: of all that is closed of it, by
    /// whatever event, or of the lanes that are shut on it.
    fn announced(&self, trouble: &Trouble, first: SegmentId) -> Announced {
        let street = |id: SegmentId| self.network.segment(id).street.as_ref();
        let is_it = |id: &SegmentId| {
            *id == first || street(first).is_some_and(|name| street(*id) == Some(name))
        };
        let told = |id: SegmentId| self.view.announced.get(&id).copied().unwrap_or_default();
        let shut: Vec<SegmentId> = match trouble.cause {
            Cause::Congestion => Vec::new(),
            Cause::Closure => self.view.closed.keys().copied().filter(is_it).collect(),
            Cause::Incident => {
                let here = trouble.segments.iter().copied().filter(is_it);
                here.filter(|id| self.view.incidents.contains_key(id)).collect()
            }
        };
        shut.into_iter().map(told).reduce(Announced::and).unwrap_or_default()
    }

    /// The segment that a trouble is called by: of lanes that are shut the road that they are on, else
    /// what the usual way meets first.
    fn called_by(&self, trouble: &Trouble, usual: &[SegmentId]) -> Option<SegmentId> {
        let lanes = |id: &SegmentId| !trouble.shut && self.view.incidents.contains_key(id);
        let met = usual.iter().filter(|id| trouble.segments.contains(id));
        let all = trouble.segments.iter();
        let shut = met.clone().find(|id| lanes(id)).or_else(|| all.clone().find(|id| lanes(id)));
        let shut = shut.filter(|_| trouble.cause == Cause::Incident);
        shut.or_else(|| met.clone().next()).or_else(|| all.clone().next()).copied()
    }

    /// The greatest place for which the told way is a way there, of those whose usual way meets the
    /// trouble.
    fn destination(
        &self,
        around: &Around<'_>,
        stem: &[SegmentId],
    ) -> Option<(usize, Vec<SegmentId>)> {
        let meets = self.usual.passing(|id| around.trouble.segments.contains(&id));
        let mut places: Vec<usize> = (0..self.network.places.len()).collect();
        let weight = |i: usize| self.network.places[i].weight;
        places.retain(|&i| {
            let at = self.network.places[i].segment.0 as usize;
            weight(i) > 0.0 && meets.get(at) == Some(&true)
        });
        places.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
        places.into_iter().take(MAX_PLACES).find_map(|i| {
            let way = around.to_place(stem, self.network.places[i].segment)?;
            Some((i, way))
        })
    }

    /// What drivers would meet who know of the trouble alone and go round it by their own map: another
    /// closed road, else the first one on which traffic queues. What lies on the told way is none.
    fn second(&self, around: &Around<'_>, place: &Place, way: &[SegmentId]) -> Option<Second> {
        let own = around.by_own_map(place)?;
        let elsewhere = || own.iter().filter(|id| !way.contains(id)).copied();
        let closed = elsewhere().find(|id| self.view.closed.contains_key(id));
        let queues = |id: &SegmentId| {
            let level = self.view.state(*id).level;
            Problem::of(Cause::Congestion, level) == Problem::Queue && !self.view.shut(*id)
        };
        let second = |cause| move |segment| Second { cause, segment };
        closed
            .map(second(Cause::Closure))
            .or_else(|| elsewhere().find(queues).map(second(Cause::Congestion)))
    }

    /// The turn at the end of the addressed segment, where the told way leaves the usual one there.
    /// Where two roads go left, "left" is no turn that a text gives.
    fn turn(&self, here: SegmentId, stem: &[SegmentId], usual: &[SegmentId]) -> Option<Turn> {
        let next = *stem.get(1)?;
        let turn = self.network.connection(here, next)?.turn;
        let moves = self.network.outgoing(here).iter().filter(|c| c.cars_allowed);
        let clear = moves.filter(|c| c.turn.sounds_like(turn)).count() == 1;
        (usual.get(1) != Some(&next) && clear).then_some(turn)
    }

    fn evidence(
        &self,
        around: &Around<'_>,
        place: &Place,
        way: &[SegmentId],
        usual: &[SegmentId],
        rejected: &[Candidate],
    ) -> Evidence {
        let trouble = around.trouble;
        let announced = trouble.cause == Cause::Closure;
        let mut windows: Vec<String> =
            trouble.segments.iter().filter_map(|&id| (self.view.evidence)(id)).collect();
        windows.sort_unstable();
        windows.dedup();
        windows.truncate(MAX_EVIDENCE);
        let rule = match (trouble.shut, announced) {
            (true, true) => "closure_upstream",
            (true, false) => "blocked_upstream",
            (false, _) => "saving_over_minimum",
        };
        let penalties = Penalties { signal_s: 0.0, ..Penalties::TYPICAL };
        let router = Router::with_penalties(self.network, penalties);
        let weighed = |verdict: &'static str, way: &[SegmentId], costs: &Costs| {
            let name = |id: &SegmentId| self.network.segment(*id).name.clone();
            let seconds = router.travel_time_s(way, costs)?;
            let edges = way.iter().map(name).collect();
            Some(WeighedWay {
                verdict: verdict.into(),
                edges,
                travel_time_s: seconds.round() as u32,
            })
        };
        let now = &self.times.now;
        // A shut way has no travel time now; what it takes when it is open is given instead.
        let usual_costs = if trouble.shut { &self.times.quiet } else { now };
        let mut others: Vec<Vec<SegmentId>> = Vec::new();
        for other in rejected.iter().filter_map(|c| around.way(place, &c.stem)) {
            if other != way && !others.contains(&other) && others.len() < MAX_REJECTED {
                others.push(other);
            }
        }
        let ways = [weighed("advised", way, now), weighed("usual", usual, usual_costs)];
        let others = others.iter().map(|other| weighed("rejected", other, now));
        Evidence {
            events: trouble.events.clone(),
            windows: if announced { Vec::new() } else { windows },
            rules: vec![rule.to_owned(), "way_by_load".to_owned()],
            ways: ways.into_iter().chain(others).flatten().collect(),
        }
    }
}

//! Who is told which way, such that not everybody takes the same one.
//!
//! One place after the other chooses the best way under what has been sent over the roads by then,
//! those that speak already included: a few rounds of looking bring the places near to a balance in
//! which no way is worth changing for. What is said is left only for something clearly better.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::congestion::View;
use crate::domain::direction::{Audience, Cause};
use crate::domain::network::{Network, Router, SegmentId, Tree};
use crate::domain::time::Timestamp;
use crate::plan::Directions;

use super::advice::{Advice, Facts};
use super::around::{Around, Candidate, Maps, Place, most_trees};
use super::flips::Flips;
use super::load::{Load, Roads};
use super::times::Times;
use super::trouble::Trouble;
use super::{Proposal, Shown};

/// Segments told about one trouble, nearest first.
const MAX_POINTS: usize = 80;

/// A direction that is out is kept while it saves at least this part of the minimum saving, so that
/// it does not flicker around the minimum; one that costs as much is left within its dwell.
const KEEP_SHARE: f64 = 0.5;

/// Round a jam, a sign, which all read and which keeps what it says for its dwell, says only what saves
/// so many times the minimum saving; where nobody is told in his vehicle, what has changed since is heard
/// by none who have passed the sign ...
const SIGN_TIMES: f64 = 2.0;
const LONE_SIGN_TIMES: f64 = 4.0;

/// ... and this part of the time on the usual way.
const SIGN_SHARE: f64 = 0.25;

/// The usual ways from a segment, which depend on the network alone.
pub(super) type Usual = BTreeMap<SegmentId, Arc<Tree>>;

/// All that a decision is made from.
pub(super) struct Desk<'a> {
    pub(super) network: &'a Network,
    pub(super) plan: &'a Directions,
    pub(super) view: &'a View<'a>,
    pub(super) now: Timestamp,
    pub(super) times: &'a Times,
    pub(super) load: &'a mut Load,
    pub(super) usual: &'a mut Usual,
    pub(super) maps: &'a mut Maps,
    pub(super) shown: &'a BTreeMap<Audience, Shown>,
    pub(super) flips: &'a Flips,
    pub(super) wanted: BTreeMap<Audience, Proposal>,
    /// Audiences whose part in `load` has been taken out, to be put in anew.
    pub(super) taken: BTreeSet<Audience>,
    /// Audiences that hear of a trouble that is over.
    pub(super) over: BTreeSet<Audience>,
    /// Segments on which nothing is said of a shut road because it is said further on: where.
    pub(super) left: BTreeMap<SegmentId, SegmentId>,
    /// Audiences to which no way round a shut road can be told.
    pub(super) at_a_loss: BTreeSet<Audience>,
    /// Segments on the ways that are told round announced closures: nobody is sent over them round a jam.
    pub(super) needed: BTreeSet<SegmentId>,
}

/// Somebody to tell, where he stands.
struct Point {
    audience: Audience,
    place: Place,
    /// Vehicles a second that would follow.
    veh_s: f64,
}

impl<'a> Desk<'a> {
    /// What should be said now, by audience, and the vehicles a second that are headed for the
    /// troubles spoken of.
    pub(super) fn decide(mut self, troubles: &[Trouble]) -> (BTreeMap<Audience, Proposal>, f64) {
        self.forget_the_over(troubles);
        let (shut, jams) = troubles.split_at(troubles.partition_point(|trouble| trouble.shut));
        let shut: Vec<Around<'_>> = shut.iter().filter_map(|t| self.around(t)).collect();
        let (own, others) = self.to_each_its_own(&shut);
        let mut told: Vec<bool> =
            shut.iter().zip(own).map(|(around, points)| self.tell(around, points)).collect();
        // Where no way leads round the first, another one may be met.
        for ((around, mut points), told) in shut.iter().zip(others).zip(&mut told) {
            points.retain(|point| self.at_a_loss.remove(&point.audience));
            *told |= self.tell(around, points);
        }
        let spoken_of = shut.iter().zip(told).filter(|(_, told)| *told);
        let closures = self.wanted.values().filter(|want| want.advice.cause == Cause::Closure);
        self.needed = closures.flat_map(|want| want.advice.stem[1..].iter().copied()).collect();
        let mut headed_veh_s: f64 = spoken_of.map(|(around, _)| around.traffic_veh_s()).sum();
        for trouble in jams.iter().filter(|trouble| self.may_pay(trouble)).collect::<Vec<_>>() {
            let Some(around) = self.around(trouble) else { continue };
            let points = self.points(&around);
            if self.tell(&around, points) {
                headed_veh_s += around.traffic_veh_s();
            }
        }
        (self.wanted, headed_veh_s)
    }

    /// What was said of a trouble that is over sends nobody any more: those drivers are told anew.
    fn forget_the_over(&mut self, troubles: &[Trouble]) {
        for (audience, shown) in self.shown {
            if !troubles.iter().any(|trouble| is_about(shown, trouble)) {
                self.over.insert(audience.clone());
                self.take_out(audience, shown);
            }
        }
    }

    /// Takes what an audience was told out of the load, once.
    fn take_out(&mut self, audience: &Audience, shown: &Shown) {
        if self.taken.insert(audience.clone()) {
            for (way, veh_s) in &shown.said.advice.loads {
                self.load.take(way, *veh_s);
            }
        }
    }

    fn roads(&self) -> Roads<'a> {
        Roads { network: self.network, times: self.times }
    }

    fn around<'t>(&mut self, trouble: &'t Trouble) -> Option<Around<'t>>
    where
        Self: 't,
    {
        let (network, times) = (self.network, self.times);
        Around::new(network, times, trouble, self.view.all_shut(), &self.plan.never_via, self.maps)
    }

    /// The points of each trouble, and apart those that it shares with others. A place from which several
    /// can be met hears of the one that most of its traffic is bound for, of those that may be spoken of
    /// there.
    fn to_each_its_own(&self, arounds: &[Around<'_>]) -> (Vec<Vec<Point>>, Vec<Vec<Point>>) {
        let mut points: Vec<Vec<Point>> = arounds.iter().map(|a| self.points(a)).collect();
        if arounds.len() < 2 {
            return (points, Vec::new());
        }
        let mut most: BTreeMap<Audience, (f64, usize)> = BTreeMap::new();
        for (i, around) in arounds.iter().enumerate() {
            let Trouble { segments, upstream, .. } = around.trouble;
            let bound = super::flows::bound(self.network, self.times, segments, upstream);
            points[i].retain(|point| self.may_speak(&point.audience, around.trouble));
            for point in &points[i] {
                let share = bound.get(&point.place.here).copied().unwrap_or_default();
                let best = most.entry(point.audience.clone()).or_insert((share, i));
                if share > best.0 {
                    *best = (share, i);
                }
            }
        }
        let parts = points.into_iter().enumerate().map(|(i, points)| {
            let own = |point: &Point| most.get(&point.audience).is_none_or(|(_, best)| *best == i);
            points.into_iter().partition(own)
        });
        parts.unzip()
    }

    /// Whether vehicles here are told of a shut road. They hear of that alone: a jam to avoid besides would
    /// lead who has just been sent round the shut road another way again.
    fn hears_of_shut(&self, here: SegmentId) -> bool {
        self.wanted.contains_key(&area(self.network, here, true))
    }

    /// Closures always; the rest goes on, and begins as often as a sign may change for it.
    fn may_speak(&self, audience: &Audience, trouble: &Trouble) -> bool {
        let goes_on = || self.shown.get(audience).is_some_and(|shown| goes_on(shown, trouble));
        trouble.cause == Cause::Closure || goes_on() || self.flips.allow(audience, false, self.now)
    }

    /// No way round a jam saves more than is lost in it.
    fn may_pay(&self, trouble: &Trouble) -> bool {
        let lost = |id: &SegmentId| self.times.now.get(*id) - self.times.quiet.get(*id);
        let lost_s: f64 = trouble.segments.iter().map(lost).sum();
        lost_s >= KEEP_SHARE * self.plan.min_saving.as_secs_f64()
    }

    /// True if anybody is told of the trouble.
    fn tell(&mut self, around: &Around<'_>, points: Vec<Point>) -> bool {
        self.left.clear();
        let wanted = self.wanted.len();
        let told: BTreeSet<SegmentId> = points.iter().map(|p| p.place.here).collect();
        let all: f64 = points.iter().map(|p| p.veh_s).sum();
        // Vehicles a second sent over each alternative of a jam.
        let mut sent: BTreeMap<SegmentId, f64> = BTreeMap::new();
        for point in points {
            if self.wanted.contains_key(&point.audience) {
                continue;
            }
            let shown = self.shown.get(&point.audience);
            if shown.is_some_and(|shown| self.belongs_elsewhere(shown, around.trouble)) {
                continue;
            }
            if !self.may_speak(&point.audience, around.trouble)
                || !around.trouble.shut && self.hears_of_shut(point.place.here)
            {
                continue;
            }
            let Some(advice) = self.advise(around, &point, shown, &told) else {
                if around.trouble.shut && !self.left.contains_key(&point.place.here) {
                    self.at_a_loss.insert(point.audience);
                }
                continue;
            };
            if !around.trouble.shut {
                let alternative = self.alternative(&advice);
                let so_far = sent.entry(alternative).or_default();
                if *so_far > 0.0 && *so_far + point.veh_s > self.plan.diversion_cap * all {
                    continue;
                }
                *so_far += point.veh_s;
            }
            for (way, veh_s) in &advice.loads {
                self.load.add(way, *veh_s);
            }
            let audience = point.audience;
            self.wanted.insert(audience.clone(), Proposal { audience, advice });
        }
        self.wanted.len() > wanted
    }

    /// The signs and segments upstream where somebody can be told, nearest first.
    fn points(&self, around: &Around<'_>) -> Vec<Point> {
        let upstream = &around.trouble.upstream;
        let signs = |id: &_| self.plan.signs.is_empty() || self.plan.signs.contains(id);
        let mut audiences: Vec<(f64, SegmentId, Audience)> = Vec::new();
        for id in self.network.sign_ids().filter(signs) {
            let here = self.network.sign(id).segment;
            if let Some(&metres) = upstream.get(&here) {
                audiences.push((metres, here, Audience::Sign(id)));
            }
        }
        let mut near: Vec<(f64, SegmentId)> =
            upstream.iter().map(|(&id, &metres)| (metres, id)).collect();
        near.retain(|(metres, _)| self.plan.areas && *metres <= self.plan.area_reach_m);
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(MAX_POINTS);
        for (metres, here) in near {
            audiences.push((metres, here, area(self.network, here, around.trouble.shut)));
        }
        audiences
            .sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then_with(|| a.2.cmp(&b.2)));
        let heres: BTreeSet<SegmentId> = audiences.iter().map(|(_, here, _)| *here).collect();
        let arriving = super::flows::arriving(
            self.network,
            self.times,
            &around.trouble.segments,
            upstream,
            &heres,
        );
        // Who reads a sign where he is told in his vehicle as well counts once.
        let in_vehicles: BTreeSet<SegmentId> = audiences
            .iter()
            .filter(|(_, _, audience)| matches!(audience, Audience::Area { .. }))
            .map(|(_, here, _)| *here)
            .collect();
        audiences
            .into_iter()
            .filter_map(|(_, here, audience)| {
                let counted =
                    matches!(audience, Audience::Area { .. }) || !in_vehicles.contains(&here);
                let arriving = arriving.get(&here).copied().unwrap_or_default();
                let veh_s = if counted { arriving * self.plan.compliance } else { 0.0 };
                Some(Point { place: around.place(here)?, audience, veh_s })
            })
            .collect()
    }

    /// Whether what is out is about another trouble that still stands, and is within its dwell. A
    /// shut road displaces anything.
    fn belongs_elsewhere(&self, shown: &Shown, trouble: &Trouble) -> bool {
        let stands = !self.over.contains(&shown.said.audience);
        stands && !is_about(shown, trouble) && !trouble.shut && !self.settled(shown)
    }

    fn settled(&self, shown: &Shown) -> bool {
        let dwell = match shown.said.audience {
            Audience::Sign(_) => self.plan.dwell,
            Audience::Area { .. } => self.plan.area_dwell,
        };
        self.now.since(shown.since) >= dwell
    }

    fn advise(
        &mut self,
        around: &Around<'_>,
        point: &Point,
        shown: Option<&Shown>,
        told: &BTreeSet<SegmentId>,
    ) -> Option<Advice> {
        let here = point.place.here;
        let said = shown.filter(|shown| goes_on(shown, around.trouble));
        // What this place sends itself must not stand in its own way.
        if let Some(shown) = shown {
            self.take_out(&point.audience, shown);
        }
        let unguided_s = if around.trouble.shut {
            None
        } else {
            let unguided_s = around.unguided_s(&point.place, &self.load.costs(self.roads()))?;
            let quiet_s = around.unguided_s(&point.place, &self.times.quiet)?;
            let (least_s, _) = self.least_saving(&point.audience);
            if said.is_none() && unguided_s - quiet_s < KEEP_SHARE * least_s {
                return None;
            }
            Some(unguided_s)
        };
        let costs = around.costs(self.load, here);
        let mut candidates = around.candidates(&point.place, &costs);
        let held = said.and_then(|shown| {
            let stem = shown.said.advice.stem.clone();
            let expected_s = around.expected_s(&point.place, &stem, &costs)?;
            Some(Candidate { stem, expected_s })
        });
        // What a sign may not say anew it may go on saying.
        let settled = shown.is_none_or(|shown| self.settled(shown))
            && self.flips.allow(&point.audience, around.trouble.cause == Cause::Closure, self.now);
        let (chosen, saving_s) = if let Some(unguided_s) = unguided_s {
            self.pays(&point.audience, &candidates, held, settled, unguided_s)?
        } else {
            let best = candidates.first().cloned()?;
            let better = held.as_ref().filter(|held| {
                !settled || best.expected_s * (1.0 + self.plan.switch_gain) >= held.expected_s
            });
            let chosen = better.cloned().unwrap_or(best);
            // Where the way to the trouble is the way round it as well, the next place will say
            // which, later and with newer figures.
            let next = chosen.stem.get(1);
            if settled
                && matches!(point.audience, Audience::Area { .. })
                && let Some(&next) = next
                && around.towards(here) == Some(next)
                && told.contains(&next)
                && self.left_to(here, next, point.veh_s)
            {
                return None;
            }
            (chosen, None)
        };
        candidates.retain(|c| c.stem != chosen.stem);
        let usual = self.usual_from(here);
        let facts =
            Facts { network: self.network, view: self.view, times: self.times, usual: &usual };
        facts.advice(around, &point.place, &chosen, &candidates, saving_s, point.veh_s)
    }

    /// The way round a jam that pays, with the seconds that it saves; what is said is held as long as
    /// it does not do harm.
    fn pays(
        &self,
        audience: &Audience,
        candidates: &[Candidate],
        held: Option<Candidate>,
        settled: bool,
        unguided_s: f64,
    ) -> Option<(Candidate, Option<f64>)> {
        let (least_s, share) = self.least_saving(audience);
        let full = |c: &Candidate| {
            let queues = |id| self.view.state(id).level >= Some(self.plan.speak_from);
            c.stem[1..].iter().any(|id| queues(*id) || self.needed.contains(id))
        };
        let saving_s = |c: &Candidate| unguided_s - c.expected_s;
        let pays = |c: &&Candidate| saving_s(c) >= least_s.max(share * unguided_s) && !full(c);
        let keeps = |held: &Candidate| {
            if settled {
                saving_s(held) >= KEEP_SHARE * least_s && !full(held)
            } else {
                saving_s(held) >= -KEEP_SHARE * least_s
            }
        };
        let best = candidates.iter().find(pays).cloned();
        let chosen = match (held.filter(keeps), best) {
            (Some(held), Some(best)) => {
                let better = best.expected_s * (1.0 + self.plan.switch_gain) < held.expected_s;
                if settled && better { best } else { held }
            }
            (one, other) => one.or(other)?,
        };
        let saving_s = saving_s(&chosen);
        Some((chosen, Some(saving_s)))
    }

    /// What a way round a jam must save before this audience is told of it: seconds, and which part of
    /// the time on the usual way.
    fn least_saving(&self, audience: &Audience) -> (f64, f64) {
        let least_s = self.plan.min_saving.as_secs_f64();
        match audience {
            Audience::Sign(_) if self.plan.areas => (SIGN_TIMES * least_s, SIGN_SHARE),
            Audience::Sign(_) => (LONE_SIGN_TIMES * least_s, SIGN_SHARE),
            Audience::Area { .. } => (least_s, 0.0),
        }
    }

    /// Leaves drivers to what vehicles are told of a shut road on the next segment, or further on;
    /// false if they are told nothing.
    fn left_to(&mut self, here: SegmentId, next: SegmentId, veh_s: f64) -> bool {
        let speaks = self.left.get(&next).copied().unwrap_or(next);
        let audience = area(self.network, speaks, true);
        let Some(proposal) = self.wanted.get_mut(&audience) else { return false };
        let advice = &mut proposal.advice;
        for (way, more) in &mut advice.loads {
            let share = *more / advice.veh_s.max(f64::MIN_POSITIVE);
            self.load.add(way, share * veh_s);
            *more += share * veh_s;
        }
        advice.veh_s += veh_s;
        self.left.insert(here, speaks);
        true
    }

    fn usual_from(&mut self, here: SegmentId) -> Arc<Tree> {
        let (network, free) = (self.network, &self.times.free);
        let tree = || Arc::new(Router::new(network).tree_from(here, free));
        if self.usual.len() >= most_trees(network) && !self.usual.contains_key(&here) {
            self.usual.clear();
        }
        self.usual.entry(here).or_insert_with(tree).clone()
    }

    /// The longest segment of the told way that the usual one does not use: who shares it shares
    /// the alternative.
    fn alternative(&self, advice: &Advice) -> SegmentId {
        let length_m = |id: SegmentId| self.network.segment(id).length_m;
        let told = advice.stem[1..].iter().copied();
        told.max_by(|&a, &b| length_m(a).total_cmp(&length_m(b)).then(b.cmp(&a)))
            .unwrap_or(advice.here)
    }
}

/// Whether what is out speaks of this trouble.
fn is_about(shown: &Shown, trouble: &Trouble) -> bool {
    shown.said.advice.avoid.first().is_some_and(|id| trouble.segments.contains(id))
}

/// Whether what is said of this trouble is what is out already.
fn goes_on(shown: &Shown, trouble: &Trouble) -> bool {
    shown.said.advice.cause == trouble.cause && is_about(shown, trouble)
}

/// Vehicles on one segment. What they are told of shut roads and of jams is two messages, and only one of
/// them is out at a time.
pub(super) fn area(network: &Network, here: SegmentId, shut: bool) -> Audience {
    let letter = if shut { 'c' } else { 'q' };
    Audience::Area { tile: network.tile(here), part: format!("{letter}{}", here.0) }
}

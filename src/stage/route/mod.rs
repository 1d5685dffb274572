//! Who is told to avoid what, by which way, from when until when.
//!
//! Every time the traffic has changed, all is worked out anew; what was said before counts only
//! where something is not clearly better than it. Knows nothing of words: a direction is facts.

mod advice;
mod around;
mod decide;
mod effect;
mod flips;
mod flows;
mod load;
#[cfg(test)]
mod tests;
mod times;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::View;
use crate::domain::direction::{Audience, Cause, Direction, DirectionState};
use crate::domain::network::{Costs, Network, Penalties, Router, SegmentId};
use crate::domain::time::Timestamp;
use crate::domain::wording::Problem;
use crate::plan::Directions;

use advice::Advice;
use around::Maps;
use decide::{Desk, Usual};
use effect::Effect;
use flips::Flips;
use load::{Load, Roads};
use times::{Learnt, Memory, Times};

pub use effect::{GuidanceReport, Promise};

/// More directions than begin between two snapshots.
const IDS_A_RUN: u32 = 1_000;

/// What one audience should be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Proposal {
    audience: Audience,
    advice: Advice,
}

/// The route stage.
#[derive(Debug)]
pub struct Route {
    network: Arc<Network>,
    plan: Directions,
    memory: Memory,
    load: Load,
    flips: Flips,
    effect: Effect,
    usual: Usual,
    maps: Maps,
    shown: BTreeMap<Audience, Shown>,
    issued: u32,
    /// The view's change number at the last look.
    seen: Option<u64>,
    /// When time alone makes another look necessary.
    due: Option<Timestamp>,
}

/// A direction in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shown {
    id: String,
    revision: u32,
    /// When it began to say this way; dwell counts from here.
    since: Timestamp,
    valid_until: Timestamp,
    said: Proposal,
}

/// All that the stage knows and its plan does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteState {
    learnt: Learnt,
    load: Load,
    flips: Flips,
    effect: Effect,
    shown: Vec<Shown>,
    issued: u32,
    seen: Option<u64>,
    due: Option<Timestamp>,
}

impl Route {
    pub fn new(plan: &Directions, network: Arc<Network>) -> Self {
        Self {
            plan: plan.clone(),
            memory: Memory::new(&network),
            load: Load::default(),
            flips: Flips::default(),
            effect: Effect::default(),
            network,
            usual: Usual::new(),
            maps: Maps::default(),
            shown: BTreeMap::new(),
            issued: 0,
            seen: None,
            due: None,
        }
    }

    pub fn state(&self) -> RouteState {
        RouteState {
            learnt: self.memory.state(),
            load: self.load.clone(),
            flips: self.flips.clone(),
            effect: self.effect.clone(),
            shown: self.shown.values().cloned().collect(),
            issued: self.issued,
            seen: self.seen,
            due: self.due,
        }
    }

    /// Takes up the state of a route stage of the same plan and network.
    pub fn restore(&mut self, state: RouteState) {
        let shown = state.shown.into_iter();
        self.shown = shown.map(|shown| (shown.said.audience.clone(), shown)).collect();
        self.memory.restore(state.learnt);
        self.load = state.load;
        self.flips = state.flips;
        self.effect = state.effect;
        self.issued = state.issued;
        self.seen = state.seen;
        self.due = state.due;
    }

    /// Directions issued so far.
    pub fn issued(&self) -> u32 {
        self.issued
    }

    /// Takes no id that another run of the unit has given; it may have given as many as `IDS_A_RUN` more
    /// than is known, so ids go on in the thousand after the next.
    pub fn begin_after(&mut self, issued: u32) {
        self.issued = (issued / IDS_A_RUN).saturating_add(2).saturating_mul(IDS_A_RUN);
    }

    /// The clock has been set: all moments count as `by` ms later.
    pub fn step(&mut self, by: i64) {
        self.due = self.due.map(|due| due.moved(by));
        self.load.step(by);
        self.flips.step(by);
        self.effect.step(by);
        for shown in self.shown.values_mut() {
            shown.since = shown.since.moved(by);
            shown.valid_until = shown.valid_until.moved(by);
        }
    }

    /// The directions to publish at `now`: new, revised, renewed before they expire, or withdrawn.
    /// Signs first, then areas, each in order. Does nothing while the view has not changed and no
    /// direction is due; may be called every second.
    pub fn update(&mut self, now: Timestamp, view: &View<'_>) -> Vec<Direction> {
        let due = self.due.is_some_and(|due| now >= due);
        if self.seen == Some(view.change) && !due {
            return Vec::new();
        }
        self.seen = Some(view.change);
        let network = Arc::clone(&self.network);
        self.memory.observe(&network, view);
        let times = Times::of(&network, view, &self.memory);
        self.effect.pass(now, view, &times, &self.shown, self.plan.speak_from);
        let mut wanted = self.wanted(now, view, &times);

        let mut out = Vec::new();
        let audiences: BTreeSet<Audience> =
            self.shown.keys().chain(wanted.keys()).cloned().collect();
        for audience in audiences {
            let want = wanted.remove(&audience);
            out.extend(match (self.shown.remove(&audience), want) {
                (Some(shown), Some(want)) => self.go_on(now, &times, shown, want),
                (Some(shown), None) => vec![self.withdraw(now, shown)],
                (None, Some(want)) => vec![self.begin(now, &times, want)],
                (None, None) => Vec::new(),
            });
        }
        self.due = self.shown.values().map(|shown| self.look_again(now, shown)).min();
        out
    }

    fn wanted(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        times: &Times,
    ) -> BTreeMap<Audience, Proposal> {
        let said = self.shown.values().flat_map(|shown| &shown.said.advice.loads);
        let roads = Roads { network: &self.network, times };
        self.load.pass(now, roads, said, self.plan.advice_decay);
        let (speak_from, reach_m) = (self.plan.speak_from, self.plan.reach_m);
        let troubles = trouble::find(&self.network, view, &times.now, speak_from, reach_m);
        let desk = Desk {
            network: &self.network,
            plan: &self.plan,
            view,
            now,
            times,
            load: &mut self.load,
            usual: &mut self.usual,
            maps: &mut self.maps,
            shown: &self.shown,
            flips: &self.flips,
            wanted: BTreeMap::new(),
            taken: BTreeSet::new(),
            over: BTreeSet::new(),
            left: BTreeMap::new(),
            at_a_loss: BTreeSet::new(),
            needed: BTreeSet::new(),
        };
        let (wanted, headed_veh_s) = desk.decide(&troubles);
        self.effect.headed(headed_veh_s);
        wanted
    }

    /// How the guidance has fared so far.
    pub fn report(&self) -> GuidanceReport {
        let signs = match self.plan.signs.len() {
            0 => self.network.signs.len(),
            some => some,
        };
        self.effect.report(signs, &self.flips)
    }

    fn begin(&mut self, now: Timestamp, times: &Times, want: Proposal) -> Direction {
        self.flips.changed(&want.audience, now);
        self.issue(now, times, want)
    }

    fn issue(&mut self, now: Timestamp, times: &Times, want: Proposal) -> Direction {
        self.issued += 1;
        let id = format!("d-{:04}", self.issued);
        self.publish(now, times, id, 1, now, want)
    }

    /// What becomes of a direction that is out: kept (and published again where that is due) or
    /// replaced.
    fn go_on(
        &mut self,
        now: Timestamp,
        times: &Times,
        shown: Shown,
        want: Proposal,
    ) -> Vec<Direction> {
        // Under one id there is one trouble: when another one takes its place, the old direction is
        // withdrawn, so that whoever follows it learns that it is over. To a sign that is one change,
        // which `withdraw` counts.
        let said = &shown.said.advice;
        if want.advice.cause != said.cause || has_ended(said, &want.advice) {
            let goes_on = self.may_change(&want, now);
            let over = self.withdraw(now, shown);
            let next = goes_on.then(|| self.issue(now, times, want));
            return [over].into_iter().chain(next).collect();
        }
        let want = self.steady(said, want);
        let same = want.advice.stem == shown.said.advice.stem;
        let since = if same { shown.since } else { now };
        if now >= self.renewal(&shown) || urgent(&shown.said) != urgent(&want) {
            if on_sign(&want.advice) != on_sign(&shown.said.advice) {
                // What nobody announced and will not stand still is taken down instead.
                if !self.may_change(&want, now) {
                    return vec![self.withdraw(now, shown)];
                }
                self.flips.changed(&want.audience, now);
            }
            if !same {
                self.effect.ends(&shown, now);
            }
            return vec![self.publish(now, times, shown.id, shown.revision + 1, since, want)];
        }
        // What is sent over the roads goes by today's figures, even where nothing new is said.
        let said = Proposal {
            advice: Advice {
                loads: want.advice.loads,
                veh_s: want.advice.veh_s,
                ..shown.said.advice
            },
            ..shown.said
        };
        self.shown.insert(said.audience.clone(), Shown { said, ..shown });
        Vec::new()
    }

    /// Whether what is said may change to this: closures always, the rest as often as a sign may begin
    /// with it.
    fn may_change(&self, want: &Proposal, now: Timestamp) -> bool {
        want.advice.cause == Cause::Closure || self.flips.allow(&want.audience, false, now)
    }

    /// What is wanted, with the roads to avoid that are out where those still serve: that a jam has
    /// taken in one road more, or something is blocked far away, is no reason to change a sign.
    fn steady(&self, said: &Advice, mut want: Proposal) -> Proposal {
        let new = &want.advice;
        let same = (&new.stem, new.avoid.first(), &new.closed)
            == (&said.stem, said.avoid.first(), &said.closed);
        if same && new.avoid != said.avoid && self.is_open(said, new) && self.leads(said, new) {
            want.advice.avoid.clone_from(&said.avoid);
            want.advice.blocked.clone_from(&said.blocked);
        }
        want
    }

    /// Whether the way that is out passes nothing that is shut by now, and leads on at its end.
    fn is_open(&self, said: &Advice, new: &Advice) -> bool {
        let shut: BTreeSet<SegmentId> = new.closed.iter().chain(&new.blocked).copied().collect();
        let dead = around::dead_ends(&self.network, &shut);
        !said.way.iter().any(|id| shut.contains(id))
            && said.way.last().is_none_or(|last| !dead.contains(last))
    }

    /// Whether who avoids what is said, and fills the rest of the way by a map, drives as is wanted.
    fn leads(&self, said: &Advice, new: &Advice) -> bool {
        let mut map = Costs::free_flow(&self.network);
        for &id in &said.avoid {
            map.close(id);
        }
        let Some(&from) = new.stem.last() else { return false };
        let rest = |to: SegmentId, penalties| {
            let router = Router::with_penalties(&self.network, penalties);
            router.fastest(from, to, &map).map(|way| way.segments)
        };
        let goals = [said.way.last(), new.way.last()].into_iter().flatten();
        let safe = goals.copied().all(|to| {
            let by_either = [Penalties::SPEED_LIMITS, Penalties::TYPICAL].map(|map| rest(to, map));
            !by_either.iter().flatten().flatten().any(|id| new.avoid.contains(id))
        });
        let wanted = new.way.last().and_then(|&to| rest(to, Penalties::SPEED_LIMITS));
        safe && wanted.is_some_and(|rest| new.way.ends_with(&rest))
    }

    fn publish(
        &mut self,
        now: Timestamp,
        times: &Times,
        id: String,
        revision: u32,
        since: Timestamp,
        said: Proposal,
    ) -> Direction {
        let shown = Shown { id, revision, since, valid_until: now + self.plan.expiry, said };
        if since == now {
            self.effect.begins(&shown, Roads { network: &self.network, times }, &self.load);
        }
        let direction = direction(now, &shown, DirectionState::Show);
        self.shown.insert(shown.said.audience.clone(), shown);
        direction
    }

    /// The last word under an id. It expires like any other message.
    fn withdraw(&mut self, now: Timestamp, shown: Shown) -> Direction {
        self.flips.changed(&shown.said.audience, now);
        self.effect.ends(&shown, now);
        let (revision, valid_until) = (shown.revision + 1, now + self.plan.expiry);
        direction(now, &Shown { revision, valid_until, ..shown }, DirectionState::Clear)
    }

    /// Half of the expiry is left then: a renewal that is lost can be repeated.
    fn renewal(&self, shown: &Shown) -> Timestamp {
        shown.valid_until - self.plan.expiry / 2
    }

    fn look_again(&self, now: Timestamp, shown: &Shown) -> Timestamp {
        let dwell = match shown.said.audience {
            Audience::Sign(_) => self.plan.dwell,
            Audience::Area { .. } => self.plan.area_dwell,
        };
        let settles = shown.since + dwell;
        // Never twice in one instant, however short the expiry.
        let renewal = self.renewal(shown).max(now + Duration::from_millis(1));
        if settles > now { renewal.min(settles) } else { renewal }
    }
}

/// Whether the closure or incident that is spoken of is over, and what is wanted is about another one.
/// An event that now shuts other roads is the same one; what is found in one minute may be two.
fn has_ended(said: &Advice, want: &Advice) -> bool {
    let shut = match said.cause {
        Cause::Closure => &want.closed,
        Cause::Incident => &want.avoid,
        Cause::Congestion => return false,
    };
    said.avoid.first().is_some_and(|id| {
        let others = said.evidence.events != want.evidence.events;
        !shut.contains(id) && (others || said.blocked.contains(id))
    })
}

/// What drivers see change on a sign: of the roads to avoid it has room for the first.
fn on_sign(advice: &Advice) -> impl PartialEq + use<'_> {
    (advice.avoid.first(), &advice.via)
}

/// What must not wait for the next renewal when it changes: what the words name, who is addressed,
/// and which roads nobody can pass.
fn urgent(said: &Proposal) -> impl PartialEq + use<'_> {
    let advice = &said.advice;
    let problem = (Problem::of(advice.cause, advice.level), advice.announced);
    let named = (problem, advice.avoid.first(), &advice.via);
    (named, advice.turn, advice.destination, &advice.closed, &advice.blocked)
}

fn direction(now: Timestamp, shown: &Shown, state: DirectionState) -> Direction {
    let said = &shown.said;
    let advice = &said.advice;
    let applies_on = match said.audience {
        Audience::Sign(_) => Vec::new(),
        Audience::Area { .. } => vec![advice.here],
    };
    Direction {
        id: shown.id.clone(),
        revision: shown.revision,
        ts: now,
        valid_until: shown.valid_until,
        state,
        audience: said.audience.clone(),
        cause: advice.cause,
        announced: advice.announced,
        level: advice.level,
        avoid: advice.avoid.clone(),
        closed: advice.closed.clone(),
        via: advice.via.clone(),
        way: advice.way.clone(),
        applies_on,
        turn: advice.turn,
        destination: advice.destination,
        second: advice.second.filter(|_| matches!(said.audience, Audience::Area { .. })),
        delay_s: advice.delay_s,
        saving_s: advice.saving_s,
        evidence: advice.evidence.clone(),
    }
}

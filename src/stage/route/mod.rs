//! Who is told to avoid what, by which way, from when until when.
//!
//! Every time the traffic has changed, all is worked out anew; what was said before decides only
//! whether to speak again. Knows nothing of words: a direction is facts.

mod advice;
mod audience;
mod case;
mod destinations;
mod scene;
#[cfg(test)]
mod tests;
mod times;
mod trouble;
mod via;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::View;
use crate::domain::direction::{Audience, Cause, Direction, DirectionState};
use crate::domain::network::{Network, SegmentId};
use crate::domain::time::Timestamp;
use crate::domain::wording::Problem;
use crate::plan::Directions;

use audience::{Proposal, proposals};
use destinations::Destinations;
use scene::{Scene, Usual};

/// A direction in force gives way to another one for the same trouble, once its dwell is over, if
/// that saves this much more: less is within the error of travel times.
const SWITCH_S: f64 = 30.0;

/// A direction that is out is kept while it saves at least this part of the minimum saving, so that
/// it does not flicker around the minimum; one that costs as much is left within its dwell.
const KEEP_SHARE: f64 = 0.5;

/// The route stage.
#[derive(Debug)]
pub struct Route {
    network: Arc<Network>,
    plan: Directions,
    destinations: Destinations,
    usual: Usual,
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
    /// When it began to say this; dwell counts from here.
    since: Timestamp,
    valid_until: Timestamp,
    said: Proposal,
}

/// All that the stage knows and its plan does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteState {
    shown: Vec<Shown>,
    issued: u32,
    seen: Option<u64>,
    due: Option<Timestamp>,
}

impl Route {
    pub fn new(plan: &Directions, network: Arc<Network>) -> Self {
        Self {
            destinations: Destinations::of(&network),
            plan: plan.clone(),
            network,
            usual: Usual::new(),
            shown: BTreeMap::new(),
            issued: 0,
            seen: None,
            due: None,
        }
    }

    pub fn state(&self) -> RouteState {
        RouteState {
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
        self.issued = state.issued;
        self.seen = state.seen;
        self.due = state.due;
    }

    /// The clock has been set: all moments count as `by` ms later.
    pub fn step(&mut self, by: i64) {
        self.due = self.due.map(|due| due.moved(by));
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
        let plan = self.plan.clone();
        let mut scene = Scene::new(&network, &plan, view, &self.destinations, &mut self.usual);
        let said: BTreeSet<Audience> = self.shown.keys().cloned().collect();
        let mut wanted = proposals(&network, &plan, view, &mut scene, &said);

        // What is out, under today's figures: absent where it no longer holds.
        let mut held = BTreeMap::new();
        for (audience, shown) in &self.shown {
            let members = shown.said.members.iter().filter_map(|m| scene.again(m)).collect();
            if let Some(proposal) = Proposal::new(audience.clone(), members) {
                held.insert(audience.clone(), proposal);
            }
        }
        self.settle_areas(now, &mut held, &mut wanted);

        let mut out = Vec::new();
        let audiences: BTreeSet<Audience> =
            said.into_iter().chain(wanted.keys().cloned()).collect();
        for audience in audiences {
            let (held, want) = (held.remove(&audience), wanted.remove(&audience));
            out.extend(match self.shown.remove(&audience) {
                Some(shown) => self.go_on(now, shown, held, want),
                None => want.map(|want| self.begin(now, want)).into_iter().collect(),
            });
        }
        self.due = self.shown.values().map(|shown| self.look_again(now, shown)).min();
        out
    }

    /// Sees to it that no segment is addressed by two area messages: one that is within its dwell
    /// and still good keeps its segments, all others go to what is wanted for them now.
    fn settle_areas(
        &self,
        now: Timestamp,
        held: &mut BTreeMap<Audience, Proposal>,
        wanted: &mut BTreeMap<Audience, Proposal>,
    ) {
        let closing: BTreeSet<SegmentId> = wanted
            .values()
            .filter(|p| p.advice.cause == Cause::Closure)
            .flat_map(Proposal::segments)
            .collect();
        let least_s = self.plan.min_saving.as_secs_f64() * KEEP_SHARE;
        let mut claimed = BTreeSet::new();
        for (audience, shown) in &self.shown {
            if matches!(audience, Audience::Sign(_)) || wanted.contains_key(audience) {
                continue;
            }
            let keeps = held.get(audience).is_some_and(|now_held| {
                let closure = now_held.advice.cause == Cause::Closure;
                // Its name in the topic stands for what is avoided.
                now_held.advice.avoid == shown.said.advice.avoid
                    && now.since(shown.since) < self.plan.dwell
                    && (closure || now_held.advice.gain_s >= -least_s)
                    && (closure || now_held.segments().iter().all(|id| !closing.contains(id)))
            });
            if keeps {
                claimed.extend(held.get(audience).into_iter().flat_map(Proposal::segments));
            } else {
                held.remove(audience);
            }
        }
        let areas: Vec<Audience> =
            wanted.keys().filter(|a| matches!(a, Audience::Area { .. })).cloned().collect();
        for audience in areas {
            if let Some(mut proposal) = wanted.remove(&audience) {
                proposal.members.retain(|m| !claimed.contains(&m.here));
                if let Some(rest) = Proposal::new(audience.clone(), proposal.members) {
                    // The same audience says the same; only whom and how much may have changed.
                    held.remove(&audience);
                    wanted.insert(audience, rest);
                }
            }
        }
    }

    fn begin(&mut self, now: Timestamp, want: Proposal) -> Direction {
        self.issued += 1;
        let id = format!("d-{:04}", self.issued);
        self.publish(now, id, 1, now, want)
    }

    /// What becomes of a direction that is out: kept (and published again where that is due),
    /// replaced, or withdrawn.
    fn go_on(
        &mut self,
        now: Timestamp,
        shown: Shown,
        held: Option<Proposal>,
        want: Option<Proposal>,
    ) -> Vec<Direction> {
        let area = matches!(shown.said.audience, Audience::Area { .. });
        let (said, since) = match (held, want) {
            (None, None) => return vec![self.withdraw(now, shown)],
            // An area's name says what it says: the same name, the same advice.
            (None, Some(want)) if area => (want, shown.since),
            (None, Some(want)) => return self.replace(now, shown, now, want),
            (Some(held), want) => {
                let settled = now.since(shown.since) >= self.plan.dwell;
                match judge(&self.plan, settled, &held, want.as_ref()) {
                    Verdict::Keep => (held, shown.since),
                    Verdict::Leave => {
                        return match want {
                            Some(want) => self.replace(now, shown, now, want),
                            None => vec![self.withdraw(now, shown)],
                        };
                    }
                }
            }
        };
        let renew = now >= self.renewal(&shown);
        if renew || urgent(&shown.said) != urgent(&said) {
            return self.replace(now, shown, since, said);
        }
        self.shown.insert(shown.said.audience.clone(), shown);
        Vec::new()
    }

    /// The next message to an audience. Under one id there is one cause: when another one takes its
    /// place, the old direction is withdrawn, so that whoever follows it learns that it is over.
    fn replace(
        &mut self,
        now: Timestamp,
        shown: Shown,
        since: Timestamp,
        said: Proposal,
    ) -> Vec<Direction> {
        if said.advice.cause == shown.said.advice.cause {
            return vec![self.publish(now, shown.id, shown.revision + 1, since, said)];
        }
        vec![self.withdraw(now, shown), self.begin(now, said)]
    }

    fn publish(
        &mut self,
        now: Timestamp,
        id: String,
        revision: u32,
        since: Timestamp,
        said: Proposal,
    ) -> Direction {
        let shown = Shown { id, revision, since, valid_until: now + self.plan.expiry, said };
        let direction = direction(now, &shown, DirectionState::Show);
        self.shown.insert(shown.said.audience.clone(), shown);
        direction
    }

    /// The last word under an id. It expires like any other message.
    fn withdraw(&self, now: Timestamp, shown: Shown) -> Direction {
        let (revision, valid_until) = (shown.revision + 1, now + self.plan.expiry);
        direction(now, &Shown { revision, valid_until, ..shown }, DirectionState::Clear)
    }

    /// Half of the expiry is left then: a renewal that is lost can be repeated.
    fn renewal(&self, shown: &Shown) -> Timestamp {
        shown.valid_until - self.plan.expiry / 2
    }

    fn look_again(&self, now: Timestamp, shown: &Shown) -> Timestamp {
        let settles = shown.since + self.plan.dwell;
        // Never twice in one instant, however short the expiry.
        let renewal = self.renewal(shown).max(now + Duration::from_millis(1));
        if settles > now { renewal.min(settles) } else { renewal }
    }
}

enum Verdict {
    Keep,
    /// Say what is wanted now, or nothing.
    Leave,
}

/// Whether a direction that still holds should stay. A closure displaces anything else at once, and
/// a way that has become clearly slower is left at once; all other changes wait for the dwell.
fn judge(plan: &Directions, settled: bool, held: &Proposal, want: Option<&Proposal>) -> Verdict {
    let (old, new) = (&held.advice, want.map(|want| &want.advice));
    let closure = old.cause == Cause::Closure;
    let closes = new.is_some_and(|new| new.cause == Cause::Closure);
    let least_s = plan.min_saving.as_secs_f64() * KEEP_SHARE;
    if !closure && (closes || old.gain_s < -least_s) {
        return Verdict::Leave;
    }
    if !settled {
        return Verdict::Keep;
    }
    let weak = old.gain_s < least_s || old.filled;
    if !closure && weak {
        return Verdict::Leave;
    }
    let better = new.is_some_and(|new| {
        let same_question = new.trouble == old.trouble && new.goal == old.goal;
        !same_question || new.time_s + SWITCH_S < old.time_s
    });
    if better { Verdict::Leave } else { Verdict::Keep }
}

/// What must not wait for the next renewal when it changes: what the words name, who is addressed,
/// and which roads are closed.
fn urgent(said: &Proposal) -> impl PartialEq + use<'_> {
    let advice = &said.advice;
    let named = (Problem::of(advice.cause, advice.level), advice.avoid.first(), &advice.via);
    (named, advice.turn, advice.destination, &advice.closed, said.segments())
}

fn direction(now: Timestamp, shown: &Shown, state: DirectionState) -> Direction {
    let said = &shown.said;
    let advice = &said.advice;
    let applies_on = match said.audience {
        Audience::Sign(_) => Vec::new(),
        Audience::Area { .. } => said.segments(),
    };
    Direction {
        id: shown.id.clone(),
        revision: shown.revision,
        ts: now,
        valid_until: shown.valid_until,
        state,
        audience: said.audience.clone(),
        cause: advice.cause,
        level: advice.level,
        avoid: advice.avoid.clone(),
        via: advice.via.clone(),
        way: advice.way.clone(),
        applies_on,
        turn: advice.turn,
        destination: advice.destination,
        delay_s: advice.delay_s,
        saving_s: advice.saving_s,
        evidence: advice.evidence.clone(),
    }
}

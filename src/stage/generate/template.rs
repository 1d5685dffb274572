//! The writer that is always ready: fixed phrases, the richest combination that fits.
//!
//! No file, no model, no chance of failing on a space of the least size. Every phrase is one that
//! the corpus allows too.

use std::cmp::Reverse;

use super::phrases::Phrases;
use super::width;
use crate::domain::slots::SlotSet;
use crate::domain::wording::{ClauseKind, Draft, SIGN_UNITS, Slot, Space, WordingRequest};
use crate::ports::{Expired, Writer, WriterError};

/// A spoken or displayed text in a vehicle can be looked at twice, and says more than a sign's.
const VEHICLE_UNITS: usize = 6;

/// Words directions from fixed phrases.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateWriter;

impl Writer for TemplateWriter {
    /// `attempt` n gives the n-th best of the combinations that fit. Needs no time to speak of, so
    /// `expired` is not asked.
    fn write(
        &mut self,
        request: &WordingRequest,
        attempt: u32,
        _expired: &Expired<'_>,
    ) -> Result<Draft, WriterError> {
        if let Some(draft) = ranked(request).nth(attempt as usize) {
            return Ok(draft);
        }
        Err(WriterError::Unsatisfiable(match (ranked(request).count(), request.space) {
            (0, Space::Sign { rows, cols, .. }) => {
                format!("no template fits {rows} rows of {cols} columns a page")
            }
            (0, Space::Vehicle { max_chars }) => {
                format!("no template fits {max_chars} characters")
            }
            (known, _) => format!("only {known} templates fit the request"),
        }))
    }

    fn name(&self, _request: &WordingRequest) -> &'static str {
        "template"
    }
}

/// Whether some template for a request fits its space and `fits` besides.
pub(super) fn has_text(request: &WordingRequest, fits: impl Fn(&Draft) -> bool) -> bool {
    ranked(request).any(|draft| fits(&draft))
}

/// How much a driver gains from a fact, the others being equal.
fn worth(slot: Slot) -> u32 {
    match slot {
        Slot::Via0 => 8192,
        Slot::Closed => 4096,
        Slot::Delay => 2048,
        Slot::Turn => 1024,
        Slot::AlsoClosed => 512,
        Slot::Lanes => 256,
        Slot::Until => 128,
        // The two ends of a stretch are one fact.
        Slot::Between0 => 32,
        Slot::Between1 => 0,
        Slot::AlsoQueue => 16,
        Slot::Saving => 8,
        Slot::Dest => 4,
        Slot::Via1 => 2,
        Slot::Since => 1,
    }
}

/// Clauses of a combination, and where these stand among them.
const CLAUSES: usize = 8;
const REASON: usize = 2;
const ADVICE: usize = 6;

/// Why a road is closed changes nobody's way, but helps to believe the sign.
const WORTH_OF_REASON: u32 = 64;

/// A phrase, what it says, and its units of information.
#[derive(Clone, Copy, Debug)]
struct Clause {
    text: &'static str,
    slots: SlotSet,
    units: usize,
}

impl Clause {
    fn new(text: &'static str, kind: ClauseKind) -> Self {
        let slots = slots_of(text);
        Self { text, slots, units: kind.units(slots.slots()) }
    }
}

/// A clause of each kind, or none.
type Plan = [Option<Clause>; CLAUSES];

/// All combinations of phrases that fit, best first; among equals the earlier phrases.
fn ranked(request: &WordingRequest) -> impl Iterator<Item = Draft> {
    let phrases = Phrases::of(request.language, request.problem, request.reason, request.space);
    let there = SlotSet::offered(request);
    let offered = |kind| {
        move |text: &'static str| {
            Some(Clause::new(text, kind)).filter(|clause| clause.slots.is_within(there))
        }
    };
    let or_none = |lists: &[&'static [&'static str]], kind| -> Vec<Option<Clause>> {
        let phrases = lists.iter().copied().flatten().copied().filter_map(offered(kind));
        phrases.map(Some).chain([None]).collect()
    };
    let extents = or_none(&[phrases.between, phrases.lanes], ClauseKind::Facts);
    let reasons = or_none(&[phrases.reason], ClauseKind::Statement);
    let times = or_none(&[phrases.until, phrases.since], ClauseKind::Facts);
    let delays = or_none(&[phrases.delay], ClauseKind::Facts);
    let seconds = or_none(&[phrases.also_closed, phrases.also_queue], ClauseKind::Facts);
    let savings = or_none(&[phrases.saving], ClauseKind::Facts);
    let mut asides = Vec::new();
    for extent in &extents {
        for reason in &reasons {
            for time in &times {
                for delay in &delays {
                    asides.extend(seconds.iter().map(|s| [*extent, *reason, *time, *delay, *s]));
                }
            }
        }
    }
    let mut plans: Vec<(u32, Plan)> = Vec::new();
    let problems = phrases.problem.iter().copied().filter_map(offered(ClauseKind::Statement));
    for problem in problems {
        for advice in phrases.advice(request).filter_map(offered(ClauseKind::Advice)) {
            for [extent, reason, time, delay, second] in &asides {
                for saving in &savings {
                    let (problem, advice) = (Some(problem), Some(advice));
                    let plan = [problem, *extent, *reason, *time, *delay, *second, advice, *saving];
                    plans.extend(worth_of(request, &plan).map(|worth| (worth, plan)));
                }
            }
        }
    }
    plans.sort_by_key(|(worth, _)| Reverse(*worth));
    plans.into_iter().filter_map(|(_, plan)| fitting(request, &plan))
}

/// What a text of these clauses, of which all slots are offered, is worth: if it says what it must, in no
/// more units of information than a driver takes in.
fn worth_of(request: &WordingRequest, plan: &Plan) -> Option<u32> {
    let units = match request.space {
        Space::Sign { .. } => SIGN_UNITS,
        Space::Vehicle { .. } => VEHICLE_UNITS,
    };
    let said: usize = plan.iter().flatten().map(|clause| clause.units).sum();
    let slots = plan.iter().flatten().fold(SlotSet::default(), |set, c| set.union(c.slots));
    if said > units || request.slots.iter().any(|fact| fact.required && !slots.has(fact.slot)) {
        return None;
    }
    let of_reason = if plan[REASON].is_some() { WORTH_OF_REASON } else { 0 };
    Some(slots.slots().map(worth).sum::<u32>() + of_reason)
}

/// The clauses as a draft, if the filled text fits the space; a second page begins with the advice.
fn fitting(request: &WordingRequest, plan: &Plan) -> Option<Draft> {
    let (before, after) = plan.split_at(ADVICE);
    let [before, after] =
        [before, after].map(|part| part.iter().flatten().map(|clause| clause.text));
    let (draft, max) = match request.space {
        Space::Sign { rows, cols, .. } => {
            let lines = |clause: &'static str| clause.split(" / ").map(str::to_owned);
            let mut lines_of_all: Vec<String> = before.flat_map(lines).collect();
            let before_advice = lines_of_all.len();
            lines_of_all.extend(after.flat_map(lines));
            let in_all = lines_of_all.len();
            let second_page = request.space.second_page(before_advice, in_all);
            let first = second_page.map_or(in_all, usize::from);
            if first.max(in_all - first) > usize::from(rows) {
                return None;
            }
            (Draft { rows: lines_of_all, second_page }, usize::from(cols))
        }
        Space::Vehicle { max_chars } => {
            let clauses: Vec<&str> = before.chain(after).collect();
            (Draft::of_rows(vec![clauses.join(" ")]), usize::from(max_chars))
        }
    };
    draft.rows.iter().all(|row| filled_width(request, row) <= max).then_some(draft)
}

/// Characters of a row once its slots are filled.
fn filled_width(request: &WordingRequest, row: &str) -> usize {
    slots_of(row).slots().fold(width(row), |chars, slot| {
        let text = request.slot(slot).map_or(0, |fact| width(&fact.text));
        chars + text - width(slot.tag())
    })
}

/// The slots of a phrase, which has each once at most.
fn slots_of(phrase: &str) -> SlotSet {
    let said = Slot::ALL.into_iter().filter(|slot| phrase.contains(slot.tag()));
    said.fold(SlotSet::default(), SlotSet::with)
}

#[cfg(test)]
mod tests;

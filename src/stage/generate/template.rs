//! The writer that is always ready: fixed phrases, the richest combination that fits.
//!
//! No file, no model, no chance of failing on a space of the least size. Every phrase is one that
//! the corpus allows too.

use std::cmp::Reverse;

use super::phrases::{self, Phrases};
use super::width;
use crate::domain::wording::{Draft, Slot, Space, WordingRequest};
use crate::ports::{Expired, Writer, WriterError};

/// Most units of information that a driver takes in while passing a sign (problem, place, advised
/// road, one more): the usual limit in guidelines for variable message signs.
const SIGN_UNITS: usize = 4;
/// A spoken or displayed text in a vehicle can be looked at twice.
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
        let mut texts = ranked(request);
        let index = attempt as usize;
        if index < texts.len() {
            return Ok(texts.swap_remove(index).draft);
        }
        Err(WriterError::Unsatisfiable(match (texts.len(), request.space) {
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

/// The best template for a request, if any fits.
pub(super) fn best(request: &WordingRequest) -> Option<Draft> {
    ranked(request).into_iter().next().map(|text| text.draft)
}

/// A text that fits, with what it is worth.
struct Text {
    draft: Draft,
    worth: u32,
    /// Place in the phrase lists, the better phrases first.
    order: usize,
}

/// How much a driver gains from a fact, the others being equal.
fn worth(slot: Slot) -> u32 {
    match slot {
        Slot::Via0 => 2048,
        Slot::Closed => 1024,
        Slot::Delay => 512,
        Slot::Turn => 256,
        Slot::Lanes => 128,
        Slot::Until => 64,
        // The two ends of a stretch are one fact.
        Slot::Between0 => 16,
        Slot::Between1 => 0,
        Slot::Saving => 8,
        Slot::Dest => 4,
        Slot::Via1 => 2,
        Slot::Since => 1,
    }
}

/// Clauses of a combination, and where the advice stands among them.
const CLAUSES: usize = 7;
const ADVICE: usize = 5;

/// Why a road is closed changes nobody's way, but helps to believe the sign.
const WORTH_OF_REASON: u32 = 32;

/// All combinations of phrases that fit, best first; among equals the earlier phrases.
fn ranked(request: &WordingRequest) -> Vec<Text> {
    let phrases = Phrases::of(request.language, request.problem, request.reason, request.space);
    let units = match request.space {
        Space::Sign { .. } => SIGN_UNITS,
        Space::Vehicle { .. } => VEHICLE_UNITS,
    };
    let list = |list: &'static [&'static str]| phrases::or_none(list.iter().copied());
    let mut asides = Vec::new();
    for extent in list(phrases.extent(request)) {
        for reason in list(phrases.reason) {
            for time in phrases::or_none(phrases.time(request)) {
                for delay in list(phrases.delay) {
                    asides.push([extent, reason, time, delay]);
                }
            }
        }
    }
    let mut texts = Vec::new();
    let mut order = 0;
    for problem in phrases.problem {
        for advice in phrases.advice(request) {
            for [extent, reason, time, delay] in &asides {
                for saving in list(phrases.saving) {
                    order += 1;
                    let (problem, advice) = (Some(*problem), Some(advice));
                    let plan = [problem, *extent, *reason, *time, *delay, advice, saving];
                    if let Some((draft, worth)) = combined(request, plan, units) {
                        texts.push(Text { draft, worth, order });
                    }
                }
            }
        }
    }
    texts.sort_by_key(|text| (Reverse(text.worth), text.order));
    texts
}

/// A text of these clauses, and what it is worth: if it says what it must, of what was offered, in
/// no more units of information than a driver takes in, and fits.
fn combined(
    request: &WordingRequest,
    plan: [Option<&'static str>; CLAUSES],
    units: usize,
) -> Option<(Draft, u32)> {
    let (reason, advice) = (plan[2], plan[ADVICE]);
    let clauses: Vec<&str> = plan.into_iter().flatten().collect();
    let slots = slots_of(&clauses);
    // Advice without a name is a unit of its own; a problem and a reason always are.
    let unnamed_advice = usize::from(slots_of(advice.as_slice()).is_empty());
    // The two ends of a stretch are one.
    let facts = slots.iter().filter(|slot| **slot != Slot::Between1).count();
    let said = facts + 1 + usize::from(reason.is_some()) + unnamed_advice;
    if said > units
        || slots.iter().any(|slot| request.slot(*slot).is_none())
        || request.slots.iter().any(|fact| fact.required && !slots.contains(&fact.slot))
    {
        return None;
    }
    let worth = slots.into_iter().map(worth).sum::<u32>()
        + if reason.is_some() { WORTH_OF_REASON } else { 0 };
    let (before, after) = plan.split_at(ADVICE);
    Some((fitting(request, [before, after].map(|part| part.iter().flatten().copied()))?, worth))
}

/// The clauses, those from the advice on apart, as a draft, if the filled text fits the space.
fn fitting<'p>(
    request: &WordingRequest,
    [before, after]: [impl Iterator<Item = &'p str>; 2],
) -> Option<Draft> {
    let (draft, max) = match request.space {
        Space::Sign { rows, cols, .. } => {
            let lines = |clause: &'p str| clause.split(" / ").map(str::to_owned);
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
    slots_of(&[row]).into_iter().fold(width(row), |chars, slot| {
        let text = request.slot(slot).map_or(0, |fact| width(&fact.text));
        chars + text - width(slot.tag())
    })
}

/// The slots of some phrases, in `Slot::ALL`'s order. A phrase has a slot once at most.
fn slots_of(phrases: &[&str]) -> Vec<Slot> {
    let has = |slot: &Slot| phrases.iter().any(|phrase| phrase.contains(slot.tag()));
    Slot::ALL.into_iter().filter(has).collect()
}

#[cfg(test)]
mod tests;

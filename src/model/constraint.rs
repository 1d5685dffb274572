//! What may be written next: an automaton made for one request.
//!
//! It lets through exactly the texts that say the problem and the advice, hold every required fact
//! once and no fact twice, fit the space and, on a sign, are no more than a driver takes in in
//! passing; and at every step only what such a text can still
//! follow, so it never ends in a corner. Whatever chooses among the allowed tokens (a model, chance)
//! cannot write an invalid text. Knows nothing of probabilities.

use std::collections::BTreeMap;

use crate::domain::slots::SlotSet;
use crate::domain::wording::{
    ClauseKind, Draft, Problem, SIGN_UNITS, Slot, Space, Strength, WordingRequest,
};
use crate::ports::WriterError;

use super::grammar::{Clause, Grammar, Phrasebook};
use super::sampler::Place;
use super::slots;
use super::vocabulary::{END, NEXT, Token, Vocabulary};

/// Clauses come in this order; all but the problem and the advice may be left out.
pub const KINDS: usize = 8;
pub const PROBLEM: usize = 0;
/// Between which roads, or how many lanes.
pub const EXTENT: usize = 1;
pub const REASON: usize = 2;
/// Since when, until when, or both.
pub const TIME: usize = 3;
pub const DELAY: usize = 4;
/// Another road that is closed or full.
pub const SECOND: usize = 5;
pub const ADVICE: usize = 6;
pub const SAVING: usize = 7;

/// More than any space holds.
const NEVER: u16 = u16::MAX;

/// A clause that the request has the facts and the room for.
#[derive(Clone, Copy, Debug)]
pub struct Fitting<'g> {
    pub clause: &'g Clause,
    pub kind: usize,
    /// Rows of a sign; characters of a vehicle text, the space before the sentence included.
    pub cost: u16,
    /// Units of information on a sign; not counted in a vehicle text.
    pub units: usize,
}

/// A cost by the units of information that may still be said.
type ByUnits = [u16; SIGN_UNITS + 1];

#[derive(Clone, Debug)]
pub struct Constraint<'g> {
    fitting: [Vec<Fitting<'g>>; KINDS],
    /// The kinds that a text may not do without.
    must: [bool; KINDS],
    limit: u16,
    pages: Pages,
    /// The least that completes a page in which the clauses of kinds before `k` are decided. `NEVER` too
    /// where the next page cannot be completed. No fact is said by two kinds of clauses, so of what was
    /// said before only the units count.
    need: [ByUnits; KINDS + 1],
    /// What the finished clauses took of the page that the newest of them is on, and its kind.
    spent: u16,
    /// Units of information of the finished clauses, on whichever page.
    units: usize,
    last: usize,
    /// The clauses that the tokens since then can still become, and the number of those tokens.
    open: Vec<Fitting<'g>>,
    depth: usize,
    finished: bool,
}

/// How the kinds of clauses lie on pages: each page has the whole room of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pages {
    two: bool,
}

impl Pages {
    fn of(space: Space) -> Self {
        Self { two: matches!(space, Space::Sign { pages: 2.., .. }) }
    }

    pub(super) fn is_one_page(self, kind: usize, other: usize) -> bool {
        !self.two || (kind < ADVICE) == (other < ADVICE)
    }
}

/// Takes away what may not be said of the clauses of a kind; whether one that is left must be said.
pub(super) type Keep<'k, 'g> = dyn Fn(usize, &mut Vec<Fitting<'g>>) -> bool + 'k;

/// A text by its clauses, as they were written.
pub type Clauses = [Option<Vec<Token>>; KINDS];

impl<'g> Constraint<'g> {
    /// `Unsatisfiable` when no text says all required facts in the space.
    pub fn new(grammar: &'g Grammar, request: &WordingRequest) -> Result<Self, WriterError> {
        Self::of(grammar, request, None)
    }

    /// Of the clauses only those that `keep` leaves; `Unsatisfiable` too where they are no text.
    pub(super) fn of(
        grammar: &'g Grammar,
        request: &WordingRequest,
        keep: Option<&Keep<'_, 'g>>,
    ) -> Result<Self, WriterError> {
        let book = grammar.book(request.language, request.space).ok_or_else(|| {
            WriterError::Unsatisfiable(format!(
                "the model has no words in `{}`",
                request.language.code()
            ))
        })?;
        let facts = Facts::of(request);
        // Advice names the way where one is known; "another way" is the answer only where none is,
        // or where none fits.
        let mut why = String::new();
        let told = Told::of(request, book);
        for named_way in [true, false] {
            let mut fitting = [
                fit(&[book.problem(request.problem)], PROBLEM, request.space, &facts),
                fit(&told.extent, EXTENT, request.space, &facts),
                fit(&told.reason, REASON, request.space, &facts),
                fit(&told.time, TIME, request.space, &facts),
                fit(&[book.delay()], DELAY, request.space, &facts),
                fit(&[book.also_closed(), book.also_queue()], SECOND, request.space, &facts),
                fit(&advice(book, named_way), ADVICE, request.space, &facts),
                fit(&[book.saving()], SAVING, request.space, &facts),
            ];
            let mut must = std::array::from_fn(|kind| {
                !is_optional(kind) || !facts.required.is_apart_from(slots::of_kind(kind))
            });
            let mut need = need_of(&fitting, must, &facts);
            let mut least = need[PROBLEM][SIGN_UNITS];
            if least <= facts.limit {
                if let Some(keep) = keep {
                    for (kind, fitting) in fitting.iter_mut().enumerate() {
                        must[kind] |= keep(kind, fitting);
                    }
                    need = need_of(&fitting, must, &facts);
                    least = need[PROBLEM][SIGN_UNITS];
                    if least > facts.limit {
                        why = format!(
                            "what is to be kept leaves no room: {least} of {}",
                            facts.limit
                        );
                        break;
                    }
                }
                let mut constraint = Self {
                    fitting,
                    must,
                    limit: facts.limit,
                    pages: facts.pages,
                    need,
                    spent: 0,
                    units: 0,
                    last: PROBLEM,
                    open: Vec::new(),
                    depth: 0,
                    finished: false,
                };
                constraint.open_clauses(PROBLEM, PROBLEM);
                return Ok(constraint);
            }
            why = if least == NEVER {
                "no clauses hold all required facts (on a sign in four units of information)"
                    .to_owned()
            } else {
                format!("the shortest text takes {least} of {}", facts.limit)
            };
        }
        Err(WriterError::Unsatisfiable(why))
    }

    /// The tokens that may come next, in ascending order; empty once finished. `allowed` is
    /// cleared first.
    pub fn allowed(&self, allowed: &mut Vec<Token>) {
        allowed.clear();
        if self.finished {
            return;
        }
        for fitting in &self.open {
            if let Some(&token) = fitting.clause.tokens().get(self.depth) {
                allowed.push(token);
            } else {
                if self.may_end(fitting) {
                    allowed.push(END);
                }
                if self.may_go_on(fitting) {
                    allowed.push(NEXT);
                }
            }
        }
        allowed.sort_unstable();
        allowed.dedup();
    }

    /// Takes the next token; `false`, and no change, when it is not allowed.
    pub fn push(&mut self, token: Token) -> bool {
        if self.finished {
            return false;
        }
        let depth = self.depth;
        if token == END || token == NEXT {
            let complete =
                self.open.iter().find(|fitting| fitting.clause.tokens().len() == depth).copied();
            let Some(complete) = complete else { return false };
            if token == END {
                self.finished = self.may_end(&complete);
                return self.finished;
            }
            if !self.may_go_on(&complete) {
                return false;
            }
            self.spent = self.spent(complete.kind) + complete.cost;
            self.units += complete.units;
            self.last = complete.kind;
            let (from, to) = following(complete.kind);
            let to = (from..=to).find(|kind| self.must[*kind]).unwrap_or(to);
            self.open_clauses(from, to);
            return true;
        }
        if !self.open.iter().any(|fitting| fitting.clause.tokens().get(depth) == Some(&token)) {
            return false;
        }
        self.open.retain(|fitting| fitting.clause.tokens().get(depth) == Some(&token));
        self.depth += 1;
        true
    }

    /// Where a token that is allowed now would stand.
    pub fn place(&self, token: Token) -> Place {
        let depth = self.depth;
        let at = |fitting: &&Fitting<'_>| match fitting.clause.tokens().get(depth) {
            Some(next) => *next == token,
            None => token == END || token == NEXT,
        };
        Place { kind: self.open.iter().find(at).map_or(KINDS, |fitting| fitting.kind), depth }
    }

    /// The clauses of a text by their kinds, as far as the constraint lets it through.
    pub fn clauses(mut self, text: &[Token]) -> Clauses {
        let mut clauses = Clauses::default();
        for clause in text.split(|token| *token == NEXT) {
            let taken = clause.iter().all(|token| self.push(*token));
            let kind = self.place(NEXT).kind;
            if !taken || kind >= KINDS {
                break;
            }
            clauses[kind] = Some(clause.to_vec());
            if !self.push(NEXT) {
                break;
            }
        }
        clauses
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The clauses that fit the request at all, by kind.
    pub fn fitting(&self, kind: usize) -> &[Fitting<'g>] {
        self.fitting.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The clauses that what was written so far can become.
    pub fn open(&self) -> &[Fitting<'g>] {
        &self.open
    }

    /// Whether a text for this request may not do without a clause of this kind.
    pub fn must(&self, kind: usize) -> bool {
        self.must[kind]
    }

    /// Rows of a sign's page, characters of a vehicle text.
    pub fn limit(&self) -> u16 {
        self.limit
    }

    pub(super) fn pages(&self) -> Pages {
        self.pages
    }

    /// What the finished clauses took of the page that a clause of this kind would stand on.
    pub fn spent(&self, kind: usize) -> u16 {
        if self.pages.is_one_page(self.last, kind) { self.spent } else { 0 }
    }

    fn open_clauses(&mut self, from: usize, to: usize) {
        let mut open = std::mem::take(&mut self.open);
        open.clear();
        for kind in from..=to {
            open.extend(
                self.fitting[kind]
                    .iter()
                    .filter(|fitting| self.leads_to_an_end(fitting, self.spent(kind), self.units)),
            );
        }
        self.open = open;
        self.depth = 0;
    }

    /// Whether a text can be completed with this clause after what was spent and said.
    fn leads_to_an_end(&self, fitting: &Fitting<'_>, spent: u16, units: usize) -> bool {
        let Some(left) = SIGN_UNITS.checked_sub(units + fitting.units) else { return false };
        let after = self.need[fitting.kind + 1][left];
        spent.saturating_add(fitting.cost).saturating_add(after) <= self.limit
    }

    fn may_end(&self, complete: &Fitting<'_>) -> bool {
        complete.kind == SAVING || (complete.kind == ADVICE && !self.must[SAVING])
    }

    fn may_go_on(&self, complete: &Fitting<'_>) -> bool {
        match complete.kind {
            // Advice must follow, and the clause was opened only because it can.
            PROBLEM | EXTENT | REASON | TIME | DELAY | SECOND => true,
            ADVICE => {
                // The saving stands on the advice's page.
                let spent = self.spent(ADVICE).saturating_add(complete.cost);
                let units = self.units + complete.units;
                self.fitting[SAVING].iter().any(|next| self.leads_to_an_end(next, spent, units))
            }
            _ => false,
        }
    }
}

/// A text that a constraint on this request let through, in rows and pages.
pub fn draft(
    grammar: &Grammar,
    vocabulary: &Vocabulary,
    request: &WordingRequest,
    text: &[Token],
) -> Result<Draft, WriterError> {
    let mut draft = vocabulary.draft(text, request.space);
    if Pages::of(request.space).two {
        let clauses = Constraint::new(grammar, request)?.clauses(text);
        let breaks = |clause: &Vec<Token>| {
            clause.iter().filter(|token| **token == Vocabulary::row_break()).count()
        };
        let before_advice = clauses[..ADVICE].iter().flatten().map(|clause| 1 + breaks(clause));
        draft.second_page = request.space.second_page(before_advice.sum(), draft.rows.len());
    }
    Ok(draft)
}

/// Whether a text may do without a clause of this kind.
pub fn is_optional(kind: usize) -> bool {
    !matches!(kind, PROBLEM | ADVICE)
}

/// The kinds, first to last, that may come after one.
fn following(kind: usize) -> (usize, usize) {
    match kind {
        PROBLEM => (EXTENT, ADVICE),
        EXTENT => (REASON, ADVICE),
        REASON => (TIME, ADVICE),
        TIME => (DELAY, ADVICE),
        DELAY => (SECOND, ADVICE),
        SECOND => (ADVICE, ADVICE),
        _ => (SAVING, SAVING),
    }
}

/// The clauses by which a text may say what an operator announced: of closures, or of lanes that are
/// shut. Nobody plans the end of a queue, or gives a reason for it.
#[derive(Default)]
struct Told<'g> {
    extent: Vec<&'g [Clause]>,
    reason: Vec<&'g [Clause]>,
    time: Vec<&'g [Clause]>,
}

impl<'g> Told<'g> {
    fn of(request: &WordingRequest, book: &'g Phrasebook) -> Self {
        let reason = request.reason.map(|reason| book.reason(reason)).into_iter().collect();
        match request.problem {
            Problem::RoadClosed => Self {
                extent: vec![book.between()],
                reason,
                time: vec![book.since(), book.until()],
            },
            Problem::Incident => {
                Self { extent: vec![book.lanes()], reason, time: vec![book.since()] }
            }
            Problem::Queue | Problem::SlowTraffic | Problem::HeavyTraffic => Self::default(),
        }
    }
}

struct Facts {
    strength: Strength,
    there: SlotSet,
    required: SlotSet,
    lengths: [u16; Slot::ALL.len()],
    limit: u16,
    pages: Pages,
}

impl Facts {
    fn of(request: &WordingRequest) -> Self {
        let mut facts = Self {
            strength: request.problem.strength(),
            there: SlotSet::default(),
            required: SlotSet::default(),
            lengths: [0; Slot::ALL.len()],
            limit: match request.space {
                Space::Sign { rows, .. } => u16::from(rows),
                // One less than what stands for "never"; no vehicle text is as long.
                Space::Vehicle { max_chars } => max_chars.min(NEVER - 1),
            },
            pages: Pages::of(request.space),
        };
        for slot in Slot::ALL {
            if let Some(fact) = request.slot(slot) {
                facts.there = facts.there.with(slot);
                if fact.required {
                    facts.required = facts.required.with(slot);
                }
                facts.lengths[slot as usize] =
                    u16::try_from(fact.text.chars().count()).unwrap_or(NEVER);
            }
        }
        facts
    }
}

fn advice(book: &Phrasebook, named_way: bool) -> Vec<&[Clause]> {
    if named_way { vec![book.via(), book.turn()] } else { vec![book.other_route()] }
}

fn fit<'g>(lists: &[&'g [Clause]], kind: usize, space: Space, facts: &Facts) -> Vec<Fitting<'g>> {
    let gap = u16::from(kind != PROBLEM && matches!(space, Space::Vehicle { .. }));
    let required = facts.required.within(slots::of_kind(kind));
    lists
        .iter()
        .copied()
        .flatten()
        .filter(|clause| {
            let slots = clause.slots();
            slots.is_within(facts.there)
                && required.is_within(slots)
                && (slots.has(Slot::Via0) || !slots.has(Slot::Via1))
                && !(facts.strength == Strength::Must && clause.weighs())
        })
        .filter_map(|clause| {
            let cost = clause.cost(space, &facts.lengths)?.saturating_add(gap);
            let units = match space {
                Space::Sign { .. } => kind_of(kind).units(clause.slots().slots()),
                Space::Vehicle { .. } => 0,
            };
            (cost <= facts.limit).then_some(Fitting { clause, kind, cost, units })
        })
        .collect()
}

fn kind_of(kind: usize) -> ClauseKind {
    match kind {
        PROBLEM | REASON => ClauseKind::Statement,
        ADVICE => ClauseKind::Advice,
        _ => ClauseKind::Facts,
    }
}

/// Backwards over the kinds: the least cost of every way to end.
fn need_of(
    fitting: &[Vec<Fitting<'_>>; KINDS],
    must: [bool; KINDS],
    facts: &Facts,
) -> [ByUnits; KINDS + 1] {
    let mut need = [ByUnits::default(); KINDS + 1];
    for kind in (0..KINDS).rev() {
        let after = need[kind + 1];
        let mut cheapest = [NEVER; SIGN_UNITS + 1];
        for fitting in &fitting[kind] {
            if let Some(least) = cheapest.get_mut(fitting.units) {
                *least = fitting.cost.min(*least);
            }
        }
        for left in 0..=SIGN_UNITS {
            let with = |said: usize| cheapest[said].saturating_add(after[left - said]);
            let least = (0..=left).map(with).min().unwrap_or(NEVER);
            let mut least = if must[kind] { least } else { after[left] };
            // A page that ends here asks nothing of the one before it but that it can be filled.
            if kind > 0 && !facts.pages.is_one_page(kind - 1, kind) {
                least = if least <= facts.limit { 0 } else { NEVER };
            }
            need[kind][left] = least;
        }
    }
    need
}

/// A cheapest clause for each set of slots, in the order of the sets.
pub(super) fn cheapest<'g>(fitting: &[Fitting<'g>]) -> Vec<Fitting<'g>> {
    let mut least: BTreeMap<SlotSet, Fitting<'g>> = BTreeMap::new();
    for fitting in fitting {
        let known = least.entry(fitting.clause.slots()).or_insert(*fitting);
        if fitting.cost < known.cost {
            *known = *fitting;
        }
    }
    least.into_values().collect()
}

#[cfg(test)]
mod tests;

//! What stays of an earlier text when a fact of its direction changes.
//!
//! A sign whose every row changes because the delay grew by five minutes is read anew by everybody.
//! So clauses whose facts have not changed keep their words, as far as there is room for them, and
//! the model words the rest. Knows nothing of who asks, or how often.

use crate::domain::slots::SlotSet;
use crate::domain::wording::{Draft, EarlierText, Space, WordingRequest};
use crate::ports::WriterError;

use super::constraint::{Clauses, Constraint, Fitting, KINDS, PROBLEM, REASON, is_optional};
use super::corpus;
use super::grammar::Grammar;
use super::vocabulary::{END, NEXT, Token, Vocabulary};

/// A text that a direction showed, by its clauses, and the facts that it was written for.
#[derive(Clone, Debug)]
pub struct Earlier<'e> {
    pub request: &'e WordingRequest,
    pub clauses: Clauses,
}

impl<'e> Earlier<'e> {
    /// `None` where the text is none of this grammar's: nothing of it can be kept.
    pub fn read(
        grammar: &Grammar,
        vocabulary: &Vocabulary,
        before: &'e EarlierText,
    ) -> Option<Self> {
        let EarlierText { request, draft } = before;
        let tokens = tokens(vocabulary, draft)?;
        let constraint = Constraint::new(grammar, request).ok()?;
        let on_sign = matches!(request.space, Space::Sign { .. });
        let text = divided(constraint.clone(), &tokens, on_sign)?;
        Some(Self { request, clauses: constraint.clauses(&text) })
    }

    /// What may be written for the facts as they are now: the most clauses of the earlier text for
    /// which there is room, and anything where a fact is another one or is new.
    ///
    /// # Errors
    ///
    /// `Unsatisfiable` when no text says all required facts in the space.
    pub fn constraint<'g>(
        &self,
        grammar: &'g Grammar,
        request: &WordingRequest,
    ) -> Result<Constraint<'g>, WriterError> {
        if (request.language, request.space) != (self.request.language, self.request.space) {
            return Constraint::new(grammar, request);
        }
        let news = SlotSet::offered(request).without(SlotSet::offered(self.request));
        let mut given_up: Vec<u32> = (0..1 << KINDS).collect();
        // Clauses that change anyhow go first, then as few as can be, and of as many those that come
        // later: the trouble is what is looked for.
        let touched = self.touched(request);
        given_up.sort_by_key(|kinds| {
            ((kinds & !touched).count_ones(), kinds.count_ones(), std::cmp::Reverse(*kinds))
        });
        let kept = given_up.into_iter().find_map(|kinds| {
            let keep = |kind: usize, fitting: &mut Vec<Fitting<'g>>| {
                kinds & 1 << kind == 0
                    && self.holds(kind, fitting, request, news)
                    && self.keep(kind, fitting)
            };
            Constraint::of(grammar, request, Some(&keep)).ok()
        });
        // The last try kept nothing: that there is no text has its reason elsewhere.
        kept.map_or_else(|| Constraint::new(grammar, request), Ok)
    }

    /// The kinds, a bit each, whose clauses say a fact that is another one now.
    fn touched(&self, request: &WordingRequest) -> u32 {
        let is_other = |token: &Token| {
            Vocabulary::slot(*token)
                .is_some_and(|slot| request.slot(slot) != self.request.slot(slot))
        };
        (0..KINDS)
            .filter(|kind| self.clauses[*kind].iter().flatten().any(is_other))
            .fold(0, |kinds, kind| kinds | 1 << kind)
    }

    /// Whether the facts that a kind of clause may say are those of the earlier text.
    fn holds(
        &self,
        kind: usize,
        fitting: &[Fitting<'_>],
        request: &WordingRequest,
        news: SlotSet,
    ) -> bool {
        let same = match kind {
            PROBLEM => request.problem == self.request.problem,
            REASON => request.reason == self.request.reason,
            _ => true,
        };
        same && fitting.iter().all(|fitting| fitting.clause.slots().is_apart_from(news))
    }

    /// Leaves the earlier clause alone, which is to be said, or none where there was none; everything
    /// where the earlier one says a fact that is gone.
    fn keep(&self, kind: usize, fitting: &mut Vec<Fitting<'_>>) -> bool {
        let Some(clause) = &self.clauses[kind] else {
            if is_optional(kind) {
                fitting.clear();
            }
            return false;
        };
        let is_it = |fitting: &Fitting<'_>| fitting.clause.tokens() == clause.as_slice();
        let fits = fitting.iter().any(is_it);
        if fits {
            fitting.retain(is_it);
        }
        fits
    }
}

/// The words of a draft without what separates its clauses; rows are broken as they were.
fn tokens(vocabulary: &Vocabulary, draft: &Draft) -> Option<Vec<Token>> {
    let pieces = corpus::pieces(&draft.rows.join(" / ")).ok()?;
    pieces.iter().map(|piece| vocabulary.token(piece)).collect()
}

/// The text with its clauses divided: on a sign a clause ends where a row does, though not with
/// every row; in a vehicle text its end is not seen at all. A clause is never the beginning of
/// another text's, so the first division that leads to the end is the one.
fn divided(constraint: Constraint<'_>, rest: &[Token], on_sign: bool) -> Option<Vec<Token>> {
    let Some((&next, after)) = rest.split_first() else {
        let mut ended = constraint;
        return ended.push(END).then(Vec::new);
    };
    let mut inside = constraint.clone();
    if inside.push(next)
        && let Some(mut text) = divided(inside, after, on_sign)
    {
        text.insert(0, next);
        return Some(text);
    }
    let mut beyond = constraint;
    let rest = match (on_sign, next == Vocabulary::row_break()) {
        (true, true) => after,
        (false, _) => rest,
        (true, false) => return None,
    };
    if !beyond.push(NEXT) {
        return None;
    }
    let mut text = divided(beyond, rest, on_sign)?;
    text.insert(0, NEXT);
    Some(text)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::domain::wording::{Slot, SlotFact};
    use crate::model::constraint::DELAY;
    use crate::model::contexts::Contexts;
    use crate::model::{fixture, teacher};

    /// Texts of the teacher for contexts as they come.
    fn texts(count: usize) -> Vec<(EarlierText, Vec<Token>)> {
        let (vocabulary, grammar) = fixture::corpus();
        let mut contexts = Contexts::new(grammar.languages(), 5);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut texts = Vec::new();
        while texts.len() < count {
            let request = contexts.draw();
            if let Ok(text) = teacher::compose(&grammar, &request, &mut rng) {
                let draft = vocabulary.draft(&text, request.space);
                texts.push((EarlierText { request, draft }, text));
            }
        }
        texts
    }

    fn by_chance(mut constraint: Constraint<'_>) -> Vec<Token> {
        let (mut text, mut allowed) = (Vec::new(), Vec::new());
        loop {
            constraint.allowed(&mut allowed);
            let token = allowed[text.len() * 7 % allowed.len()];
            assert!(constraint.push(token));
            if token == END {
                return text;
            }
            text.push(token);
        }
    }

    #[test]
    fn a_draft_is_read_back_and_unchanged_facts_leave_no_choice() {
        let (vocabulary, grammar) = fixture::corpus();
        for (before, text) in texts(600) {
            let earlier = Earlier::read(&grammar, &vocabulary, &before).unwrap();
            let whole = Constraint::new(&grammar, &before.request).unwrap();
            assert_eq!(earlier.clauses, whole.clauses(&text), "{:?}", before.draft);
            let again = earlier.constraint(&grammar, &before.request).unwrap();
            assert_eq!(by_chance(again), text, "{:?}", before.draft);
        }
    }

    #[test]
    fn words_that_nobody_wrote_are_not_read() {
        let (vocabulary, grammar) = fixture::corpus();
        let (mut before, _) = texts(1).remove(0);
        before.draft.rows.push("nonsense of some kind".to_owned());
        assert!(Earlier::read(&grammar, &vocabulary, &before).is_none());
    }

    /// A longer delay costs other clauses their words only where there is no room for both.
    #[test]
    fn another_delay_changes_its_clause_and_what_has_no_room_beside_it() {
        let (vocabulary, grammar) = fixture::corpus();
        let (mut kept, mut crowded) = (0, 0);
        for (before, _) in texts(3000) {
            let earlier = Earlier::read(&grammar, &vocabulary, &before).unwrap();
            let mut request = before.request.clone();
            let delay = request.slots.iter_mut().find(|fact| fact.slot == Slot::Delay);
            let Some(SlotFact { text, .. }) = delay else { continue };
            "17 MINUTES".clone_into(text);
            let Ok(whole) = Constraint::new(&grammar, &request) else { continue };
            let text = by_chance(earlier.constraint(&grammar, &request).unwrap());
            let after = whole.clone().clauses(&text);
            // It is a text of the whole constraint.
            let mut checked = whole.clone();
            assert!(text.iter().chain(&[END]).all(|token| checked.push(*token)));
            let cost = |kind: usize, clause: &[Token]| {
                let mut of = whole.fitting(kind).iter().filter(|f| f.clause.tokens() == clause);
                of.next().map(|fitting| fitting.cost)
            };
            let others = (0..KINDS)
                .filter(|kind| *kind != DELAY)
                .filter_map(|kind| earlier.clauses[kind].as_ref().map(|clause| cost(kind, clause)));
            let others: Option<u16> = others.sum();
            let delays = whole.fitting(DELAY).iter().map(|fitting| fitting.cost);
            let least = if earlier.clauses[DELAY].is_some() { delays.min() } else { Some(0) };
            let fits = others.zip(least).is_some_and(|(a, b)| a + b <= whole.limit());
            if fits {
                let same = |kind: usize| after[kind] == earlier.clauses[kind];
                assert!((0..KINDS).all(|kind| kind == DELAY || same(kind)), "{:?}", before.draft);
                kept += 1;
            } else {
                crowded += 1;
            }
        }
        assert!(kept > 500 && crowded > 0, "{kept} {crowded}");
    }
}

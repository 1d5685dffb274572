//! The rule that composes the texts a model learns from: which facts to say, in which of the
//! author's words.
//!
//! It weighs what a driver gains from each fact against the attention that the space allows, then
//! picks phrases at random by their authors' shares. Uses the constraint, so every text is valid.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::domain::slots::SlotSet;
use crate::domain::wording::{Problem, SIGN_UNITS, Slot, WordingRequest};
use crate::ports::WriterError;

use super::constraint::{ADVICE, Constraint, Fitting, KINDS, PROBLEM, REASON, cheapest};
use super::grammar::Grammar;
use super::vocabulary::{NEXT, Token};

/// Facts beyond the problem that a driver takes in from a text that can be read twice; on a sign the
/// constraint allows no more than three.
const FACTS: u32 = 5;
/// What a fact too many costs; more than most facts are worth.
const TOO_MANY: f32 = 1.6;
/// Spread of the chance that makes near-equal choices vary.
const SPREAD: f32 = 0.25;

/// One text for the request, tokens without the end mark.
pub fn compose(
    grammar: &Grammar,
    request: &WordingRequest,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Token>, WriterError> {
    let mut constraint = Constraint::new(grammar, request)?;
    let plan = plan(&constraint, request, rng);
    let mut text = Vec::new();
    loop {
        let kind = constraint.open().first().map_or(PROBLEM, |fitting| fitting.kind);
        // The first kind from here on that the plan says.
        let Some((kind, part)) = (kind..KINDS).find_map(|kind| plan[kind].map(|part| (kind, part)))
        else {
            return Ok(text);
        };
        let on_the_page = |later: &usize| constraint.pages().is_one_page(kind, *later);
        let later: u16 = (kind + 1..KINDS)
            .filter(on_the_page)
            .filter_map(|k| plan[k])
            .map(|part| part.cost)
            .sum();
        let room = constraint.limit().saturating_sub(constraint.spent(kind)).saturating_sub(later);
        let choices: Vec<Fitting<'_>> = constraint
            .open()
            .iter()
            .filter(|f| f.kind == kind && f.clause.slots() == part.clause.slots() && f.cost <= room)
            .copied()
            .collect();
        let Some(chosen) = by_share(&choices, rng) else {
            return Err(WriterError::Failed("the teacher's plan has no words".to_owned()));
        };
        if !text.is_empty() {
            text.push(NEXT);
        }
        text.extend_from_slice(chosen.clause.tokens());
        let goes_on = plan[kind + 1..].iter().any(Option::is_some);
        let taken = chosen.clause.tokens().iter().all(|token| constraint.push(*token))
            && (!goes_on || constraint.push(NEXT));
        if !taken {
            return Err(WriterError::Failed("the teacher broke the constraint".to_owned()));
        }
        if !goes_on {
            return Ok(text);
        }
    }
}

/// What each kind of clause says, by a clause that takes the least for it; `None` where it is left out.
type Plan<'g> = [Option<Fitting<'g>>; KINDS];

/// The best plan by worth, with some chance. There is one: the constraint has a text.
fn plan<'g>(
    constraint: &Constraint<'g>,
    request: &WordingRequest,
    rng: &mut ChaCha8Rng,
) -> Plan<'g> {
    let options: [Vec<Option<Fitting<'g>>>; KINDS] = std::array::from_fn(|kind| {
        let mut options: Vec<_> =
            cheapest(constraint.fitting(kind)).into_iter().map(Some).collect();
        if !constraint.must(kind) {
            options.push(None);
        }
        options
    });
    let mut best = ([None; KINDS], f32::NEG_INFINITY);
    let count = options.iter().map(Vec::len).product();
    for nth in 0..count {
        let mut rest: usize = nth;
        let plan: Plan<'g> = std::array::from_fn(|kind| {
            let of_kind = &options[kind];
            let at = rest % of_kind.len();
            rest /= of_kind.len();
            of_kind[at]
        });
        // Of the page of the first clause, and of the last one's.
        let page = |of: usize| -> u32 {
            let on_it = (0..KINDS).filter(|kind| constraint.pages().is_one_page(of, *kind));
            on_it.filter_map(|kind| plan[kind]).map(|part| u32::from(part.cost)).sum()
        };
        let cost = page(PROBLEM).max(page(ADVICE));
        let parts = plan.iter().flatten();
        let said = parts.clone().fold(SlotSet::default(), |s, part| s.union(part.clause.slots()));
        let units: usize = parts.map(|part| part.units).sum();
        if cost > u32::from(constraint.limit()) || units > SIGN_UNITS {
            continue;
        }
        let worth = worth(said, plan[REASON].is_some(), request) + SPREAD * gumbel(rng);
        if worth > best.1 {
            best = (plan, worth);
        }
    }
    best.0
}

/// What saying these facts is worth to a driver.
fn worth(said: SlotSet, reason: bool, request: &WordingRequest) -> f32 {
    let each: f32 = said
        .slots()
        .map(|slot| match slot {
            Slot::Via0 => 4.0,
            // A turn says what a road's name says, to who knows no names; with a name it adds less.
            Slot::Turn if said.has(Slot::Via0) => 0.9,
            Slot::Closed | Slot::Turn => 2.0,
            // The two ends of a stretch are one fact.
            Slot::Via1 | Slot::Between0 | Slot::AlsoQueue => 1.1,
            Slot::Between1 => 0.0,
            Slot::Dest | Slot::Until => 1.2,
            Slot::Since => 0.5,
            // On a closed road nobody waits.
            Slot::Delay if request.problem == Problem::RoadClosed => 0.3,
            Slot::Delay | Slot::Lanes | Slot::AlsoClosed => 1.4,
            // Two times in one text are easily mixed up.
            Slot::Saving if said.has(Slot::Delay) => 0.4,
            Slot::Saving => 1.0,
        })
        .sum();
    // Why a road is closed helps to believe the sign; it changes nobody's way.
    let each = if reason { each + 1.3 } else { each };
    let count = said.without(SlotSet::default().with(Slot::Between1)).len() + u32::from(reason);
    each - TOO_MANY * count.saturating_sub(FACTS) as f32
}

fn by_share<'g>(choices: &[Fitting<'g>], rng: &mut ChaCha8Rng) -> Option<Fitting<'g>> {
    let total: f32 = choices.iter().map(|f| f.clause.share()).sum();
    let mut left = rng.random::<f32>() * total;
    for fitting in choices {
        left -= fitting.clause.share();
        if left < 0.0 {
            return Some(*fitting);
        }
    }
    choices.last().copied()
}

/// A draw from the Gumbel distribution: the largest of sums with it falls by softmax.
fn gumbel(rng: &mut ChaCha8Rng) -> f32 {
    let uniform = (1.0 - rng.random::<f32>()).max(f32::MIN_POSITIVE);
    -(-uniform.ln()).max(f32::MIN_POSITIVE).ln()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::domain::wording::Space;
    use crate::model::contexts::Contexts;
    use crate::model::fixture;
    use crate::model::vocabulary::END;

    #[test]
    fn every_text_keeps_the_constraint_and_every_request_with_a_text_gets_one() {
        let (_, grammar) = fixture::corpus();
        let mut contexts = Contexts::new(grammar.languages(), 9);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut texts = 0;
        for _ in 0..1500 {
            let request = contexts.draw();
            let Ok(mut constraint) = Constraint::new(&grammar, &request) else {
                assert!(compose(&grammar, &request, &mut rng).is_err());
                continue;
            };
            let text = compose(&grammar, &request, &mut rng).unwrap();
            for token in text.iter().chain(&[END]) {
                assert!(constraint.push(*token), "{request:?}");
            }
            assert!(constraint.is_finished());
            texts += 1;
        }
        assert!(texts > 1000);
    }

    #[test]
    fn the_way_is_said_before_the_rest() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let request = fixture::request(Space::Sign { rows: 3, cols: 18, pages: 1 });
        for _ in 0..50 {
            let text = compose(&grammar, &request, &mut rng).unwrap();
            let text = vocabulary.draft(&text, request.space).rows.join(" / ");
            assert!(text.contains("<VIA_0>"), "{text}");
        }
    }
}

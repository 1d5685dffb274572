//! The constraint against random requests and random scores.

use std::sync::OnceLock;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem, SlotFact};
use crate::model::fixture;
use crate::model::vocabulary::Vocabulary;

fn shared() -> &'static (Vocabulary, Grammar) {
    static SHARED: OnceLock<(Vocabulary, Grammar)> = OnceLock::new();
    SHARED.get_or_init(fixture::corpus)
}

fn spaces() -> impl Strategy<Value = Space> {
    prop_oneof![
        (1..=5_u8, 6..=30_u8, 1..=2_u8).prop_map(|(rows, cols, pages)| Space::Sign {
            rows,
            cols,
            pages
        }),
        (20..=240_u16).prop_map(|max_chars| Space::Vehicle { max_chars }),
    ]
}

fn requests() -> impl Strategy<Value = WordingRequest> {
    let fact = proptest::option::of((1..=24_usize, proptest::bool::weighted(0.3)));
    (
        prop::sample::select(Language::ALL.to_vec()),
        prop::sample::select(Problem::ALL.to_vec()),
        prop::option::of(prop::sample::select(Reason::ALL.to_vec())),
        proptest::collection::vec(fact, Slot::ALL.len()),
        spaces(),
        any::<u64>(),
    )
        .prop_map(|(language, problem, reason, facts, space, seed)| WordingRequest {
            language,
            problem,
            reason: reason.filter(|_| matches!(problem, Problem::RoadClosed | Problem::Incident)),
            slots: Slot::ALL
                .into_iter()
                .zip(facts)
                .filter_map(|(slot, fact)| {
                    let (length, required) = fact?;
                    Some(SlotFact { slot, text: "X".repeat(length), required })
                })
                .collect(),
            space,
            seed,
        })
}

/// Writes by chance; the tokens of the text.
fn random_text(constraint: &mut Constraint<'_>, seed: u64, longest: usize) -> Vec<Token> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut text, mut allowed) = (Vec::new(), Vec::new());
    while !constraint.is_finished() {
        constraint.allowed(&mut allowed);
        assert!(!allowed.is_empty(), "a dead end after {text:?}");
        let token = allowed[rng.random_range(0..allowed.len())];
        assert!(constraint.push(token), "{token} was allowed and then refused");
        text.push(token);
        assert!(text.len() <= longest, "the text does not end");
    }
    text
}

/// Units of information, counted from the text by its clauses.
fn units(vocabulary: &Vocabulary, clauses: &Clauses, space: Space) -> usize {
    let facts = |kind: usize| {
        let clause = clauses[kind].as_deref().unwrap_or_default();
        let text = vocabulary.draft(clause, space).rows.join(" ");
        let slots = Slot::ALL.into_iter().filter(|slot| *slot != Slot::Between1);
        slots.filter(|slot| text.contains(slot.tag())).count()
    };
    let all: usize = (0..KINDS).map(facts).sum();
    1 + all + usize::from(clauses[REASON].is_some()) + usize::from(facts(ADVICE) == 0)
}

/// The rule of the space, counted from the words themselves.
fn fits(draft: &Draft, request: &WordingRequest) -> bool {
    let filled: Vec<usize> = draft
        .rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            for fact in &request.slots {
                row = row.replace(fact.slot.tag(), &fact.text);
            }
            row.chars().count()
        })
        .collect();
    match request.space {
        Space::Sign { rows, cols, .. } => {
            let first = draft.second_page.map_or(filled.len(), usize::from);
            first.max(filled.len() - first) <= usize::from(rows)
                && (draft.second_page.is_none() || (first > 0 && filled.len() > usize::from(rows)))
                && filled.iter().all(|w| *w <= usize::from(cols))
        }
        Space::Vehicle { max_chars } => {
            filled.len() == 1 && filled.iter().all(|w| *w <= usize::from(max_chars))
        }
    }
}

/// The cheapest text by trying every combination of clauses: slow, and plainly right.
fn any_text_fits(grammar: &Grammar, request: &WordingRequest) -> bool {
    let Some(book) = grammar.book(request.language, request.space) else { return false };
    let facts = Facts { required: SlotSet::default(), ..Facts::of(request) };
    let required = Facts::of(request).required;
    let part = |lists: &[&[Clause]], kind| -> Vec<(SlotSet, u16, usize)> {
        let cheapest = cheapest(&fit(lists, kind, request.space, &facts)).into_iter();
        cheapest.map(|f| (f.clause.slots(), f.cost, f.units)).collect()
    };
    let problems = part(&[book.problem(request.problem)], PROBLEM);
    let advice = part(&[book.via(), book.turn(), book.other_route()], ADVICE);
    let told = Told::of(request, book);
    let optional = |lists: &[&[Clause]], kind| {
        let mut parts = part(lists, kind);
        parts.push((SlotSet::default(), 0, 0));
        parts
    };
    let (extents, times) = (optional(&told.extent, EXTENT), optional(&told.time, TIME));
    let delays = optional(&[book.delay()], DELAY);
    let savings = optional(&[book.saving()], SAVING);
    // With the room that each takes of the first page and of the second.
    let second = usize::from(matches!(request.space, Space::Sign { pages: 2, .. }));
    let lists =
        [(problems, 0), (extents, 0), (times, 0), (delays, 0), (advice, second), (savings, second)];
    let mut texts = vec![(SlotSet::default(), [0_u32; 2], 0)];
    for (list, page) in &lists {
        let with = |(said, cost, units): &(SlotSet, [u32; 2], usize)| {
            let (said, cost, units) = (*said, *cost, *units);
            list.iter().map(move |part| {
                let mut cost = cost;
                cost[*page] += u32::from(part.1);
                (said.union(part.0), cost, units + part.2)
            })
        };
        texts = texts.iter().flat_map(with).collect();
    }
    texts.iter().any(|(said, cost, units)| {
        let fits = cost.iter().all(|cost| *cost <= u32::from(facts.limit)) && *units <= 4;
        required.is_within(*said) && fits
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_chosen_ends_in_a_text_that_keeps_the_rules(request in requests()) {
        let (vocabulary, grammar) = shared();
        match Constraint::new(grammar, &request) {
            Ok(mut constraint) => {
                let whole = constraint.clone();
                let text = random_text(&mut constraint, request.seed, grammar.longest());
                let draft = draft(grammar, vocabulary, &request, &text).unwrap();
                let units = units(vocabulary, &whole.clauses(&text), request.space);
                let on_sign = matches!(request.space, Space::Sign { .. });
                prop_assert!(!on_sign || units <= 4, "{units}: {draft:?}");
                prop_assert!(fits(&draft, &request), "{draft:?} in {:?}", request.space);
                let whole = draft.rows.join(" ");
                for slot in Slot::ALL {
                    let times = whole.matches(slot.tag()).count();
                    let fact = request.slot(slot);
                    prop_assert!(times <= usize::from(fact.is_some()), "{whole}");
                    prop_assert!(times == 1 || !fact.is_some_and(|f| f.required), "{whole}");
                }
            }
            Err(error) => {
                prop_assert!(matches!(error, WriterError::Unsatisfiable(_)));
                prop_assert!(!any_text_fits(grammar, &request), "{error}");
            }
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused(request in requests(), token in 0..400_u16) {
        let (_, grammar) = shared();
        if let Ok(mut constraint) = Constraint::new(grammar, &request) {
            let mut allowed = Vec::new();
            constraint.allowed(&mut allowed);
            let taken = constraint.push(token);
            prop_assert_eq!(taken, allowed.contains(&token));
        }
    }
}

fn advice_of(space: Space, slots: &[(Slot, usize, bool)]) -> Result<Vec<String>, WriterError> {
    let (vocabulary, grammar) = shared();
    let request = WordingRequest {
        language: Language::En,
        problem: Problem::Queue,
        reason: None,
        slots: slots
            .iter()
            .map(|(slot, length, required)| SlotFact {
                slot: *slot,
                text: "X".repeat(*length),
                required: *required,
            })
            .collect(),
        space,
        seed: 0,
    };
    let constraint = Constraint::new(grammar, &request)?;
    Ok(constraint
        .fitting(ADVICE)
        .iter()
        .map(|f| vocabulary.draft(f.clause.tokens(), space).rows.join(" / "))
        .collect())
}

const SIGN: Space = Space::Sign { rows: 3, cols: 18, pages: 1 };

#[test]
fn another_way_is_advised_only_where_no_way_is_named() {
    let none = advice_of(SIGN, &[]).unwrap();
    assert!(none.contains(&"use other route".to_owned()), "{none:?}");
    let via = advice_of(SIGN, &[(Slot::Via0, 10, false)]).unwrap();
    assert!(via.iter().all(|text| text.contains("<VIA_0>")), "{via:?}");
    let too_long = advice_of(SIGN, &[(Slot::Via0, 19, false)]).unwrap();
    assert!(too_long.contains(&"use other route".to_owned()), "{too_long:?}");
    let turn = advice_of(SIGN, &[(Slot::Turn, 4, false)]).unwrap();
    assert!(turn.iter().all(|text| text.contains("<TURN>")), "{turn:?}");
}

#[test]
fn the_second_road_never_stands_without_the_first() {
    let only_second = advice_of(SIGN, &[(Slot::Via1, 5, false)]).unwrap();
    assert!(only_second.iter().all(|text| !text.contains("<VIA_1>")), "{only_second:?}");
}

#[test]
fn a_required_fact_that_cannot_be_said_is_an_error() {
    let error = advice_of(SIGN, &[(Slot::Via0, 19, true)]).unwrap_err();
    assert!(matches!(error, WriterError::Unsatisfiable(_)));
    let error = advice_of(Space::Sign { rows: 1, cols: 40, pages: 1 }, &[]).unwrap_err();
    assert!(error.to_string().contains("takes 2 of 1"), "{error}");
    assert!(advice_of(Space::Sign { rows: 1, cols: 40, pages: 2 }, &[]).is_ok());
}

/// What must be said is counted before it is said.
#[test]
fn what_must_follow_leaves_room_for_its_units() {
    let sign = Space::Sign { rows: 9, cols: 30, pages: 1 };
    let times = [(Slot::Delay, 6, true), (Slot::Saving, 6, true)];
    let with = |fact| [&times[..], &[fact]].concat();
    // Beside a problem and the two times advice is the fourth, whether it names a turn or nothing.
    assert!(advice_of(sign, &times).is_ok());
    assert!(advice_of(sign, &with((Slot::Turn, 4, true))).is_ok());
    let closed = with((Slot::Closed, 8, true));
    let error = advice_of(sign, &closed).unwrap_err();
    assert!(error.to_string().contains("four units"), "{error}");
    assert!(advice_of(Space::Vehicle { max_chars: 200 }, &closed).is_ok());
}

#[test]
fn a_finished_text_takes_nothing_more() {
    let (_, grammar) = shared();
    let request = fixture::request(Space::Vehicle { max_chars: 200 });
    let mut constraint = Constraint::new(grammar, &request).unwrap();
    random_text(&mut constraint, 7, grammar.longest());
    let mut allowed = vec![1];
    constraint.allowed(&mut allowed);
    assert!(allowed.is_empty());
    assert!(!constraint.push(END));
}

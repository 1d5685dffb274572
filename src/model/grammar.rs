//! The phrase material as tokens: every clause that a text may hold, with what it costs in space.
//!
//! Knows nothing of a particular request; the constraint narrows it to one.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::closure::Reason;
use crate::domain::slots::SlotSet;
use crate::domain::wording::{Language, Problem, Slot, Space};

use super::corpus::{Corpus, CorpusError, Expansion, Form, Piece, Role};
use super::vocabulary::{Token, Vocabulary, VocabularyError};

/// One row of a clause: what its words take, and the slots that come on top.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// Characters of words, marks and the spaces between all parts, slots included.
    fixed: u16,
    slots: SlotSet,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    tokens: Box<[Token]>,
    slots: SlotSet,
    rows: Box<[Row]>,
    share: f32,
    weighs: bool,
}

impl Clause {
    fn new(expansion: &Expansion, vocabulary: &Vocabulary) -> Option<Self> {
        let tokens: Option<Box<[Token]>> =
            expansion.pieces.iter().map(|piece| vocabulary.token(piece)).collect();
        let mut slots = SlotSet::default();
        let mut rows = Vec::new();
        for pieces in expansion.pieces.split(|piece| *piece == Piece::RowBreak) {
            let mut row = Row { fixed: 0, slots: SlotSet::default() };
            let mut parts = 0_u16;
            for piece in pieces {
                match piece {
                    Piece::Word(word) => row.fixed += word.chars().count() as u16,
                    Piece::Slot(slot) => row.slots = row.slots.with(*slot),
                    Piece::Mark(_) | Piece::RowBreak => row.fixed += 1,
                }
                parts += u16::from(!matches!(piece, Piece::Mark(_)));
            }
            row.fixed += parts.saturating_sub(1);
            slots = slots.union(row.slots);
            rows.push(row);
        }
        let share = expansion.share;
        Some(Self { tokens: tokens?, slots, rows: rows.into(), share, weighs: false })
    }

    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub fn slots(&self) -> SlotSet {
        self.slots
    }

    /// Whether it is advice that weighs one way against another.
    pub fn weighs(&self) -> bool {
        self.weighs
    }

    /// How often its author would choose it: 1 for each pattern that it is the only form of.
    pub fn share(&self) -> f32 {
        self.share
    }

    /// What it takes of a space when the facts have these lengths: rows of a sign, characters of a
    /// vehicle text. `None` when a row is too long for any of the sign's.
    pub(super) fn cost(&self, space: Space, lengths: &[u16; Slot::ALL.len()]) -> Option<u16> {
        let width = |row: &Row| {
            row.slots
                .slots()
                .fold(row.fixed, |sum, slot| sum.saturating_add(lengths[slot as usize]))
        };
        match space {
            Space::Sign { cols, .. } => self
                .rows
                .iter()
                .all(|row| width(row) <= u16::from(cols))
                .then_some(self.rows.len() as u16),
            Space::Vehicle { .. } => Some(self.rows.iter().map(width).fold(0, u16::saturating_add)),
        }
    }
}

/// The clauses of one language and form.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrasebook {
    problem: BTreeMap<Problem, Vec<Clause>>,
    between: Vec<Clause>,
    lanes: Vec<Clause>,
    reason: BTreeMap<Reason, Vec<Clause>>,
    since: Vec<Clause>,
    until: Vec<Clause>,
    delay: Vec<Clause>,
    also_closed: Vec<Clause>,
    also_queue: Vec<Clause>,
    other_route: Vec<Clause>,
    turn: Vec<Clause>,
    via: Vec<Clause>,
    saving: Vec<Clause>,
}

impl Phrasebook {
    /// Empty for a problem without words; the grammar has none such.
    pub fn problem(&self, problem: Problem) -> &[Clause] {
        self.problem.get(&problem).map_or(&[], Vec::as_slice)
    }

    /// Empty for a reason without words.
    pub fn reason(&self, reason: Reason) -> &[Clause] {
        self.reason.get(&reason).map_or(&[], Vec::as_slice)
    }

    /// Empty where the phrases have none, as all of the next but `delay`.
    pub fn between(&self) -> &[Clause] {
        &self.between
    }

    pub fn lanes(&self) -> &[Clause] {
        &self.lanes
    }

    pub fn since(&self) -> &[Clause] {
        &self.since
    }

    pub fn until(&self) -> &[Clause] {
        &self.until
    }

    pub fn delay(&self) -> &[Clause] {
        &self.delay
    }

    pub fn also_closed(&self) -> &[Clause] {
        &self.also_closed
    }

    pub fn also_queue(&self) -> &[Clause] {
        &self.also_queue
    }

    pub fn other_route(&self) -> &[Clause] {
        &self.other_route
    }

    pub fn turn(&self) -> &[Clause] {
        &self.turn
    }

    pub fn via(&self) -> &[Clause] {
        &self.via
    }

    pub fn saving(&self) -> &[Clause] {
        &self.saving
    }

    pub fn all(&self) -> impl Iterator<Item = &Clause> {
        self.problem
            .values()
            .chain(self.reason.values())
            .chain([
                &self.between,
                &self.lanes,
                &self.since,
                &self.until,
                &self.delay,
                &self.also_closed,
                &self.also_queue,
                &self.other_route,
                &self.turn,
                &self.via,
                &self.saving,
            ])
            .flatten()
    }

    /// Tokens of the longest text, marks between clauses and the end included.
    fn longest(&self) -> usize {
        let most = |clauses: &mut dyn Iterator<Item = &Clause>| {
            clauses.map(|clause| clause.tokens.len() + 1).max().unwrap_or(0)
        };
        most(&mut self.problem.values().flatten())
            + most(&mut self.reason.values().flatten())
            + most(&mut self.between.iter().chain(&self.lanes))
            + most(&mut self.since.iter().chain(&self.until))
            + most(&mut self.delay.iter())
            + most(&mut self.also_closed.iter().chain(&self.also_queue))
            + most(&mut self.other_route.iter().chain(&self.turn).chain(&self.via))
            + most(&mut self.saving.iter())
    }
}

/// All phrasebooks that a model writes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Grammar {
    books: BTreeMap<(Language, Form), Phrasebook>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    #[error("{language} {form}: the vocabulary lacks a word of `{clause}`")]
    UnknownWord { language: &'static str, form: &'static str, clause: String },
    #[error(
        "{language} {form}: `{clause}` is both {first} and {second}: a reader cannot tell which"
    )]
    Ambiguous {
        language: &'static str,
        form: &'static str,
        clause: String,
        first: &'static str,
        second: &'static str,
    },
    #[error("{language} {form}: nothing says the problem `{problem}`")]
    Wordless { language: &'static str, form: &'static str, problem: &'static str },
}

impl Grammar {
    /// The vocabulary that covers a corpus, and the corpus as clauses.
    pub fn learn(corpora: &[Corpus]) -> Result<(Vocabulary, Self), GrammarError> {
        let mut words = BTreeSet::new();
        for corpus in corpora {
            for form in Form::ALL {
                for (said, place, patterns) in lists(corpus, form) {
                    for expansion in corpus.expand(form, said.role(), &place, patterns)? {
                        words.extend(expansion.pieces.into_iter().filter_map(|piece| {
                            if let Piece::Word(word) = piece { Some(word) } else { None }
                        }));
                    }
                }
            }
        }
        let vocabulary = Vocabulary::of_words(&words)?;
        let grammar = Self::new(corpora, &vocabulary)?;
        Ok((vocabulary, grammar))
    }

    /// The corpus as clauses in the tokens of a given vocabulary.
    pub fn new(corpora: &[Corpus], vocabulary: &Vocabulary) -> Result<Self, GrammarError> {
        let mut books = BTreeMap::new();
        for corpus in corpora {
            for form in Form::ALL {
                books.insert((corpus.language, form), book(corpus, form, vocabulary)?);
            }
        }
        Ok(Self { books })
    }

    /// `None` for a language that the corpus lacks.
    pub fn book(&self, language: Language, space: Space) -> Option<&Phrasebook> {
        self.books.get(&(language, Form::of(space)))
    }

    pub fn books(&self) -> impl Iterator<Item = ((Language, Form), &Phrasebook)> {
        self.books.iter().map(|(key, book)| (*key, book))
    }

    pub fn languages(&self) -> Vec<Language> {
        let languages: BTreeSet<Language> =
            self.books.keys().map(|(language, _)| *language).collect();
        languages.into_iter().collect()
    }

    /// Tokens of the longest text that can be written.
    pub fn longest(&self) -> usize {
        self.books.values().map(Phrasebook::longest).max().unwrap_or(0)
    }
}

/// What a list of clauses says.
#[derive(Clone, Copy)]
enum Said {
    Problem(Problem),
    Reason(Reason),
    Part(Role),
}

impl Said {
    fn role(self) -> Role {
        match self {
            Self::Problem(_) => Role::Problem,
            Self::Reason(_) => Role::Reason,
            Self::Part(role) => role,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Problem(problem) => problem.word(),
            Self::Reason(reason) => reason.word(),
            Self::Part(role) => role_word(role),
        }
    }
}

type List<'c> = (Said, String, &'c [String]);

/// The lists of one form in a fixed order, with their roles and their places in the file.
fn lists<'c>(corpus: &'c Corpus, form: Form) -> Vec<List<'c>> {
    let phrases = corpus.phrases(form);
    let problems = phrases.problem.iter().map(|(problem, patterns)| {
        let place = format!("problem.{}", problem.word());
        (Said::Problem(*problem), place, patterns.as_slice())
    });
    let reasons = phrases.reason.iter().map(|(reason, patterns)| {
        let place = format!("reason.{}", reason.word());
        (Said::Reason(*reason), place, patterns.as_slice())
    });
    let advice = &phrases.advice;
    let part =
        |role, place: &str, patterns: &'c [String]| (Said::Part(role), place.to_owned(), patterns);
    // What a language may lack words for.
    let told = [
        part(Role::Between, "between", &phrases.between),
        part(Role::Lanes, "lanes", &phrases.lanes),
        part(Role::Since, "since", &phrases.since),
        part(Role::Until, "until", &phrases.until),
        part(Role::AlsoClosed, "also_closed", &phrases.also_closed),
        part(Role::AlsoQueue, "also_queue", &phrases.also_queue),
    ];
    problems
        .chain(reasons)
        .chain(told.into_iter().filter(|(_, _, patterns)| !patterns.is_empty()))
        .chain([
            part(Role::Delay, "delay", &phrases.delay),
            part(Role::OtherRoute, "advice.other_route", &advice.other_route),
            part(Role::Turn, "advice.turn", &advice.turn),
            part(Role::Via, "advice.via", &advice.via),
            part(Role::Saving, "saving", &phrases.saving),
        ])
        .collect()
}

fn book(corpus: &Corpus, form: Form, vocabulary: &Vocabulary) -> Result<Phrasebook, GrammarError> {
    let (language, form_word) = (corpus.language.code(), form.word());
    let mut book = Phrasebook {
        problem: BTreeMap::new(),
        between: Vec::new(),
        lanes: Vec::new(),
        reason: BTreeMap::new(),
        since: Vec::new(),
        until: Vec::new(),
        delay: Vec::new(),
        also_closed: Vec::new(),
        also_queue: Vec::new(),
        other_route: Vec::new(),
        turn: Vec::new(),
        via: Vec::new(),
        saving: Vec::new(),
    };
    // What a text says must be readable from it alone: no clause stands in two lists.
    let mut seen: BTreeMap<Box<[Token]>, &'static str> = BTreeMap::new();
    for (said, place, patterns) in lists(corpus, form) {
        let name = said.word();
        let mut clauses: Vec<Clause> = Vec::new();
        for expansion in corpus.expand(form, said.role(), &place, patterns)? {
            let shown = || super::corpus::text(&expansion.pieces);
            let mut clause = Clause::new(&expansion, vocabulary).ok_or_else(|| {
                GrammarError::UnknownWord { language, form: form_word, clause: shown() }
            })?;
            let is_hedge =
                |piece: &Piece| matches!(piece, Piece::Word(word) if corpus.hedges.contains(word));
            clause.weighs = expansion.pieces.iter().any(is_hedge);
            if let Some(first) =
                seen.insert(clause.tokens.clone(), name).filter(|first| *first != name)
            {
                return Err(GrammarError::Ambiguous {
                    language,
                    form: form_word,
                    clause: shown(),
                    first,
                    second: name,
                });
            }
            clauses.push(clause);
        }
        // Two patterns may expand to the same words: one clause, with the share of both.
        clauses.sort_by(|a, b| a.tokens.cmp(&b.tokens));
        clauses.dedup_by(|later, kept| {
            let same = later.tokens == kept.tokens;
            if same {
                kept.share += later.share;
            }
            same
        });
        match said {
            Said::Problem(problem) => {
                book.problem.insert(problem, clauses);
            }
            Said::Reason(reason) => {
                book.reason.insert(reason, clauses);
            }
            Said::Part(Role::Between) => book.between = clauses,
            Said::Part(Role::Lanes) => book.lanes = clauses,
            Said::Part(Role::Since) => book.since = clauses,
            Said::Part(Role::Until) => book.until = clauses,
            Said::Part(Role::Delay) => book.delay = clauses,
            Said::Part(Role::AlsoClosed) => book.also_closed = clauses,
            Said::Part(Role::AlsoQueue) => book.also_queue = clauses,
            Said::Part(Role::OtherRoute) => book.other_route = clauses,
            Said::Part(Role::Turn) => book.turn = clauses,
            Said::Part(Role::Via) => book.via = clauses,
            Said::Part(_) => book.saving = clauses,
        }
    }
    if let Some(problem) = Problem::ALL.into_iter().find(|p| book.problem(*p).is_empty()) {
        return Err(GrammarError::Wordless { language, form: form_word, problem: problem.word() });
    }
    Ok(book)
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Problem => "a problem",
        Role::Reason => "a reason",
        Role::Between => "a stretch",
        Role::Lanes => "lanes",
        Role::Since => "a beginning",
        Role::Until => "an end",
        Role::Delay => "a delay",
        Role::AlsoClosed => "another closed road",
        Role::AlsoQueue => "another queue",
        Role::OtherRoute => "advice (other_route)",
        Role::Turn => "advice (turn)",
        Role::Via => "advice (via)",
        Role::Saving => "a saving",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn costs_count_words_spaces_marks_and_facts() {
        let (vocabulary, _) = fixture::corpus();
        let clause = |text: &str| {
            let pieces = super::super::corpus::pieces(text).unwrap();
            Clause::new(&Expansion { pieces, share: 1.0 }, &vocabulary).unwrap()
        };
        let mut lengths = [0; Slot::ALL.len()];
        lengths[Slot::Via0 as usize] = 10;
        let sign = |cols| Space::Sign { rows: 3, cols, pages: 1 };
        assert_eq!(clause("use <VIA_0>").cost(sign(14), &lengths), Some(1));
        assert_eq!(clause("use <VIA_0>").cost(sign(13), &lengths), None);
        assert_eq!(clause("use / <VIA_0>").cost(sign(10), &lengths), Some(2));
        let vehicle = Space::Vehicle { max_chars: 99 };
        assert_eq!(clause("use <VIA_0>.").cost(vehicle, &lengths), Some(15));
    }

    #[test]
    fn a_clause_means_one_thing() {
        let mut corpus = fixture::corpora().remove(0);
        let twin = corpus.sign.advice.other_route[0].clone();
        corpus.sign.problem.insert(Problem::Queue, vec![twin]);
        assert!(matches!(Grammar::learn(&[corpus]), Err(GrammarError::Ambiguous { .. })));
    }

    #[test]
    fn every_problem_has_words() {
        let mut corpus = fixture::corpora().remove(0);
        corpus.vehicle.problem.remove(&Problem::Incident);
        assert!(matches!(Grammar::learn(&[corpus]), Err(GrammarError::Wordless { .. })));
    }

    #[test]
    fn same_words_from_two_patterns_are_one_clause() {
        let mut corpus = fixture::corpora().remove(0);
        corpus.sign.saving = vec!["saves <SAVING>".to_owned(), "saves [about] <SAVING>".to_owned()];
        let (_, grammar) = Grammar::learn(&[corpus.clone()]).unwrap();
        let space = Space::Sign { rows: 3, cols: 18, pages: 1 };
        let shares: Vec<f32> = grammar
            .book(corpus.language, space)
            .unwrap()
            .saving()
            .iter()
            .map(Clause::share)
            .collect();
        assert_eq!(shares.len(), 2);
        assert!((shares.iter().sum::<f32>() - 2.0).abs() < 1e-6);
    }
}

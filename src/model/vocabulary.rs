//! The closed vocabulary: which tokens there are, and how a request and a text become tokens.
//!
//! Tokens are typed marks (language, problem, space, facts), slots, punctuation and the whole words
//! of the phrase material. There is no token for a digit, a name or a byte, so none can be written.
//! Knows nothing of what may follow what.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::closure::Reason;
use crate::domain::wording::{Draft, Language, Problem, Slot, Space, WordingRequest};

use super::corpus::{MARKS, Piece};

pub type Token = u16;

/// Fills up short rows of a training batch.
pub const PAD: Token = 0;
/// Opens every sequence.
pub const BEGIN: Token = 1;
/// Ends the request; what follows is the text.
pub const TEXT: Token = 2;
/// Ends a clause that another one follows.
pub const NEXT: Token = 3;
/// Ends the text.
pub const END: Token = 4;

const ROW_BREAK: Token = 5;
const FIRST_MARK: Token = 6;
const FIRST_SLOT: Token = FIRST_MARK + MARKS.len() as Token;
/// Slots that came later have their tokens behind all others, each its three (the slot, that it may be
/// said, that it must), so that those before keep their places: what a model has learnt of them, and which
/// contexts are held out, hangs on them.
const FIRST_SLOTS: usize = 7;
const LATER_SLOTS: Token = FIRST_SLOT
    + (FIRST_SLOTS
        + Language::ALL.len()
        + Problem::ALL.len()
        + Reason::ALL.len()
        + MAX_ROWS
        + COL_CLASSES
        + CHAR_CLASSES
        + 2 * FIRST_SLOTS
        + LENGTH_CLASSES) as Token;

/// Rows of a sign that have a token each; more rows share the last one.
const MAX_ROWS: usize = 6;
/// Width classes of a sign, two characters each, from 8 characters on.
const COL_CLASSES: usize = 16;
/// Length classes of a vehicle text, ten characters each.
const CHAR_CLASSES: usize = 26;
/// Length classes of a fact, two characters each.
const LENGTH_CLASSES: usize = 16;

/// The longest request: begin, language, problem, reason, two for the space, two a slot, text.
pub const MAX_REQUEST_TOKENS: usize = 7 + 2 * Slot::ALL.len();

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    tokens: Vec<String>,
    index: BTreeMap<String, Token>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    #[error("token {at} is `{found}` where this version has `{expected}`")]
    Foreign { at: usize, found: String, expected: String },
    #[error("token {at} `{found}` is not a lower-case word, or stands twice")]
    BadWord { at: usize, found: String },
    #[error("{0} tokens are more than a vocabulary may have (8192)")]
    TooLarge(usize),
}

impl Vocabulary {
    /// The tokens every vocabulary begins with, in order.
    fn typed() -> Vec<String> {
        let mut tokens: Vec<String> =
            ["<pad>", "<begin>", "<text>", "<next>", "<end>", "/"].map(str::to_owned).into();
        tokens.extend(MARKS.map(String::from));
        let (first, later) = Slot::ALL.split_at(FIRST_SLOTS);
        tokens.extend(first.iter().map(|slot| slot.tag().to_owned()));
        tokens.extend(Language::ALL.map(|l| format!("language={}", l.code())));
        tokens.extend(Problem::ALL.map(|p| format!("problem={}", p.word())));
        tokens.extend(Reason::ALL.map(|r| format!("reason={}", r.word())));
        tokens.extend((1..=MAX_ROWS).map(|rows| format!("rows={rows}")));
        tokens.extend((0..COL_CLASSES).map(|class| format!("cols={}", 8 + 2 * class)));
        tokens.extend((0..CHAR_CLASSES).map(|class| format!("chars={}", 10 * class)));
        tokens.extend(first.iter().map(|slot| format!("may={}", slot.tag())));
        tokens.extend(first.iter().map(|slot| format!("must={}", slot.tag())));
        tokens.extend((0..LENGTH_CLASSES).map(|class| format!("length={}", 2 * class)));
        tokens.extend(
            later
                .iter()
                .map(|slot| slot.tag())
                .flat_map(|tag| [tag.to_owned(), format!("may={tag}"), format!("must={tag}")]),
        );
        tokens
    }

    /// A vocabulary for these words.
    pub fn of_words(words: &BTreeSet<String>) -> Result<Self, VocabularyError> {
        let mut tokens = Self::typed();
        tokens.extend(words.iter().cloned());
        Self::from_tokens(tokens)
    }

    /// A vocabulary as it was stored; refused when its typed tokens are not this version's.
    pub fn from_tokens(tokens: Vec<String>) -> Result<Self, VocabularyError> {
        if tokens.len() > 8192 {
            return Err(VocabularyError::TooLarge(tokens.len()));
        }
        let typed = Self::typed();
        for (at, expected) in typed.iter().enumerate() {
            let found = tokens.get(at).cloned().unwrap_or_default();
            if found != *expected {
                return Err(VocabularyError::Foreign { at, found, expected: expected.clone() });
            }
        }
        let mut index = BTreeMap::new();
        for (at, token) in tokens.iter().enumerate() {
            let is_word = at < typed.len()
                || (!token.is_empty()
                    && token.chars().all(|c| c.is_alphabetic() || "'’-".contains(c)));
            if !is_word || index.insert(token.clone(), at as Token).is_some() {
                return Err(VocabularyError::BadWord { at, found: token.clone() });
            }
        }
        Ok(Self { tokens, index })
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// `None` for a word that the vocabulary lacks.
    pub fn token(&self, piece: &Piece) -> Option<Token> {
        match piece {
            Piece::Word(word) => self.index.get(word).copied(),
            Piece::Mark(mark) => {
                MARKS.iter().position(|m| m == mark).map(|at| FIRST_MARK + at as Token)
            }
            Piece::Slot(slot) => Some(match *slot as usize {
                at @ 0..FIRST_SLOTS => FIRST_SLOT + at as Token,
                at => LATER_SLOTS + 3 * (at - FIRST_SLOTS) as Token,
            }),
            Piece::RowBreak => Some(ROW_BREAK),
        }
    }

    pub fn slot(token: Token) -> Option<Slot> {
        let (first, later) = Slot::ALL.split_at(FIRST_SLOTS);
        match token.checked_sub(LATER_SLOTS).map(usize::from) {
            Some(at) if at % 3 == 0 => later.get(at / 3).copied(),
            Some(_) => None,
            None => first.get(usize::from(token.checked_sub(FIRST_SLOT)?)).copied(),
        }
    }

    /// What breaks a row inside a clause.
    pub(super) fn row_break() -> Token {
        ROW_BREAK
    }

    fn named(&self, name: &str) -> Token {
        // Every name asked for is among the typed tokens, which every vocabulary has.
        self.index.get(name).copied().unwrap_or(PAD)
    }

    /// What a writer may know of a request: kinds and sizes, never names or numbers.
    pub fn request(&self, request: &WordingRequest) -> Vec<Token> {
        let mut tokens = vec![
            BEGIN,
            self.named(&format!("language={}", request.language.code())),
            self.named(&format!("problem={}", request.problem.word())),
        ];
        tokens.extend(request.reason.map(|r| self.named(&format!("reason={}", r.word()))));
        match request.space {
            // Two pages are room for more; how it is divided is not the model's affair.
            Space::Sign { rows, cols, pages } => {
                let rows = (usize::from(rows) * usize::from(pages)).clamp(1, MAX_ROWS);
                let class = (usize::from(cols.max(8)) - 8) / 2;
                tokens.push(self.named(&format!("rows={rows}")));
                tokens.push(self.named(&format!("cols={}", 8 + 2 * class.min(COL_CLASSES - 1))));
            }
            Space::Vehicle { max_chars } => {
                let class = (usize::from(max_chars) / 10).min(CHAR_CLASSES - 1);
                tokens.push(self.named(&format!("chars={}", 10 * class)));
            }
        }
        for slot in Slot::ALL {
            if let Some(fact) = request.slot(slot) {
                let need = if fact.required { "must" } else { "may" };
                let class = (fact.text.chars().count() / 2).min(LENGTH_CLASSES - 1);
                tokens.push(self.named(&format!("{need}={}", slot.tag())));
                tokens.push(self.named(&format!("length={}", 2 * class)));
            }
        }
        tokens.push(TEXT);
        tokens
    }

    /// The rows of a text, on one page; a clause starts a new row on a sign, and goes on in the same row for a
    /// vehicle.
    pub fn draft(&self, text: &[Token], space: Space) -> Draft {
        let mut rows = vec![String::new()];
        for &token in text {
            let starts_row =
                token == ROW_BREAK || (token == NEXT && matches!(space, Space::Sign { .. }));
            if starts_row {
                rows.push(String::new());
                continue;
            }
            let Some(row) = rows.last_mut() else { continue };
            if token > END
                && let Some(piece) = self.tokens.get(usize::from(token))
            {
                let is_mark = (FIRST_MARK..FIRST_SLOT).contains(&token);
                if !is_mark && !row.is_empty() {
                    row.push(' ');
                }
                row.push_str(piece);
            }
        }
        Draft::of_rows(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn the_whole_corpus_goes_there_and_back() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut clauses = 0;
        for (_, book) in grammar.books() {
            for clause in book.all() {
                let draft =
                    vocabulary.draft(clause.tokens(), Space::Sign { rows: 9, cols: 255, pages: 1 });
                let text = draft.rows.join(" / ");
                let again: Vec<Token> = super::super::corpus::pieces(&text)
                    .unwrap()
                    .iter()
                    .map(|piece| vocabulary.token(piece).unwrap())
                    .collect();
                assert_eq!(again, clause.tokens(), "{text}");
                clauses += 1;
            }
        }
        assert!(clauses > 500, "{clauses}");
    }

    #[test]
    fn no_word_token_holds_a_digit_or_a_capital() {
        let (vocabulary, _) = fixture::corpus();
        for word in &vocabulary.tokens()[Vocabulary::typed().len()..] {
            assert!(!word.chars().any(|c| c.is_numeric() || c.is_uppercase()), "{word}");
        }
    }

    #[test]
    fn stored_tokens_must_be_this_versions() {
        let (vocabulary, _) = fixture::corpus();
        let mut tokens = vocabulary.tokens().to_vec();
        assert_eq!(Vocabulary::from_tokens(tokens.clone()).as_ref(), Ok(&vocabulary));
        tokens.push("x9".to_owned());
        assert!(matches!(
            Vocabulary::from_tokens(tokens.clone()),
            Err(VocabularyError::BadWord { .. })
        ));
        tokens.swap(1, 2);
        assert!(matches!(
            Vocabulary::from_tokens(tokens),
            Err(VocabularyError::Foreign { at: 1, .. })
        ));
        assert!(Vocabulary::from_tokens(Vec::new()).is_err());
    }

    #[test]
    fn slots_of_any_request_have_a_token_each() {
        let (vocabulary, _) = fixture::corpus();
        let request = fixture::request(Space::Vehicle { max_chars: 999 });
        let tokens = vocabulary.request(&request);
        assert!(tokens.len() <= MAX_REQUEST_TOKENS);
        assert!(!tokens.contains(&PAD));
        for slot in Slot::ALL {
            let token = vocabulary.token(&Piece::Slot(slot)).unwrap();
            assert_eq!(Vocabulary::slot(token), Some(slot));
        }
        assert_eq!(Vocabulary::slot(END), None);
    }
}

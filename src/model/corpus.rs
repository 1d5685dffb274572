//! The phrase material as written: one file a language, patterns with choices, and what each
//! pattern expands to.
//!
//! Knows nothing of tokens, requests or weights. The same shape is read from `models/corpus/*.yaml`
//! and from a model's own vocabulary file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem, Slot, Space};

/// Everything that may be said in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    pub language: Language,
    /// Words of advice that weigh one way against another, or leave it to the driver: not where the
    /// road is closed.
    #[serde(default)]
    pub hedges: Vec<String>,
    pub sign: Phrases,
    pub vehicle: Phrases,
}

/// The clauses of one form of text, by what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phrases {
    pub problem: BTreeMap<Problem, Vec<String>>,
    /// Between which roads a closed one is closed; a language, or signs, may lack words for it.
    #[serde(default)]
    pub between: Vec<String>,
    /// How many lanes are shut; may be lacking too.
    #[serde(default)]
    pub lanes: Vec<String>,
    /// Why a road is closed or has lanes shut; a language may lack words for some of it, and then does not say it.
    #[serde(default)]
    pub reason: BTreeMap<Reason, Vec<String>>,
    /// Since when a road is closed or has lanes shut; may be lacking.
    #[serde(default)]
    pub since: Vec<String>,
    /// When a closed road is planned to open again, and since when it is closed if said in one; may be
    /// lacking.
    #[serde(default)]
    pub until: Vec<String>,
    pub delay: Vec<String>,
    /// Another road that is closed; may be lacking.
    #[serde(default)]
    pub also_closed: Vec<String>,
    /// Another road on which traffic queues; may be lacking too.
    #[serde(default)]
    pub also_queue: Vec<String>,
    pub advice: Advice,
    pub saving: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    pub other_route: Vec<String>,
    pub turn: Vec<String>,
    pub via: Vec<String>,
}

/// Where a text stands, as far as its form goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Sign,
    Vehicle,
}

impl Form {
    pub const ALL: [Self; 2] = [Self::Sign, Self::Vehicle];

    pub fn of(space: Space) -> Self {
        match space {
            Space::Sign { .. } => Self::Sign,
            Space::Vehicle { .. } => Self::Vehicle,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Vehicle => "vehicle",
        }
    }
}

/// A part of a clause, the smallest that the model writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    Word(String),
    /// A punctuation mark; it stands against the word before it.
    Mark(char),
    Slot(Slot),
    RowBreak,
}

/// Punctuation that a clause may hold.
pub const MARKS: [char; 4] = ['.', ',', ':', ';'];

/// What a clause is for; decides which slots it has to hold, and which it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Problem,
    Between,
    Lanes,
    Reason,
    Since,
    Until,
    Delay,
    AlsoClosed,
    AlsoQueue,
    OtherRoute,
    Turn,
    Via,
    Saving,
}

impl Role {
    /// The slots that its clauses may hold. Clauses that may stand in one text have none in common.
    pub fn allowed(self) -> &'static [Slot] {
        match self {
            Self::Problem => &[Slot::Closed],
            Self::Between => &[Slot::Between0, Slot::Between1],
            Self::Lanes => &[Slot::Lanes],
            Self::Reason => &[],
            Self::Since => &[Slot::Since],
            Self::Until => &[Slot::Since, Slot::Until],
            Self::Delay => &[Slot::Delay],
            Self::AlsoClosed => &[Slot::AlsoClosed],
            Self::AlsoQueue => &[Slot::AlsoQueue],
            Self::Saving => &[Slot::Saving],
            Self::OtherRoute => &[Slot::Dest],
            Self::Turn => &[Slot::Turn, Slot::Dest],
            Self::Via => &[Slot::Turn, Slot::Dest, Slot::Via0, Slot::Via1],
        }
    }

    /// Those that they must hold.
    fn needed(self) -> &'static [Slot] {
        match self {
            Self::Problem | Self::Reason | Self::OtherRoute => &[],
            Self::Until => &[Slot::Until],
            Self::Turn => &[Slot::Turn],
            Self::Via => &[Slot::Via0],
            Self::Between
            | Self::Lanes
            | Self::Since
            | Self::Delay
            | Self::AlsoClosed
            | Self::AlsoQueue
            | Self::Saving => self.allowed(),
        }
    }
}

/// One way of saying a clause.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    pub pieces: Vec<Piece>,
    /// Share of this way among all that its pattern allows; they sum to 1 over a pattern.
    pub share: f32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorpusError {
    #[error("cannot read the phrase file {path}: {reason}")]
    Unreadable { path: String, reason: String },
    #[error(
        "the phrase file {path} is not what it should be: {reason}; see the head of \
             models/corpus/en.yaml for the form"
    )]
    Malformed { path: String, reason: String },
    #[error("{language}: {place}: `{pattern}`: {reason}")]
    Pattern { language: &'static str, place: String, pattern: String, reason: String },
}

/// A phrase file is some 20 KB; what is far beyond it is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Ways that a single pattern may expand to.
const MAX_EXPANSIONS: usize = 512;

impl Corpus {
    /// The phrase files `<language>.yaml` of a folder, in the order of `Language::ALL`. A language
    /// without a file is left out; a folder without any is an error.
    pub fn read_all(dir: &Path) -> Result<Vec<Self>, CorpusError> {
        let mut all = Vec::new();
        for language in Language::ALL {
            let path = dir.join(format!("{}.yaml", language.code()));
            if path.exists() {
                all.push(Self::read(&path, language)?);
            }
        }
        if all.is_empty() {
            return Err(CorpusError::Unreadable {
                path: dir.display().to_string(),
                reason: "it holds neither en.yaml nor it.yaml".to_owned(),
            });
        }
        Ok(all)
    }

    fn read(path: &Path, language: Language) -> Result<Self, CorpusError> {
        let shown = || path.display().to_string();
        let unreadable = |reason: String| CorpusError::Unreadable { path: shown(), reason };
        let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
        if size > MAX_FILE_BYTES {
            return Err(unreadable(format!("{size} bytes is too large for a phrase file")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        let corpus = Self::parse(&text)
            .map_err(|reason| CorpusError::Malformed { path: shown(), reason })?;
        if corpus.language != language {
            return Err(CorpusError::Malformed {
                path: shown(),
                reason: format!("its language is `{}`", corpus.language.code()),
            });
        }
        Ok(corpus)
    }

    /// Reads YAML text; the error is the reader's own words.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|e| e.to_string())
    }

    pub fn phrases(&self, form: Form) -> &Phrases {
        match form {
            Form::Sign => &self.sign,
            Form::Vehicle => &self.vehicle,
        }
    }

    /// Every way of saying the patterns of one list, each checked for its role.
    pub fn expand(
        &self,
        form: Form,
        role: Role,
        place: &str,
        patterns: &[String],
    ) -> Result<Vec<Expansion>, CorpusError> {
        let mut all = Vec::new();
        for pattern in patterns {
            let wrong = |reason: String| CorpusError::Pattern {
                language: self.language.code(),
                place: format!("{}.{place}", form.word()),
                pattern: pattern.clone(),
                reason,
            };
            let texts = expand(pattern).map_err(wrong)?;
            let share = 1.0 / texts.len() as f32;
            for text in texts {
                let pieces = pieces(&text).map_err(wrong)?;
                check(&pieces, form, role).map_err(wrong)?;
                all.push(Expansion { pieces, share });
            }
        }
        if all.is_empty() {
            return Err(CorpusError::Pattern {
                language: self.language.code(),
                place: format!("{}.{place}", form.word()),
                pattern: String::new(),
                reason: "the list is empty; every clause needs at least one pattern".to_owned(),
            });
        }
        Ok(all)
    }
}

/// The texts that a pattern stands for: every choice of `(a|b)` and `[c]`, in order.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut texts = vec![String::new()];
    let mut rest = pattern;
    while let Some(at) = rest.find(['(', '[', ')', ']', '|']) {
        let (before, from) = rest.split_at(at);
        let close = match from.as_bytes().first() {
            Some(b'(') => ')',
            Some(b'[') => ']',
            _ => return Err("a bracket or `|` has no opening bracket".to_owned()),
        };
        let inner = &from[1..];
        let end =
            inner.find(close).ok_or_else(|| format!("a bracket is not closed by `{close}`"))?;
        let (choice, after) = (&inner[..end], &inner[end + 1..]);
        if choice.contains(['(', '[', ')', ']']) {
            return Err("brackets must not be nested".to_owned());
        }
        let mut options: Vec<&str> = choice.split('|').collect();
        if close == ']' {
            options.push("");
        }
        if texts.len() * options.len() > MAX_EXPANSIONS {
            return Err(format!("it stands for more than {MAX_EXPANSIONS} texts; split it"));
        }
        texts = texts
            .iter()
            .flat_map(|text| options.iter().map(move |option| format!("{text}{before}{option}")))
            .collect();
        rest = after;
    }
    for text in &mut texts {
        text.push_str(rest);
    }
    Ok(texts)
}

/// Splits a clause without choices into pieces.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    for part in text.split_whitespace() {
        if part == "/" {
            pieces.push(Piece::RowBreak);
            continue;
        }
        let word = part.trim_end_matches(MARKS);
        if let Some(slot) = Slot::from_tag(word) {
            pieces.push(Piece::Slot(slot));
        } else if is_word(word) {
            pieces.push(Piece::Word(word.to_owned()));
        } else if !(word.is_empty() && matches!(pieces.last(), Some(Piece::Word(_)))) {
            // Marks alone are what an option that was left out stood before.
            return Err(format!(
                "`{part}` is neither a lower-case word nor a slot that stands by itself"
            ));
        }
        pieces.extend(part[word.len()..].chars().map(Piece::Mark));
    }
    Ok(pieces)
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| (c.is_alphabetic() && !c.is_uppercase()) || "'’-".contains(c))
        && word.chars().any(char::is_alphabetic)
}

/// Refuses a clause that its role, or the form, has no room for.
fn check(pieces: &[Piece], form: Form, role: Role) -> Result<(), String> {
    let slots: Vec<Slot> = pieces
        .iter()
        .filter_map(|p| if let Piece::Slot(slot) = p { Some(*slot) } else { None })
        .collect();
    if Slot::ALL.into_iter().any(|slot| slots.iter().filter(|s| **s == slot).count() > 1) {
        return Err("a slot stands twice".to_owned());
    }
    if let Some(slot) = slots.iter().find(|slot| !role.allowed().contains(slot)) {
        return Err(format!("{slot} has no place in this kind of clause"));
    }
    if let Some(slot) = role.needed().iter().find(|slot| !slots.contains(slot)) {
        return Err(format!("this kind of clause needs {slot}"));
    }
    let breaks = pieces.iter().filter(|p| **p == Piece::RowBreak).count();
    match form {
        Form::Vehicle if breaks > 0 => Err("row breaks are for signs only".to_owned()),
        Form::Vehicle if pieces.last() != Some(&Piece::Mark('.')) => {
            Err("a vehicle's clause is a sentence and ends in `.`".to_owned())
        }
        Form::Sign if pieces.split(|p| *p == Piece::RowBreak).any(<[Piece]>::is_empty) => {
            Err("a row is empty".to_owned())
        }
        Form::Sign if !pieces.iter().all(on_any_sign) => {
            Err("a sign shows plain letters only: no accents, no punctuation".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whether every sign has the characters for it.
fn on_any_sign(piece: &Piece) -> bool {
    match piece {
        Piece::Word(word) => word.chars().all(|c| c.is_ascii_lowercase() || "'-".contains(c)),
        Piece::Mark(_) => false,
        Piece::Slot(_) | Piece::RowBreak => true,
    }
}

/// Pieces as running text: the inverse of [`pieces`], row breaks as `/`.
pub fn text(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        if !matches!(piece, Piece::Mark(_)) && !text.is_empty() {
            text.push(' ');
        }
        // Writing to a string cannot fail.
        let _written = match piece {
            Piece::Word(word) => text.write_str(word),
            Piece::Mark(mark) => text.write_char(*mark),
            Piece::Slot(slot) => text.write_str(slot.tag()),
            Piece::RowBreak => text.write_char('/'),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_expand_in_order() {
        let texts = expand("(use|take) <VIA_0> [now]").unwrap();
        let texts: Vec<String> = texts.iter().map(|t| text(&pieces(t).unwrap())).collect();
        assert_eq!(texts, ["use <VIA_0> now", "use <VIA_0>", "take <VIA_0> now", "take <VIA_0>"]);
    }

    #[test]
    fn marks_stand_apart_and_come_back() {
        let there = pieces("for <DEST_0>, take <VIA_0>.").unwrap();
        assert_eq!(there[2], Piece::Mark(','));
        assert_eq!(text(&there), "for <DEST_0>, take <VIA_0>.");
    }

    #[test]
    fn refuses_what_a_model_must_never_write() {
        assert!(pieces("delay 6 min").is_err());
        assert!(pieces("use Main road").is_err());
        assert!(pieces("dell'<CLOSED_0>").is_err());
        assert!(pieces("<SPEED>").is_err());
        assert!(expand("use [other").is_err());
        assert!(expand("use other]").is_err());
        assert!(expand("(a|(b|c))").is_err());
    }

    #[test]
    fn clauses_keep_to_their_role() {
        let fails = |text: &str, form, role| check(&pieces(text).unwrap(), form, role).is_err();
        assert!(fails("saves time", Form::Sign, Role::Saving));
        assert!(fails("use <VIA_0> for <DELAY>", Form::Sign, Role::Via));
        assert!(fails("use <VIA_0>", Form::Vehicle, Role::Via));
        assert!(fails("use / <VIA_0>.", Form::Vehicle, Role::Via));
        assert!(fails("use / / <VIA_0>", Form::Sign, Role::Via));
        assert!(fails("più avanti <TURN>", Form::Sign, Role::Turn));
        assert!(fails("<TURN>, please", Form::Sign, Role::Turn));
        assert!(!fails("use / <VIA_0>", Form::Sign, Role::Via));
    }
}

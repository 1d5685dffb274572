//! What a writer is asked, what it answers, and the words that come of it.
//!
//! A writer sees kinds and sizes of facts, never names or numbers: it writes slots (`<VIA_0>`), and
//! code puts the facts in. Knows nothing of any writer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::closure::Reason;
use super::congestion::CongestionLevel;
use super::direction::Cause;

/// A language that messages are written in (ISO 639-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    En,
    It,
    De,
    Fr,
    Es,
}

impl Language {
    pub const ALL: [Self; 5] = [Self::En, Self::It, Self::De, Self::Fr, Self::Es];

    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::It => "it",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
        }
    }
}

impl Language {
    /// So many lanes, `2 lanes`.
    pub fn lanes(self, count: u32) -> String {
        let (one, more) = match self {
            Self::En => ("lane", "lanes"),
            Self::It => ("corsia", "corsie"),
            Self::De => ("Spur", "Spuren"),
            Self::Fr => ("voie", "voies"),
            Self::Es => ("carril", "carriles"),
        };
        format!("{count} {}", if count == 1 { one } else { more })
    }
}

impl FromStr for Language {
    type Err = ();
    fn from_str(code: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|l| l.code() == code).ok_or(())
    }
}

/// What is wrong on the road, as far as a text may say it. Each has words of its own in each
/// language; no text may state another one than its direction's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    RoadClosed,
    Incident,
    /// Stationary or queuing traffic.
    Queue,
    /// Slow traffic.
    SlowTraffic,
    /// Heavy traffic.
    HeavyTraffic,
}

impl Problem {
    pub const ALL: [Self; 5] =
        [Self::RoadClosed, Self::Incident, Self::Queue, Self::SlowTraffic, Self::HeavyTraffic];

    /// The problem to name for a cause and the worst level. Congestion of unknown level is said
    /// in the mildest words.
    pub fn of(cause: Cause, level: Option<CongestionLevel>) -> Self {
        match (cause, level) {
            (Cause::Closure, _) => Self::RoadClosed,
            (Cause::Incident, _) => Self::Incident,
            (_, Some(CongestionLevel::Stationary | CongestionLevel::Queuing)) => Self::Queue,
            (_, Some(CongestionLevel::Slow)) => Self::SlowTraffic,
            _ => Self::HeavyTraffic,
        }
    }

    pub fn strength(self) -> Strength {
        match self {
            Self::RoadClosed => Strength::Must,
            Self::Incident | Self::Queue => Strength::Warning,
            Self::SlowTraffic | Self::HeavyTraffic => Strength::Information,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::RoadClosed => "road_closed",
            Self::Incident => "incident",
            Self::Queue => "queue",
            Self::SlowTraffic => "slow_traffic",
            Self::HeavyTraffic => "heavy_traffic",
        }
    }
}

/// How far a text binds who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Traffic is slow or dense: good to know.
    Information,
    /// Something that drivers should not run into.
    Warning,
    /// The road is closed: nobody can go on, whichever way they then choose.
    Must,
}

/// A typed gap in a draft. Which fact fills it is the request's affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// The road where the trouble is.
    Closed,
    /// The first and second road of the advised way.
    Via0,
    Via1,
    /// The destination most affected.
    Dest,
    /// Minutes lost, with unit.
    Delay,
    /// Minutes saved by the advised way, with unit.
    Saving,
    /// The turn at the next junction.
    Turn,
    /// When a closed road is planned to open again, by the clock of the place.
    Until,
    /// The roads that cross a closed one where the closed stretch begins and ends: both or neither.
    Between0,
    Between1,
    /// How many lanes are shut, with the noun.
    Lanes,
    /// Since when a road is closed, or lanes are shut, by the clock of the place.
    Since,
    /// Another road that is closed, or on which traffic queues, where a driver would look for a way round
    /// by himself: one of both at most.
    AlsoClosed,
    AlsoQueue,
}

impl Slot {
    pub const ALL: [Self; 14] = [
        Self::Closed,
        Self::Via0,
        Self::Via1,
        Self::Dest,
        Self::Delay,
        Self::Saving,
        Self::Turn,
        Self::Until,
        Self::Between0,
        Self::Between1,
        Self::Lanes,
        Self::Since,
        Self::AlsoClosed,
        Self::AlsoQueue,
    ];

    /// Roads and places: those that a reader looks for by name.
    pub const NAMES: [Self; 8] = [
        Self::Closed,
        Self::Via0,
        Self::Via1,
        Self::Dest,
        Self::Between0,
        Self::Between1,
        Self::AlsoClosed,
        Self::AlsoQueue,
    ];

    /// As it stands in drafts and in the corpus.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Closed => "<CLOSED_0>",
            Self::Via0 => "<VIA_0>",
            Self::Via1 => "<VIA_1>",
            Self::Dest => "<DEST_0>",
            Self::Delay => "<DELAY>",
            Self::Saving => "<SAVING>",
            Self::Turn => "<TURN>",
            Self::Until => "<UNTIL>",
            Self::Between0 => "<BETWEEN_0>",
            Self::Between1 => "<BETWEEN_1>",
            Self::Lanes => "<LANES>",
            Self::Since => "<SINCE>",
            Self::AlsoClosed => "<ALSO_CLOSED>",
            Self::AlsoQueue => "<ALSO_QUEUE>",
        }
    }

    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.tag() == tag)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// The room that a text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Space {
    /// A sign: `pages` (one or two) of `rows` by `cols` characters, upper case; a row is never
    /// broken inside a clause's row pattern. The second page begins with the advice, and is there
    /// only where one page has too few rows: each page can be understood alone.
    Sign {
        rows: u8,
        cols: u8,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        pages: u8,
    },
    /// In-vehicle text: one line of at most this many characters.
    Vehicle { max_chars: u16 },
}

fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_one(pages: &u8) -> bool {
    *pages == 1
}

/// Signs of this size or more always have a text: the problem on one row, "take another way" on the
/// next, on whichever page. A smaller sign stays dark.
pub const MIN_SIGN_ROWS: u8 = 2;
pub const MIN_SIGN_COLS: u8 = 10;

/// In this length there is a text for vehicles in every language.
pub const MIN_VEHICLE_CHARS: u16 = 60;

impl Space {
    /// Whether there may be no text at all that fits.
    pub fn is_too_small(self) -> bool {
        match self {
            Self::Sign { rows, cols, pages } => {
                rows.saturating_mul(pages) < MIN_SIGN_ROWS || cols < MIN_SIGN_COLS
            }
            Self::Vehicle { max_chars } => max_chars < MIN_VEHICLE_CHARS,
        }
    }

    /// The row that a sign's second page begins with: that of the advice, where all rows are more
    /// than one page has.
    pub fn second_page(self, before_advice: usize, in_all: usize) -> Option<u8> {
        match self {
            Self::Sign { rows, pages: 2.., .. } if in_all > usize::from(rows) => {
                u8::try_from(before_advice).ok()
            }
            _ => None,
        }
    }
}

/// Most units of information that a driver takes in while passing a sign (problem, place, advised
/// road, one more), on both pages together: the usual limit in guidelines for variable message signs.
pub const SIGN_UNITS: usize = 4;

/// What a clause says besides its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClauseKind {
    /// A problem or a reason.
    Statement,
    /// Which way to take.
    Advice,
    /// Nothing.
    Facts,
}

impl ClauseKind {
    /// Units of information in a clause of this kind with these facts: one each, a statement, and
    /// advice that names nothing. The two ends of a stretch are one.
    pub fn units(self, facts: impl IntoIterator<Item = Slot>) -> usize {
        let facts = facts.into_iter().filter(|slot| *slot != Slot::Between1).count();
        match self {
            Self::Statement => facts + 1,
            Self::Advice => facts.max(1),
            Self::Facts => facts,
        }
    }
}

/// One fact that may be, or must be, said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotFact {
    pub slot: Slot,
    /// Exactly what stands in the text, in the request's language, already in the case and
    /// character set of the space.
    pub text: String,
    pub required: bool,
}

/// What a text has to say: a problem is always stated exactly once; every slot at most once,
/// required ones exactly once. If neither `Via0` nor `Turn` is among the slots, the advice is to
/// take another way; advice is always given on signs and in vehicles alike. A sign's text has
/// [`SIGN_UNITS`] units of information at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordingRequest {
    pub language: Language,
    pub problem: Problem,
    /// Why a road is closed or has lanes shut, as its operator said; may be said, never must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    pub slots: Vec<SlotFact>,
    pub space: Space,
    /// Seeds the sampler: same request, same words.
    pub seed: u64,
}

impl WordingRequest {
    pub fn slot(&self, slot: Slot) -> Option<&SlotFact> {
        self.slots.iter().find(|fact| fact.slot == slot)
    }
}

/// A writer's answer: rows of words and slot tags, single spaces between them, all in lower or
/// sentence case. A vehicle text is one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub rows: Vec<String>,
    /// The row that the second page of a sign begins with, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_page: Option<u8>,
}

impl Draft {
    /// Rows of one page.
    pub fn of_rows(rows: Vec<String>) -> Self {
        Self { rows, second_page: None }
    }
}

/// What a direction said until its facts changed, and what had been asked for then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierText {
    pub request: WordingRequest,
    pub draft: Draft,
}

/// A vehicle's text as it is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// Units as words; for any speech synthesis.
    pub say: String,
    /// The same as SSML 1.1.
    pub ssml: String,
}

/// Words that may go out: facts filled in, case and characters of the space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    pub language: Language,
    /// One string a sign row; one string for a vehicle.
    pub text: Vec<String>,
    /// The row that the second page of a sign begins with, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_page: Option<u8>,
    /// Who wrote it: `template` or the model's name and hash. Goes out in `why`.
    pub writer: String,
}

impl Wording {
    /// The rows of each page.
    pub fn pages(&self) -> Vec<&[String]> {
        let second =
            self.second_page.map(usize::from).and_then(|at| self.text.split_at_checked(at));
        second.map_or_else(|| vec![self.text.as_slice()], |(first, second)| vec![first, second])
    }
}

//! Why a direction, a request or a text is refused: the rules, each with the words that broke it
//! and their place.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use crate::domain::closure::Reason;
use crate::domain::time::Timestamp;
use crate::domain::wording::{Language, Problem, Slot, Space};

/// Where in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub row: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, column {}", self.row, self.column)
    }
}

/// What is demanded of a text (first three groups), of a request and of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    // The text's form.
    Language,
    Rows,
    Pages,
    Width,
    Characters,
    Spacing,
    Case,
    // What the text was asked for can be said without confusion.
    SlotOnce,
    NamesOfTheNetwork,
    NamesApart,
    // What the text says.
    Grammar,
    OneReading,
    PageBreak,
    Problem,
    Reason,
    Road,
    Destination,
    Number,
    Turn,
    Spelling,
    NothingMissing,
    LongestName,
    NoOtherName,
    Strength,
    Units,
    // What is spoken is what the text says.
    Spoken,
    // The request agrees with the direction.
    StillShown,
    RightSpace,
    RequestProblem,
    RequestReason,
    RequestFacts,
    TurnForAll,
    // The direction can be driven and is true now.
    KnownIndices,
    SomethingToAvoid,
    InForce,
    TrueCause,
    OperatorsWord,
    NotOverClosed,
    NotOverAvoided,
    ForCars,
    UnbrokenWay,
    NoTurnAbout,
    ViaOnWay,
    LeadsThere,
    TrueTurn,
}

impl Rule {
    pub const ALL: [Self; 45] = [
        Self::Language,
        Self::Rows,
        Self::Pages,
        Self::Width,
        Self::Characters,
        Self::Spacing,
        Self::Case,
        Self::SlotOnce,
        Self::NamesOfTheNetwork,
        Self::NamesApart,
        Self::Grammar,
        Self::OneReading,
        Self::PageBreak,
        Self::Problem,
        Self::Reason,
        Self::Road,
        Self::Destination,
        Self::Number,
        Self::Turn,
        Self::Spelling,
        Self::NothingMissing,
        Self::LongestName,
        Self::NoOtherName,
        Self::Strength,
        Self::Units,
        Self::Spoken,
        Self::StillShown,
        Self::RightSpace,
        Self::RequestProblem,
        Self::RequestReason,
        Self::RequestFacts,
        Self::TurnForAll,
        Self::KnownIndices,
        Self::SomethingToAvoid,
        Self::InForce,
        Self::TrueCause,
        Self::OperatorsWord,
        Self::NotOverClosed,
        Self::NotOverAvoided,
        Self::ForCars,
        Self::UnbrokenWay,
        Self::NoTurnAbout,
        Self::ViaOnWay,
        Self::LeadsThere,
        Self::TrueTurn,
    ];

    /// The word under which refusals are counted.
    pub fn word(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Rows => "rows",
            Self::Pages => "pages",
            Self::Width => "width",
            Self::Characters => "characters",
            Self::Spacing => "spacing",
            Self::Case => "case",
            Self::SlotOnce => "slot_once",
            Self::NamesOfTheNetwork => "names_of_the_network",
            Self::NamesApart => "names_apart",
            Self::Grammar => "grammar",
            Self::OneReading => "one_reading",
            Self::PageBreak => "page_break",
            Self::Problem => "problem",
            Self::Reason => "reason",
            Self::Road => "road",
            Self::Destination => "destination",
            Self::Number => "number",
            Self::Turn => "turn",
            Self::Spelling => "spelling",
            Self::NothingMissing => "nothing_missing",
            Self::LongestName => "longest_name",
            Self::NoOtherName => "no_other_name",
            Self::Strength => "strength",
            Self::Units => "units",
            Self::Spoken => "spoken",
            Self::StillShown => "still_shown",
            Self::RightSpace => "right_space",
            Self::RequestProblem => "request_problem",
            Self::RequestReason => "request_reason",
            Self::RequestFacts => "request_facts",
            Self::TurnForAll => "turn_for_all",
            Self::KnownIndices => "known_indices",
            Self::SomethingToAvoid => "something_to_avoid",
            Self::InForce => "in_force",
            Self::TrueCause => "true_cause",
            Self::OperatorsWord => "operators_word",
            Self::NotOverClosed => "not_over_closed",
            Self::NotOverAvoided => "not_over_avoided",
            Self::ForCars => "for_cars",
            Self::UnbrokenWay => "unbroken_way",
            Self::NoTurnAbout => "no_turn_about",
            Self::ViaOnWay => "via_on_way",
            Self::LeadsThere => "leads_there",
            Self::TrueTurn => "true_turn",
        }
    }
}

/// A refusal. What it refuses must not go out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Objection {
    #[error("the text is in `{}`, asked for was `{}`", .found.code(), .asked.code())]
    Language { asked: Language, found: Language },
    #[error("the text has {found} rows, there is room for {room}")]
    Rows { room: usize, found: usize },
    #[error("row {row} `{said}` has {found} characters, there is room for {room}")]
    Width { row: usize, said: String, found: usize, room: usize },
    #[error("the text has a second page, where {room} will do")]
    Pages { room: u8 },
    #[error("{place}: the character {found:?} may not stand in this text")]
    Character { place: Place, found: char },
    #[error(
        "{place}: a row is empty, or a space is doubled, at an end, or before a point or comma"
    )]
    Spacing { place: Place },
    #[error("{place}: `{said}` is not in sentence case")]
    Case { place: Place, said: String },
    #[error("the request has {slot} twice")]
    SlotTwice { slot: Slot },
    #[error("{slot} is `{text}`, which is no {} of the network", kind_of(*.slot))]
    UnknownName { slot: Slot, text: String },
    #[error("{first} and {second} are both `{text}`: a reader cannot tell them apart")]
    Alike { first: Slot, second: Slot, text: String },
    #[error("{place}: `{said}` is not in the vocabulary")]
    Word { place: Place, said: String },
    #[error("{place}: no sentence goes on with `{said}` here")]
    Grammar { place: Place, said: String },
    #[error("the text can be read in {readings} ways")]
    Ambiguous { readings: usize },
    #[error("{place}: the second page begins here, and not with the advice")]
    PageBreak { place: Place },
    #[error("the text states {}, the direction {}", .said.word(), .fact.word())]
    Problem { said: Problem, fact: Problem },
    #[error("the text gives {} as the reason, {}", .said.word(), fact_of(.fact.map(Reason::word)))]
    Reason { said: Reason, fact: Option<Reason> },
    #[error("{place}: the text says `{said}` as {slot}, {}", fact_of(.fact.as_deref()))]
    Fact { slot: Slot, place: Place, said: String, fact: Option<String> },
    #[error("{place}: {slot} is spelt `{said}`, it should be `{fact}`")]
    Spelling { slot: Slot, place: Place, said: String, fact: String },
    #[error("the text does not say {slot}, `{fact}`")]
    Missing { slot: Slot, fact: String },
    #[error("{place}: `{said}` can also be read as a part of the name `{name}`")]
    LongerName { place: Place, said: String, name: String },
    #[error("{place}: the words spell `{name}`, which the direction does not name here")]
    OtherName { place: Place, name: String },
    #[error("{place}: `{said}` weighs the advised way against a closed road, which is no choice")]
    Weighed { place: Place, said: String },
    #[error("the text says {found} things, {room} are taken in in passing a sign")]
    Units { room: usize, found: usize },
    #[error("{what} of the voice, `{said}`, are not those of the text, `{text}`")]
    Voice { what: &'static str, said: String, text: String },

    #[error("the direction is withdrawn, no text may go out for it")]
    Withdrawn,
    #[error("the request is for a space of {space:?}, its audience has another one")]
    WrongSpace { space: Space },
    #[error("the request states {}, the direction is about {}", .said.word(), .fact.word())]
    RequestProblem { said: Problem, fact: Problem },
    #[error("the request has {} as the reason, {}", .said.word(), fact_of(.fact.map(Reason::word)))]
    RequestReason { said: Reason, fact: Option<Reason> },
    #[error("the request has `{said}` as {slot}, {}", fact_of(.fact.as_deref()))]
    RequestFact { slot: Slot, said: String, fact: Option<String> },
    #[error("`{said}` is not the one and only way to say the move at the end of segment {segment}")]
    UnclearTurn { said: String, segment: String },

    #[error("the direction has a {what} {index}, which the network lacks")]
    UnknownIndex { what: &'static str, index: usize },
    #[error("the direction avoids nothing")]
    NothingToAvoid,
    #[error("the direction of {ts} ends at {valid_until}")]
    NotInForce { ts: Timestamp, valid_until: Timestamp },
    #[error("the cause is {cause}, but segment {segment} is not in that state")]
    FalseCause { cause: &'static str, segment: String },
    #[error("the direction says {what} of its trouble, but its cause is {cause}")]
    StrayWord { what: &'static str, cause: &'static str },
    #[error("the advised way passes segment {segment}, closed by {event}")]
    OverClosed { segment: String, event: String },
    #[error("the advised way passes segment {segment}, which the direction avoids")]
    OverAvoided { segment: String },
    #[error("the advised way passes segment {segment}, where no cars are allowed")]
    NotForCars { segment: String },
    #[error("the advised way is broken: no car may move from segment {from} to {to}")]
    BrokenWay { from: String, to: String },
    #[error("the advised way turns around from segment {from} into {to}, which is never advised")]
    TurnAbout { from: String, to: String },
    #[error("segment {segment} is to be passed, but is not on the advised way in this order")]
    OffWay { segment: String },
    #[error("the advised way does not lead to {place}")]
    Elsewhere { place: String },
    #[error("the direction's turn does not lead from segment {segments} into the advised way")]
    FalseTurn { segments: String },
}

impl Objection {
    pub fn rule(&self) -> Rule {
        match self {
            Self::Language { .. } => Rule::Language,
            Self::Rows { .. } => Rule::Rows,
            Self::Pages { .. } => Rule::Pages,
            Self::Width { .. } => Rule::Width,
            Self::Character { .. } => Rule::Characters,
            Self::Spacing { .. } => Rule::Spacing,
            Self::Case { .. } => Rule::Case,
            Self::SlotTwice { .. } => Rule::SlotOnce,
            Self::UnknownName { .. } => Rule::NamesOfTheNetwork,
            Self::Alike { .. } => Rule::NamesApart,
            Self::Word { .. } | Self::Grammar { .. } => Rule::Grammar,
            Self::Ambiguous { .. } => Rule::OneReading,
            Self::PageBreak { .. } => Rule::PageBreak,
            Self::Problem { .. } => Rule::Problem,
            Self::Reason { .. } => Rule::Reason,
            Self::Fact { slot, .. } => match slot {
                Slot::Closed
                | Slot::Via0
                | Slot::Via1
                | Slot::Between0
                | Slot::Between1
                | Slot::AlsoClosed
                | Slot::AlsoQueue => Rule::Road,
                Slot::Dest => Rule::Destination,
                Slot::Delay | Slot::Saving | Slot::Until | Slot::Since | Slot::Lanes => {
                    Rule::Number
                }
                Slot::Turn => Rule::Turn,
            },
            Self::Spelling { .. } => Rule::Spelling,
            Self::Missing { .. } => Rule::NothingMissing,
            Self::LongerName { .. } => Rule::LongestName,
            Self::OtherName { .. } => Rule::NoOtherName,
            Self::Weighed { .. } => Rule::Strength,
            Self::Units { .. } => Rule::Units,
            Self::Voice { .. } => Rule::Spoken,
            Self::Withdrawn => Rule::StillShown,
            Self::WrongSpace { .. } => Rule::RightSpace,
            Self::RequestProblem { .. } => Rule::RequestProblem,
            Self::RequestReason { .. } => Rule::RequestReason,
            Self::RequestFact { .. } => Rule::RequestFacts,
            Self::UnclearTurn { .. } => Rule::TurnForAll,
            Self::UnknownIndex { .. } => Rule::KnownIndices,
            Self::NothingToAvoid => Rule::SomethingToAvoid,
            Self::NotInForce { .. } => Rule::InForce,
            Self::FalseCause { .. } => Rule::TrueCause,
            Self::StrayWord { .. } => Rule::OperatorsWord,
            Self::OverClosed { .. } => Rule::NotOverClosed,
            Self::OverAvoided { .. } => Rule::NotOverAvoided,
            Self::NotForCars { .. } => Rule::ForCars,
            Self::BrokenWay { .. } => Rule::UnbrokenWay,
            Self::TurnAbout { .. } => Rule::NoTurnAbout,
            Self::OffWay { .. } => Rule::ViaOnWay,
            Self::Elsewhere { .. } => Rule::LeadsThere,
            Self::FalseTurn { .. } => Rule::TrueTurn,
        }
    }
}

fn kind_of(slot: Slot) -> &'static str {
    if slot == Slot::Dest { "place" } else { "street" }
}

fn fact_of(fact: Option<&str>) -> String {
    match fact {
        Some(fact) => format!("the fact is `{fact}`"),
        None => "there is no such fact".to_owned(),
    }
}

/// The rules in force: all of them. Only a test may lift one, to show what it alone holds back.
#[derive(Debug, Default)]
pub(super) struct Rules {
    #[cfg(test)]
    pub(super) lifted: Option<Rule>,
}

impl Rules {
    /// Refuses, unless the objection's rule is lifted.
    #[cfg_attr(not(test), allow(clippy::unused_self))]
    pub(super) fn object(&self, objection: Objection) -> Result<(), Objection> {
        #[cfg(test)]
        if self.lifted == Some(objection.rule()) {
            return Ok(());
        }
        Err(objection)
    }
}

//! The template writer's phrases, a language to a file, the better ones first.
//!
//! Same format as the corpus in `models/corpus`, without choices. For every problem there is a
//! phrase without names of at most ten columns, and so there is for the advice to go another way:
//! together they are the text for the smallest sign.

mod de;
mod en;
mod es;
mod fr;
mod it;

pub(super) use de::NOUNS as GERMAN_NOUNS;

use crate::domain::closure::Reason;
use crate::domain::wording::{Language, Problem, Slot, Space, WordingRequest};

type List = &'static [&'static str];

/// What may be combined for one request.
pub(super) struct Phrases {
    pub problem: List,
    /// Between which roads a closed one is closed; none on signs.
    pub between: List,
    /// How many lanes are shut.
    pub lanes: List,
    /// Why a road is closed or has lanes shut; empty where the request has no reason.
    pub reason: List,
    /// Since when a road is closed or has lanes shut; none on signs.
    pub since: List,
    /// When a closed road is planned to open again; may say since when it is closed.
    pub until: List,
    pub delay: List,
    /// Another road that is closed; none on signs, as the next.
    pub also_closed: List,
    /// Another road on which traffic queues.
    pub also_queue: List,
    pub saving: List,
    pub other_route: List,
    pub turn: List,
    pub via: List,
}

impl Phrases {
    pub fn of(language: Language, problem: Problem, reason: Option<Reason>, space: Space) -> Self {
        let of: fn(Problem, Option<Reason>) -> Self = match (language, space) {
            (Language::En, Space::Sign { .. }) => en::sign,
            (Language::En, Space::Vehicle { .. }) => en::vehicle,
            (Language::It, Space::Sign { .. }) => it::sign,
            (Language::It, Space::Vehicle { .. }) => it::vehicle,
            (Language::De, Space::Sign { .. }) => de::sign,
            (Language::De, Space::Vehicle { .. }) => de::vehicle,
            (Language::Fr, Space::Sign { .. }) => fr::sign,
            (Language::Fr, Space::Vehicle { .. }) => fr::vehicle,
            (Language::Es, Space::Sign { .. }) => es::sign,
            (Language::Es, Space::Vehicle { .. }) => es::vehicle,
        };
        of(problem, reason)
    }

    /// The advice that the request's facts call for: a road, else a turn, else another way.
    pub fn advice(&self, request: &WordingRequest) -> impl Iterator<Item = &'static str> {
        let list = if request.slot(Slot::Via0).is_some() {
            self.via
        } else if request.slot(Slot::Turn).is_some() {
            self.turn
        } else {
            self.other_route
        };
        list.iter().copied()
    }
}

//! The verifier between any writer and the sink.
//!
//! It takes nobody's word: it parses the finished text against every name of the network and by a
//! grammar of its own, and lets it pass only if what a reader gets from it is exactly what the
//! direction says, in one way only. It knows nothing of writers, models, drafts or corpora, so a
//! mistake there, or in the filling of slots, is caught here.
//!
//! Three questions, to be asked in this order; the answer to each is one `Objection` or none:
//! `check_direction` (can it be driven, is it true now), `check_request` (does what may be said
//! agree with it), `check` (does the text say this and nothing else).

mod de;
mod direction;
mod en;
mod es;
mod form;
mod fr;
mod grammar;
mod it;
mod names;
mod objection;
mod phrases;
mod reading;
mod request;
mod token;
mod trace;
mod voice;

use std::sync::Arc;

pub use objection::{Objection, Place, Rule};
pub use request::{delay_minutes, saving_minutes};
pub use trace::Traced;

use crate::domain::closure::ClosedSegments;
use crate::domain::direction::Direction;
use crate::domain::network::Network;
use crate::domain::wording::{Language, Space, Voice, Wording, WordingRequest};
use grammar::Grammar;
use names::Names;
use objection::Rules;

/// Made once for a network, then asked for every text.
#[derive(Debug)]
pub struct Guard {
    network: Arc<Network>,
    names: Names,
    grammars: [Grammars; Language::ALL.len()],
    rules: Rules,
    /// `None`: no text may give a time of day.
    zone: Option<chrono_tz::Tz>,
}

#[derive(Debug)]
struct Grammars {
    sign: Grammar,
    vehicle: Grammar,
}

impl Grammars {
    fn new(language: Language) -> Self {
        Self { sign: Grammar::new(language, true), vehicle: Grammar::new(language, false) }
    }
}

impl Guard {
    pub fn new(network: Arc<Network>) -> Self {
        let names = Names::new(&network);
        let grammars = Language::ALL.map(Grammars::new);
        Self { network, names, grammars, rules: Rules::default(), zone: None }
    }

    /// Times of day are those of a clock in this zone.
    #[must_use]
    pub fn by_clock_of(mut self, zone: Option<chrono_tz::Tz>) -> Self {
        self.zone = zone;
        self
    }

    /// Whether a text says what it was asked to, all that it must, and nothing else.
    pub fn check(&self, request: &WordingRequest, wording: &Wording) -> Result<(), Objection> {
        form::check(&self.rules, request, wording)?;
        let facts = reading::facts(&self.rules, &self.names, request)?;
        let grammar = self.grammar(request.language, request.space);
        reading::check(&self.rules, &self.names, grammar, request, &facts, wording)
    }

    /// Whether a text that [`Self::check`] let pass is spoken as it stands; `home` is the language
    /// that the network's names are in.
    pub fn check_voice(
        &self,
        request: &WordingRequest,
        wording: &Wording,
        voice: &Voice,
        home: Language,
    ) -> Result<(), Objection> {
        voice::check(&self.rules, request, wording, voice, home)
    }

    /// Which of the direction's facts each clause of a text says that [`Self::check`] let pass.
    pub fn trace(&self, space: Space, wording: &Wording) -> Vec<Traced> {
        trace::trace(&self.names, self.grammar(wording.language, space), wording)
    }

    fn grammar(&self, language: Language, space: Space) -> &Grammar {
        let grammars = &self.grammars[language as usize];
        match space {
            Space::Sign { .. } => &grammars.sign,
            Space::Vehicle { .. } => &grammars.vehicle,
        }
    }

    /// Whether every fact that a text may use is one of the direction's.
    pub fn check_request(
        &self,
        direction: &Direction,
        request: &WordingRequest,
    ) -> Result<(), Objection> {
        direction::check_indices(&self.rules, &self.network, direction)?;
        request::check(&self.rules, &self.network, self.zone, direction, request)?;
        reading::facts(&self.rules, &self.names, request)?;
        Ok(())
    }

    /// Whether the advised way can be driven around what is closed and avoided, and the cause and
    /// the turn are true. A direction that is being withdrawn advises nothing, and passes once its
    /// segments are known.
    pub fn check_direction(
        &self,
        direction: &Direction,
        closed: &ClosedSegments,
    ) -> Result<(), Objection> {
        direction::check(&self.rules, &self.network, direction, closed)
    }
}

#[cfg(test)]
mod tests;

//! From a direction to words that may go out: asks the writers, fills, and lets the guard decide.
//!
//! The candidate loop of DESIGN §1: the model's drafts in turn, then the template; what the guard
//! refuses never leaves. Knows nothing of how a draft comes about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::counts::{Counts, bump};
use crate::domain::direction::{Audience, Direction, DirectionState};
use crate::domain::network::Network;
use crate::domain::wording::{Language, Space, Wording, WordingRequest};
use crate::ports::{SharedClock, Writer, WriterError};
use crate::stage::generate;
use crate::stage::guard::Guard;

/// Drafts asked of the model for one text before the template speaks.
const CANDIDATES: u32 = 3;

/// How long the model may take for one text. In a replay nothing is late: the same recording has to
/// give the same bytes on a slow machine.
pub(super) enum Deadline {
    None,
    After(Duration, SharedClock),
}

pub(super) struct Speaker {
    network: Arc<Network>,
    requests: generate::Requests,
    guard: Guard,
    /// `None`: templates alone.
    model: Option<Box<dyn Writer>>,
    template: Box<dyn Writer>,
    languages: Vec<Language>,
    deadline: Deadline,
    /// The words that each direction shows: unchanged facts keep their words, so that a sign does
    /// not flicker between phrasings.
    shown: BTreeMap<String, Vec<(WordingRequest, Wording)>>,
}

impl Speaker {
    pub fn new(
        network: Arc<Network>,
        model: Option<Box<dyn Writer>>,
        languages: Vec<Language>,
        deadline: Deadline,
    ) -> Self {
        Self {
            requests: generate::Requests::new(Arc::clone(&network)),
            guard: Guard::new(Arc::clone(&network)),
            template: Box::new(generate::TemplateWriter),
            shown: BTreeMap::new(),
            network,
            model,
            languages,
            deadline,
        }
    }

    /// The words of a direction in every language of the site that can be said; empty when nothing
    /// may be said, and then the direction must not be shown.
    pub fn words(
        &mut self,
        direction: &Direction,
        max_chars: u16,
        counts: &mut Counts,
    ) -> Vec<Wording> {
        if direction.state == DirectionState::Clear {
            self.shown.remove(&direction.id);
            return Vec::new();
        }
        let space = match &direction.audience {
            Audience::Sign(id) => {
                let sign = self.network.sign(*id);
                Space::Sign { rows: sign.rows, cols: sign.cols }
            }
            Audience::Area { .. } => Space::Vehicle { max_chars },
        };
        let before = self.shown.remove(&direction.id).unwrap_or_default();
        let requests = self.requests.of(direction, space, &self.languages);
        let mut now = Vec::new();
        for request in requests {
            if let Err(objection) = self.guard.check_request(direction, &request) {
                tracing::error!(direction = direction.id, %objection, "facts refused by the guard");
                bump(&mut counts.refused_drafts, format!("request: {}", objection.rule().word()));
                continue;
            }
            let kept = before.iter().find(|(old, _)| same_facts(old, &request));
            let wording = match kept {
                Some((_, wording)) if self.guard.check(&request, wording).is_ok() => {
                    Some(wording.clone())
                }
                _ => self.write(&request, counts),
            };
            if let Some(wording) = wording {
                now.push((request, wording));
            }
        }
        let words = now.iter().map(|(_, wording)| wording.clone()).collect();
        if !now.is_empty() {
            self.shown.insert(direction.id.clone(), now);
        }
        words
    }

    /// No text may go out on facts that the guard refuses.
    pub fn facts_hold(
        &self,
        direction: &Direction,
        closed: &crate::domain::closure::ClosedSegments,
        counts: &mut Counts,
    ) -> bool {
        match self.guard.check_direction(direction, closed) {
            Ok(()) => true,
            Err(objection) => {
                tracing::error!(direction = direction.id, %objection, "direction refused by the guard");
                bump(&mut counts.refused_drafts, format!("direction: {}", objection.rule().word()));
                false
            }
        }
    }

    fn write(&mut self, request: &WordingRequest, counts: &mut Counts) -> Option<Wording> {
        let started = match &self.deadline {
            Deadline::None => None,
            Deadline::After(limit, clock) => Some((*limit, Arc::clone(clock), clock.elapsed())),
        };
        let expired = || {
            started.as_ref().is_some_and(|(limit, clock, start)| {
                clock.elapsed().saturating_sub(*start) >= *limit
            })
        };
        if let Some(model) = &mut self.model {
            for attempt in 0..CANDIDATES {
                match model.write(request, attempt, &expired) {
                    Ok(draft) => {
                        let name = model.name().to_owned();
                        if let Some(wording) = accept(&self.guard, request, &draft, &name, counts) {
                            return Some(wording);
                        }
                    }
                    Err(error) => {
                        let cause = match &error {
                            WriterError::Late => "late",
                            WriterError::Unsatisfiable(_) => "unsatisfiable",
                            WriterError::Failed(_) => "failed",
                        };
                        tracing::warn!(%error, "the model gave no draft");
                        bump(&mut counts.missing_drafts, cause.to_owned());
                        break;
                    }
                }
            }
        }
        // The template is never late: it is a table look-up.
        match self.template.write(request, 0, &|| false) {
            Ok(draft) => {
                let name = self.template.name().to_owned();
                accept(&self.guard, request, &draft, &name, counts)
            }
            Err(error) => {
                tracing::error!(%error, ?request, "no template fits");
                bump(&mut counts.missing_drafts, "template".to_owned());
                None
            }
        }
    }
}

fn accept(
    guard: &Guard,
    request: &WordingRequest,
    draft: &crate::domain::wording::Draft,
    writer: &str,
    counts: &mut Counts,
) -> Option<Wording> {
    let wording = match generate::fill(request, draft, writer) {
        Ok(wording) => wording,
        Err(error) => {
            tracing::warn!(%error, writer, "draft cannot be filled");
            bump(&mut counts.refused_drafts, "fill".to_owned());
            return None;
        }
    };
    match guard.check(request, &wording) {
        Ok(()) => {
            bump(&mut counts.texts_by_writer, writer.to_owned());
            Some(wording)
        }
        Err(objection) => {
            tracing::warn!(%objection, writer, text = ?wording.text, "text refused by the guard");
            bump(&mut counts.refused_drafts, objection.rule().word().to_owned());
            None
        }
    }
}

/// Everything but the seed.
fn same_facts(a: &WordingRequest, b: &WordingRequest) -> bool {
    a.language == b.language && a.problem == b.problem && a.slots == b.slots && a.space == b.space
}

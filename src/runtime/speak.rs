//! From a direction to words that may go out: asks the writers, fills, and lets the guard decide.
//!
//! The candidate loop of DESIGN §1: the model's drafts in turn, then the template; what the guard
//! refuses never leaves. Knows nothing of how a draft comes about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, bump};
use crate::domain::direction::{Audience, Direction, DirectionState};
use crate::domain::network::{Network, Sign, SignFace, SignId};
use crate::domain::wording::{Draft, EarlierText, Language, Space, Voice, Wording, WordingRequest};
use crate::ports::{Asked, Expired, SharedClock, Writer, WriterError};
use crate::stage::generate;
use crate::stage::guard::{Guard, Traced};

/// Drafts asked of the model for one text before the template speaks.
const CANDIDATES: u32 = 3;

/// How long the model may take for all that is said at one moment; templates say the rest. A closure
/// speaks to a whole district at once, and must be out within a second.
const ROUND: Duration = Duration::from_millis(750);

/// How long the model may take for one direction. In a replay nothing is late: the same recording has to
/// give the same bytes on a slow machine.
pub(super) enum Deadline {
    None,
    After(Duration, SharedClock),
}

/// Words that may go out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Said {
    pub wording: Wording,
    /// The markup of a sign's text.
    pub multi: Option<String>,
    /// What each clause of it says.
    #[serde(default)]
    pub clauses: Vec<Traced>,
    /// What the writer was asked; unknown of words that an older version kept.
    #[serde(default)]
    pub asked: Option<WordingRequest>,
    /// The text before its facts were filled in; unknown of older words too.
    #[serde(default)]
    pub draft: Option<Draft>,
    /// Whether it took the place of an earlier text, whose words stay where their facts do.
    #[serde(default)]
    pub revises: bool,
}

/// A text on its way.
struct Task {
    request: WordingRequest,
    said: Option<Said>,
    /// What the direction said so far, where its facts are others now.
    before: Option<EarlierText>,
    is_new: bool,
}

impl Task {
    fn asked(&self) -> Asked<'_> {
        Asked { request: &self.request, before: self.before.as_ref() }
    }
}

/// Words that were written once, with what they were written for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Worded {
    direction: (String, u32),
    request: WordingRequest,
    said: Said,
}

/// The words that each direction shows, to be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SpeakerState {
    shown: BTreeMap<String, Vec<(WordingRequest, Said)>>,
}

/// A sign's font cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("sign {sign}: {}: {source}", face.file)]
pub struct FontError {
    pub sign: String,
    pub face: SignFace,
    pub source: generate::FontError,
}

/// The font of each sign that has one.
fn fonts(
    network: &Network,
) -> impl Iterator<Item = Result<(SignId, generate::SignFont), FontError>> {
    network.sign_ids().filter_map(|id| {
        let sign = network.sign(id);
        let face = sign.face.as_ref()?;
        let font = generate::SignFont::parse(&face.font, face.width_px, face.height_px);
        Some(font.map(|font| (id, font)).map_err(|source| FontError {
            sign: sign.name.clone(),
            face: face.clone(),
            source,
        }))
    })
}

/// What keeps signs of a network from showing texts in their fonts; a run on it does not begin.
pub fn bad_fonts(network: &Network) -> impl Iterator<Item = FontError> {
    fonts(network).filter_map(Result::err)
}

pub(super) struct Speaker {
    network: Arc<Network>,
    requests: generate::Requests,
    guard: Guard,
    /// The fonts of signs that have one: their texts must fit dot by dot.
    fonts: Arc<BTreeMap<SignId, generate::SignFont>>,
    /// `None`: templates alone.
    model: Option<Box<dyn Writer>>,
    template: Box<dyn Writer>,
    languages: Vec<Language>,
    deadline: Deadline,
    /// When the model's time for this moment is over, by the deadline's clock.
    round_ends: Duration,
    /// The words that each direction shows: unchanged facts keep their words, so that a sign does
    /// not flicker between phrasings.
    shown: BTreeMap<String, Vec<(WordingRequest, Said)>>,
    /// Written since somebody last asked; only with a deadline, without which words depend on
    /// nothing but the request.
    written: Vec<Worded>,
    /// Written by an earlier run, by direction and revision.
    expected: BTreeMap<(String, u32), Vec<(WordingRequest, Said)>>,
}

impl Speaker {
    pub fn new(
        network: Arc<Network>,
        model: Option<Box<dyn Writer>>,
        languages: Vec<Language>,
        zone: Option<chrono_tz::Tz>,
        deadline: Deadline,
    ) -> Result<Self, FontError> {
        let fonts = Arc::new(fonts(&network).collect::<Result<_, _>>()?);
        let requests = generate::Requests::new(Arc::clone(&network));
        Ok(Self {
            requests: requests.by_clock_of(zone).in_fonts(Arc::clone(&fonts)),
            fonts,
            guard: Guard::new(Arc::clone(&network)).by_clock_of(zone),
            template: Box::new(generate::TemplateWriter),
            shown: BTreeMap::new(),
            written: Vec::new(),
            expected: BTreeMap::new(),
            network,
            model,
            languages,
            deadline,
            round_ends: Duration::MAX,
        })
    }

    /// What is worded from here on is said at one moment.
    pub fn begin_round(&mut self) {
        if let Deadline::After(_, clock) = &self.deadline {
            self.round_ends = clock.elapsed() + ROUND;
        }
    }

    pub fn take_words(&mut self) -> Vec<Worded> {
        std::mem::take(&mut self.written)
    }

    pub fn expect_words(&mut self, words: Vec<Worded>) {
        for worded in words {
            self.expected.entry(worded.direction).or_default().push((worded.request, worded.said));
        }
    }

    pub fn state(&self) -> SpeakerState {
        SpeakerState { shown: self.shown.clone() }
    }

    pub fn restore(&mut self, state: SpeakerState) {
        self.shown = state.shown;
    }

    /// The words of a direction in every language of the site that can be said, and on signs their
    /// MULTI markup; empty when nothing may be said, and then the direction must not be shown.
    pub fn words(
        &mut self,
        direction: &Direction,
        max_chars: u16,
        counts: &mut Counts,
    ) -> Vec<Said> {
        if direction.state == DirectionState::Clear {
            self.shown.remove(&direction.id);
            return Vec::new();
        }
        let (space, sign) = match &direction.audience {
            Audience::Sign(id) => {
                let sign = self.network.sign(*id);
                (Space::Sign { rows: sign.rows, cols: sign.cols, pages: sign.pages }, Some(*id))
            }
            Audience::Area { .. } => (Space::Vehicle { max_chars }, None),
        };
        let before = self.shown.remove(&direction.id).unwrap_or_default();
        let requests = self.requests.of(direction, space, &self.languages);
        let mut tasks = Vec::new();
        for request in requests {
            if let Err(objection) = self.guard.check_request(direction, &request) {
                tracing::error!(direction = direction.id, %objection, "facts refused by the guard");
                bump(&mut counts.refused_drafts, format!("request: {}", objection.rule().word()));
                continue;
            }
            let kept = before.iter().find(|(old, _)| same_facts(old, &request));
            let said = kept
                .filter(|(_, said)| self.guard.check(&request, &said.wording).is_ok())
                .map(|(_, said)| said.clone());
            let earlier = before.iter().find(|(old, _)| old.language == request.language);
            let earlier = earlier.filter(|_| said.is_none()).and_then(|(old, said)| {
                Some(EarlierText { request: old.clone(), draft: said.draft.clone()? })
            });
            let is_new = said.is_none();
            tasks.push(Task { request, said, before: earlier, is_new });
        }
        let now = self.complete(direction, tasks, sign, counts);
        let words = now.iter().map(|(_, said)| said.clone()).collect();
        if !now.is_empty() {
            self.shown.insert(direction.id.clone(), now);
        }
        words
    }

    /// The words of the requests that have none yet: as an earlier run wrote them, or written now, the
    /// first tries of all languages together.
    fn complete(
        &mut self,
        direction: &Direction,
        mut tasks: Vec<Task>,
        sign: Option<SignId>,
        counts: &mut Counts,
    ) -> Vec<(WordingRequest, Said)> {
        let of = (direction.id.clone(), direction.revision);
        for task in tasks.iter_mut().filter(|task| task.is_new) {
            task.said = self.expected(&of, &task.request);
            if let Some(said) = &task.said {
                bump(&mut counts.texts_by_writer, said.wording.writer.clone());
            }
        }
        let missing: Vec<Asked<'_>> =
            tasks.iter().filter(|task| task.said.is_none()).map(Task::asked).collect();
        let expired = self.expiry();
        let mut first = self.first_drafts(&missing, &expired).into_iter();
        let mut now = Vec::new();
        for task in tasks {
            let Task { request, said, before, is_new } = task;
            let said = said.or_else(|| {
                self.write(before.is_some(), &request, first.next(), sign, &expired, counts)
            });
            if is_new && let (Some(said), Deadline::After(..)) = (&said, &self.deadline) {
                let (request, said) = (request.clone(), said.clone());
                self.written.push(Worded { direction: of.clone(), request, said });
            }
            if let Some(said) = said {
                now.push((request, said));
            }
        }
        now
    }

    /// How a text for vehicles is spoken; none where it is unknown how the text came about.
    pub fn voice(&self, said: &Said, counts: &mut Counts) -> Option<Voice> {
        let (request, draft) = said.asked.as_ref().zip(said.draft.as_ref())?;
        let home = *self.languages.first()?;
        let voice = match generate::voice(request, draft, home) {
            Ok(voice) => voice,
            Err(error) => {
                tracing::error!(%error, "a draft that could be filled cannot be spoken");
                bump(&mut counts.refused_drafts, "fill".to_owned());
                return None;
            }
        };
        if let Err(objection) = self.guard.check_voice(request, &said.wording, &voice, home) {
            tracing::error!(%objection, "voice refused by the guard");
            bump(&mut counts.refused_drafts, objection.rule().word().to_owned());
            return None;
        }
        Some(voice)
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

    /// What an earlier run wrote for this, if it still passes the guard.
    fn expected(&mut self, of: &(String, u32), request: &WordingRequest) -> Option<Said> {
        let words = self.expected.get(of)?;
        let (_, said) = words.iter().find(|(old, _)| same_facts(old, request))?;
        self.guard.check(request, &said.wording).is_ok().then(|| said.clone())
    }

    /// Whether the model's time from now on is over.
    fn expiry(&self) -> impl Fn() -> bool + use<> {
        let end = match &self.deadline {
            Deadline::None => None,
            Deadline::After(limit, clock) => {
                Some((self.round_ends.min(clock.elapsed() + *limit), Arc::clone(clock)))
            }
        };
        move || end.as_ref().is_some_and(|(end, clock)| clock.elapsed() >= *end)
    }

    /// The model's first tries; none without a model.
    fn first_drafts(
        &mut self,
        asked: &[Asked<'_>],
        expired: &Expired<'_>,
    ) -> Vec<Result<Draft, WriterError>> {
        match &mut self.model {
            Some(model) if !asked.is_empty() => model.write_all(asked, expired),
            _ => Vec::new(),
        }
    }

    /// `first`: the model's first try, where there is a model; `revises`: that try takes the place of
    /// an earlier text.
    fn write(
        &mut self,
        revises: bool,
        request: &WordingRequest,
        first: Option<Result<Draft, WriterError>>,
        sign: Option<SignId>,
        expired: &Expired<'_>,
        counts: &mut Counts,
    ) -> Option<Said> {
        let gate = Gate {
            guard: &self.guard,
            sign: sign.map(|id| (self.network.sign(id), self.fonts.get(&id))),
        };
        if let (Some(model), Some(mut tried)) = (&mut self.model, first) {
            for attempt in 1..=CANDIDATES {
                match tried {
                    Ok(draft) => {
                        if let Some(said) = gate.pass(request, &draft, model.name(request), counts)
                        {
                            return Some(Said { revises: revises && attempt == 1, ..said });
                        }
                        if attempt == CANDIDATES {
                            break;
                        }
                        tried = model.write(request, attempt, expired);
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
        // The template is never late: it is a table look-up, and each attempt is the next best of
        // its texts that fit, until there are no more.
        for attempt in 0.. {
            match self.template.write(request, attempt, &|| false) {
                Ok(draft) => {
                    let said = gate.pass(request, &draft, self.template.name(request), counts);
                    if said.is_some() {
                        return said;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, ?request, "no template fits");
                    bump(&mut counts.missing_drafts, "template".to_owned());
                    break;
                }
            }
        }
        None
    }
}

/// What every draft must pass, whoever wrote it.
struct Gate<'s> {
    guard: &'s Guard,
    /// Texts for a sign have a markup, which must fit its font where it has one.
    sign: Option<(&'s Sign, Option<&'s generate::SignFont>)>,
}

impl Gate<'_> {
    fn pass(
        &self,
        request: &WordingRequest,
        draft: &Draft,
        writer: &str,
        counts: &mut Counts,
    ) -> Option<Said> {
        let wording = match generate::fill(request, draft, writer) {
            Ok(wording) => wording,
            Err(error) => {
                tracing::warn!(%error, writer, "draft cannot be filled");
                bump(&mut counts.refused_drafts, "fill".to_owned());
                return None;
            }
        };
        if let Err(objection) = self.guard.check(request, &wording) {
            tracing::warn!(%objection, writer, text = ?wording.text, "text refused by the guard");
            bump(&mut counts.refused_drafts, objection.rule().word().to_owned());
            return None;
        }
        let multi = match self.sign.map(|(sign, font)| generate::multi(&wording, sign, font)) {
            Some(Err(error)) => {
                tracing::warn!(%error, writer, text = ?wording.text, "text does not fit its sign");
                bump(&mut counts.refused_drafts, "multi".to_owned());
                return None;
            }
            Some(Ok(multi)) => Some(multi),
            None => None,
        };
        bump(&mut counts.texts_by_writer, writer.to_owned());
        let clauses = self.guard.trace(request.space, &wording);
        let (asked, draft) = (Some(request.clone()), Some(draft.clone()));
        Some(Said { wording, multi, clauses, asked, draft, revises: false })
    }
}

/// Everything but the seed.
fn same_facts(a: &WordingRequest, b: &WordingRequest) -> bool {
    (a.language, a.problem, a.reason) == (b.language, b.problem, b.reason)
        && (&a.slots, a.space) == (&b.slots, b.space)
}

#[cfg(test)]
mod tests;

//! The way of a reading, whole and without tasks: one message or one second at a time in, what
//! follows from it out. The same calls give the same events, live and in replay.
//!
//! Time is receive time: the clock's in a live run, the recording's in a replay. It moves in whole
//! seconds (`tick`), and every tick comes before the messages received at or after it, so that the
//! result depends neither on the speed of a replay nor on the size of batches.

use std::sync::Arc;

use super::build::{ModelState, Writers};
use super::counts::{Counts, Summary, WindowSummary, bump};
use super::payload::{self, Origin, Words};
use super::speak::{Deadline, FontError, Speaker};
use crate::batch::WindowBatch;
use crate::domain::closure::ClosedSegments;
use crate::domain::direction::{Audience, Direction, DirectionState};
use crate::domain::refusal::{DeadLetter, LateReading, Refusal};
use crate::domain::time::Timestamp;
use crate::io::recording::CORRUPT_TOPIC;
use crate::plan::{OutputKind, Plan};
use crate::ports::{Message, Publication};
use crate::query::QueryError;
use crate::stage::aggregate::{Aggregate, AggregateError};
use crate::stage::congestion::Congestion;
use crate::stage::decode::{Decoded, Decoder, TopicFilter};
use crate::stage::route::Route;
use crate::stage::window::{Admission, Windower};

/// What a run hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A closed window's result.
    Window {
        name: String,
        result: WindowBatch,
    },
    Publish(Publication),
    Dead(DeadLetter),
    Late(LateReading),
}

/// Why a run cannot go on: a fault of the house, never of a message.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Font(#[from] FontError),
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    #[error("window `{window}`: its SQL failed: {source}")]
    Query { window: String, source: QueryError },
    #[error("window `{window}`: its result cannot be graded: {what}")]
    Result { window: String, what: String },
    #[error("{waiting} messages wait for a beat of the driven clock, and none comes")]
    NoBeat { waiting: usize },
    #[error(transparent)]
    Port(#[from] crate::ports::PortError),
    #[error("the archive cannot be written: {0}")]
    Archive(#[from] crate::io::archive::ArchiveError),
}

/// The stages in a row.
pub struct Engine {
    plan: Arc<Plan>,
    decoder: Decoder,
    subscriptions: Vec<TopicFilter>,
    windower: Windower,
    aggregate: Aggregate,
    congestion: Option<Congestion>,
    route: Option<Route>,
    speaker: Speaker,
    counts: Counts,
    model: ModelState,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("plan", &self.plan.name).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(
        plan: Arc<Plan>,
        writers: Writers,
        deadline: Deadline,
    ) -> Result<Self, RunError> {
        let network = Arc::clone(&plan.network);
        let aggregate = Aggregate::new(&plan)?;
        Ok(Self {
            subscriptions: plan.sources.iter().map(|s| TopicFilter::new(&s.topic)).collect(),
            decoder: Decoder::new(&plan.sources, Arc::clone(&network)),
            windower: Windower::new(&plan.sources, &plan.windows),
            aggregate,
            congestion: plan
                .congestion
                .as_ref()
                .map(|c| Congestion::new(c, &plan.windows, Arc::clone(&network))),
            route: plan.directions.as_ref().map(|d| Route::new(d, Arc::clone(&network))),
            speaker: Speaker::new(network, writers.model, plan.writer.languages.clone(), deadline)?,
            counts: Counts::default(),
            model: writers.state,
            plan,
        })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn model(&self) -> &ModelState {
        &self.model
    }

    /// The newest watermark of each source, by name, where there is one.
    pub fn watermarks(&self) -> Vec<(&str, Timestamp)> {
        let named = self.plan.sources.iter().enumerate();
        named.filter_map(|(i, s)| Some((s.name.as_str(), self.windower.watermark(i)?))).collect()
    }

    /// Whether a broker would deliver this message to us; counts those that it would not.
    pub fn subscribed(&mut self, message: &Message) -> bool {
        // A line of a recording that is no message must not pass unseen: it is received, and dead.
        let subscribed = message.topic.starts_with(CORRUPT_TOPIC)
            || self.subscriptions.iter().any(|filter| filter.passes(&message.topic));
        self.counts.unsubscribed += u64::from(!subscribed);
        subscribed
    }

    /// Takes one message to its fate.
    pub fn message(&mut self, message: &Message) -> Result<Vec<Event>, RunError> {
        self.counts.all.received += 1;
        match self.decoder.decode(message) {
            Decoded::Dead(refusal) => Ok(vec![self.dead(message, refusal)]),
            Decoded::Closure { source, closure } => {
                self.tally(source, |t| &mut t.received);
                // A pipeline without congestion has nobody to tell of it; the message is still read.
                match self.congestion.as_mut().map_or(Ok(()), |c| c.closure(&closure)) {
                    Ok(()) => {
                        self.accepted(source);
                        Ok(self.speak(message.received_at))
                    }
                    Err(mut refusal) => {
                        refusal.source = Some(self.plan.sources[source].name.clone());
                        self.count_dead(&refusal, false);
                        Ok(vec![Event::Dead(letter(message, refusal))])
                    }
                }
            }
            Decoded::Reading(reading) => {
                let source = reading.source;
                self.tally(source, |t| &mut t.received);
                match self.windower.push(reading, message) {
                    Admission::Accepted => self.accepted(source),
                    Admission::Duplicate => {
                        self.counts.all.duplicate += 1;
                        self.tally(source, |t| &mut t.duplicate);
                    }
                    Admission::Late(late) => {
                        self.counts.all.late += 1;
                        self.tally(source, |t| &mut t.late);
                        return Ok(vec![Event::Late(late)]);
                    }
                    Admission::Dead(mut refusal) => {
                        refusal.source = Some(self.plan.sources[source].name.clone());
                        self.count_dead(&refusal, false);
                        return Ok(vec![Event::Dead(letter(message, refusal))]);
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    /// Moves receive time on to `now`, a whole second: closes windows and lets the route stage speak.
    pub fn tick(&mut self, now: Timestamp) -> Result<Vec<Event>, RunError> {
        let closed = self.windower.advance(now);
        let mut events = self.windows(closed)?;
        if let Some(congestion) = &mut self.congestion {
            congestion.advance(now);
        }
        events.extend(self.speak(now));
        Ok(events)
    }

    /// The stream is over: closes what is open and lets the route stage speak once more.
    pub fn finish(&mut self, now: Timestamp) -> Result<Vec<Event>, RunError> {
        let closed = self.windower.finish();
        let mut events = self.windows(closed)?;
        events.extend(self.speak(now));
        Ok(events)
    }

    pub fn summary(&self) -> Summary {
        let counts = &self.counts;
        Summary {
            pipeline: self.plan.name.clone(),
            pipeline_hash: self.plan.hash.clone(),
            network_hash: self.plan.network.hash.clone(),
            model: self.model.to_string(),
            received: counts.all.received,
            accepted: counts.all.accepted,
            revised: counts.revised,
            duplicate: counts.all.duplicate,
            late: counts.all.late,
            dead: counts.dead(),
            unsubscribed: counts.unsubscribed,
            sources: counts.sources.clone(),
            windows: self.windows_so_far(),
            directions: counts.directions(),
        }
    }

    /// Windows closed so far, and the result rows that could not be used.
    pub fn windows_so_far(&self) -> WindowSummary {
        let unused = self.congestion.as_ref().map(Congestion::unused_rows).unwrap_or_default();
        self.counts.windows(unused)
    }

    fn windows(&mut self, closed: Vec<WindowBatch>) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::with_capacity(closed.len());
        for batch in closed {
            let name = self.plan.windows[batch.window].name.clone();
            let result = self
                .aggregate
                .run(&batch)
                .map_err(|source| RunError::Query { window: name.clone(), source })?;
            bump(&mut self.counts.windows, name.clone());
            if let Some(congestion) = &mut self.congestion {
                // A result without a usable segment column was refused when the plan was made.
                congestion
                    .window(&result)
                    .map_err(|what| RunError::Result { window: name.clone(), what })?;
            }
            events.push(Event::Window { name, result });
        }
        Ok(events)
    }

    fn speak(&mut self, now: Timestamp) -> Vec<Event> {
        let (Some(congestion), Some(route)) = (&self.congestion, &mut self.route) else {
            return Vec::new();
        };
        let directions = route.update(now, &congestion.view());
        let mut events = Vec::new();
        for direction in directions {
            for publication in self.publications(direction) {
                events.push(Event::Publish(publication));
            }
        }
        events
    }

    /// The messages of one direction, one for each output that addresses its audience. What may not
    /// be said takes down what the audience still sees: an old text must not outlive its facts.
    fn publications(&mut self, mut direction: Direction) -> Vec<Publication> {
        let plan = Arc::clone(&self.plan);
        let none = ClosedSegments::new();
        let closed = self.congestion.as_ref().map_or(&none, Congestion::closed);
        let sayable = direction.state == DirectionState::Show
            && self.speaker.facts_hold(&direction, closed, &mut self.counts);
        let mut sent = Vec::new();
        for output in &plan.outputs {
            let (topic, qos, retain, max_chars) = match (&output.kind, &direction.audience) {
                (OutputKind::Signs { topic, qos, retain }, Audience::Sign(id)) => {
                    (topic.replace("{sign}", &plan.network.sign(*id).name), *qos, *retain, 0)
                }
                (
                    OutputKind::Vehicles { topic, qos, retain, max_chars },
                    Audience::Area { tile, part },
                ) => (
                    topic.replace("{tile}", tile).replace("{part}", part),
                    *qos,
                    *retain,
                    *max_chars,
                ),
                _ => continue,
            };
            let mut said = Vec::new();
            if direction.state == DirectionState::Show {
                if sayable {
                    said = self.speaker.words(&direction, max_chars, &mut self.counts);
                }
                if said.is_empty() {
                    self.counts.withheld += 1;
                    direction.state = DirectionState::Clear;
                }
            } else {
                self.speaker.words(&direction, max_chars, &mut self.counts);
            }
            match direction.state {
                DirectionState::Show => self.counts.shown += 1,
                DirectionState::Clear => self.counts.cleared += 1,
            }
            let words = Words { said: &said };
            let origin = Origin {
                pipeline: &plan.name,
                pipeline_hash: &plan.hash,
                network_hash: &plan.network.hash,
            };
            sent.push(Publication {
                ts: direction.ts,
                topic,
                payload: payload::direction(&plan.network, &direction, &words, &origin),
                qos,
                retain,
                expiry: Some(direction.valid_until.since(direction.ts)),
            });
        }
        sent
    }

    fn accepted(&mut self, source: usize) {
        self.counts.all.accepted += 1;
        self.tally(source, |t| &mut t.accepted);
    }

    fn dead(&mut self, message: &Message, refusal: Refusal) -> Event {
        self.count_dead(&refusal, true);
        Event::Dead(letter(message, refusal))
    }

    /// `unreceived`: the source's own count has not seen the message yet.
    fn count_dead(&mut self, refusal: &Refusal, unreceived: bool) {
        self.counts.all.dead += 1;
        bump(&mut self.counts.dead_by_reason, refusal.reason);
        if let Some(source) = &refusal.source {
            let tally = self.counts.sources.entry(source.clone()).or_default();
            tally.dead += 1;
            tally.received += u64::from(unreceived);
        }
    }

    fn tally(&mut self, source: usize, fate: impl Fn(&mut super::Tally) -> &mut u64) {
        let name = &self.plan.sources[source].name;
        *fate(self.counts.sources.entry(name.clone()).or_default()) += 1;
    }
}

fn letter(message: &Message, refusal: Refusal) -> DeadLetter {
    DeadLetter {
        received_at: message.received_at,
        topic: message.topic.clone(),
        payload: message.payload.clone(),
        refusal,
    }
}

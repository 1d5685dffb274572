//! The way of a reading, whole and without tasks: a few messages or one second at a time in, what
//! follows from them out. The same calls give the same events, live and in replay.
//!
//! Time is receive time: the clock's in a live run, the recording's in a replay. It moves in whole
//! seconds (`tick`), and every tick comes before the messages received at or after it. Messages
//! between two ticks may come in any number of calls: the result depends neither on the speed of a
//! replay nor on the size of batches.

use std::ops::Range;
use std::sync::Arc;

use super::build::{ModelState, Writers};
use super::counts::{Counts, Summary, Tally, WindowSummary, bump};
use super::error::RunError;
use super::replay::Seconds;
use super::speak::{Deadline, Speaker, Worded};
use crate::batch::{Step, WindowBatch};
use crate::domain::closure::Closure;
use crate::domain::refusal::{DeadLetter, DeadReason, LateReading, Refusal};
use crate::domain::time::Timestamp;
use crate::io::recording::CORRUPT_TOPIC;
use crate::plan::Plan;
use crate::ports::{Message, Publication};
use crate::query::QueryError;
use crate::stage::aggregate::Aggregate;
use crate::stage::congestion::{Congestion, Taken};
use crate::stage::decode::{DecodedBatch, Decoder, Fate, MAX_MESSAGES, TopicFilter};
use crate::stage::route::{GuidanceReport, Route};
use crate::stage::window::{Admission, Arrival, Windower};

mod publications;

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

/// The stages in a row.
pub struct Engine {
    plan: Arc<Plan>,
    pub(super) decoder: Decoder,
    /// Used again from call to call.
    decoded: DecodedBatch,
    subscriptions: Vec<TopicFilter>,
    pub(super) windower: Windower,
    pub(super) aggregate: Aggregate,
    pub(super) congestion: Congestion,
    pub(super) route: Option<Route>,
    pub(super) speaker: Speaker,
    /// Receive time in whole seconds; whoever has messages or a clock moves it on.
    pub(super) seconds: Seconds,
    pub(super) counts: Counts,
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
        let aggregate = Aggregate::new(&plan.sources, &plan.windows, &network)?;
        Ok(Self {
            subscriptions: plan.sources.iter().map(|s| TopicFilter::new(&s.topic)).collect(),
            decoder: Decoder::new(&plan.sources, &network),
            decoded: DecodedBatch::default(),
            windower: Windower::new(&plan.sources, &plan.windows).keeping(aggregate.columns()),
            aggregate,
            congestion: Congestion::new(&plan.congestion, &plan.windows, Arc::clone(&network)),
            route: plan.directions.as_ref().map(|d| Route::new(d, Arc::clone(&network))),
            speaker: Speaker::new(
                network,
                writers.model,
                plan.writer.languages.clone(),
                plan.writer.zone,
                deadline,
            )?,
            seconds: Seconds::default(),
            counts: Counts::default(),
            model: writers.state,
            plan,
        })
    }

    /// The words written since the last call.
    pub(super) fn take_words(&mut self) -> Vec<Worded> {
        self.speaker.take_words()
    }

    /// Words that an earlier run gave to directions that this one will come to once more.
    pub(super) fn expect_words(&mut self, words: Vec<Worded>) {
        self.speaker.expect_words(words);
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

    /// Takes messages to their fates, in order. All of them were received after the last tick and
    /// before the next one.
    pub fn messages(&mut self, messages: &[Message]) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::new();
        // After a crash all messages of a second come at once.
        for messages in messages.chunks(MAX_MESSAGES) {
            self.counts.all.received += messages.len() as u64;
            let mut decoded = std::mem::take(&mut self.decoded);
            self.decoder.decode_batch(messages, &mut decoded);
            let done = self.fates(messages, &decoded, &mut events);
            self.decoded = decoded;
            done?;
        }
        Ok(events)
    }

    fn fates(
        &mut self,
        messages: &[Message],
        decoded: &DecodedBatch,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let mut from = 0;
        for (at, fate) in decoded.fates.iter().enumerate() {
            if let Fate::Closure { source, closure } = fate {
                // What it finds depends on the windows that earlier messages have closed.
                self.readings(messages, decoded, from..at, events)?;
                from = at + 1;
                self.closure(&messages[at], *source, closure, events);
            }
        }
        self.readings(messages, decoded, from..messages.len(), events)
    }

    /// Readings and dead letters, in order.
    fn readings(
        &mut self,
        messages: &[Message],
        decoded: &DecodedBatch,
        range: Range<usize>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut tallies = vec![Tally::default(); self.plan.sources.len()];
        let (mut revised, mut refused) = (0, Vec::new());
        let arrivals = range.clone().filter_map(|at| match decoded.fates[at] {
            Fate::Row { source, row } => {
                Some(Arrival { source, row, received_at: messages[at].received_at })
            }
            _ => None,
        });
        let counts = &mut self.counts;
        self.windower.push(&decoded.rows, arrivals, |arrival, admission| {
            let tally = &mut tallies[arrival.source];
            tally.received += 1;
            match admission {
                Admission::Accepted { revised: again, remembered } => {
                    tally.accepted += 1;
                    revised += u64::from(again);
                    if !remembered {
                        counts.unremembered(&self.plan.sources[arrival.source].name);
                    }
                }
                Admission::Duplicate => tally.duplicate += 1,
                Admission::Late { .. } | Admission::OutOfRange => {
                    refused.push((arrival, admission));
                }
            }
        });
        self.counts.revised += revised;
        let mut refused = refused.into_iter().peekable();
        for at in range {
            let message = &messages[at];
            match &decoded.fates[at] {
                Fate::Dead(refusal) => events.push(self.dead(message, refusal.clone())),
                Fate::Row { source, row } => {
                    let this = |(arrival, _): &(Arrival, Admission)| {
                        (arrival.source, arrival.row) == (*source, *row)
                    };
                    let Some((_, admission)) = refused.next_if(this) else { continue };
                    let tally = &mut tallies[*source];
                    if let Admission::Late { event_time, watermark } = admission {
                        tally.late += 1;
                        events.push(Event::Late(late(message, event_time, watermark)));
                    } else {
                        let refusal = Refusal {
                            reason: DeadReason::OutOfRange,
                            source: Some(self.plan.sources[*source].name.clone()),
                            detail: "its windows lie outside the years 1 to 9999".to_owned(),
                        };
                        self.count_dead(&refusal, false);
                        events.push(Event::Dead(letter(message, refusal)));
                    }
                }
                Fate::Closure { .. } => {}
            }
        }
        for (index, (source, tally)) in self.plan.sources.iter().zip(&tallies).enumerate() {
            if tally.received > 0 {
                self.counts.add(&source.name, tally);
                self.counts.unfollowed(&source.name, self.windower.take_unfollowed(index));
            }
        }
        self.steps(events)
    }

    /// A closure acts at once.
    fn closure(
        &mut self,
        message: &Message,
        source: usize,
        closure: &Closure,
        events: &mut Vec<Event>,
    ) {
        let source = &self.plan.sources[source].name;
        let mut tally = Tally { received: 1, ..Tally::default() };
        let taken = self.congestion.closure(closure, message.received_at);
        match &taken {
            Ok(Taken::New) => tally.accepted = 1,
            Ok(Taken::Repeated) => tally.duplicate = 1,
            Ok(Taken::Outdated { .. }) => tally.late = 1,
            Err(_) => {}
        }
        self.counts.add(source, &tally);
        match taken {
            Ok(Taken::New) => events.extend(self.speak(message.received_at)),
            Ok(Taken::Repeated) => {}
            Ok(Taken::Outdated { newest }) => {
                events.push(Event::Late(late(message, closure.ts, newest)));
            }
            Err(mut refusal) => {
                refusal.source = Some(source.clone());
                self.count_dead(&refusal, false);
                events.push(Event::Dead(letter(message, refusal)));
            }
        }
    }

    /// Moves receive time on to `now`, between two ticks: closes windows.
    pub fn advance(&mut self, now: Timestamp) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::new();
        self.windower.advance(now);
        self.steps(&mut events)?;
        Ok(events)
    }

    /// Moves receive time on to `now`, a whole second: closes windows and lets the route stage speak.
    pub fn tick(&mut self, now: Timestamp) -> Result<Vec<Event>, RunError> {
        let mut events = self.advance(now)?;
        self.congestion.advance(now, self.windower.sensors_now().unwrap_or(now));
        events.extend(self.speak(now));
        Ok(events)
    }

    /// The clock that stamps messages has been set by so many milliseconds. Traffic has not moved: no
    /// window closes for it, no reading is late for it, and no direction runs out.
    pub fn step(&mut self, by: i64) {
        tracing::warn!(by_s = by as f64 / 1e3, "the clock has been set");
        self.counts.clock_steps += 1;
        self.windower.step(by);
        self.seconds.step(by);
        self.congestion.step(by);
        if let Some(route) = &mut self.route {
            route.step(by);
        }
    }

    /// The stream is over: closes what is open and lets the route stage speak once more.
    pub fn finish(&mut self, now: Timestamp) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::new();
        self.windower.finish();
        self.steps(&mut events)?;
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
            unremembered: counts.unremembered.clone(),
            unfollowed: counts.unfollowed.clone(),
            duplicate: counts.all.duplicate,
            late: counts.all.late,
            dead: counts.dead(),
            unsubscribed: counts.unsubscribed,
            sources: counts.sources.clone(),
            windows: self.windows_so_far(),
            directions: counts.directions(),
            guidance: self.guidance(),
        }
    }

    /// Windows closed so far, and the result rows that could not be used.
    pub fn windows_so_far(&self) -> WindowSummary {
        self.counts.windows(self.congestion.unused_rows())
    }

    /// How the guidance has fared; none where there is no route stage.
    pub fn guidance(&self) -> Option<GuidanceReport> {
        self.route.as_ref().map(Route::report)
    }

    /// Incidents that nobody announced: how many were found so far, and how many last.
    pub fn incidents_detected(&self) -> (u64, usize) {
        self.congestion.detected()
    }

    /// Does what the window stage wants done.
    fn steps(&mut self, events: &mut Vec<Event>) -> Result<(), RunError> {
        for step in self.windower.take_steps() {
            let window = match &step {
                Step::Fold { window, .. } | Step::Forget { window, .. } => *window,
                Step::Close { closing, .. } => closing.window,
            };
            let name = &self.plan.windows[window].name;
            let result = match self.aggregate.run(step) {
                Ok(Some(result)) => result,
                Ok(None) => continue,
                Err(source @ QueryError::Stopped) => {
                    return Err(RunError::Query { window: name.clone(), source });
                }
                Err(error) => {
                    // A value that the query cannot work on costs its window, not the unit.
                    tracing::error!(window = name, %error, "a window has no result");
                    bump(&mut self.counts.failed_windows, name.clone());
                    continue;
                }
            };
            bump(&mut self.counts.windows, name.clone());
            // A result without a usable segment column was refused when the plan was made.
            self.congestion
                .window(&result)
                .map_err(|what| RunError::Result { window: name.clone(), what })?;
            events.push(Event::Window { name: name.clone(), result });
        }
        Ok(())
    }

    fn speak(&mut self, now: Timestamp) -> Vec<Event> {
        let Some(route) = &mut self.route else { return Vec::new() };
        let directions = route.update(now, &self.congestion.view());
        self.speaker.begin_round();
        let mut events = Vec::new();
        for direction in directions {
            for publication in self.publications(direction) {
                events.push(Event::Publish(publication));
            }
        }
        events
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
}

fn late(message: &Message, event_time: Timestamp, watermark: Timestamp) -> LateReading {
    LateReading {
        received_at: message.received_at,
        event_time,
        watermark,
        topic: message.topic.clone(),
        payload: message.payload.clone(),
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

//! What a run knows and its plan does not: taken out of an engine, kept, and put into another one. Of
//! another plan's run only what lasts.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::engine::Engine;
use super::replay::Seconds;
use super::speak::SpeakerState;
use crate::batch::Columns;
use crate::domain::closure::Closure;
use crate::domain::packed::Packed;
use crate::plan::{Produces, Source};
use crate::ports::Message;
use crate::stage::aggregate::AggregateState;
use crate::stage::congestion::CongestionState;
use crate::stage::decode::{DecodedBatch, Fate, MAX_MESSAGES};
use crate::stage::route::{Route, RouteState};
use crate::stage::window::WindowerState;

/// All that a run knows and its plan does not: a run that takes it up goes on where this one was.
#[derive(Debug, Serialize, Deserialize)]
pub struct EngineState {
    windower: Packed<WindowerState>,
    aggregate: Packed<AggregateState>,
    congestion: Packed<CongestionState>,
    route: Option<RouteState>,
    speaker: SpeakerState,
    seconds: Seconds,
    counts: Counts,
}

/// What of a run outlives its plan, network and model: what is announced once and may not be
/// forgotten. Read from snapshots of every form from 9 on, so what is added to it needs a default.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lasting {
    /// The newest word on each event, edges by their names.
    pub closures: Vec<Closure>,
    /// Directions issued so far: no id is given twice.
    pub directions: u32,
}

impl EngineState {
    /// Bytes of its larger parts.
    pub fn size_bytes(&self) -> usize {
        self.windower.size_bytes() + self.aggregate.size_bytes() + self.congestion.size_bytes()
    }
}

impl Engine {
    /// The columns of the rows that its state holds, by window and stream.
    pub(super) fn columns(&self) -> String {
        let streams = |window: Vec<Columns>| window.iter().map(Columns::names).collect::<Vec<_>>();
        self.aggregate.columns().into_iter().flat_map(streams).collect::<Vec<_>>().join(";")
    }

    /// # Errors
    /// If a part of it cannot be written down.
    pub fn state(&self) -> Result<EngineState, rmp_serde::encode::Error> {
        Ok(EngineState {
            congestion: Packed::of(&self.congestion.state())?,
            windower: Packed::of(&self.windower.state())?,
            aggregate: Packed::of(&self.aggregate.state())?,
            route: self.route.as_ref().map(Route::state),
            speaker: self.speaker.state(),
            seconds: self.seconds.clone(),
            counts: self.counts.clone(),
        })
    }

    /// Takes up a state of a run of the same plan, network and model. False if it is another's; the
    /// engine cannot be used then.
    #[must_use]
    pub fn restore(&mut self, state: EngineState) -> bool {
        let (Some(windower), Some(aggregate), Some(congestion)) =
            (state.windower.value(), state.aggregate.value(), state.congestion.value())
        else {
            return false;
        };
        let route = match (&mut self.route, state.route) {
            (Some(route), Some(state)) => {
                route.restore(state);
                true
            }
            (None, None) => true,
            _ => false,
        };
        self.aggregate.restore(aggregate);
        self.speaker.restore(state.speaker);
        self.seconds = state.seconds;
        self.counts = state.counts;
        self.congestion.restore(congestion) && route && self.windower.restore(windower)
    }

    /// What another run may go on from whatever its plan, network and model.
    pub fn lasting(&self) -> Lasting {
        Lasting {
            closures: self.congestion.said().cloned().collect(),
            directions: self.route.as_ref().map_or(0, Route::issued),
        }
    }

    /// Goes on from what lasts of another run, and from the closures among the messages that it took
    /// after that; a plan that hears of no closures could never open such a road again, and leaves them.
    /// How many events are known then.
    pub fn begin_anew(&mut self, lasting: &Lasting, messages: &[Message]) -> usize {
        if let Some(route) = &mut self.route {
            route.begin_after(lasting.directions);
        }
        let hears = |source: &Source| source.mapping.produces == Produces::Closures;
        if !self.plan().sources.iter().any(hears) {
            return 0;
        }
        let mut decoded = DecodedBatch::default();
        let mut said: Vec<Closure> = lasting.closures.clone();
        for messages in messages.chunks(MAX_MESSAGES) {
            self.decoder.decode_batch(messages, &mut decoded);
            let fates = decoded.fates.drain(..);
            said.extend(fates.filter_map(|fate| match fate {
                Fate::Closure { closure, .. } => Some(*closure),
                _ => None,
            }));
        }
        for (closure, refusal) in self.congestion.take_up(&said) {
            tracing::error!(
                event = closure.event_id,
                why = refusal.detail,
                "what was announced of it is lost"
            );
        }
        self.congestion.said().count()
    }
}

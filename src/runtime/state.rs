//! What a run knows and its plan does not: taken out of an engine, kept, and put into another one.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::engine::Engine;
use super::replay::Seconds;
use super::speak::SpeakerState;
use crate::stage::aggregate::AggregateState;
use crate::stage::congestion::{Congestion, CongestionState};
use crate::stage::route::{Route, RouteState};
use crate::stage::window::WindowerState;

/// All that a run knows and its plan does not: a run that takes it up goes on where this one was.
#[derive(Debug, Serialize, Deserialize)]
pub struct EngineState {
    windower: WindowerState,
    aggregate: AggregateState,
    congestion: Option<CongestionState>,
    route: Option<RouteState>,
    speaker: SpeakerState,
    seconds: Seconds,
    counts: Counts,
}

impl Engine {
    pub fn state(&self) -> EngineState {
        EngineState {
            windower: self.windower.state(),
            aggregate: self.aggregate.state(),
            congestion: self.congestion.as_ref().map(Congestion::state),
            route: self.route.as_ref().map(Route::state),
            speaker: self.speaker.state(),
            seconds: self.seconds.clone(),
            counts: self.counts.clone(),
        }
    }

    /// Takes up a state of a run of the same plan, network and model. False if it is another's; the
    /// engine cannot be used then.
    #[must_use]
    pub fn restore(&mut self, state: EngineState) -> bool {
        let congestion = match (&mut self.congestion, state.congestion) {
            (Some(congestion), Some(state)) => congestion.restore(state),
            (None, None) => true,
            _ => false,
        };
        let route = match (&mut self.route, state.route) {
            (Some(route), Some(state)) => {
                route.restore(state);
                true
            }
            (None, None) => true,
            _ => false,
        };
        self.aggregate.restore(state.aggregate);
        self.speaker.restore(state.speaker);
        self.seconds = state.seconds;
        self.counts = state.counts;
        congestion && route && self.windower.restore(state.windower)
    }
}

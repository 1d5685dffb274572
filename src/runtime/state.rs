//! What a run knows and its plan does not: taken out of an engine, kept, and put into another one.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::engine::Engine;
use super::replay::Seconds;
use super::speak::SpeakerState;
use crate::batch::Columns;
use crate::domain::packed::Packed;
use crate::stage::aggregate::AggregateState;
use crate::stage::congestion::{Congestion, CongestionState};
use crate::stage::route::{Route, RouteState};
use crate::stage::window::WindowerState;

/// All that a run knows and its plan does not: a run that takes it up goes on where this one was.
#[derive(Debug, Serialize, Deserialize)]
pub struct EngineState {
    windower: Packed<WindowerState>,
    aggregate: Packed<AggregateState>,
    congestion: Option<Packed<CongestionState>>,
    route: Option<RouteState>,
    speaker: SpeakerState,
    seconds: Seconds,
    counts: Counts,
}

impl EngineState {
    /// Bytes of its larger parts.
    pub fn size_bytes(&self) -> usize {
        let congestion = self.congestion.as_ref().map_or(0, Packed::size_bytes);
        self.windower.size_bytes() + self.aggregate.size_bytes() + congestion
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
        let packed = |congestion: &Congestion| Packed::of(&congestion.state());
        Ok(EngineState {
            congestion: self.congestion.as_ref().map(packed).transpose()?,
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
        let (Some(windower), Some(aggregate)) = (state.windower.value(), state.aggregate.value())
        else {
            return false;
        };
        let congestion = match (&mut self.congestion, state.congestion.map(Packed::value)) {
            (Some(congestion), Some(Some(state))) => congestion.restore(state),
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
        self.aggregate.restore(aggregate);
        self.speaker.restore(state.speaker);
        self.seconds = state.seconds;
        self.counts = state.counts;
        congestion && route && self.windower.restore(windower)
    }
}

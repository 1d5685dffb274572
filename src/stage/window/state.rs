//! What a windower knows and its plan does not: taken out, kept, and put into another one.

use serde::{Deserialize, Serialize};

use super::{Inlet, Kind, Opening, Windower, keys, sessions, slices, watermark};

/// All that a windower knows and its plan does not.
#[derive(Debug, Serialize, Deserialize)]
pub struct WindowerState {
    inlets: Vec<(Option<watermark::State>, keys::State)>,
    windows: Vec<(Option<i64>, KindState)>,
}

#[derive(Debug, Serialize, Deserialize)]
enum KindState {
    Slices(slices::State),
    Sessions(sessions::State),
}

impl Windower {
    /// Everything but the steps and what is counted, which have to be taken before.
    pub fn state(&self) -> WindowerState {
        let inlet = |inlet: &Inlet| {
            (inlet.watermark.as_ref().map(|w| w.state().clone()), inlet.keys.state())
        };
        let window = |window: &Opening| {
            let kind = match &window.kind {
                Kind::Slices(slices) => KindState::Slices(slices.state().clone()),
                Kind::Sessions(sessions) => KindState::Sessions(sessions.state().clone()),
            };
            (window.mark, kind)
        };
        WindowerState {
            inlets: self.inlets.iter().map(inlet).collect(),
            windows: self.windows.iter().map(window).collect(),
        }
    }

    /// Takes up a state. False if it is another plan's.
    #[must_use]
    pub fn restore(&mut self, state: WindowerState) -> bool {
        if state.inlets.len() != self.inlets.len() || state.windows.len() != self.windows.len() {
            return false;
        }
        for (inlet, (watermark, keys)) in self.inlets.iter_mut().zip(state.inlets) {
            match (&mut inlet.watermark, watermark) {
                (Some(own), Some(state)) => own.restore(state),
                (None, None) => {}
                _ => return false,
            }
            inlet.keys.restore(&keys);
        }
        for (window, (mark, kind)) in self.windows.iter_mut().zip(state.windows) {
            window.mark = mark;
            match (&mut window.kind, kind) {
                (Kind::Slices(own), KindState::Slices(state)) => own.restore(state),
                (Kind::Sessions(own), KindState::Sessions(state)) => own.restore(state),
                _ => return false,
            }
        }
        self.look_up_open();
        true
    }
}

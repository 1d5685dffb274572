//! What the congestion stage knows and its plan does not: taken out, kept, and put into another one.

use serde::{Deserialize, Serialize};

use super::closures::Closures;
use super::feed::Track;
use super::incident::Detected;
use super::{Congestion, UnusedRows};
use crate::domain::congestion::SegmentState;
use crate::domain::time::Timestamp;

/// All that the stage knows and its plan does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CongestionState {
    tracks: Vec<Vec<Track>>,
    closures: Closures,
    detected: Option<Detected>,
    states: Vec<SegmentState>,
    speakers: Vec<Option<usize>>,
    unused: UnusedRows,
    now: Option<Timestamp>,
    change: u64,
}

impl Congestion {
    pub fn state(&self) -> CongestionState {
        CongestionState {
            tracks: self.feeds.iter().map(|feed| feed.tracks.clone()).collect(),
            closures: self.closures.clone(),
            detected: self.detected.clone(),
            states: self.states.clone(),
            speakers: self.speakers.clone(),
            unused: self.unused,
            now: self.now,
            change: self.change,
        }
    }

    /// Takes up a state. False if it is another plan's or another network's.
    #[must_use]
    pub fn restore(&mut self, state: CongestionState) -> bool {
        let segments = self.states.len();
        let fits = state.tracks.len() == self.feeds.len()
            && state.tracks.iter().all(|tracks| tracks.len() == segments)
            && (state.states.len(), state.speakers.len()) == (segments, segments)
            && state.detected.is_some() == self.detected.is_some();
        if fits {
            for (feed, tracks) in self.feeds.iter_mut().zip(state.tracks) {
                feed.tracks = tracks;
                feed.heard_since = None;
            }
            self.closures = state.closures;
            self.detected = state.detected;
            self.show_detected();
            self.states = state.states;
            self.speakers = state.speakers;
            self.unused = state.unused;
            self.now = state.now;
            self.change = state.change;
        }
        fits
    }
}

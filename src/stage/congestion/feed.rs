//! What one window of the pipeline has said of each segment so far.
//!
//! Knows nothing of other windows, of closures or of what lies beside a segment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::{CongestionLevel, SegmentState};
use crate::domain::network::SegmentId;
use crate::domain::time::Timestamp;
use crate::plan;

use super::columns::Observation;
use super::hysteresis::Hysteresis;
use super::incident::Flow;
use super::screen::{Fault, Screen};

/// A segment is unknown when this many windows in a row said nothing of it.
const SILENT_AFTER: u32 = 3;

/// At or below this percentage of time an empty road's detector is covered by nobody who stands: a
/// vehicle that passes a loop covers it for about half a second.
const EMPTY_OCCUPANCY_PCT: f64 = 5.0;

/// At or above this percentage with nobody passing, somebody stands on the detector.
const STANDING_OCCUPANCY_PCT: f64 = 50.0;

/// One window of the pipeline and what it has said of each segment.
#[derive(Debug)]
pub(super) struct Feed {
    /// Index into `Plan::windows`.
    pub(super) window: usize,
    pub(super) name: String,
    size: Duration,
    every: Duration,
    /// Its windows may be handed out again.
    revised: bool,
    pub(super) tracks: Vec<Track>,
    /// No segment that is known was heard last before this moment; absent where all have to be asked.
    pub(super) heard_since: Option<Timestamp>,
}

/// The history of one segment in one feed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Track {
    memory: Memory,
    /// The memory as it was before the newest window, to take a revision of that window.
    before: Option<Box<Memory>>,
    newest: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Memory {
    /// Absent where incidents are not looked for.
    flow: Option<Flow>,
    hysteresis: Hysteresis,
    screen: Screen,
    observed: SegmentState,
    fault: Option<Fault>,
    /// Start and end of the last window that told something.
    heard: Option<(Timestamp, Timestamp)>,
}

impl Feed {
    /// For a network of so many segments.
    pub(super) fn new(
        index: usize,
        window: &plan::Window,
        congestion: &plan::Congestion,
        segments: usize,
    ) -> Self {
        let memory = Memory {
            flow: congestion.detect_incidents.then(Flow::default),
            hysteresis: Hysteresis::new(congestion.enter_after, congestion.leave_after),
            screen: Screen::default(),
            observed: SegmentState::default(),
            fault: None,
            heard: None,
        };
        let track = Track { memory, before: None, newest: None };
        Self {
            window: index,
            name: window.name.clone(),
            size: window.shape.longest(),
            every: window.shape.every(),
            revised: !window.accept_for.is_zero(),
            tracks: vec![track; segments],
            heard_since: None,
        }
    }

    fn memory(&self, id: SegmentId) -> &Memory {
        &self.tracks[id.0 as usize].memory
    }

    pub(super) fn state(&self, id: SegmentId) -> SegmentState {
        self.memory(id).state()
    }

    pub(super) fn fault(&self, id: SegmentId) -> Option<Fault> {
        self.memory(id).fault
    }

    /// The start of the last window that told something.
    pub(super) fn heard_from(&self, id: SegmentId) -> Option<Timestamp> {
        self.memory(id).heard.map(|(start, _)| start)
    }

    /// What was usual there no longer is.
    pub(super) fn forget_usual(&mut self, id: SegmentId) {
        if let Some(flow) = &mut self.tracks[id.0 as usize].memory.flow {
            flow.forget();
        }
    }

    pub(super) fn observe(
        &mut self,
        id: SegmentId,
        limit_kmh: f64,
        observation: Observation,
        start: Timestamp,
        end: Timestamp,
    ) {
        let silence = self.silence();
        let track = &mut self.tracks[id.0 as usize];
        match track.newest {
            // A late revision of an old window changes no level that has moved on since.
            Some(newest) if end < newest => return,
            Some(newest) if end == newest => {
                if let Some(before) = &track.before {
                    track.memory = (**before).clone();
                }
            }
            _ if self.revised => track.before = Some(Box::new(track.memory.clone())),
            _ => {}
        }
        track.newest = Some(end);
        self.heard_since = self.heard_since.map(|since| since.min(end));
        track.memory.observe(limit_kmh, observation, start, end, self.size, silence);
    }

    /// A segment of which it has said nothing for so long is unknown.
    pub(super) fn silence(&self) -> Duration {
        self.every.saturating_mul(SILENT_AFTER)
    }

    /// Absent where what it has said is out of date.
    pub(super) fn flow(&self, id: SegmentId, now: Timestamp) -> Option<&Flow> {
        self.memory(id).flow.as_ref().filter(|flow| flow.holds(now))
    }

    /// Segments keep what was usual on them until then, the others no more.
    pub(super) fn keep_usual(&mut self, until: &BTreeMap<SegmentId, Timestamp>) {
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let until = until.get(&SegmentId(index as u32)).copied();
            let now = [Some(&mut track.memory), track.before.as_deref_mut()];
            for flow in now.into_iter().flatten().filter_map(|memory| memory.flow.as_mut()) {
                flow.keep_usual(until);
            }
        }
    }

    /// Makes unknown what was last heard at or before the moment.
    pub(super) fn forget(&mut self, moment: Timestamp, forgotten: &mut Vec<SegmentId>) {
        if self.heard_since.is_some_and(|since| moment < since) {
            return;
        }
        let mut oldest = None::<Timestamp>;
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let Some((_, end)) = track.memory.heard else { continue };
            if end <= moment {
                track.memory.forget();
                forgotten.push(SegmentId(index as u32));
            } else {
                oldest = Some(oldest.map_or(end, |oldest| oldest.min(end)));
            }
        }
        self.heard_since = oldest;
    }
}

impl Memory {
    fn observe(
        &mut self,
        limit_kmh: f64,
        observation: Observation,
        start: Timestamp,
        end: Timestamp,
        size: Duration,
        silence: Duration,
    ) {
        let level = level_of(observation, limit_kmh);
        self.fault = self.screen.check(observation, level, start, end, size);
        if self.fault.is_some() {
            self.forget();
            return;
        }
        if let Some(flow) = &mut self.flow {
            flow.push(observation, end, silence);
        }
        if let Some(level) = level {
            self.hysteresis.push(level);
            self.heard = Some((start, end));
            self.observed = SegmentState {
                level: None,
                speed_kmh: observation.speed().or(self.observed.speed_kmh),
                vehicles: observation.vehicles,
                occupancy_pct: observation.occupancy_pct,
            };
        }
    }

    /// Unknown until new windows have built up a level again. The screen keeps its suspicions.
    fn forget(&mut self) {
        self.hysteresis.clear();
        self.observed = SegmentState::default();
        self.heard = None;
    }

    fn state(&self) -> SegmentState {
        match self.hysteresis.level() {
            None => SegmentState::default(),
            level => SegmentState { level, ..self.observed },
        }
    }
}

/// The level that one window shows, if it shows one.
///
/// With a speed, by its share of the free-flow speed (the speed limit, until one is learnt).
/// Without one, nothing passed, which means one of two opposite things, and only occupancy tells
/// which: a detector that is alive and covered by nobody sees an empty road, one that is covered
/// half of the time or more sees a standing queue. In between, or without occupancy, the window
/// says nothing. (A queue that stands with a gap over the loop looks empty; that is what
/// `leave_after` is for.)
fn level_of(observation: Observation, limit_kmh: f64) -> Option<CongestionLevel> {
    let nobody_passed = observation.vehicles == Some(0.0);
    match (observation.speed(), observation.occupancy_pct) {
        (Some(speed), _) => Some(CongestionLevel::from_share(speed / limit_kmh)),
        (None, Some(pct)) if pct >= STANDING_OCCUPANCY_PCT => Some(CongestionLevel::Stationary),
        (None, Some(pct)) if nobody_passed && pct <= EMPTY_OCCUPANCY_PCT => {
            Some(CongestionLevel::FreeFlow)
        }
        _ => None,
    }
}

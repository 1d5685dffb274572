//! Levels of congestion per segment with hysteresis, and what is closed.
//!
//! Window results and the road operator's events go in; the state of every segment comes out. A
//! segment of which too little is known, or whose detectors contradict themselves, is *unknown*,
//! which is never clear. Knows nothing of directions.

mod closures;
mod columns;
mod feed;
mod hysteresis;
mod incident;
mod nearby;
mod screen;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::batch::WindowBatch;
use crate::domain::closure::{ClosedSegments, Closure};
use crate::domain::congestion::{Incidents, SegmentState, View};
use crate::domain::network::{Network, SegmentId};
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::plan;

use closures::Closures;
use feed::Feed;
use incident::Detected;

pub use closures::Taken;
pub use screen::Fault;
pub use state::CongestionState;

/// Windows arrive behind the clock by lateness and idle time: with no windows at all, a segment is
/// unknown this much later than `SILENT_AFTER` windows.
const SILENCE_GRACE: Duration = Duration::from_mins(2);

/// Result rows that told nothing, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedRows {
    /// The segment was null.
    pub null_segment: u64,
    /// The network has no such segment.
    pub unknown_segment: u64,
    /// A window had a second row for a segment; the first one counted.
    pub repeated_segment: u64,
}

/// The congestion stage.
#[derive(Debug)]
pub struct Congestion {
    network: Arc<Network>,
    /// In order of precedence.
    feeds: Vec<Feed>,
    closures: Closures,
    /// Absent where incidents are not looked for.
    detected: Option<Detected>,
    /// The detected incidents, as the route stage sees them.
    blocked: Incidents,
    states: Vec<SegmentState>,
    /// Per segment the index of the feed that speaks for it.
    speakers: Vec<Option<usize>>,
    /// By segment index.
    limits_kmh: Vec<f64>,
    unused: UnusedRows,
    now: Option<Timestamp>,
    change: u64,
}

impl Congestion {
    /// `windows` are the plan's; a feed that they lack is left out.
    pub fn new(plan: &plan::Congestion, windows: &[plan::Window], network: Arc<Network>) -> Self {
        let count = network.segments.len();
        let feed = |&window: &usize| Some(Feed::new(window, windows.get(window)?, plan, count));
        Self {
            feeds: plan.windows.iter().filter_map(feed).collect(),
            closures: Closures::default(),
            detected: plan.detect_incidents.then(Detected::default),
            blocked: Incidents::new(),
            states: vec![SegmentState::default(); count],
            speakers: vec![None; count],
            limits_kmh: network.segments.iter().map(|s| s.speed_limit_kmh).collect(),
            unused: UnusedRows::default(),
            now: None,
            change: 0,
            network,
        }
    }

    /// Takes one message of the road operator. Only one that is new changes anything.
    ///
    /// # Errors
    /// `UnknownSegment` if none of the edges is in the network, `MissingField` if it names none.
    /// Where some are known, those are closed: a closed road is not left open for the sake of an
    /// edge that the map lacks.
    pub fn closure(&mut self, closure: &Closure, heard: Timestamp) -> Result<Taken, Refusal> {
        let taken = self.closures.take(closure, heard, &self.network)?;
        if taken == Taken::New {
            // Its time is the operator's clock, which must not carry other events along with it.
            self.pass(self.now.unwrap_or(closure.ts));
        }
        Ok(taken)
    }

    /// The newest word on each event, those that have ended among them.
    pub fn said(&self) -> impl Iterator<Item = &Closure> {
        self.closures.said()
    }

    /// Goes on from the words on events that another run has left, of another pipeline or network maybe;
    /// they act from the next moment on. Those that this network cannot place come back with why.
    pub fn take_up<'c>(
        &mut self,
        said: impl IntoIterator<Item = &'c Closure>,
    ) -> Vec<(&'c Closure, Refusal)> {
        let refused = |said| Some((said, self.closures.take_up(said, &self.network).err()?));
        said.into_iter().filter_map(refused).collect()
    }

    /// Takes the result of one window; results of windows that are no feed are ignored. Rows that
    /// tell nothing are counted (`unused_rows`).
    ///
    /// # Errors
    /// Says which column is missing or cannot be read.
    pub fn window(&mut self, batch: &WindowBatch) -> Result<(), String> {
        let Some(index) = self.feeds.iter().position(|f| f.window == batch.window) else {
            return Ok(());
        };
        let rows = columns::Rows::of(&batch.rows)
            .map_err(|what| format!("window `{}`: {what}", self.feeds[index].name))?;
        let feed = &mut self.feeds[index];
        let mut seen = vec![false; self.states.len()];
        let mut told = Vec::with_capacity(rows.len());
        for (name, observation) in rows.iter() {
            let Some(name) = name else {
                self.unused.null_segment += 1;
                continue;
            };
            let Some(id) = self.network.segment_by_name(name) else {
                self.unused.unknown_segment += 1;
                continue;
            };
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                self.unused.repeated_segment += 1;
                continue;
            }
            let limit_kmh = self.limits_kmh[id.0 as usize];
            feed.observe(id, limit_kmh, observation, batch.start, batch.end);
            told.push(id);
        }
        feed.forget(batch.end - feed.silence(), &mut told);
        self.compose(&told);
        self.detect(batch.end);
        Ok(())
    }

    /// Tells the time: announced closures begin by `now`, the operator's time. Segments of which no
    /// window has spoken for long become unknown, and detected incidents that nobody can confirm any
    /// more end; that goes by the sensors' own time, which need not be ours. Cheap; may be called every
    /// second.
    pub fn advance(&mut self, now: Timestamp, sensors_now: Timestamp) {
        let mut forgotten = Vec::new();
        for feed in &mut self.feeds {
            let age = feed.silence().saturating_add(SILENCE_GRACE);
            feed.forget(sensors_now - age, &mut forgotten);
        }
        self.compose(&forgotten);
        self.pass(now);
        if !self.blocked.is_empty() {
            self.judge(sensors_now - SILENCE_GRACE, false);
        }
    }

    /// By segment index.
    pub fn states(&self) -> &[SegmentState] {
        &self.states
    }

    pub fn closed(&self) -> &ClosedSegments {
        self.closures.closed()
    }

    pub fn incidents(&self) -> &Incidents {
        self.closures.incidents()
    }

    /// `window@start` of the window that the segment's state rests on.
    pub fn evidence(&self, id: SegmentId) -> Option<String> {
        let feed = &self.feeds[(*self.speakers.get(id.0 as usize)?)?];
        Some(format!("{}@{}", feed.name, feed.heard_from(id)?))
    }

    /// The segments that are unknown because their detectors contradict themselves.
    pub fn faults(&self) -> impl Iterator<Item = (SegmentId, Fault)> + '_ {
        self.network.segment_ids().filter_map(|id| {
            let fault = |feed: &Feed| feed.fault(id);
            self.feeds.iter().find_map(fault).map(|fault| (id, fault))
        })
    }

    pub fn unused_rows(&self) -> UnusedRows {
        self.unused
    }

    /// What the route stage works on.
    pub fn view(&self) -> View<'_> {
        View {
            change: self.change,
            states: &self.states,
            closed: self.closed(),
            announced: self.closures.announced(),
            incidents: self.incidents(),
            blocked: &self.blocked,
            evidence: Box::new(|id| self.evidence(id)),
        }
    }

    /// The clock has been set: it goes on from a moment `by` ms later.
    pub fn step(&mut self, by: i64) {
        self.now = self.now.map(|now| now.moved(by));
    }

    /// Event time never goes back here: a late message does not undo what has begun.
    fn pass(&mut self, now: Timestamp) {
        self.now = self.now.max(Some(now));
        if let Some(now) = self.now
            && self.closures.pass(now)
        {
            self.change += 1;
        }
    }

    /// Looks for roads that have fallen empty, at the end of a window. What a closure does to the roads
    /// around it is neither usual nor a discovery. A blocked one and those before it keep what was usual: by
    /// that it is known to flow again, or that nobody waits for it any more.
    fn detect(&mut self, now: Timestamp) {
        if let Some(detected) = &self.detected
            && !self.closures.closed().is_empty()
        {
            let closed = self.closures.closed().keys().copied();
            let before = detected.usual_until(&self.network).into_keys();
            let kept: BTreeSet<SegmentId> =
                before.chain(detected.segments().map(|(id, _)| id)).collect();
            for id in nearby::near(&self.network, closed).difference(&kept) {
                for feed in &mut self.feeds {
                    feed.forget_usual(*id);
                }
            }
        }
        self.judge(now, true);
    }

    /// Ends the detected incidents that are over by now; `finding`, takes up those that have begun.
    fn judge(&mut self, now: Timestamp, finding: bool) {
        let Some(detected) = &mut self.detected else { return };
        let (feeds, closures) = (&self.feeds, &self.closures);
        let flows = |id: SegmentId| feeds.iter().filter_map(move |feed| feed.flow(id, now));
        let shut = |id: SegmentId| closures.closed().contains_key(&id);
        let found = finding && detected.find(now, &self.network, shut, flows);
        if detected.end(now, &self.network, shut, flows) || found {
            self.change += 1;
            let until = detected.usual_until(&self.network);
            for feed in &mut self.feeds {
                feed.keep_usual(&until);
            }
            self.show_detected();
        }
    }

    fn show_detected(&mut self) {
        let segments = self.detected.iter().flat_map(Detected::segments);
        self.blocked = segments.map(|(id, since)| (id, format!("detected@{since}"))).collect();
    }

    /// Incidents that nobody announced: how many were found so far, and how many last.
    pub fn detected(&self) -> (u64, usize) {
        (self.detected.as_ref().map_or(0, Detected::found), self.blocked.len())
    }

    /// For each segment the first feed that knows its level speaks. These are the ones of which some
    /// feed says something else than before.
    fn compose(&mut self, told: &[SegmentId]) {
        let mut changed = false;
        for &id in told {
            let i = id.0 as usize;
            let state = |feed: &Feed| feed.state(id);
            let speaker = self.feeds.iter().position(|f| state(f).level.is_some());
            let new = speaker.map(|s| state(&self.feeds[s])).unwrap_or_default();
            changed |= new != self.states[i] || speaker != self.speakers[i];
            self.states[i] = new;
            self.speakers[i] = speaker;
        }
        if changed {
            self.change += 1;
        }
    }
}

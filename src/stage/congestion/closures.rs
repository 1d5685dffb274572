//! What the road operator says: events by id, the newest word of each, and what they close.
//!
//! Knows nothing of levels. The end of a closure is its `cleared`: a `planned_end` that has passed
//! opens nothing, since works run late and an open sign before a shut road is the worse mistake.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closure::{
    Announced, Announcements, ClosedSegments, Closure, ClosureKind, ClosureState, Reason,
};
use crate::domain::congestion::Incidents;
use crate::domain::network::{Network, SegmentId};
use crate::domain::refusal::{DeadReason, Refusal};
use crate::domain::time::Timestamp;

/// Ended events are remembered, so that an older message cannot bring them back; no more than this.
const MAX_ENDED: usize = 1_000;

/// The word that a road is open again comes about when it was planned to: for so long nobody is told
/// that it did not, so that not every sign changes twice in one moment.
const GRACE: Duration = Duration::from_mins(1);

/// Edges and ids that are quoted in a refusal are cut to this many characters.
const MAX_QUOTED: usize = 60;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Closures {
    events: BTreeMap<String, Event>,
    closed: ClosedSegments,
    #[serde(default)]
    announced: Announcements,
    incidents: Incidents,
}

/// What became of a message on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    New,
    /// It says what is known, as a message that a broker sends once more does.
    Repeated,
    /// The newest word on the event, of this moment, holds.
    Outdated {
        newest: Timestamp,
    },
}

/// The newest word on one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Event {
    ts: Timestamp,
    state: ClosureState,
    kind: ClosureKind,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default)]
    lanes_closed: Option<u32>,
    /// An event that is announced ahead acts from here on.
    start: Option<Timestamp>,
    #[serde(default)]
    planned_end: Option<Timestamp>,
    segments: Vec<SegmentId>,
}

impl Closures {
    pub(super) fn closed(&self) -> &ClosedSegments {
        &self.closed
    }

    pub(super) fn announced(&self) -> &Announcements {
        &self.announced
    }

    pub(super) fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Holds to the message if it is the newest on its event. Of two with the same time the one that
    /// closes wins, in whatever order they come.
    pub(super) fn take(&mut self, closure: &Closure, network: &Network) -> Result<Taken, Refusal> {
        let mut segments: Vec<SegmentId> =
            closure.edges.iter().filter_map(|edge| network.segment_by_name(edge)).collect();
        segments.sort_unstable();
        segments.dedup();
        let known = self.events.get(&closure.event_id);
        // To end an event that is known its id is enough.
        let ends_known = closure.state == ClosureState::Cleared && known.is_some();
        if segments.is_empty() && !ends_known {
            return Err(nothing_to_close(closure));
        }
        let rank = |ts: Timestamp, state: ClosureState| (ts, state == ClosureState::Active);
        if let Some(newest) =
            known.filter(|e| rank(e.ts, e.state) > rank(closure.ts, closure.state))
        {
            return Ok(Taken::Outdated { newest: newest.ts });
        }
        let event = Event {
            ts: closure.ts,
            state: closure.state,
            kind: closure.kind,
            reason: closure.reason,
            lanes_closed: closure.lanes_closed,
            start: closure.start,
            planned_end: closure.planned_end,
            segments,
        };
        if known == Some(&event) {
            return Ok(Taken::Repeated);
        }
        self.events.insert(closure.event_id.clone(), event);
        self.forget_oldest_ended();
        Ok(Taken::New)
    }

    /// Works out what is closed at `now`; says whether that has changed.
    pub(super) fn pass(&mut self, now: Timestamp) -> bool {
        let mut closed = ClosedSegments::new();
        let mut incidents = Incidents::new();
        let acts = |e: &Event| {
            e.state == ClosureState::Active && e.start.is_none_or(|start| start <= now.max(e.ts))
        };
        for (id, event) in self.events.iter().filter(|(_, event)| acts(event)) {
            let held = match event.kind {
                ClosureKind::RoadClosed => &mut closed,
                ClosureKind::LanesClosed => &mut incidents,
            };
            for &segment in &event.segments {
                // Two events on one segment: the first id stands for both until it ends.
                held.entry(segment).or_insert_with(|| id.clone());
            }
        }
        let mut told: BTreeMap<SegmentId, Vec<&Event>> = BTreeMap::new();
        for event in self.events.values().filter(|event| acts(event)) {
            // Of a closed road it does not matter which lanes are shut.
            let counts =
                |id: &&SegmentId| event.kind == ClosureKind::RoadClosed || !closed.contains_key(id);
            for &segment in event.segments.iter().filter(counts) {
                told.entry(segment).or_default().push(event);
            }
        }
        let announced: Announcements =
            told.into_iter().map(|(id, events)| (id, agreed(&events, now))).collect();
        let changed =
            closed != self.closed || incidents != self.incidents || announced != self.announced;
        self.closed = closed;
        self.announced = announced;
        self.incidents = incidents;
        changed
    }

    fn forget_oldest_ended(&mut self) {
        let ended = |(_, event): &(&String, &Event)| event.state == ClosureState::Cleared;
        if self.events.iter().filter(ended).count() > MAX_ENDED {
            let oldest = self.events.iter().filter(ended).min_by_key(|(_, event)| event.ts);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.events.remove(&id);
            }
        }
    }
}

/// What the events on one segment agree on: of a reason and of lanes, those that give one.
fn agreed(events: &[&Event], now: Timestamp) -> Announced {
    let until = all(events, |event| event.planned_end).and_then(|ends| ends.into_iter().max());
    let since = all(events, |event| event.start).and_then(|starts| starts.into_iter().min());
    Announced {
        reason: one(events.iter().filter_map(|event| event.reason)),
        since,
        until: until.filter(|end| *end + GRACE > now),
        lanes: one(events.iter().filter_map(|event| {
            event.lanes_closed.filter(|_| event.kind == ClosureKind::LanesClosed)
        })),
    }
}

fn all<T>(events: &[&Event], of: impl Fn(&Event) -> Option<T>) -> Option<Vec<T>> {
    events.iter().map(|event| of(event)).collect()
}

/// The one value that there is.
fn one<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

fn nothing_to_close(closure: &Closure) -> Refusal {
    let short = |text: &str| text.chars().take(MAX_QUOTED).collect::<String>();
    let event = short(&closure.event_id);
    let (reason, detail) = match closure.edges.first() {
        None => (
            DeadReason::MissingField,
            format!("event `{event}` names no edge: `edges` must hold at least one"),
        ),
        Some(edge) => (
            DeadReason::UnknownSegment,
            format!(
                "event `{event}`: the network has none of its {} edges (the first is `{}`)",
                closure.edges.len(),
                short(edge)
            ),
        ),
    };
    Refusal { reason, source: None, detail }
}

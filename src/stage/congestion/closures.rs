//! What the road operator says: events by id, the newest word of each, and what they close.
//!
//! Knows nothing of levels. The end of a closure is its `cleared`: a `planned_end` that has passed
//! opens nothing, since works run late and an open sign before a shut road is the worse mistake.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::closure::{
    Announced, Announcements, ClosedSegments, Closure, ClosureKind, ClosureState,
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

/// How far an operator's clock may be ahead of the unit's for its order to count.
const MOST_AHEAD: Duration = Duration::from_mins(5);

/// Edges and ids that are quoted in a refusal are cut to this many characters.
const MAX_QUOTED: usize = 60;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Closures {
    events: BTreeMap<String, Event>,
    closed: ClosedSegments,
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

/// The newest word on one event, and the segments of this network that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Event {
    said: Closure,
    segments: Vec<SegmentId>,
}

impl Event {
    fn new(said: &Closure, network: &Network) -> Self {
        let mut segments: Vec<SegmentId> =
            said.edges.iter().filter_map(|edge| network.segment_by_name(edge)).collect();
        segments.sort_unstable();
        segments.dedup();
        Self { said: said.clone(), segments }
    }
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

    /// Holds to the message, heard at `heard`, if it is the newest on its event. Of two with the same
    /// time the one that closes wins, in whatever order they come. Of one whose time lies ahead of the
    /// unit's nobody knows when it was said: the next on its event is newer.
    pub(super) fn take(
        &mut self,
        closure: &Closure,
        heard: Timestamp,
        network: &Network,
    ) -> Result<Taken, Refusal> {
        let event = Event::new(closure, network);
        let known = self.events.get(&closure.event_id);
        // To end an event that is known its id is enough.
        let ends_known = closure.state == ClosureState::Cleared && known.is_some();
        if event.segments.is_empty() && !ends_known {
            return Err(nothing_to_close(closure));
        }
        let rank = |said: &Closure| (said.ts, said.state == ClosureState::Active);
        let newer = |known: &&Event| {
            known.said.ts <= heard + MOST_AHEAD && rank(&known.said) > rank(closure)
        };
        if let Some(newest) = known.filter(newer) {
            return Ok(Taken::Outdated { newest: newest.said.ts });
        }
        if known == Some(&event) {
            return Ok(Taken::Repeated);
        }
        self.events.insert(closure.event_id.clone(), event);
        self.forget_oldest_ended();
        Ok(Taken::New)
    }

    /// The newest word on each event, those that have ended among them.
    pub(super) fn said(&self) -> impl Iterator<Item = &Closure> {
        self.events.values().map(|event| &event.said)
    }

    /// Goes on from what was said to another run, of another network maybe. An event that has ended needs
    /// no edge there: it is remembered so that no older message brings it back.
    pub(super) fn take_up(&mut self, said: &Closure, network: &Network) -> Result<(), Refusal> {
        match self.take(said, said.ts, network) {
            Err(_) if said.state == ClosureState::Cleared => {
                self.events.insert(said.event_id.clone(), Event::new(said, network));
                Ok(())
            }
            taken => taken.map(|_| ()),
        }
    }

    /// Works out what is closed at `now`; says whether that has changed.
    pub(super) fn pass(&mut self, now: Timestamp) -> bool {
        let mut closed = ClosedSegments::new();
        let mut incidents = Incidents::new();
        let acts = |e: &Event| {
            let Closure { state, start, ts, .. } = &e.said;
            *state == ClosureState::Active && start.is_none_or(|start| start <= now.max(*ts))
        };
        for (id, event) in self.events.iter().filter(|(_, event)| acts(event)) {
            let held = match event.said.kind {
                ClosureKind::RoadClosed => &mut closed,
                ClosureKind::LanesClosed => &mut incidents,
            };
            for &segment in &event.segments {
                // Two events on one segment: the first id stands for both until it ends.
                held.entry(segment).or_insert_with(|| id.clone());
            }
        }
        let mut told: BTreeMap<SegmentId, Vec<&Closure>> = BTreeMap::new();
        for event in self.events.values().filter(|event| acts(event)) {
            // Of a closed road it does not matter which lanes are shut.
            let whole = event.said.kind == ClosureKind::RoadClosed;
            let counts = |id: &&SegmentId| whole || !closed.contains_key(id);
            for &segment in event.segments.iter().filter(counts) {
                told.entry(segment).or_default().push(&event.said);
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
        let ended = |(_, event): &(&String, &Event)| event.said.state == ClosureState::Cleared;
        if self.events.iter().filter(ended).count() > MAX_ENDED {
            let oldest = self.events.iter().filter(ended).min_by_key(|(_, event)| event.said.ts);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.events.remove(&id);
            }
        }
    }
}

/// What the events on one segment agree on: of a reason and of lanes, those that give one.
fn agreed(events: &[&Closure], now: Timestamp) -> Announced {
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

fn all<T>(events: &[&Closure], of: impl Fn(&Closure) -> Option<T>) -> Option<Vec<T>> {
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

//! What makes a live run durable: the journal, the snapshots, what may go out and when.
//!
//! Every message is journaled before it is taken. Acknowledgements and publications wait until the
//! journal has reached the disk with the messages that they follow from. After a crash the newest
//! snapshot and the entries behind it give the same state, the same files and the same messages,
//! each under the id that it had; what every audience should see now goes out once more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::Event;
use super::error::RunError;
use super::outgoing;
use super::replay::write;
use super::speak::Worded;
use super::state::{EngineState, Lasting};
use super::unit::{Did, Unit};
use super::unsent::Unsent;
use crate::domain::time::Timestamp;
use crate::io::archive::{ArchiveMark, GrowingArchive};
use crate::io::journal::{Entry, Journal, JournalError, Position, Recovered, Snapshot, State};
use crate::plan::Plan;
use crate::ports::{Message, Publication};

/// What a snapshot mostly needs beside the engine's large parts.
const ROOM_BYTES: usize = 4 << 20;

/// The form of `Kept`; a snapshot of another form is not read.
const FORM: u32 = 9;

/// The kind of the journal's notes that hold words: what a writer with a deadline gave once, it
/// must not give anew.
const WORDS: u8 = 1;

/// The kind of the journal's notes that say that the clock was set: by how many milliseconds.
const STEP: u8 = 2;

/// A snapshot is due as well when the journal has grown by so many entries: they are read again
/// after a crash, and recovery must not take long.
const ENTRIES_A_SNAPSHOT: u64 = 200_000;

/// How long a snapshot that is wanted may be on its way before another is taken.
const SNAPSHOT_AGAIN: Duration = Duration::from_secs(2);

/// Bytes that may wait for the disk; then nothing more is taken from the broker.
const MOST_BACKLOG: usize = 32 << 20;

/// An open journal, and what it found.
#[derive(Debug)]
pub struct Journaling {
    pub journal: Journal,
    pub recovered: Recovered,
    /// How often a snapshot is taken.
    pub every: Duration,
    /// Whose state it is: of another pipeline, network or model only what lasts is taken up.
    pub identity: String,
}

/// What of `Kept` is read first: the rest of another form cannot be.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

/// What of `Kept` is read of any form and identity.
#[derive(Deserialize)]
struct Left {
    lasting: Lasting,
}

/// The state of a unit as it lies in a snapshot.
#[derive(Serialize, Deserialize)]
struct Kept {
    form: u32,
    lasting: Lasting,
    engine: EngineState,
    waiting: Vec<Message>,
    beaten: Option<Timestamp>,
    archive: Option<ArchiveMark>,
    /// The newest retained publication of every topic.
    outbox: BTreeMap<String, Publication>,
    /// The others that the broker may not have, in order.
    #[serde(default)]
    unsent: Vec<Publication>,
}

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Resumed {
    /// Entries that were taken again.
    pub entries: u64,
    /// Places in the journal that could not be read.
    pub cut: usize,
    /// Publications that had run out while the unit was down.
    pub expired: u64,
    /// The journal was of another pipeline, network, model or version: only what was announced was taken
    /// up, so many events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anew_with_events: Option<usize>,
}

pub(super) struct Keeping {
    journal: Journal,
    identity: String,
    every: Duration,
    /// Waits for the disk: receipts to acknowledge, publications to send.
    acknowledgements: VecDeque<(Position, u64)>,
    publications: VecDeque<(Position, Publication)>,
    pub unsent: Unsent,
    last_snapshot: (Position, Duration),
    suspended: bool,
    pub resumed: Resumed,
}

/// What the disk has released.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// All receipts up to this one.
    pub receipt: Option<u64>,
    pub publications: Vec<Publication>,
}

impl Keeping {
    /// Brings the unit and its archive to where the journal ends. `open` opens the archive at a mark.
    pub fn resume(
        journaling: Journaling,
        unit: &mut Unit<'_>,
        archive: &mut Option<GrowingArchive>,
        now: Duration,
    ) -> Result<Self, RunError> {
        let Journaling { journal, recovered, every, identity } = journaling;
        // A planner of another version may read other columns; its rows would not fit.
        let identity = format!("{identity} {}", unit.engine.columns());
        for cut in &recovered.cut {
            tracing::error!(%cut, "the journal is damaged");
        }
        let mut keeping = Self {
            last_snapshot: (journal.last(), now),
            journal,
            identity,
            every,
            acknowledgements: VecDeque::new(),
            publications: VecDeque::new(),
            unsent: Unsent::default(),
            suspended: false,
            resumed: Resumed { cut: recovered.cut.len(), ..Resumed::default() },
        };
        if let Some(archive) = &mut *archive {
            archive.make_room_by(keeping.journal.room());
        }
        let snapshot = recovered.snapshot.as_ref();
        if let Some(kept) = snapshot.and_then(|snapshot| keeping.read(snapshot)) {
            if !unit.engine.restore(kept.engine) {
                return Err(RunError::Restore);
            }
            unit.waiting = kept.waiting;
            unit.beaten = kept.beaten;
            for publication in kept.outbox.into_values().chain(kept.unsent) {
                keeping.unsent.note(publication);
            }
            if let (Some(archive), Some(mark)) = (&mut *archive, &kept.archive) {
                archive.take_back(mark)?;
            }
            keeping.again(unit, recovered, archive)?;
        } else if let Some(snapshot) = snapshot {
            let events = begin_anew(unit, &snapshot.bytes, recovered.tail)?;
            keeping.resumed.anew_with_events = Some(events);
        }
        keeping.snapshot(unit, archive.as_mut(), now)?;
        Ok(keeping)
    }

    /// `None`, said loudly, where the state is of another pipeline or form.
    fn read(&self, snapshot: &Snapshot) -> Option<Kept> {
        if snapshot.identity != self.identity {
            tracing::warn!(
                "the journal is of another pipeline, network or model: the unit begins anew"
            );
            return None;
        }
        let form = rmp_serde::from_slice::<Form>(&snapshot.bytes);
        if form.is_ok_and(|Form { form }| form != FORM) {
            tracing::warn!("the journal's snapshot is of another version: the unit begins anew");
            return None;
        }
        match rmp_serde::from_slice::<Kept>(&snapshot.bytes) {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::error!(%error, "the journal's snapshot cannot be read: the unit begins anew");
                None
            }
        }
    }

    /// Takes the entries behind the snapshot once more.
    fn again(
        &mut self,
        unit: &mut Unit<'_>,
        recovered: Recovered,
        archive: &mut Option<GrowingArchive>,
    ) -> Result<(), RunError> {
        let mut entries = Vec::new();
        for entry in recovered.tail {
            let (_, entry) = entry?;
            match entry {
                Entry::Note { kind: WORDS, bytes } => match rmp_serde::from_slice(&bytes) {
                    Ok(words) => unit.engine.expect_words(words),
                    Err(error) => tracing::error!(%error, "words in the journal cannot be read"),
                },
                entry => entries.push(entry),
            }
        }
        self.resumed.entries = entries.len() as u64;
        let mut did = Vec::new();
        let mut messages = Vec::new();
        for entry in entries {
            match entry {
                Entry::Message(message) => {
                    messages.push(message);
                    continue;
                }
                Entry::Tick(now) => {
                    unit.messages(std::mem::take(&mut messages), &mut did)?;
                    unit.seconds(now, &mut did)?;
                }
                Entry::Note { kind: STEP, bytes } => {
                    unit.messages(std::mem::take(&mut messages), &mut did)?;
                    match bytes.try_into() {
                        Ok(by) => unit.engine.step(i64::from_le_bytes(by)),
                        Err(_) => {
                            tracing::error!("a step of the clock in the journal is no number");
                        }
                    }
                }
                Entry::Note { .. } => {}
            }
            self.file(unit.engine.plan(), &mut did, archive)?;
        }
        unit.messages(messages, &mut did)?;
        self.file(unit.engine.plan(), &mut did, archive)?;
        // They are in the journal already.
        unit.engine.take_words();
        Ok(())
    }

    fn file(
        &mut self,
        plan: &Plan,
        did: &mut Vec<Did>,
        archive: &mut Option<GrowingArchive>,
    ) -> Result<(), RunError> {
        for did in did.drain(..) {
            if let Did::Events(events) = did {
                if let Some(archive) = archive {
                    write(archive, &events)?;
                }
                for publication in outgoing::publications(plan, &events) {
                    self.unsent.note(publication?.into_owned());
                }
            }
        }
        Ok(())
    }

    /// What the broker may not have, in order, and what every audience should see at `now`.
    pub fn send_again(&mut self, now: Option<Timestamp>) -> Vec<Publication> {
        self.resumed.expired = self.unsent.prune(now);
        self.unsent.take(now)
    }

    /// Journals messages before they are taken: the disk works while the engine does.
    pub fn received(&mut self, messages: &[Message]) {
        for message in messages {
            self.journal.append_message(message);
        }
        if let Some(last) = messages.last() {
            self.acknowledgements.push_back((self.journal.last(), last.receipt));
        }
        self.commit();
    }

    pub fn ticked(&mut self, now: Timestamp) {
        self.journal.append(&Entry::Tick(now));
    }

    pub fn stepped(&mut self, by: i64) {
        self.journal.append(&Entry::Note { kind: STEP, bytes: by.to_le_bytes().to_vec() });
    }

    /// Holds publications back until the disk has what they follow from, and commits.
    pub fn follows(
        &mut self,
        plan: &Plan,
        events: &[Event],
        words: &[Worded],
    ) -> Result<(), RunError> {
        if !words.is_empty() {
            let bytes = rmp_serde::to_vec_named(words)
                .map_err(|error| RunError::Keep(error.to_string()))?;
            self.journal.append(&Entry::Note { kind: WORDS, bytes });
        }
        for publication in outgoing::publications(plan, events) {
            let publication = publication?.into_owned();
            if publication.retain {
                self.unsent.note(publication.clone());
            }
            self.publications.push_back((self.journal.last(), publication));
        }
        Ok(())
    }

    pub fn commit(&mut self) {
        self.journal.commit();
    }

    /// How far the disk is: changes are announced.
    pub fn progress(&self) -> tokio::sync::watch::Receiver<crate::io::journal::Progress> {
        self.journal.progress()
    }

    /// What may go now.
    pub fn released(&mut self) -> Result<Released, RunError> {
        let progress = self.journal.progress().borrow().clone();
        match &progress.state {
            State::Failed(reason) => return Err(RunError::Disk(reason.to_string())),
            State::Suspended if !self.suspended => {
                tracing::error!("the disk is full: the unit goes on without its journal");
                self.suspended = true;
            }
            State::Running if self.suspended => {
                tracing::warn!("there is room on the disk again: the journal goes on");
                self.suspended = false;
            }
            _ => {}
        }
        let mut released = Released::default();
        while let Some((position, receipt)) = self.acknowledgements.front() {
            if *position > progress.through {
                break;
            }
            released.receipt = Some(*receipt);
            self.acknowledgements.pop_front();
        }
        while self.publications.front().is_some_and(|(at, _)| *at <= progress.through) {
            released.publications.extend(self.publications.pop_front().map(|(_, p)| p));
        }
        Ok(released)
    }

    /// Whether a snapshot lies on the disk, or the disk is full and the unit goes on without.
    pub fn has_begun(&self) -> Result<bool, RunError> {
        let progress = self.journal.progress().borrow().clone();
        match progress.state {
            State::Failed(reason) => Err(RunError::Disk(reason.to_string())),
            State::Suspended => Ok(true),
            State::Running => Ok(self.journal.stats().snapshots_written > 0),
        }
    }

    /// Nothing waits for the disk.
    pub fn is_settled(&self) -> bool {
        self.acknowledgements.is_empty() && self.publications.is_empty()
    }

    /// So much waits for the disk that nothing more should be taken from the broker.
    pub fn is_full(&self) -> bool {
        self.journal.backlog() > MOST_BACKLOG
    }

    /// Whether a snapshot should be taken at `now`, by a clock that only goes forward.
    pub fn is_due(&self, now: Duration) -> bool {
        let (position, then) = self.last_snapshot;
        let grown = self.journal.last().0.saturating_sub(position.0);
        let since = now.saturating_sub(then);
        let wanted = || self.journal.progress().borrow().snapshot_wanted;
        grown > ENTRIES_A_SNAPSHOT
            || (grown > 0 && since >= self.every)
            || (since >= SNAPSHOT_AGAIN && wanted())
    }

    pub fn snapshot(
        &mut self,
        unit: &Unit<'_>,
        archive: Option<&mut GrowingArchive>,
        now: Duration,
    ) -> Result<(), RunError> {
        self.unsent.prune(unit.now());
        let unwritten = |error: rmp_serde::encode::Error| RunError::Keep(error.to_string());
        let held = self.publications.iter().map(|(_, publication)| publication);
        let unsent = self.unsent.others().chain(held);
        let kept = Kept {
            form: FORM,
            lasting: unit.engine.lasting(),
            engine: unit.engine.state().map_err(unwritten)?,
            waiting: unit.waiting.clone(),
            beaten: unit.beaten,
            archive: archive.map(GrowingArchive::mark),
            outbox: self.unsent.retained().clone(),
            unsent: unsent.filter(|publication| !publication.retain).cloned().collect(),
        };
        // Large enough at once for all but the outbox.
        let mut bytes = Vec::with_capacity(kept.engine.size_bytes() + ROOM_BYTES);
        rmp_serde::encode::write_named(&mut bytes, &kept).map_err(unwritten)?;
        drop(kept);
        let (position, identity) = (self.journal.last(), self.identity.clone());
        self.journal.snapshot(Snapshot { position, identity, bytes });
        self.last_snapshot = (position, now);
        Ok(())
    }

    pub fn stats(&self) -> serde_json::Value {
        let mut stats = serde_json::json!(self.journal.stats());
        stats["resumed"] = serde_json::json!(self.resumed);
        stats["unsent"] = self.unsent.stats();
        stats
    }

    pub fn close(self) -> Result<(), RunError> {
        Ok(self.journal.close()?)
    }
}

/// Takes up what lasts of a snapshot that is otherwise not read, with what was announced after it: road
/// operators say it once. How many events are known then.
fn begin_anew(
    unit: &mut Unit<'_>,
    snapshot: &[u8],
    tail: impl Iterator<Item = Result<(Position, Entry), JournalError>>,
) -> Result<usize, RunError> {
    let lasting = match rmp_serde::from_slice::<Left>(snapshot) {
        Ok(Left { lasting }) => lasting,
        Err(error) => {
            tracing::error!(%error, "closures in force are not in the snapshot: announce them again");
            Lasting::default()
        }
    };
    let mut messages = Vec::new();
    for entry in tail {
        if let (_, Entry::Message(message)) = entry? {
            messages.push(message);
        }
    }
    let events = unit.engine.begin_anew(&lasting, &messages);
    tracing::warn!(events, "what was announced of roads is kept");
    Ok(events)
}

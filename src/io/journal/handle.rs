//! The journal as the runtime holds it.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use super::keep::{self, Keeper};
use super::open::{lock, recover};
use super::queue::{Batch, Shared};
use super::record::{self, Writing};
use super::writer::Writer;
use super::{
    Entry, JournalError, JournalOptions, JournalStats, Position, Progress, Recovered, Snapshot,
    State,
};
use crate::ports::{MakeRoom, Message, SharedClock};

/// A number that nobody outside can guess.
fn random() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// An open journal. Dropped without `close`, it leaves what was not committed.
pub struct Journal {
    options: JournalOptions,
    shared: Arc<Shared>,
    /// Appended, not yet committed.
    batch: Batch,
    salt: u32,
    last: u64,
    appended: u64,
    writer: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    /// Held as long as anything is written.
    _lock: File,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in its folder, which is made if it is not there, and finds again what an
    /// earlier run left. Blocks for as long as the disk takes.
    pub fn open(
        options: JournalOptions,
        clock: SharedClock,
    ) -> Result<(Self, Recovered), JournalError> {
        let lock = lock(&options.dir)?;
        let (recovered, start) = recover(&options)?;
        for cut in &recovered.cut {
            tracing::warn!("{cut}");
        }
        let shared = Arc::new(Shared::new(&start));
        {
            let mut stats = shared.stats();
            recovered.cut.iter().for_each(|cut| stats.count_cut(cut));
        }
        let salt = start.salt.unwrap_or_else(random);
        let last = start.last;
        let failed = |doing| JournalError::io(&options.dir, doing);
        let keeper = Keeper::new(options.clone(), Arc::clone(&shared));
        keeper.count().map_err(failed("read"))?;
        let writer = Writer::new(options.clone(), clock, Arc::clone(&shared), start, salt)
            .map_err(failed("opened"))?;
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let writer = thread("journal").spawn(|| writer.run()).map_err(failed("written"))?;
        let keeper = thread("recordings").spawn(|| keeper.run()).map_err(failed("written"));
        let mut journal = Self {
            options,
            shared,
            batch: Batch::default(),
            salt,
            last,
            appended: 0,
            writer: Some(writer),
            keeper: None,
            _lock: lock,
        };
        journal.keeper = Some(keeper?);
        Ok((journal, recovered))
    }

    /// Takes an entry into memory, to be written at the next `commit`.
    pub fn append(&mut self, entry: &Entry) -> Position {
        self.push(Writing::from(entry))
    }

    /// The same for a message that is not an entry yet.
    pub fn append_message(&mut self, message: &Message) -> Position {
        self.push(Writing::Message(message))
    }

    fn push(&mut self, entry: Writing<'_>) -> Position {
        self.last += 1;
        self.appended += 1;
        if self.batch.bytes.is_empty() {
            self.batch.first = self.last;
        }
        self.batch.last = self.last;
        record::write(&mut self.batch.bytes, self.salt, self.last, entry);
        Position(self.last)
    }

    /// Hands everything appended so far to the writer and does not wait for it: `progress` says
    /// when it is on the disk.
    pub fn commit(&mut self) {
        self.shared.hand_over(&mut self.batch);
    }

    /// The position of the entry appended last, or of the last one found at opening.
    pub fn last(&self) -> Position {
        Position(self.last)
    }

    /// Bytes that are appended and not with the disk yet. Nothing bounds them here: who appends
    /// faster than the disk writes has to wait.
    pub fn backlog(&self) -> usize {
        self.batch.bytes.len() + self.shared.waiting()
    }

    /// How far the disk is; changes are announced.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Writes a snapshot, after the entries up to its position, which are committed with it. A
    /// newer one overtakes one that still waits.
    pub fn snapshot(&mut self, snapshot: Snapshot) {
        self.commit();
        self.shared.hand_over_snapshot(snapshot);
    }

    /// Lets others on the journal's disk drop what the journal would drop if it were full.
    pub fn room(&self) -> Box<dyn MakeRoom> {
        Box::new(keep::Shed::new(self.options.clone(), Arc::clone(&self.shared)))
    }

    pub fn stats(&self) -> JournalStats {
        let state = match self.shared.progress.borrow().state {
            State::Running => "running",
            State::Suspended => "suspended",
            State::Failed(_) => "failed",
        };
        JournalStats { state, appended: self.appended, ..self.shared.stats().clone() }
    }

    /// Commits, and waits until it is on the disk, or has passed by while the disk is full.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.commit();
        self.stop();
        match &self.shared.progress.borrow().state {
            State::Failed(reason) => Err(JournalError::Failed { reason: reason.to_string() }),
            State::Running | State::Suspended => Ok(()),
        }
    }

    fn stop(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writing thread ended on a fault of its own");
        }
        self.shared.tidy.close();
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!("the thread that makes recordings ended on a fault of its own");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

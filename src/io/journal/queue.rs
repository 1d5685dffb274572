//! What waits for the writer, and what all threads know.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::keep;
use super::writer::Start;
use super::{JournalStats, Position, Progress, Snapshot, State};

/// Entries on their way to the disk.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub bytes: Vec<u8>,
    pub first: u64,
    pub last: u64,
}

impl Batch {
    pub fn entries(&self) -> u64 {
        if self.bytes.is_empty() { 0 } else { self.last - self.first + 1 }
    }

    /// Moves everything from `other`, which is left empty.
    fn join(&mut self, other: &mut Self) {
        if self.bytes.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.bytes.extend_from_slice(&other.bytes);
            self.last = other.last;
        }
        other.bytes.clear();
    }
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    arrival: Condvar,
    stats: Mutex<JournalStats>,
    pub progress: watch::Sender<Progress>,
    pub tidy: keep::Bell,
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    snapshot: Option<Snapshot>,
    closing: bool,
    /// The writer has ended: nothing is kept any more.
    dead: bool,
}

impl Shared {
    pub fn new(start: &Start) -> Self {
        let (progress, _) = watch::channel(Progress {
            through: Position(start.last),
            state: State::Running,
            snapshot_wanted: start.snapshot_wanted,
        });
        Self {
            queue: Mutex::default(),
            arrival: Condvar::new(),
            stats: Mutex::new(JournalStats { durable: start.kept, ..JournalStats::default() }),
            progress,
            tidy: keep::Bell::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stats(&self) -> MutexGuard<'_, JournalStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands entries to the writer.
    pub fn hand_over(&self, batch: &mut Batch) {
        if batch.bytes.is_empty() {
            return;
        }
        let mut queue = self.queue();
        if queue.dead {
            self.stats().unjournaled += batch.entries();
            batch.bytes.clear();
            return;
        }
        queue.batch.join(batch);
        self.arrival.notify_one();
    }

    /// Hands a snapshot to the writer; one that still waits is overtaken.
    pub fn hand_over_snapshot(&self, snapshot: Snapshot) {
        let mut queue = self.queue();
        let skipped = queue.dead || queue.snapshot.is_some();
        if !queue.dead {
            queue.snapshot = Some(snapshot);
        }
        if skipped {
            self.stats().snapshots_skipped += 1;
        }
        self.arrival.notify_one();
    }

    /// The writer ends once nothing waits any more.
    pub fn close(&self) {
        self.queue().closing = true;
        self.arrival.notify_one();
    }

    /// Bytes that wait for the writer.
    pub fn waiting(&self) -> usize {
        self.queue().batch.bytes.len()
    }

    /// Waits for something to do; false at the end.
    pub fn take(&self, batch: &mut Batch, snapshot: &mut Option<Snapshot>) -> bool {
        let mut queue = self.queue();
        loop {
            if !queue.batch.bytes.is_empty() || queue.snapshot.is_some() {
                batch.join(&mut queue.batch);
                *snapshot = queue.snapshot.take();
                return true;
            }
            if queue.closing {
                return false;
            }
            queue = self.arrival.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing is kept from here on.
    pub fn end(&self, reason: Option<Arc<str>>) {
        let mut queue = self.queue();
        queue.dead = true;
        let left = queue.batch.entries();
        queue.batch = Batch::default();
        queue.snapshot = None;
        drop(queue);
        self.stats().unjournaled += left;
        if let Some(reason) = reason {
            self.progress.send_modify(|progress| progress.state = State::Failed(reason));
        }
    }
}

//! The thread that writes: one write and one sync for everything that has queued up.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Batch, Shared};
use super::segment::{HEADER_BYTES, Header};
use super::shelf::{self, PART, SEGMENT, SNAPSHOT, SegmentFile};
use super::{JournalOptions, MediumFile, Position, Progress, Snapshot, State};
use super::{keep, snapshot};
use crate::io::room::is_full;
use crate::ports::SharedClock;

/// After a commit the next one waits for so long: under load, syncs for a few entries each cost more
/// than the entries do. What comes alone is committed at once.
const GATHER: Duration = Duration::from_millis(2);

/// A buffer that grew beyond this while the disk stood still is given back.
const KEPT_BUFFER_BYTES: usize = 256 << 10;

/// So much must be free before a full disk is believed to have room again: for a few entries there
/// nearly always is, and every resumption costs a segment and a snapshot.
const ROOM_BYTES: u64 = 1 << 20;

/// Where a journal goes on.
pub(super) struct Start {
    /// The segment to write on.
    pub active: Option<SegmentFile>,
    pub salt: Option<u32>,
    /// The last position that is kept.
    pub kept: u64,
    /// The last position in use.
    pub last: u64,
    pub snapshot_wanted: bool,
}

/// Why something was not written.
enum Trouble {
    Full,
    Failed(Arc<str>),
}

pub(super) struct Writer {
    options: JournalOptions,
    clock: SharedClock,
    shared: Arc<Shared>,
    salt: u32,
    active: Option<Active>,
    /// The last position that lies on the disk.
    kept: u64,
    /// When a full disk was last tried.
    suspended: Option<Duration>,
    /// A snapshot from here on reaches over every gap.
    gap_end: u64,
    /// A snapshot of this run was written, or none could be and the journal is suspended for it.
    begun: bool,
}

struct Active {
    path: PathBuf,
    file: Box<dyn MediumFile>,
    /// Up to here it is whole.
    bytes: u64,
    /// Its name may not be durable yet.
    new: bool,
}

/// Says that the journal has failed, should the thread end in any other way than it was written to.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(Some("the writing thread ended on a fault of its own".into()));
        }
    }
}

impl Writer {
    pub fn new(
        options: JournalOptions,
        clock: SharedClock,
        shared: Arc<Shared>,
        start: Start,
        salt: u32,
    ) -> io::Result<Self> {
        let active = match start.active {
            None => None,
            Some(SegmentFile { path, bytes, .. }) => {
                let file = options.medium.append(&path)?;
                Some(Active { path, file, bytes, new: false })
            }
        };
        let (kept, gap_end) = (start.kept, start.last);
        let (suspended, begun) = (None, false);
        Ok(Self { options, clock, shared, salt, active, kept, suspended, gap_end, begun })
    }

    /// Until the journal is closed, or the disk fails.
    pub fn run(mut self) {
        let guard = Guard(Arc::clone(&self.shared));
        let mut batch = Batch::default();
        let mut snapshot = None;
        let mut reason = None;
        while self.shared.take(&mut batch, &mut snapshot) {
            if let Err(failed) = self.work(&batch, snapshot.take()) {
                tracing::error!("the journal has failed: {failed}");
                if self.kept < batch.last {
                    self.shared.stats().unjournaled += batch.entries();
                }
                reason = Some(failed);
                break;
            }
            batch.bytes.clear();
            batch.bytes.shrink_to(KEPT_BUFFER_BYTES);
            std::thread::sleep(GATHER);
        }
        self.shared.end(reason);
        drop(guard);
    }

    fn work(&mut self, batch: &Batch, snapshot: Option<Snapshot>) -> Result<(), Arc<str>> {
        if !batch.bytes.is_empty() {
            self.keep(batch)?;
        }
        if let Some(snapshot) = snapshot {
            // Also while suspended: with two newer snapshots, segments may be shed.
            let written = self.keep_snapshot(&snapshot)?;
            let begins = !std::mem::replace(&mut self.begun, true);
            if written {
                self.shared.stats().snapshots_written += 1;
                if snapshot.position.0 >= self.gap_end {
                    self.shared.progress.send_if_modified(|progress| {
                        std::mem::replace(&mut progress.snapshot_wanted, false)
                    });
                }
                self.shared.tidy.ring();
            } else {
                self.shared.stats().snapshots_skipped += 1;
                if begins {
                    // No entry could be taken up again without it: they pass until there is room.
                    self.suspend()?;
                    let suspended = |progress: &mut Progress| progress.state = State::Suspended;
                    self.shared.progress.send_modify(suspended);
                }
            }
        }
        Ok(())
    }

    /// Writes the entries, or lets them pass where there is no room.
    fn keep(&mut self, batch: &Batch) -> Result<(), Arc<str>> {
        let resumed = match self.suspended {
            None => false,
            Some(tried) => {
                let now = self.clock.elapsed();
                let due = now.saturating_sub(tried) >= self.options.retry_every;
                if due {
                    self.suspended = Some(now);
                }
                if !due || !self.has_room()? {
                    self.pass(batch);
                    return Ok(());
                }
                true
            }
        };
        loop {
            match self.write(batch) {
                Ok(()) => break,
                Err(Trouble::Failed(reason)) => return Err(reason),
                Err(Trouble::Full) => {
                    if !self.shed() {
                        self.suspend()?;
                        self.pass(batch);
                        return Ok(());
                    }
                }
            }
        }
        if resumed {
            self.suspended = None;
            self.gap_end = batch.first - 1;
            tracing::warn!("the journal has room again; what passed by meanwhile is not in it");
        }
        self.kept = batch.last;
        let mut stats = self.shared.stats();
        stats.durable = batch.last;
        stats.committed += batch.entries();
        drop(stats);
        self.shared.progress.send_modify(|progress| {
            progress.through = Position(batch.last);
            progress.state = State::Running;
            progress.snapshot_wanted |= resumed;
        });
        Ok(())
    }

    /// Lets entries pass without being kept.
    fn pass(&self, batch: &Batch) {
        self.shared.stats().unjournaled += batch.entries();
        self.shared.progress.send_modify(|progress| {
            progress.through = Position(batch.last);
            progress.state = State::Suspended;
        });
    }

    fn suspend(&mut self) -> Result<(), Arc<str>> {
        if self.suspended.is_none() {
            tracing::error!(
                "{}: the disk is full; the unit goes on without its journal",
                self.options.dir.display()
            );
        }
        self.suspended = Some(self.clock.elapsed());
        // The next segment begins behind the gap. One that holds nothing would stand in its way.
        if let Some(active) = self.active.take()
            && active.bytes <= HEADER_BYTES as u64
        {
            drop(active.file);
            self.options.medium.remove(&active.path).map_err(failed(&active.path, "removed"))?;
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Trouble> {
        let length = batch.bytes.len() as u64;
        let too_long = |active: &Active| {
            active.bytes > HEADER_BYTES as u64 && active.bytes + length > self.options.segment_bytes
        };
        if self.active.as_ref().is_some_and(too_long) {
            self.active = None;
            self.shared.tidy.ring();
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin(batch.first)?,
        };
        if let Err(error) = active.file.write_all(&batch.bytes) {
            let trouble = trouble(&active.path, &error);
            if matches!(trouble, Trouble::Full) {
                // What was written of it goes: it is tried again as a whole, or passes.
                active.file.truncate(active.bytes).map_err(|error| {
                    Trouble::Failed(failed(&active.path, "cut to its last whole entry")(error))
                })?;
                self.active = Some(active);
            }
            return Err(trouble);
        }
        self.sync(&mut active)?;
        active.bytes += length;
        self.active = Some(active);
        Ok(())
    }

    /// After an error here nobody knows what lies on the disk: the journal fails.
    fn sync(&self, active: &mut Active) -> Result<(), Trouble> {
        active
            .file
            .sync()
            .map_err(|error| Trouble::Failed(failed(&active.path, "synced")(error)))?;
        self.shared.stats().fsyncs += 1;
        if active.new {
            self.sync_folder()?;
            active.new = false;
        }
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), Trouble> {
        let dir = &self.options.dir;
        self.options
            .medium
            .sync_folder(dir)
            .map_err(|error| Trouble::Failed(failed(dir, "synced")(error)))?;
        self.shared.stats().fsyncs += 1;
        Ok(())
    }

    fn begin(&self, first: u64) -> Result<Active, Trouble> {
        let path = shelf::name(&self.options.dir, first, SEGMENT);
        let header = Header { salt: self.salt, first, follows: self.kept };
        let mut file = self.options.medium.create(&path).map_err(|error| trouble(&path, &error))?;
        if let Err(error) = file.write_all(&header.to_bytes()) {
            drop(file);
            self.discard(&path)?;
            return Err(trouble(&path, &error));
        }
        Ok(Active { path, file, bytes: HEADER_BYTES as u64, new: true })
    }

    /// Takes a file away that could not be completed.
    fn discard(&self, path: &Path) -> Result<(), Trouble> {
        self.options
            .medium
            .remove(path)
            .map_err(|error| Trouble::Failed(failed(path, "removed")(error)))
    }

    /// Whether a full disk has room again; sheds what it may.
    fn has_room(&self) -> Result<bool, Arc<str>> {
        let path = self.options.dir.join("room").with_extension(PART);
        loop {
            let zeros = vec![0; ROOM_BYTES.min(self.options.segment_bytes) as usize];
            let written = self.options.medium.create(&path).and_then(|mut file| {
                file.write_all(&zeros)?;
                file.sync()
            });
            match self.options.medium.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&path, "removed")(error));
                }
                _ => {}
            }
            match written.map_err(|error| trouble(&path, &error)) {
                Ok(()) => return Ok(true),
                Err(Trouble::Failed(reason)) => return Err(reason),
                Err(Trouble::Full) => {
                    if !self.shed() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Makes room; false when there is nothing left that may go.
    fn shed(&self) -> bool {
        keep::shed(&self.options, &self.shared)
    }

    /// Writes a snapshot under its name; false when there is no room for it.
    fn keep_snapshot(&self, snapshot: &Snapshot) -> Result<bool, Arc<str>> {
        loop {
            match self.write_snapshot(snapshot) {
                Ok(()) => break,
                Err(Trouble::Failed(reason)) => return Err(reason),
                Err(Trouble::Full) => {
                    if !self.shed() {
                        tracing::warn!("no room for a snapshot");
                        return Ok(false);
                    }
                }
            }
        }
        if let Err(error) = keep::drop_old_snapshots(&self.options) {
            tracing::warn!("an old snapshot cannot be removed: {error}");
        }
        Ok(true)
    }

    fn write_snapshot(&self, snapshot: &Snapshot) -> Result<(), Trouble> {
        let medium = &self.options.medium;
        let path = shelf::name(&self.options.dir, snapshot.position.0, SNAPSHOT);
        let part = path.with_extension(PART);
        let mut file = medium.create(&part).map_err(|error| trouble(&part, &error))?;
        let written = file
            .write_all(&snapshot::head(snapshot))
            .and_then(|()| file.write_all(&snapshot.bytes));
        if let Err(error) = written {
            drop(file);
            self.discard(&part)?;
            return Err(trouble(&part, &error));
        }
        file.sync().map_err(|error| Trouble::Failed(failed(&part, "synced")(error)))?;
        self.shared.stats().fsyncs += 1;
        medium.rename(&part, &path).map_err(|error| trouble(&path, &error))?;
        self.sync_folder()
    }
}

fn trouble(path: &Path, error: &io::Error) -> Trouble {
    if is_full(error) {
        return Trouble::Full;
    }
    Trouble::Failed(format!("{} cannot be written: {error}", path.display()).into())
}

fn failed(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> Arc<str> {
    move |error| format!("{} cannot be {doing}: {error}", path.display()).into()
}

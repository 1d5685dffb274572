//! What stays and what goes: the thread that makes recordings of closed segments and keeps the
//! limits, and what is shed when the disk is full. Nothing goes because a clock says so.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::queue::Shared;
use super::shelf::{self, SegmentFile};
use super::{JournalOptions, Medium, compact};
use crate::io::room::is_shared;
use crate::ports::MakeRoom;

/// The limits are looked at so often, also when nothing else happens.
const LOOK_EVERY: Duration = Duration::from_mins(1);

const HOUR_S: u64 = 3_600;

/// Wakes the thread.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    rung: bool,
    closing: bool,
}

impl Bell {
    /// There is something to tidy.
    pub fn ring(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rung = true;
        self.rung.notify_one();
    }

    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closing = true;
        self.rung.notify_one();
    }

    fn closing(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closing
    }

    /// Until the bell is rung or it is time to look; false at the end.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .rung
            .wait_timeout_while(state, LOOK_EVERY, |state| !state.rung && !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
        !state.closing
    }
}

/// The last position that no recovery needs: that of the older of two snapshots.
fn boundary(dir: &Path) -> io::Result<u64> {
    let snapshots = shelf::snapshots(dir)?;
    Ok(snapshots.iter().rev().nth(1).map_or(0, |older| older.position))
}

/// The closed segments that no recovery needs, each with the one behind it.
pub(super) fn spare_segments(dir: &Path) -> io::Result<Vec<(SegmentFile, SegmentFile)>> {
    let boundary = boundary(dir)?;
    let segments = shelf::segments(dir)?;
    let pairs = segments.iter().zip(segments.iter().skip(1));
    Ok(pairs
        .filter(|(_, next)| next.position <= boundary + 1)
        .map(|(segment, next)| (segment.clone(), next.clone()))
        .collect())
}

/// What can go, with its bytes; what can be missed most comes first: the oldest recordings, then
/// what was set aside, then the oldest segments that no recovery needs.
fn spare_files(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut spare: Vec<_> =
        shelf::recordings(dir)?.into_iter().map(|file| (file.path, file.bytes)).collect();
    spare.extend(shelf::damaged(dir)?);
    spare.extend(spare_segments(dir)?.into_iter().map(|(file, _)| (file.path, file.bytes)));
    Ok(spare)
}

/// Drops what can be missed most. `None` when all that is left is needed.
pub(super) fn shed_one(options: &JournalOptions) -> io::Result<Option<PathBuf>> {
    let candidate = spare_files(&options.dir)?.into_iter().next().map(|(path, _)| path);
    if let Some(path) = &candidate {
        remove(options.medium.as_ref(), path)?;
    }
    Ok(candidate)
}

/// The same where the disk is full, counted and said; false when nothing was dropped.
pub(super) fn shed(options: &JournalOptions, shared: &Shared) -> bool {
    match shed_one(options) {
        Ok(Some(path)) => {
            tracing::warn!("{}: dropped, the disk is full", path.display());
            shared.stats().shed += 1;
            true
        }
        Ok(None) => false,
        Err(error) => {
            tracing::warn!("{}: no room could be made: {error}", options.dir.display());
            false
        }
    }
}

/// For others whose disk is full, if it is the journal's.
#[derive(Debug)]
pub(super) struct Shed {
    options: JournalOptions,
    shared: Arc<Shared>,
}

impl Shed {
    pub fn new(options: JournalOptions, shared: Arc<Shared>) -> Self {
        Self { options, shared }
    }
}

impl MakeRoom for Shed {
    fn make_room(&self, path: &Path) -> bool {
        is_shared(&self.options.dir, path) && shed(&self.options, &self.shared)
    }
}

/// Removes a file, and the folders of its hour and day when nothing is left in them.
fn remove(medium: &dyn Medium, path: &Path) -> io::Result<()> {
    match medium.remove(path) {
        // The other thread was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    let mut folder = path.parent();
    while let Some(dir) = folder
        && dir.file_name().is_some_and(|name| name.to_string_lossy().contains('='))
        && fs::remove_dir(dir).is_ok()
    {
        folder = dir.parent();
    }
    Ok(())
}

/// Keeps the two newest snapshots.
pub(super) fn drop_old_snapshots(options: &JournalOptions) -> io::Result<()> {
    for old in shelf::snapshots(&options.dir)?.iter().rev().skip(2) {
        options.medium.remove(&old.path)?;
    }
    Ok(())
}

/// Makes recordings and keeps the limits, beside the writer.
pub(super) struct Keeper {
    options: JournalOptions,
    shared: Arc<Shared>,
}

impl Keeper {
    pub fn new(options: JournalOptions, shared: Arc<Shared>) -> Self {
        Self { options, shared }
    }

    /// Until the journal is closed.
    pub fn run(self) {
        loop {
            if let Err(error) = self.tidy() {
                tracing::warn!("{}: cannot be tidied: {error}", self.options.dir.display());
            }
            if !self.shared.tidy.wait() {
                return;
            }
        }
    }

    fn tidy(&self) -> io::Result<()> {
        for (segment, next) in spare_segments(&self.options.dir)? {
            if self.shared.tidy.closing() {
                return Ok(());
            }
            if let Err(error) = self.compact(&segment, &next) {
                // Tried again next time; the limits hold all the same, and take it in the end.
                tracing::warn!("{}: no recording can be made: {error}", segment.path.display());
                self.shared.stats().compaction_failures += 1;
                break;
            }
        }
        self.keep_limits()
    }

    fn compact(&self, segment: &SegmentFile, next: &SegmentFile) -> Result<(), String> {
        if !self.options.record {
            remove(self.options.medium.as_ref(), &segment.path).map_err(|e| e.to_string())?;
            self.shared.stats().compacted += 1;
            return Ok(());
        }
        let cuts = compact::segment(&self.options, segment, next)?;
        let mut stats = self.shared.stats();
        stats.compacted += 1;
        for cut in &cuts {
            tracing::warn!("left out of the recording: {cut}");
            stats.count_cut(cut);
        }
        Ok(())
    }

    fn keep_limits(&self) -> io::Result<()> {
        let (dir, medium) = (&self.options.dir, self.options.medium.as_ref());
        let drop = |path: &Path| -> io::Result<()> {
            remove(medium, path)?;
            self.shared.stats().expired += 1;
            Ok(())
        };
        // The newest hour is seldom over: one more for it.
        let most = self.options.max_age.as_secs().div_ceil(HOUR_S).saturating_add(1);
        let mut hours = HashSet::new();
        for file in shelf::recordings(dir)?.into_iter().rev() {
            let Some(hour) = file.hour() else { continue };
            if hours.contains(hour) {
                continue;
            }
            if (hours.len() as u64) < most {
                hours.insert(hour.to_owned());
            } else {
                drop(&file.path)?;
            }
        }
        let mut bytes = self.count()?;
        if bytes <= self.options.max_bytes {
            return Ok(());
        }
        for (path, length) in spare_files(dir)? {
            if bytes <= self.options.max_bytes {
                break;
            }
            drop(&path)?;
            bytes = bytes.saturating_sub(length);
        }
        self.count()?;
        Ok(())
    }

    /// Counts anew what there is; its bytes.
    pub fn count(&self) -> io::Result<u64> {
        let dir = &self.options.dir;
        let (segments, snapshots) = (shelf::segments(dir)?, shelf::snapshots(dir)?);
        let recordings = shelf::recordings(dir)?;
        let damaged = shelf::damaged(dir)?;
        let mut stats = self.shared.stats();
        stats.segments = segments.len() as u64;
        stats.snapshots = snapshots.len() as u64;
        stats.recordings = recordings.len() as u64;
        stats.bytes = segments.iter().chain(&snapshots).map(|file| file.bytes).sum::<u64>()
            + recordings.iter().map(|file| file.bytes).sum::<u64>()
            + damaged.iter().map(|(_, bytes)| bytes).sum::<u64>();
        Ok(stats.bytes)
    }
}

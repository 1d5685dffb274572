//! The archive of a live run, which grows for months and goes on after a crash.
//!
//! | file | holds |
//! |---|---|
//! | `windows/date=2008-11-11/00000042.parquet` | windows that begin on this day (UTC), in the columns of `windows.parquet`; parts are numbered over all days |
//! | `directions/2008-11-11.ndjson`, `dead/…`, `late/…` | the lines of a replay's files, by the day (UTC) of their first moment |
//!
//! A part appears under its name when it is complete. What was written since the last [`mark`] is
//! taken back when the archive is told to, so that a run which goes on from there writes
//! each thing once. Of each kind the newest days are kept: days that have files, whatever their
//! dates, so that a clock which is wrong for an hour does not age the others. Dead and late lines have
//! a bound in bytes as well ([`MOST_LINE_BYTES`]): the oldest days go for it, and what would be too
//! much for one day is counted and not written.
//!
//! A unit must not fall silent because a disk is full: what cannot be written is told and counted
//! ([`ArchiveStats`]), and the archive goes on when it can.
//!
//! [`mark`]: GrowingArchive::mark

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};

use super::super::{columnar, part};
use super::lines::{Log, day};
use super::{ArchiveError, RunFiles, dead_line, direction_line, form, late_line};
use crate::batch::WindowBatch;
use crate::domain::refusal::{DeadLetter, LateReading};
use crate::domain::time::Timestamp;
use crate::ports::{MakeRoom, Publication};

/// Rows of windows that are held in memory at most; then they become a part, mark or no mark.
const MAX_HELD_ROWS: usize = 200_000;

/// What the files of dead letters may take, and what those of late readings: a flood of messages that
/// nobody can read must not push recordings and journal from the disk.
const MOST_LINE_BYTES: u64 = 256 << 20;

/// How far an archive has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveMark {
    next_part: u64,
    /// The open day of each kind of lines, and the length of its file.
    logs: [Option<(String, u64)>; 3],
    /// The lengths of the other days' files: a clock that was wrong may turn back to any. `None` in a
    /// mark of an earlier version, which turned to newer days alone.
    #[serde(default)]
    others: Option<[BTreeMap<String, u64>; 3]>,
    /// What is missing where a run goes on from here: what was lost, and what only memory held.
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    left_out: u64,
    #[serde(default)]
    days_dropped: u64,
}

const LOGS: [&str; 3] = ["directions", "dead", "late"];
const DIRECTIONS: usize = 0;
const DEAD: usize = 1;
const LATE: usize = 2;

/// What did not get into the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ArchiveStats {
    /// The disk does not take anything just now.
    pub failing: bool,
    /// Rows of windows, and lines of the other files; of the runs before as well, where this one
    /// goes on from a mark.
    pub lost: u64,
    /// Dead and late lines that were too many for their day's bytes; of the runs before as well.
    pub left_out: u64,
    /// Days of dead and late lines that were dropped for their bytes; of the runs before as well.
    pub days_dropped: u64,
}

#[derive(Debug)]
pub struct GrowingArchive {
    folder: PathBuf,
    keep_days: NonZeroUsize,
    schema: SchemaRef,
    next_part: u64,
    stats: ArchiveStats,
    /// A day has begun since days were counted last.
    new_day: bool,
    /// The day that the last window began on.
    window_day: Option<String>,
    /// Rows that are in no part yet, by day.
    held: BTreeMap<String, Vec<RecordBatch>>,
    held_rows: usize,
    logs: [Log; 3],
    room: Option<Box<dyn MakeRoom>>,
}

impl GrowingArchive {
    /// Opens an archive; it goes on after whatever is there.
    pub fn open(folder: &Path, keep_days: NonZeroUsize) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|error| ArchiveError::new(folder, &error))?;
        let last = parts(folder)?.last().map_or(0, |(number, _)| *number);
        let log = |kind, most_bytes| Log::open(folder.join(LOGS[kind]), most_bytes);
        Ok(Self {
            keep_days,
            stats: ArchiveStats::default(),
            new_day: true,
            window_day: None,
            schema: form::schema(),
            next_part: last + 1,
            held: BTreeMap::new(),
            held_rows: 0,
            logs: [
                log(DIRECTIONS, u64::MAX)?,
                log(DEAD, MOST_LINE_BYTES)?,
                log(LATE, MOST_LINE_BYTES)?,
            ],
            room: None,
            folder: folder.to_owned(),
        })
    }

    /// Takes back everything beyond the mark.
    pub fn take_back(&mut self, mark: &ArchiveMark) -> Result<(), ArchiveError> {
        for (_, path) in parts(&self.folder)?.into_iter().filter(|(n, _)| *n >= mark.next_part) {
            fs::remove_file(&path).map_err(|error| ArchiveError::new(&path, &error))?;
        }
        self.next_part = mark.next_part.max(1);
        self.held.clear();
        self.held_rows = 0;
        for (kind, log) in self.logs.iter_mut().enumerate() {
            let others = mark.others.as_ref().map(|others| &others[kind]);
            log.take_back(mark.logs[kind].as_ref(), others)?;
        }
        self.stats.lost = mark.lost;
        self.stats.left_out = mark.left_out;
        self.stats.days_dropped = mark.days_dropped;
        if mark.lost > 0 {
            tracing::warn!(lost = mark.lost, "the archive lacks what the disk did not take");
        }
        Ok(())
    }

    pub fn stats(&self) -> ArchiveStats {
        self.stats
    }

    /// Brings everything so far to the disk, and says how far that is. Where the disk does not take
    /// it, what is held is held on, and counts as lost for whoever goes on from the mark: a snapshot
    /// that carried it would grow just when there is no room.
    pub fn mark(&mut self) -> ArchiveMark {
        // Lines first, they need least; and what cannot be written keeps nothing else back.
        let mut written = Ok(());
        for kind in 0..LOGS.len() {
            written = written.and(self.with_room(kind, Log::sync));
        }
        written = written.and(self.write_parts());
        match &written {
            Ok(()) if self.stats.failing => {
                tracing::warn!(lost = self.stats.lost, "the archive is written again");
                self.stats.failing = false;
            }
            Ok(()) => {}
            Err(error) => self.failed(error),
        }
        if std::mem::take(&mut self.new_day)
            && let Err(error) = self.drop_days()
        {
            self.failed(&error);
        }
        ArchiveMark {
            next_part: self.next_part,
            logs: self.logs.each_ref().map(Log::mark),
            others: Some(self.logs.each_ref().map(Log::others)),
            lost: self.stats.lost + self.unwritten(),
            left_out: self.stats.left_out,
            days_dropped: self.stats.days_dropped,
        }
    }

    /// Rows and lines that the disk does not have for certain.
    fn unwritten(&self) -> u64 {
        self.held_rows as u64 + self.logs.iter().map(Log::unsynced).sum::<u64>()
    }

    fn failed(&mut self, error: &ArchiveError) {
        if !self.stats.failing {
            tracing::error!(%error, help = error.help(), "the unit goes on without its archive");
        }
        self.stats.failing = true;
    }

    /// Has others on a full disk make room by `room` before directions are lost.
    pub fn make_room_by(&mut self, room: Box<dyn MakeRoom>) {
        self.room = Some(room);
    }

    /// Does it to the lines of this kind; once more where there was no room for directions and some
    /// could be made.
    fn with_room<T>(
        &mut self,
        kind: usize,
        mut does: impl FnMut(&mut Log) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let log = &mut self.logs[kind];
        let done = does(log);
        let full = kind == DIRECTIONS && done.as_ref().is_err_and(|error| error.full);
        if full && self.room.as_ref().is_some_and(|room| room.make_room(&self.folder)) {
            return does(log);
        }
        done
    }

    fn push(&mut self, kind: usize, time: Timestamp, line: &str) {
        match self.with_room(kind, |log| log.push(time, line)) {
            Ok(pushed) => {
                self.new_day |= pushed.turned;
                self.stats.left_out += u64::from(pushed.left_out);
                self.stats.days_dropped += pushed.days_dropped;
            }
            Err(error) => {
                self.stats.lost += 1;
                self.failed(&error);
            }
        }
    }

    /// Removes all but the newest days of each kind.
    fn drop_days(&mut self) -> Result<(), ArchiveError> {
        for log in &mut self.logs {
            log.keep_days(self.keep_days)?;
        }
        let mut days = entries(&self.folder.join("windows"))?;
        days.sort();
        days.truncate(days.len().saturating_sub(self.keep_days.get()));
        for day in days {
            tracing::info!(day = %day.display(), "an old day of the archive is dropped");
            let gone = if day.is_dir() { fs::remove_dir_all(&day) } else { fs::remove_file(&day) };
            gone.map_err(|error| ArchiveError::new(&day, &error))?;
        }
        Ok(())
    }

    /// What could not be written stays held.
    fn write_parts(&mut self) -> Result<(), ArchiveError> {
        while let Some((day, batches)) = self.held.first_key_value() {
            let folder = self.folder.join("windows").join(format!("date={day}"));
            let path = folder.join(format!("{:08}.parquet", self.next_part));
            let growing = part::path(&path, ".parquet", ".parquet");
            let write = || -> Result<(), String> {
                fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
                let file = File::create(&growing).map_err(|error| error.to_string())?;
                let properties = Some(columnar::properties());
                let mut out = ArrowWriter::try_new(&file, self.schema.clone(), properties)
                    .map_err(|error| error.to_string())?;
                for batch in batches {
                    out.write(batch).map_err(|error| error.to_string())?;
                }
                out.close().map_err(|error| error.to_string())?;
                file.sync_all().map_err(|error| error.to_string())?;
                part::publish(&growing, &path).map_err(|error| error.to_string())
            };
            if let Err(error) = write() {
                // Half a part would take the room that lines still fit into. Where it cannot go
                // either, the next try writes over it.
                let _left = fs::remove_file(&growing);
                return Err(ArchiveError::new(&path, &error));
            }
            self.next_part += 1;
            self.held_rows -= batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            self.held.pop_first();
        }
        Ok(())
    }
}

/// A run that ends on an error leaves what it held; without a journal nobody else counts the rest.
impl Drop for GrowingArchive {
    fn drop(&mut self) {
        if self.unwritten() > 0 {
            self.mark();
        }
        let unwritten = self.unwritten();
        if unwritten > 0 {
            tracing::error!(unwritten, "the archive ends without what the disk did not take");
        }
    }
}

impl RunFiles for GrowingArchive {
    fn window(&mut self, batch: &WindowBatch, name: &str) -> Result<(), ArchiveError> {
        let rows = form::long_form(&self.schema, batch, name)
            .map_err(|error| ArchiveError::new(&self.folder, &error))?;
        self.held_rows += rows.num_rows();
        let day = day(batch.start);
        self.new_day |= self.window_day.as_ref() != Some(&day);
        self.window_day = Some(day.clone());
        self.held.entry(day).or_default().push(rows);
        if self.held_rows > MAX_HELD_ROWS
            && let Err(error) = self.write_parts()
        {
            self.stats.lost += self.held_rows as u64;
            self.held.clear();
            self.held_rows = 0;
            self.failed(&error);
        }
        Ok(())
    }

    fn publication(&mut self, publication: &Publication) -> Result<(), ArchiveError> {
        self.push(DIRECTIONS, publication.ts, &direction_line(publication));
        Ok(())
    }

    fn dead(&mut self, letter: &DeadLetter) -> Result<(), ArchiveError> {
        self.push(DEAD, letter.received_at, &dead_line(letter));
        Ok(())
    }

    fn late(&mut self, reading: &LateReading) -> Result<(), ArchiveError> {
        self.push(LATE, reading.received_at, &late_line(reading));
        Ok(())
    }
}

/// The parts of windows that are there, by number.
pub(super) fn parts(folder: &Path) -> Result<Vec<(u64, PathBuf)>, ArchiveError> {
    let mut found = Vec::new();
    for day in entries(&folder.join("windows"))? {
        for path in entries(&day)? {
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".parquet"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                found.push((number, path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What lies in a folder; nothing where there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let failed = |error: &std::io::Error| ArchiveError::new(folder, error);
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(|error| failed(&error)))
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(Vec::new()),
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod tests;

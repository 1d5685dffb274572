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
//! dates, so that a clock which is wrong for an hour does not age the others.
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
use crate::ports::Publication;

/// Rows of windows that are held in memory at most; then they become a part, mark or no mark.
const MAX_HELD_ROWS: usize = 200_000;

/// How far an archive has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveMark {
    next_part: u64,
    /// The newest day of each kind of lines, and the length of its file.
    logs: [Option<(String, u64)>; 3],
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
    /// Rows of windows, and lines of the other files.
    pub lost: u64,
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
    /// The newest day that a window began on.
    window_day: Option<String>,
    /// Rows that are in no part yet, by day.
    held: BTreeMap<String, Vec<RecordBatch>>,
    held_rows: usize,
    logs: [Log; 3],
}

impl GrowingArchive {
    /// Opens an archive; it goes on after whatever is there.
    pub fn open(folder: &Path, keep_days: NonZeroUsize) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|error| ArchiveError::new(folder, &error))?;
        let last = parts(folder)?.last().map_or(0, |(number, _)| *number);
        Ok(Self {
            keep_days,
            stats: ArchiveStats::default(),
            new_day: true,
            window_day: None,
            schema: form::schema(),
            next_part: last + 1,
            held: BTreeMap::new(),
            held_rows: 0,
            logs: LOGS.map(|kind| Log::new(folder.join(kind))),
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
        for (log, mark) in self.logs.iter_mut().zip(&mark.logs) {
            log.take_back(mark.as_ref())?;
        }
        Ok(())
    }

    pub fn stats(&self) -> ArchiveStats {
        self.stats
    }

    /// Brings everything so far to the disk, and says how far that is. Where the disk does not take
    /// it, what is held is held on.
    pub fn mark(&mut self) -> ArchiveMark {
        let written =
            self.write_parts().and_then(|()| self.logs.iter_mut().try_for_each(Log::sync));
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
        let logs = self.logs.each_ref().map(Log::mark);
        ArchiveMark { next_part: self.next_part, logs }
    }

    fn failed(&mut self, error: &ArchiveError) {
        if !self.stats.failing {
            tracing::error!(%error, help = error.help(), "the unit goes on without its archive");
        }
        self.stats.failing = true;
    }

    fn push(&mut self, log: usize, time: Timestamp, line: &str) {
        match self.logs[log].push(time, line) {
            Ok(begun) => self.new_day |= begun,
            Err(error) => {
                self.stats.lost += 1;
                self.failed(&error);
            }
        }
    }

    /// Removes all but the newest days of each kind.
    fn drop_days(&self) -> Result<(), ArchiveError> {
        for kind in LOGS.iter().chain(&["windows"]) {
            let mut days = entries(&self.folder.join(kind))?;
            days.sort();
            days.truncate(days.len().saturating_sub(self.keep_days.get()));
            for day in days {
                tracing::info!(day = %day.display(), "an old day of the archive is dropped");
                let gone =
                    if day.is_dir() { fs::remove_dir_all(&day) } else { fs::remove_file(&day) };
                gone.map_err(|error| ArchiveError::new(&day, &error))?;
            }
        }
        Ok(())
    }

    /// What could not be written stays held.
    fn write_parts(&mut self) -> Result<(), ArchiveError> {
        while let Some((day, batches)) = self.held.first_key_value() {
            let folder = self.folder.join("windows").join(format!("date={day}"));
            let path = folder.join(format!("{:08}.parquet", self.next_part));
            let write = || -> Result<(), String> {
                fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
                let growing = part::path(&path, ".parquet", ".parquet");
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
            write().map_err(|error| ArchiveError::new(&path, &error))?;
            self.next_part += 1;
            self.held.pop_first();
        }
        self.held_rows = 0;
        Ok(())
    }
}

impl RunFiles for GrowingArchive {
    fn window(&mut self, batch: &WindowBatch, name: &str) -> Result<(), ArchiveError> {
        let rows = form::long_form(&self.schema, batch, name)
            .map_err(|error| ArchiveError::new(&self.folder, &error))?;
        self.held_rows += rows.num_rows();
        let day = day(batch.start);
        self.new_day |= self.window_day.as_ref().is_none_or(|last| *last < day);
        self.window_day = self.window_day.take().max(Some(day.clone()));
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
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::batch::SEGMENT;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn window(start: &str) -> WindowBatch {
        let start = time(start);
        let segment: ArrayRef = Arc::new(StringArray::from(vec!["a1"]));
        WindowBatch {
            window: 0,
            start,
            end: start + std::time::Duration::from_mins(1),
            revision: 1,
            rows: RecordBatch::try_from_iter([(SEGMENT, segment)]).unwrap(),
        }
    }

    fn direction(ts: &str) -> Publication {
        Publication {
            ts: time(ts),
            topic: "d".to_owned(),
            payload: json!({"ts": ts}).into(),
            qos: 1,
            retain: true,
            expiry: None,
        }
    }

    fn two() -> NonZeroUsize {
        NonZeroUsize::new(2).unwrap()
    }

    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for path in entries(&next).unwrap() {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    found.push((name, fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    /// Three steps; what was written after the second mark is taken back and written again.
    #[test]
    fn what_lies_beyond_a_mark_is_taken_back() {
        let folder = TempDir::new().unwrap();
        let first = |archive: &mut GrowingArchive| {
            archive.window(&window("2008-11-11T23:58:00Z"), "m").unwrap();
            archive.publication(&direction("2008-11-11T23:59:00Z")).unwrap();
        };
        let second = |archive: &mut GrowingArchive| {
            archive.window(&window("2008-11-11T23:59:00Z"), "m").unwrap();
            archive.window(&window("2008-11-12T00:00:00Z"), "m").unwrap();
            archive.publication(&direction("2008-11-11T23:59:59Z")).unwrap();
            archive.publication(&direction("2008-11-12T00:00:01Z")).unwrap();
        };
        let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
        first(&mut archive);
        let mark = archive.mark();
        second(&mut archive);
        archive.mark();
        drop(archive);
        let whole = files(folder.path());
        let names: Vec<&str> = whole.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "directions/2008-11-11.ndjson",
                "directions/2008-11-12.ndjson",
                "windows/date=2008-11-11/00000001.parquet",
                "windows/date=2008-11-11/00000002.parquet",
                "windows/date=2008-11-12/00000003.parquet",
            ]
        );

        let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
        archive.take_back(&mark).unwrap();
        assert_eq!(files(folder.path()).len(), 2);
        second(&mut archive);
        archive.mark();
        drop(archive);
        assert_eq!(files(folder.path()), whole);

        let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
        archive.take_back(&ArchiveMark::default()).unwrap();
        assert_eq!(files(folder.path()), []);
    }

    #[test]
    fn the_newest_days_are_kept() {
        let folder = TempDir::new().unwrap();
        let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
        // A day of a clock that was wrong costs no more than one of the days.
        for day in ["2008-11-10", "2008-11-11", "2008-11-12", "2099-01-01", "2008-11-13"] {
            archive.window(&window(&format!("{day}T12:00:00Z")), "m").unwrap();
            archive.publication(&direction(&format!("{day}T12:00:00Z"))).unwrap();
            archive.mark();
        }
        let found = files(folder.path());
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "directions/2008-11-12.ndjson",
                "directions/2099-01-01.ndjson",
                "windows/date=2008-11-12/00000003.parquet",
                "windows/date=2008-11-13/00000005.parquet",
                "windows/date=2099-01-01/00000004.parquet",
            ]
        );
        assert_eq!(archive.stats(), ArchiveStats::default());
    }

    #[test]
    fn what_the_disk_does_not_take_is_held_or_counted_and_the_rest_goes_on() {
        let folder = TempDir::new().unwrap();
        let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
        for kind in ["windows", "directions"] {
            fs::write(folder.path().join(kind), "in the way").unwrap();
        }
        archive.window(&window("2008-11-11T07:00:00Z"), "m").unwrap();
        archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
        let mark = archive.mark();
        assert_eq!((mark.next_part, &mark.logs[DIRECTIONS]), (1, &None));
        assert_eq!(archive.stats(), ArchiveStats { failing: true, lost: 1 });

        for kind in ["windows", "directions"] {
            fs::remove_file(folder.path().join(kind)).unwrap();
        }
        archive.publication(&direction("2008-11-11T07:01:00Z")).unwrap();
        let mark = archive.mark();
        assert_eq!(mark.next_part, 2);
        assert!(mark.logs[DIRECTIONS].is_some());
        assert_eq!(archive.stats(), ArchiveStats { failing: false, lost: 1 });
        assert_eq!(files(folder.path()).len(), 2);
    }

    #[test]
    fn without_a_mark_it_goes_on_after_what_is_there() {
        let folder = TempDir::new().unwrap();
        for _ in 0..2 {
            let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
            archive.window(&window("2008-11-11T07:00:00Z"), "m").unwrap();
            archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
            archive.mark();
        }
        let found = files(folder.path());
        assert_eq!(found.len(), 3);
        assert_eq!(String::from_utf8_lossy(&found[0].1).lines().count(), 2);
    }
}

//! The archive of a live run, which grows for months and goes on after a crash.
//!
//! | file | holds |
//! |---|---|
//! | `windows/date=2008-11-11/00000042.parquet` | windows that begin on this day (UTC), in the columns of `windows.parquet`; parts are numbered over all days |
//! | `directions/2008-11-11.ndjson`, `dead/…`, `late/…` | the lines of a replay's files, by the day (UTC) of their first moment |
//!
//! A part appears under its name when it is complete. What was written since the last [`mark`] is
//! taken back when the archive is told to, so that a run which goes on from there writes
//! each thing once.
//!
//! [`mark`]: GrowingArchive::mark

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};

use super::super::{columnar, part};
use super::{ArchiveError, dead_line, direction_line, form, late_line};
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

#[derive(Debug)]
pub struct GrowingArchive {
    folder: PathBuf,
    schema: SchemaRef,
    next_part: u64,
    /// Rows that are in no part yet, by day.
    held: BTreeMap<String, Vec<RecordBatch>>,
    held_rows: usize,
    logs: [Log; 3],
}

impl GrowingArchive {
    /// Opens an archive; it goes on after whatever is there.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|error| ArchiveError::new(folder, &error))?;
        let last = parts(folder)?.last().map_or(0, |(number, _)| *number);
        Ok(Self {
            schema: form::schema(),
            next_part: last + 1,
            held: BTreeMap::new(),
            held_rows: 0,
            logs: LOGS.map(|kind| Log { folder: folder.join(kind), open: None }),
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

    /// Adds a closed window's result under the window's name in the pipeline.
    pub fn window(&mut self, batch: &WindowBatch, name: &str) -> Result<(), ArchiveError> {
        let rows = form::long_form(&self.schema, batch, name)
            .map_err(|error| ArchiveError::new(&self.folder, &error))?;
        self.held_rows += rows.num_rows();
        self.held.entry(day(batch.start)).or_default().push(rows);
        if self.held_rows > MAX_HELD_ROWS { self.write_parts() } else { Ok(()) }
    }

    pub fn publication(&mut self, publication: &Publication) -> Result<(), ArchiveError> {
        self.logs[DIRECTIONS].push(publication.ts, &direction_line(publication))
    }

    pub fn dead(&mut self, letter: &DeadLetter) -> Result<(), ArchiveError> {
        self.logs[DEAD].push(letter.received_at, &dead_line(letter))
    }

    pub fn late(&mut self, reading: &LateReading) -> Result<(), ArchiveError> {
        self.logs[LATE].push(reading.received_at, &late_line(reading))
    }

    /// Brings everything so far to the disk, and says how far that is.
    pub fn mark(&mut self) -> Result<ArchiveMark, ArchiveError> {
        self.write_parts()?;
        let [directions, dead, late] = &mut self.logs;
        let logs = [directions.mark()?, dead.mark()?, late.mark()?];
        Ok(ArchiveMark { next_part: self.next_part, logs })
    }

    fn write_parts(&mut self) -> Result<(), ArchiveError> {
        self.held_rows = 0;
        for (day, batches) in std::mem::take(&mut self.held) {
            let folder = self.folder.join("windows").join(format!("date={day}"));
            let path = folder.join(format!("{:08}.parquet", self.next_part));
            let write = || -> Result<(), String> {
                fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
                let growing = part::path(&path, ".parquet", ".parquet");
                let file = File::create(&growing).map_err(|error| error.to_string())?;
                let properties = Some(columnar::properties());
                let mut out = ArrowWriter::try_new(&file, self.schema.clone(), properties)
                    .map_err(|error| error.to_string())?;
                for batch in &batches {
                    out.write(batch).map_err(|error| error.to_string())?;
                }
                out.close().map_err(|error| error.to_string())?;
                file.sync_all().map_err(|error| error.to_string())?;
                part::publish(&growing, &path).map_err(|error| error.to_string())
            };
            write().map_err(|error| ArchiveError::new(&path, &error))?;
            self.next_part += 1;
        }
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

fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// JSON lines, one file a day.
#[derive(Debug)]
struct Log {
    folder: PathBuf,
    open: Option<(String, BufWriter<File>)>,
}

impl Log {
    /// Takes back what is beyond the mark; everything, if there was no line then.
    fn take_back(&mut self, mark: Option<&(String, u64)>) -> Result<(), ArchiveError> {
        for path in entries(&self.folder)? {
            let failed = |error: &std::io::Error| ArchiveError::new(&path, error);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            match mark {
                Some((day, _)) if *stem < **day => {}
                Some((day, length)) if *stem == **day => {
                    let file = OpenOptions::new().write(true).open(&path);
                    let file = file.map_err(|error| failed(&error))?;
                    file.set_len(*length).map_err(|error| failed(&error))?;
                }
                _ => fs::remove_file(&path).map_err(|error| failed(&error))?,
            }
        }
        mark.map_or(Ok(()), |(day, _)| self.turn_to(day))
    }

    fn turn_to(&mut self, day: &str) -> Result<(), ArchiveError> {
        self.mark()?;
        let path = self.path(day);
        let file = fs::create_dir_all(&self.folder)
            .and_then(|()| OpenOptions::new().append(true).create(true).open(&path));
        let file = file.map_err(|error| ArchiveError::new(&path, &error))?;
        self.open = Some((day.to_owned(), BufWriter::new(file)));
        Ok(())
    }

    fn path(&self, day: &str) -> PathBuf {
        self.folder.join(format!("{day}.ndjson"))
    }

    fn push(&mut self, time: Timestamp, line: &str) -> Result<(), ArchiveError> {
        // A clock that is set back over midnight goes on in the newer file.
        let new = day(time);
        if self.open.as_ref().is_none_or(|(day, _)| *day < new) {
            self.turn_to(&new)?;
        }
        let path = self.folder.clone();
        let Some((_, out)) = &mut self.open else { return Ok(()) };
        writeln!(out, "{line}").map_err(|error| ArchiveError::new(&path, &error))
    }

    fn mark(&mut self) -> Result<Option<(String, u64)>, ArchiveError> {
        let path = self.folder.clone();
        let Some((day, out)) = &mut self.open else { return Ok(None) };
        let length = out.flush().and_then(|()| {
            out.get_ref().sync_all()?;
            Ok(out.get_ref().metadata()?.len())
        });
        let length = length.map_err(|error| ArchiveError::new(&path, &error))?;
        Ok(Some((day.clone(), length)))
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
            payload: json!({"ts": ts}),
            qos: 1,
            retain: true,
            expiry: None,
        }
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
        let mut archive = GrowingArchive::open(folder.path()).unwrap();
        first(&mut archive);
        let mark = archive.mark().unwrap();
        second(&mut archive);
        archive.mark().unwrap();
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

        let mut archive = GrowingArchive::open(folder.path()).unwrap();
        archive.take_back(&mark).unwrap();
        assert_eq!(files(folder.path()).len(), 2);
        second(&mut archive);
        archive.mark().unwrap();
        drop(archive);
        assert_eq!(files(folder.path()), whole);

        let mut archive = GrowingArchive::open(folder.path()).unwrap();
        archive.take_back(&ArchiveMark::default()).unwrap();
        assert_eq!(files(folder.path()), []);
    }

    #[test]
    fn without_a_mark_it_goes_on_after_what_is_there() {
        let folder = TempDir::new().unwrap();
        for _ in 0..2 {
            let mut archive = GrowingArchive::open(folder.path()).unwrap();
            archive.window(&window("2008-11-11T07:00:00Z"), "m").unwrap();
            archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
            archive.mark().unwrap();
        }
        let found = files(folder.path());
        assert_eq!(found.len(), 3);
        assert_eq!(String::from_utf8_lossy(&found[0].1).lines().count(), 2);
    }
}

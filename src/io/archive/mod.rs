//! Files of a run: windows, directions, dead letters, late readings.
//!
//! | file | holds |
//! |---|---|
//! | `windows.parquet` | the rows of all windows: `window` (its name), `start`, `end`, `revision`, `segment`, `vehicles`, `speed_kmh`, `occupancy_pct`, and `extra`, a JSON object of the query's other columns |
//! | `directions.ndjson` | one line a publication: `ts`, `topic`, `payload` |
//! | `dead.ndjson` | one line a dead letter: `received_at`, `topic`, `reason`, `source`, `detail`, `payload` |
//! | `late.ndjson` | one line a late reading: `received_at`, `event_time`, `watermark`, `topic`, `payload` |
//!
//! Every window has its own result columns; one file for all of them needs the long form. The
//! payloads of dead and late messages are strings of their bytes (`payload_hex` when they are no
//! UTF-8). The same run gives the same bytes. Files carry `.part` in their names until `finish`.
//!
//! That is a replay's archive. A live run's grows for months and goes on after a crash: see
//! [`GrowingArchive`].

mod compare;
mod form;
mod growing;
mod lines;
mod read;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value};

use super::room::is_full;
use super::{columnar, part, payload};
use crate::batch::WindowBatch;
use crate::domain::refusal::{DeadLetter, LateReading};
use crate::ports::Publication;

pub use compare::{Cell, Comparison, Count, DirectionDifference, WindowDifference, compare};
pub use growing::{ArchiveMark, ArchiveStats, GrowingArchive};
pub use read::{DirectionLine, Directions, ReadError, Windows, is_run, windows_schema};

/// The archive cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: the archive cannot be written: {reason}", path.display())]
pub struct ArchiveError {
    path: PathBuf,
    reason: String,
    /// There is no room, and nothing else is wrong.
    full: bool,
}

impl ArchiveError {
    fn new(path: &Path, reason: &dyn Display) -> Self {
        Self { path: path.to_owned(), reason: reason.to_string(), full: false }
    }

    fn of_disk(path: &Path, error: &io::Error) -> Self {
        Self { full: is_full(error), ..Self::new(path, error) }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        "check that the folder may be written to and that the disk has room, or name another folder"
            .to_owned()
    }
}

/// What the events of a run are written to.
pub trait RunFiles {
    /// Adds a closed window's result under the window's name in the pipeline.
    fn window(&mut self, batch: &WindowBatch, name: &str) -> Result<(), ArchiveError>;
    fn publication(&mut self, publication: &Publication) -> Result<(), ArchiveError>;
    fn dead(&mut self, letter: &DeadLetter) -> Result<(), ArchiveError>;
    fn late(&mut self, reading: &LateReading) -> Result<(), ArchiveError>;
}

/// The open files of a replay.
#[derive(Debug)]
pub struct Archive {
    windows_file: Place,
    windows: ArrowWriter<BufWriter<File>>,
    schema: SchemaRef,
    directions: Lines,
    dead: Lines,
    late: Lines,
}

impl Archive {
    /// Makes the folder and opens the files. Files of an earlier run stay until `finish`.
    pub fn create(folder: &Path) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|error| ArchiveError::new(folder, &error))?;
        let schema = form::schema();
        let (windows_file, out) = Place::open(folder, "windows", ".parquet")?;
        let windows = ArrowWriter::try_new(out, Arc::clone(&schema), Some(columnar::properties()))
            .map_err(|error| windows_file.failed(&error))?;
        Ok(Self {
            windows_file,
            windows,
            schema,
            directions: Lines::open(folder, "directions")?,
            dead: Lines::open(folder, "dead")?,
            late: Lines::open(folder, "late")?,
        })
    }

    /// Completes all files under their own names.
    pub fn finish(self) -> Result<(), ArchiveError> {
        let Self { windows_file, windows, directions, dead, late, .. } = self;
        let closed = windows
            .into_inner()
            .map_err(|error| error.to_string())
            .and_then(|mut out| out.flush().map_err(|error| error.to_string()));
        closed.map_err(|error| windows_file.failed(&error))?;
        windows_file.publish()?;
        directions.finish()?;
        dead.finish()?;
        late.finish()
    }
}

impl RunFiles for Archive {
    fn window(&mut self, batch: &WindowBatch, name: &str) -> Result<(), ArchiveError> {
        let rows = form::long_form(&self.schema, batch, name)
            .map_err(|error| self.windows_file.failed(&error))?;
        self.windows.write(&rows).map_err(|error| self.windows_file.failed(&error))
    }

    fn publication(&mut self, publication: &Publication) -> Result<(), ArchiveError> {
        self.directions.push(&direction_line(publication))
    }

    fn dead(&mut self, letter: &DeadLetter) -> Result<(), ArchiveError> {
        self.dead.push(&dead_line(letter))
    }

    fn late(&mut self, reading: &LateReading) -> Result<(), ArchiveError> {
        self.late.push(&late_line(reading))
    }
}

fn direction_line(publication: &Publication) -> String {
    let mut line = line(vec![
        ("ts", publication.ts.to_string().into()),
        ("topic", publication.topic.as_str().into()),
    ]);
    // As it was sent: what is read and written again may come out otherwise.
    line.truncate(line.len() - 1);
    let payload = Some(publication.payload.as_str()).filter(|text| !text.is_empty());
    line + ",\"payload\":" + payload.unwrap_or("null") + "}"
}

fn dead_line(letter: &DeadLetter) -> String {
    let refusal = &letter.refusal;
    line(vec![
        ("received_at", letter.received_at.to_string().into()),
        ("topic", letter.topic.as_str().into()),
        ("reason", refusal.reason.word().into()),
        ("source", refusal.source.as_deref().into()),
        ("detail", refusal.detail.as_str().into()),
        payload::text_member(&letter.payload),
    ])
}

fn late_line(reading: &LateReading) -> String {
    line(vec![
        ("received_at", reading.received_at.to_string().into()),
        ("event_time", reading.event_time.to_string().into()),
        ("watermark", reading.watermark.to_string().into()),
        ("topic", reading.topic.as_str().into()),
        payload::text_member(&reading.payload),
    ])
}

fn line(members: Vec<(&str, Value)>) -> String {
    let object: Map<_, _> =
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(object).to_string()
}

/// A file's name now and later.
#[derive(Debug)]
struct Place {
    part: PathBuf,
    target: PathBuf,
}

impl Place {
    fn open(
        folder: &Path,
        stem: &str,
        extension: &str,
    ) -> Result<(Self, BufWriter<File>), ArchiveError> {
        let target = folder.join(format!("{stem}{extension}"));
        let part = part::path(&target, extension, extension);
        let file = File::create(&part).map_err(|error| ArchiveError::new(&part, &error))?;
        Ok((Self { part, target }, BufWriter::new(file)))
    }

    fn publish(&self) -> Result<(), ArchiveError> {
        part::publish(&self.part, &self.target).map_err(|error| self.failed(&error))
    }

    fn failed(&self, reason: &dyn Display) -> ArchiveError {
        ArchiveError::new(&self.target, reason)
    }
}

/// A file of JSON lines.
#[derive(Debug)]
struct Lines {
    place: Place,
    out: BufWriter<File>,
}

impl Lines {
    fn open(folder: &Path, stem: &str) -> Result<Self, ArchiveError> {
        let (place, out) = Place::open(folder, stem, ".ndjson")?;
        Ok(Self { place, out })
    }

    fn push(&mut self, line: &str) -> Result<(), ArchiveError> {
        writeln!(self.out, "{line}").map_err(|error| self.place.failed(&error))
    }

    fn finish(mut self) -> Result<(), ArchiveError> {
        self.out.flush().map_err(|error| self.place.failed(&error))?;
        self.place.publish()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, StringArray};
    use arrow::datatypes::Float64Type;
    use arrow::record_batch::RecordBatch;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::json;
    use std::sync::Arc;
    use tempfile::TempDir;

    use super::*;
    use crate::batch::{SEGMENT, SPEED_KMH, VEHICLES};
    use crate::domain::refusal::{DeadReason, Refusal};
    use crate::domain::time::Timestamp;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn fill(folder: &Path) {
        let mut archive = Archive::create(folder).unwrap();
        let minute = WindowBatch {
            window: 0,
            start: time("2008-11-11T07:00:00Z"),
            end: time("2008-11-11T07:01:00Z"),
            revision: 1,
            rows: RecordBatch::try_from_iter([
                (SEGMENT, Arc::new(StringArray::from(vec!["a1", "a2"])) as ArrayRef),
                (VEHICLES, Arc::new(Int32Array::from(vec![Some(7), None]))),
                (SPEED_KMH, Arc::new(Float64Array::from(vec![Some(31.25), None]))),
                ("worst", Arc::new(Float64Array::from(vec![f64::NAN, 2.5]))),
                ("wet", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ])
            .unwrap(),
        };
        archive.window(&minute, "segment_minute").unwrap();
        let other = WindowBatch {
            window: 1,
            revision: 2,
            rows: RecordBatch::try_from_iter([(
                SEGMENT,
                Arc::new(StringArray::from(vec!["a3"])) as ArrayRef,
            )])
            .unwrap(),
            ..minute
        };
        archive.window(&other, "other").unwrap();
        archive
            .publication(&Publication {
                ts: time("2008-11-11T07:01:00Z"),
                topic: "d/sign/1".into(),
                payload: json!({"state": "show", "a": 1}).into(),
                qos: 1,
                retain: true,
                expiry: None,
            })
            .unwrap();
        for payload in [&b"{\"v\": 1,"[..], b"\xff"] {
            archive
                .dead(&DeadLetter {
                    received_at: time("2008-11-11T07:01:00Z"),
                    topic: "t".into(),
                    payload: payload.to_vec(),
                    refusal: Refusal {
                        reason: DeadReason::NotJson,
                        source: None,
                        detail: "broken".into(),
                    },
                })
                .unwrap();
        }
        archive
            .late(&LateReading {
                received_at: time("2008-11-11T07:05:00Z"),
                event_time: time("2008-11-11T07:01:00Z"),
                watermark: time("2008-11-11T07:04:00Z"),
                topic: "t".into(),
                payload: b"{}".to_vec(),
            })
            .unwrap();
        assert!(
            folder.join("dead.part.ndjson").exists(),
            "nothing half-written under its own name"
        );
        archive.finish().unwrap();
    }

    #[test]
    fn writes_each_kind_to_its_file_the_same_bytes_every_time() {
        let folder = TempDir::new().unwrap();
        let (first, second) = (folder.path().join("a/b"), folder.path().join("c"));
        fill(&first);
        fill(&second);
        fill(&second);
        let mut names = Vec::new();
        for entry in fs::read_dir(&first).unwrap() {
            let name = entry.unwrap().file_name();
            assert_eq!(
                fs::read(first.join(&name)).unwrap(),
                fs::read(second.join(&name)).unwrap(),
                "{}",
                name.display()
            );
            names.push(name.into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["dead.ndjson", "directions.ndjson", "late.ndjson", "windows.parquet"]);
        let text = |name: &str| fs::read_to_string(first.join(name)).unwrap();
        assert_eq!(
            text("directions.ndjson"),
            "{\"ts\":\"2008-11-11T07:01:00.000Z\",\"topic\":\"d/sign/1\",\
             \"payload\":{\"state\":\"show\",\"a\":1}}\n"
        );
        assert_eq!(
            text("dead.ndjson"),
            "{\"received_at\":\"2008-11-11T07:01:00.000Z\",\"topic\":\"t\",\"reason\":\"not_json\",\
             \"source\":null,\"detail\":\"broken\",\"payload\":\"{\\\"v\\\": 1,\"}\n\
             {\"received_at\":\"2008-11-11T07:01:00.000Z\",\"topic\":\"t\",\"reason\":\"not_json\",\
             \"source\":null,\"detail\":\"broken\",\"payload_hex\":\"ff\"}\n"
        );
        assert_eq!(
            text("late.ndjson"),
            "{\"received_at\":\"2008-11-11T07:05:00.000Z\",\
             \"event_time\":\"2008-11-11T07:01:00.000Z\",\
             \"watermark\":\"2008-11-11T07:04:00.000Z\",\"topic\":\"t\",\"payload\":\"{}\"}\n"
        );
    }

    #[test]
    fn windows_of_different_columns_share_one_file() {
        let folder = TempDir::new().unwrap();
        fill(folder.path());
        let file = File::open(folder.path().join("windows.parquet")).unwrap();
        let batches: Vec<_> = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
        let text = |name: &str| {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>().clone();
            column.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(text("window")[2].as_deref(), Some("other"));
        assert_eq!(text(SEGMENT)[1].as_deref(), Some("a2"));
        assert_eq!(
            text("extra"),
            [
                Some("{\"worst\":null,\"wet\":true}".to_owned()),
                Some("{\"worst\":2.5,\"wet\":null}".to_owned()),
                None
            ]
        );
        let vehicles = batch.column_by_name(VEHICLES).unwrap();
        assert!((vehicles.as_primitive::<Float64Type>().value(0) - 7.0).abs() < f64::EPSILON);
        assert!(vehicles.is_null(1) && vehicles.is_null(2));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said_by_name() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = Archive::create(&file.join("out")).unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert!(error.help().contains("folder"));
    }
}

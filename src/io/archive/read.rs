//! Reads the windows and directions of a run back, from a replay's folder and from a live unit's.
//!
//! Windows come as record batches in the order of the parts, directions as lines in the order of
//! the days. Nothing is held but one batch or one line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::super::columnar::caught;
use super::growing::{self, entries};
use super::{ArchiveError, form};

const WINDOWS: &str = "windows.parquet";
const DIRECTIONS: &str = "directions.ndjson";

/// A run that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: the run cannot be read: {reason}", path.display())]
pub struct ReadError {
    path: PathBuf,
    reason: String,
}

impl ReadError {
    fn new(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self { path: path.to_owned(), reason: reason.to_string() }
    }
}

impl From<ArchiveError> for ReadError {
    fn from(ArchiveError { path, reason, .. }: ArchiveError) -> Self {
        Self { path, reason }
    }
}

/// Whether a folder holds what a replay or a live unit writes.
pub fn is_run(folder: &Path) -> bool {
    is_replay(folder) || folder.join("windows").is_dir() || folder.join("directions").is_dir()
}

fn is_replay(folder: &Path) -> bool {
    folder.join(WINDOWS).is_file() || folder.join(DIRECTIONS).is_file()
}

fn expect_run(folder: &Path) -> Result<(), ReadError> {
    if is_run(folder) {
        return Ok(());
    }
    Err(ReadError::new(
        folder,
        "the folder holds neither windows.parquet and directions.ndjson of a replay nor windows/ \
         and directions/ of a live unit",
    ))
}

/// The columns of the windows of every run.
pub fn windows_schema() -> SchemaRef {
    form::schema()
}

/// The windows of a run, batch by batch. After an error it ends.
pub struct Windows {
    files: VecDeque<PathBuf>,
    open: Option<(PathBuf, ParquetRecordBatchReader)>,
    schema: SchemaRef,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Windows {
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        expect_run(folder)?;
        let files = if is_replay(folder) {
            // A replay always writes both files.
            VecDeque::from([folder.join(WINDOWS)])
        } else {
            growing::parts(folder)?.into_iter().map(|(_, path)| path).collect()
        };
        Ok(Self { files, open: None, schema: form::schema() })
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        loop {
            if let Some((path, batches)) = &mut self.open {
                let failed = |reason: String| ReadError::new(path, reason);
                match caught(|| batches.next().transpose()).map_err(failed)? {
                    Some(batch) => return in_form(&self.schema, &batch).map_err(failed).map(Some),
                    None => self.open = None,
                }
            }
            let Some(path) = self.files.pop_front() else { return Ok(None) };
            let file = File::open(&path).map_err(|error| ReadError::new(&path, error))?;
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let batches = caught(|| {
                ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?.build()
            });
            let batches = batches.map_err(|reason| ReadError::new(&path, reason))?;
            self.open = Some((path, batches));
        }
    }
}

impl Iterator for Windows {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch();
        if batch.is_err() {
            self.open = None;
            self.files.clear();
        }
        batch.transpose()
    }
}

/// The rows in exactly the columns of the long form.
fn in_form(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, String> {
    let column = |name: &String, kind| -> Result<ArrayRef, String> {
        let array = rows.column_by_name(name);
        let array = array.ok_or_else(|| format!("the column `{name}` is missing"))?;
        cast(array, kind).map_err(|error| format!("column `{name}`: {error}"))
    };
    let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type()));
    RecordBatch::try_new(SchemaRef::clone(schema), columns.collect::<Result<_, _>>()?)
        .map_err(|error| error.to_string())
}

/// One line of directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectionLine {
    /// Over all days of the run, from 1.
    pub number: u64,
    pub text: String,
}

/// The directions of a run, line by line. After an error it ends.
pub struct Directions {
    files: VecDeque<PathBuf>,
    open: Option<(PathBuf, BufReader<File>)>,
    /// A unit may be writing the last line just now.
    growing: bool,
    number: u64,
}

impl std::fmt::Debug for Directions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directions").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Directions {
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        expect_run(folder)?;
        let growing = !is_replay(folder);
        let files = if growing {
            let mut days = entries(&folder.join("directions"))?;
            days.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
            days.sort();
            days.into()
        } else {
            VecDeque::from([folder.join(DIRECTIONS)])
        };
        Ok(Self { files, open: None, growing, number: 0 })
    }

    fn line(&mut self) -> Result<Option<DirectionLine>, ReadError> {
        loop {
            if let Some((path, input)) = &mut self.open {
                let mut text = String::new();
                let failed = |error| ReadError::new(path, format!("{error}"));
                if input.read_line(&mut text).map_err(failed)? == 0 {
                    self.open = None;
                    continue;
                }
                if text.pop() != Some('\n') {
                    let reason = "the last line breaks off";
                    if !self.growing {
                        return Err(ReadError::new(path, reason));
                    }
                    tracing::warn!("{}: {reason} and is left out", path.display());
                    continue;
                }
                self.number += 1;
                return Ok(Some(DirectionLine { number: self.number, text }));
            }
            let Some(path) = self.files.pop_front() else { return Ok(None) };
            let file = File::open(&path).map_err(|error| ReadError::new(&path, error))?;
            self.open = Some((path, BufReader::new(file)));
        }
    }
}

impl Iterator for Directions {
    type Item = Result<DirectionLine, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line();
        if line.is_err() {
            self.open = None;
            self.files.clear();
        }
        line.transpose()
    }
}

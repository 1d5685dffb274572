//! Reads a recording entry by entry, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::super::journal::{Cut, SEGMENT};
use super::folder::Folder;
use super::rows::Rows;
use super::{Form, MAX_LINE_BYTES, Record, RecordingError, line};

/// How much of a line that is too long is kept to show.
const KEPT_OF_LONG_LINE: usize = 64 << 10;

/// What stands at one place of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Record(Record),
    /// No record: the line or row number (from 1), why, and its bytes (the first 64 KiB of a line
    /// that is too long).
    Corrupt {
        number: u64,
        reason: String,
        bytes: Vec<u8>,
    },
}

/// The entries of a recording: a file or a folder. After an error it ends.
pub struct Reader {
    path: PathBuf,
    body: Body,
    records: u64,
    ended: bool,
}

enum Body {
    Lines { input: Box<dyn BufRead + Send>, number: u64 },
    Rows(Box<Rows>),
    Folder(Box<Folder>),
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let open = |source| RecordingError::Open { path: path.to_owned(), source };
        let is_segment = path.extension().is_some_and(|extension| extension == SEGMENT);
        if is_segment || path.is_dir() {
            let folder = if is_segment { Folder::of_segment(path) } else { Folder::open(path) };
            let body = Body::Folder(Box::new(folder.map_err(open)?));
            return Ok(Self { path: path.to_owned(), body, records: 0, ended: false });
        }
        let form = Form::of(path)?;
        let file = File::open(path).map_err(open)?;
        let lines = |input: Box<dyn BufRead + Send>| Body::Lines { input, number: 0 };
        let body = match form {
            Form::Ndjson => lines(Box::new(BufReader::new(file))),
            Form::NdjsonGz => {
                lines(Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file)))))
            }
            Form::Parquet => Body::Rows(Box::new(Rows::open(file).map_err(|reason| {
                RecordingError::Parquet { path: path.to_owned(), records: 0, reason }
            })?)),
        };
        Ok(Self { path: path.to_owned(), body, records: 0, ended: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// At the end of a journal: a write that is not complete. A reader passes over it in silence,
    /// since the unit that writes may still be at it.
    pub(super) fn torn(&self) -> Option<&Cut> {
        match &self.body {
            Body::Folder(folder) => folder.torn(),
            Body::Lines { .. } | Body::Rows(_) => None,
        }
    }

    fn entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        let broken_off = |source| RecordingError::BrokenOff {
            path: self.path.clone(),
            records: self.records,
            source,
        };
        match &mut self.body {
            Body::Lines { input, number } => next_line(input, number).map_err(broken_off),
            Body::Folder(folder) => folder.next().map_err(broken_off),
            Body::Rows(rows) => rows.next().map_err(|reason| RecordingError::Parquet {
                path: self.path.clone(),
                records: self.records,
                reason,
            }),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry().transpose();
        match &entry {
            Some(Ok(Entry::Record(_))) => self.records += 1,
            Some(Ok(Entry::Corrupt { .. })) => {}
            Some(Err(_)) | None => self.ended = true,
        }
        entry
    }
}

/// The entry of the next line that is not blank.
fn next_line(input: &mut Box<dyn BufRead + Send>, number: &mut u64) -> io::Result<Option<Entry>> {
    loop {
        let mut text = Vec::new();
        let limit = MAX_LINE_BYTES as u64 + 1;
        if input.by_ref().take(limit).read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        *number += 1;
        if text.len() > MAX_LINE_BYTES && text.last() != Some(&b'\n') {
            let rest = skip_line(input)?;
            let reason = format!(
                "{} bytes in one line; at most {MAX_LINE_BYTES} are taken",
                text.len() as u64 + rest
            );
            text.truncate(KEPT_OF_LONG_LINE);
            return Ok(Some(Entry::Corrupt { number: *number, reason, bytes: text }));
        }
        while matches!(text.last(), Some(b'\n' | b'\r')) {
            text.pop();
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        return Ok(Some(match line::parse(&text) {
            Ok(record) => Entry::Record(record),
            Err(reason) => Entry::Corrupt { number: *number, reason, bytes: text },
        }));
    }
}

/// Reads to the end of the line without keeping it; how many bytes that were.
fn skip_line(input: &mut Box<dyn BufRead + Send>) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let block = input.fill_buf()?;
        let (length, found) = match block.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (block.len(), false),
        };
        input.consume(length);
        skipped += length as u64;
        if found || length == 0 {
            return Ok(skipped);
        }
    }
}

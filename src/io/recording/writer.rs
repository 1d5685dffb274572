//! Writes recordings.
//!
//! While it grows, a recording is NDJSON under a name with `.part` in it, also when Parquet was
//! asked for: whatever ends the process, what was flushed can be read. Its own name appears when
//! it is complete.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::part;
use super::rows::RowWriter;
use super::{Entry, Form, Reader, Record, RecordingError, line};
use crate::ports::Message;

/// A gzip stream is brought to a readable point after so many messages.
const MESSAGES_A_FLUSH: u64 = 256;

/// A recording that is being written.
#[derive(Debug)]
pub struct RecordingWriter {
    target: PathBuf,
    form: Form,
    growing: PathBuf,
    out: Out,
    records: u64,
}

#[derive(Debug)]
enum Out {
    Plain(BufWriter<File>),
    Gz(Box<GzEncoder<BufWriter<File>>>),
}

impl RecordingWriter {
    /// Starts a recording; never over one that is there, finished or broken off.
    pub fn create(target: &Path) -> Result<Self, RecordingError> {
        let (form, extension) = Form::split(target)?;
        let zipped = form == Form::NdjsonGz;
        let kept = if form == Form::Parquet { ".ndjson" } else { extension };
        let growing = part::path(target, extension, kept);
        if target.exists() {
            return Err(RecordingError::Exists { path: target.to_owned() });
        }
        let file =
            OpenOptions::new().write(true).create_new(true).open(&growing).map_err(|error| {
                if error.kind() == std::io::ErrorKind::AlreadyExists {
                    RecordingError::Exists { path: growing.clone() }
                } else {
                    write_error(&growing, &error)
                }
            })?;
        let out = BufWriter::new(file);
        let out = if zipped {
            Out::Gz(Box::new(GzEncoder::new(out, Compression::default())))
        } else {
            Out::Plain(out)
        };
        Ok(Self { target: target.to_owned(), form, growing, out, records: 0 })
    }

    /// Adds a message as it was received.
    pub fn write(&mut self, message: &Message) -> Result<(), RecordingError> {
        self.push(&Record::received(message.clone()))
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record) -> Result<(), RecordingError> {
        let mut text = line::write(record);
        text.push('\n');
        let written = match &mut self.out {
            Out::Plain(out) => out.write_all(text.as_bytes()),
            Out::Gz(out) => out.write_all(text.as_bytes()),
        };
        written.map_err(|error| write_error(&self.growing, &error))?;
        self.records += 1;
        if self.records.is_multiple_of(MESSAGES_A_FLUSH) { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the operating system, in a state that can be read.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        match &mut self.out {
            Out::Plain(out) => out.flush(),
            Out::Gz(out) => out.flush(),
        }
        .map_err(|error| write_error(&self.growing, &error))
    }

    /// Messages written so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Where the messages are until the recording is finished.
    pub fn growing(&self) -> &Path {
        &self.growing
    }

    /// Completes the recording under its own name; how many messages it holds.
    pub fn finish(self) -> Result<u64, RecordingError> {
        let Self { target, form, growing, out, records } = self;
        let failed = |error| write_error(&growing, &error);
        match out {
            Out::Plain(mut out) => out.flush().map_err(failed)?,
            Out::Gz(out) => out.finish().and_then(|mut out| out.flush()).map_err(failed)?,
        }
        if form == Form::Parquet {
            let columns = part::path(&target, ".parquet", ".parquet");
            to_parquet(Reader::open(&growing)?, &columns, |_| {})?;
            part::publish(&columns, &target).map_err(|error| write_error(&target, &error))?;
            fs::remove_file(&growing).map_err(failed)?;
        } else {
            part::publish(&growing, &target).map_err(|error| write_error(&target, &error))?;
        }
        Ok(records)
    }
}

/// What a conversion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    pub records: u64,
    /// Lines or rows that were no records; they stay behind in the old file.
    pub corrupt: u64,
}

/// Writes a recording in another form, by the extension of `to`.
pub fn convert(from: &Path, to: &Path) -> Result<Converted, RecordingError> {
    let mut done = Converted::default();
    let reader = Reader::open(from)?;
    if Form::of(to)? == Form::Parquet {
        if to.exists() {
            return Err(RecordingError::Exists { path: to.to_owned() });
        }
        let columns = part::path(to, ".parquet", ".parquet");
        done.records = to_parquet(reader, &columns, |_| done.corrupt += 1)?;
        part::publish(&columns, to).map_err(|error| write_error(to, &error))?;
        return Ok(done);
    }
    let mut writer = RecordingWriter::create(to)?;
    for entry in reader {
        match entry? {
            Entry::Record(record) => writer.push(&record)?,
            Entry::Corrupt { .. } => done.corrupt += 1,
        }
    }
    done.records = writer.finish()?;
    Ok(done)
}

/// Writes the records of `reader` to a Parquet file; how many.
fn to_parquet(
    reader: Reader,
    target: &Path,
    mut corrupt: impl FnMut(&Entry),
) -> Result<u64, RecordingError> {
    let failed = |reason: String| write_error(target, &reason);
    let file = File::create(target).map_err(|error| failed(error.to_string()))?;
    let mut writer = RowWriter::new(file).map_err(failed)?;
    let mut records = 0;
    for entry in reader {
        match entry? {
            Entry::Record(record) => {
                writer.push(&record).map_err(failed)?;
                records += 1;
            }
            other @ Entry::Corrupt { .. } => corrupt(&other),
        }
    }
    writer.finish().map_err(failed)?;
    Ok(records)
}

fn write_error(path: &Path, reason: &dyn Display) -> RecordingError {
    RecordingError::Write { path: path.to_owned(), reason: reason.to_string() }
}

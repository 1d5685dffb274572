//! What is in a recording, whether it is whole, and what of it can be saved.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::super::journal;
use super::{Entry, Form, Reader, Record, RecordingError, RecordingWriter};
use crate::domain::time::Timestamp;

/// A place in a recording that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Line, row or position, from 1; 0 where the whole file is meant.
    pub number: u64,
    pub reason: String,
}

/// A stretch of receive time without a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Silence {
    pub from: Timestamp,
    pub to: Timestamp,
    pub seconds: f64,
}

/// What a recording holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    pub form: &'static str,
    pub files: u64,
    pub bytes: u64,
    pub messages: u64,
    /// The earliest and the latest receive time.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Messages by topic.
    pub topics: BTreeMap<String, u64>,
    pub gaps: Vec<Silence>,
    /// What is no message.
    pub damage: Vec<Place>,
}

/// Reads a recording, file or folder, to its end. Longer silences than `gap` are listed.
pub fn info(path: &Path, gap: Duration) -> Result<Info, RecordingError> {
    let reader = Reader::open(path)?;
    let (files, bytes) =
        size(path).map_err(|source| RecordingError::Open { path: path.to_owned(), source })?;
    let mut info = Info {
        form: form(path)?,
        files,
        bytes,
        messages: 0,
        first: None,
        last: None,
        topics: BTreeMap::new(),
        gaps: Vec::new(),
        damage: Vec::new(),
    };
    let mut before: Option<Timestamp> = None;
    for entry in reader {
        let Record { ts, published, topic, .. } = match entry {
            Ok(Entry::Record(record)) => record,
            Ok(Entry::Corrupt { number, reason, .. }) => {
                info.damage.push(Place { number, reason });
                continue;
            }
            Err(error) => {
                info.damage.push(Place { number: 0, reason: error.to_string() });
                continue;
            }
        };
        let time = published.unwrap_or(ts);
        info.messages += 1;
        info.first = Some(info.first.map_or(time, |first| first.min(time)));
        info.last = Some(info.last.map_or(time, |last| last.max(time)));
        if let Some(before) = before
            && time.since(before) > gap
        {
            let seconds = time.since(before).as_secs_f64();
            info.gaps.push(Silence { from: before, to: time, seconds });
        }
        before = Some(time);
        match info.topics.get_mut(&topic) {
            Some(count) => *count += 1,
            None => drop(info.topics.insert(topic, 1)),
        }
    }
    Ok(info)
}

/// Reads every byte that has a checksum, a length or a form: messages that are whole, and the places
/// that are not.
pub fn verify(path: &Path) -> Result<(u64, Vec<Place>), RecordingError> {
    let (mut messages, mut places) = (0, Vec::new());
    let mut reader = Reader::open(path)?;
    for entry in reader.by_ref() {
        match entry {
            Ok(Entry::Record(_)) => messages += 1,
            Ok(Entry::Corrupt { number, reason, .. }) => places.push(Place { number, reason }),
            Err(error) => places.push(Place { number: 0, reason: error.to_string() }),
        }
    }
    if let Some(cut) = reader.torn() {
        places.push(Place { number: 0, reason: cut.to_string() });
    }
    let open = |source| RecordingError::Open { path: path.to_owned(), source };
    if path.is_dir() {
        for file in journal::snapshots(path).map_err(open)? {
            if journal::read_snapshot(&file.path).map_err(open)?.is_none() {
                let reason = format!("{}: the snapshot does not verify", file.path.display());
                places.push(Place { number: file.position, reason });
            }
        }
        for (file, _) in journal::damaged(path).map_err(open)? {
            let reason = format!("{}: was set aside because it is damaged", file.display());
            places.push(Place { number: 0, reason });
        }
    }
    Ok((messages, places))
}

/// What came of a repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    pub messages: u64,
    /// What could not be saved.
    pub lost: Vec<Place>,
}

/// Writes the messages of a recording that can be read to a new one. The old one stays as it is.
pub fn repair(path: &Path, out: &Path) -> Result<Repaired, RecordingError> {
    let reader = Reader::open(path)?;
    if is_inside(out, path) {
        let reason = "it lies inside what is to be repaired, which stays as it is".to_owned();
        return Err(RecordingError::Write { path: out.to_owned(), reason });
    }
    let mut writer = RecordingWriter::create(out)?;
    let mut lost = Vec::new();
    for entry in reader {
        match entry {
            Ok(Entry::Record(record)) => writer.push(&record)?,
            Ok(Entry::Corrupt { number, reason, .. }) => lost.push(Place { number, reason }),
            Err(error) => lost.push(Place { number: 0, reason: error.to_string() }),
        }
    }
    Ok(Repaired { messages: writer.finish()?, lost })
}

fn is_inside(out: &Path, path: &Path) -> bool {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.is_dir() && real(folder.unwrap_or(Path::new("."))).starts_with(real(path))
}

fn form(path: &Path) -> Result<&'static str, RecordingError> {
    if path.is_dir() {
        let open = |source| RecordingError::Open { path: path.to_owned(), source };
        let segments = journal::segments(path).map_err(open)?;
        let journal = !segments.is_empty() || path.join(journal::RECORDINGS).is_dir();
        return Ok(if journal { "journal" } else { "folder of Parquet files" });
    }
    if path.extension().is_some_and(|extension| extension == journal::SEGMENT) {
        return Ok("journal segment");
    }
    Ok(match Form::of(path)? {
        Form::Ndjson => "NDJSON",
        Form::NdjsonGz => "NDJSON.gz",
        Form::Parquet => "Parquet",
    })
}

/// Number and size of the files that hold messages.
fn size(path: &Path) -> io::Result<(u64, u64)> {
    if !path.is_dir() {
        return Ok((1, path.metadata()?.len()));
    }
    let segments = journal::segments(path)?.into_iter().map(|file| file.bytes);
    let parquet = journal::hive_files(path)?.into_iter().map(|file| file.bytes);
    Ok(segments.chain(parquet).fold((0, 0), |(files, all), bytes| (files + 1, all + bytes)))
}

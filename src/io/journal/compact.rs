//! From a closed segment to recordings: Parquet files by the hour of receipt, each with the
//! positions of its messages in its name.
//!
//! A crash in between leaves neither loss nor doubles: files get their names when they are whole,
//! the segment goes after all of them, the same segment gives the same names, and who reads the
//! folder leaves out files whose segment is still there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::shelf::{self, PART, SegmentFile};
use super::{Chain, CutReason, Entry, JournalOptions, Medium, MediumFile, Piece, open};
use super::{Cut, Position};
use crate::domain::time::Timestamp;
use crate::io::recording::{Record, RowWriter};
use crate::ports::Message;

const HOUR: Duration = Duration::from_hours(1);

/// Makes recordings of the segment and removes it; what of it could not be read. A segment with
/// damage is set aside instead.
pub(super) fn segment(
    options: &JournalOptions,
    file: &SegmentFile,
    next: &SegmentFile,
) -> Result<Vec<Cut>, String> {
    let made = make_recordings(options, file, next);
    if made.is_err() {
        // Half a file would only take room.
        for part in shelf::recording_parts(&options.dir).unwrap_or_default() {
            options.medium.remove(&part).map_err(|error| said(&part, &error))?;
        }
    }
    made
}

fn make_recordings(
    options: &JournalOptions,
    file: &SegmentFile,
    next: &SegmentFile,
) -> Result<Vec<Cut>, String> {
    let read = |error: std::io::Error| format!("{}: {error}", file.path.display());
    // The next one's header says what this one should have held.
    let files = vec![file.clone(), next.clone()];
    let mut chain = Chain::new(files, Some(file.position.saturating_sub(1)));
    let mut open: Option<Hour<'_>> = None;
    let mut cuts = Vec::new();
    while let Some(piece) = chain.next().map_err(&read)? {
        match piece {
            Piece::Entry(position, _) if position.0 >= next.position => break,
            Piece::Entry(position, Entry::Message(message)) => {
                let of = message.received_at.floor_to(HOUR);
                if open.as_ref().is_none_or(|hour| hour.of != of)
                    && let Some(hour) = open.replace(Hour::begin(options, of, position)?)
                {
                    hour.finish()?;
                }
                if let Some(hour) = &mut open {
                    hour.push(position, message)?;
                }
            }
            Piece::Entry(..) => {}
            Piece::Cut(cut) => {
                // What is wrong in the next one is that one's affair.
                let here = cut.file == file.path || cut.reason == CutReason::Missing;
                if here && cut.reason != CutReason::Gap {
                    cuts.push(cut);
                }
            }
        }
    }
    if let Some(hour) = open {
        hour.finish()?;
    }
    let medium = options.medium.as_ref();
    if cuts.is_empty() { medium.remove(&file.path) } else { open::set_aside(medium, &file.path) }
        .map_err(read)?;
    Ok(cuts)
}

/// A recording of messages that were received in one hour, one after the other.
struct Hour<'a> {
    medium: &'a dyn Medium,
    of: Timestamp,
    folder: PathBuf,
    part: PathBuf,
    rows: RowWriter<Box<dyn MediumFile>>,
    first: Position,
    last: Position,
}

impl<'a> Hour<'a> {
    fn begin(options: &'a JournalOptions, of: Timestamp, first: Position) -> Result<Self, String> {
        let medium = options.medium.as_ref();
        let folder = shelf::partition(&options.dir, of);
        make(medium, &options.dir, &folder)?;
        let part = folder.join(format!("{first}.parquet.{PART}"));
        let file = medium.create(&part).map_err(|error| said(&part, &error))?;
        let rows = RowWriter::new(file).map_err(|error| said(&part, &error))?;
        Ok(Self { medium, of, folder, part, rows, first, last: first })
    }

    fn push(&mut self, position: Position, message: Message) -> Result<(), String> {
        self.last = position;
        self.rows.push(&Record::received(message)).map_err(|error| said(&self.part, &error))
    }

    fn finish(self) -> Result<(), String> {
        let mut file = self.rows.finish().map_err(|error| said(&self.part, &error))?;
        let target = self.folder.join(format!("{}-{}.parquet", self.first, self.last));
        file.sync()
            .and_then(|()| self.medium.rename(&self.part, &target))
            .and_then(|()| self.medium.sync_folder(&self.folder))
            .map_err(|error| said(&target, &error))
    }
}

/// Makes the folders between `base` and `folder`, durably.
fn make(medium: &dyn Medium, base: &Path, folder: &Path) -> Result<(), String> {
    if folder.is_dir() || folder == base {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return Ok(()) };
    make(medium, base, parent)?;
    medium
        .create_folder(folder)
        .and_then(|()| medium.sync_folder(parent))
        .map_err(|error| said(folder, &error))
}

fn said(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

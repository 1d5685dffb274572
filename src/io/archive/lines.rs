//! JSON lines that grow for months: a file a day, which can be taken back to a mark.
//!
//! Knows nothing of what a line says.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ArchiveError;
use super::growing::entries;
use crate::domain::time::Timestamp;

/// Lines are written together when there are so many bytes of them.
const TOGETHER_BYTES: usize = 8 << 10;

const EXTENSION: &str = ".ndjson";

const A_DAY: Duration = Duration::from_hours(24);

pub(super) fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// JSON lines, one file a day.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    open: Option<Day>,
    /// The files of other days, and how much of each is on the disk.
    others: BTreeMap<String, u64>,
    /// What all files may take together.
    pub(super) most_bytes: u64,
}

/// What a line brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// Another day is open now.
    pub turned: bool,
    /// The line was not taken: the open day has all bytes that there may be.
    pub left_out: bool,
    /// Days that went for its bytes.
    pub days_dropped: u64,
}

#[derive(Debug)]
struct Day {
    date: String,
    path: PathBuf,
    /// Opened anew after an error: the disk may be another one by then.
    file: Option<File>,
    /// Whole lines that are not in the file yet.
    pending: Vec<u8>,
    pending_lines: u64,
    /// Bytes that are on the disk for certain.
    length: u64,
    /// Lines behind them.
    unsynced: u64,
    /// Bytes of all lines that were taken.
    bytes: u64,
    /// Lines of this day were left out, and that was said.
    leaves_out: bool,
}

impl Day {
    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let folder = self.path.parent().unwrap_or(Path::new(""));
            fs::create_dir_all(folder)?;
            self.file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn tries(&mut self, does: fn(&mut Self) -> io::Result<()>) -> Result<(), ArchiveError> {
        does(self).map_err(|error| {
            self.file = None;
            ArchiveError::of_disk(&self.path, &error)
        })
    }

    /// Writes what is pending, whole: where the disk is full, no half line may stand at the end.
    fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let written = self.file().and_then(|file| {
            let length = file.metadata()?.len();
            file.write_all(&pending).inspect_err(|_| {
                if let Err(error) = file.set_len(length) {
                    tracing::warn!(%error, "half a line of the archive cannot be taken back");
                }
            })
        });
        self.pending = pending;
        if written.is_ok() {
            self.pending.clear();
            self.pending_lines = 0;
        }
        written
    }

    fn sync(&mut self) -> io::Result<()> {
        // What was written before is kept even where the rest cannot be.
        self.write().and(self.sync_written())
    }

    fn sync_written(&mut self) -> io::Result<()> {
        let file = self.file()?;
        file.sync_all()?;
        self.length = file.metadata()?.len();
        self.unsynced = self.pending_lines;
        Ok(())
    }
}

impl Log {
    /// The lines of a folder, which may take so many bytes in all; goes on after what is there.
    pub(super) fn open(folder: PathBuf, most_bytes: u64) -> Result<Self, ArchiveError> {
        let others = days(&folder)?;
        Ok(Self { folder, open: None, others, most_bytes })
    }

    fn path(&self, date: &str) -> PathBuf {
        self.folder.join(format!("{date}{EXTENSION}"))
    }

    /// Takes back what is beyond the mark of the open day and of the others; everything, if there
    /// was no line then.
    pub(super) fn take_back(
        &mut self,
        mark: Option<&(String, u64)>,
        others: Option<&BTreeMap<String, u64>>,
    ) -> Result<(), ArchiveError> {
        self.open = None;
        for (date, length) in days(&self.folder)? {
            let kept = match (mark, others) {
                (Some((open, kept)), _) if *open == date => Some(*kept),
                (_, Some(others)) => others.get(&date).copied(),
                // An earlier version, whose open day was always the newest.
                (Some((open, _)), None) if date < *open => Some(length),
                _ => None,
            };
            let path = self.path(&date);
            let done = match kept {
                Some(kept) if kept < length => {
                    OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(kept))
                }
                Some(_) => Ok(()),
                None => fs::remove_file(&path),
            };
            done.map_err(|error| ArchiveError::new(&path, &error))?;
        }
        self.others = days(&self.folder)?;
        match mark {
            // A day that was dropped since does not come back, empty.
            Some((date, length)) if *length == 0 || self.others.contains_key(date) => {
                self.turn_to(date)
            }
            _ => Ok(()),
        }
    }

    fn turn_to(&mut self, date: &str) -> Result<(), ArchiveError> {
        self.sync()?;
        let mut day = Day {
            date: date.to_owned(),
            path: self.path(date),
            file: None,
            pending: Vec::new(),
            pending_lines: 0,
            length: 0,
            unsynced: 0,
            bytes: 0,
            leaves_out: false,
        };
        day.tries(|day| {
            day.length = day.file()?.metadata()?.len();
            day.bytes = day.length;
            Ok(())
        })?;
        self.others.remove(date);
        if let Some(last) = self.open.replace(day) {
            self.others.insert(last.date, last.length);
        }
        Ok(())
    }

    /// After an error the line has not been taken, no part of it.
    pub(super) fn push(&mut self, time: Timestamp, line: &str) -> Result<Pushed, ArchiveError> {
        let date = day(time);
        // A clock that is set back over midnight goes on in the newer file. One that is set back by
        // more than a day was wrong before, and its day must not keep the lines of all others.
        let turned =
            self.open.as_ref().is_none_or(|open| open.date < date || day(time + A_DAY) < open.date);
        if turned {
            self.turn_to(&date)?;
        }
        let mut pushed = Pushed { turned, ..Pushed::default() };
        let bytes = line.len() as u64 + 1;
        if !self.make_way(bytes, &mut pushed)? {
            pushed.left_out = true;
            return Ok(pushed);
        }
        if let Some(open) = &mut self.open {
            if open.pending.len() + line.len() >= TOGETHER_BYTES {
                open.tries(Day::write)?;
            }
            open.pending.extend_from_slice(line.as_bytes());
            open.pending.push(b'\n');
            open.pending_lines += 1;
            open.unsynced += 1;
            open.bytes += bytes;
        }
        Ok(pushed)
    }

    /// Drops the oldest days where so many bytes more would be too many; false where they would be
    /// too many for the open day alone.
    fn make_way(&mut self, bytes: u64, pushed: &mut Pushed) -> Result<bool, ArchiveError> {
        let Some(open) = &mut self.open else { return Ok(true) };
        let wanted = open.bytes.saturating_add(bytes);
        if wanted > self.most_bytes {
            if !std::mem::replace(&mut open.leaves_out, true) {
                let (day, most_bytes) = (open.path.display(), self.most_bytes);
                tracing::error!(%day, most_bytes, "further lines of the day are counted, not kept");
            }
            return Ok(false);
        }
        while wanted.saturating_add(self.others.values().sum()) > self.most_bytes
            && self.drop_oldest()?
        {
            pushed.days_dropped += 1;
        }
        Ok(true)
    }

    /// Drops all but the newest days. The open one stays, whatever its date: a clock that was wrong
    /// may have left newer ones.
    pub(super) fn keep_days(&mut self, days: NonZeroUsize) -> Result<(), ArchiveError> {
        let open = usize::from(self.open.is_some());
        while self.others.len() + open > days.get() && self.drop_oldest()? {}
        Ok(())
    }

    /// False where there is no day but the open one.
    fn drop_oldest(&mut self) -> Result<bool, ArchiveError> {
        let Some((date, _)) = self.others.first_key_value() else { return Ok(false) };
        let path = self.path(date);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ArchiveError::new(&path, &error));
            }
            _ => {}
        }
        self.others.pop_first();
        tracing::info!(day = %path.display(), "an old day of the archive is dropped");
        Ok(true)
    }

    pub(super) fn sync(&mut self) -> Result<(), ArchiveError> {
        self.open.as_mut().map_or(Ok(()), |open| open.tries(Day::sync))
    }

    /// Lines that were taken and are not on the disk for certain.
    pub(super) fn unsynced(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.unsynced)
    }

    /// The open day, and how much of it is on the disk.
    pub(super) fn mark(&self) -> Option<(String, u64)> {
        self.open.as_ref().map(|open| (open.date.clone(), open.length))
    }

    /// The other days, and how much of each is on the disk.
    pub(super) fn others(&self) -> BTreeMap<String, u64> {
        self.others.clone()
    }
}

/// The days that have files, with their bytes. Other files are left alone.
fn days(folder: &Path) -> Result<BTreeMap<String, u64>, ArchiveError> {
    let mut found = BTreeMap::new();
    for path in entries(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(date) = name.and_then(|name| name.strip_suffix(EXTENSION)) else { continue };
        if Timestamp::parse(&format!("{date}T00:00:00Z")).is_err() {
            continue;
        }
        match fs::metadata(&path) {
            Ok(meta) => {
                found.insert(date.to_owned(), meta.len());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(ArchiveError::new(&path, &error)),
        }
    }
    Ok(found)
}

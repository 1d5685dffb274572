//! JSON lines that grow for months: a file a day, which can be taken back to a mark.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::ArchiveError;
use super::growing::entries;
use crate::domain::time::Timestamp;

/// Lines are written together when there are so many bytes of them.
const TOGETHER_BYTES: usize = 8 << 10;

pub(super) fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// JSON lines, one file a day.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    open: Option<Day>,
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
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: None }
    }

    /// Takes back what is beyond the mark; everything, if there was no line then.
    pub(super) fn take_back(&mut self, mark: Option<&(String, u64)>) -> Result<(), ArchiveError> {
        for path in entries(&self.folder)? {
            let failed = |error: &io::Error| ArchiveError::new(&path, error);
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

    fn turn_to(&mut self, date: &str) -> Result<(), ArchiveError> {
        self.sync()?;
        let (date, path) = (date.to_owned(), self.folder.join(format!("{date}.ndjson")));
        let mut day = Day {
            date,
            path,
            file: None,
            pending: Vec::new(),
            pending_lines: 0,
            length: 0,
            unsynced: 0,
        };
        day.tries(|day| {
            day.length = day.file()?.metadata()?.len();
            Ok(())
        })?;
        self.open = Some(day);
        Ok(())
    }

    /// True if a day has begun. After an error the line has not been taken, no part of it.
    pub(super) fn push(&mut self, time: Timestamp, line: &str) -> Result<bool, ArchiveError> {
        // A clock that is set back over midnight goes on in the newer file.
        let new = day(time);
        let begins = self.open.as_ref().is_none_or(|open| open.date < new);
        if begins {
            self.turn_to(&new)?;
        }
        if let Some(open) = &mut self.open {
            if open.pending.len() + line.len() >= TOGETHER_BYTES {
                open.tries(Day::write)?;
            }
            open.pending.extend_from_slice(line.as_bytes());
            open.pending.push(b'\n');
            open.pending_lines += 1;
            open.unsynced += 1;
        }
        Ok(begins)
    }

    pub(super) fn sync(&mut self) -> Result<(), ArchiveError> {
        self.open.as_mut().map_or(Ok(()), |open| open.tries(Day::sync))
    }

    /// Lines that were taken and are not on the disk for certain.
    pub(super) fn unsynced(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.unsynced)
    }

    /// The newest day, and how much of it is on the disk.
    pub(super) fn mark(&self) -> Option<(String, u64)> {
        self.open.as_ref().map(|open| (open.date.clone(), open.length))
    }
}

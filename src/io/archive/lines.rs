//! JSON lines that grow for months: a file a day, which can be taken back to a mark.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::ArchiveError;
use super::growing::entries;
use crate::domain::time::Timestamp;

pub(super) fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// JSON lines, one file a day.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    open: Option<Day>,
    /// Lines that are not on the disk for certain.
    unsynced: u64,
}

#[derive(Debug)]
struct Day {
    date: String,
    out: BufWriter<File>,
    /// Bytes that are on the disk for certain.
    length: u64,
}

impl Log {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: None, unsynced: 0 }
    }

    /// Takes back what is beyond the mark; everything, if there was no line then.
    pub(super) fn take_back(&mut self, mark: Option<&(String, u64)>) -> Result<(), ArchiveError> {
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
        self.sync()?;
        let path = self.path(day);
        let file = fs::create_dir_all(&self.folder)
            .and_then(|()| OpenOptions::new().append(true).create(true).open(&path));
        let file = file.map_err(|error| ArchiveError::new(&path, &error))?;
        let length = file.metadata().map_err(|error| ArchiveError::new(&path, &error))?.len();
        self.open = Some(Day { date: day.to_owned(), out: BufWriter::new(file), length });
        Ok(())
    }

    fn path(&self, day: &str) -> PathBuf {
        self.folder.join(format!("{day}.ndjson"))
    }

    /// True if a day has begun.
    pub(super) fn push(&mut self, time: Timestamp, line: &str) -> Result<bool, ArchiveError> {
        // A clock that is set back over midnight goes on in the newer file.
        let new = day(time);
        let begins = self.open.as_ref().is_none_or(|open| open.date < new);
        if begins {
            self.turn_to(&new)?;
        }
        if let Some(Day { out, .. }) = &mut self.open {
            // In one piece: a line that does not fit on the disk leaves no half.
            let line = format!("{line}\n");
            out.write_all(line.as_bytes())
                .map_err(|error| ArchiveError::new(&self.folder, &error))?;
            self.unsynced += 1;
        }
        Ok(begins)
    }

    pub(super) fn sync(&mut self) -> Result<(), ArchiveError> {
        let Some(Day { out, length, .. }) = &mut self.open else { return Ok(()) };
        let synced = out.flush().and_then(|()| {
            out.get_ref().sync_all()?;
            *length = out.get_ref().metadata()?.len();
            Ok(())
        });
        synced.map_err(|error| ArchiveError::new(&self.folder, &error))?;
        self.unsynced = 0;
        Ok(())
    }

    /// Lines that were taken and are not on the disk for certain.
    pub(super) fn unsynced(&self) -> u64 {
        self.unsynced
    }

    /// The newest day, and how much of it is on the disk.
    pub(super) fn mark(&self) -> Option<(String, u64)> {
        self.open.as_ref().map(|open| (open.date.clone(), open.length))
    }
}

//! What the journal writes to: the disk, or in tests one that fails.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A disk, as far as the journal changes anything on it.
pub trait Medium: fmt::Debug + Send + Sync {
    /// An empty file of this name; one that was there is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>>;
    /// A file that is there, to write on at its end.
    fn append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>>;
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names in the folder durable: a file is only there after a crash once its folder is.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file. A write may be short.
pub trait MediumFile: Write + Send {
    /// What was written lies on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to this length; the next write follows there.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// The file system.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Medium for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        // Emptied first: a file opened for appending cannot be.
        File::create(path)?;
        self.append(path)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}

impl MediumFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

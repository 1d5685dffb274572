//! A disk that fails when it is told to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use super::super::medium::{Disk, Medium, MediumFile};

#[derive(Clone, Debug)]
pub struct Trial {
    dir: Option<PathBuf>,
    faults: Arc<(Mutex<Faults>, Condvar)>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
struct Faults {
    /// All files together may take so many bytes.
    quota: Option<u64>,
    /// So many more bytes, and then writes fail like this.
    write_error: Option<(usize, io::ErrorKind)>,
    sync_error: bool,
    folder_error: bool,
    rename_error: bool,
    /// At most so many bytes a write.
    short: Option<usize>,
    hold_syncs: bool,
    held: usize,
    syncs: usize,
}

impl Trial {
    pub fn new() -> Self {
        Self { dir: None, faults: Arc::default() }
    }

    /// A disk with room for so many bytes in this folder.
    pub fn with_quota(dir: &Path, bytes: u64) -> Self {
        let trial = Self { dir: Some(dir.to_owned()), faults: Arc::default() };
        trial.set_quota(bytes);
        trial
    }

    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.0.lock().unwrap());
        self.faults.1.notify_all();
    }

    pub fn set_quota(&self, bytes: u64) {
        self.set(|faults| faults.quota = Some(bytes));
    }

    pub fn fail_writes_after(&self, bytes: usize, kind: io::ErrorKind) {
        self.set(|faults| faults.write_error = Some((bytes, kind)));
    }

    pub fn fail_syncs(&self, fail: bool) {
        self.set(|faults| faults.sync_error = fail);
    }

    pub fn fail_folder_syncs(&self) {
        self.set(|faults| faults.folder_error = true);
    }

    pub fn fail_renames(&self, fail: bool) {
        self.set(|faults| faults.rename_error = fail);
    }

    pub fn write_at_most(&self, bytes: usize) {
        self.set(|faults| faults.short = Some(bytes));
    }

    pub fn hold_syncs(&self, hold: bool) {
        self.set(|faults| faults.hold_syncs = hold);
    }

    /// Syncs that wait.
    pub fn held(&self) -> usize {
        self.faults.0.lock().unwrap().held
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> usize {
        self.faults.0.lock().unwrap().syncs
    }

    /// Bytes that the folder takes.
    pub fn used(&self) -> u64 {
        fn size(dir: &Path) -> u64 {
            let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
            entries
                .flatten()
                .map(|entry| match entry.metadata() {
                    Ok(meta) if meta.is_dir() => size(&entry.path()),
                    Ok(meta) => meta.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        self.dir.as_deref().map_or(0, size)
    }
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

struct TrialFile {
    file: Box<dyn MediumFile>,
    trial: Trial,
}

impl Write for TrialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut faults = self.trial.faults.0.lock().unwrap();
        let mut most = faults.short.unwrap_or(bytes.len()).min(bytes.len());
        if let Some((left, kind)) = &mut faults.write_error {
            if *left == 0 {
                return Err((*kind).into());
            }
            most = most.min(*left);
            *left -= most;
        }
        if let Some(quota) = faults.quota {
            let room = quota.saturating_sub(self.trial.used());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            most = most.min(room as usize);
        }
        drop(faults);
        self.file.write(&bytes[..most])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl MediumFile for TrialFile {
    fn sync(&mut self) -> io::Result<()> {
        let (lock, changed) = &*self.trial.faults;
        let mut faults = lock.lock().unwrap();
        faults.held += 1;
        faults = changed.wait_while(faults, |faults| faults.hold_syncs).unwrap();
        faults.held -= 1;
        faults.syncs += 1;
        if faults.sync_error { Err(eio()) } else { Ok(()) }
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }
}

impl Medium for Trial {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        Ok(Box::new(TrialFile { file: Disk.create(path)?, trial: self.clone() }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        Ok(Box::new(TrialFile { file: Disk.append(path)?, trial: self.clone() }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.faults.0.lock().unwrap().rename_error { Err(eio()) } else { Disk.rename(from, to) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        if self.faults.0.lock().unwrap().folder_error { Err(eio()) } else { Ok(()) }
    }
}

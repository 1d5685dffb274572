//! Which files of a journal there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::time::Timestamp;

/// Extensions and names, see the module above.
pub(in crate::io) const SEGMENT: &str = "wsj";
pub(super) const SNAPSHOT: &str = "wss";
pub(super) const DAMAGED: &str = "damaged";
pub(super) const PART: &str = "part";
pub(in crate::io) const RECORDINGS: &str = "recordings";
const PARQUET: &str = "parquet";

/// A segment or snapshot, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::io) struct SegmentFile {
    pub path: PathBuf,
    /// The first position in it; of a snapshot, the position it stands for.
    pub position: u64,
    pub bytes: u64,
}

/// A Parquet file of recorded messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::io) struct RecordingFile {
    pub path: PathBuf,
    /// First and last position, where the name says so: files from elsewhere have other names.
    pub positions: Option<(u64, u64)>,
    pub bytes: u64,
}

impl RecordingFile {
    /// The folder of its hour; a file from elsewhere may lie in none.
    pub fn hour(&self) -> Option<&Path> {
        let folder = self.path.parent()?;
        folder.file_name()?.to_str()?.starts_with("hour=").then_some(folder)
    }
}

pub(super) fn name(dir: &Path, position: u64, extension: &str) -> PathBuf {
    dir.join(format!("{position:012}.{extension}"))
}

/// Where messages received at `time` go.
pub(super) fn partition(dir: &Path, time: Timestamp) -> PathBuf {
    let text = time.to_string();
    let (date, hour) = (text.get(..10).unwrap_or_default(), text.get(11..13).unwrap_or_default());
    dir.join(RECORDINGS).join(format!("date={date}")).join(format!("hour={hour}"))
}

/// The segments, by position.
pub(in crate::io) fn segments(dir: &Path) -> io::Result<Vec<SegmentFile>> {
    numbered(dir, SEGMENT)
}

/// The snapshots, by position: the newest last.
pub(in crate::io) fn snapshots(dir: &Path) -> io::Result<Vec<SegmentFile>> {
    numbered(dir, SNAPSHOT)
}

fn numbered(dir: &Path, extension: &str) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for (path, bytes) in files(dir)? {
        if path.extension().is_some_and(|found| found == extension)
            && let Some(position) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            found.push(SegmentFile { path, position, bytes });
        }
    }
    found.sort_by_key(|file| file.position);
    Ok(found)
}

/// Files that were set aside because they could not be read.
pub(in crate::io) fn damaged(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    Ok(ending(files(dir)?, DAMAGED))
}

/// Files that a crash left half-written.
pub(super) fn parts(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = recording_parts(dir)?;
    found.extend(ending(files(dir)?, PART).into_iter().map(|(path, _)| path));
    Ok(found)
}

pub(super) fn recording_parts(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let found = ending(deep(&dir.join(RECORDINGS))?, PART);
    Ok(found.into_iter().map(|(path, _)| path).collect())
}

fn ending(files: Vec<(PathBuf, u64)>, extension: &str) -> Vec<(PathBuf, u64)> {
    let mut files = files;
    files.retain(|(path, _)| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// The journal's recordings, oldest first.
pub(in crate::io) fn recordings(dir: &Path) -> io::Result<Vec<RecordingFile>> {
    hive_files(&dir.join(RECORDINGS))
}

/// The Parquet files under a folder: by position where their names say it, else by path, which for
/// `date=…/hour=…` is by time.
pub(in crate::io) fn hive_files(dir: &Path) -> io::Result<Vec<RecordingFile>> {
    let mut found: Vec<_> = ending(deep(dir)?, PARQUET)
        .into_iter()
        .map(|(path, bytes)| RecordingFile { positions: positions(&path), path, bytes })
        .collect();
    if found.iter().all(|file| file.positions.is_some()) {
        found.sort_by_key(|file| file.positions);
    }
    Ok(found)
}

fn positions(path: &Path) -> Option<(u64, u64)> {
    let (first, last) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Files of a folder with their sizes; one that vanishes meanwhile is not there.
fn files(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    Ok(entries(dir)?.into_iter().filter(|(_, kind)| kind.is_file()).map(sized).collect())
}

fn sized((path, meta): (PathBuf, fs::Metadata)) -> (PathBuf, u64) {
    (path, meta.len())
}

/// Files of a folder and of the folders in it. One that is not there holds none.
fn deep(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let listed = match entries(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            listed => listed?,
        };
        for (path, meta) in listed {
            if meta.is_dir() {
                folders.push(path);
            } else {
                found.push((path, meta.len()));
            }
        }
    }
    Ok(found)
}

fn entries(dir: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) => found.push((entry.path(), meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_lie_by_the_hour_of_receipt_in_utc() {
        let time = Timestamp::parse("2008-11-11T08:20:30+01:00").unwrap();
        let dir = partition(Path::new("j"), time);
        assert_eq!(dir, Path::new("j/recordings/date=2008-11-11/hour=07"));
        let path = dir.join("12-40.parquet");
        let file = RecordingFile { positions: positions(&path), path, bytes: 0 };
        assert_eq!(file.positions, Some((12, 40)));
        assert_eq!(file.hour(), Some(&*dir));
    }

    #[test]
    fn names_sort_by_number_and_strangers_are_left_alone() {
        let dir = tempfile::TempDir::new().unwrap();
        for name in
            ["1000000000000.wsj", "000000000007.wsj", "x.wsj", "000000000007.wss", "lock", "1.txt"]
        {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let found: Vec<_> =
            segments(dir.path()).unwrap().iter().map(|file| file.position).collect();
        assert_eq!(found, [7, 1_000_000_000_000]);
        assert_eq!(snapshots(dir.path()).unwrap().len(), 1);
        assert_eq!(recordings(dir.path()).unwrap(), [], "no folder, no recordings");
    }
}

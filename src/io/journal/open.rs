//! Opening: what is there, what of it can be read, and where it goes on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::chain::{Chain, Piece};
use super::segment::HEADER_BYTES;
use super::shelf::{self, SegmentFile};
use super::{Cut, CutReason, Entry, JournalError, JournalOptions, Medium, Position, Snapshot};
use super::{snapshot, writer};

/// What a unit finds again.
#[derive(Debug)]
pub struct Recovered {
    /// The newest snapshot that verifies.
    pub snapshot: Option<Snapshot>,
    /// The entries after it, up to `last` or to where the journal is broken.
    pub tail: Tail,
    /// What was cut or could not be read after the snapshot.
    pub cut: Vec<Cut>,
    /// The last position in use; the next entry's is greater by one.
    pub last: Position,
    /// The tail ends before `last`: at a gap that no snapshot reaches over.
    pub broken: bool,
}

/// The entries after a snapshot, read as they are asked for. It ends where the journal is broken;
/// damage inside a segment costs only the entries that it hits, and the positions show it.
pub struct Tail {
    chain: Chain,
    dir: std::path::PathBuf,
    after: u64,
    last: u64,
    ended: bool,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("after", &self.after)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Iterator for Tail {
    type Item = Result<(Position, Entry), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.chain.next() {
                Ok(Some(Piece::Entry(position, entry))) => {
                    if position.0 > self.last {
                        break;
                    }
                    if position.0 > self.after {
                        return Some(Ok((position, entry)));
                    }
                }
                Ok(Some(Piece::Cut(cut))) => {
                    if breaks(&cut, self.after) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(source) => {
                    self.ended = true;
                    return Some(Err(JournalError::io(&self.dir, "read")(source)));
                }
            }
        }
        self.ended = true;
        None
    }
}

/// Whether the cut concerns anything after this position.
fn concerns(cut: &Cut, after: u64) -> bool {
    cut.lost.is_none_or(|(_, to)| to.0 > after)
}

fn breaks(cut: &Cut, after: u64) -> bool {
    cut.reason.breaks() && concerns(cut, after)
}

/// Makes the folder if it is not there, and holds it for this process.
pub(super) fn lock(dir: &Path) -> Result<File, JournalError> {
    std::fs::create_dir_all(dir).map_err(JournalError::io(dir, "created"))?;
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(JournalError::io(&path, "opened"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(JournalError::io(&path, "locked")(source)),
    }
}

/// Reads what is there; the folder is held already.
pub(super) fn recover(
    options: &JournalOptions,
) -> Result<(Recovered, writer::Start), JournalError> {
    recover_files(options).map_err(JournalError::io(&options.dir, "opened"))
}

fn recover_files(options: &JournalOptions) -> io::Result<(Recovered, writer::Start)> {
    let (dir, medium) = (&options.dir, options.medium.as_ref());
    for part in shelf::parts(dir)? {
        medium.remove(&part)?;
    }
    let mut cuts = Vec::new();
    let snapshot = newest_snapshot(dir, medium, &mut cuts)?;
    let after = snapshot.as_ref().map_or(0, |snapshot| snapshot.position.0);

    let segments = shelf::segments(dir)?;
    let needed = needed(&segments, after);
    let mut chain = Chain::new(needed.clone(), Some(after));
    let mut torn = None;
    let mut broken = false;
    while let Some(piece) = chain.next()? {
        let Piece::Cut(cut) = piece else { continue };
        if cut.reason == CutReason::Torn {
            torn = Some(cut.clone());
        }
        broken |= breaks(&cut, after);
        if concerns(&cut, after) {
            cuts.push(cut);
        }
    }

    let recorded = shelf::recordings(dir)?.into_iter().filter_map(|file| file.positions);
    let recorded = recorded.map(|(_, last)| last).max().unwrap_or(0);
    let in_files = chain.expected().map_or(0, |expected| expected - 1);
    let kept = in_files.max(after).max(recorded);
    let mut last = kept;
    let mut active = segments.last().cloned();
    if let Some(file) = &mut active {
        match &torn {
            Some(cut) if cut.file == file.path && cut.offset > 0 => {
                let mut open = medium.append(&file.path)?;
                open.truncate(cut.offset)?;
                open.sync()?;
                file.bytes = cut.offset;
            }
            Some(cut) if cut.file == file.path => {
                medium.remove(&file.path)?;
                file.bytes = 0;
            }
            _ => {}
        }
        if cuts.iter().any(|cut| cut.reason == CutReason::Unreadable && cut.file == file.path) {
            // Nobody knows how many entries it held: none of their positions may come again.
            last = last.max(file.position + file.bytes);
            set_aside(medium, &file.path)?;
        }
        medium.sync_folder(dir)?;
    }
    let goes_on = last == kept && in_files == kept;
    let active = active.filter(|file| goes_on && file.bytes >= HEADER_BYTES as u64);
    let files = needed.into_iter().filter(|file| file.path.exists()).collect();
    let tail = Tail {
        chain: Chain::new(files, Some(after)),
        dir: dir.clone(),
        after,
        last: kept,
        ended: false,
    };
    let start = writer::Start {
        active,
        salt: chain.salt(),
        kept,
        last,
        // The last: a later recovery would find a gap before the first entry of this run.
        snapshot_wanted: broken
            || cuts.iter().any(|cut| cut.reason == CutReason::Snapshot)
            || last > in_files.max(after),
    };
    Ok((Recovered { snapshot, tail, cut: cuts, last: Position(last), broken }, start))
}

/// The segments that hold entries after this position.
fn needed(segments: &[SegmentFile], after: u64) -> Vec<SegmentFile> {
    let nexts = segments.iter().skip(1).map(|next| Some(next.position)).chain([None]);
    segments
        .iter()
        .zip(nexts)
        .filter(|(_, next)| next.is_none_or(|next| next > after + 1))
        .map(|(file, _)| file.clone())
        .collect()
}

/// The newest snapshot that verifies; those that do not are set aside.
fn newest_snapshot(
    dir: &Path,
    medium: &dyn Medium,
    cuts: &mut Vec<Cut>,
) -> io::Result<Option<Snapshot>> {
    let mut newest = None;
    for file in shelf::snapshots(dir)?.into_iter().rev() {
        match snapshot::read(&file.path)? {
            Some(found) if found.position.0 == file.position => {
                newest.get_or_insert(found);
            }
            _ => {
                set_aside(medium, &file.path)?;
                cuts.push(Cut {
                    file: file.path,
                    offset: 0,
                    bytes: file.bytes,
                    lost: None,
                    reason: CutReason::Snapshot,
                    sample: Vec::new(),
                });
            }
        }
    }
    Ok(newest)
}

/// Keeps a file that cannot be read out of the way.
pub(super) fn set_aside(medium: &dyn Medium, path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(shelf::DAMAGED);
    medium.rename(path, Path::new(&name))
}

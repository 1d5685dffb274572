//! A folder as a recording: a unit's journal, or Parquet files.
//!
//! In a journal, recordings and segments are merged by position: a crash may have left a recording
//! beside the segment that it was made of, and a running unit may turn a segment into a recording
//! while it is read here.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::super::journal::{
    self, Chain, Cut, CutReason, Entry as Kept, Piece, Position, RECORDINGS, RecordingFile,
    SegmentFile,
};
use super::rows::Rows;
use super::{Entry, Record};

pub(super) struct Folder {
    /// The journal's folder, to look again when a segment has become a recording meanwhile.
    journal: Option<PathBuf>,
    /// Recordings that are still to come, by position.
    files: VecDeque<RecordingFile>,
    chain: Chain,
    /// The next piece of the segments, once it is known.
    ahead: Option<Piece>,
    rows: Option<(PathBuf, Rows)>,
    /// Up to this position everything was given.
    given: u64,
    /// A write that is not complete, at the end.
    torn: Option<Cut>,
}

impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        let segments = journal::segments(path)?;
        let is_journal = !segments.is_empty()
            || path.join(RECORDINGS).is_dir()
            || !journal::snapshots(path)?.is_empty();
        if is_journal {
            let after = segments.first().map(|first| first.position.saturating_sub(1));
            return Ok(Self {
                files: journal::recordings(path)?.into(),
                journal: Some(path.to_owned()),
                ..Self::new(Chain::new(segments, after))
            });
        }
        let files = journal::hive_files(path)?;
        if files.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the folder holds neither a journal nor Parquet files",
            ));
        }
        // From elsewhere: names are names, and say nothing of positions.
        let files = files.into_iter().map(|file| RecordingFile { positions: None, ..file });
        Ok(Self { files: files.collect(), ..Self::new(Chain::new(Vec::new(), None)) })
    }

    /// One segment of a journal.
    pub fn of_segment(path: &Path) -> io::Result<Self> {
        let bytes = path.metadata()?.len();
        let name = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let file = SegmentFile { path: path.to_owned(), position: name.unwrap_or(1), bytes };
        Ok(Self::new(Chain::new(vec![file], None)))
    }

    fn new(chain: Chain) -> Self {
        Self {
            journal: None,
            files: VecDeque::new(),
            chain,
            ahead: None,
            rows: None,
            given: 0,
            torn: None,
        }
    }

    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some((path, rows)) = &mut self.rows {
                match rows.next() {
                    Ok(Some(Entry::Corrupt { number, reason, bytes })) => {
                        let reason = format!("{}: {reason}", path.display());
                        return Ok(Some(Entry::Corrupt { number, reason, bytes }));
                    }
                    Ok(Some(entry)) => return Ok(Some(entry)),
                    Ok(None) => self.rows = None,
                    Err(reason) => {
                        let entry = corrupt(0, format!("{}: {reason}", path.display()));
                        self.rows = None;
                        return Ok(Some(entry));
                    }
                }
                continue;
            }
            if self.ahead.is_none() {
                self.ahead = self.chain.next()?;
                self.look_again()?;
            }
            if self.recording_is_next() {
                if let Some(entry) = self.open_recording() {
                    return Ok(Some(entry));
                }
                continue;
            }
            match self.ahead.take() {
                None => return Ok(None),
                Some(Piece::Entry(position, _)) if position.0 <= self.given => {}
                Some(Piece::Entry(position, entry)) => {
                    self.given = position.0;
                    if let Kept::Message(message) = entry {
                        return Ok(Some(Entry::Record(Record::received(message))));
                    }
                }
                Some(Piece::Cut(cut)) => {
                    if let Some(entry) = self.cut(cut) {
                        return Ok(Some(entry));
                    }
                }
            }
        }
    }

    /// What a complete journal would not have at its end.
    pub fn torn(&self) -> Option<&Cut> {
        self.torn.as_ref()
    }

    fn recording_is_next(&self) -> bool {
        let Some(file) = self.files.front() else { return false };
        let first = file.positions.map_or(0, |(first, _)| first);
        match &self.ahead {
            None => true,
            Some(Piece::Entry(position, _)) => first <= position.0,
            Some(Piece::Cut(Cut { lost: Some((_, Position(to))), .. })) => first <= *to,
            Some(Piece::Cut(_)) => false,
        }
    }

    /// Goes on with the next recording; what is wrong with it, if it cannot be read.
    fn open_recording(&mut self) -> Option<Entry> {
        let file = self.files.pop_front()?;
        let opened = File::open(&file.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "was dropped while this was being read".to_owned(),
            _ => error.to_string(),
        });
        match opened.and_then(Rows::open) {
            Ok(rows) => {
                self.given = file.positions.map_or(self.given, |(_, last)| last.max(self.given));
                self.rows = Some((file.path, rows));
                None
            }
            Err(reason) => Some(corrupt(0, format!("{}: {reason}", file.path.display()))),
        }
    }

    /// Where segments are missing, they may have become recordings since the folder was listed.
    fn look_again(&mut self) -> io::Result<()> {
        let (Some(dir), Some(to)) = (&self.journal, missing_to(self.ahead.as_ref())) else {
            return Ok(());
        };
        for file in journal::recordings(dir)? {
            let new = file.positions.is_some_and(|(first, _)| first > self.given && first <= to);
            if new && !self.files.iter().any(|known| known.path == file.path) {
                self.files.push_back(file);
            }
        }
        self.files.make_contiguous().sort_by_key(|file| file.positions);
        Ok(())
    }

    /// What is said of a place that cannot be read.
    fn cut(&mut self, cut: Cut) -> Option<Entry> {
        // The end of a segment that is being written, or was when the power went.
        if cut.reason == CutReason::Torn && cut.lost.is_none() {
            self.torn = Some(cut);
            return None;
        }
        // What is missing among the segments was given by recordings.
        let (from, _) = cut.lost.unwrap_or_default();
        if cut.reason == CutReason::Missing && self.given >= from.0 {
            return None;
        }
        Some(Entry::Corrupt { number: from.0, reason: cut.to_string(), bytes: cut.sample })
    }
}

/// The last position that is missing in front of the next piece; anything, behind the last one.
fn missing_to(ahead: Option<&Piece>) -> Option<u64> {
    match ahead {
        Some(Piece::Cut(Cut { reason: CutReason::Missing, lost, .. })) => {
            lost.map(|(_, Position(to))| to)
        }
        _ => None,
    }
}

fn corrupt(number: u64, reason: String) -> Entry {
    Entry::Corrupt { number, reason, bytes: Vec::new() }
}

//! Segments one after the other, and what is missing within and between them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::segment::{HEADER_BYTES, Header, Hole, Item, Scanner};
use super::shelf::SegmentFile;
use super::{Cut, CutReason, Entry, Position};

/// What stands at one place of the journal.
#[derive(Debug)]
pub(in crate::io) enum Piece {
    Entry(Position, Entry),
    Cut(Cut),
}

/// Reads segments that are in order of position. A segment may still grow, and may have been
/// removed: then it is missing.
pub(in crate::io) struct Chain {
    files: VecDeque<SegmentFile>,
    current: Option<Current>,
    /// The position that the next entry should have; any, before the first.
    expected: Option<u64>,
    given: u64,
    /// What stood behind the last entry of the segment before.
    torn: Option<Cut>,
    ready: VecDeque<Cut>,
    salt: Option<u32>,
}

struct Current {
    path: PathBuf,
    scanner: Scanner<File>,
}

impl Chain {
    /// `after` is the position behind which nothing may be missing.
    pub fn new(files: Vec<SegmentFile>, after: Option<u64>) -> Self {
        Self {
            files: files.into(),
            current: None,
            expected: after.map(|after| after + 1),
            given: 0,
            torn: None,
            ready: VecDeque::new(),
            salt: None,
        }
    }

    /// The position that should follow what was read.
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Of the last segment whose header could be read.
    pub fn salt(&self) -> Option<u32> {
        self.salt
    }

    /// `None` behind the last segment. An error is the disk's, and final.
    pub fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(cut) = self.ready.pop_front() {
                return Ok(Some(Piece::Cut(cut)));
            }
            let Some(current) = &mut self.current else {
                if self.open()? {
                    continue;
                }
                return Ok(self.torn.take().map(Piece::Cut));
            };
            match current.scanner.next()? {
                Some(Item::Entry(position, entry)) => {
                    self.expected = self.expected.max(Some(position + 1));
                    // No position is given twice, whatever the files hold.
                    if position > self.given {
                        self.given = position;
                        return Ok(Some(Piece::Entry(Position(position), entry)));
                    }
                }
                Some(Item::Hole(hole)) => return Ok(Some(Piece::Cut(cut(&current.path, hole)))),
                Some(Item::Torn(hole)) => self.torn = Some(cut(&current.path, hole)),
                None => {
                    let expected = current.scanner.expected();
                    self.expected = self.expected.max(Some(expected));
                    self.current = None;
                }
            }
        }
    }

    /// Opens the next segment; false when there is none.
    fn open(&mut self) -> io::Result<bool> {
        let Some(file) = self.files.pop_front() else { return Ok(false) };
        let mut input = match File::open(&file.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            opened => opened?,
        };
        let bytes = input.metadata()?.len();
        let mut head = Vec::with_capacity(HEADER_BYTES);
        input.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut head)?;
        match Header::parse(&head) {
            Some(header) => {
                self.join(header, &file.path);
                self.salt = Some(header.salt);
                let scanner = Scanner::new(input, header, bytes);
                self.current = Some(Current { path: file.path, scanner });
            }
            None => self.unreadable(&file, input, bytes)?,
        }
        Ok(true)
    }

    /// Says what is missing in front of a segment.
    fn join(&mut self, header: Header, path: &Path) {
        let torn = self.torn.take();
        let mut next = self.expected.unwrap_or(header.first);
        if next <= header.follows {
            let mut cut = torn.unwrap_or_else(|| missing(path, CutReason::Missing));
            if cut.bytes > 0 {
                cut.reason = CutReason::Damaged;
            }
            cut.lost = Some((Position(next), Position(header.follows)));
            self.ready.push_back(cut);
            next = header.follows + 1;
        } else if let Some(torn) = torn {
            self.ready.push_back(torn);
        }
        if next < header.first {
            let lost = Some((Position(next), Position(header.first - 1)));
            self.ready.push_back(Cut { lost, ..missing(path, CutReason::Gap) });
        }
        self.expected = Some(next.max(header.first));
    }

    fn unreadable(&mut self, file: &SegmentFile, input: File, bytes: u64) -> io::Result<()> {
        let next = self.files.front().map(|next| next.position);
        // Begun, and then the power went: too short, or long and never filled.
        let begun = bytes <= HEADER_BYTES as u64 || only_zeros(input)?;
        if next.is_none() && begun {
            self.ready.extend(self.torn.take());
            self.torn = Some(Cut { bytes, ..missing(&file.path, CutReason::Torn) });
            return Ok(());
        }
        self.join(
            Header { salt: 0, first: file.position, follows: file.position.saturating_sub(1) },
            &file.path,
        );
        let lost = next.map(|next| (Position(file.position), Position(next.saturating_sub(1))));
        self.ready.push_back(Cut { bytes, lost, ..missing(&file.path, CutReason::Unreadable) });
        self.expected = next.or(self.expected);
        Ok(())
    }
}

fn only_zeros(mut file: File) -> io::Result<bool> {
    file.rewind()?;
    for byte in BufReader::new(file).bytes() {
        if byte? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn missing(path: &Path, reason: CutReason) -> Cut {
    Cut { file: path.to_owned(), offset: 0, bytes: 0, lost: None, reason, sample: Vec::new() }
}

fn cut(path: &Path, hole: Hole) -> Cut {
    Cut {
        file: path.to_owned(),
        offset: hole.offset,
        bytes: hole.bytes,
        lost: hole.lost.map(|(from, to)| (Position(from), Position(to))),
        reason: hole.reason.unwrap_or(CutReason::Damaged),
        sample: hole.sample,
    }
}

//! A segment file: its header, and its records one after the other.
//!
//! The header stands there twice, so that one flipped bit does not cost the segment:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `WAYSIDEJ` |
//! | 4 | version of the format: 1 |
//! | 4 | the journal's salt |
//! | 8 | first position in this segment |
//! | 8 | last position that was kept before it; less than the first by one, unless there is a gap |
//! | 4 | CRC-32 |

use std::io::{self, Read};

use super::record::{Body, HEAD_BYTES, Head};
use super::{CutReason, Entry};

const MAGIC: &[u8; 8] = b"WAYSIDEJ";
const VERSION: u32 = 1;
const COPY_BYTES: usize = 36;
/// Bytes before the first record.
pub(super) const HEADER_BYTES: usize = 2 * COPY_BYTES;

/// Bytes of what cannot be read that are kept to show.
const SAMPLE_BYTES: usize = 64 << 10;
/// Read at once.
const BLOCK_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub salt: u32,
    pub first: u64,
    /// The last position that was kept before this segment.
    pub follows: u64,
}

impl Header {
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut copy = Vec::with_capacity(COPY_BYTES);
        copy.extend_from_slice(MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&self.salt.to_le_bytes());
        copy.extend_from_slice(&self.first.to_le_bytes());
        copy.extend_from_slice(&self.follows.to_le_bytes());
        copy.extend_from_slice(&crc32fast::hash(&copy).to_le_bytes());
        let mut bytes = [0; HEADER_BYTES];
        bytes[..COPY_BYTES].copy_from_slice(&copy);
        bytes[COPY_BYTES..].copy_from_slice(&copy);
        bytes
    }

    /// From either copy.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.chunks_exact(COPY_BYTES).take(2).find_map(Self::parse_copy)
    }

    fn parse_copy(copy: &[u8]) -> Option<Self> {
        let (body, crc) = copy.split_last_chunk::<4>()?;
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (salt, rest) = rest.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let follows = rest.first_chunk::<8>()?;
        let header = Self {
            salt: u32::from_le_bytes(*salt),
            first: u64::from_le_bytes(*first),
            follows: u64::from_le_bytes(*follows),
        };
        let valid = magic == MAGIC
            && u32::from_le_bytes(*version) == VERSION
            && crc32fast::hash(body) == u32::from_le_bytes(*crc)
            && header.follows < header.first;
        valid.then_some(header)
    }
}

/// What stands at one place of a segment.
#[derive(Debug)]
pub(super) enum Item {
    Entry(u64, Entry),
    /// Bytes that are no entry, in front of one that is (or of one whose place was taken).
    Hole(Hole),
    /// Bytes up to the end of the file that are no entry.
    Torn(Hole),
}

#[derive(Debug, Default)]
pub(super) struct Hole {
    pub offset: u64,
    pub bytes: u64,
    /// First and last entry that should have stood here.
    pub lost: Option<(u64, u64)>,
    pub reason: Option<CutReason>,
    pub sample: Vec<u8>,
}

/// Reads a segment behind its header, in bounded memory: no more than the longest record that the
/// file can really hold.
pub(super) struct Scanner<R> {
    input: R,
    salt: u32,
    buffer: Vec<u8>,
    /// What of the buffer has been dealt with.
    start: usize,
    /// Where in the file that is.
    offset: u64,
    expected: u64,
    /// A position this far ahead has no room in the file: what claims it is no record.
    most_ahead: u64,
    /// Found behind a hole that was reported first.
    behind: Option<(u64, Body)>,
    at_end: bool,
    done: bool,
}

impl<R: Read> Scanner<R> {
    /// `input` stands behind the header; `file_bytes` bounds what can be in it.
    pub fn new(input: R, header: Header, file_bytes: u64) -> Self {
        Self {
            input,
            salt: header.salt,
            buffer: Vec::new(),
            start: 0,
            offset: HEADER_BYTES as u64,
            expected: header.first,
            most_ahead: file_bytes / HEAD_BYTES as u64 + 1,
            behind: None,
            at_end: false,
            done: false,
        }
    }

    /// The position that the next entry should have.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// `None` at the end of the file.
    pub fn next(&mut self) -> io::Result<Option<Item>> {
        if let Some((position, body)) = self.behind.take() {
            return Ok(Some(self.item(position, body)));
        }
        if self.done {
            return Ok(None);
        }
        let mut hole = Hole { offset: self.offset, ..Hole::default() };
        loop {
            if let Some((head, body)) = self.record()? {
                self.advance(head.record_bytes());
                if hole.bytes == 0 && head.position == self.expected {
                    return Ok(Some(self.item(head.position, body)));
                }
                if head.position > self.expected {
                    hole.lost = Some((self.expected, head.position - 1));
                }
                hole.reason = Some(CutReason::Damaged);
                self.behind = Some((head.position, body));
                return Ok(Some(Item::Hole(hole)));
            }
            let Some(byte) = self.buffer.get(self.start) else {
                self.done = true;
                hole.reason = Some(CutReason::Torn);
                return Ok((hole.bytes > 0).then_some(Item::Torn(hole)));
            };
            if hole.sample.len() < SAMPLE_BYTES {
                hole.sample.push(*byte);
            }
            hole.bytes += 1;
            self.advance(1);
        }
    }

    fn item(&mut self, position: u64, body: Body) -> Item {
        self.expected = position + 1;
        match body {
            Body::Entry(entry) => Item::Entry(position, entry),
            Body::TooLong => Item::Hole(Hole {
                offset: self.offset,
                lost: Some((position, position)),
                reason: Some(CutReason::TooLong),
                ..Hole::default()
            }),
        }
    }

    /// The record that begins here, if one does that can stand here.
    fn record(&mut self) -> io::Result<Option<(Head, Body)>> {
        if !self.fill(HEAD_BYTES)? {
            return Ok(None);
        }
        let Some(head) = Head::parse(self.buffer.get(self.start..).unwrap_or_default()) else {
            return Ok(None);
        };
        let ahead = head.position.checked_sub(self.expected);
        if ahead.is_none_or(|ahead| ahead > self.most_ahead) || !self.fill(head.record_bytes())? {
            return Ok(None);
        }
        let record = self.buffer.get(self.start..self.start + head.record_bytes());
        let body = record.and_then(|record| head.read(self.salt, record));
        Ok(body.map(|body| (head, body)))
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Whether so many bytes can be had from here; reads them, and no more than there are.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        while self.buffer.len() - self.start < bytes && !self.at_end {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let read =
                self.input.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut self.buffer)?;
            self.at_end = read == 0;
        }
        Ok(self.buffer.len() - self.start >= bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{self, Writing};
    use super::*;
    use crate::domain::time::Timestamp;

    const HEADER: Header = Header { salt: 9, first: 5, follows: 4 };

    fn note(n: u64) -> Entry {
        Entry::Note { kind: 1, bytes: vec![n as u8; 30] }
    }

    fn body(positions: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for position in positions {
            record::write(&mut bytes, HEADER.salt, position, Writing::from(&note(position)));
        }
        bytes
    }

    fn scan(bytes: &[u8]) -> Vec<Item> {
        let mut scanner = Scanner::new(bytes, HEADER, bytes.len() as u64);
        std::iter::from_fn(|| scanner.next().unwrap()).collect()
    }

    const RECORD: usize = HEAD_BYTES + 31;

    #[test]
    fn a_header_survives_the_loss_of_one_copy() {
        let bytes = HEADER.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes;
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&broken), Some(HEADER));
        }
        assert_eq!(Header::parse(&bytes[..COPY_BYTES]), Some(HEADER));
        assert_eq!(Header::parse(&[0; HEADER_BYTES]), None);
        assert_eq!(Header::parse(b""), None);
    }

    #[test]
    fn damage_costs_only_the_entry_that_it_hits() {
        let mut bytes = body(5..10);
        bytes[RECORD * 2 + 20] ^= 4;
        let items = scan(&bytes);
        let [.., Item::Entry(6, _), Item::Hole(hole), Item::Entry(8, entry), Item::Entry(9, _)] =
            items.as_slice()
        else {
            panic!("{items:?}")
        };
        assert_eq!(*entry, note(8));
        assert_eq!(
            (hole.offset, hole.bytes, hole.lost),
            ((HEADER_BYTES + 2 * RECORD) as u64, RECORD as u64, Some((7, 7)))
        );
        assert_eq!(hole.sample, bytes[2 * RECORD..3 * RECORD]);
    }

    #[test]
    fn a_length_that_lies_reads_no_more_than_there_is() {
        let mut bytes = body(5..8);
        bytes[RECORD..RECORD + 4].copy_from_slice(&(200_u32 << 20).to_le_bytes());
        let items = scan(&bytes);
        assert!(
            matches!(&items[..], [Item::Entry(5, _), Item::Hole(_), Item::Entry(7, _)]),
            "{items:?}"
        );
    }

    #[test]
    fn the_rest_of_an_unfinished_write_is_torn() {
        let bytes = body(5..8);
        for end in RECORD * 2 + 1..RECORD * 3 {
            let items = scan(&bytes[..end]);
            let [Item::Entry(5, _), Item::Entry(6, _), Item::Torn(hole)] = items.as_slice() else {
                panic!("{items:?}")
            };
            assert_eq!(hole.offset, (HEADER_BYTES + 2 * RECORD) as u64);
            assert_eq!(hole.bytes, (end - 2 * RECORD) as u64);
        }
        assert_eq!(scan(&bytes[..2 * RECORD]).len(), 2, "nothing is torn between two records");
    }

    #[test]
    fn a_payload_that_looks_like_an_entry_is_none() {
        // Somebody publishes what would be entry 6, and the real head before it is damaged.
        let mut inner = Vec::new();
        record::write(&mut inner, 1234, 6, Writing::Tick(Timestamp::default()));
        let mut bytes = Vec::new();
        record::write(&mut bytes, HEADER.salt, 5, Writing::Note(1, &inner));
        bytes[0] ^= 1;
        bytes.extend(body([6]));
        let items = scan(&bytes);
        let [Item::Hole(hole), Item::Entry(6, entry)] = items.as_slice() else {
            panic!("{items:?}")
        };
        assert_eq!((hole.lost, entry), (Some((5, 5)), &note(6)));
    }

    #[test]
    fn entries_from_elsewhere_are_not_believed() {
        // Repeated, and from a position for which the file has no room.
        let bytes = [body([5, 6, 5]), body([7]), body([9_000_000])].concat();
        let items = scan(&bytes);
        assert!(
            matches!(
                &items[..],
                [
                    Item::Entry(5, _),
                    Item::Entry(6, _),
                    Item::Hole(Hole { lost: None, .. }),
                    Item::Entry(7, _),
                    Item::Torn(_)
                ]
            ),
            "{items:?}"
        );
    }
}

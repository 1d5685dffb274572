//! One entry as bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the body |
//! | 4 | CRC-32 over everything else here, begun with the journal's salt |
//! | 8 | position |
//! | 1 | kind |
//! | … | body |
//!
//! All numbers are little-endian. The position makes it decidable whether what stands behind
//! damaged bytes belongs there. The salt makes sure that a payload which looks like an entry is
//! none: whoever publishes it does not know the salt.

use crc32fast::Hasher;

use super::Entry;
use crate::domain::time::Timestamp;
use crate::ports::Message;

/// Bytes before the body.
pub(super) const HEAD_BYTES: usize = 17;

/// Longest body: no MQTT packet is longer.
pub(super) const MAX_BODY_BYTES: usize = 256 << 20;

const TOO_LONG: u8 = 0;
const MESSAGE: u8 = 1;
const TICK: u8 = 2;
const NOTE: u8 = 3;

/// What is to be written.
#[derive(Clone, Copy)]
pub(super) enum Writing<'a> {
    Message(&'a Message),
    Tick(Timestamp),
    Note(u8, &'a [u8]),
}

impl<'a> From<&'a Entry> for Writing<'a> {
    fn from(entry: &'a Entry) -> Self {
        match entry {
            Entry::Message(message) => Self::Message(message),
            Entry::Tick(second) => Self::Tick(*second),
            Entry::Note { kind, bytes } => Self::Note(*kind, bytes),
        }
    }
}

/// What was read.
#[derive(Debug)]
pub(super) enum Body {
    Entry(Entry),
    /// An entry that was too long stood here.
    TooLong,
}

/// Adds the entry's record to `out`.
pub(super) fn write(out: &mut Vec<u8>, salt: u32, position: u64, entry: Writing<'_>) {
    write_limited(out, salt, position, entry, MAX_BODY_BYTES);
}

fn write_limited(out: &mut Vec<u8>, salt: u32, position: u64, entry: Writing<'_>, limit: usize) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let length = match entry {
        Writing::Message(message) => message.topic.len() + message.payload.len() + 12,
        Writing::Tick(_) => 8,
        Writing::Note(_, bytes) => bytes.len() + 1,
    };
    let kind = if length > limit {
        out.extend_from_slice(&(length as u64).to_le_bytes());
        TOO_LONG
    } else {
        match entry {
            Writing::Message(message) => {
                out.extend_from_slice(&message.received_at.millis().to_le_bytes());
                out.extend_from_slice(&(message.topic.len() as u32).to_le_bytes());
                out.extend_from_slice(message.topic.as_bytes());
                out.extend_from_slice(&message.payload);
                MESSAGE
            }
            Writing::Tick(second) => {
                out.extend_from_slice(&second.millis().to_le_bytes());
                TICK
            }
            Writing::Note(kind, bytes) => {
                out.push(kind);
                out.extend_from_slice(bytes);
                NOTE
            }
        }
    };
    let length = out.len() - start - HEAD_BYTES;
    let Some(record) = out.get_mut(start..) else { return };
    record[0..4].copy_from_slice(&(length as u32).to_le_bytes());
    record[8..16].copy_from_slice(&position.to_le_bytes());
    record[16] = kind;
    let crc = checksum(salt, record);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Over the length and everything behind the checksum.
fn checksum(salt: u32, record: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(record.get(..4).unwrap_or_default());
    hasher.update(record.get(8..).unwrap_or_default());
    hasher.finalize()
}

/// The bytes before a body, as far as they can be believed without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub body_bytes: usize,
    pub position: u64,
    kind: u8,
    crc: u32,
}

impl Head {
    /// `None` for what cannot begin a record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (crc, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let body_bytes = u32::from_le_bytes(*length) as usize;
        let kind = *rest.first()?;
        (body_bytes <= MAX_BODY_BYTES && kind <= NOTE).then(|| Self {
            body_bytes,
            position: u64::from_le_bytes(*position),
            kind,
            crc: u32::from_le_bytes(*crc),
        })
    }

    pub fn record_bytes(&self) -> usize {
        HEAD_BYTES + self.body_bytes
    }

    /// What the whole record holds; `None` when it does not verify.
    pub fn read(&self, salt: u32, record: &[u8]) -> Option<Body> {
        if checksum(salt, record) != self.crc {
            return None;
        }
        let body = record.get(HEAD_BYTES..)?;
        let time = |bytes: &[u8; 8]| Timestamp::from_millis(i64::from_le_bytes(*bytes));
        Some(match self.kind {
            MESSAGE => {
                let (received, rest) = body.split_first_chunk::<8>()?;
                let (length, rest) = rest.split_first_chunk::<4>()?;
                let (topic, payload) =
                    rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                Body::Entry(Entry::Message(Message {
                    topic: std::str::from_utf8(topic).ok()?.to_owned(),
                    payload: payload.to_vec(),
                    received_at: time(received)?,
                    receipt: 0,
                }))
            }
            TICK => Body::Entry(Entry::Tick(time(body.first_chunk::<8>()?)?)),
            NOTE => {
                let (kind, bytes) = body.split_first()?;
                Body::Entry(Entry::Note { kind: *kind, bytes: bytes.to_vec() })
            }
            _ => Body::TooLong,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(salt: u32, record: &[u8]) -> Option<Body> {
        let head = Head::parse(record)?;
        head.read(salt, record.get(..head.record_bytes())?)
    }

    fn entries() -> Vec<Entry> {
        vec![
            Entry::Message(Message {
                topic: "wayside/v1/x/sensor/s/reading".into(),
                payload: b"{\"v\":1}\x00\xff".to_vec(),
                received_at: Timestamp::from_millis(-5).unwrap(),
                receipt: 0,
            }),
            Entry::Message(Message {
                topic: String::new(),
                payload: Vec::new(),
                received_at: Timestamp::default(),
                receipt: 0,
            }),
            Entry::Tick(Timestamp::from_millis(1_000).unwrap()),
            Entry::Note { kind: 200, bytes: vec![1, 2, 3] },
            Entry::Note { kind: 0, bytes: Vec::new() },
        ]
    }

    #[test]
    fn entries_come_back() {
        for entry in entries() {
            let mut out = vec![9; 3];
            write(&mut out, 77, 12, Writing::from(&entry));
            let record = &out[3..];
            assert_eq!(Head::parse(record).unwrap().position, 12);
            match read(77, record).unwrap() {
                Body::Entry(read) => assert_eq!(read, entry),
                Body::TooLong => panic!("{entry:?}"),
            }
            assert!(read(78, record).is_none(), "another journal's entry is none");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        for entry in entries() {
            let mut record = Vec::new();
            write(&mut record, 77, 12, Writing::from(&entry));
            for bit in 0..record.len() * 8 {
                let mut broken = record.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                assert!(read(77, &broken).is_none(), "bit {bit} of {entry:?}");
            }
        }
    }

    #[test]
    fn an_entry_that_is_too_long_leaves_its_place() {
        let mut out = Vec::new();
        write_limited(&mut out, 1, 5, Writing::Note(1, &[0; 64]), 64);
        assert!(matches!(read(1, &out), Some(Body::TooLong)));
        assert_eq!(out.len(), HEAD_BYTES + 8);
    }
}

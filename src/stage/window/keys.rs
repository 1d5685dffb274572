//! The unique keys of a source's rows whose windows are open, to know a repeat by.

use std::hash::BuildHasher;

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// More spans than this are not kept apart: sensors whose clocks show any time must not make each row
/// look through as many tables.
const MOST_SPANS: usize = 16;

/// Bytes of keys that are remembered, of rows whose windows are open: three million readings of a usual
/// size. Names that are made up must not fill the memory.
const MOST_BYTES: usize = 128 << 20;

/// A key's length and the time of its row, in front of it.
const HEAD: usize = size_of::<u32>() + size_of::<i64>();

/// Keys with the time of their row. Asked by key only, never walked where order could show.
///
/// Rows are forgotten by their time, so keys lie together by time: a span's go as a whole when
/// nobody asks for the last of them. A key costs its bytes and some twenty.
#[derive(Debug)]
pub(super) struct Keys {
    spans: Vec<Span>,
    hasher: RandomState,
    /// Length of a span, ms.
    length: i64,
    /// Keys of rows before this moment are forgotten.
    floor: i64,
    /// There may be forgotten keys among those held.
    stale: bool,
    most_bytes: usize,
}

/// Whether a key has been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is remembered from now on.
    New,
    Known,
    /// It is new, and there is no room to remember it.
    Full,
}

/// The keys of a stretch of time, and of rows with times of their own where there are too many
/// stretches.
#[derive(Debug)]
struct Span {
    /// Its time by `Keys::length`.
    number: i64,
    /// The oldest and the newest time of its rows.
    oldest: i64,
    newest: i64,
    /// Where in `bytes` each begins.
    known: HashTable<u32>,
    /// One behind the other: length, time, key.
    bytes: Vec<u8>,
}

impl Span {
    fn holding(number: i64) -> Self {
        let (oldest, newest) = (i64::MAX, i64::MIN);
        Self { number, oldest, newest, known: HashTable::new(), bytes: Vec::new() }
    }

    /// The key that begins there, with the time of its row and where the next one begins.
    fn at(bytes: &[u8], start: usize) -> Option<(&[u8], i64, usize)> {
        let (length, rest) = bytes.get(start..)?.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        Some((rest.get(..length)?, i64::from_le_bytes(*time), start + HEAD + length))
    }

    /// All keys in the order in which they came, with the times of their rows.
    fn walk(bytes: &[u8]) -> impl Iterator<Item = (&[u8], i64)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (key, time, next) = Self::at(bytes, at)?;
            at = next;
            Some((key, time))
        })
    }

    fn key(bytes: &[u8], start: u32) -> &[u8] {
        Self::at(bytes, start as usize).map_or(&[], |(key, ..)| key)
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.known.find(hash, |start| Self::key(&self.bytes, *start) == key).copied()
    }

    fn time(&self, start: u32) -> i64 {
        Self::at(&self.bytes, start as usize).map_or(i64::MIN, |(_, time, _)| time)
    }

    /// Its bytes stay until the span goes.
    fn remove(&mut self, hash: u64, start: u32) {
        if let Ok(known) = self.known.find_entry(hash, |known| *known == start) {
            known.remove();
        }
    }

    fn add(&mut self, hash: u64, key: &[u8], time: i64, hasher: &RandomState) {
        // `has_room` has said that it fits.
        let start = self.bytes.len() as u32;
        Self::write(&mut self.bytes, key, time);
        let bytes = &self.bytes;
        self.known.insert_unique(hash, start, |start| hasher.hash_one(Self::key(bytes, *start)));
        (self.oldest, self.newest) = (self.oldest.min(time), self.newest.max(time));
    }

    /// What `at` reads.
    fn write(bytes: &mut Vec<u8>, key: &[u8], time: i64) {
        bytes.extend((key.len() as u32).to_le_bytes());
        bytes.extend(time.to_le_bytes());
        bytes.extend_from_slice(key);
    }

    fn has_room(&self, key: &[u8]) -> bool {
        u32::try_from(self.bytes.len() + HEAD + key.len()).is_ok()
    }
}

impl Keys {
    /// `length_ms`: of the spans that are forgotten as a whole.
    pub(super) fn new(length_ms: i64) -> Self {
        let (spans, hasher) = (Vec::new(), RandomState::default());
        let (length, floor, stale) = (length_ms.max(1), i64::MIN, false);
        Self { spans, hasher, length, floor, stale, most_bytes: MOST_BYTES }
    }

    /// Looks for a key, and keeps it where it is new. No window takes a row from before the moment to
    /// which keys are forgotten.
    pub(super) fn insert(&mut self, key: &[u8], time: i64) -> Look {
        let hash = self.hasher.hash_one(key);
        for span in self.spans.iter_mut().rev() {
            if let Some(start) = span.find(hash, key) {
                if span.time(start) >= self.floor {
                    return Look::Known;
                }
                // It lies with its new time from now on: else old spans would never go.
                span.remove(hash, start);
                break;
            }
        }
        if !self.holds_room(HEAD + key.len()) {
            return Look::Full;
        }
        let number = time.div_euclid(self.length);
        let full = self.spans.len() >= MOST_SPANS;
        let at = self.spans.iter().rposition(|span| span.number == number);
        let at = at.or_else(|| self.spans.len().checked_sub(1).filter(|_| full));
        let at = at.filter(|at| self.spans[*at].has_room(key)).unwrap_or(self.spans.len());
        if at == self.spans.len() {
            self.spans.push(Span::holding(number));
        }
        self.spans[at].add(hash, key, time, &self.hasher);
        Look::New
    }

    /// Whether so many bytes fit beside the keys that are not forgotten; how those lie in spans plays no
    /// part, since a state that is taken up lays them anew.
    fn holds_room(&mut self, bytes: usize) -> bool {
        let fits = |keys: &Self| {
            let held: usize = keys.spans.iter().map(|span| span.bytes.len()).sum();
            held + bytes <= keys.most_bytes
        };
        if !fits(self) && std::mem::take(&mut self.stale) {
            self.drop_forgotten();
        }
        fits(self)
    }

    /// Lays spans anew that hold forgotten keys.
    fn drop_forgotten(&mut self) {
        for span in self.spans.iter_mut().filter(|span| span.oldest < self.floor) {
            let before = std::mem::replace(span, Span::holding(span.number));
            for (key, time) in Span::walk(&before.bytes).filter(|(_, time)| *time >= self.floor) {
                span.add(self.hasher.hash_one(key), key, time, &self.hasher);
            }
        }
        self.spans.retain(|span| !span.bytes.is_empty());
    }

    /// Drops the keys of rows before a moment.
    pub(super) fn forget_before(&mut self, time: i64) {
        if time > self.floor {
            (self.floor, self.stale) = (time, true);
            self.spans.retain(|span| span.newest >= time);
        }
    }

    pub(super) fn state(&self) -> State {
        let kept = |span: &Span| {
            let mut kept = Vec::with_capacity(span.bytes.len());
            for (key, time) in Span::walk(&span.bytes).filter(|(_, time)| *time >= self.floor) {
                Span::write(&mut kept, key, time);
            }
            ByteBuf::from(kept)
        };
        State { spans: self.spans.iter().map(kept).collect(), floor: self.floor }
    }

    pub(super) fn restore(&mut self, state: &State) {
        self.spans.clear();
        (self.floor, self.stale) = (state.floor, false);
        for (key, time) in state.spans.iter().flat_map(|bytes| Span::walk(bytes)) {
            self.insert(key, time);
        }
    }

    #[cfg(test)]
    pub(super) fn limit(&mut self, bytes: usize) {
        self.most_bytes = bytes;
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.spans.iter().map(|span| span.known.len()).sum()
    }
}

/// The keys as they are kept: each span's bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    spans: Vec<ByteBuf>,
    floor: i64,
}

/// The columns of a batch that make its rows unique.
#[derive(Debug)]
pub(super) struct KeyColumns<'b>(Vec<KeyColumn<'b>>);

#[derive(Debug)]
enum KeyColumn<'b> {
    Text(&'b StringArray),
    Integer(&'b Int64Array),
    Number(&'b Float64Array),
    Boolean(&'b BooleanArray),
    Time(&'b arrow::array::TimestampMillisecondArray),
    Texts(&'b ListArray),
    /// A column of another kind than a mapping can have: no row differs by it.
    Other,
}

impl<'b> KeyColumns<'b> {
    pub(super) fn of(batch: &'b RecordBatch, columns: &[usize]) -> Self {
        let column = |index: &usize| {
            let Some(array) = batch.columns().get(*index) else { return KeyColumn::Other };
            if let Some(array) = array.as_string_opt() {
                KeyColumn::Text(array)
            } else if let Some(array) = array.as_primitive_opt::<Int64Type>() {
                KeyColumn::Integer(array)
            } else if let Some(array) = array.as_primitive_opt::<Float64Type>() {
                KeyColumn::Number(array)
            } else if let Some(array) = array.as_boolean_opt() {
                KeyColumn::Boolean(array)
            } else if let Some(array) = array.as_primitive_opt::<TimestampMillisecondType>() {
                KeyColumn::Time(array)
            } else if let Some(array) = array.as_list_opt() {
                KeyColumn::Texts(array)
            } else {
                KeyColumn::Other
            }
        };
        Self(columns.iter().map(column).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row's key as bytes: each cell with its kind and, for texts, its length in front, so that
    /// two keys are equal only if all their cells are.
    pub(super) fn write(&self, row: usize, key: &mut Vec<u8>) {
        key.clear();
        for column in &self.0 {
            column.write(row, key);
        }
    }
}

impl KeyColumn<'_> {
    fn write(&self, row: usize, key: &mut Vec<u8>) {
        let null = match self {
            Self::Text(array) => array.is_null(row),
            Self::Integer(array) => array.is_null(row),
            Self::Number(array) => array.is_null(row),
            Self::Boolean(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
            Self::Texts(array) => array.is_null(row),
            Self::Other => true,
        };
        if null {
            return key.push(0);
        }
        match self {
            Self::Text(array) => text(array.value(row), key),
            Self::Integer(array) => {
                key.push(2);
                key.extend(array.value(row).to_le_bytes());
            }
            Self::Number(array) => {
                key.push(3);
                // 0.0 and -0.0 are one number.
                key.extend((array.value(row) + 0.0).to_bits().to_le_bytes());
            }
            Self::Boolean(array) => key.extend([4, u8::from(array.value(row))]),
            Self::Time(array) => {
                key.push(5);
                key.extend(array.value(row).to_le_bytes());
            }
            Self::Texts(array) => {
                let texts = array.value(row);
                key.push(6);
                key.extend(texts.len().to_le_bytes());
                for value in texts.as_string_opt::<i32>().into_iter().flatten() {
                    match value {
                        Some(value) => text(value, key),
                        None => key.push(0),
                    }
                }
            }
            Self::Other => {}
        }
    }
}

fn text(value: &str, key: &mut Vec<u8>) {
    key.push(1);
    // Payloads are far smaller.
    key.extend((value.len() as u32).to_le_bytes());
    key.extend(value.as_bytes());
}

#[cfg(test)]
mod tests;

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
}

/// The keys of a stretch of time, and of rows with times of their own where there are too many
/// stretches.
#[derive(Debug)]
struct Span {
    /// Its time by `Keys::length`.
    number: i64,
    /// The newest time of its rows.
    newest: i64,
    /// Where in `bytes` each begins.
    known: HashTable<u32>,
    /// One behind the other: length, time, key.
    bytes: Vec<u8>,
}

impl Span {
    fn holding(number: i64) -> Self {
        Self { number, newest: i64::MIN, known: HashTable::new(), bytes: Vec::new() }
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
        self.newest = self.newest.max(time);
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
        Self { spans, hasher, length: length_ms.max(1), floor: i64::MIN }
    }

    /// Keeps a key; `false` if it is there already.
    pub(super) fn insert(&mut self, key: &[u8], time: i64) -> bool {
        // A row that lengthens a session may be older than what was forgotten before it came.
        let time = time.max(self.floor);
        let hash = self.hasher.hash_one(key);
        for span in self.spans.iter_mut().rev() {
            if let Some(start) = span.find(hash, key) {
                if span.time(start) >= self.floor {
                    return false;
                }
                // It lies with its new time from now on: else old spans would never go.
                span.remove(hash, start);
                break;
            }
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
        true
    }

    /// Drops the keys of rows before a moment.
    pub(super) fn forget_before(&mut self, time: i64) {
        if time > self.floor {
            self.floor = time;
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
        self.floor = state.floor;
        for (key, time) in state.spans.iter().flat_map(|bytes| Span::walk(bytes)) {
            self.insert(key, time);
        }
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
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    #[test]
    fn cells_that_run_together_are_still_two_keys() {
        let columns: [(&str, ArrayRef); 3] = [
            ("a", Arc::new(StringArray::from(vec![Some("ab"), Some("a"), None, Some("ab")]))),
            ("b", Arc::new(StringArray::from(vec![Some("c"), Some("bc"), Some("abc"), Some("c")]))),
            ("n", Arc::new(Float64Array::from(vec![Some(0.0), Some(0.0), None, Some(-0.0)]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let columns = KeyColumns::of(&batch, &[0, 1, 2]);
        let (mut keys, mut key) = (Keys::new(2), Vec::new());
        let fresh: Vec<bool> = (0..4)
            .zip(0..)
            .map(|(row, time)| {
                columns.write(row, &mut key);
                keys.insert(&key, time)
            })
            .collect();
        assert_eq!(fresh, [true, true, true, false]);
        keys.forget_before(1);
        columns.write(0, &mut key);
        assert!(keys.insert(&key, 9), "forgotten with its time");
        assert!(!keys.insert(&key, 9));
    }

    #[test]
    fn what_is_forgotten_does_not_fill_the_memory() {
        let mut keys = Keys::new(250);
        for n in 0..100_000_i64 {
            assert!(keys.insert(&n.to_le_bytes(), n));
            keys.forget_before(n - 500);
        }
        assert!(keys.len() <= 751, "{}", keys.len());
        assert!(!keys.insert(&99_900_i64.to_le_bytes(), 99_900));
        let mut again = Keys::new(60);
        let bytes = rmp_serde::to_vec(&keys.state()).unwrap();
        again.restore(&rmp_serde::from_slice(&bytes).unwrap());
        assert_eq!(again.len(), 501, "the forgotten are not taken up");
        assert!(!again.insert(&99_900_i64.to_le_bytes(), 99_900));
        assert!(again.insert(&99_000_i64.to_le_bytes(), 99_990));
    }

    #[test]
    fn keys_that_come_again_and_again_hold_nothing_else() {
        let mut keys = Keys::new(100);
        for n in 0..20_000_i64 {
            // One of forty that return, each after all was forgotten, and one that never does.
            keys.insert(&(n / 10 % 40).to_le_bytes(), n);
            assert!(keys.insert(&(1_000_000 + n).to_le_bytes(), n));
            keys.forget_before(n - 300);
        }
        assert!(keys.spans.len() <= 5, "{} spans", keys.spans.len());
        assert!(keys.len() <= 500, "{} keys", keys.len());
    }

    #[test]
    fn a_row_from_before_the_floor_is_known_until_the_floor_moves() {
        let mut keys = Keys::new(100);
        keys.forget_before(100);
        assert!(keys.insert(b"a", 50));
        assert!(!keys.insert(b"a", 50));
        keys.forget_before(101);
        assert!(keys.insert(b"a", 50));
    }

    #[test]
    fn clocks_that_show_any_time_make_no_more_tables() {
        let mut keys = Keys::new(10);
        for n in 0..1_000_i64 {
            assert!(keys.insert(&n.to_le_bytes(), n * 1_000_003));
        }
        assert_eq!(keys.spans.len(), MOST_SPANS);
        assert!((0..1_000_i64).all(|n| !keys.insert(&n.to_le_bytes(), 5)));
        keys.forget_before(500 * 1_000_003);
        assert!((500..1_000_i64).all(|n| !keys.insert(&n.to_le_bytes(), 5)));
        assert!((0..500_i64).all(|n| keys.insert(&n.to_le_bytes(), 999 * 1_000_003)));
    }
}

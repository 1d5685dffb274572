//! The unique keys of a source's rows whose windows are open, to know a repeat by.

use std::hash::BuildHasher;

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

/// Fewer keys than this are not worth a generation of their own.
const LEAST: usize = 4_096;

/// A new generation begins when the newest one holds more than this part of all keys: so there are
/// few, and few of the keys are forgotten ones.
const PART: usize = 4;

/// Keys with the time of their row. Asked by key only, never walked where order could show.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The newest last; never empty. One whose keys are all forgotten goes as a whole.
    generations: Vec<Generation>,
    hasher: RandomState,
    /// Keys of rows before this moment are forgotten.
    floor: i64,
}

#[derive(Clone, Debug)]
struct Generation {
    known: HashTable<Known>,
    /// The keys, one behind the other.
    bytes: Vec<u8>,
    /// The newest time of its rows.
    newest: i64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    start: usize,
    length: u32,
    time: i64,
}

impl Known {
    fn key(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..][..self.length as usize]
    }
}

impl Generation {
    fn new() -> Self {
        Self { known: HashTable::new(), bytes: Vec::new(), newest: i64::MIN }
    }
}

impl Default for Keys {
    fn default() -> Self {
        let generations = vec![Generation::new()];
        Self { generations, hasher: RandomState::default(), floor: i64::MIN }
    }
}

impl Keys {
    /// Keeps a key; `false` if it is there already.
    pub(super) fn insert(&mut self, key: &[u8], time: i64) -> bool {
        let hash = self.hasher.hash_one(key);
        for Generation { known, bytes, newest } in self.generations.iter_mut().rev() {
            if let Some(known) = known.find_mut(hash, |known| known.key(bytes) == key) {
                let forgotten = known.time < self.floor;
                if forgotten {
                    known.time = time;
                    *newest = time.max(*newest);
                }
                return forgotten;
            }
        }
        if let Some(Generation { known, bytes, newest }) = self.generations.last_mut() {
            // A row's key comes from one payload, which is no larger than a packet.
            let new = Known { start: bytes.len(), length: key.len() as u32, time };
            bytes.extend_from_slice(key);
            known.insert_unique(hash, new, |known| self.hasher.hash_one(known.key(bytes)));
            *newest = time.max(*newest);
        }
        true
    }

    /// Drops the keys of rows before a moment.
    pub(super) fn forget_before(&mut self, time: i64) {
        if time <= self.floor {
            return;
        }
        self.floor = time;
        let last = self.generations.last().map_or(0, |generation| generation.known.len());
        if last >= LEAST.max(self.len() / PART) {
            self.generations.push(Generation::new());
        }
        let newest = self.generations.len() - 1;
        let mut at = 0;
        self.generations.retain(|generation| {
            at += 1;
            at > newest || generation.newest >= time
        });
    }

    fn len(&self) -> usize {
        self.generations.iter().map(|generation| generation.known.len()).sum()
    }
}

/// The keys as they are kept: what is forgotten is left out.
#[derive(Serialize, Deserialize)]
struct Kept {
    keys: Vec<(ByteBuf, i64)>,
    floor: i64,
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys = Vec::new();
        for Generation { known, bytes, .. } in &self.generations {
            let known = known.iter().filter(|known| known.time >= self.floor);
            keys.extend(known.map(|known| (ByteBuf::from(known.key(bytes)), known.time)));
        }
        Kept { keys, floor: self.floor }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(deserializer)?;
        let mut keys = Self { floor: kept.floor, ..Self::default() };
        for (key, time) in kept.keys {
            keys.insert(&key, time);
        }
        Ok(keys)
    }
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
        let (mut keys, mut key) = (Keys::default(), Vec::new());
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
        let mut keys = Keys::default();
        for n in 0..100_000_i64 {
            assert!(keys.insert(&n.to_le_bytes(), n));
            keys.forget_before(n - 500);
        }
        assert!(keys.len() <= 2 * (LEAST + 1), "{}", keys.len());
        assert!(!keys.insert(&99_900_i64.to_le_bytes(), 99_900));
        let mut again: Keys = rmp_serde::from_slice(&rmp_serde::to_vec(&keys).unwrap()).unwrap();
        assert_eq!(again.len(), 501, "the forgotten are not kept");
        assert!(!again.insert(&99_900_i64.to_le_bytes(), 99_900));
        assert!(again.insert(&99_000_i64.to_le_bytes(), 99_990));
    }
}

//! The rows of one source whose windows are open, by time, and the unique keys among them.

use std::collections::{BTreeMap, HashMap};

use crate::batch::{Row, Value};

#[derive(Debug)]
pub(super) struct Store {
    /// By the moment that decides on windows, ms.
    rows: BTreeMap<i64, Vec<Row>>,
    /// Columns of the unique key; empty: repeats are not looked for.
    unique: Vec<usize>,
    /// The time of the row with each key. Asked by key only, never walked.
    keys: HashMap<Box<[u8]>, i64>,
}

impl Store {
    pub(super) fn new(unique: Vec<usize>) -> Self {
        Self { rows: BTreeMap::new(), unique, keys: HashMap::new() }
    }

    /// Keeps a row; `false` if a row with its key is there already in a window that is `open`.
    pub(super) fn insert(&mut self, time: i64, row: Row, open: impl Fn(i64) -> bool) -> bool {
        if !self.unique.is_empty() {
            let key = key_of(&row, &self.unique);
            // A row whose windows have closed may still be here, until the next look at the time.
            if self.keys.get(&key).is_some_and(|time| open(*time)) {
                return false;
            }
            self.keys.insert(key, time);
        }
        self.rows.entry(time).or_default().push(row);
        true
    }

    /// The rows of `[start, end)` by time and then by content.
    pub(super) fn rows(&self, start: i64, end: i64) -> Vec<&Row> {
        let mut rows = Vec::new();
        for bucket in self.rows.range(start..end).map(|(_, bucket)| bucket) {
            let from = rows.len();
            rows.extend(bucket);
            rows[from..].sort_by(|a: &&Row, b: &&Row| a.total_cmp(b));
        }
        rows
    }

    pub(super) fn first_time_from(&self, time: i64) -> Option<i64> {
        self.rows.range(time..).next().map(|(time, _)| *time)
    }

    pub(super) fn last_time(&self) -> Option<i64> {
        self.rows.keys().next_back().copied()
    }

    /// Drops the rows before a moment, and their keys.
    pub(super) fn forget_before(&mut self, time: i64) {
        let kept = self.rows.split_off(&time);
        let gone = std::mem::replace(&mut self.rows, kept);
        if self.unique.is_empty() {
            return;
        }
        for (time, row) in gone.iter().flat_map(|(time, rows)| rows.iter().map(move |r| (time, r)))
        {
            let key = key_of(row, &self.unique);
            if self.keys.get(&key) == Some(time) {
                self.keys.remove(&key);
            }
        }
    }
}

/// The key's cells as bytes, each with its kind and, for texts, its length in front, so that two
/// keys are equal only if all their cells are.
fn key_of(row: &Row, columns: &[usize]) -> Box<[u8]> {
    let mut key = Vec::with_capacity(48);
    for column in columns {
        push(&mut key, row.get(*column));
    }
    key.into_boxed_slice()
}

fn push(key: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null => key.push(0),
        Value::Text(text) => {
            key.push(1);
            key.extend(text.len().to_le_bytes());
            key.extend(text.as_bytes());
        }
        Value::Integer(value) => {
            key.push(2);
            key.extend(value.to_le_bytes());
        }
        Value::Number(value) => {
            key.push(3);
            // 0.0 and -0.0 are one number.
            key.extend((value + 0.0).to_bits().to_le_bytes());
        }
        Value::Boolean(value) => key.extend([4, u8::from(value)]),
        Value::Time(time) => {
            key.push(5);
            key.extend(time.millis().to_le_bytes());
        }
        Value::Texts(texts) => {
            key.push(6);
            key.extend(texts.len().to_le_bytes());
            for text in texts {
                push(key, Value::Text(text));
            }
        }
    }
}

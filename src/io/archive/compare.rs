//! Compares two runs: the first window row and the first direction that differ.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;
use serde_json::Value;

use super::read::{DirectionLine, Directions, ReadError, Windows};
use crate::domain::time::Timestamp;

/// How many there are in each run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub a: u64,
    pub b: u64,
}

/// What two runs have in common, and where they part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub equal: bool,
    pub window_rows: Count,
    pub directions: Count,
    pub first_window: Option<WindowDifference>,
    pub first_direction: Option<DirectionDifference>,
}

/// A column or member with its value in each run; `None` where a run has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell<T> {
    pub name: String,
    pub a: Option<T>,
    pub b: Option<T>,
}

/// The first row of windows that differs. What names the row is run A's, else run B's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowDifference {
    /// From 1.
    pub row: u64,
    pub window: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub revision: Option<String>,
    pub segment: Option<String>,
    /// Every column that differs; all of them where a run has ended.
    pub columns: Vec<Cell<String>>,
}

/// The first direction that differs. Time and topic are run A's, else run B's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectionDifference {
    /// From 1.
    pub number: u64,
    pub ts: Option<Value>,
    pub topic: Option<Value>,
    /// The first member of the line that differs, named by its JSON pointer; the whole line (an
    /// empty pointer) where a run has ended, or where both say the same in other bytes.
    pub member: Cell<Value>,
}

/// Reads both runs to their ends.
pub fn compare(a: &Path, b: &Path) -> Result<Comparison, ReadError> {
    let (window_rows, first_window) = windows(Windows::open(a)?, Windows::open(b)?)?;
    let (directions, first_direction) = directions(Directions::open(a)?, Directions::open(b)?)?;
    let equal = first_window.is_none() && first_direction.is_none();
    Ok(Comparison { equal, window_rows, directions, first_window, first_direction })
}

/// Rows that are still to be compared.
struct Rows {
    batches: Windows,
    rest: Option<RecordBatch>,
}

impl Rows {
    /// Makes sure that there are rows, unless the run has ended; how many.
    fn fill(&mut self) -> Result<usize, ReadError> {
        while self.rest.as_ref().is_none_or(|rest| rest.num_rows() == 0) {
            self.rest = self.batches.next().transpose()?;
            if self.rest.is_none() {
                return Ok(0);
            }
        }
        Ok(self.rest.as_ref().map_or(0, RecordBatch::num_rows))
    }

    fn take(&mut self, count: usize) -> Option<RecordBatch> {
        let rest = self.rest.take()?;
        let taken = rest.slice(0, count);
        self.rest = Some(rest.slice(count, rest.num_rows() - count));
        Some(taken)
    }

    fn count_rest(&mut self) -> Result<u64, ReadError> {
        let mut count = 0;
        loop {
            match self.fill()? {
                0 => return Ok(count),
                rows => {
                    count += rows as u64;
                    self.rest = None;
                }
            }
        }
    }
}

fn windows(a: Windows, b: Windows) -> Result<(Count, Option<WindowDifference>), ReadError> {
    let (mut a, mut b) = (Rows { batches: a, rest: None }, Rows { batches: b, rest: None });
    let mut equal = 0;
    loop {
        let (in_a, in_b) = (a.fill()?, b.fill()?);
        let both = in_a.min(in_b);
        if both == 0 {
            let first = row_difference(equal + 1, a.rest.as_ref(), b.rest.as_ref());
            let count = Count { a: equal + a.count_rest()?, b: equal + b.count_rest()? };
            return Ok((count, first));
        }
        let (rows_a, rows_b) = (a.take(both), b.take(both));
        if rows_a == rows_b {
            equal += both as u64;
            continue;
        }
        let row = |rows: Option<&RecordBatch>, at| rows.map(|rows: &RecordBatch| rows.slice(at, 1));
        let at = (0..both)
            .find(|at| row(rows_a.as_ref(), *at) != row(rows_b.as_ref(), *at))
            .unwrap_or_default();
        let (first_a, first_b) = (row(rows_a.as_ref(), at), row(rows_b.as_ref(), at));
        let first = row_difference(equal + at as u64 + 1, first_a.as_ref(), first_b.as_ref());
        let seen = equal + both as u64;
        let count = Count { a: seen + a.count_rest()?, b: seen + b.count_rest()? };
        return Ok((count, first));
    }
}

/// How the first rows of two batches differ; `None` where both runs have ended.
fn row_difference(
    row: u64,
    a: Option<&RecordBatch>,
    b: Option<&RecordBatch>,
) -> Option<WindowDifference> {
    let known = a.or(b)?;
    let value = |rows: Option<&RecordBatch>, name: &str| text(rows?.column_by_name(name)?);
    let named = |name: &str| value(Some(known), name);
    let schema = known.schema();
    let columns = schema.fields().iter().map(|field| field.name().clone()).filter_map(|name| {
        let column = |rows: Option<&RecordBatch>| Some(rows?.column_by_name(&name)?.slice(0, 1));
        let differs = column(a).as_ref() != column(b).as_ref();
        differs.then(|| Cell { a: value(a, &name), b: value(b, &name), name })
    });
    Some(WindowDifference {
        row,
        window: named("window"),
        start: named("start"),
        end: named("end"),
        revision: named("revision"),
        segment: named("segment"),
        columns: columns.collect(),
    })
}

/// The first value of a column as text.
fn text(column: &dyn Array) -> Option<String> {
    if column.is_empty() || column.is_null(0) {
        return Some("null".to_owned());
    }
    if let DataType::Timestamp(..) = column.data_type() {
        let millis = column.as_primitive_opt::<TimestampMillisecondType>()?.value(0);
        return Timestamp::from_millis(millis).map(|time| time.to_string());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options).ok()?;
    formatter.value(0).try_to_string().ok()
}

fn directions(
    mut a: Directions,
    mut b: Directions,
) -> Result<(Count, Option<DirectionDifference>), ReadError> {
    let mut count = Count::default();
    let mut first = None;
    loop {
        let (line_a, line_b) = (a.next().transpose()?, b.next().transpose()?);
        count.a += u64::from(line_a.is_some());
        count.b += u64::from(line_b.is_some());
        if line_a.is_none() && line_b.is_none() {
            return Ok((count, first));
        }
        if first.is_none() && line_a != line_b {
            first = line_difference(line_a.as_ref(), line_b.as_ref());
        }
    }
}

fn line_difference(
    a: Option<&DirectionLine>,
    b: Option<&DirectionLine>,
) -> Option<DirectionDifference> {
    // What is no JSON is shown as it stands.
    let parsed = |line: Option<&DirectionLine>| {
        line.map(|line| {
            serde_json::from_str(&line.text).unwrap_or_else(|_| Value::from(line.text.as_str()))
        })
    };
    let (value_a, value_b) = (parsed(a), parsed(b));
    let number = a.or(b)?.number;
    let known = value_a.as_ref().or(value_b.as_ref())?;
    let (ts, topic) = (known.get("ts").cloned(), known.get("topic").cloned());
    let member = match (&value_a, &value_b) {
        (Some(a), Some(b)) => first_difference(String::new(), a, b),
        _ => None,
    };
    let whole = || {
        let text = |line: Option<&DirectionLine>| line.map(|line| Value::from(line.text.as_str()));
        Cell { name: String::new(), a: text(a), b: text(b) }
    };
    Some(DirectionDifference { number, ts, topic, member: member.unwrap_or_else(whole) })
}

/// The first member that differs, in the order of `a` and then of what only `b` has.
fn first_difference(pointer: String, a: &Value, b: &Value) -> Option<Cell<Value>> {
    let cell = |name: String, a: Option<&Value>, b: Option<&Value>| Cell {
        name,
        a: a.cloned(),
        b: b.cloned(),
    };
    let either = |name: String, a: Option<&Value>, b: Option<&Value>| match (a, b) {
        (Some(a), Some(b)) => first_difference(name, a, b),
        _ => Some(cell(name, a, b)),
    };
    match (a, b) {
        (Value::Object(in_a), Value::Object(in_b)) => {
            let only_b = in_b.keys().filter(|key| !in_a.contains_key(*key));
            in_a.keys().chain(only_b).find_map(|key| {
                let name = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                either(name, in_a.get(key), in_b.get(key))
            })
        }
        (Value::Array(in_a), Value::Array(in_b)) => (0..in_a.len().max(in_b.len()))
            .find_map(|at| either(format!("{pointer}/{at}"), in_a.get(at), in_b.get(at))),
        _ => (a != b).then(|| cell(pointer, Some(a), Some(b))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_differing_member_is_pointed_at() {
        let a = json!({"a": {"x/y": [1, 2], "z": 1}, "b": 1});
        for (b, pointer, in_a, in_b) in [
            (
                json!({"a": {"x/y": [1, 3], "z": 2}, "b": 1}),
                "/a/x~1y/1",
                Some(json!(2)),
                Some(json!(3)),
            ),
            (json!({"a": {"x/y": [1, 2, 3], "z": 1}, "b": 1}), "/a/x~1y/2", None, Some(json!(3))),
            (json!({"a": {"x/y": [1, 2], "z": 1}}), "/b", Some(json!(1)), None),
            (json!({"a": {"x/y": [1, 2], "z": 1}, "b": 1, "c": 0}), "/c", None, Some(json!(0))),
            (json!([1]), "", Some(a.clone()), Some(json!([1]))),
        ] {
            let cell = first_difference(String::new(), &a, &b).unwrap();
            assert_eq!((cell.name.as_str(), cell.a, cell.b), (pointer, in_a, in_b));
        }
        assert_eq!(first_difference(String::new(), &a, &a.clone()), None);
    }

    #[test]
    fn the_same_in_other_bytes_is_a_difference_of_the_whole_line() {
        let line = |text: &str| DirectionLine { number: 3, text: text.to_owned() };
        let (a, b) = (line(r#"{"ts":"x","topic":"t"}"#), line(r#"{"ts": "x","topic":"t"}"#));
        let found = line_difference(Some(&a), Some(&b)).unwrap();
        assert_eq!((found.number, found.ts, found.topic), (3, Some(json!("x")), Some(json!("t"))));
        assert_eq!(found.member.name, "");
        assert_eq!(found.member.b, Some(Value::from(b.text)));
    }
}

//! Recordings and runs as the tables of analysts: `readings`, `windows` and `directions`.
//!
//! Rows come in batches while the files are read, so a table may be larger than the memory. What
//! is no record of a recording is left out, counted, and said in a warning.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use super::archive::{DirectionLine, Directions, Windows};
use super::columnar;
use super::recording::{Entry, Reader, Record};
use crate::domain::time::Timestamp;

pub use super::archive::windows_schema;

const BATCH_ROWS: usize = 4096;

/// Rows, batch by batch; an error says what could not be read, and is the last.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Number,
    Time,
}

/// The members of a payload that have a column; null where the payload has none of that kind.
const READING: &[(&str, Kind)] = &[
    ("sensor_id", Kind::Text),
    ("kind", Kind::Text),
    ("edge_id", Kind::Text),
    ("lane", Kind::Whole),
    ("count", Kind::Whole),
    ("speed_kmh", Kind::Number),
    ("occupancy_pct", Kind::Number),
    ("queue_veh", Kind::Number),
];
const DIRECTION: &[(&str, Kind)] = &[
    ("direction_id", Kind::Text),
    ("revision", Kind::Whole),
    ("state", Kind::Text),
    ("cause", Kind::Text),
    ("sign_id", Kind::Text),
    ("valid_until", Kind::Time),
    ("delay_s", Kind::Number),
    ("saving_s", Kind::Number),
    ("text", Kind::Text),
];

/// The columns of `readings`: `ts`, `pub`, `topic`, those of the payload's members, `payload`.
pub fn readings_schema() -> SchemaRef {
    schema(&[("ts", Kind::Time), ("pub", Kind::Time), ("topic", Kind::Text)], READING)
}

/// The columns of `directions`: `ts`, `topic`, those of the payload's members, `payload`.
pub fn directions_schema() -> SchemaRef {
    schema(&[("ts", Kind::Time), ("topic", Kind::Text)], DIRECTION)
}

fn schema(head: &[(&str, Kind)], members: &[(&str, Kind)]) -> SchemaRef {
    let columns = head.iter().chain(members).chain(&[("payload", Kind::Text)]);
    let fields = columns.map(|(name, kind)| {
        let kind = match kind {
            Kind::Text => DataType::Utf8,
            Kind::Whole => DataType::Int64,
            Kind::Number => DataType::Float64,
            Kind::Time => columnar::utc_millis(),
        };
        Field::new(*name, kind, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The messages of recordings, one after the other.
pub fn readings(paths: Vec<PathBuf>) -> Batches {
    let records = paths.into_iter().flat_map(|path| match Reader::open(&path) {
        Ok(reader) => Box::new(Records { path, reader, corrupt: 0, first: None }) as Rows<Record>,
        Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
    });
    let row = |record: Record, row: &mut Row| {
        row.time(Some(record.ts));
        row.time(record.published);
        row.text(Some(&record.topic));
        let payload = serde_json::from_slice(&record.payload).unwrap_or_default();
        row.members(READING, &payload);
        row.text(Some(&String::from_utf8_lossy(&record.payload)));
    };
    batches(readings_schema(), Box::new(records), row)
}

/// The windows of runs, one after the other.
pub fn windows(folders: Vec<PathBuf>) -> Batches {
    Box::new(folders.into_iter().flat_map(|folder| -> Batches {
        match Windows::open(&folder) {
            Ok(windows) => Box::new(windows.map(|batch| batch.map_err(|error| error.to_string()))),
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
        }
    }))
}

/// The directions of runs, one after the other.
pub fn directions(folders: Vec<PathBuf>) -> Batches {
    let lines = folders.into_iter().flat_map(|folder| -> Rows<Value> {
        match Directions::open(&folder) {
            Ok(lines) => Box::new(lines.map(move |line| {
                let DirectionLine { number, text } = line.map_err(|error| error.to_string())?;
                serde_json::from_str(&text).map_err(|error| {
                    format!("{}: direction {number} is no JSON: {error}", folder.display())
                })
            })),
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
        }
    });
    let row = |line: Value, row: &mut Row| {
        row.time(time(line.get("ts")));
        row.text(line.get("topic").and_then(Value::as_str));
        let payload = line.get("payload").unwrap_or(&Value::Null);
        row.members(DIRECTION, payload);
        row.text(Some(&payload.to_string()));
    };
    batches(directions_schema(), Box::new(lines), row)
}

type Rows<T> = Box<dyn Iterator<Item = Result<T, String>> + Send>;

/// The records of a recording.
struct Records {
    path: PathBuf,
    reader: Reader,
    corrupt: u64,
    /// Where the first of them stands, and what it is.
    first: Option<(u64, String)>,
}

impl Iterator for Records {
    type Item = Result<Record, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.next() {
                Some(Ok(Entry::Record(record))) => return Some(Ok(record)),
                Some(Ok(Entry::Corrupt { number, reason, .. })) => {
                    self.corrupt += 1;
                    self.first.get_or_insert((number, reason));
                }
                Some(Err(error)) => return Some(Err(error.to_string())),
                None => {
                    if let Some((number, reason)) = self.first.take() {
                        let (path, count) = (self.path.display(), self.corrupt);
                        tracing::warn!(
                            "{path}: {count} places are no messages and are left out of \
                             `readings`; the first is {number}: {reason}"
                        );
                    }
                    return None;
                }
            }
        }
    }
}

/// Columns in the making. Values are put in from left to right.
struct Row {
    columns: Vec<Column>,
    at: usize,
}

enum Column {
    Text(StringBuilder),
    Whole(Int64Builder),
    Number(Float64Builder),
    Time(TimestampMillisecondBuilder),
}

impl Row {
    fn new(schema: &Schema) -> Self {
        let column = |field: &Arc<Field>| match field.data_type() {
            DataType::Int64 => Column::Whole(Int64Builder::new()),
            DataType::Float64 => Column::Number(Float64Builder::new()),
            DataType::Timestamp(..) => Column::Time(
                TimestampMillisecondBuilder::new().with_data_type(columnar::utc_millis()),
            ),
            _ => Column::Text(StringBuilder::new()),
        };
        Self { columns: schema.fields().iter().map(column).collect(), at: 0 }
    }

    fn column(&mut self) -> Option<&mut Column> {
        let at = self.at % self.columns.len().max(1);
        self.at = at + 1;
        self.columns.get_mut(at)
    }

    fn time(&mut self, time: Option<Timestamp>) {
        if let Some(Column::Time(column)) = self.column() {
            column.append_option(time.map(Timestamp::millis));
        }
    }

    fn text(&mut self, text: Option<&str>) {
        if let Some(Column::Text(column)) = self.column() {
            column.append_option(text);
        }
    }

    fn members(&mut self, members: &[(&str, Kind)], payload: &Value) {
        for (name, _) in members {
            let value = payload.get(name);
            match self.column() {
                Some(Column::Text(column)) => column.append_option(value.and_then(text)),
                Some(Column::Whole(column)) => column.append_option(value.and_then(whole)),
                Some(Column::Number(column)) => column.append_option(value.and_then(Value::as_f64)),
                Some(Column::Time(column)) => {
                    column.append_option(time(value).map(Timestamp::millis));
                }
                None => {}
            }
        }
    }

    fn finish(self, schema: &SchemaRef) -> Result<RecordBatch, String> {
        let column = |column| -> ArrayRef {
            match column {
                Column::Text(mut column) => Arc::new(column.finish()),
                Column::Whole(mut column) => Arc::new(column.finish()),
                Column::Number(mut column) => Arc::new(column.finish()),
                Column::Time(mut column) => Arc::new(column.finish()),
            }
        };
        let columns = self.columns.into_iter().map(column).collect();
        RecordBatch::try_new(SchemaRef::clone(schema), columns).map_err(|error| error.to_string())
    }
}

/// A text, or the lines of one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => {
            let lines: Option<Vec<_>> = lines.iter().map(Value::as_str).collect();
            lines.map(|lines| lines.join(" / "))
        }
        _ => None,
    }
}

/// A whole number, also written as 7.0: what `decode` takes as one, up to where a float cannot tell
/// whole numbers apart (2^53).
fn whole(value: &Value) -> Option<i64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() < MAX_EXACT).then_some(number as i64)
    })
}

fn time(value: Option<&Value>) -> Option<Timestamp> {
    Timestamp::parse(value?.as_str()?).ok()
}

fn batches<T: 'static>(
    schema: SchemaRef,
    mut rows: Rows<T>,
    put: impl Fn(T, &mut Row) + Send + 'static,
) -> Batches {
    let mut failed = None;
    Box::new(std::iter::from_fn(move || {
        if let Some(error) = failed.take() {
            return Some(Err(error));
        }
        let (mut row, mut count) = (Row::new(&schema), 0);
        while count < BATCH_ROWS {
            match rows.next() {
                Some(Ok(one)) => put(one, &mut row),
                Some(Err(error)) => {
                    failed = Some(error);
                    break;
                }
                None => break,
            }
            count += 1;
        }
        match count {
            0 => failed.take().map(Err),
            _ => Some(row.finish(&schema)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn members_of_a_payload_become_columns_where_they_fit() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("r.ndjson");
        let lines = [
            r#"{"ts":"2026-05-12T06:00:00Z","pub":"2026-05-12T06:00:01Z","topic":"a","payload":{"kind":"loop","lane":1.0,"count":2.5,"speed_kmh":31}}"#,
            "no record",
            r#"{"ts":"2026-05-12T06:00:00Z","topic":"b","payload":"[1"}"#,
            r#"{"ts":"2026-05-12T06:00:00Z","topic":"c","payload_hex":"ff"}"#,
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        let found: Vec<_> = readings(vec![path.clone(), path]).map(Result::unwrap).collect();
        let [batch] = found.as_slice() else { panic!("{} batches", found.len()) };
        assert_eq!(batch.num_rows(), 6);
        let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
        assert_eq!(column("kind").as_string::<i32>().value(0), "loop");
        assert_eq!(column("lane").as_primitive::<Int64Type>().value(0), 1);
        assert!((column("speed_kmh").as_primitive::<Float64Type>().value(0) - 31.0).abs() < 1e-9);
        assert!(
            column("count").is_null(0) && column("kind").is_null(1) && column("pub").is_null(1)
        );
        assert_eq!(column("payload").as_string::<i32>().value(1), "[1");
        assert_eq!(column("payload").as_string::<i32>().value(2), "\u{fffd}");
    }

    /// `decode` counts 7.0 and 7e0 as 7: an analyst's sum must be the unit's.
    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        let of = |text: &str| whole(&serde_json::from_str(text).unwrap());
        for (text, number) in [("7", 7), ("7.0", 7), ("-7.0", -7), ("7e0", 7), ("-0.0", 0)] {
            assert_eq!(of(text), Some(number), "{text}");
        }
        assert_eq!(of("9223372036854775807"), Some(i64::MAX));
        for text in ["7.5", "9007199254740992.0", "18446744073709551615", "1e300", "\"7\"", "null"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_the_last_thing_said() {
        let mut batches = readings(vec![PathBuf::from("no-such.ndjson")]);
        assert!(batches.next().unwrap().unwrap_err().contains("no-such.ndjson"));
        assert!(batches.next().is_none());
    }
}

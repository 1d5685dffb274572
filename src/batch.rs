//! Arrow schemas, and the column names that the stages agree on, said once.
//!
//! Knows nothing of SQL: a batch is rows under a schema, and the interval they belong to. A reading
//! is one such row before it has found its batch.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::time::Timestamp;
use crate::plan::{Column, ColumnKind, Mapping};

/// Columns of a window's result that the congestion stage reads. Only `segment` is a must.
pub const SEGMENT: &str = "segment";
/// Mean speed, km/h; null when nothing passed.
pub const SPEED_KMH: &str = "speed_kmh";
/// Vehicles counted in the window.
pub const VEHICLES: &str = "vehicles";
/// Percent of time that the detectors were covered.
pub const OCCUPANCY_PCT: &str = "occupancy_pct";

/// The result of one closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowBatch {
    /// Index into `Plan::windows`.
    pub window: usize,
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive; the window speaks for `[start, end)`.
    pub end: Timestamp,
    /// 1 when first closed; one more for each revision.
    pub revision: u32,
    pub rows: RecordBatch,
}

/// Record batches of one schema inside a state that is kept: an Arrow IPC stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batches(pub Vec<RecordBatch>);

impl Serialize for Batches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = || {
            let Some(first) = self.0.first() else { return Ok(Vec::new()) };
            let mut out = StreamWriter::try_new(Vec::new(), &first.schema())?;
            self.0.iter().try_for_each(|batch| out.write(batch))?;
            out.into_inner()
        };
        let bytes = written().map_err(|error: ArrowError| S::Error::custom(error))?;
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Batches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let batches = StreamReader::try_new(bytes.as_slice(), None).and_then(Iterator::collect);
        batches.map(Self).map_err(D::Error::custom)
    }
}

/// The rows that a few messages brought to one source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRows {
    /// Under `schema_of` the source's mapping.
    pub batch: RecordBatch,
    /// Of each row, ms since the epoch.
    pub event_times: Vec<i64>,
    /// Of each row, the index of its message.
    pub messages: Vec<u32>,
}

/// What the window stage wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// These rows belong to a pane, after those that it was given before.
    Fold {
        /// Index into `Plan::windows`.
        window: usize,
        pane: i64,
        /// Index into `Window::sources`.
        stream: usize,
        rows: RecordBatch,
    },
    /// The result of a window over these panes is due. They are asked for again where windows
    /// overlap or are revised.
    Close { closing: Closing, panes: Vec<i64> },
    /// Nobody asks for this pane again.
    Forget { window: usize, pane: i64 },
}

/// A window that is closed, or revised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Index into `Plan::windows`.
    pub window: usize,
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive; the window speaks for `[start, end)`.
    pub end: Timestamp,
    /// 1 when first closed; one more for each revision.
    pub revision: u32,
}

/// The Arrow schema of a mapping's rows: its columns in their order.
pub fn schema_of(mapping: &Mapping) -> SchemaRef {
    Arc::new(Schema::new(
        mapping
            .columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), column.nullable))
            .collect::<Vec<_>>(),
    ))
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Number => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ColumnKind::TextList => DataType::new_list(DataType::Utf8, true),
    }
}

/// One decoded message of a source, on its way into windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Index into `Plan::sources`.
    pub source: usize,
    pub event_time: Timestamp,
    /// One cell a column of the source's mapping.
    pub row: Row,
}

/// What one cell holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'r> {
    Null,
    Text(&'r str),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Time(Timestamp),
    Texts(&'r [String]),
}

impl Value<'_> {
    /// Whether a column may hold this value: its kind, or null where the column allows it.
    pub fn fits(&self, column: &Column) -> bool {
        matches!(
            (self, column.kind),
            (Self::Text(_), ColumnKind::Text)
                | (Self::Integer(_), ColumnKind::Integer)
                | (Self::Number(_), ColumnKind::Number)
                | (Self::Boolean(_), ColumnKind::Boolean)
                | (Self::Time(_), ColumnKind::Time)
                | (Self::Texts(_), ColumnKind::TextList)
        ) || matches!(self, Self::Null) && column.nullable
    }

    /// A total order: nulls first, numbers by `f64::total_cmp`, unlike kinds by kind.
    fn total_cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Texts(a), Self::Texts(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Text(_) => 1,
            Self::Integer(_) => 2,
            Self::Number(_) => 3,
            Self::Boolean(_) => 4,
            Self::Time(_) => 5,
            Self::Texts(_) => 6,
        }
    }
}

/// Cells in the order of a mapping's columns. All texts share one buffer: two allocations a row,
/// whatever its width.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    text: String,
    cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    /// Start and end in the row's buffer.
    Text(usize, usize),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Time(Timestamp),
    Texts(Box<[String]>),
}

impl Row {
    pub fn with_capacity(cells: usize) -> Self {
        Self { text: String::new(), cells: Vec::with_capacity(cells) }
    }

    pub fn push(&mut self, value: Value<'_>) {
        self.cells.push(match value {
            Value::Null => Cell::Null,
            Value::Text(text) => {
                let start = self.text.len();
                self.text.push_str(text);
                Cell::Text(start, self.text.len())
            }
            Value::Integer(value) => Cell::Integer(value),
            Value::Number(value) => Cell::Number(value),
            Value::Boolean(value) => Cell::Boolean(value),
            Value::Time(value) => Cell::Time(value),
            Value::Texts(texts) => Cell::Texts(texts.into()),
        });
    }

    /// The cell at `column`; null beyond the last one.
    pub fn get(&self, column: usize) -> Value<'_> {
        match self.cells.get(column) {
            None | Some(Cell::Null) => Value::Null,
            Some(Cell::Text(start, end)) => Value::Text(&self.text[*start..*end]),
            Some(Cell::Integer(value)) => Value::Integer(*value),
            Some(Cell::Number(value)) => Value::Number(*value),
            Some(Cell::Boolean(value)) => Value::Boolean(*value),
            Some(Cell::Time(value)) => Value::Time(*value),
            Some(Cell::Texts(texts)) => Value::Texts(texts),
        }
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Cell by cell from the first column on: an order that depends on nothing but the content.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        (0..self.len().max(other.len()))
            .map(|column| self.get(column).total_cmp(&other.get(column)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// Rows as one batch under the schema of their mapping.
///
/// An error is a cell that `Value::fits` says no to; a cell of another kind reads as null here.
pub fn batch_of(
    mapping: &Mapping,
    schema: &SchemaRef,
    rows: &[&Row],
) -> Result<RecordBatch, ArrowError> {
    let columns = mapping.columns.iter().enumerate();
    let columns = columns.map(|(index, column)| array_of(column.kind, index, rows)).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Collects the cells of one kind into an array; the rest is null.
macro_rules! gather {
    ($array:ty, $rows:expr, $index:expr, $pattern:pat => $value:expr) => {
        $rows
            .iter()
            .map(|row| match row.get($index) {
                $pattern => Some($value),
                _ => None,
            })
            .collect::<$array>()
    };
}

fn array_of(kind: ColumnKind, index: usize, rows: &[&Row]) -> ArrayRef {
    match kind {
        ColumnKind::Text => Arc::new(gather!(StringArray, rows, index, Value::Text(v) => v)),
        ColumnKind::Integer => Arc::new(gather!(Int64Array, rows, index, Value::Integer(v) => v)),
        ColumnKind::Number => Arc::new(gather!(Float64Array, rows, index, Value::Number(v) => v)),
        ColumnKind::Boolean => Arc::new(gather!(BooleanArray, rows, index, Value::Boolean(v) => v)),
        ColumnKind::Time => Arc::new(
            gather!(TimestampMillisecondArray, rows, index, Value::Time(v) => v.millis())
                .with_timezone("UTC"),
        ),
        ColumnKind::TextList => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for row in rows {
                match row.get(index) {
                    Value::Texts(texts) => lists.append_value(texts.iter().map(Some)),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Produces;

    fn mapping() -> Mapping {
        let column = |name: &str, kind, nullable| Column {
            name: name.to_owned(),
            path: vec![name.to_owned()],
            kind,
            nullable,
            missing: Vec::new(),
            scale: 1.0,
            offset: 0.0,
            min: None,
            max: None,
            is_segment: false,
            one_of: Vec::new(),
        };
        Mapping {
            name: "all".to_owned(),
            produces: Produces::Readings,
            version: None,
            columns: vec![
                column("text", ColumnKind::Text, false),
                column("integer", ColumnKind::Integer, true),
                column("number", ColumnKind::Number, true),
                column("boolean", ColumnKind::Boolean, true),
                column("time", ColumnKind::Time, true),
                column("texts", ColumnKind::TextList, true),
            ],
        }
    }

    fn row(values: &[Value<'_>]) -> Row {
        let mut row = Row::with_capacity(values.len());
        for value in values {
            row.push(*value);
        }
        row
    }

    #[test]
    fn every_kind_of_cell_arrives_in_its_column() {
        let time = Timestamp::parse("2008-11-11T07:20:30.000Z").unwrap();
        let texts = ["a".to_owned(), "b".to_owned()];
        let full = row(&[
            Value::Text("x"),
            Value::Integer(-3),
            Value::Number(0.5),
            Value::Boolean(true),
            Value::Time(time),
            Value::Texts(&texts),
        ]);
        let bare = row(&[Value::Text("y"), Value::Null, Value::Null, Value::Null]);
        let mapping = mapping();
        let schema = schema_of(&mapping);
        let batch = batch_of(&mapping, &schema, &[&full, &bare]).unwrap();
        assert_eq!((batch.num_rows(), batch.schema()), (2, schema));
        assert!(batch.columns().iter().skip(1).all(|c| c.null_count() == 1 && c.is_valid(0)));
    }

    #[test]
    fn a_null_where_none_may_be_is_an_error() {
        let mapping = mapping();
        assert!(!Value::Null.fits(&mapping.columns[0]));
        assert!(batch_of(&mapping, &schema_of(&mapping), &[&row(&[Value::Null])]).is_err());
    }

    #[test]
    fn rows_are_ordered_by_content() {
        let a = row(&[Value::Text("a"), Value::Number(2.0)]);
        let b = row(&[Value::Text("b"), Value::Null]);
        let c = row(&[Value::Text("b"), Value::Number(-0.0)]);
        let d = row(&[Value::Text("b"), Value::Number(0.0)]);
        let mut rows = [&d, &b, &c, &a];
        rows.sort_by(|x, y| x.total_cmp(y));
        assert_eq!(rows, [&a, &b, &c, &d]);
    }
}

//! Arrow schemas, and the column names that the stages agree on, said once.
//!
//! Knows nothing of SQL: a batch is rows under a schema, and the interval they belong to. A reading
//! is one such row before it has found its batch.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, StringArray,
    StringBuilder, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::domain::network::{Network, Segment};
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

/// The rows of one closed window: readings on the way into the pipeline's SQL, results on the way
/// out of it.
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

/// The network's segments as a table for pipeline queries, a row each in the network's order.
///
/// | column | |
/// |---|---|
/// | `segment` | the edge's id, as in payloads |
/// | `name` | its street's name; null if it has none |
/// | `length_m`, `lanes`, `speed_limit_kmh` | |
/// | `free_flow_s` | seconds to drive it at the speed limit |
/// | `cars_allowed` | |
/// | `to_signal` | whether a traffic light stands at its end |
/// | `from_junction`, `to_junction` | |
/// | `tile` | the map tile of its middle, as a quadkey of zoom 16 |
pub fn segments_table(network: &Network) -> RecordBatch {
    let texts = |text: fn(&Segment) -> &str| -> ArrayRef {
        Arc::new(network.segments.iter().map(|s| Some(text(s))).collect::<StringArray>())
    };
    let numbers = |number: fn(&Segment) -> f64| -> ArrayRef {
        Arc::new(network.segments.iter().map(|s| Some(number(s))).collect::<Float64Array>())
    };
    let flags = |flag: fn(&Segment) -> bool| -> ArrayRef {
        Arc::new(network.segments.iter().map(|s| Some(flag(s))).collect::<BooleanArray>())
    };
    let names = network.segments.iter().map(|s| s.street.as_deref()).collect::<StringArray>();
    let lanes = network.segments.iter().map(|s| i64::from(s.lanes)).collect::<Vec<_>>();
    let tiles = network.segment_ids().map(|id| Some(network.tile(id))).collect::<StringArray>();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        (SEGMENT, texts(|s| &s.name), false),
        ("name", Arc::new(names), true),
        ("length_m", numbers(|s| s.length_m), false),
        ("lanes", Arc::new(Int64Array::from(lanes)), false),
        ("speed_limit_kmh", numbers(|s| s.speed_limit_kmh), false),
        ("free_flow_s", numbers(Segment::free_flow_s), false),
        ("cars_allowed", flags(|s| s.cars_allowed), false),
        ("to_signal", flags(|s| s.to_signal), false),
        ("from_junction", texts(|s| &s.from_junction), false),
        ("to_junction", texts(|s| &s.to_junction), false),
        ("tile", Arc::new(tiles), false),
    ];
    let (fields, columns): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .map(|(name, column, nullable)| {
            (Field::new(name, column.data_type().clone(), nullable), column)
        })
        .unzip();
    #[expect(
        clippy::expect_used,
        reason = "a row a segment in each column, null only where allowed"
    )]
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("one row a segment")
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
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;
    use crate::domain::network::testing::Draft;
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

    #[test]
    fn a_network_is_a_table() {
        let mut draft = Draft::new();
        draft.segment("a", "Via Roma", [(0.0, 0.0), (100.0, 0.0)]);
        let bare = draft.segment("b", "", [(100.0, 0.0), (100.0, 250.0)]);
        draft.edit(bare).lanes = 3;
        let table = segments_table(&draft.build());
        let column = |name: &str| Arc::clone(table.column_by_name(name).unwrap());
        let texts = |name: &str| -> Vec<Option<String>> {
            let column = column(name);
            let texts = column.as_string::<i32>().iter();
            texts.map(|text| text.map(ToOwned::to_owned)).collect()
        };
        assert_eq!(texts(SEGMENT), [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(texts("name"), [Some("Via Roma".to_owned()), None]);
        assert_eq!(texts("tile")[0].as_ref().map(String::len), Some(16));
        assert_eq!(column("lanes").as_primitive::<Int64Type>().values(), &[1, 3]);
        assert_eq!(column("length_m").as_primitive::<Float64Type>().values(), &[100.0, 250.0]);
        assert_eq!(column("free_flow_s").as_primitive::<Float64Type>().values()[1..], [18.0]);
    }
}

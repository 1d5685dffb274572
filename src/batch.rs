//! Arrow schemas, and the column names that the stages agree on, said once.
//!
//! Knows nothing of SQL: a batch is rows under a schema, and the interval they belong to. A reading
//! is one such row before it has found its batch.

mod json;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::network::{Network, Segment};
use crate::domain::time::Timestamp;
use crate::plan::{ColumnKind, Mapping, StaticTable};

pub use json::JsonColumns;

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

/// Some columns of a stream's rows: those that a window's query reads.
#[derive(Clone, Debug)]
pub struct Columns {
    at: Vec<usize>,
    schema: SchemaRef,
}

impl Columns {
    /// # Errors
    /// If a column is not in the schema.
    pub fn of(schema: &Schema, at: Vec<usize>) -> Result<Self, ArrowError> {
        let schema = Arc::new(schema.project(&at)?);
        Ok(Self { at, schema })
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// With commas between them.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        names.join(",")
    }

    /// These columns of a batch.
    ///
    /// # Errors
    /// If the batch is not under the schema that they were taken from.
    pub fn from(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let column = |at: &usize| batch.columns().get(*at).map(Arc::clone);
        let columns: Vec<ArrayRef> = self.at.iter().filter_map(column).collect();
        RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)
    }
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

/// What the values of these rows take, whatever room was made for them: the same for the same rows.
pub fn bytes_of(rows: &RecordBatch) -> usize {
    let data = rows.columns().iter().map(Array::to_data);
    data.map(|data| data.get_slice_memory_size().unwrap_or(0)).sum()
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

/// The tables that a window's SQL may join, by name.
pub fn static_tables(tables: &[StaticTable], network: &Network) -> Vec<(String, RecordBatch)> {
    let table = |table: &StaticTable| match table {
        StaticTable::Segments => ("segments".to_owned(), segments_table(network)),
    };
    tables.iter().map(table).collect()
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

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;
    use crate::domain::network::testing::Draft;

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

//! Arrow schemas, and the column names that the stages agree on, said once.
//!
//! Knows nothing of SQL: a batch is rows under a schema, and the interval they belong to. A reading
//! is one such row before it has found its batch.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::time::Timestamp;
use crate::plan::{ColumnKind, Mapping};

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

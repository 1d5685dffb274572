//! The long form of windows: every window has its own result columns, and one table holds them all.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::super::columnar;
use crate::batch::{JsonColumns, OCCUPANCY_PCT, SEGMENT, SPEED_KMH, VEHICLES, WindowBatch};

/// `window` (its name), `start`, `end`, `revision`, `segment`, `vehicles`, `speed_kmh`,
/// `occupancy_pct`, and `extra`, a JSON object of the query's other columns.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("window", DataType::Utf8, false),
        Field::new("start", columnar::utc_millis(), false),
        Field::new("end", columnar::utc_millis(), false),
        Field::new("revision", DataType::UInt32, false),
        Field::new(SEGMENT, DataType::Utf8, true),
        Field::new(VEHICLES, DataType::Float64, true),
        Field::new(SPEED_KMH, DataType::Float64, true),
        Field::new(OCCUPANCY_PCT, DataType::Float64, true),
        Field::new("extra", DataType::Utf8, true),
    ]))
}

pub(super) fn long_form(
    schema: &SchemaRef,
    batch: &WindowBatch,
    name: &str,
) -> Result<RecordBatch, String> {
    let count = batch.rows.num_rows();
    let moment = |millis: i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from(vec![millis; count]).with_timezone("UTC"))
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![name; count])),
        moment(batch.start.millis()),
        moment(batch.end.millis()),
        Arc::new(UInt32Array::from(vec![batch.revision; count])),
    ];
    let mut told = Vec::new();
    for (known, kind) in [
        (SEGMENT, DataType::Utf8),
        (VEHICLES, DataType::Float64),
        (SPEED_KMH, DataType::Float64),
        (OCCUPANCY_PCT, DataType::Float64),
    ] {
        // A column of the known name that does not fit the known type goes to `extra` instead.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let cast = batch
            .rows
            .column_by_name(known)
            .and_then(|array| cast_with_options(array, &kind, &options).ok());
        if cast.is_some() {
            told.push(known);
        }
        columns.push(cast.unwrap_or_else(|| new_null_array(&kind, count)));
    }
    columns.push(Arc::new(extra(&batch.rows, &told)?));
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

/// The columns that have none of their own, a JSON object a row; null when there are none.
fn extra(rows: &RecordBatch, told: &[&str]) -> Result<StringArray, String> {
    let others = JsonColumns::of(rows, |name| !told.contains(&name));
    let others = others.map_err(|error| error.to_string())?;
    let text = |row: usize| {
        if others.is_empty() {
            return Ok(None);
        }
        serde_json::to_string(&others.row(row)).map(Some)
    };
    (0..rows.num_rows()).map(text).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

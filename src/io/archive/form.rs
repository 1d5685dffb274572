//! The long form of windows: every window has its own result columns, and one table holds them all.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, StringArray, TimestampMillisecondArray, UInt32Array, new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

use super::super::columnar;
use crate::batch::{OCCUPANCY_PCT, SEGMENT, SPEED_KMH, VEHICLES, WindowBatch};

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
    let schema = rows.schema();
    let others: Vec<_> = schema
        .fields()
        .iter()
        .zip(rows.columns())
        .filter(|(field, _)| !told.contains(&field.name().as_str()))
        .collect();
    let mut texts = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        if others.is_empty() {
            texts.push(None);
            continue;
        }
        let mut object = Map::new();
        for (field, array) in &others {
            object.insert(field.name().clone(), json_value(array, row)?);
        }
        texts.push(Some(Value::Object(object).to_string()));
    }
    Ok(StringArray::from(texts))
}

fn json_value(array: &ArrayRef, row: usize) -> Result<Value, String> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let whole =
        |kind: &DataType| cast(&array.slice(row, 1), kind).map_err(|error| error.to_string());
    let kind = array.data_type();
    Ok(match kind {
        DataType::Boolean => array.as_boolean().value(row).into(),
        _ if kind.is_unsigned_integer() => {
            whole(&DataType::UInt64)?.as_primitive::<UInt64Type>().value(0).into()
        }
        _ if kind.is_signed_integer() => {
            whole(&DataType::Int64)?.as_primitive::<Int64Type>().value(0).into()
        }
        // What JSON has no number for (not-a-number, infinity) becomes null.
        _ if kind.is_floating() => {
            whole(&DataType::Float64)?.as_primitive::<Float64Type>().value(0).into()
        }
        _ => {
            let options = FormatOptions::default();
            let formatter =
                ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
            formatter.value(row).try_to_string().map_err(|error| error.to_string())?.into()
        }
    })
}

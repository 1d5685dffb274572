//! Window results as rows: whatever number type the SQL gave.
//!
//! Knows nothing of the network.

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use serde::{Deserialize, Serialize};

use crate::batch;

/// What one window says of one segment, as it stands in the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Observation {
    pub(super) speed_kmh: Option<f64>,
    pub(super) vehicles: Option<f64>,
    pub(super) occupancy_pct: Option<f64>,
}

impl Observation {
    /// The speed that somebody drove: none where nobody was counted, since some sources then send
    /// 0, which would be a standing queue.
    pub(super) fn speed(self) -> Option<f64> {
        self.speed_kmh.filter(|_| self.vehicles != Some(0.0))
    }
}

/// The columns of a result by the names of `batch`.
pub(super) struct Rows {
    segments: StringArray,
    speed: Option<Float64Array>,
    vehicles: Option<Float64Array>,
    occupancy: Option<Float64Array>,
}

impl Rows {
    pub(super) fn of(rows: &RecordBatch) -> Result<Self, String> {
        let segments = rows
            .column_by_name(batch::SEGMENT)
            .ok_or_else(|| format!("its result has no column `{}`", batch::SEGMENT))?;
        if !is_text(segments.data_type()) {
            return Err(format!(
                "column `{}` is {}, not text: it names the segment",
                batch::SEGMENT,
                segments.data_type()
            ));
        }
        let segments = cast(segments, &DataType::Utf8).map_err(|e| e.to_string())?;
        Ok(Self {
            segments: segments.as_string().clone(),
            speed: numbers(rows, batch::SPEED_KMH)?,
            vehicles: numbers(rows, batch::VEHICLES)?,
            occupancy: numbers(rows, batch::OCCUPANCY_PCT)?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    /// Each row's segment by name, if it has one, and what it says. Not-a-number, which SQL makes of
    /// 0/0, is absent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<&str>, Observation)> {
        self.segments.iter().enumerate().map(|(row, segment)| {
            let value = |column: &Option<Float64Array>| {
                let column = column.as_ref()?;
                column.is_valid(row).then(|| column.value(row)).filter(|v| !v.is_nan())
            };
            let observation = Observation {
                speed_kmh: value(&self.speed),
                vehicles: value(&self.vehicles),
                occupancy_pct: value(&self.occupancy),
            };
            (segment, observation)
        })
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// A column as floats; `None` where the result does not have it.
fn numbers(rows: &RecordBatch, name: &str) -> Result<Option<Float64Array>, String> {
    let Some(column) = rows.column_by_name(name) else {
        return Ok(None);
    };
    let kind = column.data_type();
    if !(kind.is_numeric() || kind.is_null()) {
        return Err(format!("column `{name}` is {kind}, not a number"));
    }
    let floats = cast(column, &DataType::Float64).map_err(|e| format!("column `{name}`: {e}"))?;
    Ok(Some(floats.as_primitive::<Float64Type>().clone()))
}

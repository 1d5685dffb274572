//! Arrow schemas, and the column names that the stages agree on, said once.
//!
//! Knows nothing of SQL: a batch is rows under a schema, and the interval they belong to.

use arrow::record_batch::RecordBatch;

use crate::domain::time::Timestamp;

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

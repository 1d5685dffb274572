//! How this house writes Parquet: zstd, small row groups, and nothing that differs between two runs.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Rows a row group: small enough for a unit's memory, large enough for zstd to pay.
const ROW_GROUP_ROWS: usize = 16_384;
/// Bytes a row group, for rows that carry long payloads.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Writer settings; `created_by` is fixed so that the same rows give the same bytes.
pub(super) fn properties() -> WriterProperties {
    builder().build()
}

/// The same for rows with a column of payloads: no two are alike and nobody seeks by them, so a
/// dictionary and bounds of them are only work.
pub(super) fn properties_with_payloads(column: &str) -> WriterProperties {
    let column = ColumnPath::from(column);
    builder()
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_statistics_enabled(column, EnabledStatistics::None)
        .build()
}

fn builder() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("wayside".to_owned())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
}

/// A moment in UTC, in milliseconds.
pub(super) fn utc_millis() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")))
}

/// The parquet crate does not only refuse damaged files, it panics on some. Here that is an error
/// like any other; a build whose panics abort ends with it.
pub(super) fn caught<T, E: Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("the file contradicts itself".to_owned()),
    }
}

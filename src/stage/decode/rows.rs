//! The accepted rows of one source in one call: gathered cell by cell, written column by column.
//!
//! A row enters whole or not at all, and every Arrow buffer is made once, in its final size.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringBuilder,
    TimestampMillisecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::SchemaRef;

use super::SourceRows;
use super::column::Cell;
use super::extract::Store;
use crate::domain::time::Timestamp;
use crate::plan::{Column, ColumnKind};

/// Rows on their way into a batch, one after the other.
#[derive(Debug, Default)]
pub(super) struct Rows<'p> {
    /// Cells of whole rows, and behind them those of the row that is being judged.
    pub cells: Vec<Cell<'p>>,
    event_times: Vec<i64>,
    messages: Vec<u32>,
}

impl Rows<'_> {
    /// Takes over the room that the rows of an earlier call had.
    pub fn reusing(before: Option<SourceRows>) -> Self {
        let Some(SourceRows { mut event_times, mut messages, .. }) = before else {
            return Self::default();
        };
        event_times.clear();
        messages.clear();
        Self { cells: Vec::new(), event_times, messages }
    }

    /// Makes the last cells a row.
    pub fn accept(&mut self, event_time: Timestamp, message: u32) -> u32 {
        let row = self.messages.len() as u32;
        self.event_times.push(event_time.millis());
        self.messages.push(message);
        row
    }

    /// Writes the batch; `None` where there is no row.
    pub fn finish(
        self,
        schema: &SchemaRef,
        columns: &[Column],
        store: &Store<'_>,
    ) -> Option<SourceRows> {
        if self.messages.is_empty() {
            return None;
        }
        let arrays = columns.iter().enumerate().map(|(index, column)| {
            let cells = self.cells.chunks_exact(columns.len()).map(|row| row[index]);
            array_of(column.kind, cells, store)
        });
        #[expect(clippy::expect_used, reason = "each column judged its own cells")]
        let batch = RecordBatch::try_new(Arc::clone(schema), arrays.collect())
            .expect("the cells of a column have its kind and are null only where it allows that");
        Some(SourceRows { batch, event_times: self.event_times, messages: self.messages })
    }
}

/// Writes cells of one kind into an array; the rest is null.
fn array_of<'p>(
    kind: ColumnKind,
    cells: impl ExactSizeIterator<Item = Cell<'p>> + Clone,
    store: &Store<'p>,
) -> ArrayRef {
    let is_null = |cell: Cell<'p>| matches!(cell, Cell::Null);
    let nulls = || {
        let any = cells.clone().any(is_null);
        any.then(|| cells.clone().map(|cell| !is_null(cell)).collect::<NullBuffer>())
    };
    /// One value a cell; what stands under a null means nothing.
    macro_rules! values {
        ($pattern:pat => $value:expr) => {{
            let value = |cell| match cell {
                $pattern => $value,
                _ => Default::default(),
            };
            cells.clone().map(value).collect::<Vec<_>>()
        }};
    }
    match kind {
        ColumnKind::Text => {
            let text = |cell| match cell {
                Cell::Text(text) => Some(store.text(text)),
                _ => None,
            };
            let bytes = cells.clone().filter_map(text).map(str::len).sum();
            let mut texts = StringBuilder::with_capacity(cells.len(), bytes);
            for cell in cells {
                texts.append_option(text(cell));
            }
            Arc::new(texts.finish())
        }
        ColumnKind::Integer => {
            Arc::new(Int64Array::new(values!(Cell::Integer(v) => v).into(), nulls()))
        }
        ColumnKind::Number => {
            Arc::new(Float64Array::new(values!(Cell::Number(v) => v).into(), nulls()))
        }
        ColumnKind::Boolean => {
            Arc::new(BooleanArray::new(values!(Cell::Boolean(v) => v).into(), nulls()))
        }
        ColumnKind::Time => {
            let millis = values!(Cell::Time(v) => v.millis());
            Arc::new(TimestampMillisecondArray::new(millis.into(), nulls()).with_timezone("UTC"))
        }
        ColumnKind::TextList => {
            let mut lists = ListBuilder::with_capacity(StringBuilder::new(), cells.len());
            for cell in cells {
                match cell {
                    Cell::Texts(texts) => lists.append_value(store.texts(texts).map(Some)),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
    }
}

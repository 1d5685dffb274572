//! The accepted rows of one source in one call: gathered cell by cell, written column by column.
//!
//! A row enters whole or not at all, and every Arrow buffer is made once, in its final size.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMillisecondBuilder,
};
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
            let cells = self.cells.iter().skip(index).step_by(columns.len());
            array_of(column.kind, self.messages.len(), cells.copied(), store)
        });
        #[expect(clippy::expect_used, reason = "each column judged its own cells")]
        let batch = RecordBatch::try_new(Arc::clone(schema), arrays.collect())
            .expect("the cells of a column have its kind and are null only where it allows that");
        Some(SourceRows { batch, event_times: self.event_times, messages: self.messages })
    }
}

/// Writes cells of one kind into an array; the rest is null.
macro_rules! write {
    ($builder:expr, $cells:expr, $pattern:pat => $value:expr) => {{
        let mut builder = $builder;
        for cell in $cells {
            match cell {
                $pattern => builder.append_value($value),
                _ => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    }};
}

fn array_of<'c, 'p: 'c>(
    kind: ColumnKind,
    rows: usize,
    cells: impl Iterator<Item = Cell<'p>> + Clone + 'c,
    store: &Store<'p>,
) -> ArrayRef {
    match kind {
        ColumnKind::Text => {
            let text = |cell| match cell {
                Cell::Text(text) => store.text(text).len(),
                _ => 0,
            };
            let bytes = cells.clone().map(text).sum();
            let builder = StringBuilder::with_capacity(rows, bytes);
            write!(builder, cells, Cell::Text(v) => store.text(v))
        }
        ColumnKind::Integer => {
            write!(Int64Builder::with_capacity(rows), cells, Cell::Integer(v) => v)
        }
        ColumnKind::Number => {
            write!(Float64Builder::with_capacity(rows), cells, Cell::Number(v) => v)
        }
        ColumnKind::Boolean => {
            write!(BooleanBuilder::with_capacity(rows), cells, Cell::Boolean(v) => v)
        }
        ColumnKind::Time => {
            let builder = TimestampMillisecondBuilder::with_capacity(rows).with_timezone("UTC");
            write!(builder, cells, Cell::Time(v) => v.millis())
        }
        ColumnKind::TextList => {
            let builder = ListBuilder::with_capacity(StringBuilder::new(), rows);
            write!(builder, cells, Cell::Texts(v) => store.texts(v).map(Some))
        }
    }
}

//! The rows of one batch on their way into panes: taken out of it together, not one by one.

use arrow::array::{Array, AsArray, Int64Array, StringArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;

use super::keys::KeyColumns;
use crate::batch::{Columns, SourceRows};

/// The rows of a source with what is looked up once a batch.
#[derive(Debug)]
pub(super) struct Sheet<'b> {
    pub(super) rows: &'b SourceRows,
    /// The columns that make a row unique.
    pub(super) keys: KeyColumns<'b>,
    /// The column whose values have a watermark each.
    pub(super) group: Labels<'b>,
    /// For each window over the source, the column whose values have sessions each.
    pub(super) by: Vec<Labels<'b>>,
}

/// A column that tells rows apart, as text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Labels<'b> {
    /// All rows are alike.
    None,
    Text(&'b StringArray),
    Integer(&'b Int64Array),
}

impl<'b> Labels<'b> {
    pub(super) fn of(batch: &'b RecordBatch, column: Option<usize>) -> Self {
        let Some(array) = column.and_then(|column| batch.columns().get(column)) else {
            return Self::None;
        };
        if let Some(array) = array.as_string_opt() {
            return Self::Text(array);
        }
        array.as_primitive_opt::<Int64Type>().map_or(Self::None, Self::Integer)
    }

    /// Calls `with` with the row's label; null is the empty one.
    pub(super) fn with<T>(&self, row: usize, with: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Text(array) if array.is_valid(row) => with(array.value(row)),
            Self::Integer(array) if array.is_valid(row) => with(&array.value(row).to_string()),
            _ => with(""),
        }
    }
}

/// One stream of a window.
#[derive(Debug)]
pub(super) struct Stream {
    /// Index into `Plan::sources`.
    pub(super) source: usize,
    /// What is kept of its rows; absent: all.
    pub(super) columns: Option<Columns>,
}

impl Stream {
    fn of(&self, batch: &RecordBatch) -> RecordBatch {
        let some = self.columns.as_ref().and_then(|columns| columns.from(batch).ok());
        some.unwrap_or_else(|| batch.clone())
    }
}

/// Which rows of the batch at hand go into which pane.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    /// Row lists to use again.
    spare: Vec<Vec<u32>>,
}

#[derive(Debug)]
struct Run {
    pane: i64,
    stream: usize,
    rows: Vec<u32>,
}

impl Runs {
    /// The row goes to the end of its pane. Panes are few in a batch, and mostly the last one.
    pub(super) fn add(&mut self, pane: i64, stream: usize, row: u32) {
        let same = |run: &&mut Run| run.pane == pane && run.stream == stream;
        if let Some(run) = self.runs.iter_mut().rev().find(same) {
            run.rows.push(row);
            return;
        }
        let mut rows = self.spare.pop().unwrap_or_default();
        rows.push(row);
        self.runs.push(Run { pane, stream, rows });
    }

    /// Hands out the rows of each pane, each in order, and is empty then.
    pub(super) fn drain(
        &mut self,
        sheets: &[Option<Sheet<'_>>],
        streams: &[Stream],
        mut give: impl FnMut(i64, usize, RecordBatch),
    ) {
        for mut run in self.runs.drain(..) {
            let stream = streams.get(run.stream);
            let sheet = stream.and_then(|s| Some((s, sheets.get(s.source)?.as_ref()?)));
            if let Some((stream, sheet)) = sheet {
                give(run.pane, run.stream, chosen(&stream.of(&sheet.rows.batch), &run.rows));
            }
            run.rows.clear();
            self.spare.push(run.rows);
        }
    }
}

/// The rows at these places, which are in order.
fn chosen(batch: &RecordBatch, rows: &[u32]) -> RecordBatch {
    match rows {
        [first, .., last] if (last - first) as usize + 1 == rows.len() => {
            batch.slice(*first as usize, rows.len())
        }
        [only] => batch.slice(*only as usize, 1),
        rows => taken(batch, rows),
    }
}

#[expect(clippy::expect_used, reason = "the places were counted over this very batch")]
fn taken(batch: &RecordBatch, rows: &[u32]) -> RecordBatch {
    take_record_batch(batch, &UInt32Array::from(rows.to_vec())).expect("rows of the batch")
}

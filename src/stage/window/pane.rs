//! The rows of one pane that have not been folded into its state yet.
//!
//! A pane is folded in pieces of exactly `FOLD_ROWS` rows and once more when a window over it
//! closes. So the pieces depend on the order of the rows alone, never on how they came in batches,
//! and sums of floating-point numbers are the same bits at any speed.

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::batch::Batches;

/// Rows folded at once. Large enough that the state of thousands of groups, which each fold gives,
/// is small beside them.
pub(super) const FOLD_ROWS: usize = 32_768;

/// Batches of one size class that are put together into one of the next.
const FAN_IN: usize = 16;

/// Rows in the order in which they came. Small batches are put together as they gather: a row that
/// comes alone is copied a few times, and a thousand of them are not a thousand batches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Size classes, the newest and smallest last; within one class in order.
    classes: Vec<Batches>,
    rows: usize,
}

impl Pending {
    /// Adds rows; hands out the pieces that are full.
    pub(super) fn push(&mut self, batch: RecordBatch, mut full: impl FnMut(RecordBatch)) {
        let mut rest = batch;
        while self.rows + rest.num_rows() >= FOLD_ROWS {
            let room = FOLD_ROWS - self.rows;
            self.add(rest.slice(0, room));
            if let Some(piece) = self.take() {
                full(piece);
            }
            rest = rest.slice(room, rest.num_rows() - room);
        }
        if rest.num_rows() > 0 {
            self.add(rest);
        }
    }

    /// All that is left, as one batch.
    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        self.rows = 0;
        let batches: Vec<RecordBatch> = self.classes.drain(..).flat_map(|class| class.0).collect();
        joined(batches)
    }

    fn add(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        // The class of a batch: how often it would have been put together from single rows.
        let class = batch.num_rows().ilog(FAN_IN) as usize;
        // From the largest to the smallest: what is smaller than the newcomer and older than it
        // has to stand before it, and moves up into its class.
        let top = FOLD_ROWS.ilog(FAN_IN) as usize;
        self.classes.resize(top + 1, Batches::default());
        let at = top - class.min(top);
        let older: Vec<RecordBatch> = self.classes[at + 1..]
            .iter_mut()
            .flat_map(|class| std::mem::take(&mut class.0))
            .collect();
        self.classes[at].0.extend(joined(older));
        self.classes[at].0.push(batch);
        for at in (1..=at).rev() {
            if self.classes[at].0.len() < FAN_IN {
                break;
            }
            let whole = joined(std::mem::take(&mut self.classes[at].0));
            self.classes[at - 1].0.extend(whole);
        }
    }
}

/// Batches of one schema, one after the other.
fn joined(mut batches: Vec<RecordBatch>) -> Option<RecordBatch> {
    if batches.len() < 2 {
        return batches.pop();
    }
    let schema: SchemaRef = batches[0].schema();
    Some(concatenated(&schema, &batches))
}

#[expect(
    clippy::expect_used,
    reason = "batches of one source have one schema, and a piece is small"
)]
fn concatenated(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(schema, batches).expect("batches of one schema can be put together")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    fn batch(from: i64, rows: i64) -> RecordBatch {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
        RecordBatch::try_from_iter([("n", values)]).unwrap()
    }

    fn values(batch: &RecordBatch) -> Vec<i64> {
        batch.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Whatever the batches, the pieces are the same: in order, none lost, each of one size.
        #[test]
        fn pieces_depend_on_the_rows_alone(
            sizes in prop::collection::vec(prop_oneof![1_i64..3, 1_i64..400, 1_i64..50_000], 1..60),
        ) {
            let (mut pending, mut pieces, mut next) = (Pending::default(), Vec::new(), 0);
            for size in &sizes {
                pending.push(batch(next, *size), |piece| pieces.push(piece));
                next += *size;
                let held: usize = pending.classes.iter().map(|class| class.0.len()).sum();
                prop_assert!(held <= FAN_IN * 5, "{} batches held", held);
            }
            prop_assert!(pieces.iter().all(|piece| piece.num_rows() == FOLD_ROWS));
            let bytes = rmp_serde::to_vec(&pending).unwrap();
            let mut again: Pending = rmp_serde::from_slice(&bytes).unwrap();
            prop_assert_eq!(pending.rows, usize::try_from(next).unwrap() % FOLD_ROWS);
            let (last, restored) = (pending.take(), again.take());
            prop_assert_eq!(&last, &restored);
            pieces.extend(last);
            let all: Vec<i64> = pieces.iter().flat_map(values).collect();
            prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
        }
    }
}

//! An adapter's part in a layer, for the CPU: two narrow matrices after each other.
//!
//! Sums run along the inputs and nothing is fused, as in [`super::packed`].

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a pass is compiled for the processor that runs it"
)]

use super::adapter::{Adapter, MOST_RANK, check_rank, names};
use super::transformer::TensorError;

/// What is added to what the feed-forward part of one layer gives.
#[derive(Clone, Debug)]
pub(super) struct LowRank {
    rank: usize,
    width: usize,
    /// `[inputs, rank]`
    narrow: Vec<f32>,
    /// `[rank, width]`
    widen: Vec<f32>,
}

impl LowRank {
    /// A layer each.
    pub(super) fn of(adapter: &Adapter) -> Result<Vec<Self>, TensorError> {
        let (rank, width) = (adapter.rank, adapter.architecture.width);
        check_rank(rank).map_err(TensorError::Device)?;
        let take = |name: String, count: usize| {
            let values = adapter.values.get(&name).filter(|values| values.len() == count);
            values.cloned().ok_or(TensorError::Missing(name))
        };
        let layer = |layer| {
            let [narrow, widen] = names(layer);
            let narrow = take(narrow, adapter.architecture.hidden * rank)?;
            Ok(Self { rank, width, narrow, widen: take(widen, rank * width)? })
        };
        (0..adapter.architecture.layers).map(layer).collect()
    }

    /// Adds to `out`, a row of the model's width, what follows from `inner`, the row before `down`.
    #[inline(always)]
    pub(super) fn add(&self, inner: &[f32], out: &mut [f32]) {
        let mut narrow = [0.0_f32; MOST_RANK];
        let narrow = &mut narrow[..self.rank];
        for (x, weights) in inner.iter().zip(self.narrow.chunks_exact(self.rank)) {
            narrow.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
        for (x, weights) in narrow.iter().zip(self.widen.chunks_exact(self.width)) {
            out.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
    }
}

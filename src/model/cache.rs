//! Keys and values of the tokens so far, in memory that is claimed once.
//!
//! Attention always reads the whole of it under the causal mask, so that every step has the same
//! shapes; what an earlier text left behind lies under the mask too.

use burn::tensor::{Device, Tensor, s};

use super::weights::Architecture;

#[derive(Clone, Debug)]
pub struct Cache {
    /// A layer's keys and values, `[1, heads, context, head]` each.
    layers: Vec<(Tensor<4>, Tensor<4>)>,
    len: usize,
    context: usize,
}

impl Cache {
    pub fn new(architecture: Architecture, device: &Device) -> Self {
        let shape = [1, architecture.heads, architecture.context, architecture.head_width()];
        let layers = (0..architecture.layers)
            .map(|_| (Tensor::zeros(shape, device), Tensor::zeros(shape, device)))
            .collect();
        Self { layers, len: 0, context: architecture.context }
    }

    /// Tokens that it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that it can still take.
    pub fn room(&self) -> usize {
        self.context - self.len
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Puts a layer's keys and values `[1, heads, tokens, head]` behind those there are, and gives
    /// the whole memory.
    pub(super) fn put(
        &mut self,
        layer: usize,
        key: Tensor<4>,
        value: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let rows = self.len..self.len + key.dims()[2];
        let (keys, values) = &mut self.layers[layer];
        keys.inplace(|keys| keys.slice_assign(s![.., .., rows.clone(), ..], key));
        values.inplace(|values| values.slice_assign(s![.., .., rows, ..], value));
        (keys.clone(), values.clone())
    }
}

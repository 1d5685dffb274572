//! The same weights by the names and in the layout that Llama models have elsewhere.
//!
//! Projections stand apart there, and transposed: `[outputs, inputs]`. The architecture is Llama's
//! (rotary positions by halves, RMS norms, `SwiGLU`, no biases), so nothing else changes. Knows
//! nothing of files.

use std::collections::BTreeMap;

use super::transformer::TensorError;
use super::weights::{Architecture, Weights};

/// A tensor of a Llama model, and where its numbers are in ours.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// As Hugging Face's `transformers` calls it.
    pub name: String,
    /// `[outputs, inputs]` of a matrix, `[width]` of a norm.
    pub shape: Vec<usize>,
    /// Our tensor.
    ours: String,
    /// Which columns of it, for a matrix that stands transposed; else the numbers are the same.
    cut: Option<Cut>,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    first: usize,
    /// Columns of the whole of our matrix.
    columns: usize,
}

/// Every tensor, in the order in which a token passes through them.
pub(super) fn tensors(architecture: Architecture) -> Vec<Tensor> {
    let (w, h, a) = (architecture.width, architecture.hidden, architecture.attention_width());
    let same = |name: &str, ours: &str, shape: &[usize]| Tensor {
        name: format!("model.{name}.weight"),
        shape: shape.to_vec(),
        ours: ours.to_owned(),
        cut: None,
    };
    let mut tensors = vec![same("embed_tokens", "embedding", &[architecture.vocabulary, w])];
    for layer in 0..architecture.layers {
        let ours = |name: &str| format!("layers.{layer}.{name}");
        let matrix = |name: &str, of: &str, shape: [usize; 2], first: usize, columns: usize| {
            let cut = Some(Cut { first, columns });
            Tensor { cut, ..same(&ours(name), &ours(of), &shape) }
        };
        let norm = |name: &str, of: &str| same(&ours(name), &ours(of), &[w]);
        tensors.extend([
            norm("input_layernorm", "attention_norm"),
            matrix("self_attn.q_proj", "query_key_value", [a, w], 0, 3 * a),
            matrix("self_attn.k_proj", "query_key_value", [a, w], a, 3 * a),
            matrix("self_attn.v_proj", "query_key_value", [a, w], 2 * a, 3 * a),
            matrix("self_attn.o_proj", "attention_out", [w, a], 0, w),
            norm("post_attention_layernorm", "feed_norm"),
            matrix("mlp.gate_proj", "gate_up", [h, w], 0, 2 * h),
            matrix("mlp.up_proj", "gate_up", [h, w], h, 2 * h),
            matrix("mlp.down_proj", "down", [w, h], 0, w),
        ]);
    }
    tensors.push(same("norm", "norm", &[w]));
    tensors
}

impl Tensor {
    /// Its numbers, row-major.
    pub(super) fn of(&self, weights: &Weights) -> Result<Vec<f32>, TensorError> {
        let missing = || TensorError::Missing(self.ours.clone());
        let values = weights.values.get(&self.ours).ok_or_else(missing)?;
        let (Some(Cut { first, columns }), &[outputs, inputs]) = (self.cut, self.shape.as_slice())
        else {
            let whole = values.len() == self.shape.iter().product::<usize>();
            return if whole { Ok(values.clone()) } else { Err(missing()) };
        };
        if values.len() != inputs * columns {
            return Err(missing());
        }
        let row = |output: usize| (0..inputs).map(move |at| values[at * columns + first + output]);
        Ok((0..outputs).flat_map(row).collect())
    }

    /// Puts its numbers where ours are.
    fn put(&self, numbers: Vec<f32>, values: &mut BTreeMap<String, Vec<f32>>) {
        let (Some(Cut { first, columns }), &[_, inputs]) = (self.cut, self.shape.as_slice()) else {
            values.insert(self.ours.clone(), numbers);
            return;
        };
        let ours = values.entry(self.ours.clone()).or_insert_with(|| vec![0.0; inputs * columns]);
        for (output, row) in numbers.chunks_exact(inputs).enumerate() {
            for (at, number) in row.iter().enumerate() {
                ours[at * columns + first + output] = *number;
            }
        }
    }
}

/// Our weights of a Llama model's, whose tensors are asked for by name and shape.
pub(super) fn weights(
    architecture: Architecture,
    mut read: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, String>,
) -> Result<Weights, String> {
    let mut values = BTreeMap::new();
    for tensor in tensors(architecture) {
        let numbers = read(&tensor.name, &tensor.shape)?;
        if numbers.len() != tensor.shape.iter().product::<usize>() {
            return Err(format!("tensor `{}` holds {} numbers", tensor.name, numbers.len()));
        }
        tensor.put(numbers, &mut values);
    }
    Ok(Weights { architecture, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn there_and_back_are_the_same_weights() {
        for architecture in
            [fixture::tiny(64), Architecture { heads: 1, head: Some(10), ..fixture::tiny(64) }]
        {
            let ours = fixture::lively(architecture);
            let theirs: BTreeMap<String, (Vec<usize>, Vec<f32>)> = tensors(architecture)
                .into_iter()
                .map(|tensor| {
                    (tensor.name.clone(), (tensor.shape.clone(), tensor.of(&ours).unwrap()))
                })
                .collect();
            let again = weights(architecture, |name, shape| {
                let (own, numbers) = &theirs[name];
                assert_eq!(own, shape, "{name}");
                Ok(numbers.clone())
            });
            assert_eq!(again, Ok(ours));
            let count: usize = theirs.values().map(|(_, numbers)| numbers.len()).sum();
            assert_eq!(count, architecture.parameters());
        }
    }

    #[test]
    fn weights_of_another_size_are_refused() {
        let mut ours = fixture::lively(fixture::tiny(64));
        ours.values.insert("layers.0.down".to_owned(), vec![1.0; 3]);
        ours.values.remove("norm");
        let wrong = tensors(ours.architecture).into_iter().filter(|t| t.of(&ours).is_err());
        assert_eq!(wrong.count(), 2);
    }
}

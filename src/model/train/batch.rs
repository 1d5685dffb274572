//! Sequences side by side, and what a model has to learn from them.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::super::transformer::{Addition, Tables, Transformer};
use super::super::vocabulary::PAD;
use super::texts::Example;

/// Sequences are padded to a multiple of this: few shapes, each of whole blocks.
const BLOCK: usize = 8;

/// Sequences side by side, padded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    count: usize,
    longest: usize,
    input: Vec<i32>,
    target: Vec<i32>,
    /// 1 where the target is a token of the text, else 0.
    counts: Vec<f32>,
    /// Tokens in all, requests included, padding not.
    pub tokens: u64,
}

impl Batch {
    pub fn new(examples: &[Example]) -> Self {
        // The last token is only ever a target.
        let longest = examples.iter().map(|e| e.tokens.len() - 1).max().unwrap_or(0);
        let mut batch = Self {
            count: examples.len(),
            longest: longest.next_multiple_of(BLOCK),
            input: Vec::new(),
            target: Vec::new(),
            counts: Vec::new(),
            tokens: 0,
        };
        for Example { tokens, begin } in examples {
            let at = |at: usize| i32::from(tokens.get(at).copied().unwrap_or(PAD));
            for position in 0..batch.longest {
                let of_text = position + 1 >= *begin && position + 1 < tokens.len();
                batch.input.push(at(position));
                batch.target.push(at(position + 1));
                batch.counts.push(f32::from(u8::from(of_text)));
            }
            batch.tokens += tokens.len() as u64;
        }
        batch
    }

    fn ints(&self, values: &[i32], device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(values.to_vec(), [self.count, self.longest]), device)
    }

    /// What a model expects at each position: `[batch, tokens, vocabulary]`.
    pub fn expected(&self, model: &Transformer, tables: &Tables) -> Tensor<3> {
        softmax(model.forward(self.ints(&self.input, tables.device()), tables, None, None), 2)
    }

    /// Mean over the text tokens of the cross-entropy with the text, weighted `hard`, and with what
    /// a teacher expects, weighted `1 - hard`: the gradient of the second is that of the
    /// Kullback-Leibler divergence from the teacher (Hinton et al. 2015, at temperature 1).
    pub fn loss(
        &self,
        model: &Transformer,
        addition: Option<&Addition>,
        tables: &Tables,
        teacher: Option<(Tensor<3>, f32)>,
    ) -> Tensor<1> {
        let device = tables.device();
        let shape = [self.count, self.longest];
        let counts: Tensor<2> =
            Tensor::from_data(TensorData::new(self.counts.clone(), shape), device);
        let logits = model.forward(self.ints(&self.input, device), tables, None, addition);
        let likelihood = log_softmax(logits, 2);
        let target = self.ints(&self.target, device).unsqueeze_dim(2);
        let of_text = likelihood.clone().gather(2, target).reshape(shape);
        let each = match teacher {
            None => of_text,
            Some((expected, hard)) => {
                let soft = (likelihood * Tensor::from_inner(expected)).sum_dim(2).reshape(shape);
                of_text * hard + soft * (1.0 - hard)
            }
        };
        let total: f32 = self.counts.iter().sum();
        (each * counts).sum() * (-1.0 / total.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts::Texts;
    use super::*;
    use crate::model::fixture;

    #[test]
    fn only_text_tokens_count() {
        let (vocabulary, grammar) = fixture::corpus();
        let texts = Texts::of(&vocabulary, &grammar, 3);
        let examples = texts.pool(0, 20);
        let batch = Batch::new(&examples);
        let text_tokens: usize = examples.iter().map(|e| e.tokens.len() - e.begin).sum();
        assert!((batch.counts.iter().sum::<f32>() - text_tokens as f32).abs() < 1e-3);
        for (at, counts) in batch.counts.iter().enumerate() {
            assert!(*counts < 0.5 || batch.target[at] != i32::from(PAD));
        }
    }
}

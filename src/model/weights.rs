//! The numbers of a model on the host: its architecture and its tensors by name.
//!
//! Between a file, a device and a training run weights travel in this form. Knows nothing of files
//! or devices.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The sizes of a decoder-only transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Numbers a token is represented by; a multiple of 32.
    pub width: usize,
    pub layers: usize,
    /// Attention heads of a layer.
    pub heads: usize,
    /// Numbers of a head, an even count; absent where it is `width / heads`, as it is until heads
    /// are pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<usize>,
    /// Width inside the feed-forward part; a multiple of 32.
    pub hidden: usize,
    /// Tokens of request and text together, at most.
    pub context: usize,
    /// Tokens that there are.
    pub vocabulary: usize,
}

impl Architecture {
    /// What is wrong with the sizes, if anything. The bounds keep a damaged file from asking for
    /// more memory than a unit has.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, most: usize| {
            if value == 0 || value > most {
                return Err(format!("{name} is {value}, not within 1 to {most}"));
            }
            Ok(())
        };
        within("width", self.width, 1024)?;
        within("layers", self.layers, 16)?;
        within("heads", self.heads, 64)?;
        within("hidden", self.hidden, 4096)?;
        within("context", self.context, 1024)?;
        within("vocabulary", self.vocabulary, 8192)?;
        if !self.width.is_multiple_of(32) || !self.hidden.is_multiple_of(32) {
            return Err("width and hidden must be multiples of 32".to_owned());
        }
        match self.head {
            Some(head) => {
                within("head", head, 256)?;
                if head % 2 == 1 || head * self.heads > self.width {
                    return Err(format!("{} heads of {head} numbers are no model's", self.heads));
                }
            }
            None if !self.width.is_multiple_of(2 * self.heads) => {
                return Err(format!(
                    "{} heads do not divide a width of {} into even parts",
                    self.heads, self.width
                ));
            }
            None => {}
        }
        Ok(())
    }

    pub fn head_width(&self) -> usize {
        self.head.unwrap_or(self.width / self.heads.max(1))
    }

    /// Numbers of all heads together.
    pub fn attention_width(&self) -> usize {
        self.heads * self.head_width()
    }

    /// Every tensor with its name and shape, in order.
    pub fn tensors(&self) -> Vec<Named> {
        let (w, h, a) = (self.width, self.hidden, self.attention_width());
        let mut tensors = vec![("embedding".to_owned(), vec![self.vocabulary, w])];
        for layer in 0..self.layers {
            for (name, shape) in [
                ("attention_norm", vec![w]),
                ("query_key_value", vec![w, 3 * a]),
                ("attention_out", vec![a, w]),
                ("feed_norm", vec![w]),
                ("gate_up", vec![w, 2 * h]),
                ("down", vec![h, w]),
            ] {
                tensors.push((format!("layers.{layer}.{name}"), shape));
            }
        }
        tensors.push(("norm".to_owned(), vec![w]));
        tensors
    }

    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    pub architecture: Architecture,
    /// Values in row-major order, by the names of [`Architecture::tensors`].
    pub values: BTreeMap<String, Vec<f32>>,
}

impl Weights {
    /// Untrained weights: norms at one, the rest from a normal distribution of standard deviation
    /// 0.02, divided by the root of twice the layers where a tensor adds to the residual stream (the
    /// initialisation of GPT-2).
    pub fn random(architecture: Architecture, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let residual = 0.02 / (2.0 * architecture.layers as f32).sqrt();
        let values = architecture
            .tensors()
            .into_iter()
            .map(|(name, shape)| {
                let count = shape.iter().product();
                let values = if shape.len() == 1 {
                    vec![1.0; count]
                } else {
                    let adds = name.ends_with("attention_out") || name.ends_with("down");
                    let deviation = if adds { residual } else { 0.02 };
                    (0..count).map(|_| deviation * normal(&mut rng)).collect()
                };
                (name, values)
            })
            .collect();
        Self { architecture, values }
    }

    /// All values in one row, in the order of [`Architecture::tensors`].
    pub fn flat(&self) -> Vec<f32> {
        in_one_row(&self.architecture.tensors(), &self.values)
    }

    /// The inverse of [`Self::flat`]; `None` when the count is not the architecture's.
    pub fn from_flat(architecture: Architecture, flat: &[f32]) -> Option<Self> {
        Some(Self { architecture, values: from_one_row(architecture.tensors(), flat)? })
    }
}

/// A tensor's name and shape.
pub(super) type Named = (String, Vec<usize>);

/// The values of tensors one after the other.
pub(super) fn in_one_row(tensors: &[Named], values: &BTreeMap<String, Vec<f32>>) -> Vec<f32> {
    tensors.iter().filter_map(|(name, _)| values.get(name)).flatten().copied().collect()
}

/// The inverse of [`in_one_row`]; `None` when the count is another.
pub(super) fn from_one_row(tensors: Vec<Named>, row: &[f32]) -> Option<BTreeMap<String, Vec<f32>>> {
    let mut rest = row;
    let mut values = BTreeMap::new();
    for (name, shape) in tensors {
        let (own, others) = rest.split_at_checked(shape.iter().product())?;
        values.insert(name, own.to_vec());
        rest = others;
    }
    rest.is_empty().then_some(values)
}

/// A draw from the standard normal distribution (Box and Muller).
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn refuses_sizes_that_no_model_has() {
        let good = fixture::tiny(300);
        assert_eq!(good.check(), Ok(()));
        assert!(Architecture { width: 48, ..good }.check().is_err());
        assert!(Architecture { heads: 3, ..good }.check().is_err());
        assert!(Architecture { layers: 0, ..good }.check().is_err());
        assert!(Architecture { vocabulary: usize::MAX, ..good }.check().is_err());
        assert_eq!(Architecture { heads: 1, head: Some(16), ..good }.check(), Ok(()));
        assert!(Architecture { head: Some(15), ..good }.check().is_err());
        assert!(Architecture { head: Some(18), ..good }.check().is_err());
    }

    #[test]
    fn random_weights_follow_the_seed() {
        let tiny = fixture::tiny(300);
        let weights = Weights::random(tiny, 5);
        assert_eq!(weights, Weights::random(tiny, 5));
        assert_ne!(weights, Weights::random(tiny, 6));
        let count: usize = weights.values.values().map(Vec::len).sum();
        assert_eq!(count, tiny.parameters());
        assert_eq!(Weights::from_flat(tiny, &weights.flat()), Some(weights.clone()));
        assert_eq!(Weights::from_flat(tiny, &weights.flat()[1..]), None);
    }
}

//! The decoder-only transformer: RMS norms, rotary positions, causal attention, `SwiGLU`, and an
//! output that shares the embedding.
//!
//! One forward serves training (no cache, many sequences) and writing (a cache, one sequence).
//! Projections are fused and shapes are fixed, since at this size the number of operations decides
//! how long a token takes. Knows nothing of what tokens mean.

use std::collections::BTreeMap;

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData, s};

use super::adapter::{Adapter, tensors};
use super::cache::Cache;
use super::weights::{Architecture, Weights};

/// Added to attention scores that must not count: far below any score, far from infinity.
const MASKED: f32 = -1e9;
/// Base of the rotary frequencies (Su et al., `RoFormer`, section 3.2.2).
pub(super) const ROTARY_BASE: f32 = 10_000.0;
pub(super) const NORM_EPSILON: f32 = 1e-5;

#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    #[error("the weights lack the tensor `{0}`, or it has another size")]
    Missing(String),
    #[error("the device gave no numbers back: {0}")]
    Device(String),
}

/// The trainable part.
#[derive(Clone, Debug)]
pub struct Transformer {
    embedding: Tensor<2>,
    layers: Vec<Layer>,
    norm: Tensor<1>,
}

#[derive(Clone, Debug)]
struct Layer {
    attention_norm: Tensor<1>,
    query_key_value: Tensor<2>,
    attention_out: Tensor<2>,
    feed_norm: Tensor<1>,
    gate_up: Tensor<2>,
    down: Tensor<2>,
}

/// An adapter on a device: what is added to the feed-forward part of each layer.
#[derive(Clone, Debug)]
pub struct Addition {
    /// `[hidden, rank]` and `[rank, width]`.
    layers: Vec<(Tensor<2>, Tensor<2>)>,
}

impl Addition {
    /// Puts an adapter on a device.
    pub fn new(adapter: &Adapter, device: &Device) -> Result<Self, TensorError> {
        Self::from_parts(adapter.architecture, adapter.rank, &mut |name, count| {
            part(&adapter.values, name, count, device)
        })
    }

    /// Built of flat tensors, asked for by name and count in the order of [`tensors`].
    pub fn from_parts(
        architecture: Architecture,
        rank: usize,
        part: &mut dyn FnMut(&str, usize) -> Result<Tensor<1>, TensorError>,
    ) -> Result<Self, TensorError> {
        let mut next = |rows: usize, columns: usize, name: &str| {
            Ok::<_, TensorError>(part(name, rows * columns)?.reshape([rows, columns]))
        };
        let mut layers = Vec::new();
        for pair in tensors(architecture, rank).chunks_exact(2) {
            layers.push((
                next(architecture.hidden, rank, &pair[0].0)?,
                next(rank, architecture.width, &pair[1].0)?,
            ));
        }
        Ok(Self { layers })
    }
}

/// A tensor of the host's numbers, flat.
fn part(
    values: &BTreeMap<String, Vec<f32>>,
    name: &str,
    count: usize,
    device: &Device,
) -> Result<Tensor<1>, TensorError> {
    let values = values.get(name).filter(|values| values.len() == count);
    let values = values.ok_or_else(|| TensorError::Missing(name.to_owned()))?;
    Ok(Tensor::from_data(TensorData::new(values.clone(), [count]), device))
}

/// What does not change in training: rotary tables and the causal mask.
#[derive(Clone, Debug)]
pub struct Tables {
    architecture: Architecture,
    device: Device,
    /// Whether embeddings are looked up by a matrix product. A graphics card adds up the gradients
    /// of looked-up rows one after the other; a product it does at once.
    pub(super) one_hot: bool,
    /// `[1, context, 1, head]`
    cosine: Tensor<4>,
    sine: Tensor<4>,
    /// Turns `(a, b)` halves into `(-b, a)`: `[head, head]`.
    turn: Tensor<2>,
    /// `[context, context]`: 0 where a position may look, far below where not.
    mask: Tensor<2>,
}

/// Cosines and sines of the rotary angles, `[context, head]` each.
pub(super) fn rotary(architecture: Architecture) -> (Vec<f32>, Vec<f32>) {
    let (context, head) = (architecture.context, architecture.head_width());
    let half = head / 2;
    let angle = |position: usize, at: usize| {
        let exponent = (at % half) as f32 / half as f32;
        position as f32 / ROTARY_BASE.powf(exponent)
    };
    let angles = (0..context).flat_map(|position| (0..head).map(move |at| angle(position, at)));
    angles.map(|angle| (angle.cos(), angle.sin())).unzip()
}

/// What is added to attention scores, `[context, context]`: 0 where a position (row) may look at
/// another (column), far below where not.
pub(super) fn causal(architecture: Architecture) -> Vec<f32> {
    let context = architecture.context;
    let row = |from| (0..context).map(move |to| if to <= from { 0.0 } else { MASKED });
    (0..context).flat_map(row).collect()
}

impl Tables {
    pub fn new(architecture: Architecture, device: &Device) -> Self {
        let (context, head) = (architecture.context, architecture.head_width());
        let half = head / 2;
        let (cosine, sine) = rotary(architecture);
        let table = |values: Vec<f32>| {
            Tensor::from_data(TensorData::new(values, [1, context, 1, head]), device)
        };
        let mut turn = vec![0.0; head * head];
        for at in 0..half {
            // Row is the source, column the target of `x · turn`.
            turn[(half + at) * head + at] = -1.0;
            turn[at * head + half + at] = 1.0;
        }
        Self {
            architecture,
            device: device.clone(),
            one_hot: false,
            cosine: table(cosine),
            sine: table(sine),
            turn: Tensor::from_data(TensorData::new(turn, [head, head]), device),
            mask: Tensor::from_data(
                TensorData::new(causal(architecture), [context, context]),
                device,
            ),
        }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Rotates `[batch, tokens, heads, head]` by the positions from `start` on.
    fn rotate(&self, x: Tensor<4>, start: usize) -> Tensor<4> {
        let [batch, tokens, heads, head] = x.dims();
        let rows = start..start + tokens;
        let turned = x
            .clone()
            .reshape([batch * tokens * heads, head])
            .matmul(self.turn.clone())
            .reshape([batch, tokens, heads, head]);
        let cosine = self.cosine.clone().slice(s![.., rows.clone(), .., ..]);
        let sine = self.sine.clone().slice(s![.., rows, .., ..]);
        x * cosine + turned * sine
    }
}

impl Transformer {
    /// Puts weights on a device.
    pub fn new(weights: &Weights, device: &Device) -> Result<Self, TensorError> {
        Self::from_parts(weights.architecture, &mut |name, count| {
            part(&weights.values, name, count, device)
        })
    }

    /// Built of flat tensors, asked for by name and count in the order of
    /// [`Architecture::tensors`].
    pub fn from_parts(
        architecture: Architecture,
        part: &mut dyn FnMut(&str, usize) -> Result<Tensor<1>, TensorError>,
    ) -> Result<Self, TensorError> {
        let mut parts = architecture.tensors().into_iter();
        let mut next = || {
            let (name, shape) = parts.next().unwrap_or_default();
            Ok((part(&name, shape.iter().product())?, shape))
        };
        let vector = |(flat, _): (Tensor<1>, Vec<usize>)| flat;
        let matrix = |(flat, shape): (Tensor<1>, Vec<usize>)| match shape.as_slice() {
            [rows, columns] => flat.reshape([*rows, *columns]),
            _ => flat.unsqueeze(),
        };
        let embedding = matrix(next()?);
        let layers = (0..architecture.layers)
            .map(|_| {
                Ok(Layer {
                    attention_norm: vector(next()?),
                    query_key_value: matrix(next()?),
                    attention_out: matrix(next()?),
                    feed_norm: vector(next()?),
                    gate_up: matrix(next()?),
                    down: matrix(next()?),
                })
            })
            .collect::<Result<_, TensorError>>()?;
        Ok(Self { embedding, layers, norm: vector(next()?) })
    }

    /// Logits `[batch, tokens, vocabulary]` for tokens `[batch, tokens]`. With a cache the tokens
    /// follow those that it holds (batch 1), and it takes them in; the caller keeps their number
    /// within the context. With an adapter's addition all sequences are of its condition.
    pub fn forward(
        &self,
        tokens: Tensor<2, Int>,
        tables: &Tables,
        mut cache: Option<&mut Cache>,
        addition: Option<&Addition>,
    ) -> Tensor<3> {
        let [batch, count] = tokens.dims();
        let width = tables.architecture.width;
        let start = cache.as_ref().map_or(0, |cache| cache.len());
        let embedding = self.embedding.clone();
        let tokens = tokens.reshape([batch * count]);
        let rows = if tables.one_hot {
            // At most 8192, see `Architecture::check`.
            let vocabulary = i64::try_from(embedding.dims()[0]).unwrap_or(i64::MAX);
            let numbers = Tensor::<1, Int>::arange(0..vocabulary, &tables.device);
            let chosen = tokens.unsqueeze_dim::<2>(1).equal(numbers.unsqueeze_dim(0));
            chosen.float().matmul(embedding.clone())
        } else {
            embedding.clone().select(0, tokens)
        };
        let mut x = rows.reshape([batch, count, width]);
        for (at, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_deref_mut().map(|cache| (cache, at));
            let addition = addition.and_then(|addition| addition.layers.get(at));
            x = layer.forward(x, tables, start, cache, addition);
        }
        if let Some(cache) = cache {
            cache.advance(count);
        }
        let x = norm(x, &self.norm).reshape([batch * count, width]);
        let logits = x.matmul(embedding.transpose());
        logits.reshape([batch, count, tables.architecture.vocabulary])
    }
}

impl Layer {
    fn forward(
        &self,
        x: Tensor<3>,
        tables: &Tables,
        start: usize,
        cache: Option<(&mut Cache, usize)>,
        addition: Option<&(Tensor<2>, Tensor<2>)>,
    ) -> Tensor<3> {
        let x = x.clone() + self.attend(norm(x, &self.attention_norm), tables, start, cache);
        let hidden = tables.architecture.hidden;
        let gate_up = times(norm(x.clone(), &self.feed_norm), &self.gate_up);
        let gate = gate_up.clone().narrow(2, 0, hidden);
        let up = gate_up.narrow(2, hidden, hidden);
        let gate = gate.clone() * sigmoid(gate);
        let inner = gate * up;
        let out = times(inner.clone(), &self.down);
        x + match addition {
            Some((narrow, widen)) => out + times(times(inner, narrow), widen),
            None => out,
        }
    }

    fn attend(
        &self,
        x: Tensor<3>,
        tables: &Tables,
        start: usize,
        cache: Option<(&mut Cache, usize)>,
    ) -> Tensor<3> {
        let [batch, count, _] = x.dims();
        let Architecture { heads, .. } = tables.architecture;
        let head = tables.architecture.head_width();
        let all = times(x, &self.query_key_value).reshape([batch, count, 3 * heads, head]);
        // Queries and keys turn together: one rotation for both.
        let turned = tables.rotate(all.clone().narrow(2, 0, 2 * heads), start).swap_dims(1, 2);
        let query = turned.clone().narrow(1, 0, heads);
        let key = turned.narrow(1, heads, heads);
        let value = all.narrow(2, 2 * heads, heads).swap_dims(1, 2);
        let (key, value) = match cache {
            Some((cache, layer)) => cache.put(layer, key, value),
            None => (key, value),
        };
        let seen = key.dims()[2];
        let mask = tables.mask.clone().slice(s![start..start + count, 0..seen]);
        let scores = query.matmul(key.transpose()) * (head as f32).powf(-0.5)
            + mask.reshape([1, 1, count, seen]);
        let mixed = softmax(scores, 3).matmul(value);
        times(mixed.swap_dims(1, 2).reshape([batch, count, heads * head]), &self.attention_out)
    }
}

/// `x · weight` over the last dimension, as one flat matrix product.
fn times(x: Tensor<3>, weight: &Tensor<2>) -> Tensor<3> {
    let [batch, count, width] = x.dims();
    let out = weight.dims()[1];
    x.reshape([batch * count, width]).matmul(weight.clone()).reshape([batch, count, out])
}

/// Root-mean-square norm (Zhang and Sennrich, 2019).
fn norm(x: Tensor<3>, scale: &Tensor<1>) -> Tensor<3> {
    let size = (x.clone().square().mean_dim(2) + NORM_EPSILON).sqrt();
    x / size * scale.clone().unsqueeze()
}

/// Reads a tensor back in row-major order.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TensorError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| TensorError::Device(error.to_string()))
}

/// One sequence of tokens as the model takes it.
pub fn sequence(tokens: &[super::vocabulary::Token], device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i32> = tokens.iter().map(|token| i32::from(*token)).collect();
    let count = tokens.len();
    Tensor::from_data(TensorData::new(tokens, [1, count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn close(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn cached_and_uncached_logits_are_equal() {
        let device = Device::flex();
        let architecture = fixture::tiny(64);
        let model = Transformer::new(&fixture::lively(architecture), &device).unwrap();
        let tables = Tables::new(architecture, &device);
        let tokens: Vec<u16> = (0..40).map(|at| (at * 7 + 3) % 64).collect();
        let whole =
            numbers(model.forward(sequence(&tokens, &device), &tables, None, None)).unwrap();

        let mut cache = Cache::new(architecture, &device);
        // Twice: what an earlier text left in the cache must not show.
        for _ in 0..2 {
            cache.clear();
            let mut stepped = Vec::new();
            for chunk in [&tokens[..9], &tokens[9..12]].into_iter().chain(tokens[12..].chunks(1)) {
                let logits =
                    model.forward(sequence(chunk, &device), &tables, Some(&mut cache), None);
                stepped.extend(numbers(logits).unwrap());
            }
            let apart = close(&whole, &stepped);
            assert!(apart < 1e-4, "{apart}");
        }
    }

    #[test]
    fn a_token_does_not_see_what_follows_it() {
        let device = Device::flex();
        let architecture = fixture::tiny(64);
        let model = Transformer::new(&fixture::lively(architecture), &device).unwrap();
        let tables = Tables::new(architecture, &device);
        let logits = |tokens: &[u16]| {
            numbers(model.forward(sequence(tokens, &device), &tables, None, None)).unwrap()
        };
        let (one, other) = (logits(&[5, 6, 7, 8]), logits(&[5, 6, 7, 9]));
        assert!(close(&one[..3 * 64], &other[..3 * 64]) < 1e-6);
        assert!(close(&one[3 * 64..], &other[3 * 64..]) > 1e-3);
        // Order counts: positions are told apart.
        let swapped = logits(&[6, 5, 7, 8]);
        assert!(close(&one[3 * 64..], &swapped[3 * 64..]) > 1e-6);
    }

    #[test]
    fn looking_rows_up_and_multiplying_by_ones_are_the_same() {
        let device = Device::flex();
        let architecture = fixture::tiny(64);
        let model = Transformer::new(&fixture::lively(architecture), &device).unwrap();
        let tables = Tables::new(architecture, &device);
        let by_product = Tables { one_hot: true, ..tables.clone() };
        let logits = |tables: &Tables| {
            numbers(model.forward(sequence(&[5, 6, 63, 0], &device), tables, None, None)).unwrap()
        };
        assert!(close(&logits(&tables), &logits(&by_product)) < 1e-5);
    }

    #[test]
    fn weights_of_another_size_are_refused() {
        let mut weights = fixture::lively(fixture::tiny(64));
        weights.values.insert("norm".to_owned(), vec![1.0; 3]);
        assert!(matches!(
            Transformer::new(&weights, &Device::flex()),
            Err(TensorError::Missing(name)) if name == "norm"
        ));
    }
}

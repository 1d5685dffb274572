//! The decoder-only transformer: RMS norms, rotary positions, causal attention, `SwiGLU`, and an
//! output that shares the embedding.
//!
//! One forward serves training (no cache, many sequences) and writing (a cache, one sequence).
//! Projections are fused and shapes are fixed, since at this size the number of operations decides
//! how long a token takes. Knows nothing of what tokens mean.

use burn::module::{Module, Param};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData, s};

use super::cache::Cache;
use super::weights::{Architecture, Weights};

/// Added to attention scores that must not count: far below any score, far from infinity.
const MASKED: f32 = -1e9;
/// Base of the rotary frequencies (Su et al., `RoFormer`, section 3.2.2).
const ROTARY_BASE: f32 = 10_000.0;
const NORM_EPSILON: f32 = 1e-5;

#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    #[error("the weights lack the tensor `{0}`, or it has another size")]
    Missing(String),
    #[error("the device gave no numbers back: {0}")]
    Device(String),
}

/// The trainable part.
#[derive(Module, Debug)]
pub struct Transformer {
    embedding: Param<Tensor<2>>,
    layers: Vec<Layer>,
    norm: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct Layer {
    attention_norm: Param<Tensor<1>>,
    query_key_value: Param<Tensor<2>>,
    attention_out: Param<Tensor<2>>,
    feed_norm: Param<Tensor<1>>,
    gate_up: Param<Tensor<2>>,
    down: Param<Tensor<2>>,
}

/// What does not change in training: rotary tables and the causal mask.
#[derive(Clone, Debug)]
pub struct Tables {
    architecture: Architecture,
    device: Device,
    /// `[1, context, 1, head]`
    cosine: Tensor<4>,
    sine: Tensor<4>,
    /// Turns `(a, b)` halves into `(-b, a)`: `[head, head]`.
    turn: Tensor<2>,
    /// `[context, context]`: 0 where a position may look, far below where not.
    mask: Tensor<2>,
}

impl Tables {
    pub fn new(architecture: Architecture, device: &Device) -> Self {
        let (context, head) = (architecture.context, architecture.head_width());
        let half = head / 2;
        let angle = |position: usize, at: usize| {
            let exponent = (at % half) as f32 / half as f32;
            position as f32 / ROTARY_BASE.powf(exponent)
        };
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = (0..context)
                .flat_map(|position| (0..head).map(move |at| f(angle(position, at))))
                .collect();
            Tensor::from_data(TensorData::new(values, [1, context, 1, head]), device)
        };
        let mut turn = vec![0.0; head * head];
        for at in 0..half {
            // Row is the source, column the target of `x · turn`.
            turn[(half + at) * head + at] = -1.0;
            turn[at * head + half + at] = 1.0;
        }
        let mask: Vec<f32> = (0..context)
            .flat_map(|from| (0..context).map(move |to| if to <= from { 0.0 } else { MASKED }))
            .collect();
        Self {
            architecture,
            device: device.clone(),
            cosine: table(f32::cos),
            sine: table(f32::sin),
            turn: Tensor::from_data(TensorData::new(turn, [head, head]), device),
            mask: Tensor::from_data(TensorData::new(mask, [context, context]), device),
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
        let layers = (0..weights.architecture.layers)
            .map(|layer| {
                let name = |part: &str| format!("layers.{layer}.{part}");
                Ok(Layer {
                    attention_norm: param(weights, &name("attention_norm"), device)?,
                    query_key_value: param(weights, &name("query_key_value"), device)?,
                    attention_out: param(weights, &name("attention_out"), device)?,
                    feed_norm: param(weights, &name("feed_norm"), device)?,
                    gate_up: param(weights, &name("gate_up"), device)?,
                    down: param(weights, &name("down"), device)?,
                })
            })
            .collect::<Result<_, TensorError>>()?;
        Ok(Self {
            embedding: param(weights, "embedding", device)?,
            layers,
            norm: param(weights, "norm", device)?,
        })
    }

    /// Takes the weights back from the device.
    pub fn weights(&self, architecture: Architecture) -> Result<Weights, TensorError> {
        let mut values = std::collections::BTreeMap::new();
        let mut take = |name: String, numbers: Result<Vec<f32>, TensorError>| {
            numbers.map(|numbers| values.insert(name, numbers))
        };
        take("embedding".to_owned(), numbers(self.embedding.val()))?;
        for (at, layer) in self.layers.iter().enumerate() {
            let name = |part: &str| format!("layers.{at}.{part}");
            take(name("attention_norm"), numbers(layer.attention_norm.val()))?;
            take(name("query_key_value"), numbers(layer.query_key_value.val()))?;
            take(name("attention_out"), numbers(layer.attention_out.val()))?;
            take(name("feed_norm"), numbers(layer.feed_norm.val()))?;
            take(name("gate_up"), numbers(layer.gate_up.val()))?;
            take(name("down"), numbers(layer.down.val()))?;
        }
        take("norm".to_owned(), numbers(self.norm.val()))?;
        Ok(Weights { architecture, values })
    }

    /// Logits `[batch, tokens, vocabulary]` for tokens `[batch, tokens]`. With a cache the tokens
    /// follow those that it holds (batch 1), and it takes them in; the caller keeps their number
    /// within the context.
    pub fn forward(
        &self,
        tokens: Tensor<2, Int>,
        tables: &Tables,
        mut cache: Option<&mut Cache>,
    ) -> Tensor<3> {
        let [batch, count] = tokens.dims();
        let width = tables.architecture.width;
        let start = cache.as_ref().map_or(0, |cache| cache.len());
        let embedding = self.embedding.val();
        let mut x = embedding
            .clone()
            .select(0, tokens.reshape([batch * count]))
            .reshape([batch, count, width]);
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, tables, start, cache.as_deref_mut().map(|cache| (cache, at)));
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
    ) -> Tensor<3> {
        let x = x.clone() + self.attend(norm(x, &self.attention_norm), tables, start, cache);
        let hidden = tables.architecture.hidden;
        let gate_up = times(norm(x.clone(), &self.feed_norm), &self.gate_up);
        let gate = gate_up.clone().narrow(2, 0, hidden);
        let up = gate_up.narrow(2, hidden, hidden);
        let gate = gate.clone() * sigmoid(gate);
        x + times(gate * up, &self.down)
    }

    fn attend(
        &self,
        x: Tensor<3>,
        tables: &Tables,
        start: usize,
        cache: Option<(&mut Cache, usize)>,
    ) -> Tensor<3> {
        let [batch, count, width] = x.dims();
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
        times(mixed.swap_dims(1, 2).reshape([batch, count, width]), &self.attention_out)
    }
}

/// `x · weight` over the last dimension, as one flat matrix product.
fn times(x: Tensor<3>, weight: &Param<Tensor<2>>) -> Tensor<3> {
    let weight = weight.val();
    let [batch, count, width] = x.dims();
    let out = weight.dims()[1];
    x.reshape([batch * count, width]).matmul(weight).reshape([batch, count, out])
}

/// Root-mean-square norm (Zhang and Sennrich, 2019).
fn norm(x: Tensor<3>, scale: &Param<Tensor<1>>) -> Tensor<3> {
    let size = (x.clone().square().mean_dim(2) + NORM_EPSILON).sqrt();
    x / size * scale.val().unsqueeze()
}

fn param<const D: usize>(
    weights: &Weights,
    name: &str,
    device: &Device,
) -> Result<Param<Tensor<D>>, TensorError> {
    let missing = || TensorError::Missing(name.to_owned());
    let shape = weights
        .architecture
        .tensors()
        .into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, shape)| shape)
        .filter(|shape| shape.len() == D)
        .ok_or_else(missing)?;
    let values = weights
        .values
        .get(name)
        .filter(|values| values.len() == shape.iter().product::<usize>())
        .ok_or_else(missing)?;
    let data = TensorData::new(values.clone(), shape);
    Ok(Param::from_tensor(Tensor::from_data(data, device)))
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
        let whole = numbers(model.forward(sequence(&tokens, &device), &tables, None)).unwrap();

        let mut cache = Cache::new(architecture, &device);
        // Twice: what an earlier text left in the cache must not show.
        for _ in 0..2 {
            cache.clear();
            let mut stepped = Vec::new();
            for chunk in [&tokens[..9], &tokens[9..12]].into_iter().chain(tokens[12..].chunks(1)) {
                let logits = model.forward(sequence(chunk, &device), &tables, Some(&mut cache));
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
            numbers(model.forward(sequence(tokens, &device), &tables, None)).unwrap()
        };
        let (one, other) = (logits(&[5, 6, 7, 8]), logits(&[5, 6, 7, 9]));
        assert!(close(&one[..3 * 64], &other[..3 * 64]) < 1e-6);
        assert!(close(&one[3 * 64..], &other[3 * 64..]) > 1e-3);
        // Order counts: positions are told apart.
        let swapped = logits(&[6, 5, 7, 8]);
        assert!(close(&one[3 * 64..], &swapped[3 * 64..]) > 1e-6);
    }

    #[test]
    fn weights_come_back_as_they_went_in() {
        let device = Device::flex();
        let weights = fixture::lively(fixture::tiny(64));
        let model = Transformer::new(&weights, &device).unwrap();
        assert_eq!(model.weights(weights.architecture).unwrap(), weights);
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

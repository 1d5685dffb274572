//! The transformer by hand, for the CPU: several texts side by side, each with a memory of its own.
//!
//! Burn's CPU backend is made for large matrices; a text here is one row at a time. The same
//! arithmetic in the same order whatever the processor's vectors are (sums run along the inputs, and
//! nothing is fused), so two units with different processors score alike. Burn's own forward stays
//! the measure that this one is tested against. Knows nothing of texts.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a pass is compiled for the processor that runs it"
)]

use pulp::{Arch, Simd, WithSimd};

use super::adapter::Adapter;
use super::arithmetic::{LANES, add, exp, norm};
use super::low_rank::LowRank;
use super::packed::Packed;
use super::transformer::{ROTARY_BASE, TensorError};
use super::vocabulary::Token;
use super::weights::{Architecture, Weights};

#[derive(Clone, Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query_key_value: Packed,
    attention_out: Packed,
    feed_norm: Vec<f32>,
    gate_up: Packed,
    down: Packed,
}

/// A model, ready for the CPU.
#[derive(Clone, Debug)]
pub struct Plain {
    architecture: Architecture,
    /// `[vocabulary, width]`
    embedding: Vec<f32>,
    output: Packed,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// A layer's part of each adapter.
    adapters: Vec<Vec<LowRank>>,
    /// `[context, head / 2]`
    cosine: Vec<f32>,
    sine: Vec<f32>,
}

/// Keys and values of one text so far, claimed once.
#[derive(Clone, Debug)]
pub struct Memory {
    /// A layer's keys, `[context / LANES, attention width, LANES]`, so that a query is compared with
    /// many of them at once, and its values, `[context, attention width]`.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    len: usize,
    context: usize,
    /// Which adapter the text is written with.
    adapter: Option<usize>,
}

impl Memory {
    pub fn new(architecture: Architecture) -> Self {
        let (context, attention) = (architecture.context, architecture.attention_width());
        let layer = || {
            let keys = vec![0.0; context.next_multiple_of(LANES) * attention];
            (keys, vec![0.0; context * attention])
        };
        let layers = (0..architecture.layers).map(|_| layer()).collect();
        Self { layers, len: 0, context: architecture.context, adapter: None }
    }

    /// Forgets all tokens; the next text is written with this adapter, by its number.
    pub fn begin(&mut self, adapter: Option<usize>) {
        self.len = 0;
        self.adapter = adapter;
    }

    /// Tokens that it can still take.
    pub fn room(&self) -> usize {
        self.context - self.len
    }
}

/// One row of the tokens that are fed: whose, and at which position.
#[derive(Clone, Copy, Debug)]
struct Row {
    text: usize,
    position: usize,
    token: Token,
    /// Whether its logits are asked for.
    asked: bool,
}

impl Plain {
    pub fn new(weights: &Weights) -> Result<Self, TensorError> {
        let architecture = weights.architecture;
        let Architecture { width, hidden, vocabulary, context, .. } = architecture;
        let attention = architecture.attention_width();
        let take = |name: &str, count: usize| -> Result<&[f32], TensorError> {
            let values = weights.values.get(name).filter(|values| values.len() == count);
            values.map(Vec::as_slice).ok_or_else(|| TensorError::Missing(name.to_owned()))
        };
        let embedding = take("embedding", vocabulary * width)?;
        let layers = (0..architecture.layers)
            .map(|layer| {
                let of = |part: &str, count| take(&format!("layers.{layer}.{part}"), count);
                let packed = |part: &str, inputs: usize, outputs: usize| {
                    Ok::<_, TensorError>(Packed::new(of(part, inputs * outputs)?, inputs, outputs))
                };
                Ok(Layer {
                    attention_norm: of("attention_norm", width)?.to_vec(),
                    query_key_value: packed("query_key_value", width, 3 * attention)?,
                    attention_out: packed("attention_out", attention, width)?,
                    feed_norm: of("feed_norm", width)?.to_vec(),
                    gate_up: packed("gate_up", width, 2 * hidden)?,
                    down: packed("down", hidden, width)?,
                })
            })
            .collect::<Result<_, TensorError>>()?;
        let half = architecture.head_width() / 2;
        let angles = (0..context).flat_map(|position| {
            (0..half).map(move |at| position as f32 / ROTARY_BASE.powf(at as f32 / half as f32))
        });
        let angles: Vec<f32> = angles.collect();
        Ok(Self {
            architecture,
            output: Packed::of(width, vocabulary, |input, output| {
                embedding[output * width + input]
            }),
            embedding: embedding.to_vec(),
            layers,
            norm: take("norm", width)?.to_vec(),
            adapters: Vec::new(),
            cosine: angles.iter().map(|angle| angle.cos()).collect(),
            sine: angles.iter().map(|angle| angle.sin()).collect(),
        })
    }

    /// With one more adapter, numbered from 0 on.
    pub fn adapt(&mut self, adapter: &Adapter) -> Result<(), TensorError> {
        self.adapters.push(LowRank::of(adapter)?);
        Ok(())
    }

    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Takes in the next tokens of several texts, at least one each; the logits after the last
    /// token of each. No text's arithmetic hangs on another's.
    pub fn feed(
        &self,
        texts: &mut [(&mut Memory, &[Token])],
    ) -> Result<Vec<Vec<f32>>, TensorError> {
        let mut rows = Vec::new();
        for (text, (memory, tokens)) in texts.iter().enumerate() {
            self.rows(text, memory, tokens, tokens.len().saturating_sub(1), &mut rows)?;
        }
        let mut memories: Vec<&mut Memory> =
            texts.iter_mut().map(|(memory, _)| &mut **memory).collect();
        let logits = self.forward(&rows, &mut memories);
        for (memory, tokens) in texts {
            memory.len += tokens.len();
        }
        let size = self.architecture.vocabulary;
        Ok(logits.chunks_exact(size).map(<[f32]>::to_vec).collect())
    }
}

impl Plain {
    /// The logits after each of these tokens.
    pub fn logits(
        &self,
        tokens: &[Token],
        adapter: Option<usize>,
    ) -> Result<Vec<f32>, TensorError> {
        let mut memory = Memory::new(self.architecture);
        memory.begin(adapter);
        let mut rows = Vec::new();
        self.rows(0, &memory, tokens, 0, &mut rows)?;
        Ok(self.forward(&rows, &mut [&mut memory]))
    }

    /// The rows of a text's next tokens; logits are asked for from token `asked` on.
    fn rows(
        &self,
        text: usize,
        memory: &Memory,
        tokens: &[Token],
        asked: usize,
        rows: &mut Vec<Row>,
    ) -> Result<(), TensorError> {
        if tokens.is_empty() || tokens.len() > memory.room() {
            return Err(TensorError::Device(format!(
                "{} tokens for a memory with room for {}",
                tokens.len(),
                memory.room()
            )));
        }
        for (at, &token) in tokens.iter().enumerate() {
            if usize::from(token) >= self.architecture.vocabulary {
                return Err(TensorError::Device(format!("there is no token {token}")));
            }
            rows.push(Row { text, position: memory.len + at, token, asked: at >= asked });
        }
        Ok(())
    }

    fn forward(&self, rows: &[Row], memories: &mut [&mut Memory]) -> Vec<f32> {
        Arch::new().dispatch(Forward { model: self, rows, memories })
    }
}

/// One pass, compiled for each kind of processor.
struct Forward<'f, 'm> {
    model: &'f Plain,
    rows: &'f [Row],
    memories: &'f mut [&'m mut Memory],
}

impl WithSimd for Forward<'_, '_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vec<f32> {
        let Self { model, rows, memories } = self;
        let Architecture { width, hidden, .. } = model.architecture;
        let attention = model.architecture.attention_width();
        let mut x: Vec<f32> = Vec::with_capacity(rows.len() * width);
        for row in rows {
            let begin = usize::from(row.token) * width;
            x.extend_from_slice(&model.embedding[begin..begin + width]);
        }
        let (mut normed, mut wide, mut mixed, mut out) =
            (Vec::new(), Vec::new(), vec![0.0; rows.len() * attention], Vec::new());
        for (at, layer) in model.layers.iter().enumerate() {
            norm(&x, &layer.attention_norm, &mut normed);
            layer.query_key_value.times(&normed, &mut wide);
            model.remember(at, rows, &mut wide, memories);
            model.attend(at, rows, &wide, memories, &mut mixed);
            if at + 1 == model.layers.len() {
                // Whose logits nobody asks for has left its keys and values, and is done.
                only_asked(rows, &mut x, width);
                only_asked(rows, &mut mixed, attention);
            }
            layer.attention_out.times(&mixed, &mut out);
            add(&mut x, &out);

            norm(&x, &layer.feed_norm, &mut normed);
            layer.gate_up.times(&normed, &mut wide);
            let through = &mut normed;
            through.clear();
            for row in wide.chunks_exact(2 * hidden) {
                let (gates, ups) = row.split_at(hidden);
                through.extend(gates.iter().zip(ups).map(|(g, up)| g / (1.0 + exp(-g)) * up));
            }
            layer.down.times(through, &mut out);
            let is_last = at + 1 == model.layers.len();
            let here = rows.iter().filter(|row| !is_last || row.asked);
            let inner = through.chunks_exact(hidden).zip(out.chunks_exact_mut(width));
            for (row, (inner, out)) in here.zip(inner) {
                let adapter = memories[row.text].adapter.and_then(|nth| model.adapters.get(nth));
                if let Some(layers) = adapter {
                    layers[at].add(inner, out);
                }
            }
            add(&mut x, &out);
        }
        norm(&x, &model.norm, &mut normed);
        let mut logits = Vec::new();
        model.output.times(&normed, &mut logits);
        logits
    }
}

impl Plain {
    /// Turns queries and keys by their positions, and puts keys and values into the memories.
    #[inline(always)]
    fn remember(
        &self,
        layer: usize,
        rows: &[Row],
        query_key_value: &mut [f32],
        memories: &mut [&mut Memory],
    ) {
        let attention = self.architecture.attention_width();
        let head = self.architecture.head_width();
        let half = head / 2;
        for (row, values) in rows.iter().zip(query_key_value.chunks_exact_mut(3 * attention)) {
            let turn = row.position * half..(row.position + 1) * half;
            let (cosine, sine) = (&self.cosine[turn.clone()], &self.sine[turn]);
            for head in values[..2 * attention].chunks_exact_mut(head) {
                let (a, b) = head.split_at_mut(half);
                for at in 0..half {
                    let (left, right) = (a[at], b[at]);
                    a[at] = left * cosine[at] - right * sine[at];
                    b[at] = right * cosine[at] + left * sine[at];
                }
            }
            let (keys, kept) = &mut memories[row.text].layers[layer];
            let first = row.position / LANES * attention * LANES + row.position % LANES;
            let places = keys.iter_mut().skip(first).step_by(LANES);
            for (place, key) in places.zip(&values[attention..2 * attention]) {
                *place = *key;
            }
            let place = row.position * attention..(row.position + 1) * attention;
            kept[place].copy_from_slice(&values[2 * attention..]);
        }
    }

    /// Each row looks at its text's memory up to itself.
    #[inline(always)]
    fn attend(
        &self,
        layer: usize,
        rows: &[Row],
        query_key_value: &[f32],
        memories: &[&mut Memory],
        mixed: &mut [f32],
    ) {
        let attention = self.architecture.attention_width();
        let head = self.architecture.head_width();
        let scale = (head as f32).powf(-0.5);
        let mut scores = vec![0.0_f32; self.architecture.context.next_multiple_of(LANES)];
        let queries = query_key_value.chunks_exact(3 * attention);
        for ((row, query), mixed) in rows.iter().zip(queries).zip(mixed.chunks_exact_mut(attention))
        {
            let (keys, values) = &memories[row.text].layers[layer];
            let blocks = row.position / LANES + 1;
            for begin in (0..attention).step_by(head) {
                let own = &query[begin..begin + head];
                let places = scores.chunks_exact_mut(LANES).take(blocks);
                for (place, keys) in places.zip(keys.chunks_exact(attention * LANES)) {
                    let mut sums = [0.0_f32; LANES];
                    for (query, keys) in own.iter().zip(keys.chunks_exact(LANES).skip(begin)) {
                        sums.iter_mut().zip(keys).for_each(|(sum, key)| *sum += query * key);
                    }
                    place.copy_from_slice(&sums);
                }
                let scores = &mut scores[..=row.position];
                let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                for score in scores.iter_mut() {
                    *score = exp((*score - highest) * scale);
                }
                let all: f32 = scores.iter().sum();
                let mixed = &mut mixed[begin..begin + head];
                mixed.fill(0.0);
                for (score, value) in scores.iter().zip(values.chunks_exact(attention)) {
                    let share = score / all;
                    for (sum, value) in mixed.iter_mut().zip(&value[begin..begin + head]) {
                        *sum += share * value;
                    }
                }
            }
        }
    }
}

/// Leaves of `[rows, size]` the rows that are asked for.
#[inline(always)]
fn only_asked(rows: &[Row], x: &mut Vec<f32>, size: usize) {
    let mut kept = 0;
    for (nth, _) in rows.iter().enumerate().filter(|(_, row)| row.asked) {
        x.copy_within(nth * size..(nth + 1) * size, kept * size);
        kept += 1;
    }
    x.truncate(kept * size);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backend::Engine;
    use crate::model::fixture;

    fn apart(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    fn tokens(count: usize, seed: usize) -> Vec<Token> {
        (0..count).map(|at| ((at * 7 + seed) % 70) as Token).collect()
    }

    /// Sizes that fill blocks and such that do not, whole and pruned heads.
    fn architectures() -> Vec<Architecture> {
        let tiny = fixture::tiny(70);
        let odd = Architecture { width: 96, heads: 2, head: Some(16), hidden: 160, ..tiny };
        vec![tiny, odd, Architecture { layers: 1, vocabulary: 128, ..tiny }]
    }

    #[test]
    fn the_logits_are_burns() {
        for architecture in architectures() {
            let weights = fixture::lively(architecture);
            let mut plain = Plain::new(&weights).unwrap();
            let tokens = tokens(30, 3);
            let adapters = [1, 2].map(|seed| fixture::adapter(architecture, seed));
            for adapter in &adapters {
                plain.adapt(adapter).unwrap();
            }
            let burn = Engine::burn(&weights).unwrap().adapted(&adapters).unwrap();
            let [right, other, alone] =
                [Some(1), Some(0), None].map(|own| burn.logits_with(own, &tokens).unwrap());
            assert!(apart(&right, &other) > 0.1 && apart(&right, &alone) > 0.1);
            let mut memory = Memory::new(architecture);
            memory.begin(Some(1));
            let mut end = 0;
            for part in [&tokens[..9], &tokens[9..14]].into_iter().chain(tokens[14..].chunks(1)) {
                end += part.len();
                let logits = plain.feed(&mut [(&mut memory, part)]).unwrap().remove(0);
                let size = architecture.vocabulary;
                let far = apart(&logits, &right[(end - 1) * size..end * size]);
                assert!(far < 1e-3, "{architecture:?} after {end}: {far}");
            }
        }
    }

    #[test]
    fn a_text_scores_the_same_alone_and_among_others() {
        for architecture in architectures() {
            let mut plain = Plain::new(&fixture::lively(architecture)).unwrap();
            plain.adapt(&fixture::adapter(architecture, 1)).unwrap();
            plain.adapt(&fixture::adapter(architecture, 2)).unwrap();
            let begun = |nth: usize| {
                let mut memory = Memory::new(architecture);
                memory.begin([None, Some(0), Some(1)][nth % 3]);
                memory
            };
            let texts: Vec<Vec<Token>> = (0..7).map(|n| tokens(3 + 2 * n, n)).collect();
            let alone: Vec<Vec<f32>> = texts
                .iter()
                .enumerate()
                .map(|(nth, text)| {
                    let mut memory = begun(nth);
                    plain.feed(&mut [(&mut memory, text)]).unwrap().remove(0)
                })
                .collect();
            let mut memories: Vec<Memory> = (0..texts.len()).map(begun).collect();
            let mut together: Vec<(&mut Memory, &[Token])> =
                memories.iter_mut().zip(&texts).map(|(m, t)| (m, t.as_slice())).collect();
            // To the last bit: the same request gets the same words in any company.
            assert_eq!(plain.feed(&mut together).unwrap(), alone);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let architecture = fixture::tiny(70);
        let plain = Plain::new(&fixture::lively(architecture)).unwrap();
        let mut memory = Memory::new(architecture);
        assert!(plain.feed(&mut [(&mut memory, &[1; 161])]).is_err());
        assert!(plain.feed(&mut [(&mut memory, &[])]).is_err());
        assert!(plain.feed(&mut [(&mut memory, &[70])]).is_err());
        assert!(plain.feed(&mut [(&mut memory, &[1; 160])]).is_ok());
        assert!(plain.feed(&mut [(&mut memory, &[1])]).is_err());
        memory.begin(None);
        assert!(plain.feed(&mut [(&mut memory, &[1])]).is_ok());
    }
}

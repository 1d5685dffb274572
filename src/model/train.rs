//! Training: random contexts, the teacher's texts, and `AdamW` until the steps are done.
//!
//! Everything is drawn from one seed, on one thread of the CPU, so the same options and phrase
//! material give the same model on the same kind of machine. Held-out contexts are skipped here and
//! measured on elsewhere.

use std::path::Path;

use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::backend::Engine;
use super::card::{Card, Training};
use super::checkpoint::{Checkpoint, ModelError};
use super::contexts::{Contexts, is_held_out};
use super::corpus::Corpus;
use super::grammar::{Grammar, GrammarError, Phrasebook};
use super::teacher;
use super::transformer::{Tables, TensorError, Transformer, numbers};
use super::vocabulary::{END, MAX_REQUEST_TOKENS, PAD, Token, Vocabulary};
use super::weights::{Architecture, Weights};

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Of the model: letters, digits, `-` and `_`.
    pub name: String,
    pub seed: u64,
    pub steps: usize,
    /// Texts a step.
    pub batch: usize,
    /// The highest, reached after the warm-up.
    pub learning_rate: f64,
    pub weight_decay: f32,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub hidden: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "directions".to_owned(),
            seed: 1,
            steps: 4000,
            batch: 32,
            learning_rate: 2e-3,
            weight_decay: 0.05,
            width: 192,
            layers: 2,
            heads: 6,
            hidden: 512,
        }
    }
}

/// Told after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub step: usize,
    pub steps: usize,
    /// Mean cross-entropy of this step's text tokens, nats.
    pub loss: f32,
    /// Read since the start, requests included, padding not.
    pub tokens: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Phrases(#[from] GrammarError),
    #[error("the sizes do not make a model: {0}")]
    Options(String),
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error("the loss is no longer a number at step {step}; try a lower learning rate")]
    Diverged { step: usize },
    #[error(transparent)]
    Store(#[from] ModelError),
}

/// Steps of the warm-up, as a share of all.
const WARM_UP: f64 = 0.05;
/// The last learning rate, as a share of the highest.
const LAST_RATE: f64 = 0.02;
/// Texts that are drawn together and sorted by length, in batches: little padding, still random.
const POOL: usize = 8;
/// Steps that the reported final loss is a mean of.
const FINAL: usize = 100;
/// Held-out texts that the held-out loss is a mean of.
const HELD_OUT_TEXTS: usize = 512;

/// Trains a model on the phrase files of `corpus` and stores it in `out`.
pub fn train(
    options: &Options,
    corpus: &Path,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Card, TrainError> {
    let corpora = Corpus::read_all(corpus).map_err(GrammarError::from)?;
    let (vocabulary, grammar) = Grammar::learn(&corpora)?;
    if options.steps == 0 || options.batch == 0 {
        return Err(TrainError::Options("steps and batch must be at least 1".to_owned()));
    }
    let architecture = Architecture {
        width: options.width,
        layers: options.layers,
        heads: options.heads,
        hidden: options.hidden,
        // Whole blocks of 32 for the device's sake.
        context: (MAX_REQUEST_TOKENS + grammar.longest()).next_multiple_of(32),
        vocabulary: vocabulary.len(),
    };
    let mut card = Card::new(&options.name, architecture);
    card.check().map_err(TrainError::Options)?;

    let mut texts = Texts::new(&vocabulary, &grammar, options.seed, false);
    let Fitted { weights, final_loss, tokens } = fit(options, architecture, &mut texts, progress)?;
    card.training = Some(Training {
        seed: options.seed,
        steps: options.steps,
        batch: options.batch,
        learning_rate: options.learning_rate,
        weight_decay: options.weight_decay,
        tokens,
        clauses: grammar.books().map(|(_, book)| Phrasebook::all(book).count()).sum(),
        final_loss,
        held_out_loss: held_out_loss(&weights, &vocabulary, &grammar, options.seed)?,
    });
    let mut checkpoint = Checkpoint { card, vocabulary, grammar, corpora, weights };
    checkpoint.write(out)?;
    Ok(checkpoint.card)
}

struct Fitted {
    weights: Weights,
    final_loss: f32,
    tokens: u64,
}

fn fit(
    options: &Options,
    architecture: Architecture,
    texts: &mut Texts<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fitted, TrainError> {
    let device = Device::flex().autodiff();
    let tables = Tables::new(architecture, &device);
    let weights = Weights::random(architecture, options.seed);
    let mut model = Transformer::new(&weights, &device)?;
    let mut optimizer = AdamWConfig::new()
        .with_beta_2(0.98)
        .with_epsilon(1e-8)
        .with_weight_decay(options.weight_decay)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    let (mut tokens, mut last) = (0, Vec::new());
    let mut batches: Vec<Batch> = Vec::new();
    for step in 0..options.steps {
        if batches.is_empty() {
            batches = texts.batches(options.batch);
        }
        let Some(batch) = batches.pop() else { break };
        let loss = batch.loss(&model, &tables);
        let value = numbers(loss.clone())?.first().copied().unwrap_or(f32::NAN);
        if !value.is_finite() {
            return Err(TrainError::Diverged { step });
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate(options, step), model, gradients);
        tokens += batch.tokens;
        last.push(value);
        progress(Progress { step: step + 1, steps: options.steps, loss: value, tokens });
    }
    let tail = &last[last.len().saturating_sub(FINAL)..];
    let final_loss = tail.iter().sum::<f32>() / tail.len().max(1) as f32;
    Ok(Fitted { weights: model.weights(architecture)?, final_loss, tokens })
}

/// Linear warm-up, then half a cosine.
fn rate(options: &Options, step: usize) -> f64 {
    let steps = options.steps as f64;
    let warm_up = (steps * WARM_UP).max(1.0);
    let at = step as f64 + 1.0;
    if at <= warm_up {
        return options.learning_rate * at / warm_up;
    }
    let done = (at - warm_up) / (steps - warm_up).max(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    options.learning_rate * (LAST_RATE + (1.0 - LAST_RATE) * cosine)
}

/// Endless texts, either of held-out contexts or of all others.
struct Texts<'t> {
    vocabulary: &'t Vocabulary,
    grammar: &'t Grammar,
    contexts: Contexts,
    rng: ChaCha8Rng,
    held_out: bool,
}

/// A sequence, and where its text begins.
struct Example {
    tokens: Vec<Token>,
    begin: usize,
}

impl<'t> Texts<'t> {
    fn new(vocabulary: &'t Vocabulary, grammar: &'t Grammar, seed: u64, held_out: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1 + u64::from(held_out));
        let contexts = Contexts::new(grammar.languages(), rng.random());
        Self { vocabulary, grammar, contexts, rng, held_out }
    }

    fn next(&mut self) -> Example {
        loop {
            let request = self.contexts.draw();
            if is_held_out(self.vocabulary, &request) != self.held_out {
                continue;
            }
            // A request that no text satisfies is passed over.
            if let Ok(text) = teacher::compose(self.grammar, &request, &mut self.rng) {
                let mut tokens = self.vocabulary.request(&request);
                let begin = tokens.len();
                tokens.extend(text);
                tokens.push(END);
                return Example { tokens, begin };
            }
        }
    }

    fn batches(&mut self, size: usize) -> Vec<Batch> {
        let mut pool: Vec<Example> = (0..size * POOL).map(|_| self.next()).collect();
        pool.sort_by_key(|example| example.tokens.len());
        let mut batches: Vec<Batch> = pool.chunks(size).map(Batch::new).collect();
        batches.shuffle(&mut self.rng);
        batches
    }
}

/// Sequences side by side, padded to the longest.
struct Batch {
    count: usize,
    longest: usize,
    input: Vec<i32>,
    target: Vec<i32>,
    /// 1 where the target is a token of the text, else 0.
    counts: Vec<f32>,
    tokens: u64,
}

impl Batch {
    fn new(examples: &[Example]) -> Self {
        // The last token is only ever a target.
        let longest = examples.iter().map(|e| e.tokens.len() - 1).max().unwrap_or(0);
        let mut batch = Self {
            count: examples.len(),
            longest,
            input: Vec::new(),
            target: Vec::new(),
            counts: Vec::new(),
            tokens: 0,
        };
        for Example { tokens, begin } in examples {
            let at = |at: usize| i32::from(tokens.get(at).copied().unwrap_or(PAD));
            for position in 0..longest {
                let of_text = position + 1 >= *begin && position + 1 < tokens.len();
                batch.input.push(at(position));
                batch.target.push(at(position + 1));
                batch.counts.push(f32::from(u8::from(of_text)));
            }
            batch.tokens += tokens.len() as u64;
        }
        batch
    }

    /// Mean cross-entropy of the text tokens.
    fn loss(&self, model: &Transformer, tables: &Tables) -> Tensor<1> {
        let device = tables.device();
        let shape = [self.count, self.longest];
        let ints = |values: &[i32]| -> Tensor<2, Int> {
            Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
        };
        let counts: Tensor<2> =
            Tensor::from_data(TensorData::new(self.counts.clone(), shape), device);
        let logits = model.forward(ints(&self.input), tables, None);
        let target = ints(&self.target).reshape([self.count, self.longest, 1]);
        let likelihood =
            log_softmax(logits, 2).gather(2, target).reshape([self.count, self.longest]);
        let total: f32 = self.counts.iter().sum();
        (likelihood * counts).sum() * (-1.0 / total.max(1.0))
    }
}

/// Mean cross-entropy of a text token on held-out contexts.
fn held_out_loss(
    weights: &Weights,
    vocabulary: &Vocabulary,
    grammar: &Grammar,
    seed: u64,
) -> Result<f32, TrainError> {
    let engine = Engine::cpu(weights)?;
    let mut texts = Texts::new(vocabulary, grammar, seed, true);
    let (mut sum, mut count) = (0.0_f64, 0_u64);
    for _ in 0..HELD_OUT_TEXTS {
        let Example { tokens, begin } = texts.next();
        let logits = engine.logits(&tokens)?;
        for (at, token) in tokens.iter().enumerate().skip(begin) {
            let row = &logits[(at - 1) * vocabulary.len()..at * vocabulary.len()];
            let highest = row.iter().copied().fold(f32::MIN, f32::max);
            let all: f64 = row.iter().map(|l| f64::from(l - highest).exp()).sum();
            let own = row.get(usize::from(*token)).copied().unwrap_or(f32::MIN);
            sum -= f64::from(own - highest) - all.ln();
            count += 1;
        }
    }
    Ok((sum / count.max(1) as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn small() -> Options {
        Options {
            name: "small".to_owned(),
            steps: 30,
            batch: 8,
            learning_rate: 1e-2,
            width: 32,
            layers: 1,
            heads: 2,
            hidden: 64,
            ..Options::default()
        }
    }

    fn corpus_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (language, text) in [
            ("en", include_str!("../../models/corpus/en.yaml")),
            ("it", include_str!("../../models/corpus/it.yaml")),
        ] {
            std::fs::write(dir.path().join(format!("{language}.yaml")), text).unwrap();
        }
        dir
    }

    #[test]
    fn the_loss_falls_and_the_model_can_be_loaded_and_is_the_same_again() {
        let (corpus, out, again) =
            (corpus_dir(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut losses = Vec::new();
        let card =
            train(&small(), corpus.path(), out.path(), &mut |p| losses.push(p.loss)).unwrap();
        assert_eq!(losses.len(), 30);
        assert!(losses[29] < 0.8 * losses[0], "{losses:?}");
        assert_eq!(Checkpoint::read(out.path()).unwrap().card, card);
        let training = card.training.clone().unwrap();
        assert!(training.held_out_loss < losses[0]);

        let same = train(&small(), corpus.path(), again.path(), &mut |_| {}).unwrap();
        assert_eq!(same.weights_sha256, card.weights_sha256);
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let options = Options { steps: 100, learning_rate: 1.0, ..Options::default() };
        assert!((rate(&options, 0) - 0.2).abs() < 1e-9);
        assert!((rate(&options, 4) - 1.0).abs() < 1e-9);
        assert!(rate(&options, 50) < rate(&options, 20));
        assert!((rate(&options, 99) - LAST_RATE).abs() < 1e-9);
    }

    #[test]
    fn only_text_tokens_count_and_no_held_out_context_is_trained_on() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut texts = Texts::new(&vocabulary, &grammar, 3, false);
        let examples: Vec<Example> = (0..20).map(|_| texts.next()).collect();
        let batch = Batch::new(&examples);
        let text_tokens: usize = examples.iter().map(|e| e.tokens.len() - e.begin).sum();
        assert!((batch.counts.iter().sum::<f32>() - text_tokens as f32).abs() < 1e-3);
        for (at, counts) in batch.counts.iter().enumerate() {
            assert!(*counts < 0.5 || batch.target[at] != i32::from(PAD));
        }
    }

    #[test]
    fn sizes_that_make_no_model_are_an_error() {
        let (corpus, out) = (corpus_dir(), tempfile::tempdir().unwrap());
        let options = Options { width: 40, ..small() };
        let error = train(&options, corpus.path(), out.path(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, TrainError::Options(_)), "{error}");
        let error = train(&small(), out.path(), out.path(), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("en.yaml"), "{error}");
    }
}

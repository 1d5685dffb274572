//! Training: random contexts, the rule's texts, and `AdamW` until the steps are done.
//!
//! Everything is drawn from one seed, so the same options and phrase material give the same model on
//! the same kind of machine. Held-out contexts are skipped here and measured on elsewhere. From a
//! model that there is, [`distill`] makes a smaller one that learns from it, and [`prune`] one
//! without the parts that matter least.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::adapter::Condition;
use super::backend::Engine;
use super::card::{Card, Made, Training};
use super::checkpoint::{Checkpoint, ModelError, context_for};
use super::corpus::{Corpus, Form};
use super::grammar::{Grammar, GrammarError, Phrasebook};
use super::transformer::TensorError;
use super::vocabulary::Vocabulary;
use super::weights::{Architecture, Weights};
use crate::domain::wording::{Draft, WordingRequest};
use crate::plan::Backend;
use fit::{Fitted, fit};
use texts::{Example, POOL, Texts};

mod adamw;
pub mod adapt;
mod batch;
pub mod distill;
mod fit;
mod keep;
pub mod prune;
mod texts;

/// How long and how fast a model learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Every draw follows from it.
    pub seed: u64,
    pub steps: usize,
    /// Texts a step.
    pub batch: usize,
    /// The highest, reached after the warm-up.
    pub learning_rate: f64,
    pub weight_decay: f32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { seed: 1, steps: 4000, batch: 32, learning_rate: 2e-3, weight_decay: 0.05 }
    }
}

impl Schedule {
    fn check(&self) -> Result<(), TrainError> {
        if self.steps == 0 || self.batch == 0 {
            return Err(TrainError::Options("steps and batch must be at least 1".to_owned()));
        }
        Ok(())
    }
}

/// A run: the schedule, where, and from what it goes on when it was broken off.
#[derive(Clone, Debug)]
pub struct Run<'r> {
    pub schedule: Schedule,
    pub backend: Backend,
    /// Folder for the run's log and its state; `None`: neither.
    pub keep: Option<&'r Path>,
    /// Steps between two states.
    pub keep_every: usize,
    /// The run ends after this step, wherever the schedule is.
    pub until: Option<usize>,
}

impl Run<'_> {
    /// On the CPU, nothing kept.
    pub fn plain(schedule: Schedule) -> Self {
        Self { schedule, backend: Backend::Cpu, keep: None, keep_every: 500, until: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub hidden: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { width: 192, layers: 2, heads: 6, hidden: 512 }
    }
}

/// Told every few steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub step: usize,
    pub steps: usize,
    /// Mean loss since the last time, nats a text token.
    pub loss: f32,
    pub rate: f64,
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
    #[error("there is nothing to train on: {0}")]
    Backend(String),
    #[error("the loss is no longer a number at step {step}; try a lower learning rate")]
    Diverged { step: usize },
    #[error(transparent)]
    Store(#[from] ModelError),
}

/// Held-out texts that the held-out loss is a mean of.
const HELD_OUT_TEXTS: usize = 512;

/// Trains a model on the phrase files of `corpus` and stores it in `out`. `name`: letters, digits,
/// `-` and `_`.
pub fn train(
    name: &str,
    sizes: Sizes,
    run: &Run<'_>,
    corpus: &Path,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Card, TrainError> {
    run.schedule.check()?;
    let corpora = Corpus::read_all(corpus).map_err(GrammarError::from)?;
    let (vocabulary, grammar) = Grammar::learn(&corpora)?;
    let architecture = Architecture {
        width: sizes.width,
        layers: sizes.layers,
        heads: sizes.heads,
        head: None,
        hidden: sizes.hidden,
        context: context_for(&grammar),
        vocabulary: vocabulary.len(),
    };
    let card = Card::new(name, architecture);
    card.check().map_err(TrainError::Options)?;
    let start = Weights::random(architecture, run.schedule.seed);
    let texts = texts(&vocabulary, &grammar, &run.schedule);
    let fitted = fit(run, &start, &texts, None, progress)?;
    let checkpoint = Checkpoint { card, vocabulary, grammar, corpora, weights: start };
    let made = Made { what: "trained".to_owned(), from: None, how: ended(run, &fitted) };
    finish(checkpoint, fitted, &run.schedule, made, out)
}

/// Trains the model in `model` on, with a schedule of its own: on the phrase material that it has, or on
/// the phrase files of `corpus`.
pub fn go_on(
    model: &Path,
    corpus: Option<&Path>,
    name: &str,
    run: &Run<'_>,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Card, TrainError> {
    run.schedule.check()?;
    let mut checkpoint = match corpus {
        Some(corpus) => {
            let corpora = Corpus::read_all(corpus).map_err(GrammarError::from)?;
            Checkpoint::read_with(model, corpora)?
        }
        None => Checkpoint::read(model)?,
    };
    let from = Some(checkpoint.card.signature());
    checkpoint.card = checkpoint.card.renamed(name, checkpoint.weights.architecture);
    checkpoint.card.check().map_err(TrainError::Options)?;
    let texts = texts(&checkpoint.vocabulary, &checkpoint.grammar, &run.schedule);
    let fitted = fit(run, &checkpoint.weights, &texts, None, progress)?;
    let other = if corpus.is_some() { " (other phrases)" } else { "" };
    let made = Made { what: format!("trained on{other}"), from, how: ended(run, &fitted) };
    finish(checkpoint, fitted, &run.schedule, made, out)
}

/// How far a run came, and what it read, for the card.
fn ended<L>(run: &Run<'_>, fitted: &Fitted<L>) -> String {
    let Schedule { seed, steps, batch, learning_rate, .. } = run.schedule;
    let done = fitted.steps;
    let of = if done < steps { format!(" of a schedule of {steps}") } else { String::new() };
    format!(
        "{done} steps{of}, {batch} texts each, seed {seed}, learning rate up to {learning_rate}, \
         {} tokens, loss {:.3}",
        fitted.tokens, fitted.final_loss
    )
}

fn texts<'t>(vocabulary: &'t Vocabulary, grammar: &'t Grammar, schedule: &Schedule) -> Texts<'t> {
    Texts::of(vocabulary, grammar, schedule.seed)
}

/// Every text that these runs read, of one condition each or of all, by [`text_hash`]. What an earlier
/// run read of other phrases is drawn anew of those that the model has now: near to it, not the same.
pub fn texts_read<'r>(
    runs: impl Iterator<Item = (&'r Training, Option<Condition>)>,
    vocabulary: &Vocabulary,
    grammar: &Grammar,
) -> HashSet<u64> {
    let pools = runs.flat_map(|(run, condition)| {
        let texts = Texts { condition, ..Texts::of(vocabulary, grammar, run.seed) };
        (0..run.steps.div_ceil(POOL)).map(move |pool| (texts, pool as u64, run.batch * POOL))
    });
    let pools: Vec<(Texts<'_>, u64, usize)> = pools.collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let of_thread = |thread: usize| {
        let mut seen = HashSet::new();
        for (texts, pool, size) in pools.iter().skip(thread).step_by(threads) {
            for (request, text) in texts.draw(*pool, *size) {
                seen.insert(text_hash(&request, &vocabulary.draft(&text, request.space)));
            }
        }
        seen
    };
    std::thread::scope(|scope| {
        let of_thread = &of_thread;
        let threads: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        // A thread that panicked has said so; its texts count as not read.
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// A text in its language and form, slots unfilled.
pub fn text_hash(request: &WordingRequest, draft: &Draft) -> u64 {
    let mut hash = DefaultHasher::new();
    (request.language, Form::of(request.space).word(), &draft.rows).hash(&mut hash);
    hash.finish()
}

/// Puts what a run gave into a model, measures it and stores it.
fn finish(
    mut checkpoint: Checkpoint,
    fitted: Fitted<Weights>,
    schedule: &Schedule,
    made: Made,
    out: &Path,
) -> Result<Card, TrainError> {
    let Checkpoint { card, vocabulary, grammar, .. } = &mut checkpoint;
    let engine = Engine::cpu(&fitted.learnt)?;
    let loss = held_out_loss(&engine, None, &Texts::of(vocabulary, grammar, schedule.seed))?;
    card.training = Some(training(schedule, &fitted, grammar, loss));
    card.made.push(made);
    card.scores = None;
    checkpoint.weights = fitted.learnt;
    checkpoint.write(out)?;
    Ok(checkpoint.card)
}

/// A run as cards tell it.
fn training<L>(
    schedule: &Schedule,
    fitted: &Fitted<L>,
    grammar: &Grammar,
    held_out_loss: f32,
) -> Training {
    Training {
        seed: schedule.seed,
        steps: fitted.steps,
        batch: schedule.batch,
        learning_rate: schedule.learning_rate,
        weight_decay: schedule.weight_decay,
        tokens: fitted.tokens,
        clauses: grammar.books().map(|(_, book)| Phrasebook::all(book).count()).sum(),
        final_loss: fitted.final_loss,
        held_out_loss,
    }
}

/// Mean cross-entropy of a text token on held-out contexts of the kind of `texts`, the same ones
/// whatever the run's seed.
fn held_out_loss(
    engine: &Engine,
    adapter: Option<usize>,
    texts: &Texts<'_>,
) -> Result<f32, TrainError> {
    let texts = Texts { seed: 1, held_out: true, ..*texts };
    let (mut sum, mut count) = (0.0_f64, 0_u64);
    for Example { tokens, begin } in texts.pool(0, HELD_OUT_TEXTS) {
        let logits = engine.logits_with(adapter, &tokens)?;
        for (at, token) in tokens.iter().enumerate().skip(begin) {
            let size = texts.vocabulary.len();
            let row = &logits[(at - 1) * size..at * size];
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
mod tests;

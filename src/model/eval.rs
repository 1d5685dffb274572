//! How good a model is, on contexts that it was never trained on.
//!
//! The verifier, the template and real names come from outside, as a [`Judge`]: this module knows
//! none of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::domain::wording::{Draft, Slot, WordingRequest};
use crate::plan::Backend;
use crate::ports::{Clock, Writer};

use super::backend::Engine;
use super::card::Scores;
use super::checkpoint::{Checkpoint, ModelError};
use super::constraint::Constraint;
use super::contexts::{Contexts, is_held_out};
use super::grammar::Grammar;
use super::transformer::TensorError;
use super::vocabulary::{END, Token, Vocabulary};
use super::writer::RandomWriter;
use super::{About, teacher};

/// What an evaluation needs from the rest of the house.
pub struct Judge<'j> {
    /// Puts facts of a real network in place of the made-up ones; may leave the request as it is.
    pub dress: &'j dyn Fn(&mut WordingRequest),
    /// Whether the draft, filled in, passes the verifier.
    pub accepts: &'j dyn Fn(&WordingRequest, &Draft) -> bool,
    /// What the template writes.
    pub template: &'j dyn Fn(&WordingRequest) -> Option<Draft>,
    pub clock: &'j dyn Clock,
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Held-out contexts to write for.
    pub contexts: usize,
    pub seed: u64,
    /// Attempts a request has before the template is used.
    pub attempts: u32,
    pub backend: Backend,
}

/// A text that the verifier refused at the first try.
#[derive(Clone, Debug)]
pub struct Refused {
    pub request: WordingRequest,
    pub draft: Option<Draft>,
}

#[derive(Clone, Debug)]
pub struct Report {
    pub about: About,
    pub scores: Scores,
    /// The first few refused texts, to look at.
    pub refused: Vec<Refused>,
}

const REFUSED_KEPT: usize = 20;

/// Measures the model of a folder. `progress` is told how many contexts are done.
pub fn eval(
    dir: &Path,
    options: &Options,
    judge: &Judge<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Report, ModelError> {
    let checkpoint = Checkpoint::read(dir)?;
    let requests = held_out(&checkpoint.vocabulary, &checkpoint.grammar, options, judge);
    let (perplexity, perplexity_random) = perplexity(&checkpoint, &requests, options.seed)
        .map_err(|error| ModelError::Backend { path: dir.to_owned(), reason: error.to_string() })?;
    let mut random =
        RandomWriter::new(checkpoint.vocabulary.clone(), checkpoint.grammar.clone(), options.seed);
    let (mut writer, about) = super::writer(checkpoint, dir, options.backend)?;

    let never = || false;
    let (mut first, mut left_over, mut times) = (0, 0, Vec::new());
    let (mut ours, mut templates, mut chance) =
        (Texts::default(), Texts::default(), Texts::default());
    let mut refused = Vec::new();
    let mut spent = Duration::ZERO;
    for (done, request) in requests.iter().enumerate() {
        let mut accepted = None;
        for attempt in 0..options.attempts.max(1) {
            let begin = judge.clock.elapsed();
            let draft = writer.write(request, attempt, &never).ok();
            let took = judge.clock.elapsed().saturating_sub(begin);
            spent += took;
            if attempt == 0 {
                times.push(took);
            }
            accepted = draft.clone().filter(|draft| (judge.accepts)(request, draft));
            if accepted.is_some() {
                first += usize::from(attempt == 0);
                break;
            }
            if attempt == 0 && refused.len() < REFUSED_KEPT {
                refused.push(Refused { request: request.clone(), draft });
            }
        }
        left_over += usize::from(accepted.is_none());
        ours.add(accepted.as_ref());
        templates.add((judge.template)(request).as_ref());
        chance.add(random.write(request, 0, &never).ok().as_ref());
        progress(done + 1);
    }
    times.sort_unstable();
    let count = requests.len().max(1) as f64;
    let scores = Scores {
        contexts: requests.len(),
        seed: options.seed,
        accepted_first_try: short(first as f64 / count),
        fallback_rate: short(left_over as f64 / count),
        distinct_2: short(ours.distinct_2()),
        distinct_2_template: short(templates.distinct_2()),
        distinct_2_random: short(chance.distinct_2()),
        facts_per_text: short(ours.facts_per_text()),
        facts_per_text_template: short(templates.facts_per_text()),
        facts_per_text_random: short(chance.facts_per_text()),
        perplexity: short(perplexity),
        perplexity_random: short(perplexity_random),
        tokens_per_s: short(writer.written() as f64 / spent.as_secs_f64().max(1e-9)),
        p50_ms: short(quantile_ms(&times, 0.50)),
        p95_ms: short(quantile_ms(&times, 0.95)),
        backend: about.backend.clone(),
    };
    Ok(Report { about, scores, refused })
}

/// Writes the scores of a model into its card.
pub fn record(dir: &Path, scores: Scores) -> Result<(), ModelError> {
    let mut checkpoint = Checkpoint::read(dir)?;
    checkpoint.card.scores = Some(scores);
    checkpoint.write_card(dir)
}

/// Held-out requests that have a text. Gives up after a thousand draws for each wanted.
fn held_out(
    vocabulary: &Vocabulary,
    grammar: &Grammar,
    options: &Options,
    judge: &Judge<'_>,
) -> Vec<WordingRequest> {
    let mut contexts = Contexts::new(grammar.languages(), options.seed);
    let mut requests = Vec::new();
    for _ in 0..options.contexts.saturating_mul(1000) {
        if requests.len() == options.contexts {
            break;
        }
        let mut request = contexts.draw();
        (judge.dress)(&mut request);
        if is_held_out(vocabulary, &request) && Constraint::new(grammar, &request).is_ok() {
            requests.push(request);
        }
    }
    requests
}

/// Perplexity of the teacher's choices, where there is a choice, among what is allowed: by the
/// model, and by equal chances.
fn perplexity(
    checkpoint: &Checkpoint,
    requests: &[WordingRequest],
    seed: u64,
) -> Result<(f64, f64), TensorError> {
    let engine = Engine::cpu(&checkpoint.weights)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut ours, mut chance, mut choices) = (0.0, 0.0, 0_u64);
    let mut allowed = Vec::new();
    for request in requests {
        let (Ok(text), Ok(mut constraint)) = (
            teacher::compose(&checkpoint.grammar, request, &mut rng),
            Constraint::new(&checkpoint.grammar, request),
        ) else {
            continue;
        };
        let mut tokens = checkpoint.vocabulary.request(request);
        let begin = tokens.len();
        tokens.extend(text);
        let logits = engine.logits(&tokens)?;
        tokens.push(END);
        for (at, token) in tokens.iter().enumerate().skip(begin) {
            constraint.allowed(&mut allowed);
            if allowed.len() > 1 {
                let size = checkpoint.vocabulary.len();
                ours -= likelihood(&logits[(at - 1) * size..at * size], &allowed, *token).ln();
                chance += (allowed.len() as f64).ln();
                choices += 1;
            }
            constraint.push(*token);
        }
    }
    let choices = choices.max(1) as f64;
    Ok(((ours / choices).exp(), (chance / choices).exp()))
}

/// The probability of a token among the allowed ones.
fn likelihood(logits: &[f32], allowed: &[Token], token: Token) -> f64 {
    let of = |token: Token| f64::from(logits.get(usize::from(token)).copied().unwrap_or(f32::MIN));
    let highest = allowed.iter().map(|t| of(*t)).fold(f64::MIN, f64::max);
    let all: f64 = allowed.iter().map(|t| (of(*t) - highest).exp()).sum();
    (of(token) - highest).exp() / all
}

/// Counts over many texts.
#[derive(Default)]
struct Texts {
    count: u64,
    facts: u64,
    pairs: u64,
    distinct: BTreeSet<(String, String)>,
}

impl Texts {
    fn add(&mut self, draft: Option<&Draft>) {
        let Some(draft) = draft else { return };
        let text = draft.rows.join(" ");
        self.count += 1;
        self.facts += Slot::ALL.iter().filter(|slot| text.contains(slot.tag())).count() as u64;
        let words: Vec<&str> = text.split(' ').collect();
        for pair in words.windows(2) {
            if let [first, second] = pair {
                self.pairs += 1;
                self.distinct.insert(((*first).to_owned(), (*second).to_owned()));
            }
        }
    }

    fn distinct_2(&self) -> f64 {
        self.distinct.len() as f64 / self.pairs.max(1) as f64
    }

    fn facts_per_text(&self) -> f64 {
        self.facts as f64 / self.count.max(1) as f64
    }
}

/// Four digits are more than a sample of contexts tells, and are read back from a card as written.
fn short(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A quantile of sorted times, by the nearest rank.
fn quantile_ms(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |time| 1000.0 * time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::model::card::Card;
    use crate::model::fixture;

    /// Ten milliseconds pass with every look.
    struct Ticking(std::sync::atomic::AtomicU64);

    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(10, std::sync::atomic::Ordering::Relaxed))
        }
    }

    #[test]
    fn a_model_is_measured_and_the_scores_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (vocabulary, grammar) = fixture::corpus();
        let architecture = fixture::tiny(vocabulary.len());
        let mut checkpoint = Checkpoint {
            card: Card::new("tiny", architecture),
            vocabulary,
            grammar,
            corpora: fixture::corpora(),
            weights: fixture::lively(architecture),
        };
        checkpoint.write(dir.path()).unwrap();
        let asked = Cell::new(0);
        let judge = Judge {
            dress: &|_| {},
            // Every fourth look is a refusal.
            accepts: &|_, _| {
                asked.set(asked.get() + 1);
                asked.get() % 4 != 0
            },
            template: &|_| Some(Draft { rows: vec!["use <VIA_0>".to_owned()] }),
            clock: &Ticking(std::sync::atomic::AtomicU64::new(0)),
        };
        let options = Options { contexts: 12, seed: 5, attempts: 2, backend: Backend::Cpu };
        let mut seen = 0;
        let report = eval(dir.path(), &options, &judge, &mut |done| seen = done).unwrap();
        let scores = &report.scores;
        assert_eq!((scores.contexts, seen), (12, 12));
        assert!((0.7..0.95).contains(&scores.accepted_first_try), "{scores:?}");
        assert!(scores.fallback_rate.abs() < 1e-9, "a second attempt follows a refusal");
        assert!((scores.facts_per_text_template - 1.0).abs() < 1e-9);
        assert!((scores.p95_ms - 10.0).abs() < 1e-6);
        assert!(scores.perplexity > 1.0 && scores.perplexity_random > 1.0);
        assert!(!report.refused.is_empty());

        record(dir.path(), scores.clone()).unwrap();
        let again = Checkpoint::read(dir.path()).unwrap();
        assert_eq!(again.card.scores.as_ref(), Some(scores));
    }

    #[test]
    fn likelihoods_are_among_the_allowed() {
        let p = likelihood(&[0.0, 100.0, 0.0], &[0, 2], 2);
        assert!((p - 0.5).abs() < 1e-9);
    }
}

//! How good a model is, on contexts that it was never trained on.
//!
//! The verifier, the template and real names come from outside, as a [`Judge`]: this module knows
//! none of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::wording::{Draft, Language, WordingRequest};
use crate::plan::Backend;
use crate::ports::{Clock, Writer};

use super::About;
use super::adapter::{self, Loaded};
use super::card::{Cell, Scores};
use super::checkpoint::{Checkpoint, ModelError};
use super::constraint::Constraint;
use super::contexts::{Contexts, is_held_out};
use super::corpus::Form;
use super::earlier::Earlier;
use super::grammar::Grammar;
use super::random::RandomWriter;
use super::vocabulary::Vocabulary;
use super::writer::SlmWriter;
use perplexity::perplexity;
use references::Nearness;
use texts::Texts;

mod contrast;
mod perplexity;
pub mod references;
mod texts;

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

#[derive(Clone, Debug)]
pub struct Options {
    /// Held-out contexts to write for.
    pub contexts: usize,
    pub seed: u64,
    /// Attempts a request has before the template is used.
    pub attempts: u32,
    pub backend: Backend,
    /// Whether the model's adapters are left aside.
    pub base_alone: bool,
    /// Whether to draw all texts of the training again, to see which are new: minutes.
    pub unread: bool,
    /// Folder with reference texts, one file a language, to measure the nearness to.
    pub references: Option<PathBuf>,
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
    let adapters = if options.base_alone { Vec::new() } else { adapters(dir, &checkpoint)? };
    let (perplexity, perplexity_random) =
        perplexity(&checkpoint, &adapters, &requests, options.seed).map_err(|error| {
            ModelError::Backend { path: dir.to_owned(), reason: error.to_string() }
        })?;
    let read = options.unread.then(|| texts_read(&checkpoint, &adapters)).flatten();
    let mut random =
        RandomWriter::new(checkpoint.vocabulary.clone(), checkpoint.grammar.clone(), options.seed);
    let (mut writer, about) = super::writer(checkpoint, adapters, dir, options.backend)?;

    let mut measured = Measured { read, ..Measured::default() };
    for (done, request) in requests.iter().enumerate() {
        measured.write(&mut writer, request, options.attempts, judge);
        measured.contrast(&mut writer, request);
        let cell = measured.cell(request);
        cell.templates.add(request, (judge.template)(request).as_ref());
        cell.chance.add(request, random.write(request, 0, &|| false).ok().as_ref());
        progress(done + 1);
    }
    if let Some(folder) = &options.references {
        measured
            .nearness(&mut writer, folder, judge)
            .map_err(|reason| ModelError::Unreadable { path: folder.clone(), reason })?;
    }
    let scores = measured.scores(options, (perplexity, perplexity_random), &about);
    Ok(Report { about, scores, refused: measured.refused })
}

/// All of them, or what is wrong with one: a measurement passes nothing over.
fn adapters(dir: &Path, checkpoint: &Checkpoint) -> Result<Vec<Loaded>, ModelError> {
    let (adapters, errors) = adapter::read_all(dir, &checkpoint.card);
    errors.into_iter().next().map_or(Ok(adapters), Err)
}

#[cfg(feature = "train")]
fn texts_read(
    checkpoint: &Checkpoint,
    adapters: &[Loaded],
) -> Option<std::collections::HashSet<u64>> {
    let Checkpoint { card, vocabulary, grammar, .. } = checkpoint;
    card.training.as_ref()?;
    let runs = card.runs().map(|run| (run, None));
    let own = adapters.iter().map(|own| (&own.card.training, Some(own.card.condition)));
    Some(super::train::texts_read(runs.chain(own), vocabulary, grammar))
}

#[cfg(not(feature = "train"))]
fn texts_read(
    _checkpoint: &Checkpoint,
    _adapters: &[Loaded],
) -> Option<std::collections::HashSet<u64>> {
    None
}

/// What one language and form came to.
#[derive(Default)]
struct Tally {
    contexts: usize,
    first: usize,
    left_over: usize,
    ours: Texts,
    templates: Texts,
    chance: Texts,
    flips: usize,
    /// Where only the clause of the changed fact changed: as a revision, as the unit writes it.
    held: usize,
    /// The same where the second text was written without the first.
    held_anew: usize,
    near: Nearness,
    near_template: Nearness,
    referenced: usize,
    fresh: usize,
}

#[derive(Default)]
struct Measured {
    cells: BTreeMap<(Language, Form), Tally>,
    times: Vec<Duration>,
    spent: Duration,
    /// Tokens in that time.
    written: u64,
    refused: Vec<Refused>,
    beyond: usize,
    /// What the model read in training, where this build can tell.
    read: Option<std::collections::HashSet<u64>>,
}

impl Measured {
    fn cell(&mut self, request: &WordingRequest) -> &mut Tally {
        self.cells.entry((request.language, Form::of(request.space))).or_default()
    }

    /// As a unit does it: attempts until the verifier accepts one.
    fn write(
        &mut self,
        writer: &mut SlmWriter,
        request: &WordingRequest,
        attempts: u32,
        judge: &Judge<'_>,
    ) {
        let (mut accepted, mut first) = (None, false);
        for attempt in 0..attempts.max(1) {
            let (begin, before) = (judge.clock.elapsed(), writer.written());
            let draft = writer.write(request, attempt, &|| false).ok();
            let took = judge.clock.elapsed().saturating_sub(begin);
            self.spent += took;
            self.written += writer.written() - before;
            if attempt == 0 {
                self.times.push(took);
            }
            accepted = draft.clone().filter(|draft| (judge.accepts)(request, draft));
            if accepted.is_some() {
                first = attempt == 0;
                break;
            }
            if attempt == 0 && self.refused.len() < REFUSED_KEPT {
                self.refused.push(Refused { request: request.clone(), draft });
            }
        }
        let fresh = self.is_fresh(request, accepted.as_ref());
        let cell = self.cell(request);
        cell.contexts += 1;
        cell.fresh += usize::from(fresh);
        cell.first += usize::from(first);
        cell.left_over += usize::from(accepted.is_none());
        cell.ours.add(request, accepted.as_ref());
    }

    #[cfg(feature = "train")]
    fn is_fresh(&self, request: &WordingRequest, draft: Option<&Draft>) -> bool {
        draft
            .zip(self.read.as_ref())
            .is_some_and(|(draft, read)| !read.contains(&super::train::text_hash(request, draft)))
    }

    #[cfg(not(feature = "train"))]
    fn is_fresh(&self, _request: &WordingRequest, _draft: Option<&Draft>) -> bool {
        false
    }

    fn contrast(&mut self, writer: &mut SlmWriter, request: &WordingRequest) {
        let Ok(clauses) = writer.clauses(request, None) else { return };
        let before = Earlier { request, clauses };
        for (flipped, kind) in contrast::flips(request) {
            // With the other fact there may be no text that fits.
            let (Ok(revised), Ok(anew)) =
                (writer.clauses(&flipped, Some(&before)), writer.clauses(&flipped, None))
            else {
                continue;
            };
            let held = |after| contrast::only_there(&before.clauses, after, kind);
            let cell = self.cell(request);
            cell.flips += 1;
            cell.held += usize::from(held(&revised));
            cell.held_anew += usize::from(held(&anew));
        }
    }

    fn nearness(
        &mut self,
        writer: &mut SlmWriter,
        folder: &Path,
        judge: &Judge<'_>,
    ) -> Result<(), String> {
        let languages: Vec<Language> = writer.languages();
        for language in languages {
            let (references, beyond) = references::read(folder, language)?;
            self.beyond += beyond;
            for reference in references {
                let request = &reference.request;
                let (ours, template) =
                    (writer.write(request, 0, &|| false).ok(), (judge.template)(request));
                let cell = self.cell(request);
                cell.referenced += 1;
                if let (Some(ours), Some(template)) = (ours, template) {
                    cell.near.add(&ours, &reference);
                    cell.near_template.add(&template, &reference);
                }
            }
        }
        Ok(())
    }

    fn scores(
        &mut self,
        options: &Options,
        (perplexity, perplexity_random): (f64, f64),
        about: &About,
    ) -> Scores {
        self.times.sort_unstable();
        let sum = |of: fn(&Tally) -> usize| self.cells.values().map(of).sum::<usize>();
        let contexts = sum(|cell| cell.contexts);
        let share = |part: usize, whole: usize| short(part as f64 / whole.max(1) as f64);
        let known = self.read.is_some();
        let unread = |fresh, accepted| known.then(|| share(fresh, accepted));
        // Word pairs of two languages are hardly ever the same: the whole is the mean of the parts.
        let mean = |of: &dyn Fn(&Tally) -> f64| {
            let sum: f64 = self.cells.values().map(|c| of(c) * c.contexts as f64).sum();
            short(sum / contexts.max(1) as f64)
        };
        let cells = self.cells.iter().map(|((language, form), cell)| Cell {
            language: *language,
            audience: form.word().to_owned(),
            contexts: cell.contexts,
            accepted_first_try: share(cell.first, cell.contexts),
            fallback_rate: share(cell.left_over, cell.contexts),
            facts_recalled: short(cell.ours.recall()),
            distinct_2: short(cell.ours.distinct_2()),
            distinct_2_template: short(cell.templates.distinct_2()),
            contrast: share(cell.held, cell.flips),
            contrast_anew: share(cell.held_anew, cell.flips),
            unread: unread(cell.fresh, cell.contexts - cell.left_over),
            references: cell.referenced,
            chrf: short(cell.near.chrf()),
            chrf_template: short(cell.near_template.chrf()),
            bleu: short(cell.near.bleu()),
            bleu_template: short(cell.near_template.bleu()),
        });
        Scores {
            contexts,
            seed: options.seed,
            accepted_first_try: share(sum(|cell| cell.first), contexts),
            fallback_rate: share(sum(|cell| cell.left_over), contexts),
            distinct_2: mean(&|cell| cell.ours.distinct_2()),
            distinct_2_template: mean(&|cell| cell.templates.distinct_2()),
            distinct_2_random: mean(&|cell| cell.chance.distinct_2()),
            facts_per_text: mean(&|cell| cell.ours.facts_per_text()),
            facts_per_text_template: mean(&|cell| cell.templates.facts_per_text()),
            facts_per_text_random: mean(&|cell| cell.chance.facts_per_text()),
            contrast: share(sum(|cell| cell.held), sum(|cell| cell.flips)),
            contrast_anew: share(sum(|cell| cell.held_anew), sum(|cell| cell.flips)),
            unread: unread(sum(|cell| cell.fresh), contexts - sum(|cell| cell.left_over)),
            perplexity: short(perplexity),
            perplexity_random: short(perplexity_random),
            tokens_per_s: short(self.written as f64 / self.spent.as_secs_f64().max(1e-9)),
            p50_ms: short(quantile_ms(&self.times, 0.50)),
            p95_ms: short(quantile_ms(&self.times, 0.95)),
            backend: about.backend.clone(),
            adapters: about.adapters.clone(),
            cells: cells.collect(),
            references_beyond: self.beyond,
        }
    }
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
            template: &|_| Some(Draft::of_rows(vec!["use <VIA_0>".to_owned()])),
            clock: &Ticking(std::sync::atomic::AtomicU64::new(0)),
        };
        let options = Options {
            contexts: 12,
            seed: 5,
            attempts: 2,
            backend: Backend::Cpu,
            base_alone: false,
            unread: true,
            references: None,
        };
        let mut seen = 0;
        let report = eval(dir.path(), &options, &judge, &mut |done| seen = done).unwrap();
        let scores = &report.scores;
        assert_eq!((scores.contexts, seen), (12, 12));
        assert!((0.7..0.95).contains(&scores.accepted_first_try), "{scores:?}");
        assert!(scores.fallback_rate.abs() < 1e-9, "a second attempt follows a refusal");
        assert!((scores.facts_per_text_template - 1.0).abs() < 1e-9);
        assert!((scores.p95_ms - 10.0).abs() < 1e-6);
        assert!((0.01..1.0).contains(&scores.contrast_anew), "{scores:?}");
        assert!(scores.contrast > scores.contrast_anew, "{scores:?}");
        assert_eq!(scores.cells.iter().map(|cell| cell.contexts).sum::<usize>(), 12);
        assert!(scores.cells.iter().all(|cell| (cell.facts_recalled - 1.0).abs() < 1e-9));
        assert!(scores.perplexity > 1.0 && scores.perplexity_random > 1.0);
        assert!(!report.refused.is_empty());

        record(dir.path(), scores.clone()).unwrap();
        let again = Checkpoint::read(dir.path()).unwrap();
        assert_eq!(again.card.scores.as_ref(), Some(scores));
    }
}

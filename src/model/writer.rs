//! The writer: the model.
//!
//! It chooses among what the constraint allows, so it writes valid drafts only; what the words then
//! say is checked elsewhere, by code that does not know it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::domain::wording::{Draft, Language, Space, WordingRequest};
use crate::ports::{Asked, Expired, Writer, WriterError};

use super::adapter::{AdapterCard, Condition};
use super::backend::{self, Engine};
use super::compose::compose;
use super::constraint::{self, Clauses, Constraint};
use super::earlier::Earlier;
use super::grammar::Grammar;
use super::sampler::Sampler;
use super::vocabulary::{Token, Vocabulary};

/// Writes with the language model.
#[derive(Debug)]
pub struct SlmWriter {
    vocabulary: Vocabulary,
    grammar: Grammar,
    engine: Engine,
    name: String,
    /// The number of each condition's adapter, with what a text names as its writer.
    adapters: BTreeMap<Condition, (usize, String)>,
    /// Tokens written since the start, for measurements.
    written: u64,
}

/// Texts that make it worth the while to begin another thread for them.
const TEXTS_A_THREAD: usize = 4;

/// What to write, and the text that it takes the place of.
type Task<'t> = (&'t WordingRequest, Option<&'t Earlier<'t>>);

impl SlmWriter {
    /// `name` is the model's, with the beginning of its hash.
    pub fn new(vocabulary: Vocabulary, grammar: Grammar, engine: Engine, name: String) -> Self {
        Self { vocabulary, grammar, engine, name, adapters: BTreeMap::new(), written: 0 }
    }

    /// With the adapters that the engine has, in their order.
    #[must_use]
    pub(super) fn adapted(mut self, cards: &[AdapterCard]) -> Self {
        let named = |(nth, card): (usize, &AdapterCard)| {
            (card.condition, (nth, format!("{}+{}", self.name, card.signature())))
        };
        self.adapters = cards.iter().enumerate().map(named).collect();
        self
    }

    fn adapter(&self, request: &WordingRequest) -> Option<&(usize, String)> {
        self.adapters.get(&Condition::of(request))
    }

    /// Tokens of text written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn languages(&self) -> Vec<Language> {
        self.grammar.languages()
    }

    /// The clauses of the first attempt at a text, in place of an earlier one where there is one.
    pub(super) fn clauses(
        &mut self,
        request: &WordingRequest,
        earlier: Option<&Earlier<'_>>,
    ) -> Result<Clauses, WriterError> {
        let text = self.compose(&[(request, earlier)], 0, &|| false).swap_remove(0)?;
        Ok(Constraint::new(&self.grammar, request)?.clauses(&text))
    }

    /// A clause in words, its rows on one line.
    pub(super) fn words(&self, clause: &[Token]) -> String {
        self.vocabulary.draft(clause, Space::Sign { rows: 1, cols: 1, pages: 1 }).rows.join(" / ")
    }

    fn compose(
        &mut self,
        tasks: &[Task<'_>],
        attempt: u32,
        expired: &Expired<'_>,
    ) -> Vec<Result<Vec<Token>, WriterError>> {
        let adapters: Vec<Option<usize>> =
            tasks.iter().map(|(request, _)| self.adapter(request).map(|(nth, _)| *nth)).collect();
        self.engine.begin(&adapters);
        let (vocabulary, grammar) = (&self.vocabulary, &self.grammar);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(tasks.len() / TEXTS_A_THREAD).max(1);
        let shares = self.engine.shares(tasks.len(), threads);
        let each = tasks.len().div_ceil(shares.len().max(1)).max(1);
        std::thread::scope(|scope| {
            let mut work = shares.into_iter().zip(tasks.chunks(each)).map(|(engine, tasks)| {
                move || Share { vocabulary, grammar, engine, tasks }.compose(attempt, expired)
            });
            let here = work.next();
            let others: Vec<_> = work.map(|work| scope.spawn(work)).collect();
            let mut texts = here.map_or_else(Vec::new, |work| work());
            for other in others {
                texts.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            texts
        })
    }

    fn drafts(
        &mut self,
        tasks: &[Task<'_>],
        attempt: u32,
        expired: &Expired<'_>,
    ) -> Vec<Result<Draft, WriterError>> {
        // A backend may panic (a lost device); the template must still get its turn. Where a panic
        // aborts (Cargo.toml's `edge`) it ends the process, and a fresh start must help.
        let texts = catch_unwind(AssertUnwindSafe(|| self.compose(tasks, attempt, expired)))
            .unwrap_or_else(|_| {
                let broken = || Err(WriterError::Failed("the backend broke off".to_owned()));
                tasks.iter().map(|_| broken()).collect()
            });
        let (vocabulary, grammar, written) = (&self.vocabulary, &self.grammar, &mut self.written);
        texts
            .into_iter()
            .zip(tasks)
            .map(|(text, (request, _))| {
                let text = text?;
                *written += text.len() as u64;
                constraint::draft(grammar, vocabulary, request, &text)
            })
            .collect()
    }
}

/// The texts that one thread writes.
struct Share<'s> {
    vocabulary: &'s Vocabulary,
    grammar: &'s Grammar,
    engine: backend::Share<'s>,
    tasks: &'s [Task<'s>],
}

impl Share<'_> {
    fn compose(self, attempt: u32, expired: &Expired<'_>) -> Vec<Result<Vec<Token>, WriterError>> {
        let Self { vocabulary, grammar, mut engine, tasks } = self;
        let samplers: Vec<Sampler> =
            tasks.iter().map(|(request, _)| Sampler::new(request.seed, attempt)).collect();
        let mut unread: Vec<Vec<Token>> =
            tasks.iter().map(|(request, _)| vocabulary.request(request)).collect();
        let constraints = tasks.iter().map(|(request, earlier)| match earlier {
            Some(earlier) => earlier.constraint(grammar, request),
            None => Constraint::new(grammar, request),
        });
        let constraints = constraints.collect();
        compose(constraints, expired, &mut |asks| {
            for ask in asks {
                // The model is asked only where there is a choice, so it has tokens to catch up on.
                unread[ask.nth].extend_from_slice(ask.since);
            }
            let parts: Vec<(usize, &[Token])> =
                asks.iter().map(|ask| (ask.nth, unread[ask.nth].as_slice())).collect();
            let logits =
                engine.feed(&parts).map_err(|error| WriterError::Failed(error.to_string()))?;
            let chosen = asks.iter().zip(&logits).map(|(ask, logits)| {
                let place = |token| ask.constraint.place(token);
                samplers[ask.nth].choose(logits, ask.allowed, place).ok_or_else(|| {
                    WriterError::Failed("the model's scores are not numbers".to_owned())
                })
            });
            let chosen = chosen.collect();
            for ask in asks {
                unread[ask.nth].clear();
            }
            chosen
        })
    }
}

impl Writer for SlmWriter {
    fn write(
        &mut self,
        request: &WordingRequest,
        attempt: u32,
        expired: &Expired<'_>,
    ) -> Result<Draft, WriterError> {
        self.drafts(&[(request, None)], attempt, expired).swap_remove(0)
    }

    fn write_all(
        &mut self,
        asked: &[Asked<'_>],
        expired: &Expired<'_>,
    ) -> Vec<Result<Draft, WriterError>> {
        let read = |before| Earlier::read(&self.grammar, &self.vocabulary, before);
        let earlier: Vec<Option<Earlier<'_>>> =
            asked.iter().map(|asked| asked.before.and_then(read)).collect();
        let tasks: Vec<Task<'_>> =
            asked.iter().zip(&earlier).map(|(a, earlier)| (a.request, earlier.as_ref())).collect();
        self.drafts(&tasks, 0, expired)
    }

    fn name(&self, request: &WordingRequest) -> &str {
        self.adapter(request).map_or(&self.name, |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::domain::wording::{EarlierText, Slot};
    use crate::model::fixture;

    fn slm() -> SlmWriter {
        let (vocabulary, grammar) = fixture::corpus();
        let weights = fixture::lively(fixture::tiny(vocabulary.len()));
        let engine = Engine::plain(&weights).unwrap();
        SlmWriter::new(vocabulary, grammar, engine, "tiny".to_owned())
    }

    #[test]
    fn the_same_request_gets_the_same_words_and_another_attempt_others() {
        let mut writer = slm();
        let request = fixture::request(Space::Vehicle { max_chars: 160 });
        let never = || false;
        let first = writer.write(&request, 0, &never).unwrap();
        assert_eq!(writer.write(&request, 0, &never).unwrap(), first);
        let others = (1..6).filter(|a| writer.write(&request, *a, &never).unwrap() != first);
        assert!(others.count() > 2);
        assert!(writer.written() > 20);
    }

    /// Words must not hang on what else is written at the time.
    #[test]
    fn a_request_gets_the_same_words_alone_and_among_others() {
        let mut writer = slm();
        let requests: Vec<WordingRequest> = (0..9)
            .map(|seed| {
                let space = if seed % 2 == 0 {
                    Space::Sign { rows: 3, cols: 18, pages: 1 }
                } else {
                    Space::Vehicle { max_chars: 100 + 10 * seed }
                };
                WordingRequest { seed: u64::from(seed), ..fixture::request(space) }
            })
            .collect();
        let never = || false;
        let alone: Vec<_> =
            requests.iter().map(|request| writer.write(request, 0, &never)).collect();
        let all: Vec<Asked<'_>> = requests.iter().map(Asked::from).collect();
        assert_eq!(writer.write_all(&all, &never), alone);
        assert!(alone.iter().all(Result::is_ok));
    }

    /// Only the clause with the new minutes may be another; on a sign as in a vehicle.
    #[test]
    fn words_stay_where_their_facts_stay() {
        let mut writer = slm();
        let never = || false;
        let mut said = 0;
        for seed in 0..60 {
            for space in
                [Space::Sign { rows: 4, cols: 20, pages: 1 }, Space::Vehicle { max_chars: 150 }]
            {
                let mut request = WordingRequest { seed, ..fixture::request(space) };
                let draft = writer.write(&request, 0, &never).unwrap();
                let words = draft.rows.join(" ");
                let before = EarlierText { request: request.clone(), draft: draft.clone() };
                // Longer, so that some clauses no longer fit as they are.
                let delay = request.slots.iter_mut().find(|fact| fact.slot == Slot::Delay);
                delay.unwrap().text = "X".repeat(14);
                let asked = Asked { request: &request, before: Some(&before) };
                let after = writer.write_all(&[asked], &never).swap_remove(0).unwrap();
                if !words.contains("<DELAY>") {
                    assert_eq!(after, draft, "the fact was not said");
                    continue;
                }
                said += 1;
                let kept = |at: usize| after.rows.get(at) == draft.rows.get(at);
                if matches!(space, Space::Sign { .. }) {
                    assert!(kept(0), "{draft:?} {after:?}");
                }
                let again = writer.write_all(&[asked], &never).swap_remove(0).unwrap();
                assert_eq!(again, after);
            }
        }
        assert!(said > 10, "{said}");
    }

    /// A fact that has become known may be said, whatever stood before.
    #[test]
    fn news_are_written_anew() {
        let mut writer = slm();
        let never = || false;
        let told = (0..60).filter(|seed| {
            let whole = fixture::request(Space::Vehicle { max_chars: 200 });
            let whole = WordingRequest { seed: *seed, ..whole };
            let mut less = whole.clone();
            less.slots.retain(|fact| fact.slot != Slot::Delay);
            let draft = writer.write(&less, 0, &never).unwrap();
            let before = EarlierText { request: less, draft };
            let asked = Asked { request: &whole, before: Some(&before) };
            let after = writer.write_all(&[asked], &never).swap_remove(0).unwrap();
            after.rows[0].contains("<DELAY>")
        });
        assert!(told.count() > 5);
    }

    #[test]
    fn one_request_without_a_text_does_not_hurt_the_others() {
        let mut writer = slm();
        let good = fixture::request(Space::Sign { rows: 3, cols: 18, pages: 1 });
        let bad = fixture::request(Space::Sign { rows: 1, cols: 3, pages: 1 });
        let written = writer.write_all(&[Asked::from(&bad), Asked::from(&good)], &|| false);
        assert!(matches!(written[0], Err(WriterError::Unsatisfiable(_))));
        assert_eq!(written[1], writer.write(&good, 0, &|| false));
    }

    #[test]
    fn stops_when_the_time_is_over() {
        let mut writer = slm();
        let request = fixture::request(Space::Sign { rows: 3, cols: 18, pages: 1 });
        assert_eq!(writer.write(&request, 0, &|| true), Err(WriterError::Late));
        let asked = AtomicU32::new(0);
        let soon = || asked.fetch_add(1, Ordering::Relaxed) >= 3;
        assert_eq!(writer.write(&request, 0, &soon), Err(WriterError::Late));
        assert!(writer.write(&request, 0, &|| false).is_ok());
    }

    #[test]
    fn weights_that_are_no_numbers_are_an_error() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut weights = fixture::lively(fixture::tiny(vocabulary.len()));
        weights.values.insert("norm".to_owned(), vec![f32::NAN; 32]);
        let engine = Engine::cpu(&weights).unwrap();
        let mut writer = SlmWriter::new(vocabulary, grammar, engine, "broken".to_owned());
        let request = fixture::request(Space::Sign { rows: 3, cols: 18, pages: 1 });
        assert!(matches!(writer.write(&request, 0, &|| false), Err(WriterError::Failed(_))));
    }
}

//! The writers: the model, and chance in its place.
//!
//! Both choose among what the constraint allows, so both write valid drafts only; what the words
//! then say is checked elsewhere, by code that knows neither.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::domain::wording::{Draft, Language, WordingRequest};
use crate::ports::{Writer, WriterError};

use super::backend::Engine;
use super::constraint::Constraint;
use super::corpus::Corpus;
use super::eval::Clauses;
use super::grammar::{Grammar, GrammarError};
use super::sampler::Sampler;
use super::vocabulary::{END, Token, Vocabulary};

/// Writes with the language model.
#[derive(Debug)]
pub struct SlmWriter {
    vocabulary: Vocabulary,
    grammar: Grammar,
    engine: Engine,
    name: String,
    /// Tokens written since the start, for measurements.
    written: u64,
}

impl SlmWriter {
    /// `name` is the model's, with the beginning of its hash.
    pub fn new(vocabulary: Vocabulary, grammar: Grammar, engine: Engine, name: String) -> Self {
        Self { vocabulary, grammar, engine, name, written: 0 }
    }

    /// Tokens of text written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn languages(&self) -> Vec<Language> {
        self.grammar.languages()
    }

    /// The clauses of the first attempt at a text.
    pub(super) fn clauses(&mut self, request: &WordingRequest) -> Result<Clauses, WriterError> {
        let text = self.compose(request, 0, &|| false)?;
        Ok(Constraint::new(&self.grammar, request)?.clauses(&text))
    }

    fn compose(
        &mut self,
        request: &WordingRequest,
        attempt: u32,
        expired: &dyn Fn() -> bool,
    ) -> Result<Vec<Token>, WriterError> {
        let sampler = Sampler::new(request.seed, attempt);
        self.engine.clear();
        let mut unread = self.vocabulary.request(request);
        let engine = &mut self.engine;
        compose(&self.grammar, request, expired, |text, allowed, constraint| {
            // The model is asked only where there is a choice, so it has tokens to catch up on.
            unread.extend_from_slice(text);
            let logits =
                engine.feed(&unread).map_err(|error| WriterError::Failed(error.to_string()))?;
            unread.clear();
            sampler
                .choose(&logits, allowed, |token| constraint.place(token))
                .ok_or_else(|| WriterError::Failed("the model's scores are not numbers".to_owned()))
        })
    }
}

impl Writer for SlmWriter {
    fn write(
        &mut self,
        request: &WordingRequest,
        attempt: u32,
        expired: &dyn Fn() -> bool,
    ) -> Result<Draft, WriterError> {
        // A backend may panic (a lost device); the template must still get its turn.
        let text = catch_unwind(AssertUnwindSafe(|| self.compose(request, attempt, expired)))
            .unwrap_or_else(|_| Err(WriterError::Failed("the backend broke off".to_owned())))?;
        self.written += text.len() as u64;
        Ok(self.vocabulary.draft(&text, request.space))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Writes by chance: every score is random. Whatever it writes, a model could be made to write by
/// the worst of weights.
#[derive(Debug)]
pub struct RandomWriter {
    vocabulary: Vocabulary,
    grammar: Grammar,
    seed: u64,
    moods: &'static [Mood],
    scores: Vec<f32>,
}

/// What the scores are bent towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// Nothing.
    Chance,
    /// To end as soon as may be.
    Short,
    /// Never to end while there is anything else to say.
    Long,
    /// To say again what was said.
    Repeats,
    /// To name and count: slots before words.
    Slots,
}

impl Mood {
    /// Added to a token's score; far more than chance gives.
    fn bias(self, token: Token, text: &[Token]) -> f32 {
        let wanted = match self {
            Self::Chance => false,
            Self::Short => token == END,
            Self::Long => token != END,
            Self::Repeats => text.contains(&token),
            Self::Slots => Vocabulary::slot(token).is_some(),
        };
        if wanted { 50.0 } else { 0.0 }
    }
}

impl RandomWriter {
    pub fn new(vocabulary: Vocabulary, grammar: Grammar, seed: u64) -> Self {
        let scores = vec![0.0; vocabulary.len()];
        Self { vocabulary, grammar, seed, moods: &[Mood::Chance], scores }
    }

    /// Bends the scores of most requests the wrong way: to early ends, to endless texts, to
    /// repetition, to naming.
    #[must_use]
    pub fn adversarial(mut self) -> Self {
        self.moods = &[Mood::Chance, Mood::Short, Mood::Long, Mood::Repeats, Mood::Slots];
        self
    }

    /// With the phrase files of a folder.
    pub fn from_corpus(dir: &Path, seed: u64) -> Result<Self, GrammarError> {
        let (vocabulary, grammar) = Grammar::learn(&Corpus::read_all(dir)?)?;
        Ok(Self::new(vocabulary, grammar, seed))
    }
}

impl Writer for RandomWriter {
    fn write(
        &mut self,
        request: &WordingRequest,
        attempt: u32,
        expired: &dyn Fn() -> bool,
    ) -> Result<Draft, WriterError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ request.seed.rotate_left(32));
        rng.set_stream(u64::from(attempt));
        let sampler = Sampler::new(rng.random(), attempt);
        let mood = self.moods[rng.random_range(0..self.moods.len())];
        let (scores, mut before) = (&mut self.scores, Vec::new());
        let text = compose(&self.grammar, request, expired, |since, allowed, constraint| {
            before.extend_from_slice(since);
            for &token in allowed {
                if let Some(score) = scores.get_mut(usize::from(token)) {
                    *score = rng.random_range(-6.0..6.0) + mood.bias(token, &before);
                }
            }
            sampler.choose(scores, allowed, |token| constraint.place(token)).ok_or_else(|| {
                WriterError::Failed("the grammar is not of this vocabulary".to_owned())
            })
        })?;
        Ok(self.vocabulary.draft(&text, request.space))
    }

    fn name(&self) -> &'static str {
        "random"
    }
}

/// Follows the constraint to the end of a text. `choose` gets the tokens written since it was last
/// asked, two or more to choose from, and the constraint as it stands.
fn compose(
    grammar: &Grammar,
    request: &WordingRequest,
    expired: &dyn Fn() -> bool,
    mut choose: impl FnMut(&[Token], &[Token], &Constraint<'_>) -> Result<Token, WriterError>,
) -> Result<Vec<Token>, WriterError> {
    let mut constraint = Constraint::new(grammar, request)?;
    let (mut text, mut allowed, mut read) = (Vec::new(), Vec::new(), 0);
    loop {
        if expired() {
            return Err(WriterError::Late);
        }
        constraint.allowed(&mut allowed);
        let token = if let [only] = allowed.as_slice() {
            *only
        } else {
            let token = choose(&text[read..], &allowed, &constraint)?;
            read = text.len();
            token
        };
        if !constraint.push(token) {
            return Err(WriterError::Failed("a token was chosen that may not follow".to_owned()));
        }
        if constraint.is_finished() {
            return Ok(text);
        }
        text.push(token);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::domain::wording::{Slot, Space};
    use crate::model::fixture;

    fn slm() -> SlmWriter {
        let (vocabulary, grammar) = fixture::corpus();
        let weights = fixture::lively(fixture::tiny(vocabulary.len()));
        let engine = Engine::cpu(&weights).unwrap();
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

    #[test]
    fn stops_when_the_time_is_over() {
        let mut writer = slm();
        let request = fixture::request(Space::Sign { rows: 3, cols: 18 });
        assert_eq!(writer.write(&request, 0, &|| true), Err(WriterError::Late));
        let asked = Cell::new(0);
        let soon = || {
            asked.set(asked.get() + 1);
            asked.get() > 3
        };
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
        let request = fixture::request(Space::Sign { rows: 3, cols: 18 });
        assert!(matches!(writer.write(&request, 0, &|| false), Err(WriterError::Failed(_))));
    }

    #[test]
    fn bent_scores_show_in_the_texts() {
        let (vocabulary, grammar) = fixture::corpus();
        let request = fixture::request(Space::Vehicle { max_chars: 240 });
        let lengths = |mood: &'static [Mood]| -> usize {
            let writer = RandomWriter::new(vocabulary.clone(), grammar.clone(), 3);
            let mut writer = RandomWriter { moods: mood, ..writer };
            (0..50)
                .map(|seed| WordingRequest { seed, ..request.clone() })
                .map(|request| writer.write(&request, 0, &|| false).unwrap().rows[0].len())
                .sum()
        };
        assert!(lengths(&[Mood::Long]) > lengths(&[Mood::Short]) + 50 * 10);
    }

    #[test]
    fn chance_reaches_all_advice_there_is() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut writer = RandomWriter::new(vocabulary, grammar, 3);
        let mut request = fixture::request(Space::Sign { rows: 4, cols: 18 });
        let mut seen = [0; Slot::ALL.len()];
        for seed in 0..400 {
            request.seed = seed;
            let text = writer.write(&request, 0, &|| false).unwrap().rows.join(" ");
            for slot in Slot::ALL {
                seen[slot as usize] += usize::from(text.contains(slot.tag()));
            }
        }
        assert!(seen.iter().all(|times| *times > 10), "{seen:?}");
    }
}

//! The writer by chance, in the model's place.
//!
//! It chooses among what the constraint allows, as the model does; what a model could be made to
//! write by the worst of weights, it writes.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::domain::wording::{Draft, WordingRequest};
use crate::ports::{Expired, Writer, WriterError};

use super::compose::{Ask, compose};
use super::constraint::{self, Constraint};
use super::corpus::Corpus;
use super::grammar::{Grammar, GrammarError};
use super::sampler::Sampler;
use super::vocabulary::{END, Token, Vocabulary};

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
        expired: &Expired<'_>,
    ) -> Result<Draft, WriterError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ request.seed.rotate_left(32));
        rng.set_stream(u64::from(attempt));
        let sampler = Sampler::new(rng.random(), attempt);
        let mood = self.moods[rng.random_range(0..self.moods.len())];
        let (scores, mut before) = (&mut self.scores, Vec::new());
        let mut choose = |asks: &[Ask<'_>]| {
            let [Ask { since, allowed, constraint, .. }] = asks else { return Ok(Vec::new()) };
            before.extend_from_slice(since);
            for &token in *allowed {
                if let Some(score) = scores.get_mut(usize::from(token)) {
                    *score = rng.random_range(-6.0..6.0) + mood.bias(token, &before);
                }
            }
            let token = sampler.choose(scores, allowed, |token| constraint.place(token));
            token.map(|token| vec![token]).ok_or_else(|| {
                WriterError::Failed("the grammar is not of this vocabulary".to_owned())
            })
        };
        let constraint = Constraint::new(&self.grammar, request);
        let text = compose(vec![constraint], expired, &mut choose).swap_remove(0)?;
        constraint::draft(&self.grammar, &self.vocabulary, request, &text)
    }

    fn name(&self, _request: &WordingRequest) -> &'static str {
        "random"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::closure::Reason;
    use crate::domain::wording::{EarlierText, Language, Problem, Slot, Space};
    use crate::model::constraint::REASON;
    use crate::model::earlier::Earlier;
    use crate::model::fixture;

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

    /// Who would say all there is to say, on two pages with room for it, says four things.
    #[test]
    fn a_sign_says_four_things_at_most() {
        let (vocabulary, grammar) = fixture::corpus();
        let writer = RandomWriter::new(vocabulary.clone(), grammar.clone(), 3);
        let mut writer = RandomWriter { moods: &[Mood::Long], ..writer };
        let two_pages = fixture::request(Space::Sign { rows: 4, cols: 18, pages: 2 });
        let mut full = 0;
        for seed in 0..500 {
            let language = Language::ALL[seed as usize % Language::ALL.len()];
            let problem = Problem::ALL[seed as usize / 5 % Problem::ALL.len()];
            let told = matches!(problem, Problem::RoadClosed | Problem::Incident);
            let reason = Some(Reason::Fog).filter(|_| told);
            let request = WordingRequest { language, problem, reason, seed, ..two_pages.clone() };
            let draft = writer.write(&request, 0, &|| false).unwrap();
            let text = draft.rows.join(" ");
            let facts = Slot::ALL.into_iter().filter(|slot| text.contains(slot.tag())).count();
            let before = EarlierText { request, draft };
            let clauses = Earlier::read(&grammar, &vocabulary, &before).unwrap().clauses;
            // The advice always names the road that is offered.
            let units = 1 + facts + usize::from(clauses[REASON].is_some());
            assert!(units <= 4, "{units}: {text}");
            full += usize::from(units == 4);
        }
        assert!(full > 300, "{full}");
    }

    #[test]
    fn chance_reaches_all_advice_there_is() {
        let (vocabulary, grammar) = fixture::corpus();
        let mut writer = RandomWriter::new(vocabulary, grammar, 3);
        let mut seen = [0; Slot::ALL.len()];
        for space in
            [Space::Sign { rows: 4, cols: 18, pages: 1 }, Space::Vehicle { max_chars: 300 }]
        {
            for problem in [Problem::RoadClosed, Problem::Incident] {
                for seed in 0..200 {
                    let request = WordingRequest { problem, seed, ..fixture::request(space) };
                    let text = writer.write(&request, 0, &|| false).unwrap().rows.join(" ");
                    for slot in Slot::ALL {
                        seen[slot as usize] += usize::from(text.contains(slot.tag()));
                    }
                }
            }
        }
        assert!(seen.iter().all(|times| *times > 10), "{seen:?}");
    }
}

//! What the tests of the model share.

use crate::domain::wording::{Language, Problem, Slot, SlotFact, Space, WordingRequest};

use super::adapter::Adapter;
use super::card::Card;
use super::checkpoint::Checkpoint;
use super::corpus::Corpus;
use super::grammar::Grammar;
use super::vocabulary::Vocabulary;
use super::weights::{Architecture, Weights};

pub fn corpora() -> Vec<Corpus> {
    [
        include_str!("../../models/corpus/en.yaml"),
        include_str!("../../models/corpus/it.yaml"),
        include_str!("../../models/corpus/de.yaml"),
        include_str!("../../models/corpus/fr.yaml"),
        include_str!("../../models/corpus/es.yaml"),
    ]
    .map(|yaml| Corpus::parse(yaml).unwrap())
    .into()
}

pub fn corpus() -> (Vocabulary, Grammar) {
    Grammar::learn(&corpora()).unwrap()
}

/// The smallest architecture that has every part.
pub fn tiny(vocabulary: usize) -> Architecture {
    Architecture {
        width: 32,
        layers: 2,
        heads: 2,
        head: None,
        hidden: 32,
        context: 160,
        vocabulary,
    }
}

/// Untrained weights, large enough that every part shows in the logits.
pub fn lively(architecture: Architecture) -> Weights {
    let mut weights = Weights::random(architecture, 11);
    for values in weights.values.values_mut() {
        for (at, value) in values.iter_mut().enumerate() {
            *value = if *value > 0.9 { 1.0 + 0.1 * (at % 3) as f32 } else { *value * 12.0 };
        }
    }
    weights
}

/// An adapter large enough that it shows in the logits.
pub fn adapter(architecture: Architecture, seed: u64) -> Adapter {
    let mut adapter = Adapter::new(architecture, 4, seed);
    for (name, values) in &mut adapter.values {
        if name.ends_with("widen") {
            for (at, value) in values.iter_mut().enumerate() {
                *value = 0.3 * ((at * 7 + seed as usize) % 5) as f32 - 0.6;
            }
        }
    }
    adapter
}

/// A model of the smallest size, not yet written.
pub fn checkpoint() -> Checkpoint {
    let (vocabulary, grammar) = corpus();
    let weights = lively(tiny(vocabulary.len()));
    let card = Card::new("tiny", weights.architecture);
    Checkpoint { card, vocabulary, grammar, corpora: corpora(), weights }
}

/// A request with every fact, none of them a must.
pub fn request(space: Space) -> WordingRequest {
    let slots = Slot::ALL
        .into_iter()
        .map(|slot| SlotFact { slot, text: "XXXXXXXX".to_owned(), required: false })
        .collect();
    WordingRequest {
        language: Language::En,
        problem: Problem::Incident,
        reason: None,
        slots,
        space,
        seed: 1,
    }
}

//! Counts over many texts: how varied they are, how many facts they say.

use std::collections::BTreeSet;

use crate::domain::wording::{Draft, Slot, WordingRequest};

#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    count: u64,
    facts: u64,
    required: u64,
    recalled: u64,
    pairs: u64,
    distinct: BTreeSet<(String, String)>,
}

impl Texts {
    pub fn add(&mut self, request: &WordingRequest, draft: Option<&Draft>) {
        let Some(draft) = draft else { return };
        let text = draft.rows.join(" ");
        self.count += 1;
        self.facts += Slot::ALL.iter().filter(|slot| text.contains(slot.tag())).count() as u64;
        for fact in request.slots.iter().filter(|fact| fact.required) {
            self.required += 1;
            self.recalled += u64::from(text.contains(fact.slot.tag()));
        }
        let words: Vec<&str> = text.split(' ').collect();
        for pair in words.windows(2) {
            if let [first, second] = pair {
                self.pairs += 1;
                self.distinct.insert(((*first).to_owned(), (*second).to_owned()));
            }
        }
    }

    /// Different word pairs over all word pairs (Li et al. 2016).
    pub fn distinct_2(&self) -> f64 {
        self.distinct.len() as f64 / self.pairs.max(1) as f64
    }

    pub fn facts_per_text(&self) -> f64 {
        self.facts as f64 / self.count.max(1) as f64
    }

    /// Share of the required facts that are said; 1 where none is.
    pub fn recall(&self) -> f64 {
        if self.required == 0 { 1.0 } else { self.recalled as f64 / self.required as f64 }
    }
}

//! Every name of the network, and where names stand in a text.
//!
//! Names are compared by what a sign leaves of them (`fold`), once as they stand and once without
//! the commas and brackets that a sign leaves out. Names that fold alike are one name
//! here: whoever reads a sign sees one text for all of them, just as for two streets of one name,
//! and most often they are one street in two spellings. Which spelling goes out is not left open:
//! the text must have the fact's, letter by letter. What must never happen, that two facts of one
//! text fold alike, has a rule of its own (`NamesApart`).

use std::collections::HashMap;

use super::token::{Token, tokens};
use crate::domain::network::{Network, fold};

#[derive(Debug)]
struct Name {
    /// As the network spells it; the first one of those that fold alike.
    spelt: String,
    street: bool,
    place: bool,
}

/// A trie over folded tokens.
#[derive(Debug)]
pub(super) struct Names {
    vocabulary: HashMap<String, u32>,
    steps: HashMap<(u32, u32), u32>,
    /// By trie node, the index of the name that ends there.
    ends: Vec<Option<usize>>,
    all: Vec<Name>,
}

/// A name that the tokens `start..end` of a text spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub start: usize,
    pub end: usize,
    name: usize,
}

impl Names {
    pub(super) fn new(network: &Network) -> Self {
        let mut index = Self {
            vocabulary: HashMap::new(),
            steps: HashMap::new(),
            ends: vec![None],
            all: Vec::new(),
        };
        for street in network.segments.iter().filter_map(|s| s.street.as_deref()) {
            index.insert(street, |name| name.street = true);
        }
        for place in &network.places {
            index.insert(&place.name, |name| name.place = true);
        }
        index
    }

    /// A name without any word, which no text can spell, is left out.
    fn insert(&mut self, spelt: &str, mark: impl Fn(&mut Name)) {
        for form in [spelt, &fold(spelt)] {
            let node = self.node_of(form);
            if node == 0 {
                continue;
            }
            let name = *self.ends[node].get_or_insert_with(|| {
                self.all.push(Name { spelt: spelt.to_owned(), street: false, place: false });
                self.all.len() - 1
            });
            mark(&mut self.all[name]);
        }
    }

    fn node_of(&mut self, form: &str) -> usize {
        let mut node = 0;
        for token in tokens([form]) {
            let fresh = self.vocabulary.len() as u32;
            let word = *self.vocabulary.entry(token.folded).or_insert(fresh);
            node = *self.steps.entry((node, word)).or_insert_with(|| {
                self.ends.push(None);
                self.ends.len() as u32 - 1
            });
        }
        node as usize
    }

    /// All names in a text, those inside other ones too, by where they start, shorter ones first.
    pub(super) fn occurrences(&self, tokens: &[Token<'_>]) -> Vec<Occurrence> {
        let words: Vec<Option<u32>> =
            tokens.iter().map(|t| self.vocabulary.get(&t.folded).copied()).collect();
        let mut found = Vec::new();
        for start in 0..words.len() {
            let mut node = 0;
            for (end, word) in (start + 1..).zip(&words[start..]) {
                let Some(next) = word.and_then(|word| self.steps.get(&(node, word))) else { break };
                node = *next;
                if let Some(name) = self.ends.get(node as usize).copied().flatten() {
                    found.push(Occurrence { start, end, name });
                }
            }
        }
        found
    }

    pub(super) fn is_street(&self, text: &[Token<'_>]) -> bool {
        self.whole(text).is_some_and(|name| name.street)
    }

    pub(super) fn is_place(&self, text: &[Token<'_>]) -> bool {
        self.whole(text).is_some_and(|name| name.place)
    }

    pub(super) fn spelt(&self, occurrence: Occurrence) -> &str {
        self.all.get(occurrence.name).map_or("", |name| &name.spelt)
    }

    fn whole(&self, text: &[Token<'_>]) -> Option<&Name> {
        let mut node = 0;
        for token in text {
            node = *self.steps.get(&(node, *self.vocabulary.get(&token.folded)?))?;
        }
        self.all.get((*self.ends.get(node as usize)?)?)
    }
}

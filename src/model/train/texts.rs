//! What a model reads while it learns: random contexts with the rule's texts, in batches.
//!
//! Drawn in pools that are numbered and seeded one by one, so that a run that was broken off goes on
//! with the texts that it would have read, and several threads may draw ahead.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::adapter::Condition;
use super::super::contexts::{Contexts, is_held_out};
use super::super::grammar::Grammar;
use super::super::teacher;
use super::super::vocabulary::{END, Token, Vocabulary};
use super::batch::Batch;
use crate::domain::wording::WordingRequest;

/// Batches of a pool. Their texts are drawn together and sorted by length: little padding, still
/// random.
pub(super) const POOL: usize = 8;

/// Endless texts, either of held-out contexts or of all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts<'t> {
    pub vocabulary: &'t Vocabulary,
    pub grammar: &'t Grammar,
    pub seed: u64,
    pub held_out: bool,
    /// `None`: of every condition.
    pub condition: Option<Condition>,
}

/// A sequence, and where its text begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub tokens: Vec<Token>,
    pub begin: usize,
}

impl<'t> Texts<'t> {
    /// For training, of every condition.
    pub fn of(vocabulary: &'t Vocabulary, grammar: &'t Grammar, seed: u64) -> Self {
        Self { vocabulary, grammar, seed, held_out: false, condition: None }
    }

    fn rng(&self, pool: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(1 + 2 * pool + u64::from(self.held_out));
        rng
    }

    /// The requests of a pool with their texts, without the end mark.
    pub fn draw(&self, pool: u64, count: usize) -> Vec<(WordingRequest, Vec<Token>)> {
        let mut rng = self.rng(pool);
        let mut contexts = Contexts::new(self.grammar.languages(), rng.random());
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let request = contexts.draw();
            let is_other = |condition| Condition::of(&request) != condition;
            if is_held_out(self.vocabulary, &request) != self.held_out
                || self.condition.is_some_and(is_other)
            {
                continue;
            }
            // A request that no text satisfies is passed over.
            if let Ok(text) = teacher::compose(self.grammar, &request, &mut rng) {
                drawn.push((request, text));
            }
        }
        drawn
    }

    /// The sequences of a pool.
    pub fn pool(&self, number: u64, count: usize) -> Vec<Example> {
        let drawn = self.draw(number, count).into_iter();
        drawn
            .map(|(request, text)| {
                let mut tokens = self.vocabulary.request(&request);
                let begin = tokens.len();
                tokens.extend(text);
                tokens.push(END);
                Example { tokens, begin }
            })
            .collect()
    }

    /// A pool in batches of `size` texts, in random order.
    pub fn batches(&self, pool: u64, size: usize) -> Vec<Batch> {
        let mut examples = self.pool(pool, size * POOL);
        examples.sort_by_key(|example| example.tokens.len());
        let mut batches: Vec<Batch> = examples.chunks(size).map(Batch::new).collect();
        let mut rng = self.rng(pool);
        batches.shuffle(&mut rng);
        batches
    }

    /// The batches from `step` on, drawn ahead by `threads` threads of the scope. They end by
    /// themselves once the receiving side is gone.
    pub fn ahead<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        step: usize,
        size: usize,
        threads: usize,
    ) -> Ahead {
        let first = step / POOL;
        let threads = threads.max(1);
        let pools = (0..threads)
            .map(|thread| {
                let (sender, receiver) = sync_channel(1);
                scope.spawn(move || {
                    for pool in (first + thread..).step_by(threads) {
                        if sender.send(self.batches(pool as u64, size)).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        Ahead { pools, next: 0, batches: Vec::new(), skip: step % POOL }
    }
}

/// Batches in the order of their numbers.
#[derive(Debug)]
pub(super) struct Ahead {
    pools: Vec<Receiver<Vec<Batch>>>,
    next: usize,
    batches: Vec<Batch>,
    /// Batches of the first pool that were read before.
    skip: usize,
}

impl Iterator for Ahead {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.batches.is_empty() {
            // A thread that is gone has panicked; the scope will say so.
            self.batches = self.pools.get(self.next)?.recv().ok()?;
            self.batches.reverse();
            self.batches.truncate(POOL - self.skip);
            self.skip = 0;
            self.next = (self.next + 1) % self.pools.len();
        }
        self.batches.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn batches_do_not_depend_on_threads_or_on_where_one_begins() {
        let (vocabulary, grammar) = fixture::corpus();
        let texts = Texts::of(&vocabulary, &grammar, 3);
        let read = |step: usize, threads: usize, count: usize| -> Vec<Batch> {
            std::thread::scope(|scope| texts.ahead(scope, step, 2, threads).take(count).collect())
        };
        let all = read(0, 1, 3 * POOL);
        assert_eq!(read(0, 3, 3 * POOL), all);
        assert_eq!(read(POOL + 3, 2, 5), all[POOL + 3..POOL + 8]);
        assert_ne!(all[0], all[POOL]);
    }

    #[test]
    fn no_held_out_context_is_trained_on() {
        let (vocabulary, grammar) = fixture::corpus();
        let texts = Texts::of(&vocabulary, &grammar, 3);
        let others = Texts { held_out: true, ..texts };
        let requests = |texts: Texts<'_>, count| -> std::collections::BTreeSet<Vec<Token>> {
            let pool = texts.pool(0, count).into_iter();
            pool.map(|example| example.tokens[..example.begin].to_vec()).collect()
        };
        assert!(requests(texts, 400).is_disjoint(&requests(others, 40)));
    }
}

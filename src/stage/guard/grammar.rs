//! The sentences that may go out, and what a text says by them.
//!
//! A closed grammar per language and kind of space, written for the guard alone (`en.rs` and the like; the notation is in `phrases.rs`):
//! what is not in it is refused, so neither a negation nor an order, a speed or a number in words
//! can pass. All its sentences lie in one trie per clause. A text is read in every way that the
//! trie allows, with any name of the network where a name may stand, whether or not it is a fact:
//! only so is a text with a second, wrong meaning found.

use std::collections::HashMap;

use super::names::Occurrence;
use super::phrases::{Phrases, expand, slot_of, tongue};
use super::token::{Token, is_mark};
use crate::domain::closure::Reason;
use crate::domain::network::fold;
use crate::domain::wording::{Language, Problem, Slot};

/// A fact that a text says, in its tokens `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub slot: Slot,
    pub start: usize,
    pub end: usize,
}

/// One way to read a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub problem: Problem,
    /// Why the road is closed, where the text says so.
    pub reason: Option<Reason>,
    pub mentions: Vec<Mention>,
    /// The tokens that begin a clause.
    pub starts: Vec<usize>,
    /// The one that begins the advice.
    pub advice: usize,
}

/// The readings of a text, and how far the longest attempt came. `MOST` of them may not be all.
#[derive(Debug, Default)]
pub(super) struct Readings {
    pub all: Vec<Reading>,
    pub furthest: usize,
}

pub(super) const MOST: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Word(u32),
    /// A word in the row of the word before it.
    Joined(u32),
    Fact(Slot),
}

/// A node of the tries while they grow.
#[derive(Debug, Default)]
struct Node {
    edges: Vec<(Symbol, u32)>,
    /// A clause may end here: what it states then.
    ends: Vec<Stated>,
}

/// The tries of all clauses, grown: thousands of nodes, most with one edge.
#[derive(Debug, Default)]
struct Tries {
    /// Where each node's edges and ends begin; those of the next one are behind them.
    starts: Vec<(u32, u32)>,
    edges: Vec<(Symbol, u32)>,
    ends: Vec<Stated>,
}

impl Tries {
    fn of(nodes: Vec<Node>) -> Self {
        let mut tries = Self::default();
        tries.starts.reserve_exact(nodes.len() + 1);
        tries.edges.reserve_exact(nodes.iter().map(|node| node.edges.len()).sum());
        for node in nodes {
            tries.mark();
            tries.edges.extend(node.edges);
            tries.ends.extend(node.ends);
        }
        tries.mark();
        tries
    }

    fn mark(&mut self) {
        self.starts.push((self.edges.len() as u32, self.ends.len() as u32));
    }

    fn edges(&self, node: usize) -> &[(Symbol, u32)] {
        &self.edges[self.starts[node].0 as usize..self.starts[node + 1].0 as usize]
    }

    fn ends(&self, node: usize) -> &[Stated] {
        &self.ends[self.starts[node].1 as usize..self.starts[node + 1].1 as usize]
    }
}

/// What the words of a clause state, its facts aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stated {
    Nothing,
    Problem(Problem),
    Reason(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    Problem,
    Between,
    Lanes,
    Reason,
    Since,
    Until,
    Delay,
    /// Another road that is closed or full.
    Second,
    Advice,
    Saving,
}

const CLAUSES: usize = Clause::Saving as usize + 1;

/// The grammar of one language for signs or for vehicles.
#[derive(Debug)]
pub(super) struct Grammar {
    on_signs: bool,
    vocabulary: HashMap<String, u32>,
    /// The first nodes are the roots of the clauses.
    tries: Tries,
    turns: Vec<Vec<u32>>,
    units: Vec<u32>,
    /// One lane, and more than one.
    lanes: [u32; 2],
}

impl Grammar {
    pub(super) fn new(language: Language, on_signs: bool) -> Self {
        let tongue = tongue(language);
        let phrases = if on_signs { &tongue.sign } else { &tongue.vehicle };
        let mut grammar = Self {
            on_signs,
            vocabulary: HashMap::new(),
            tries: Tries::default(),
            turns: Vec::new(),
            units: Vec::new(),
            lanes: [0; 2],
        };
        let mut nodes: Vec<Node> = (0..CLAUSES).map(|_| Node::default()).collect();
        grammar.turns =
            tongue.turns.iter().map(|t| t.split(' ').map(|w| grammar.learn(w)).collect()).collect();
        grammar.units = tongue.units.iter().map(|unit| grammar.learn(unit)).collect();
        grammar.lanes = tongue.lanes.map(|lane| grammar.learn(lane));
        for (problem, patterns) in phrases.problem {
            grammar.add(&mut nodes, Clause::Problem, patterns, phrases, Stated::Problem(*problem));
        }
        for (reason, patterns) in phrases.reason {
            grammar.add(&mut nodes, Clause::Reason, patterns, phrases, Stated::Reason(*reason));
        }
        for (clause, patterns) in [
            (Clause::Between, phrases.between),
            (Clause::Lanes, phrases.lanes),
            (Clause::Since, phrases.since),
            (Clause::Until, phrases.until),
            (Clause::Second, phrases.also_closed),
            (Clause::Second, phrases.also_queue),
        ] {
            grammar.add(&mut nodes, clause, patterns, phrases, Stated::Nothing);
        }
        grammar.add(&mut nodes, Clause::Delay, phrases.delay, phrases, Stated::Nothing);
        grammar.add(&mut nodes, Clause::Advice, phrases.advice, phrases, Stated::Nothing);
        grammar.add(&mut nodes, Clause::Saving, phrases.saving, phrases, Stated::Nothing);
        grammar.tries = Tries::of(nodes);
        grammar
    }

    /// Words compare as they are shown: by their fold on signs, with accents but in any case in
    /// vehicles (case has its own rule).
    fn key(&self, raw: &str) -> String {
        match raw {
            mark if is_mark(mark) => mark.to_owned(),
            word if self.on_signs => fold(word),
            word => word.to_lowercase(),
        }
    }

    fn learn(&mut self, word: &str) -> u32 {
        let fresh = self.vocabulary.len() as u32;
        let key = self.key(word);
        *self.vocabulary.entry(key).or_insert(fresh)
    }

    fn add(
        &mut self,
        nodes: &mut Vec<Node>,
        clause: Clause,
        patterns: &[&str],
        phrases: &Phrases,
        stated: Stated,
    ) {
        for sentence in patterns.iter().flat_map(|pattern| expand(pattern, phrases.parts)) {
            let mut node = clause as usize;
            for item in &sentence {
                let symbol = match (slot_of(item), item.strip_prefix('~')) {
                    (Some(slot), _) => Symbol::Fact(slot),
                    (None, Some(word)) => Symbol::Joined(self.learn(word)),
                    (None, None) => Symbol::Word(self.learn(item)),
                };
                let known = nodes[node].edges.iter().find(|(edge, _)| *edge == symbol);
                node = if let Some((_, next)) = known {
                    *next as usize
                } else {
                    let next = nodes.len();
                    nodes[node].edges.push((symbol, next as u32));
                    nodes.push(Node::default());
                    next
                };
            }
            if !nodes[node].ends.contains(&stated) {
                nodes[node].ends.push(stated);
            }
        }
    }

    /// Whether a token is a word or a number of this grammar; names aside.
    pub(super) fn knows(&self, token: &Token<'_>) -> bool {
        is_number(token) || is_time(token) || self.vocabulary.contains_key(&self.key(token.raw))
    }

    pub(super) fn read(&self, tokens: &[Token<'_>], names: &[Occurrence]) -> Readings {
        let words = tokens.iter().map(|t| self.vocabulary.get(&self.key(t.raw)).copied()).collect();
        let mut reader = Reader {
            grammar: self,
            tokens,
            words,
            names,
            problem: None,
            reason: None,
            mentions: Vec::new(),
            starts: Vec::new(),
            advice: 0,
            found: Readings::default(),
        };
        reader.clause(Clause::Problem, 0);
        reader.found
    }
}

/// A walk through the tries along a text, going back from every end.
struct Reader<'a, 't> {
    grammar: &'a Grammar,
    tokens: &'a [Token<'t>],
    words: Vec<Option<u32>>,
    names: &'a [Occurrence],
    problem: Option<Problem>,
    reason: Option<Reason>,
    mentions: Vec<Mention>,
    starts: Vec<usize>,
    advice: usize,
    found: Readings,
}

impl Reader<'_, '_> {
    fn clause(&mut self, clause: Clause, at: usize) {
        self.starts.push(at);
        if clause == Clause::Advice {
            self.advice = at;
        }
        self.walk(clause, clause as usize, at);
        self.starts.pop();
    }

    fn walk(&mut self, clause: Clause, node: usize, at: usize) {
        self.found.furthest = self.found.furthest.max(at);
        let tries = &self.grammar.tries;
        if let Some(next) = self.end_of_clause(at) {
            for stated in tries.ends(node) {
                let outer = (self.problem, self.reason);
                match stated {
                    Stated::Nothing => {}
                    Stated::Problem(problem) => self.problem = Some(*problem),
                    Stated::Reason(reason) => self.reason = Some(*reason),
                }
                self.after(clause, next);
                (self.problem, self.reason) = outer;
            }
        }
        for (symbol, next) in tries.edges(node) {
            match *symbol {
                Symbol::Word(word) | Symbol::Joined(word) => {
                    let free = matches!(symbol, Symbol::Word(_)) || !self.begins_row(at);
                    if free && self.words.get(at) == Some(&Some(word)) {
                        self.walk(clause, *next as usize, at + 1);
                    }
                }
                Symbol::Fact(slot) => {
                    for end in self.ends_of(slot, at) {
                        self.mentions.push(Mention { slot, start: at, end });
                        self.walk(clause, *next as usize, end);
                        self.mentions.pop();
                    }
                }
            }
        }
    }

    fn begins_row(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.tokens.get(before));
        before.is_none_or(|token| token.ends_row)
    }

    /// A clause ends with its row on a sign, with a point in a vehicle.
    fn end_of_clause(&self, at: usize) -> Option<usize> {
        if self.grammar.on_signs {
            let last = self.tokens.get(at.checked_sub(1)?)?;
            last.ends_row.then_some(at)
        } else {
            (self.tokens.get(at)?.raw == ".").then_some(at + 1)
        }
    }

    fn after(&mut self, clause: Clause, at: usize) {
        if at == self.tokens.len() {
            if matches!(clause, Clause::Advice | Clause::Saving) {
                self.record();
            }
            return;
        }
        for next in self.following(clause) {
            self.clause(*next, at);
        }
    }

    /// The clauses that may come after one. Of an incident an operator says which lanes are shut and
    /// since when, of a closure where it begins and ends, and until when it is planned; nobody says any
    /// of it, or a reason, of a queue.
    fn following(&self, clause: Clause) -> &'static [Clause] {
        use Clause::{Advice, Between, Delay, Lanes, Reason, Saving, Second, Since, Until};
        let closed = self.problem == Some(Problem::RoadClosed);
        let incident = self.problem == Some(Problem::Incident);
        match clause {
            Clause::Problem if closed => &[Between, Reason, Since, Until, Delay, Second, Advice],
            Clause::Problem if incident => &[Lanes, Reason, Since, Delay, Second, Advice],
            Between => &[Reason, Since, Until, Delay, Second, Advice],
            Lanes => &[Reason, Since, Delay, Second, Advice],
            Reason if closed => &[Since, Until, Delay, Second, Advice],
            Reason => &[Since, Delay, Second, Advice],
            Clause::Problem | Since | Until => &[Delay, Second, Advice],
            Delay => &[Second, Advice],
            Second => &[Advice],
            Advice => &[Saving],
            Saving => &[],
        }
    }

    fn record(&mut self) {
        let Some(problem) = self.problem else { return };
        let reading = Reading {
            problem,
            reason: self.reason,
            mentions: self.mentions.clone(),
            starts: self.starts.clone(),
            advice: self.advice,
        };
        if self.found.all.len() < MOST && !self.found.all.contains(&reading) {
            self.found.all.push(reading);
        }
    }

    /// Where a fact of this kind that starts at `at` may end.
    fn ends_of(&self, slot: Slot, at: usize) -> Vec<usize> {
        match slot {
            Slot::Closed
            | Slot::Via0
            | Slot::Via1
            | Slot::Dest
            | Slot::Between0
            | Slot::Between1
            | Slot::AlsoClosed
            | Slot::AlsoQueue => {
                self.names.iter().filter(|name| name.start == at).map(|name| name.end).collect()
            }
            Slot::Delay | Slot::Saving => {
                let number = self.tokens.get(at).is_some_and(is_number);
                let unit = self.words.get(at + 1).copied().flatten();
                let counts = number && unit.is_some_and(|unit| self.grammar.units.contains(&unit));
                counts.then_some(at + 2).into_iter().collect()
            }
            Slot::Lanes => {
                let lane = self.words.get(at + 1).copied().flatten();
                let number = self.tokens.get(at).filter(|token| is_number(token));
                let noun = number.map(|token| self.grammar.lanes[usize::from(token.raw != "1")]);
                (noun.is_some() && noun == lane).then_some(at + 2).into_iter().collect()
            }
            Slot::Until | Slot::Since => {
                let time = self.tokens.get(at).is_some_and(is_time);
                time.then_some(at + 1).into_iter().collect()
            }
            Slot::Turn => {
                let rest = self.words.get(at..).unwrap_or_default();
                let turns = self.grammar.turns.iter();
                turns
                    .filter(|turn| {
                        turn.len() <= rest.len()
                            && turn.iter().zip(rest).all(|(word, found)| Some(*word) == *found)
                    })
                    .map(|turn| at + turn.len())
                    .collect()
            }
        }
    }
}

/// A time of day, `07:05`.
fn is_time(token: &Token<'_>) -> bool {
    let Some((hour, minute)) = token.raw.split_once(':') else { return false };
    let below = |part: &str, limit: u8| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && part.parse::<u8>().is_ok_and(|number| number < limit)
    };
    below(hour, 24) && below(minute, 60)
}

fn is_number(token: &Token<'_>) -> bool {
    token.raw.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sentence_states_two_things() {
        for language in Language::ALL {
            for on_signs in [true, false] {
                let grammar = Grammar::new(language, on_signs);
                let nodes = 0..grammar.tries.starts.len() - 1;
                let ends = nodes.map(|node| grammar.tries.ends(node).len());
                assert!(ends.max() <= Some(1), "{language:?}");
            }
        }
    }
}

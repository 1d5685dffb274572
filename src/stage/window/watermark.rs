//! How far event time has come in one source, with sensors that are silent, slow or wrong.
//!
//! Every group (sensor) has its newest event time `E`. The source's clock `C` at receipt time `now`
//! is `now + offset`, where the offset is the lower median over the voting groups of `E` less the receipt
//! time at which `E` was reached. So it follows the majority of the sensors: a recording of another
//! year that is played into a live unit works, and a few clocks that are wrong do not count.
//!
//! A group votes once it has told something new at two moments: a gateway with a name for each message
//! would outvote all sensors otherwise. Those that speak in the first `lateness` of the source, or
//! after a silence of all, vote at once: else whoever is the first to speak twice would decide alone.
//!
//! A group counts while `E >= C - idle_after`. That one rule leaves out groups that are silent,
//! groups whose event time stands still, and groups whose clocks are further behind than that; the
//! readings of the last are simply late. With `E` the oldest of those that count:
//!
//! ```text
//! watermark = max(watermark so far, max(E, C - idle_after) - lateness)
//! ```
//!
//! With nobody left the receipt time alone carries it on, so that the last window closes. A group
//! that comes back joins again without moving it back; one that was forgotten, with an event time that
//! is newer than what any forgotten one has told. In the first `lateness` of receipt time there
//! is no watermark: a first reading from a fast clock must not make all others late.
//!
//! The value is brought up to date with every reading and whenever receipt time moves, and between
//! readings it only grows, so it does not matter how often anybody asks. Closed forms only: no clock
//! is read.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::domain::time::{Timestamp, millis_of};
use crate::plan::EventTime;

/// How long a group has a say in the source's clock after it last told something new, in times of
/// `idle_after`. What its clock is off by does not age; but names that are made up have to go.
const VOTES_FOR: i64 = 4;

/// Bytes of the groups that are followed: a hundred thousand and more with names of a usual size. Names
/// that are made up must not fill the memory before they are forgotten.
const MOST_BYTES: usize = 16 << 20;

/// What a group takes beside its name, about: its places in the list, the line and the table.
const HEAD: usize = 96;

#[derive(Debug)]
pub(super) struct Watermark {
    lateness: i64,
    idle_after: i64,
    /// Every group that may count, the oldest first, by an event time that it has reached: it may
    /// have come further since, and is put where it belongs when it comes to the front. Mostly that
    /// is the end of the line; who would break its order stands in `aside`.
    line: VecDeque<(i64, usize)>,
    aside: BinaryHeap<Reverse<(i64, usize)>>,
    /// The groups by name, as places in their list.
    names: HashTable<usize>,
    hasher: RandomState,
    /// What the groups take, within `MOST_BYTES`.
    bytes: usize,
    /// Readings of groups that found no room, since somebody asked.
    unfollowed: u64,
    /// Where the next reading's group probably is: sensors mostly report in the same order, round
    /// after round, and a comparison is quicker than a look into a table.
    next: usize,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// In the order of their first readings.
    groups: Vec<Group>,
    /// The newest receipt time, ms.
    now: i64,
    first_receipt: Option<i64>,
    /// The source's clock less the receipt time, ms.
    offset: i64,
    /// Readings until the offset is taken anew.
    until_offset: usize,
    /// The newest event time of the groups that were forgotten, ms. An unknown group that is no newer may
    /// be one of them, and tells nothing new: whether a group was forgotten before a message that tells
    /// nothing is sent once more, or between the two, must make no difference.
    forgotten: i64,
    held: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Group {
    name: Box<str>,
    /// Newest event time, ms.
    newest: i64,
    /// The receipt time at which it was reached.
    reached: i64,
    /// The receipt time of its first reading, or of the first one after a silence of `VOTES_FOR`.
    first: i64,
    /// Left out of the line: it was older than what counts when it came to the top, and has told
    /// nothing new since. Who takes up a state lines all up anew.
    #[serde(skip)]
    idle: bool,
}

impl Watermark {
    pub(super) fn new(rules: &EventTime) -> Self {
        Self {
            lateness: millis_of(rules.lateness),
            idle_after: millis_of(rules.idle_after),
            line: VecDeque::new(),
            aside: BinaryHeap::new(),
            names: HashTable::new(),
            hasher: RandomState::default(),
            bytes: 0,
            unfollowed: 0,
            next: 0,
            state: State {
                groups: Vec::new(),
                now: i64::MIN,
                first_receipt: None,
                offset: 0,
                until_offset: 0,
                forgotten: i64::MIN,
                held: None,
            },
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn restore(&mut self, state: State) {
        self.state = state;
        self.name_all();
        self.line_up();
    }

    /// In milliseconds since the epoch.
    pub(super) fn millis(&self) -> Option<i64> {
        self.state.held
    }

    /// A reading has been observed.
    pub(super) fn has_spoken(&self) -> bool {
        self.state.first_receipt.is_some()
    }

    /// What the sensors' clocks show now, ms: that of the majority. Absent before the first reading.
    pub(super) fn clock(&self) -> Option<i64> {
        self.has_spoken().then(|| self.state.now.saturating_add(self.state.offset))
    }

    /// How many readings since the last call were of groups that found no room: they move nothing.
    pub(super) fn take_unfollowed(&mut self) -> u64 {
        std::mem::take(&mut self.unfollowed)
    }

    /// Receipt time has come this far; earlier moments change nothing. True if the watermark has
    /// moved.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        if now.millis() <= self.state.now {
            return false;
        }
        self.state.now = now.millis();
        self.settle()
    }

    /// Brings the watermark up to date. True if it has moved.
    fn settle(&mut self) -> bool {
        let Some(first) = self.state.first_receipt else { return false };
        if self.state.now < first.saturating_add(self.lateness) {
            return false;
        }
        let floor = self.floor();
        // With nobody left that counts, receipt time alone carries it on.
        let reached = self.oldest_from(floor).unwrap_or(floor);
        let watermark = reached.saturating_sub(self.lateness);
        let moved = self.state.held.is_none_or(|held| held < watermark);
        if moved {
            self.state.held = Some(watermark);
        }
        moved
    }

    /// A reading of this group has arrived. The caller has advanced to its receipt time. One that
    /// tells nothing new of its group, such as a message that a broker sends once more, changes
    /// nothing. True if the watermark has moved.
    pub(super) fn observe(&mut self, group: &str, event_time: i64) -> bool {
        let reached = self.state.now;
        let heard_since = self.heard_since();
        if let Some(at) = self.find(group) {
            self.next = at + 1;
            let known = &mut self.state.groups[at];
            if event_time <= known.newest {
                return false;
            }
            if known.idle {
                stand(&mut self.line, &mut self.aside, (event_time, at));
            }
            // Whether it was forgotten in between makes no difference.
            if known.reached < heard_since {
                known.first = reached;
            }
            (known.newest, known.reached, known.idle) = (event_time, reached, false);
        } else if event_time <= self.state.forgotten {
            return false;
        } else if self.bytes + HEAD + group.len() <= MOST_BYTES {
            self.follow(group, event_time);
        } else {
            // Those that it follows keep their places; the turn of the next offset comes, and with it
            // that of those to be forgotten.
            self.unfollowed += 1;
        }
        if self.state.until_offset == 0 {
            self.take_offset();
            self.state.until_offset = self.state.groups.len() / 2;
        } else {
            self.state.until_offset -= 1;
        }
        self.settle()
    }

    /// A group's first reading, by what is remembered.
    fn follow(&mut self, group: &str, event_time: i64) {
        let (at, now) = (self.state.groups.len(), self.state.now);
        self.state.first_receipt.get_or_insert(now);
        self.state.groups.push(Group {
            name: group.into(),
            newest: event_time,
            reached: now,
            first: now,
            idle: false,
        });
        self.name(at);
        self.next = at + 1;
        stand(&mut self.line, &mut self.aside, (event_time, at));
    }

    /// Where a group is in the list.
    fn find(&self, group: &str) -> Option<usize> {
        let groups = &self.state.groups;
        let next = if self.next < groups.len() { self.next } else { 0 };
        if groups.get(next).is_some_and(|next| *next.name == *group) {
            return Some(next);
        }
        let hash = self.hasher.hash_one(group);
        self.names.find(hash, |&at| *groups[at].name == *group).copied()
    }

    /// Enters a group of the list under its name.
    fn name(&mut self, at: usize) {
        let (groups, hasher) = (&self.state.groups, &self.hasher);
        let hash = |at: usize| hasher.hash_one(&*groups[at].name);
        self.names.insert_unique(hash(at), at, |&at| hash(at));
        self.bytes += HEAD + groups[at].name.len();
    }

    fn name_all(&mut self) {
        self.names.clear();
        self.bytes = 0;
        for at in 0..self.state.groups.len() {
            self.name(at);
        }
    }

    /// The receipt clock has been set: what was received at `t` counts as received at `t + by` ms.
    pub(super) fn step(&mut self, by: i64) {
        if self.state.now != i64::MIN {
            self.state.now = self.state.now.saturating_add(by);
        }
        self.state.first_receipt = self.state.first_receipt.map(|first| first.saturating_add(by));
        self.state.offset = self.state.offset.saturating_sub(by);
        for group in &mut self.state.groups {
            group.reached = group.reached.saturating_add(by);
            group.first = group.first.saturating_add(by);
        }
    }

    /// Everything that could come has come.
    pub(super) fn finish(&mut self) {
        self.state.held = Some(i64::MAX);
    }

    /// Event times older than this do not count.
    fn floor(&self) -> i64 {
        self.state.now.saturating_add(self.state.offset).saturating_sub(self.idle_after)
    }

    /// Who told nothing new since then, in receipt time, has no say.
    fn heard_since(&self) -> i64 {
        self.state.now.saturating_sub(self.idle_after.saturating_mul(VOTES_FOR))
    }

    /// The lower median of those groups that vote, of all that told something new within `VOTES_FOR`. The
    /// others, should they not count any more, are forgotten: names that are made up must not fill the
    /// memory.
    fn take_offset(&mut self) {
        let (floor, heard_since) = (self.floor(), self.heard_since());
        let kept = |group: &Group| group.reached >= heard_since || group.newest >= floor;
        if !self.state.groups.iter().all(kept) {
            self.forget(kept);
        }
        let heard = self.state.groups.iter().filter(|group| group.reached >= heard_since);
        let Some(began) = heard.clone().map(|group| group.first).min() else { return };
        let at_once = began.saturating_add(self.lateness);
        let voting = heard.filter(|group| group.reached > group.first || group.first <= at_once);
        // The first of them is among these.
        let mut offsets: Vec<i64> = voting.map(|g| g.newest.saturating_sub(g.reached)).collect();
        let middle = (offsets.len() - 1) / 2;
        let (_, median, _) = offsets.select_nth_unstable(middle);
        self.state.offset = *median;
        // The floor may be lower now, and some of them count again.
        let floor = self.floor();
        if self.state.groups.iter().any(|group| group.idle && group.newest >= floor) {
            self.line_up();
        }
    }

    /// The oldest event time, of those that are not older than this, at which a group stands.
    fn oldest_from(&mut self, floor: i64) -> Option<i64> {
        loop {
            let in_line = self.line.front().copied();
            let aside = self.aside.peek().map(|Reverse(first)| *first);
            let from_line = in_line.is_some() && (aside.is_none() || in_line <= aside);
            let (time, at) = if from_line { in_line } else { aside }?;
            let group = &mut self.state.groups[at];
            if time == group.newest && time >= floor {
                return Some(time);
            }
            if from_line {
                self.line.pop_front();
            } else {
                self.aside.pop();
            }
            group.idle = group.newest < floor;
            if !group.idle {
                stand(&mut self.line, &mut self.aside, (group.newest, at));
            }
        }
    }

    fn forget(&mut self, kept: impl Fn(&Group) -> bool) {
        let state = &mut self.state;
        let gone = state.groups.iter().filter(|group| !kept(group)).map(|group| group.newest);
        state.forgotten = gone.fold(state.forgotten, i64::max);
        state.groups.retain(kept);
        self.name_all();
        self.line_up();
    }

    /// Puts all groups into their line anew.
    fn line_up(&mut self) {
        let groups = self.state.groups.iter_mut().enumerate();
        let entries = groups.map(|(at, group)| {
            group.idle = false;
            (group.newest, at)
        });
        let mut line: Vec<(i64, usize)> = entries.collect();
        line.sort_unstable();
        self.line = line.into();
        self.aside.clear();
    }
}

/// Puts a group where it belongs.
fn stand(
    line: &mut VecDeque<(i64, usize)>,
    aside: &mut BinaryHeap<Reverse<(i64, usize)>>,
    group: (i64, usize),
) {
    if line.back().is_none_or(|last| *last <= group) {
        line.push_back(group);
    } else {
        aside.push(Reverse(group));
    }
}

#[cfg(test)]
mod tests;

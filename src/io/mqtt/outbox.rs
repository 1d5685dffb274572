//! What has to go out: in order, kept until acknowledged, newest first word on a retained topic.
//!
//! Plain data without a connection; the session moves it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::MqttStats;

/// Publications that may wait.
const MAX_WAITING: usize = 10_000;
/// Bytes of topics and payloads that may wait.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// A publication on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// QoS 1: kept until acknowledged. Else QoS 0.
    pub(super) confirmed: bool,
    pub(super) retain: bool,
    /// On the port clock's `elapsed`.
    pub(super) expires_at: Option<Duration>,
}

impl Outgoing {
    fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

#[derive(Debug)]
struct Flying {
    publication: Outgoing,
    /// Which one it is of all that were pushed.
    nth: u64,
    /// Counts what was handed to this connection.
    turn: u64,
    /// Set when it is on the wire.
    packet_id: Option<u16>,
    /// A newer retained one on its topic has left for good: this one must not follow it.
    outdone: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// In the order in which they were pushed; before them, the flying ones in theirs.
    waiting: VecDeque<Waiting>,
    flying: VecDeque<Flying>,
    pushed: u64,
    turns: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    publication: Outgoing,
    nth: u64,
    tries: Tries,
}

/// Whether a publication has been on the wire before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tries {
    First,
    Again,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.flying.len()
    }

    /// How many, from the first that was pushed on, are done with.
    pub(super) fn done(&self) -> u64 {
        let flying = self.flying.front().map(|flying| flying.nth);
        let waiting = self.waiting.front().map(|waiting| waiting.nth);
        flying.into_iter().chain(waiting).min().unwrap_or(self.pushed)
    }

    pub(super) fn has_room_for(&self, publication: &Outgoing) -> bool {
        let fits = self.bytes + publication.bytes() <= MAX_WAITING_BYTES;
        self.len() == 0 || (fits && self.len() < MAX_WAITING)
    }

    /// Adds a publication at the end. A retained one takes the place of waiting retained ones on
    /// its topic: the broker would keep only the last of them. Which one it is of all, from 1.
    pub(super) fn push(&mut self, publication: Outgoing, stats: &mut MqttStats) -> u64 {
        if publication.retain {
            let before = self.waiting.len();
            let bytes = &mut self.bytes;
            self.waiting.retain(|Waiting { publication: old, .. }| {
                let replaced = old.retain && old.topic == publication.topic;
                if replaced {
                    *bytes -= old.bytes();
                }
                !replaced
            });
            stats.superseded += (before - self.waiting.len()) as u64;
        }
        self.bytes += publication.bytes();
        let (nth, tries) = (self.pushed, Tries::First);
        self.waiting.push_back(Waiting { publication, nth, tries });
        self.pushed += 1;
        self.pushed
    }

    /// Makes room: gives up the oldest waiting publication, one that is not retained if there is
    /// any. `None` when nothing waits.
    pub(super) fn drop_oldest(&mut self, stats: &mut MqttStats) -> Option<Outgoing> {
        let at = self.waiting.iter().position(|old| !old.publication.retain).unwrap_or(0);
        let dropped = self.waiting.remove(at)?.publication;
        self.bytes -= dropped.bytes();
        stats.dropped_overflow += 1;
        Some(dropped)
    }

    /// The next publication to hand to the connection, unless `window` turns are still open.
    /// Drops what has expired on the way.
    ///
    /// The window counts turns from the oldest open one, not open ones: packet ids are given round
    /// robin, so none is ever used twice at a time, in whatever order the broker acknowledges.
    pub(super) fn next(
        &mut self,
        now: Duration,
        window: u64,
        stats: &mut MqttStats,
    ) -> Option<&Outgoing> {
        if self.flying.front().is_some_and(|oldest| self.turns - oldest.turn >= window) {
            return None;
        }
        while let Some(Waiting { publication: first, .. }) = self.waiting.front() {
            if first.expires_at.is_none_or(|end| now < end) {
                break;
            }
            self.bytes -= first.bytes();
            stats.dropped_expired += 1;
            tracing::warn!("{}: expired before the MQTT broker took it", first.topic);
            self.waiting.pop_front();
        }
        self.waiting.front().map(|waiting| &waiting.publication)
    }

    /// The publication that `next` gave has been handed over.
    pub(super) fn handed_over(&mut self, stats: &mut MqttStats) {
        if let Some(Waiting { publication, nth, tries }) = self.waiting.pop_front() {
            stats.resent += u64::from(tries == Tries::Again);
            self.flying.push_back(Flying {
                publication,
                nth,
                turn: self.turns,
                packet_id: None,
                outdone: false,
            });
            self.turns += 1;
        }
    }

    /// The publication that `next` gave is refused without a try.
    pub(super) fn discard_next(&mut self) -> Option<Outgoing> {
        let publication = self.waiting.pop_front()?.publication;
        self.bytes -= publication.bytes();
        Some(publication)
    }

    /// The oldest publication handed over that was not yet on the wire is there now.
    pub(super) fn transmitted(&mut self, packet_id: u16, stats: &mut MqttStats) {
        let Some(at) = self.flying.iter().position(|flying| flying.packet_id.is_none()) else {
            return;
        };
        if let Some(flying) = self.flying.get_mut(at)
            && flying.publication.confirmed
        {
            flying.packet_id = Some(packet_id);
            return;
        }
        if self.take_off(at).is_some() {
            stats.sent += 1;
        }
    }

    /// The broker has answered for this packet; the publication is done with.
    pub(super) fn answered(&mut self, packet_id: u16) -> Option<Outgoing> {
        let at = self.flying.iter().position(|flying| flying.packet_id == Some(packet_id))?;
        self.take_off(at)
    }

    /// Removes one that is done with, and remembers it with those it outdoes.
    fn take_off(&mut self, at: usize) -> Option<Outgoing> {
        let done = self.flying.remove(at)?.publication;
        self.bytes -= done.bytes();
        if done.retain {
            for older in self.flying.iter_mut().take(at) {
                let old = &older.publication;
                older.outdone |= old.retain && old.topic == done.topic;
            }
        }
        Some(done)
    }

    /// The connection is gone: what was on its way waits again, before everything newer. A
    /// retained one is left out when a newer one on its topic waits, lest the old word come last.
    pub(super) fn link_lost(&mut self, stats: &mut MqttStats) {
        while let Some(flying) = self.flying.pop_back() {
            if flying.outdone {
                self.bytes -= flying.publication.bytes();
                stats.superseded += 1;
                continue;
            }
            let tries = if flying.packet_id.is_some() { Tries::Again } else { Tries::First };
            let Flying { publication, nth, .. } = flying;
            self.waiting.push_front(Waiting { publication, nth, tries });
        }
        let mut newest = BTreeSet::new();
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        while let Some(waiting) = self.waiting.pop_back() {
            let publication = &waiting.publication;
            if publication.retain && !newest.insert(publication.topic.clone()) {
                self.bytes -= publication.bytes();
                stats.superseded += 1;
            } else {
                kept.push_front(waiting);
            }
        }
        self.waiting = kept;
        self.turns = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn publication(topic: u8, n: usize, retain: bool) -> Outgoing {
        Outgoing {
            topic: format!("t/{topic}"),
            payload: n.to_string().into_bytes(),
            confirmed: true,
            retain,
            expires_at: None,
        }
    }

    fn hand_over(outbox: &mut Outbox, window: u64, stats: &mut MqttStats) -> Option<Outgoing> {
        let next = outbox.next(Duration::ZERO, window, stats).cloned()?;
        outbox.handed_over(stats);
        Some(next)
    }

    #[test]
    fn the_newest_retained_word_wins_while_waiting_and_after_a_break() {
        let (mut outbox, mut stats) = (Outbox::default(), MqttStats::default());
        outbox.push(publication(1, 1, true), &mut stats);
        outbox.push(publication(2, 2, true), &mut stats);
        outbox.push(publication(1, 3, true), &mut stats);
        assert_eq!((outbox.len(), stats.superseded), (2, 1));
        assert_eq!(hand_over(&mut outbox, 9, &mut stats), Some(publication(2, 2, true)));
        outbox.push(publication(2, 4, true), &mut stats);
        outbox.transmitted(1, &mut stats);
        outbox.link_lost(&mut stats);
        assert_eq!(hand_over(&mut outbox, 9, &mut stats), Some(publication(1, 3, true)));
        assert_eq!(hand_over(&mut outbox, 9, &mut stats), Some(publication(2, 4, true)));
        assert_eq!((outbox.len(), stats.superseded, stats.resent), (2, 2, 0));
    }

    #[test]
    fn the_window_is_held_by_the_oldest_open_turn() {
        let (mut outbox, mut stats) = (Outbox::default(), MqttStats::default());
        for n in 0..4 {
            outbox.push(publication(0, n, false), &mut stats);
        }
        for packet_id in [1, 2] {
            assert!(hand_over(&mut outbox, 2, &mut stats).is_some());
            outbox.transmitted(packet_id, &mut stats);
        }
        assert!(outbox.answered(2).is_some());
        assert_eq!(hand_over(&mut outbox, 2, &mut stats), None, "1 is still open");
        assert!(outbox.answered(1).is_some());
        assert!(outbox.answered(1).is_none());
        assert!(hand_over(&mut outbox, 2, &mut stats).is_some());
    }

    #[test]
    fn what_has_expired_is_not_sent() {
        let (mut outbox, mut stats) = (Outbox::default(), MqttStats::default());
        let mut short = publication(0, 0, true);
        short.expires_at = Some(Duration::from_secs(5));
        outbox.push(short, &mut stats);
        outbox.push(publication(1, 1, true), &mut stats);
        let next = outbox.next(Duration::from_secs(5), 9, &mut stats).cloned();
        assert_eq!((next, stats.dropped_expired), (Some(publication(1, 1, true)), 1));
    }

    #[test]
    fn a_full_queue_gives_up_what_is_not_retained_first() {
        let (mut outbox, mut stats) = (Outbox::default(), MqttStats::default());
        assert_eq!(outbox.drop_oldest(&mut stats), None);
        outbox.push(publication(0, 0, true), &mut stats);
        outbox.push(publication(1, 1, false), &mut stats);
        assert_eq!(outbox.drop_oldest(&mut stats), Some(publication(1, 1, false)));
        assert_eq!(outbox.drop_oldest(&mut stats), Some(publication(0, 0, true)));
        assert_eq!((outbox.len(), outbox.bytes, stats.dropped_overflow), (0, 0, 2));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { topic: u8, retain: bool, confirmed: bool },
        HandOver,
        Transmit,
        Answer(usize),
        Lose,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u8..4, any::<bool>(), any::<bool>())
                .prop_map(|(topic, retain, confirmed)| Step::Push { topic, retain, confirmed }),
            Just(Step::HandOver),
            Just(Step::Transmit),
            (0_usize..8).prop_map(Step::Answer),
            Just(Step::Lose),
        ]
    }

    proptest! {
        /// Whatever happens, nothing vanishes uncounted, and the last word of a retained topic is
        /// the newest one.
        #[test]
        fn nothing_vanishes(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut outbox, mut stats) = (Outbox::default(), MqttStats::default());
            let (mut pushed, mut answered, mut packet_id) = (0_u64, 0_u64, 0_u16);
            let mut last_pushed = std::collections::BTreeMap::new();
            let mut last_given = std::collections::BTreeMap::new();
            let mut open = Vec::new();
            for step in steps {
                match step {
                    Step::Push { topic, retain, confirmed } => {
                        let mut new = publication(topic, usize::try_from(pushed).unwrap(), retain);
                        new.confirmed = confirmed;
                        if retain {
                            last_pushed.insert(new.topic.clone(), new.payload.clone());
                        }
                        outbox.push(new, &mut stats);
                        pushed += 1;
                    }
                    Step::HandOver => {
                        if let Some(given) = hand_over(&mut outbox, 8, &mut stats)
                            && given.retain
                        {
                            last_given.insert(given.topic, given.payload);
                        }
                    }
                    Step::Transmit => {
                        packet_id += 1;
                        outbox.transmitted(packet_id, &mut stats);
                        open.push(packet_id);
                    }
                    Step::Answer(which) => {
                        if which < open.len() && outbox.answered(open.swap_remove(which)).is_some() {
                            answered += 1;
                        }
                    }
                    Step::Lose => {
                        outbox.link_lost(&mut stats);
                        open.clear();
                    }
                }
                let known = answered + stats.sent + stats.superseded + outbox.len() as u64;
                prop_assert_eq!(pushed, known);
                let first_open = outbox.waiting.iter().map(|w| w.nth)
                    .chain(outbox.flying.iter().map(|f| f.nth)).min();
                prop_assert_eq!(outbox.done(), first_open.unwrap_or(pushed));
                let bytes: usize = outbox.waiting.iter().map(|w| w.publication.bytes())
                    .chain(outbox.flying.iter().map(|f| f.publication.bytes())).sum();
                prop_assert_eq!(outbox.bytes, bytes);
            }
            outbox.link_lost(&mut stats);
            while let Some(given) = hand_over(&mut outbox, u64::MAX, &mut stats) {
                if given.retain {
                    last_given.insert(given.topic, given.payload);
                }
            }
            prop_assert_eq!(last_given, last_pushed);
        }
    }
}

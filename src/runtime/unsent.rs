//! What has gone out and may have to go out again: nobody knows after a crash what had reached the
//! broker. Knows nothing of disks and brokers.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::time::Timestamp;
use crate::ports::Publication;

/// Publications, and bytes of their payloads, that are kept until the broker has them; beyond it a
/// crash costs the oldest. As many as may wait for a broker that is away.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;

/// Which one a publication is that has not gone out since the start.
const NOT_OUT: u64 = u64::MAX;

#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// The newest retained publication of every topic that has not run out: what should be seen now.
    retained: BTreeMap<String, Publication>,
    /// The others until the broker has them, in order, with which one each is of all that went out.
    others: VecDeque<(u64, Publication)>,
    other_bytes: usize,
    /// Those that a crash would have cost: there were more than may be.
    forgotten: u64,
}

impl Unsent {
    /// Keeps in mind what should be seen now, and what has yet to go out.
    pub fn note(&mut self, publication: Publication) {
        if publication.retain {
            self.retained.insert(publication.topic.clone(), publication);
        } else {
            self.sent(NOT_OUT, publication);
        }
    }

    /// A publication is on its way, as the `nth` that went out. One that is retained has been noted.
    pub fn sent(&mut self, nth: u64, publication: Publication) {
        if publication.retain {
            return;
        }
        self.other_bytes += bytes(&publication);
        self.others.push_back((nth, publication));
        while self.others.len() > MOST || self.other_bytes > MOST_BYTES {
            self.forget_oldest();
            self.forgotten += 1;
        }
    }

    /// The first `done` that went out need not go out again.
    pub fn done(&mut self, done: u64) {
        while self.others.front().is_some_and(|(nth, _)| *nth <= done) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, publication)) = self.others.pop_front() {
            self.other_bytes -= bytes(&publication);
        }
    }

    /// Drops what has run out; how many.
    pub fn prune(&mut self, now: Option<Timestamp>) -> u64 {
        let Some(now) = now else { return 0 };
        let lasts = |p: &Publication| p.expiry.is_none_or(|expiry| p.ts + expiry > now);
        let before = self.retained.len() + self.others.len();
        self.retained.retain(|_, publication| lasts(publication));
        self.others.retain(|(_, publication)| lasts(publication));
        self.other_bytes = self.others.iter().map(|(_, publication)| bytes(publication)).sum();
        (before - self.retained.len() - self.others.len()) as u64
    }

    /// What has to go out at `now`: all others, which count as sent no more, and what every audience
    /// should see, each with what is left of its time.
    pub fn take(&mut self, now: Option<Timestamp>) -> Vec<Publication> {
        let others = std::mem::take(&mut self.others);
        self.other_bytes = 0;
        let mut unsent: Vec<Publication> =
            others.into_iter().map(|(_, publication)| publication).collect();
        unsent.extend(self.retained.values().cloned());
        unsent.sort_by_key(|publication| publication.ts);
        for publication in &mut unsent {
            if let (Some(now), Some(expiry)) = (now, &mut publication.expiry) {
                *expiry = expiry.saturating_sub(now.since(publication.ts));
            }
        }
        unsent
    }

    pub fn retained(&self) -> &BTreeMap<String, Publication> {
        &self.retained
    }

    /// Those that nobody keeps for who comes later, in order.
    pub fn others(&self) -> impl Iterator<Item = &Publication> {
        self.others.iter().map(|(_, publication)| publication)
    }

    pub fn stats(&self) -> serde_json::Value {
        serde_json::json!({"now": self.others.len(), "forgotten": self.forgotten})
    }
}

fn bytes(publication: &Publication) -> usize {
    publication.payload.as_str().len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn publication(topic: &str, retain: bool, expiry_s: Option<u64>) -> Publication {
        Publication {
            ts: Timestamp::default(),
            topic: topic.to_owned(),
            payload: serde_json::Value::Null.into(),
            qos: 1,
            retain,
            expiry: expiry_s.map(Duration::from_secs),
        }
    }

    fn after(seconds: u64) -> Timestamp {
        Timestamp::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn what_has_run_out_is_dropped_and_the_rest_has_less_time() {
        let mut unsent = Unsent::default();
        for (topic, expiry) in [("a", Some(10)), ("b", Some(100)), ("c", None)] {
            unsent.note(publication(topic, true, expiry));
            unsent.note(publication(topic, false, expiry));
        }
        assert_eq!(unsent.prune(Some(after(50))), 2);
        let again = unsent.take(Some(after(60)));
        let left: Vec<_> = again.iter().map(|p| p.expiry.map(|expiry| expiry.as_secs())).collect();
        assert_eq!(left, [Some(40), None, Some(40), None]);
        assert_eq!(unsent.prune(Some(after(200))), 1);
        assert_eq!(unsent.take(Some(after(200))), [publication("c", true, None)]);
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many_and_that_is_counted() {
        let mut unsent = Unsent::default();
        for nth in 1..=10_003 {
            unsent.sent(nth, publication("a", false, None));
        }
        assert_eq!(unsent.stats(), serde_json::json!({"now": 10_000, "forgotten": 3}));
        unsent.done(9_000);
        assert_eq!(unsent.others().count(), 1_003);
        // What has not gone out since the start is never done.
        unsent.note(publication("b", false, None));
        unsent.done(10_003);
        assert_eq!(unsent.others().count(), 1);
        assert_eq!(unsent.other_bytes, 4);
    }
}

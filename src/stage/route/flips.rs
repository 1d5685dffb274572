//! How often each sign has changed: a sign that changes before a driver's eyes is not believed.
//!
//! Knows nothing of why it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::direction::Audience;
use crate::domain::network::SignId;
use crate::domain::time::Timestamp;

const HOUR: Duration = Duration::from_hours(1);

/// Changes in the last hour after which a sign does not begin with what nobody has announced, or change
/// its way round that: room is left to take it back and for a closure to come and go.
const MOST_UNANNOUNCED: usize = 2;

/// The same for another way round a closed road, which may then still be taken back.
const MOST_ROUND_CLOSED: usize = 3;

/// How often signs have changed, and when each did within the last hour. To vehicles another way is no change: each is
/// told once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Flips {
    lately: BTreeMap<SignId, Vec<Timestamp>>,
    total: u64,
    most: u64,
}

impl Flips {
    pub(super) fn step(&mut self, by: i64) {
        for at in self.lately.values_mut().flatten() {
            *at = at.moved(by);
        }
    }

    pub(super) fn changed(&mut self, audience: &Audience, now: Timestamp) {
        if let Audience::Sign(sign) = audience {
            let changes = self.lately.entry(*sign).or_default();
            changes.retain(|at| now.since(*at) < HOUR);
            changes.push(now);
            self.total += 1;
            self.most = self.most.max(changes.len() as u64);
        }
    }

    /// Whether a sign may begin with what nobody has announced, or change its way once more, round a closed
    /// road or round something else; that it begins with what the operator has closed, or ends what is over, is never
    /// asked.
    pub(super) fn allow(&self, audience: &Audience, closed: bool, now: Timestamp) -> bool {
        let Audience::Sign(sign) = audience else { return true };
        let changes = self.lately.get(sign).into_iter().flatten();
        let lately = changes.filter(|at| now.since(**at) < HOUR).count();
        let most = if closed { MOST_ROUND_CLOSED } else { MOST_UNANNOUNCED };
        lately <= most
    }

    /// Changes of all signs so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Changes of one sign in one hour: the most so far.
    pub(super) fn most_in_an_hour(&self) -> u64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_may_change_so_often_an_hour_and_a_vehicle_always() {
        let at = |seconds: u64| {
            Timestamp::from_millis(1_226_386_800_000).unwrap() + Duration::from_secs(seconds)
        };
        let sign = Audience::Sign(SignId(3));
        let area = Audience::Area { tile: "1".to_owned(), part: "e1".to_owned() };
        let mut flips = Flips::default();
        for minute in 0..5 {
            let (jam, closure) = (minute <= 2, minute <= 3);
            assert_eq!(flips.allow(&sign, false, at(60 * minute)), jam, "{minute}");
            assert_eq!(flips.allow(&sign, true, at(60 * minute)), closure, "{minute}");
            assert!(flips.allow(&Audience::Sign(SignId(4)), false, at(60 * minute)));
            flips.changed(&sign, at(60 * minute));
            flips.changed(&area, at(60 * minute));
        }
        assert!(!flips.allow(&sign, true, at(300)));
        assert!(flips.allow(&area, false, at(300)));
        assert_eq!((flips.total(), flips.most_in_an_hour()), (5, 5));
        assert!(flips.allow(&sign, false, at(3_600 + 121)));
        flips.step(3_600_000);
        assert!(!flips.allow(&sign, false, at(3_600 + 121)));
    }
}

//! Levels that change only on repeated evidence.
//!
//! Knows levels only, one a window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::CongestionLevel;

/// The level of one segment. A worse level is entered when `enter_after` windows in a row were at
/// least that bad, and left when `leave_after` windows in a row were better: then it falls to the
/// worst of those. Jitter between two levels therefore stays at the worse one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hysteresis {
    enter_after: usize,
    leave_after: usize,
    /// Newest last; as many as the longer of the two looks back.
    recent: VecDeque<CongestionLevel>,
    level: Option<CongestionLevel>,
}

impl Hysteresis {
    /// Zero windows are taken as one.
    pub(super) fn new(enter_after: u32, leave_after: u32) -> Self {
        let at_least_one = |n: u32| n.max(1) as usize;
        Self {
            enter_after: at_least_one(enter_after),
            leave_after: at_least_one(leave_after),
            recent: VecDeque::new(),
            level: None,
        }
    }

    pub(super) fn level(&self) -> Option<CongestionLevel> {
        self.level
    }

    pub(super) fn push(&mut self, observed: CongestionLevel) {
        if self.recent.len() == self.enter_after.max(self.leave_after) {
            self.recent.pop_front();
        }
        self.recent.push_back(observed);
        let last =
            |n: usize| (self.recent.len() >= n).then(|| self.recent.iter().rev().take(n).copied());
        let entered = last(self.enter_after).and_then(Iterator::min);
        let left = last(self.leave_after).and_then(Iterator::max);
        self.level = match (self.level, entered, left) {
            (Some(now), Some(worse), _) if worse > now => Some(worse),
            (Some(now), _, Some(better)) if better < now => Some(better),
            (Some(now), _, _) => Some(now),
            // Out of the unknown: one window is enough to see that traffic flows freely, but a
            // worse level has to be entered like any other.
            (None, Some(level), _) => Some(level),
            (None, None, _) if observed == CongestionLevel::FreeFlow => Some(observed),
            (None, None, _) => None,
        };
    }

    /// Forgets everything: the level is unknown.
    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.level = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(letter: char) -> Option<CongestionLevel> {
        match letter {
            'f' => Some(CongestionLevel::FreeFlow),
            'h' => Some(CongestionLevel::Heavy),
            's' => Some(CongestionLevel::Slow),
            'q' => Some(CongestionLevel::Queuing),
            'x' => Some(CongestionLevel::Stationary),
            _ => None,
        }
    }

    #[test]
    fn table() {
        for (enter, leave, observed, expected) in [
            (2, 3, "qqq", "?qq"),
            (2, 3, "fqf", "fff"),
            (2, 3, "fqqfff", "ffqqqf"),
            // Two better windows and a bad one: the count begins again.
            (2, 3, "qqffqfff", "?qqqqqqf"),
            // At least that bad: slow and standing together make slow.
            (2, 3, "fsxx", "ffsx"),
            // Left by one better level, falls to the worst of the better ones.
            (2, 3, "xxqsq", "?xxxq"),
            (2, 2, "qqsf", "?qqs"),
            (1, 1, "fqshx", "fqshx"),
            (0, 0, "fq", "fq"),
            (3, 1, "fqqqf", "fffqf"),
        ] {
            let mut hysteresis = Hysteresis::new(enter, leave);
            for (step, (seen, then)) in observed.chars().zip(expected.chars()).enumerate() {
                hysteresis.push(level(seen).unwrap());
                assert_eq!(hysteresis.level(), level(then), "{enter} {leave} {observed} at {step}");
            }
        }
    }

    #[test]
    fn cleared_is_unknown() {
        let mut hysteresis = Hysteresis::new(2, 3);
        hysteresis.push(CongestionLevel::FreeFlow);
        hysteresis.clear();
        assert_eq!(hysteresis.level(), None);
        hysteresis.push(CongestionLevel::Queuing);
        assert_eq!(hysteresis.level(), None);
    }

    proptest! {
        #[test]
        fn a_level_was_seen_that_bad_often_enough(
            enter in 1_u32..4,
            leave in 1_u32..4,
            observed in proptest::collection::vec(0_usize..5, 1..40),
        ) {
            let levels = ['f', 'h', 's', 'q', 'x'].map(|l| level(l).unwrap());
            let observed: Vec<_> = observed.into_iter().map(|i| levels[i]).collect();
            let mut hysteresis = Hysteresis::new(enter, leave);
            for (i, &seen) in observed.iter().enumerate() {
                let before = hysteresis.level();
                hysteresis.push(seen);
                let after = hysteresis.level();
                if after > before && after != Some(CongestionLevel::FreeFlow) {
                    let from = (i + 1).saturating_sub(enter as usize);
                    prop_assert!(observed[from..=i].iter().all(|&l| Some(l) >= after));
                    prop_assert!(i + 1 >= enter as usize);
                }
                if after < before {
                    prop_assert!(i + 1 >= leave as usize);
                    let from = i + 1 - leave as usize;
                    prop_assert!(observed[from..=i].iter().all(|&l| Some(l) < before));
                }
            }
        }
    }
}

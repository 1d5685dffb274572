//! Where windows begin: on a grid over the epoch, or over the local days of a time zone.
//!
//! A slot is the piece of time between two neighbouring moments of the grid; a window is a whole
//! number of slots. Over the epoch all slots are equally long. Over local time they follow the wall
//! clock: a grid of six hours begins at 00:00, 06:00, 12:00 and 18:00 also on the days on which
//! clocks are set, and the slot that holds the change is shorter or longer. An hour that the wall
//! clock shows twice is two slots where the grid is no longer than the change, and one otherwise.
//!
//! Where the clock runs on, slots are counted, not walked: what a call costs are two or three conversions
//! a day that it passes, and some thirty more where clocks are set.

use chrono::{Offset, TimeZone, Utc};
use chrono_tz::Tz;

const DAY: i64 = 86_400_000;

/// The moments at which slots begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Length of a slot by the wall clock, ms; divides the day where there is a zone.
    every: i64,
    zone: Option<Tz>,
}

/// Clocks are set. No zone has done it twice within three days, and none by more than a day.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// The first moment with the new offset, ms.
    at: i64,
    /// What is added to UTC, ms.
    before: i64,
    after: i64,
}

impl Grid {
    pub(super) fn new(every: i64, zone: Option<Tz>) -> Self {
        Self { every: every.max(1), zone }
    }

    /// Start of the slot that holds this moment.
    pub(super) fn floor(&self, time: i64) -> i64 {
        match self.zone {
            None => self.down(time),
            Some(zone) => self.back(zone, time, 1),
        }
    }

    /// Start of the slot `slots` after the one that starts here.
    pub(super) fn after(&self, start: i64, slots: i64) -> i64 {
        match self.zone {
            None => start.saturating_add(slots.saturating_mul(self.every)),
            Some(zone) => self.on(zone, start, slots),
        }
    }

    /// Start of the slot `slots` before the one that starts here.
    pub(super) fn before(&self, start: i64, slots: i64) -> i64 {
        match self.zone {
            None => start.saturating_sub(slots.saturating_mul(self.every)),
            Some(_) if slots == 0 => start,
            Some(zone) => self.back(zone, start - 1, slots),
        }
    }

    /// The start that is `slots` behind this one.
    fn on(&self, zone: Tz, start: i64, slots: i64) -> i64 {
        let (mut start, mut left) = (start, slots);
        while left > 0 {
            let hop = left.min(self.slots_a_day());
            let offset = offset(zone, start);
            // Where clocks were set at `start`, the wall clock may stand between two marks of the grid.
            let first = self.down(start + offset);
            let goal = first + hop * self.every - offset;
            match change(zone, start, goal) {
                None => (start, left) = (goal, left - hop),
                Some(change) => {
                    let last = self.down(change.at - 1 + offset);
                    start = self.first_from(change);
                    left -= (last - first) / self.every + 1;
                }
            }
        }
        start
    }

    /// The start at or before this moment that has `slots - 1` others behind it.
    fn back(&self, zone: Tz, time: i64, slots: i64) -> i64 {
        let (mut time, mut left) = (time, slots);
        loop {
            let hop = left.min(self.slots_a_day());
            let offset = offset(zone, time);
            let last = self.down(time + offset);
            let goal = last - (hop - 1) * self.every - offset;
            // What is shown once more lasts no longer than a day, and nor does the hop.
            let change = change(zone, time - 2 * DAY, time);
            let first = change.map(|change| (change.at, self.first_from(change)));
            let Some((set_at, first)) = first.filter(|(_, first)| *first > goal) else {
                if left == hop {
                    return goal;
                }
                (time, left) = (goal - 1, left - hop);
                continue;
            };
            if first <= time {
                let held = (last - self.down(first + offset)) / self.every + 1;
                if held == left {
                    return first;
                }
                left -= held;
            }
            time = set_at - 1;
        }
    }

    /// The first start at or after a change.
    fn first_from(&self, Change { at, before, after }: Change) -> i64 {
        let shown_again = before - after;
        let from = if shown_again > 0 && shown_again % self.every == 0 { after } else { before };
        // A mark that the clock jumps over is at the jump.
        (self.down(at + from - 1) + self.every - after).max(at)
    }

    /// The mark of the grid at or before a time of the wall clock (or of UTC, without a zone).
    fn down(&self, wall: i64) -> i64 {
        wall - wall.rem_euclid(self.every)
    }

    fn slots_a_day(&self) -> i64 {
        (DAY / self.every).max(1)
    }
}

/// The only change of clocks after `from` and up to `to`, which are no more than three days apart.
fn change(zone: Tz, from: i64, to: i64) -> Option<Change> {
    let (before, after) = (offset(zone, from), offset(zone, to));
    if before == after {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(zone, middle) == before { low = middle } else { high = middle }
    }
    Some(Change { at: high, before, after })
}

/// What the zone's clocks show more than UTC, ms; nothing in years that no calendar has.
fn offset(zone: Tz, time: i64) -> i64 {
    Utc.timestamp_millis_opt(time).single().map_or(0, |moment| {
        let offset = zone.offset_from_utc_datetime(&moment.naive_utc());
        i64::from(offset.fix().local_minus_utc()) * 1_000
    })
}

#[cfg(test)]
mod tests;

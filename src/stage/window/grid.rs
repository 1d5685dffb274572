//! Where windows begin: on a grid over the epoch, or over the local days of a time zone.
//!
//! A slot is the piece of time between two neighbouring moments of the grid; a window is a whole
//! number of slots. Over the epoch all slots are equally long. Over local time they follow the wall
//! clock: a grid of six hours begins at 00:00, 06:00, 12:00 and 18:00 also on the days on which
//! clocks are set, and the slot that holds the change is shorter or longer. An hour that the wall
//! clock shows twice is two slots where the grid is no longer than the change, and one otherwise.

use chrono::{Days, LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

const DAY: i64 = 86_400_000;

/// The moments at which slots begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    /// Length of a slot by the wall clock, ms; divides the day where there is a zone.
    every: i64,
    zone: Option<Tz>,
}

impl Grid {
    pub(super) fn new(every: i64, zone: Option<Tz>) -> Self {
        Self { every: every.max(1), zone }
    }

    /// Start of the slot that holds this moment.
    pub(super) fn floor(&self, time: i64) -> i64 {
        match self.zone {
            None => time - time.rem_euclid(self.every),
            Some(zone) => self.local_floor(zone, time).unwrap_or(time),
        }
    }

    /// Start of the slot `slots` after the one that starts here.
    pub(super) fn after(&self, start: i64, slots: i64) -> i64 {
        match self.zone {
            None => start.saturating_add(slots.saturating_mul(self.every)),
            Some(_) => (0..slots).fold(start, |start, _| self.next(start)),
        }
    }

    /// Start of the slot `slots` before the one that starts here.
    pub(super) fn before(&self, start: i64, slots: i64) -> i64 {
        match self.zone {
            None => start.saturating_sub(slots.saturating_mul(self.every)),
            Some(_) => (0..slots).fold(start, |start, _| self.floor(start - 1)),
        }
    }

    /// Start of the next slot, in local time: no change of clocks is longer than a day.
    fn next(&self, start: i64) -> i64 {
        let zone = self.zone.unwrap_or(Tz::UTC);
        let found = local(zone, start).and_then(|wall| {
            let midnight = wall.date().and_time(NaiveTime::MIN);
            (0..=2)
                .flat_map(|day| self.starts_of_day(zone, midnight, day))
                .filter(|moment| *moment > start)
                .min()
        });
        found.unwrap_or(start + self.every)
    }

    fn local_floor(&self, zone: Tz, time: i64) -> Option<i64> {
        let midnight = local(zone, time)?.date().and_time(NaiveTime::MIN);
        (-1..=1)
            .flat_map(|day| self.starts_of_day(zone, midnight, day))
            .filter(|moment| *moment <= time)
            .max()
    }

    /// The moments of the grid on the local day `day` days from the one that begins at `midnight`.
    fn starts_of_day(
        &self,
        zone: Tz,
        midnight: NaiveDateTime,
        day: i64,
    ) -> impl Iterator<Item = i64> + use<> {
        let shifted = if day < 0 {
            midnight.checked_sub_days(Days::new(day.unsigned_abs()))
        } else {
            midnight.checked_add_days(Days::new(day.unsigned_abs()))
        };
        let every = self.every;
        shifted.into_iter().flat_map(move |midnight| {
            (0..DAY / every).flat_map(move |slot| {
                let wall = midnight + TimeDelta::milliseconds(slot * every);
                moments(zone, wall, every)
            })
        })
    }
}

fn local(zone: Tz, time: i64) -> Option<NaiveDateTime> {
    Some(Utc.timestamp_millis_opt(time).single()?.with_timezone(&zone).naive_local())
}

/// When the wall clock of the zone shows this: once, twice, or, in the gap of a change, at the
/// moment of the change.
fn moments(zone: Tz, wall: NaiveDateTime, every: i64) -> Vec<i64> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(moment) => vec![moment.timestamp_millis()],
        LocalResult::Ambiguous(first, second) => {
            let (first, second) = (first.timestamp_millis(), second.timestamp_millis());
            if (second - first) % every == 0 { vec![first, second] } else { vec![first] }
        }
        LocalResult::None => {
            // The clock jumps over `wall`. The offset before the jump puts it at or after the jump,
            // and the first minute of the new offset is the jump itself.
            let before = wall - TimeDelta::days(1);
            let Some(day_before) = zone.from_local_datetime(&before).earliest() else {
                return Vec::new();
            };
            jump(zone, day_before.timestamp_millis(), DAY * 2).into_iter().collect()
        }
    }
}

/// The moment within `span` after `from` at which the zone's offset grows, by bisection.
fn jump(zone: Tz, from: i64, span: i64) -> Option<i64> {
    let offset = |time: i64| Some(local(zone, time)?.and_utc().timestamp_millis() - time);
    let (mut low, mut high) = (from, from + span);
    let old = offset(low)?;
    if offset(high)? <= old {
        return None;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(middle)? > old { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::Timestamp;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    fn at(text: &str) -> i64 {
        Timestamp::parse(text).unwrap().millis()
    }

    fn rome(every: i64) -> Grid {
        Grid::new(every, Some(Tz::Europe__Rome))
    }

    /// The starts within a span, by walking.
    fn starts(grid: Grid, from: &str, until: &str) -> Vec<String> {
        let mut start = grid.floor(at(from));
        let mut found = Vec::new();
        while start < at(until) {
            found.push(Timestamp::from_millis(start).unwrap().to_string()[5..16].to_owned());
            start = grid.after(start, 1);
        }
        found
    }

    #[test]
    fn over_the_epoch_all_slots_are_equal_on_both_sides_of_it() {
        let grid = Grid::new(MINUTE, None);
        assert_eq!((grid.floor(61_000), grid.floor(-1)), (MINUTE, -MINUTE));
        assert_eq!((grid.after(0, 3), grid.before(0, 3)), (3 * MINUTE, -3 * MINUTE));
    }

    #[test]
    fn a_local_day_has_23_or_25_hours_where_clocks_are_set() {
        let days = rome(DAY);
        let spring = days.floor(at("2026-03-29T10:00:00Z"));
        assert_eq!(spring, at("2026-03-28T23:00:00Z"));
        assert_eq!(days.after(spring, 1) - spring, 23 * HOUR);
        let autumn = days.floor(at("2026-10-25T10:00:00Z"));
        assert_eq!(days.after(autumn, 1) - autumn, 25 * HOUR);
        assert_eq!(days.before(days.after(autumn, 1), 2), days.floor(autumn - 1));
    }

    #[test]
    fn quarters_of_the_day_follow_the_wall_clock() {
        // 00:00, 06:00 (UTC+2 from 02:00 on), 12:00, 18:00.
        assert_eq!(
            starts(rome(6 * HOUR), "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ["03-28T23:00", "03-29T04:00", "03-29T10:00", "03-29T16:00"]
        );
        assert_eq!(
            starts(rome(6 * HOUR), "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ["10-24T22:00", "10-25T05:00", "10-25T11:00", "10-25T17:00"]
        );
    }

    #[test]
    fn an_hour_shown_twice_is_two_slots_and_one_not_shown_is_none() {
        // The wall clock shows 02:00 to 03:00 at 00:00Z and again at 01:00Z.
        assert_eq!(
            starts(rome(HOUR), "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z"),
            ["10-24T23:00", "10-25T00:00", "10-25T01:00", "10-25T02:00"]
        );
        // And passes over it in spring, at 01:00Z.
        assert_eq!(
            starts(rome(HOUR), "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z"),
            ["03-29T00:00", "03-29T01:00", "03-29T02:00"]
        );
        // Slots of two hours: the one from 00:00 has three.
        assert_eq!(
            starts(rome(2 * HOUR), "2026-10-24T22:00:00Z", "2026-10-25T05:00:00Z"),
            ["10-24T22:00", "10-25T00:00", "10-25T03:00"]
        );
        assert_eq!(
            starts(rome(2 * HOUR), "2026-03-28T23:00:00Z", "2026-03-29T04:00:00Z"),
            ["03-28T23:00", "03-29T01:00", "03-29T02:00"]
        );
    }

    #[test]
    fn a_change_of_half_an_hour_or_at_midnight() {
        // Lord Howe goes back from 02:00 to 01:30 at 15:00Z.
        let howe = Grid::new(HOUR, Some(Tz::Australia__Lord_Howe));
        assert_eq!(
            starts(howe, "2026-04-04T14:00:00Z", "2026-04-04T17:00:00Z"),
            ["04-04T14:00", "04-04T15:30", "04-04T16:30"]
        );
        // Beirut's clocks jump at midnight: the day begins at 01:00 local time.
        let beirut = Grid::new(DAY, Some(Tz::Asia__Beirut));
        assert_eq!(beirut.floor(at("2026-03-29T10:00:00Z")), at("2026-03-28T22:00:00Z"));
        assert_eq!(beirut.floor(at("2026-03-28T21:59:59Z")), at("2026-03-27T22:00:00Z"));
    }

    proptest! {
        /// Slots leave no moment out and hold none twice, and walking back undoes walking on.
        #[test]
        fn slots_cover_all_time(
            time in 1_700_000_000_000_i64..1_900_000_000_000,
            every in prop::sample::select(vec![15 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY]),
            zone in prop::sample::select(vec![
                None, Some(Tz::Europe__Rome), Some(Tz::Australia__Lord_Howe),
                Some(Tz::America__New_York), Some(Tz::Asia__Kolkata), Some(Tz::Asia__Beirut),
            ]),
            slots in 0_i64..6,
        ) {
            let grid = Grid::new(every, zone);
            let start = grid.floor(time);
            let next = grid.after(start, 1);
            prop_assert!(start <= time && time < next);
            prop_assert_eq!(grid.floor(start), start);
            prop_assert_eq!(grid.floor(next), next);
            prop_assert_eq!(grid.floor(next - 1), start);
            prop_assert_eq!(grid.before(grid.after(start, slots), slots), start);
        }
    }
}

//! Slots on both sides of every kind of change, and against a walk over all of them.

use chrono::{Days, LocalResult, NaiveDateTime, NaiveTime, TimeDelta};
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

fn local(zone: Tz, time: i64) -> NaiveDateTime {
    Utc.timestamp_millis_opt(time).unwrap().with_timezone(&zone).naive_local()
}

/// All starts on the local days around a moment, in order, by asking the calendar for each.
fn walked(every: i64, zone: Tz, time: i64) -> Vec<i64> {
    let midnight = local(zone, time).date().and_time(NaiveTime::MIN) - Days::new(3);
    let walls = (0..7 * DAY / every).map(|slot| midnight + TimeDelta::milliseconds(slot * every));
    let mut starts: Vec<i64> = walls.flat_map(|wall| moments(zone, wall, every)).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
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
    let offset = |time: i64| local(zone, time).and_utc().timestamp_millis() - time;
    let (mut low, mut high) = (from, from + span);
    let old = offset(low);
    if offset(high) <= old {
        return None;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(middle) > old { high = middle } else { low = middle }
    }
    Some(high)
}

/// Clocks that were set: by an hour, by less and by more, at midnight, over a whole day, twice in four
/// days.
const CHANGES: [(Tz, &str); 20] = [
    (Tz::Europe__Rome, "2026-03-29T01:00:00Z"),
    (Tz::Europe__Rome, "2026-10-25T01:00:00Z"),
    (Tz::Australia__Lord_Howe, "2026-04-04T15:00:00Z"),
    (Tz::Australia__Lord_Howe, "2026-10-03T15:30:00Z"),
    (Tz::Asia__Beirut, "2026-03-28T22:00:00Z"),
    (Tz::Asia__Beirut, "2026-10-24T21:00:00Z"),
    (Tz::America__Sao_Paulo, "2018-02-18T02:00:00Z"),
    (Tz::America__Sao_Paulo, "2018-11-04T03:00:00Z"),
    (Tz::America__Havana, "2026-11-01T05:00:00Z"),
    (Tz::America__Caracas, "2007-12-09T07:00:00Z"),
    (Tz::America__Caracas, "2016-05-01T07:00:00Z"),
    (Tz::Asia__Kathmandu, "1985-12-31T18:30:00Z"),
    (Tz::Antarctica__Troll, "2026-03-29T01:00:00Z"),
    (Tz::Antarctica__Casey, "2010-03-04T15:00:00Z"),
    (Tz::Africa__Monrovia, "1972-01-07T00:44:30Z"),
    (Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
    (Tz::Pacific__Kwajalein, "1969-09-30T13:00:00Z"),
    (Tz::Pacific__Kwajalein, "1993-08-21T12:00:00Z"),
    (Tz::Africa__Freetown, "1939-09-01T01:00:00Z"),
    (Tz::Africa__Freetown, "1939-09-05T00:40:00Z"),
];

#[test]
fn a_day_by_the_second_is_counted_not_walked() {
    let grid = rome(1_000);
    // A walk would take hours.
    for day in 0..400 {
        let start = grid.floor(at("2026-01-01T12:00:00Z") + day * DAY);
        assert_eq!(grid.before(grid.after(start, 86_400), 86_400), start);
    }
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

    /// Nothing differs from a walk over all marks of the wall clock.
    #[test]
    fn slots_are_those_of_a_walk(
        (zone, set_at) in prop::sample::select(CHANGES.to_vec()),
        from in prop_oneof![-2_i64..3, -HOUR..HOUR, -26 * HOUR..26 * HOUR, -2 * DAY..2 * DAY],
        every in prop_oneof![
            1 => prop::sample::select(vec![1_000_i64, 1_500, 5_000, 27_000]),
            9 => prop::sample::select(vec![
                MINUTE, 5 * MINUTE, 15 * MINUTE, 20 * MINUTE, 40 * MINUTE, 45 * MINUTE, HOUR,
                80 * MINUTE, 90 * MINUTE, 2 * HOUR, 3 * HOUR, 6 * HOUR, 8 * HOUR, 12 * HOUR, DAY,
            ]),
        ],
        percent_of_a_day in prop_oneof![0_i64..4, 0_i64..125],
    ) {
        let time = at(set_at) + from;
        let starts = walked(every, zone, time);
        let grid = Grid::new(every, Some(zone));
        let held = starts.partition_point(|start| *start <= time) - 1;
        prop_assert_eq!(grid.floor(time), starts[held]);
        let slots = DAY / every * percent_of_a_day / 100;
        for slots in [0, 1, 2, 3, slots] {
            let many = usize::try_from(slots).unwrap();
            if let Some(start) = starts.get(held + many) {
                prop_assert_eq!(grid.after(starts[held], slots), *start, "{} after", slots);
            }
            if let Some(start) = held.checked_sub(many).and_then(|at| starts.get(at)) {
                prop_assert_eq!(grid.before(starts[held], slots), *start, "{} before", slots);
            }
        }
    }
}

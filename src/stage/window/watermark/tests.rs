//! How far event time comes with sensors that are silent, slow, wrong or forgotten.

use super::*;
use crate::plan::testing::event_time;

const EPOCH: i64 = 1_226_386_800_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(EPOCH + seconds * 1_000).unwrap()
}

struct Feed(Watermark);

impl Feed {
    fn new() -> Self {
        Self(Watermark::new(&event_time(true)))
    }
    /// A reading received at `now` with event time `ts`, both in seconds.
    fn read(&mut self, group: &str, now: i64, ts: i64) {
        self.0.advance(at(now));
        self.0.observe(group, at(ts).millis());
    }
    /// The watermark at `now`, in seconds.
    fn at(&mut self, now: i64) -> Option<i64> {
        self.0.advance(at(now));
        self.0.millis().map(|millis| (millis - EPOCH) / 1_000)
    }
}

#[test]
fn follows_the_slowest_sensor_that_counts() {
    let mut feed = Feed::new();
    for ts in [0, 30, 60] {
        feed.read("a", ts, ts);
        feed.read("b", ts + 5, ts - 5);
    }
    assert_eq!(feed.at(65), Some(45));
}

#[test]
fn none_before_lateness_has_passed_once() {
    let mut feed = Feed::new();
    assert_eq!(feed.at(0), None);
    feed.read("fast", 0, 120);
    assert_eq!(feed.at(9), None);
    feed.read("right", 9, 0);
    assert_eq!(feed.at(10), Some(-10));
}

#[test]
fn a_silent_sensor_holds_it_back_for_idle_after_only() {
    let mut feed = Feed::new();
    feed.read("a", 0, 0);
    feed.read("gone", 0, 0);
    for ts in [30, 60, 90] {
        feed.read("a", ts, ts);
    }
    assert_eq!(feed.at(90), Some(-10));
    assert_eq!(feed.at(91), Some(80));
    // Its return does not move it back.
    feed.read("gone", 92, 31);
    assert_eq!(feed.at(92), Some(80));
}

#[test]
fn receipt_time_carries_it_on_when_all_are_silent() {
    let mut feed = Feed::new();
    feed.read("a", 0, 0);
    assert_eq!(feed.at(90), Some(-10));
    assert_eq!(feed.at(200), Some(200 - 90 - 10));
    assert_eq!(feed.at(100), Some(100), "time does not run backwards");
}

#[test]
fn a_clock_an_hour_behind_stalls_nothing() {
    // From the start on: it moves all the time, but never counts.
    let mut feed = Feed::new();
    for ts in (0..600).step_by(30) {
        feed.read("a", ts, ts);
        feed.read("b", ts, ts);
        feed.read("slow", ts, ts - 3_600);
    }
    assert_eq!(feed.at(570), Some(560));
    // In the middle: its event time stands still, and it drops out after `idle_after`.
    for ts in (600..900).step_by(30) {
        feed.read("a", ts, ts);
        feed.read("b", ts, ts - 3_600);
    }
    assert_eq!(feed.at(870), Some(860));
}

#[test]
fn a_clock_that_is_ahead_is_followed_by_nobody() {
    let mut feed = Feed::new();
    for ts in (0..300).step_by(30) {
        feed.read("fast", ts, ts + 120);
        feed.read("a", ts, ts);
        feed.read("b", ts, ts);
    }
    assert_eq!(feed.at(270), Some(260));
}

#[test]
fn a_stream_of_another_year_has_its_own_clock() {
    let mut feed = Feed::new();
    let year = 365 * 86_400;
    for ts in [0, 30, 60] {
        feed.read("a", ts + year, ts);
        feed.read("b", ts + year, ts);
    }
    assert_eq!(feed.at(60 + year), Some(50));
    assert_eq!(feed.at(300 + year), Some(200));
}

#[test]
fn what_tells_nothing_new_changes_nothing() {
    let (mut once, mut again) = (Feed::new(), Feed::new());
    for ts in (0..300).step_by(10) {
        for (sensor, lag) in [("a", 0), ("b", 3), ("c", 7)] {
            once.read(sensor, ts, ts - lag);
            again.read(sensor, ts, ts - lag);
            again.read(sensor, ts, ts - lag);
            again.read("a", ts, ts - 200);
        }
        assert_eq!(once.at(ts), again.at(ts));
    }
}

#[test]
fn a_receipt_clock_that_is_set_moves_nothing() {
    for by in [3_600, -3_600] {
        let mut feed = Feed::new();
        for ts in (0..300).step_by(30) {
            let shift = if ts < 150 { 0 } else { by };
            if ts == 150 {
                feed.0.step(by * 1_000);
            }
            feed.read("a", ts + shift, ts);
            feed.read("b", ts + shift, ts);
        }
        assert_eq!(feed.at(270 + by), Some(260));
    }
}

#[test]
fn what_a_forgotten_group_has_told_is_nothing_new() {
    let (mut once, mut again) = (Feed::new(), Feed::new());
    for feed in [&mut once, &mut again] {
        feed.read("stuck", 0, 0);
        for ts in (0..480).step_by(30) {
            feed.read("a", ts, ts);
            feed.read("stuck", ts, 0);
        }
    }
    assert_eq!(again.0.state.groups.len(), 1);
    again.read("stuck", 480, 0);
    again.read("stuck", 480, -5);
    assert_eq!(once.at(600), again.at(600));
    // It has a word again as soon as it has something to say.
    again.read("stuck", 600, 600);
    assert_eq!(again.0.state.groups.len(), 2);
}

#[test]
fn names_that_are_made_up_outvote_nobody() {
    let mut feed = Feed::new();
    for ts in (0..1_800).step_by(3) {
        if ts % 30 == 0 {
            for sensor in 0..10 {
                feed.read(&format!("s{sensor}"), ts, ts);
            }
            assert_eq!(feed.at(ts), (ts > 0).then_some(ts - 10), "at {ts}");
        }
        feed.read(&format!("once{ts}"), ts, ts - 3_600);
    }
}

/// Nor after a silence of all.
#[test]
fn who_speaks_twice_first_does_not_decide_alone() {
    let mut feed = Feed::new();
    for start in [0, 3_600] {
        for ts in (start..start + 60).step_by(5) {
            if ts % 30 == 0 {
                feed.read("a", ts, ts);
                feed.read("b", ts, ts);
            }
            feed.read("fast", ts, ts + 120);
        }
        assert_eq!(feed.at(start + 60), Some(start + 20));
    }
}

#[test]
fn long_names_stay_within_their_bytes() {
    let mut feed = Feed::new();
    let long = "x".repeat(60_000);
    for ts in 0..60 {
        for sensor in ["a", "b"] {
            feed.read(sensor, ts, ts);
        }
        for i in 0..50 {
            feed.read(&format!("{ts}.{i}{long}"), ts, ts);
        }
    }
    let held: usize = feed.0.state.groups.iter().map(|group| group.name.len()).sum();
    assert!(held <= MOST_BYTES && feed.0.bytes <= MOST_BYTES, "{held} of {}", feed.0.bytes);
    let followed = feed.0.state.groups.len() as u64 - 2;
    assert_eq!((followed + feed.0.take_unfollowed(), feed.0.take_unfollowed()), (3_000, 0));
    let mut again = Watermark::new(&event_time(true));
    again.restore(feed.0.state().clone());
    assert_eq!(again.bytes, feed.0.bytes);
    // The sensors go on, and there is room again when the others have been forgotten.
    for ts in 60..900 {
        feed.read("a", ts, ts);
        feed.read("b", ts, ts);
    }
    assert_eq!(feed.at(899), Some(889));
    feed.read(&long, 900, 900);
    assert_eq!((feed.0.state.groups.len(), feed.0.take_unfollowed()), (3, 0));
}

#[test]
fn names_that_are_made_up_are_forgotten() {
    let mut feed = Feed::new();
    for i in 0..5_000 {
        feed.read(&format!("s{i}"), i, i);
    }
    assert!(feed.0.state.groups.len() < 500, "{}", feed.0.state.groups.len());
}

//! Windows, watermarks and fates, in time and out of it.

mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;

use super::*;
use crate::batch::schema_of;
use crate::plan::testing::{source, window};

const EPOCH: i64 = 1_226_386_800_000;

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    ms(EPOCH + seconds * 1_000)
}

/// One row that comes in.
#[derive(Clone, Debug)]
struct Reading {
    source: usize,
    sensor: String,
    now: Timestamp,
    ts: Timestamp,
    count: i64,
}

/// A window that was handed out: index, start, end, revision, and the counts in it, in order.
type Shown = (usize, i64, i64, u32, Vec<i64>);

const ACCEPTED: Admission = Admission::Accepted { revised: false, remembered: true };
const REVISED: Admission = Admission::Accepted { revised: true, remembered: true };

/// A windower, and what its steps come to.
struct Rig {
    sources: Vec<Source>,
    windower: Windower,
    panes: BTreeMap<(usize, i64), Vec<Vec<i64>>>,
    shown: Vec<Shown>,
}

impl Rig {
    fn new(sources: &[Source], windows: &[Window]) -> Self {
        let windower = Windower::new(sources, windows);
        Self { sources: sources.to_vec(), windower, panes: BTreeMap::new(), shown: Vec::new() }
    }

    fn over(interval_end: bool, windows: &[Window]) -> Self {
        Self::new(&[source("loops", interval_end, &[])], windows)
    }

    fn push_all(&mut self, readings: &[Reading]) -> Vec<Admission> {
        let mut rows = Vec::new();
        let mut arrivals = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let own: Vec<(usize, &Reading)> =
                readings.iter().enumerate().filter(|(_, r)| r.source == index).collect();
            let sensors: StringArray = own.iter().map(|(_, r)| Some(r.sensor.as_str())).collect();
            let times: Vec<i64> = own.iter().map(|(_, r)| r.ts.millis()).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(sensors),
                Arc::new(TimestampMillisecondArray::from(times.clone()).with_timezone("UTC")),
                Arc::new(Int64Array::from_iter_values(own.iter().map(|(_, r)| r.count))),
            ];
            let batch = RecordBatch::try_new(schema_of(&source.mapping), columns).unwrap();
            for (row, (message, reading)) in own.iter().enumerate() {
                let row = row as u32;
                arrivals.push((*message, Arrival { source: index, row, received_at: reading.now }));
            }
            let messages = own.iter().map(|(message, _)| *message as u32).collect();
            rows.push(Some(SourceRows { batch, event_times: times, messages }));
        }
        arrivals.sort_by_key(|(message, _)| *message);
        let mut admissions = Vec::new();
        let arrivals = arrivals.into_iter().map(|(_, arrival)| arrival);
        self.windower.push(&rows, arrivals, |_, admission| admissions.push(admission));
        self.work();
        admissions
    }

    fn push_from(
        &mut self,
        source: usize,
        sensor: &str,
        now: i64,
        ts: i64,
        count: i64,
    ) -> Admission {
        let sensor = sensor.to_owned();
        let reading = Reading { source, sensor, now: at(now), ts: at(ts), count };
        self.push_all(&[reading]).remove(0)
    }

    fn push(&mut self, sensor: &str, now: i64, ts: i64, count: i64) -> Admission {
        self.push_from(0, sensor, now, ts, count)
    }

    /// What has been handed out since the last look, in seconds.
    fn advance(&mut self, now: i64) -> Vec<Shown> {
        self.windower.advance(at(now));
        self.work();
        std::mem::take(&mut self.shown)
    }

    fn finish(&mut self) -> Vec<Shown> {
        self.windower.finish();
        self.work();
        assert!(self.panes.is_empty(), "panes are forgotten: {:?}", self.panes);
        std::mem::take(&mut self.shown)
    }

    fn work(&mut self) {
        for step in self.windower.take_steps() {
            match step {
                Step::Fold { window, pane, stream, rows } => {
                    let streams = self.panes.entry((window, pane)).or_default();
                    streams.resize(2, Vec::new());
                    let counts = rows.column(2).as_primitive::<Int64Type>();
                    streams[stream].extend_from_slice(counts.values());
                }
                Step::Close { closing, panes } => {
                    let of = |pane: &i64| self.panes.get(&(closing.window, *pane));
                    let streams: Vec<&Vec<Vec<i64>>> = panes.iter().filter_map(of).collect();
                    let counts = (0..2).flat_map(|stream| {
                        streams.iter().flat_map(move |streams| streams[stream].clone())
                    });
                    let seconds = |time: Timestamp| (time.millis() - EPOCH) / 1_000;
                    let bounds = (seconds(closing.start), seconds(closing.end));
                    let counts = counts.collect();
                    self.shown.push((closing.window, bounds.0, bounds.1, closing.revision, counts));
                }
                Step::Forget { window, pane } => {
                    self.panes.remove(&(window, pane));
                }
            }
        }
    }

    /// A rig that has taken up this one's state, through bytes.
    fn again(&self, windows: &[Window]) -> Self {
        let bytes = rmp_serde::to_vec(&self.windower.state()).unwrap();
        let mut next = Self::new(&self.sources, windows);
        assert!(next.windower.restore(rmp_serde::from_slice(&bytes).unwrap()));
        next.panes = self.panes.clone();
        next.shown = self.shown.clone();
        next
    }
}

fn revised_for(seconds: u64, window: Window) -> Window {
    Window { accept_for: Duration::from_secs(seconds), ..window }
}

fn sessions(gap_s: u64, longest_s: u64) -> Window {
    let shape = Shape::Session {
        gap: Duration::from_secs(gap_s),
        by: "sensor_id".to_owned(),
        longest: Duration::from_secs(longest_s),
    };
    Window { shape, ..window(60, 60) }
}

#[test]
fn a_reading_at_the_full_minute_ends_that_minute() {
    for (interval_end, start) in [(true, 0), (false, 60)] {
        let mut rig = Rig::over(interval_end, &[window(60, 60)]);
        assert_eq!(rig.push("a", 60, 60, 7), ACCEPTED);
        assert_eq!(rig.finish(), [(0, start, start + 60, 1, vec![7])]);
    }
}

#[test]
fn a_window_closes_when_the_watermark_reaches_its_end() {
    let mut rig = Rig::over(true, &[window(60, 60)]);
    for ts in [30, 60] {
        rig.push("a", ts, ts, ts);
        rig.push("b", ts, ts, ts + 1);
    }
    rig.push("a", 70, 70, 70);
    assert_eq!(rig.advance(70), []);
    assert_eq!(rig.windower.watermark(0), Some(at(50)));
    rig.push("b", 71, 71, 71);
    assert_eq!(rig.advance(71), [(0, 0, 60, 1, vec![30, 31, 60, 61])]);
    assert_eq!(rig.windower.watermark(0), Some(at(60)));
    // Of the closed minute, however little late.
    assert!(matches!(rig.push("b", 72, 60, 9), Admission::Late { .. }));
    assert_eq!(rig.push("b", 72, 61, 9), ACCEPTED);
}

#[test]
fn the_last_window_closes_without_another_reading() {
    let mut rig = Rig::over(true, &[window(60, 60)]);
    rig.push("a", 60, 60, 1);
    assert_eq!(rig.advance(159), []);
    assert_eq!(rig.advance(160), [(0, 0, 60, 1, vec![1])]);
}

#[test]
fn hopping_windows_take_a_reading_several_times_before_1970_too() {
    for base in [0, -EPOCH / 1_000 - 3_600] {
        let mut rig = Rig::over(false, &[window(60, 20)]);
        assert_eq!(rig.push("a", base + 65, base + 65, 1), ACCEPTED);
        let bounds: Vec<_> =
            rig.finish().iter().map(|(_, start, end, ..)| (start - base, end - base)).collect();
        assert_eq!(bounds, [(20, 80), (40, 100), (60, 120)]);
    }
}

#[test]
fn a_late_reading_is_in_the_windows_that_are_still_open_and_in_no_other() {
    let mut rig = Rig::over(false, &[window(60, 30), window(30, 30)]);
    rig.push("a", 0, 0, 1);
    rig.push("a", 75, 75, 2);
    // Nobody has asked since, yet the watermark of 65 has closed [0, 60) for this reading.
    assert_eq!(rig.push("b", 76, 59, 3), ACCEPTED);
    assert_eq!(rig.push("b", 76, 58, 4), ACCEPTED);
    let late = Admission::Late { watermark: at(65), event_time: at(29) };
    assert_eq!(rig.push("b", 76, 29, 5), late);
    assert_eq!(
        rig.finish(),
        [
            (0, -30, 30, 1, vec![1]),
            (1, 0, 30, 1, vec![1]),
            (0, 0, 60, 1, vec![1]),
            (1, 30, 60, 1, vec![]),
            (0, 30, 90, 1, vec![3, 4, 2]),
            (1, 60, 90, 1, vec![2]),
            (0, 60, 120, 1, vec![2]),
        ]
    );
}

#[test]
fn repeats_in_open_windows_are_duplicates_and_in_closed_ones_late() {
    let mut rig = Rig::new(&[source("loops", true, &["sensor_id", "ts"])], &[window(60, 60)]);
    assert_eq!(rig.push("a", 30, 30, 1), ACCEPTED);
    assert_eq!(rig.push("a", 31, 30, 1), Admission::Duplicate);
    assert_eq!(rig.push("b", 31, 30, 1), ACCEPTED);
    for sensor in ["a", "b"] {
        rig.push(sensor, 80, 80, 2);
    }
    assert!(matches!(rig.push("a", 81, 30, 1), Admission::Late { .. }));
    assert_eq!(rig.push("a", 81, 80, 2), Admission::Duplicate);
}

#[test]
fn silence_gives_empty_windows_but_not_for_ever() {
    let mut rig = Rig::over(true, &[window(60, 60)]);
    rig.push("a", 30, 30, 1);
    assert_eq!(rig.advance(86_400).len(), 61);
    assert_eq!(rig.advance(2 * 86_400), []);
    let tomorrow = 2 * 86_400 + 60;
    assert_eq!(rig.push("a", tomorrow, tomorrow, 2), ACCEPTED);
    assert_eq!(rig.finish(), [(0, tomorrow - 60, tomorrow, 1, vec![2])]);
    assert_eq!(rig.advance(3 * 86_400), []);
    assert!(matches!(rig.push("a", tomorrow, tomorrow, 2), Admission::Late { .. }));
}

#[test]
fn a_source_that_no_window_reads_accepts_and_holds_nothing() {
    let mut rig = Rig::new(&[source("loops", true, &["sensor_id", "ts"])], &[]);
    for _ in 0..3 {
        assert_eq!(rig.push("a", 30, 30, 1), ACCEPTED);
    }
    assert_eq!(rig.finish(), []);
}

#[test]
fn what_cannot_be_windowed_is_refused() {
    for time in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"] {
        let mut rig = Rig::over(true, &[window(60, 60)]);
        let ts = Timestamp::parse(time).unwrap();
        let reading = Reading { source: 0, sensor: "a".to_owned(), now: ts, ts, count: 1 };
        assert_eq!(rig.push_all(&[reading]), [Admission::OutOfRange]);
    }
}

#[test]
fn a_late_reading_revises_its_window_until_nobody_waits_for_it_any_more() {
    let windows = [revised_for(120, window(60, 60))];
    let mut rig = Rig::new(&[source("loops", true, &["sensor_id", "ts"])], &windows);
    rig.push("a", 30, 30, 1);
    rig.push("a", 80, 80, 2);
    assert_eq!(rig.advance(80), [(0, 0, 60, 1, vec![1])]);
    // Two of them before anybody looks make one revision.
    assert_eq!(rig.push("a", 81, 40, 3), REVISED);
    assert_eq!(rig.push("a", 81, 50, 4), REVISED);
    assert_eq!(rig.push("a", 82, 50, 4), Admission::Duplicate);
    assert_eq!(rig.advance(82), [(0, 0, 60, 2, vec![1, 3, 4])]);
    assert_eq!(rig.advance(83), []);
    // The watermark comes to 179, and then to 180 = 60 + 120.
    for (now, ts) in [(130, 130), (189, 189)] {
        rig.push("a", now, ts, 9);
    }
    rig.advance(189);
    assert_eq!(rig.push("a", 189, 60, 5), REVISED);
    // What is revised last is handed out, even though nobody has looked in between.
    rig.push("a", 190, 190, 9);
    rig.push("a", 191, 191, 9);
    assert!(matches!(rig.push("a", 191, 60, 6), Admission::Late { .. }));
    let shown = rig.advance(192);
    assert_eq!(shown[0], (0, 0, 60, 3, vec![1, 3, 4, 5]));
    rig.finish();
}

#[test]
fn a_window_that_was_empty_in_a_long_silence_is_handed_out_when_a_reading_comes() {
    let windows = [revised_for(3_600, window(60, 60))];
    let mut rig = Rig::over(true, &windows);
    rig.push("a", 30, 30, 1);
    rig.advance(7_200);
    assert_eq!(rig.push("a", 7_200, 6_000, 2), REVISED);
    assert_eq!(rig.advance(7_201), [(0, 5_940, 6_000, 1, vec![2])]);
    assert_eq!(rig.push("a", 7_202, 5_990, 3), REVISED);
    assert_eq!(rig.advance(7_203), [(0, 5_940, 6_000, 2, vec![2, 3])]);
    rig.finish();
}

#[test]
fn a_window_over_two_sources_waits_for_the_slower_one_unless_it_is_silent() {
    let both = Window { sources: vec![0, 1], ..window(60, 60) };
    let mut rig = Rig::new(&[source("loops", true, &[]), source("cameras", true, &[])], &[both]);
    for ts in [30, 60, 90] {
        rig.push_from(0, "a", ts, ts, ts);
    }
    // Cameras have never spoken: nobody waits for them.
    assert_eq!(rig.advance(90), [(0, 0, 60, 1, vec![30, 60])]);
    rig.push_from(1, "c", 91, 80, 1);
    rig.push_from(0, "a", 140, 140, 140);
    assert_eq!(rig.advance(140), []);
    rig.push_from(1, "c", 141, 131, 2);
    assert_eq!(rig.advance(141), [(0, 60, 120, 1, vec![90, 1])]);
    // And then they fall silent: receipt time carries them on.
    rig.push_from(0, "a", 200, 200, 200);
    assert_eq!(rig.advance(200), []);
    rig.push_from(0, "a", 300, 300, 300);
    assert_eq!(rig.advance(300)[0], (0, 120, 180, 1, vec![140, 2]));
}

#[test]
fn a_reading_has_the_same_fate_whatever_came_from_the_other_source_in_that_second() {
    for again in [false, true] {
        let both = Window { sources: vec![0, 1], ..window(60, 60) };
        let sources = [source("loops", true, &["ts"]), source("cameras", true, &["ts"])];
        let mut rig = Rig::new(&sources, &[both]);
        let reading = |source, now, seconds, count| {
            let (now, ts) = (ms(EPOCH + now), at(seconds));
            Reading { source, sensor: "a".to_owned(), now, ts, count }
        };
        rig.push_all(&[reading(1, 500, 0, 1), reading(0, 150_000, 150, 2)]);
        rig.advance(160);
        // Cameras are silent: receipt time has carried them to 59.5 s.
        assert_eq!(rig.windower.watermark(1), Some(ms(EPOCH + 59_500)));
        if again {
            rig.push_all(&[reading(1, 160_600, 0, 1)]);
        }
        let late = rig.push_all(&[reading(0, 160_800, 59, 3)]);
        assert!(matches!(late[..], [Admission::Late { .. }]), "{late:?}");
    }
}

#[test]
fn sessions_last_as_long_as_their_sensor_does_not_fall_silent() {
    let mut rig = Rig::over(false, &[sessions(30, 600)]);
    for (sensor, ts) in [("a", 0), ("b", 5), ("a", 20), ("a", 49), ("b", 50)] {
        assert_eq!(rig.push(sensor, ts, ts, ts), ACCEPTED);
    }
    assert_eq!(rig.advance(50), [(0, 5, 35, 1, vec![5])]);
    // `b` begins again; `a` goes on with a reading from 78, 29 s after its last.
    assert_eq!(rig.push("b", 79, 79, 79), ACCEPTED);
    assert_eq!(rig.push("a", 79, 78, 78), ACCEPTED);
    // A reading that comes late and touches nothing that is open.
    assert!(matches!(rig.push("c", 100, 20, 1), Admission::Late { .. }));
    assert_eq!(rig.finish(), [(0, 0, 108, 1, vec![0, 20, 49, 78]), (0, 50, 109, 1, vec![50, 79])]);
}

#[test]
fn a_late_reading_joins_two_sessions_and_a_long_one_is_cut() {
    let mut rig = Rig::over(false, &[sessions(30, 100)]);
    for ts in [0, 50] {
        rig.push("a", 50, ts, ts);
    }
    assert_eq!(rig.push("a", 52, 25, 25), ACCEPTED);
    assert_eq!(rig.advance(53), []);
    // 100 s after its first reading it is over.
    for ts in [75, 99, 105, 110] {
        assert_eq!(rig.push("a", ts, ts, ts), ACCEPTED);
    }
    assert_eq!(rig.advance(112), [(0, 0, 100, 1, vec![0, 25, 75, 99, 50])]);
    assert_eq!(rig.finish(), [(0, 105, 140, 1, vec![105, 110])]);
}

#[test]
fn a_row_that_no_session_takes_is_late_even_before_a_session_has_closed() {
    let windows = [sessions(30, 3_600)];
    let mut rig = Rig::over(false, &windows);
    for ts in (500..=1_000).step_by(10) {
        assert_eq!(rig.push("a", ts, ts, ts), ACCEPTED);
    }
    // A stop and a new start give every row the same fate.
    let mut again = rig.again(&windows);
    for rig in [&mut rig, &mut again] {
        let late = |ts| Admission::Late { event_time: at(ts), watermark: at(990) };
        assert_eq!(rig.push("b", 1_000, 500, 1), late(500));
        assert_eq!(rig.push("b", 1_000, 960, 2), late(960));
        assert_eq!(rig.push("b", 1_000, 961, 3), ACCEPTED);
        // Within the session of `a`, but not in front of it.
        assert_eq!(rig.push("a", 1_000, 499, 4), late(499));
        assert_eq!(rig.push("a", 1_000, 501, 4), ACCEPTED);
        let mut counts = vec![4];
        counts.extend((500..=1_000).step_by(10));
        let mut shown = rig.finish();
        for (.., counts) in &mut shown {
            counts.sort_unstable();
        }
        assert_eq!(shown, [(0, 961, 991, 1, vec![3]), (0, 500, 1_030, 1, counts)]);
        assert!(matches!(rig.push("a", 1_001, 1_001, 5), Admission::Late { .. }));
    }
}

#[test]
fn a_row_that_is_late_for_sessions_or_was_in_one_stays_so() {
    let windows = [sessions(30, 3_600)];
    let mut rig = Rig::new(&[source("loops", false, &["sensor_id", "ts"])], &windows);
    assert_eq!(rig.push("a", 100, 100, 1), ACCEPTED);
    assert_eq!(rig.push("a", 141, 141, 4), ACCEPTED);
    assert_eq!(rig.advance(141), [(0, 100, 130, 1, vec![1])]);
    assert!(matches!(rig.push("a", 141, 99, 2), Admission::Late { .. }));
    // The next session begins near enough to both.
    assert_eq!(rig.push("a", 141, 115, 3), ACCEPTED);
    assert!(matches!(rig.push("a", 141, 99, 2), Admission::Late { .. }));
    assert!(matches!(rig.push("a", 141, 100, 1), Admission::Late { .. }));
    assert_eq!(rig.push("a", 141, 115, 3), Admission::Duplicate);
    assert_eq!(rig.finish(), [(0, 115, 171, 1, vec![4, 3])]);
}

#[test]
fn a_source_whose_keys_have_no_room_goes_on_and_says_so() {
    let windows = [window(60, 60)];
    let mut rig = Rig::new(&[source("loops", true, &["sensor_id", "ts"])], &windows);
    rig.windower.inlets[0].keys.limit(100);
    let unremembered = Admission::Accepted { revised: false, remembered: false };
    assert_eq!(rig.push("a", 30, 30, 1), ACCEPTED);
    assert_eq!(rig.push("b", 30, 30, 2), ACCEPTED);
    assert_eq!(rig.push("c", 30, 30, 3), ACCEPTED);
    for count in [4, 5] {
        assert_eq!(rig.push("d", 31, 30, count), unremembered);
    }
    assert_eq!(rig.push("a", 31, 30, 1), Admission::Duplicate);
    // There is room again when the window has closed.
    for sensor in ["a", "b", "c", "d"] {
        rig.push(sensor, 80, 80, 9);
    }
    assert_eq!(rig.push("e", 80, 80, 6), ACCEPTED);
    assert_eq!(rig.push("e", 80, 80, 6), Admission::Duplicate);
    assert_eq!(rig.finish()[0], (0, 0, 60, 1, vec![1, 2, 3, 4, 5]));
}

#[test]
fn windows_close_beside_a_slow_gateway_that_makes_up_names() {
    let mut rig = Rig::over(true, &[window(60, 60)]);
    let mut shown = Vec::new();
    for ts in (0..=1_200).step_by(3) {
        if ts % 30 == 0 {
            for sensor in 0..10 {
                assert_eq!(rig.push(&format!("s{sensor}"), ts, ts, ts), ACCEPTED);
            }
        }
        rig.push(&format!("once{ts}"), ts, ts - 3_600, -1);
        shown.extend(rig.advance(ts).into_iter().filter(|(_, start, ..)| *start >= 0));
    }
    // Of the watermark of 1190, with all rows of their sensors.
    let minutes: Vec<_> = shown.iter().map(|(_, start, .., rows)| (*start, rows.len())).collect();
    let expected: Vec<_> = (0..1_140).step_by(60).map(|start| (start, 20)).collect();
    assert_eq!(minutes, expected);
}

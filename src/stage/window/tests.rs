//! Windows, watermarks and fates, in time and out of it.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::plan::{Column, ColumnKind, EventTime, Produces};

const EPOCH: i64 = 1_226_386_800_000;

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    ms(EPOCH + seconds * 1_000)
}

fn source(interval_end: bool, unique: &[&str]) -> Source {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        path: vec![name.to_owned()],
        kind,
        nullable: false,
        missing: Vec::new(),
        scale: 1.0,
        offset: 0.0,
        min: None,
        max: None,
        is_segment: false,
        one_of: Vec::new(),
    };
    Source {
        name: "loops".to_owned(),
        topic: "t".to_owned(),
        qos: 1,
        mapping: Arc::new(Mapping {
            name: "loop".to_owned(),
            produces: Produces::Readings,
            version: Some(1),
            columns: vec![
                column("sensor_id", ColumnKind::Text),
                column("ts", ColumnKind::Time),
                column("count", ColumnKind::Integer),
            ],
        }),
        claims: Vec::new(),
        event_time: Some(EventTime {
            column: "ts".to_owned(),
            lateness: Duration::from_secs(10),
            idle_after: Duration::from_secs(90),
            max_future: Duration::from_mins(5),
            group: Some("sensor_id".to_owned()),
            interval_end,
        }),
        unique: unique.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn window(size_s: u64, every_s: u64) -> Window {
    Window {
        name: format!("w{size_s}"),
        source: 0,
        size: Duration::from_secs(size_s),
        every: Duration::from_secs(every_s),
        accept_for: Duration::ZERO,
        sql: String::new(),
    }
}

fn reading(sensor: &str, ts: Timestamp, count: i64) -> Reading {
    let mut row = Row::with_capacity(3);
    row.push(Value::Text(sensor));
    row.push(Value::Time(ts));
    row.push(Value::Integer(count));
    Reading { source: 0, event_time: ts, row }
}

fn message(received_at: Timestamp) -> Message {
    Message { topic: "t".to_owned(), payload: b"{}".to_vec(), received_at, receipt: 0 }
}

fn push(windower: &mut Windower, sensor: &str, now: i64, ts: i64, count: i64) -> Admission {
    windower.push(reading(sensor, at(ts), count), &message(at(now)))
}

/// Seconds of the bounds, and the counts in it.
fn shown(batches: &[WindowBatch]) -> Vec<(usize, i64, i64, Vec<i64>)> {
    let seconds = |time: Timestamp| (time.millis() - EPOCH) / 1_000;
    batches
        .iter()
        .map(|b| {
            let counts = b.rows.column(2).as_primitive::<Int64Type>().values().to_vec();
            (b.window, seconds(b.start), seconds(b.end), counts)
        })
        .collect()
}

#[test]
fn a_reading_at_the_full_minute_ends_that_minute() {
    for (interval_end, start) in [(true, 0), (false, 60)] {
        let mut windower = Windower::new(&[source(interval_end, &[])], &[window(60, 60)]);
        assert_eq!(push(&mut windower, "a", 60, 60, 7), Admission::Accepted);
        assert_eq!(shown(&windower.finish()), [(0, start, start + 60, vec![7])]);
    }
}

#[test]
fn a_window_closes_when_the_watermark_reaches_its_end() {
    let mut windower = Windower::new(&[source(true, &[])], &[window(60, 60)]);
    for ts in [30, 60] {
        push(&mut windower, "a", ts, ts, ts);
        push(&mut windower, "b", ts, ts, ts + 1);
    }
    push(&mut windower, "a", 70, 70, 70);
    assert_eq!(windower.advance(at(70)), []);
    assert_eq!(windower.watermark(0), Some(at(50)));
    push(&mut windower, "b", 71, 71, 71);
    assert_eq!(shown(&windower.advance(at(71))), [(0, 0, 60, vec![30, 31, 60, 61])]);
    assert_eq!(windower.watermark(0), Some(at(60)));
    // Of the closed minute, however little late.
    assert!(matches!(push(&mut windower, "b", 72, 60, 9), Admission::Late(_)));
    assert_eq!(push(&mut windower, "b", 72, 61, 9), Admission::Accepted);
}

#[test]
fn the_last_window_closes_without_another_reading() {
    let mut windower = Windower::new(&[source(true, &[])], &[window(60, 60)]);
    push(&mut windower, "a", 60, 60, 1);
    assert_eq!(windower.advance(at(159)), []);
    assert_eq!(shown(&windower.advance(at(160))), [(0, 0, 60, vec![1])]);
}

#[test]
fn hopping_windows_take_a_reading_several_times_before_1970_too() {
    for base in [0, -EPOCH - 3_600_000] {
        let mut windower = Windower::new(&[source(false, &[])], &[window(60, 20)]);
        let time = ms(EPOCH + base + 65_000);
        let admission = windower.push(reading("a", time, 1), &message(time));
        assert_eq!(admission, Admission::Accepted);
        let bounds: Vec<_> = windower
            .finish()
            .iter()
            .map(|b| (b.start.millis() - EPOCH - base, b.end.millis() - EPOCH - base))
            .collect();
        assert_eq!(bounds, [(20_000, 80_000), (40_000, 100_000), (60_000, 120_000)]);
    }
}

#[test]
fn a_late_reading_is_in_the_windows_that_are_still_open_and_in_no_other() {
    let mut windower = Windower::new(&[source(false, &[])], &[window(60, 30), window(30, 30)]);
    push(&mut windower, "a", 0, 0, 1);
    push(&mut windower, "a", 75, 75, 2);
    // Nobody has asked since, yet the watermark of 65 has closed [0, 60) for this reading.
    assert_eq!(push(&mut windower, "b", 76, 59, 3), Admission::Accepted);
    assert_eq!(push(&mut windower, "b", 76, 58, 4), Admission::Accepted);
    let Admission::Late(late) = push(&mut windower, "b", 76, 29, 5) else { panic!() };
    assert_eq!((late.watermark, late.event_time), (at(65), at(29)));
    assert_eq!(
        shown(&windower.finish()),
        [
            (0, -30, 30, vec![1]),
            (1, 0, 30, vec![1]),
            (0, 0, 60, vec![1]),
            (1, 30, 60, vec![]),
            (0, 30, 90, vec![4, 3, 2]),
            (1, 60, 90, vec![2]),
            (0, 60, 120, vec![2]),
        ]
    );
}

#[test]
fn repeats_in_open_windows_are_duplicates_and_in_closed_ones_late() {
    let mut windower = Windower::new(&[source(true, &["sensor_id", "ts"])], &[window(60, 60)]);
    assert_eq!(push(&mut windower, "a", 30, 30, 1), Admission::Accepted);
    assert_eq!(push(&mut windower, "a", 31, 30, 1), Admission::Duplicate);
    assert_eq!(push(&mut windower, "b", 31, 30, 1), Admission::Accepted);
    for sensor in ["a", "b"] {
        push(&mut windower, sensor, 80, 80, 2);
    }
    assert!(matches!(push(&mut windower, "a", 81, 30, 1), Admission::Late(_)));
    assert_eq!(push(&mut windower, "a", 81, 80, 2), Admission::Duplicate);
}

#[test]
fn rows_stand_in_an_order_of_their_content() {
    let rows = [("b", 30, 2), ("a", 30, 9), ("a", 20, 5), ("b", 30, 1)];
    let mut orders = Vec::new();
    for turn in 0..rows.len() {
        let mut windower = Windower::new(&[source(true, &[])], &[window(60, 60)]);
        for (sensor, ts, count) in rows.iter().cycle().skip(turn).take(rows.len()) {
            push(&mut windower, sensor, 30, *ts, *count);
        }
        orders.push(shown(&windower.finish()));
    }
    assert!(orders.iter().all(|order| order == &[(0, 0, 60, vec![5, 9, 1, 2])]), "{orders:?}");
}

#[test]
fn silence_gives_empty_windows_but_not_for_ever() {
    let mut windower = Windower::new(&[source(true, &[])], &[window(60, 60)]);
    push(&mut windower, "a", 30, 30, 1);
    let closed = windower.advance(at(86_400));
    assert_eq!(closed.len(), 1 + MAX_EMPTY_RUN as usize);
    assert_eq!(windower.advance(at(2 * 86_400)), []);
    let tomorrow = 2 * 86_400 + 60;
    assert_eq!(push(&mut windower, "a", tomorrow, tomorrow, 2), Admission::Accepted);
    assert_eq!(shown(&windower.finish()), [(0, tomorrow - 60, tomorrow, vec![2])]);
    assert_eq!(windower.advance(at(3 * 86_400)), []);
    assert!(matches!(push(&mut windower, "a", tomorrow, tomorrow, 2), Admission::Late(_)));
}

#[test]
fn a_source_that_no_window_reads_accepts_and_holds_nothing() {
    let mut windower = Windower::new(&[source(true, &["sensor_id", "ts"])], &[]);
    for _ in 0..3 {
        assert_eq!(push(&mut windower, "a", 30, 30, 1), Admission::Accepted);
    }
    assert_eq!(windower.finish(), []);
}

#[test]
fn what_cannot_be_windowed_is_refused() {
    let mut windower = Windower::new(&[source(true, &[])], &[window(60, 60)]);
    let first = Timestamp::parse("0001-01-01T00:00:00Z").unwrap();
    let last = Timestamp::parse("9999-12-31T23:59:59.999Z").unwrap();
    for time in [first, last] {
        let admission = windower.push(reading("a", time, 1), &message(time));
        assert!(matches!(admission, Admission::Dead(r) if r.reason == DeadReason::OutOfRange));
    }
    let narrow = Reading { source: 0, event_time: at(0), row: Row::default() };
    assert!(matches!(windower.push(narrow, &message(at(0))), Admission::Dead(_)));
    let stray = Reading { source: 3, ..reading("a", at(0), 1) };
    assert!(matches!(windower.push(stray, &message(at(0))), Admission::Dead(_)));
}

#[derive(Clone, Debug)]
struct Arrival {
    sensor: u8,
    /// Since the arrival before, ms.
    gap: i64,
    /// Event time less receipt time, ms.
    lag: i64,
    repeat: bool,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let lag = prop_oneof![
        6 => -2_000_i64..0,
        2 => -90_000_i64..0,
        1 => -400_000_i64..200_000,
    ];
    let gap = prop_oneof![8 => 0_i64..6_000, 1 => 0_i64..200_000];
    let arrival = (0_u8..5, gap, lag, prop::bool::weighted(0.1))
        .prop_map(|(sensor, gap, lag, repeat)| Arrival { sensor, gap, lag, repeat });
    prop::collection::vec(arrival, 1..120)
}

/// Receipt and reading of every arrival; the count is its number.
fn stream(arrivals: &[Arrival], interval_end: bool) -> Vec<(Timestamp, Reading)> {
    let mut now = EPOCH;
    let mut stream: Vec<(Timestamp, Reading)> = Vec::new();
    for (index, arrival) in (0..).zip(arrivals) {
        now += arrival.gap;
        let sensor = format!("s{}", arrival.sensor);
        let ts = ms((now + arrival.lag).div_euclid(500) * 500 + i64::from(interval_end));
        let reading = match stream.last() {
            Some((_, last)) if arrival.repeat => last.clone(),
            _ => reading(&sensor, ts, index),
        };
        stream.push((ms(now), reading));
    }
    stream
}

fn run(
    stream: &[(Timestamp, Reading)],
    interval_end: bool,
    unique: &[&str],
    mut ask: impl FnMut(usize) -> bool,
) -> (Vec<Admission>, Vec<WindowBatch>) {
    let windows = [window(60, 60), window(60, 20), window(30, 30)];
    let mut windower = Windower::new(&[source(interval_end, unique)], &windows);
    let (mut admissions, mut batches) = (Vec::new(), Vec::new());
    for (index, (received_at, reading)) in stream.iter().enumerate() {
        if ask(index) {
            // At each second from the last receipt to this one, then between the seconds.
            let last = index.checked_sub(1).map_or(*received_at, |last| stream[last].0);
            for second in (last.millis() / 1_000)..=(received_at.millis() / 1_000) {
                batches.extend(windower.advance(ms(second * 1_000)));
            }
            batches.extend(windower.advance(*received_at));
        }
        admissions.push(windower.push(reading.clone(), &message(*received_at)));
    }
    batches.extend(windower.finish());
    batches.sort_by_key(|batch| (batch.end, batch.window));
    (admissions, batches)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_depends_on_how_often_anybody_looks(
        arrivals in arrivals(),
        looks in prop::collection::vec(any::<bool>(), 120),
        interval_end in any::<bool>(),
    ) {
        let stream = stream(&arrivals, interval_end);
        let unique = ["sensor_id", "ts"];
        let never = run(&stream, interval_end, &unique, |_| false);
        let always = run(&stream, interval_end, &unique, |_| true);
        let at_times = run(&stream, interval_end, &unique, |index| looks[index]);
        prop_assert_eq!(&never, &always);
        prop_assert_eq!(&never, &at_times);
    }

    /// Each accepted reading is in every window that holds its time and was open when it came;
    /// nothing else is in any window; each window is handed out once.
    #[test]
    fn accepted_readings_are_in_all_their_open_windows(
        arrivals in arrivals(),
        interval_end in any::<bool>(),
    ) {
        let stream = stream(&arrivals, interval_end);
        let definitions = [window(60, 60), window(60, 20), window(30, 30)];
        let mut windower = Windower::new(&[source(interval_end, &[])], &definitions);
        let mut expected: BTreeMap<(usize, i64), Vec<i64>> = BTreeMap::new();
        let mut batches = Vec::new();
        for (received_at, reading) in &stream {
            batches.extend(windower.advance(*received_at));
            let open_from = windower.watermark(0).map_or(i64::MIN, Timestamp::millis);
            let admission = windower.push(reading.clone(), &message(*received_at));
            let time = reading.event_time.millis() - i64::from(interval_end);
            let Value::Integer(count) = reading.row.get(2) else { unreachable!() };
            let mut taken = 0;
            for (index, window) in definitions.iter().enumerate() {
                let (size, every) = (millis_of(window.size), millis_of(window.every));
                let last = time.div_euclid(every) * every;
                let starts = (0..size / every).map(|back| last - back * every);
                for start in starts.filter(|start| start + size > open_from) {
                    expected.entry((index, start)).or_default().push(count);
                    taken += 1;
                }
            }
            match admission {
                Admission::Accepted => prop_assert!(taken > 0),
                Admission::Late(_) => prop_assert_eq!(taken, 0),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        batches.extend(windower.finish());
        let mut found: BTreeMap<(usize, i64), Vec<i64>> = BTreeMap::new();
        for batch in &batches {
            let counts: &Int64Array = batch.rows.column(2).as_primitive();
            let key = (batch.window, batch.start.millis());
            let before = found.insert(key, counts.values().to_vec());
            prop_assert!(before.is_none(), "{:?} twice", key);
        }
        found.retain(|_, counts| !counts.is_empty());
        for counts in found.values_mut().chain(expected.values_mut()) {
            counts.sort_unstable();
        }
        prop_assert_eq!(found, expected);
    }
}

//! Whatever the disorder, the gaps, the repeats and the batches: the same windows, and those of a naive
//! reference.

use super::*;

#[derive(Clone, Debug)]
struct Step1 {
    source: usize,
    sensor: u8,
    /// Since the arrival before, ms.
    gap: i64,
    /// Event time less receipt time, ms.
    lag: i64,
    repeat: bool,
}

fn arrivals() -> impl Strategy<Value = Vec<Step1>> {
    let lag = prop_oneof![
        6 => -2_000_i64..0,
        2 => -90_000_i64..0,
        1 => -400_000_i64..200_000,
    ];
    let gap = prop_oneof![8 => 0_i64..6_000, 1 => 0_i64..200_000];
    let arrival = (0_usize..3, 0_u8..5, gap, lag, prop::bool::weighted(0.1))
        .prop_map(|(source, sensor, gap, lag, repeat)| Step1 { source, sensor, gap, lag, repeat });
    prop::collection::vec(arrival, 1..120)
}

/// The readings of all arrivals; the count is the arrival's number.
fn stream(arrivals: &[Step1], interval_end: bool) -> Vec<Reading> {
    let mut now = EPOCH;
    let mut stream: Vec<Reading> = Vec::new();
    for (index, arrival) in (0..).zip(arrivals) {
        now += arrival.gap;
        let ts = ms((now + arrival.lag).div_euclid(500) * 500 + i64::from(interval_end));
        let reading = match stream.last() {
            Some(last) if arrival.repeat => Reading { now: ms(now), ..last.clone() },
            _ => Reading {
                source: arrival.source,
                sensor: format!("s{}", arrival.sensor),
                now: ms(now),
                ts,
                count: index,
            },
        };
        stream.push(reading);
    }
    stream
}

/// The third source is read by sessions alone.
fn definitions() -> [Window; 7] {
    let alone = Window { sources: vec![2], ..sessions(25, 3_600) };
    let both = Window { sources: vec![0, 1], ..revised_for(90, window(60, 30)) };
    let other = Window { sources: vec![1], ..window(30, 30) };
    let revised = revised_for(60, window(60, 20));
    [window(60, 60), revised, both, other, sessions(20, 90), window(30, 30), alone]
}

fn sources(interval_end: bool, unique: &[&str]) -> [Source; 3] {
    ["loops", "cameras", "buses"].map(|name| source(name, interval_end, unique))
}

/// All admissions and windows: rows come in batches that end where `cut` says so, and the whole
/// second is ticked before the first row of it. `stop` says where the run is ended and taken up again.
fn run(
    stream: &[Reading],
    interval_end: bool,
    unique: &[&str],
    cut: impl Fn(usize) -> bool,
    stop: impl Fn(usize) -> bool,
) -> (Vec<Admission>, Vec<Shown>) {
    let windows = definitions();
    let mut rig = Rig::new(&sources(interval_end, unique), &windows);
    let (mut admissions, mut held) = (Vec::new(), Vec::new());
    let mut second = i64::MIN;
    for (index, reading) in stream.iter().enumerate() {
        let now = reading.now.millis().div_euclid(1_000);
        if now > second || cut(index) {
            admissions.extend(rig.push_all(&held));
            held.clear();
        }
        if stop(index) {
            rig = rig.again(&windows);
        }
        while second < now {
            second = (second + 1).max(EPOCH / 1_000);
            rig.windower.advance(ms(second * 1_000));
            rig.work();
        }
        held.push(reading.clone());
    }
    admissions.extend(rig.push_all(&held));
    rig.windower.finish();
    rig.work();
    (admissions, rig.shown)
}

/// That this is a session of one sensor: no gap in it, none beyond it that it should have waited for.
fn is_session(stream: &[Reading], window: &Window, shown: &Shown, interval_end: bool) -> bool {
    let Shape::Session { gap, longest, .. } = &window.shape else { return false };
    let (gap, longest) = (millis_of(*gap), millis_of(*longest));
    let (_, start, end, revision, counts) = shown;
    let rows = counts.iter().map(|count| &stream[*count as usize]);
    let mut times: Vec<i64> =
        rows.clone().map(|row| row.ts.millis() - i64::from(interval_end)).collect();
    times.sort_unstable();
    let (first, last) = (times[0], times[times.len() - 1]);
    let seconds = |time: i64| (time - EPOCH) / 1_000;
    *revision == 1
        && rows.clone().all(|row| row.sensor == stream[counts[0] as usize].sensor)
        && times.windows(2).all(|pair| pair[1] - pair[0] < gap)
        && last - first < longest
        && (*start, *end) == (seconds(first), seconds((last + gap).min(first + longest)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Neither batches nor a stop and a new start change anything.
    #[test]
    fn nothing_depends_on_batches_or_on_being_stopped(
        arrivals in arrivals(),
        cuts in prop::collection::vec(any::<bool>(), 120),
        stops in prop::collection::vec(prop::bool::weighted(0.1), 120),
        interval_end in any::<bool>(),
        unique in any::<bool>(),
    ) {
        let stream = stream(&arrivals, interval_end);
        let unique: &[&str] = if unique { &["sensor_id", "ts"] } else { &[] };
        let whole = run(&stream, interval_end, unique, |_| false, |_| false);
        let single = run(&stream, interval_end, unique, |_| true, |_| false);
        prop_assert_eq!(&whole, &single);
        let cut = |index: usize| cuts[index] || stops[index];
        let stopped = run(&stream, interval_end, unique, cut, |index| stops[index]);
        prop_assert_eq!(&whole, &stopped);
    }

    /// A broker sends once more, and before anything else, what was not acknowledged when a connection
    /// broke: nothing moves for it. By a clock of its own, which ticks each second, only the order can
    /// differ in which windows of other sources close within a second.
    #[test]
    fn nothing_moves_for_what_is_sent_once_more(
        arrivals in arrivals(),
        again in prop::collection::vec(prop_oneof![5 => Just(0), 1 => 1_usize..6], 120),
        interval_end in any::<bool>(),
        driven in any::<bool>(),
    ) {
        let stream = stream(&arrivals, interval_end);
        let mut whole = Vec::new();
        for repeated in [false, true] {
            let windows = definitions();
            let mut rig = Rig::new(&sources(interval_end, &["sensor_id", "ts", "count"]), &windows);
            let mut second = EPOCH / 1_000 - 1;
            for (index, reading) in stream.iter().enumerate() {
                while second < reading.now.millis().div_euclid(1_000) {
                    second += 1;
                    rig.windower.advance(ms(second * 1_000));
                    rig.work();
                }
                if driven {
                    rig.windower.advance(reading.now);
                    rig.work();
                }
                if repeated {
                    for before in &stream[index.saturating_sub(again[index])..index] {
                        if reading.now.since(before.now) < Duration::from_secs(80) {
                            rig.push_all(&[Reading { now: reading.now, ..before.clone() }]);
                        }
                    }
                }
                rig.push_all(std::slice::from_ref(reading));
            }
            rig.windower.advance(ms((second + 1) * 1_000));
            rig.work();
            rig.windower.finish();
            rig.work();
            if !driven {
                rig.shown.sort_by_key(|(window, start, _, revision, _)| (*window, *start, *revision));
            }
            whole.push(rig.shown);
        }
        prop_assert_eq!(&whole[0], &whole[1]);
    }

    /// A reference that keeps everything: each accepted reading is, in the order of arrival, in the
    /// last revision of every window of slots that holds its time and was not done when it came;
    /// nothing else is in any window; each revision is handed out once. What no window of slots takes
    /// is in one session, and sessions have no gaps.
    #[test]
    fn windows_are_those_of_a_naive_reference(
        arrivals in arrivals(),
        interval_end in any::<bool>(),
    ) {
        let stream = stream(&arrivals, interval_end);
        let windows = definitions();
        let mut rig = Rig::new(&sources(interval_end, &["sensor_id", "ts", "count"]), &windows);
        let mut expected: BTreeMap<(usize, i64), [Vec<i64>; 2]> = BTreeMap::new();
        let mut marks = vec![i64::MIN; windows.len()];
        let mut seen: Vec<(usize, i64, i64)> = Vec::new();
        let mut spoken: BTreeSet<usize> = BTreeSet::new();
        // Accepted, though no window of slots took it; and all that sessions alone are to take.
        let (mut in_sessions, mut alone) = (Vec::new(), Vec::new());
        for reading in &stream {
            rig.windower.advance(reading.now);
            rig.work();
            // A reading is judged by the marks before it.
            for (index, window) in windows.iter().enumerate() {
                // Nobody waits for a source that has never spoken.
                let spoken = window.sources.iter().filter(|s| spoken.contains(*s));
                let watermarks = spoken.map(|s| rig.windower.watermark(*s));
                let mark = watermarks.min().flatten().map_or(i64::MIN, Timestamp::millis);
                // A watermark that comes back after a silence does not move a mark back.
                marks[index] = marks[index].max(mark);
            }
            let admission = rig.push_all(std::slice::from_ref(reading)).remove(0);
            let time = reading.ts.millis() - i64::from(interval_end);
            let mut taken = false;
            let key = (reading.source, reading.ts.millis(), reading.count);
            for (index, window) in windows.iter().enumerate() {
                let Shape::Slots { size, every, .. } = &window.shape else { continue };
                let Some(stream) = window.sources.iter().position(|s| *s == reading.source) else {
                    continue;
                };
                let (size, every) = (millis_of(*size), millis_of(*every));
                let last = time.div_euclid(every) * every;
                let done_at = |start: i64| start + size + millis_of(window.accept_for);
                for start in (0..size / every).rev().map(|back| last - back * every) {
                    if done_at(start) > marks[index] && admission != Admission::Duplicate {
                        expected.entry((index, start)).or_default()[stream].push(reading.count);
                        taken = true;
                    }
                }
            }
            match admission {
                Admission::Duplicate => prop_assert!(seen.contains(&key)),
                Admission::Accepted { .. } => {
                    in_sessions.extend((!taken).then_some(reading.count));
                    alone.extend((reading.source == 2).then_some(reading.count));
                }
                Admission::Late { .. } => prop_assert!(!taken),
                Admission::OutOfRange => prop_assert!(false),
            }
            seen.push(key);
            spoken.insert(reading.source);
        }
        rig.windower.finish();
        rig.work();
        let mut found: BTreeMap<(usize, i64), (u32, Vec<i64>)> = BTreeMap::new();
        let mut sessions: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for shown in &rig.shown {
            let (window, start, _, revision, counts) = shown;
            if matches!(windows[*window].shape, Shape::Session { .. }) {
                let fine = is_session(&stream, &windows[*window], shown, interval_end);
                prop_assert!(fine, "{:?}", shown);
                sessions.entry(*window).or_default().extend(counts);
                continue;
            }
            let start = start * 1_000 + EPOCH;
            let before = found.insert((*window, start), (*revision, counts.clone()));
            let expected = before.map_or(0, |(revision, _)| revision) + 1;
            prop_assert_eq!(*revision, expected, "of {} at {}", window, start);
        }
        let taken: BTreeSet<i64> = sessions.values().flatten().copied().collect();
        prop_assert!(in_sessions.iter().all(|count| taken.contains(count)), "{:?}", in_sessions);
        let mut found_alone = sessions.remove(&6).unwrap_or_default();
        found_alone.sort_unstable();
        alone.sort_unstable();
        prop_assert_eq!(found_alone, alone);
        let mut found: BTreeMap<_, Vec<i64>> =
            found.into_iter().map(|(key, (_, counts))| (key, counts)).collect();
        found.retain(|_, counts| !counts.is_empty());
        let mut expected: BTreeMap<_, Vec<i64>> =
            expected.into_iter().map(|(key, streams)| (key, streams.concat())).collect();
        // Within a window rows stand by slot, then by arrival.
        for counts in found.values_mut().chain(expected.values_mut()) {
            counts.sort_unstable();
        }
        prop_assert_eq!(found, expected);
    }
}

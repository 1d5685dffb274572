//! Nothing vanishes, whatever comes: disorder, repeats, gaps, payloads that are none, clocks that are
//! wrong. Each message has one fate, the one that `reference` works out on its own, and windows hold the
//! accepted rows and nothing else.

mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use reference::{Definition, Fate, Lies, Reading, Reference, Slot};
use serde_json::json;
use wayside::batch::WindowBatch;
use wayside::domain::time::Timestamp;
use wayside::plan::Plan;
use wayside::ports::Message;
use wayside::runtime::{Engine, Event, Tally, writers};

use super::support::root;

const EPOCH: i64 = 1_226_386_800_000;
const MINUTE: i64 = 60_000;
const SOURCES: [&str; 3] = ["loops", "cameras", "buses"];

const MAPPING: &str = "
version: 1
produces: readings
columns:
  sensor_id: { type: text }
  ts: { type: time }
  n: { type: integer }
";

/// The third source claims all of its topic and is read by sessions alone; the second speaks of moments,
/// the others of intervals.
const PIPELINE: &str = "
version: 1
name: town
network: NETWORK
sources:
  loops:
    mqtt: { topic: \"t/loops/+\" }
    schema: ./reading.yaml
    where: { kind: loops }
    event_time: { field: ts, lateness: 10s, idle_after: 90s, max_future: 5m }
    unique: [sensor_id, ts, n]
  cameras:
    mqtt: { topic: \"t/cameras/+\" }
    schema: ./reading.yaml
    where: { kind: cameras }
    event_time: { field: ts, lateness: 10s, idle_after: 90s, max_future: 5m, ts_is: instant }
    unique: [sensor_id, ts, n]
  buses:
    mqtt: { topic: \"t/buses/+\" }
    schema: ./reading.yaml
    event_time: { field: ts, lateness: 10s, idle_after: 90s, max_future: 5m }
    unique: [sensor_id, ts, n]
windows:
  minute: { from: loops, size: 60s, sql: \"SELECT n FROM loops\" }
  hops:
    from: cameras
    size: 60s
    every: 20s
    late: { accept_for: 60s }
    sql: SELECT n, COUNT(*) AS rows FROM cameras GROUP BY n
  both:
    from: [loops, cameras]
    size: 60s
    every: 30s
    sql: SELECT n FROM loops UNION ALL SELECT n FROM cameras
  stays: { from: cameras, session: { gap: 25s, longest: 24h }, sql: \"SELECT n FROM cameras\" }
  rides: { from: buses, session: { gap: 30s, longest: 24h }, sql: \"SELECT n FROM buses\" }
outputs:
  archive: { parquet: { dir: archive } }
";

fn definitions() -> [Definition; 5] {
    let slots = |size, every, accept_for| Lies::Slots { size, every, accept_for };
    let session = |gap| Lies::Session { gap };
    let define = |name, sources, lies| Definition { name, sources, lies };
    [
        define("minute", &[0], slots(MINUTE, MINUTE, 0)),
        define("hops", &[1], slots(MINUTE, 20_000, MINUTE)),
        define("both", &[0, 1], slots(MINUTE, 30_000, 0)),
        define("stays", &[1], session(25_000)),
        define("rides", &[2], session(30_000)),
    ]
}

fn plan(dir: &Path) -> Arc<Plan> {
    let network = root().join("pipelines/demo/network");
    let text = PIPELINE.replace("NETWORK", &network.display().to_string());
    std::fs::write(dir.join("reading.yaml"), MAPPING).unwrap();
    std::fs::write(dir.join("town.yaml"), text).unwrap();
    let plan = wayside::config::load(&dir.join("town.yaml"));
    Arc::new(plan.unwrap_or_else(|report| panic!("{report}")))
}

/// What a message says.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A sensor whose clock is right, and now.
    Now,
    /// The same, this long before the newest that its sensor has said, ms.
    Before(i64),
    /// A clock that is off by so much, ms.
    Off(i64),
    /// The message so many messages ago once more.
    Again(usize),
    /// A payload that is no reading.
    Broken(usize),
}

/// Nothing that is wrong with a payload may pass; that of 0001 is a reading, but in no window.
const BROKEN: [&str; 7] = [
    "",
    "{\"kind\": \"SOURCE\", \"sensor_id\": \"a\"",
    "[1, 2]",
    "{\"kind\": \"SOURCE\", \"sensor_id\": \"a\", \"ts\": \"2008-11-11T07:00:00Z\"}",
    "{\"kind\": \"SOURCE\", \"sensor_id\": \"a\", \"ts\": \"yesterday\", \"n\": 1}",
    "{\"kind\": \"SOURCE\", \"sensor_id\": \"a\", \"ts\": \"0001-01-01T00:00:00Z\", \"n\": 1}",
    "{\"kind\": \"trams\", \"sensor_id\": \"a\", \"ts\": \"2008-11-11T07:00:00Z\", \"n\": 1}",
];
/// From here on the kind can be read: before, a source that looks at it claims nothing.
const WITH_KIND: usize = 3;
/// The one that only a source that takes every kind would claim.
const ANOTHER_KIND: usize = 6;

/// Source, sensor, time since the message before in ms, what it says.
type Step = (usize, usize, i64, What);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let gap = prop_oneof![8 => 0_i64..4_000, 2 => 0_i64..25_000, 1 => 0_i64..100_000];
    let what = prop_oneof![
        6 => Just(What::Now),
        2 => (0_i64..20_000).prop_map(What::Before),
        3 => (0_i64..200_000).prop_map(What::Before),
        2 => Just(What::Off(-60 * MINUTE)),
        1 => Just(What::Off(2 * MINUTE)),
        1 => Just(What::Off(24 * 60 * MINUTE)),
        2 => (1_usize..25).prop_map(What::Again),
        1 => (0..BROKEN.len()).prop_map(What::Broken),
    ];
    prop::collection::vec((0..3_usize, 0..3_usize, gap, what), 1..150)
}

/// A message, and the reading in it, where there is one.
#[derive(Clone)]
struct Sent {
    message: Message,
    source: usize,
    reading: Option<Reading>,
    claimed: bool,
}

/// A stream in which most clocks are right, so that the clock of a source is never in doubt: its three
/// good sensors speak before all others, and none of them is silent until its vote has gone.
#[derive(Default)]
struct Stream {
    now: i64,
    sent: Vec<Sent>,
    /// Newest event time of each good sensor, by source and number.
    newest: BTreeMap<(usize, usize), i64>,
}

impl Stream {
    fn of(steps: &[Step]) -> Vec<Sent> {
        let mut stream = Self { now: EPOCH, ..Self::default() };
        for &(source, sensor, gap, what) in steps {
            stream.now += gap;
            for other in 0..SOURCES.len() {
                let begun = stream.newest.contains_key(&(other, 0));
                let oldest = (0..3).filter_map(|s| stream.newest.get(&(other, s))).min();
                if (!begun && other == source) || oldest.is_some_and(|o| stream.now - o > 200_000) {
                    (0..3).for_each(|sensor| stream.good(other, sensor, stream.now));
                }
            }
            stream.step(source, sensor, what);
        }
        stream.sent
    }

    fn step(&mut self, source: usize, sensor: usize, what: What) {
        match what {
            What::Now => self.good(source, sensor, self.now),
            What::Before(by) => self.good(source, sensor, self.newest[&(source, sensor)] - by),
            What::Off(by) => self.reading(source, format!("off{by}"), self.now + by),
            What::Again(back) => {
                let again = self.sent.len().checked_sub(back).map(|at| self.sent[at].clone());
                let Some(mut again) = again else { return };
                again.message.received_at = at(self.now);
                if let Some(reading) = &mut again.reading {
                    reading.received = self.now;
                }
                self.sent.push(again);
            }
            What::Broken(which) => {
                let takes_every_kind = source == 2;
                // It would take this one.
                let which = if takes_every_kind { which % ANOTHER_KIND } else { which };
                let payload = BROKEN[which].replace("SOURCE", SOURCES[source]).into_bytes();
                let claimed = takes_every_kind || (WITH_KIND..ANOTHER_KIND).contains(&which);
                self.send(source, payload, None, claimed);
            }
        }
    }

    fn good(&mut self, source: usize, sensor: usize, ts: i64) {
        let newest = self.newest.entry((source, sensor)).or_insert(ts);
        *newest = (*newest).max(ts);
        self.reading(source, format!("s{sensor}"), ts);
    }

    fn reading(&mut self, source: usize, sensor: String, ts: i64) {
        let n = i64::try_from(self.sent.len()).unwrap();
        let payload =
            json!({"kind": SOURCES[source], "sensor_id": sensor, "ts": at(ts), "n": n}).to_string();
        let reading = Reading { source, sensor, ts, n, received: self.now };
        // Further ahead than `max_future`.
        let reading = Some(reading).filter(|reading| reading.ts <= self.now + 5 * MINUTE);
        self.send(source, payload.into_bytes(), reading, true);
    }

    fn send(&mut self, source: usize, payload: Vec<u8>, reading: Option<Reading>, claimed: bool) {
        let topic = format!("t/{}/x", SOURCES[source]);
        let message = Message { topic, payload, received_at: at(self.now), receipt: 0 };
        self.sent.push(Sent { message, source, reading, claimed });
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// What an engine has handed out.
#[derive(Default)]
struct Out {
    windows: Vec<(String, WindowBatch)>,
    dead: u64,
    late: u64,
}

impl Out {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Window { name, result } => self.windows.push((name, result)),
                Event::Dead(_) => self.dead += 1,
                Event::Late(_) => self.late += 1,
                Event::Publish(_) => {}
            }
        }
    }
}

/// The one fate that was counted between two tallies; `None`: dead.
fn fate(before: &Tally, after: &Tally, revised: bool) -> Option<Fate> {
    assert_eq!(after.received, before.received + 1);
    let grown = [
        (after.accepted - before.accepted, Some(Fate::Accepted { revised })),
        (after.duplicate - before.duplicate, Some(Fate::Duplicate)),
        (after.late - before.late, Some(Fate::Late)),
        (after.dead - before.dead, None),
    ];
    assert_eq!(grown.iter().map(|(grown, _)| grown).sum::<u64>(), 1, "{before:?} {after:?}");
    grown.into_iter().find(|(grown, _)| *grown == 1).unwrap().1
}

/// Plays the stream into an engine and the reference, and compares what became of each message.
fn play(engine: &mut Engine, sent: &[Sent]) -> (Out, Reference, BTreeMap<String, Tally>) {
    let definitions = definitions();
    let mut out = Out::default();
    let mut reference = Reference::new(&definitions, SOURCES.len());
    let mut expected: BTreeMap<String, Tally> = BTreeMap::new();
    let mut second = EPOCH / 1_000 - 1;
    for (index, sent) in sent.iter().enumerate() {
        let received = sent.message.received_at.millis();
        while second < received / 1_000 {
            second += 1;
            out.take(engine.tick(at(second * 1_000)).unwrap());
            reference.tick(second * 1_000);
        }
        let (before, revised) = (engine.counts().all.clone(), engine.counts().revised);
        let (dead, late) = (out.dead, out.late);
        out.take(engine.messages(std::slice::from_ref(&sent.message)).unwrap());
        let revised = engine.counts().revised > revised;
        let found = fate(&before, &engine.counts().all, revised);
        assert_eq!(out.dead - dead, u64::from(found.is_none()), "message {index}");
        assert_eq!(out.late - late, u64::from(found == Some(Fate::Late)), "message {index}");
        let fate = sent.reading.as_ref().map(|reading| {
            let time = reading.ts - i64::from(sent.source != 1);
            reference.read(reading, time)
        });
        assert_eq!(found, fate, "message {index}: {:?}", sent.reading);
        if sent.claimed {
            let tally = expected.entry(SOURCES[sent.source].to_owned()).or_default();
            tally.received += 1;
            match fate {
                Some(Fate::Accepted { .. }) => tally.accepted += 1,
                Some(Fate::Duplicate) => tally.duplicate += 1,
                Some(Fate::Late) => tally.late += 1,
                None => tally.dead += 1,
            }
        }
    }
    out.take(engine.finish(at(second * 1_000)).unwrap());
    reference.finish();
    (out, reference, expected)
}

/// The rows of a result, in order of their numbers.
fn numbers(result: &WindowBatch) -> Vec<i64> {
    let column = result.rows.column_by_name("n").unwrap();
    let mut numbers = column.as_primitive::<Int64Type>().values().to_vec();
    numbers.sort_unstable();
    numbers
}

/// That the windows which were handed out are those of the reference.
fn same_windows(out: &Out, mut reference: Reference) {
    let definitions = definitions();
    let mut slots: BTreeMap<(usize, i64), (u32, Slot)> = BTreeMap::new();
    let mut sessions = BTreeSet::new();
    for (name, result) in &out.windows {
        let window = definitions.iter().position(|d| d.name == name).unwrap();
        let (start, end) = (result.start.millis(), result.end.millis());
        let rows = numbers(result);
        match definitions[window].lies {
            Lies::Session { .. } => {
                assert_eq!(result.revision, 1, "{name}");
                assert!(sessions.insert((window, start, end, rows)), "{name} at {start} twice");
            }
            Lies::Slots { size, .. } => {
                assert_eq!(end - start, size);
                let (revision, slot) = slots.entry((window, start)).or_default();
                *revision += 1;
                assert_eq!(result.revision, *revision, "{name} at {start}");
                if *revision == 1 {
                    slot.in_time.clone_from(&rows);
                }
                slot.all = rows;
            }
        }
    }
    assert_eq!(sessions, reference.sessions);
    let mut found: BTreeMap<_, Slot> =
        slots.into_iter().map(|(key, (_, slot))| (key, slot)).collect();
    found.retain(|_, slot| !slot.all.is_empty());
    for (key, slot) in &mut reference.slots {
        slot.in_time.sort_unstable();
        slot.all.sort_unstable();
        // After a long silence an empty window is handed out only when a late reading comes.
        if slot.in_time.is_empty()
            && let Some(found) = found.get_mut(key)
        {
            found.in_time.clear();
        }
    }
    assert_eq!(found, reference.slots);
}

#[test]
fn every_message_has_its_one_fate_and_every_window_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path());
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..<_>::default() };
    proptest!(config, |(steps in steps())| {
        let sent = Stream::of(&steps);
        let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
        let (out, reference, expected) = play(&mut engine, &sent);
        let counts = engine.counts();
        prop_assert!(counts.all.balances(), "{:?}", counts.all);
        prop_assert!(counts.sources.values().all(Tally::balances), "{:?}", counts.sources);
        prop_assert_eq!(&counts.sources, &expected);
        let unclaimed = sent.iter().filter(|sent| !sent.claimed).count() as u64;
        let received: u64 = counts.sources.values().map(|tally| tally.received).sum();
        prop_assert_eq!(received + unclaimed, counts.all.received);
        prop_assert_eq!(counts.all.received, sent.len() as u64);
        prop_assert_eq!((out.dead, out.late), (counts.all.dead, counts.all.late));
        prop_assert_eq!(counts.dead_by_reason.values().sum::<u64>(), counts.all.dead);
        prop_assert!(counts.failed_windows.is_empty(), "{:?}", counts.failed_windows);
        same_windows(&out, reference);
    });
}

//! What goes wrong around a unit: a disk that fails or fills up, a clock that is set, a broker that
//! is away for long. Each time what was promised happens, and nothing is uncounted.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use wayside::domain::time::Timestamp;
use wayside::io::archive::{Archive, GrowingArchive, Windows};
use wayside::io::clock::ManualClock;
use wayside::io::journal::{Disk, Journal, JournalOptions, Medium, MediumFile};
use wayside::io::memory::{MemorySink, MemorySource};
use wayside::plan::{Output, OutputKind, Plan};
use wayside::ports::{Message, PortError, SharedClock, Source};
use wayside::runtime::{
    Engine, Journaling, LiveOptions, Pace, Replay, ReplayOptions, RunError, Summary, run, writers,
};

use super::player::{directions, windows};
use super::support::{lines, messages, root};

fn plan() -> Arc<Plan> {
    let path = root().join("pipelines/demo.yaml");
    let mut plan = wayside::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    plan.writer.model = None;
    Arc::new(plan)
}

fn demo() -> Vec<Message> {
    messages(&root().join("pipelines/demo/recording.ndjson.gz"))
}

/// A disk of which something can fail.
#[derive(Clone, Debug)]
struct Faulty {
    /// Syncs that still succeed.
    syncs: Arc<AtomicI64>,
    /// Bytes that still fit.
    room: Arc<AtomicI64>,
    refused: Arc<AtomicU64>,
}

impl Faulty {
    fn new(syncs: i64, room: i64) -> Self {
        let count = |n| Arc::new(AtomicI64::new(n));
        Self { syncs: count(syncs), room: count(room), refused: Arc::default() }
    }

    fn open(&self, file: Box<dyn MediumFile>) -> Box<dyn MediumFile> {
        Box::new(FaultyFile { file, medium: self.clone() })
    }

    fn sync(&self) -> io::Result<()> {
        if self.syncs.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("injected: the disk does not sync"));
        }
        Ok(())
    }
}

impl Medium for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        Ok(self.open(Disk.create(path)?))
    }
    fn append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        Ok(self.open(Disk.append(path)?))
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.sync_folder(folder)
    }
}

struct FaultyFile {
    file: Box<dyn MediumFile>,
    medium: Faulty,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes_wanted = i64::try_from(bytes.len()).unwrap();
        if self.medium.room.fetch_sub(bytes_wanted, Ordering::SeqCst) < bytes_wanted {
            self.medium.refused.fetch_add(1, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl MediumFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.medium.sync()?;
        self.file.sync()
    }
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }
}

/// A live run of a unit in `folder` whose journal is on this disk: how it ended, and what it says.
async fn unit(
    plan: Arc<Plan>,
    folder: &Path,
    medium: &Faulty,
    archive: Option<GrowingArchive>,
    clock: &ManualClock,
    source: &mut dyn Source,
    sink: &MemorySink,
) -> (Result<(), RunError>, Summary) {
    let clock: SharedClock = Arc::new(clock.clone());
    let options = JournalOptions {
        medium: Arc::new(medium.clone()),
        retry_every: Duration::ZERO,
        ..JournalOptions::new(folder.join("journal"))
    };
    let (journal, recovered) = Journal::open(options, Arc::clone(&clock)).unwrap();
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let every = Duration::from_secs(30);
    let ended = run(
        &mut engine,
        LiveOptions {
            pace: Pace::Clock,
            clock,
            source,
            sink: &mut sink.clone(),
            archive,
            journal: Some(Journaling { journal, recovered, every, identity: "test".to_owned() }),
            link: &|| Value::Null,
            observe: &mut |_| {},
        },
        std::future::pending(),
    )
    .await;
    (ended, engine.summary())
}

fn shown(sink: &MemorySink) -> usize {
    sink.publications().iter().filter(|p| p.topic.contains("/direction/")).count()
}

/// A live run over the demo's messages on this disk: how it ended, what it says, what it
/// acknowledged, and how many publications went out.
async fn live(medium: &Faulty) -> (Result<(), RunError>, Summary, Vec<u64>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let messages = demo();
    let clock = ManualClock::new(messages[0].received_at);
    let mut source = MemorySource::new(messages);
    let (acknowledged, sink) = (source.acknowledged(), MemorySink::new());
    let (ended, summary) =
        unit(plan(), folder.path(), medium, None, &clock, &mut source, &sink).await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    (ended, summary, acknowledged, shown(&sink))
}

/// A sensor that counts in another unit than its query thinks: years that no calendar has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_cannot_be_written_costs_its_cell_and_not_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Arc::unwrap_or_clone(plan());
    let window = plan.windows.iter_mut().find(|window| window.name == "segment_minute").unwrap();
    window.sql = "SELECT edge_id AS segment, SUM(count) AS vehicles, \
        MAX(to_timestamp_seconds(1700000000 * CASE WHEN count > 0 THEN 1000000 ELSE 1 END)) AS seen \
        FROM loops GROUP BY edge_id"
        .to_owned();
    plan.outputs.push(Output {
        name: "windows".to_owned(),
        kind: OutputKind::Windows { topic: "w/{window}".to_owned(), qos: 0, retain: false },
    });
    let mut messages = demo();
    messages.truncate(messages.len() / 4);
    let clock = ManualClock::new(messages[0].received_at);
    let (mut source, sink) = (MemorySource::new(messages), MemorySink::new());
    let archived = folder.path().join("archive");
    let archive = Some(GrowingArchive::open(&archived, NonZeroUsize::MIN).unwrap());
    let disk = Faulty::new(i64::MAX, i64::MAX);
    let plan = Arc::new(plan);
    let (ended, summary) =
        unit(plan, folder.path(), &disk, archive, &clock, &mut source, &sink).await;
    ended.unwrap();
    let sent = sink.publications();
    let columns: Vec<Value> = sent
        .iter()
        .filter(|sent| sent.topic == "w/segment_minute")
        .map(|sent| {
            serde_json::from_str::<Value>(sent.payload.as_str()).unwrap()["columns"].clone()
        })
        .collect();
    let cells = |name: &str| -> Vec<_> {
        columns.iter().flat_map(|columns| columns[name].as_array().unwrap().clone()).collect()
    };
    for (vehicles, seen) in cells("vehicles").iter().zip(cells("seen")) {
        let year_2023 = seen == "2023-11-14T22:13:20Z";
        assert!(if *vehicles == 0 { year_2023 } else { seen.is_null() }, "{vehicles}: {seen}");
    }
    assert!(cells("vehicles").iter().any(|vehicles| *vehicles == 0));
    assert!(cells("seen").iter().any(Value::is_null));
    assert!(summary.windows.failed.is_empty());
    let archived: usize =
        Windows::open(&archived).unwrap().map(|rows| rows.unwrap().num_rows()).sum();
    assert!(archived >= cells("seen").len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_sync_stops_the_unit_before_anything_is_acknowledged() {
    let (ended, _, acknowledged, _) = live(&Faulty::new(i64::MAX, i64::MAX)).await;
    ended.unwrap();
    let last = *acknowledged.last().unwrap();
    // The first syncs are those of the beginning: its segment and its snapshot.
    for syncs in [3, 4, 6] {
        let (ended, _, acknowledged, _) = live(&Faulty::new(syncs, i64::MAX)).await;
        let error = ended.unwrap_err();
        assert!(matches!(error, RunError::Disk(_)), "{error}");
        assert!(error.to_string().contains("does not sync"), "{error}");
        assert!(acknowledged.last().is_none_or(|receipt| *receipt < last), "{acknowledged:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_the_journal_and_no_direction() {
    let (_, whole, all, directions) = live(&Faulty::new(i64::MAX, i64::MAX)).await;
    // In the middle of the run, and before it has begun.
    for room in [300_000, 0] {
        let full = Faulty::new(i64::MAX, room);
        let run = tokio::time::timeout(Duration::from_mins(2), live(&full)).await;
        let (ended, summary, acknowledged, shown) = run.expect("it waits for room and never runs");
        ended.unwrap();
        assert!(full.refused.load(Ordering::SeqCst) > 0, "the disk was never full");
        assert_eq!(acknowledged.last(), all.last());
        assert_eq!(summary, whole);
        assert_eq!(shown, directions);
    }
}

/// The first messages at once, the others when they are let go.
struct Halting {
    messages: MemorySource,
    at_once: usize,
    halted: Arc<AtomicBool>,
    go: watch::Receiver<bool>,
}

#[async_trait]
impl Source for Halting {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        if self.at_once == 0 {
            self.halted.store(true, Ordering::SeqCst);
            self.go.wait_for(|go| *go).await.unwrap();
        } else {
            self.at_once -= 1;
        }
        self.messages.next().await
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError> {
        self.messages.acknowledge(receipt).await
    }
}

/// The newest status; null before the first.
fn status(sink: &MemorySink) -> Value {
    let sent = sink.publications();
    let status = sent.iter().rfind(|p| p.topic.ends_with("/status"));
    status.map_or(Value::Null, |p| serde_json::from_str(p.payload.as_str()).unwrap())
}

fn counted(status: &Value, of: &str, key: &str) -> u64 {
    status[of][key].as_u64().unwrap()
}

/// Whether each entry of the half that comes at once is in the journal or counted as not.
fn is_settled(status: &Value) -> bool {
    let count = |key| counted(status, "journal", key);
    count("appended") > 1_000 && count("appended") == count("committed") + count("unjournaled")
}

/// What the status says of an archive that is written and lacks so many rows and lines.
fn lacking(lost: u64) -> Value {
    json!({"failing": false, "lost": lost, "left_out": 0, "days_dropped": 0})
}

/// A unit with an archive in `folder` that halts half way. Until it has said there that its disks are
/// full, if they are, they have no room: the journal's by its medium, the archive's by files that
/// stand where its folders should. What it said then, what at its end, its summary, and how many
/// directions it showed.
async fn halting(folder: &Path, medium: &Faulty, full: bool) -> (Value, Value, Summary, usize) {
    let archive = folder.join("archive");
    let in_the_way = ["windows", "directions"].map(|kind| archive.join(kind));
    if full {
        std::fs::create_dir(&archive).unwrap();
        for path in &in_the_way {
            std::fs::write(path, "in the way").unwrap();
        }
    }
    let messages = demo();
    let clock = ManualClock::new(messages[0].received_at);
    let (let_go, go) = watch::channel(false);
    let halted = Arc::new(AtomicBool::new(false));
    let at_once = messages.len() / 2;
    let messages = MemorySource::new(messages);
    let mut source = Halting { messages, at_once, halted: Arc::clone(&halted), go };
    let sink = MemorySink::new();
    let keep_days = NonZeroUsize::new(30).unwrap();
    let archived = GrowingArchive::open(&archive, keep_days).unwrap();
    let room = async {
        let (state, mut said) = (if full { "suspended" } else { "running" }, status(&sink));
        while said["journal"]["state"] != state
            || said["archive"]["failing"] != full
            || !is_settled(&said)
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if halted.load(Ordering::SeqCst) {
                // It stays behind the messages' times: the clock says when to speak, and no more.
                clock.advance(Duration::from_secs(11));
            }
            said = status(&sink);
        }
        if full {
            for path in &in_the_way {
                std::fs::remove_file(path).unwrap();
            }
            medium.room.store(i64::MAX, Ordering::SeqCst);
        }
        clock.advance(Duration::from_mins(1));
        let_go.send(true).unwrap();
        said
    };
    let unit = unit(plan(), folder, medium, Some(archived), &clock, &mut source, &sink);
    let both = Box::pin(async { tokio::join!(unit, room) });
    let ((ended, summary), said) =
        tokio::time::timeout(Duration::from_mins(2), both).await.expect("it was never full");
    ended.unwrap();
    (said, status(&sink), summary, shown(&sink))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_the_archive_what_is_counted_and_with_room_everything_goes_on() {
    let (calm, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = halting(calm.path(), &Faulty::new(i64::MAX, i64::MAX), false).await;
    let medium = Faulty::new(i64::MAX, 300_000);
    let (said, at_end, summary, shown) = halting(full.path(), &medium, true).await;

    assert_eq!(said["journal"]["state"], "suspended", "{said}");
    assert_eq!(said["archive"]["failing"], true, "{said}");
    let (unjournaled, lost) =
        (counted(&said, "journal", "unjournaled"), counted(&said, "archive", "lost"));
    assert!(unjournaled > 0 && lost > 0, "{said}");

    // Nothing more is lost once there is room, and each entry is in the journal or counted.
    assert_eq!(at_end["state"], "stopped");
    assert_eq!(at_end["journal"]["state"], "running", "{at_end}");
    assert_eq!(counted(&at_end, "journal", "unjournaled"), unjournaled, "{at_end}");
    assert!(is_settled(&at_end), "{at_end}");
    assert_eq!(at_end["archive"], lacking(lost));
    assert_eq!((&summary, shown), (&whole.2, whole.3));
    assert_eq!(whole.1["journal"]["unjournaled"], 0);
    assert_eq!(whole.1["archive"], lacking(0));

    // Windows wait for room; of the lines the lost ones are missing, and they are the first.
    assert_eq!(windows(full.path()), windows(calm.path()));
    let (expected, found) = (directions(calm.path()), directions(full.path()));
    assert_eq!(expected[lost as usize..], found);
    assert!(!found.is_empty());

    let options = JournalOptions::new(full.path().join("journal"));
    let (_, recovered) = Journal::open(options, Arc::new(ManualClock::default())).unwrap();
    assert!(!recovered.broken && recovered.snapshot.is_some(), "{recovered:?}");
}

/// The demo with a clock that is set in the middle: what it archives.
fn with_a_step(by: i64) -> (Vec<u8>, usize, Summary) {
    let out = tempfile::tempdir().unwrap();
    let plan = plan();
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let mut archive = Archive::create(out.path()).unwrap();
    let mut all = demo();
    for message in all.iter_mut().filter(|message| message.topic.contains("/event/")) {
        // Whether a planned end has passed is for the clock to say, and another clock says another thing.
        let mut event: Value = serde_json::from_slice(&message.payload).unwrap();
        event["planned_end"] = Value::Null;
        message.payload = event.to_string().into_bytes();
    }
    let rest = all.split_off(all.len() / 2);
    let mut nobody = |_: Timestamp, _: &[_]| {};
    let mut replay = Replay::new(&mut engine, &mut archive, ReplayOptions::default(), &mut nobody);
    for message in all {
        replay.push(message).unwrap();
    }
    replay.flush().unwrap();
    engine.step(by);
    let mut replay = Replay::new(&mut engine, &mut archive, ReplayOptions::default(), &mut nobody);
    for message in rest {
        let received_at = message.received_at.moved(by);
        replay.push(Message { received_at, ..message }).unwrap();
    }
    replay.finish().unwrap();
    archive.finish().unwrap();
    let windows = std::fs::read(out.path().join("windows.parquet")).unwrap();
    (windows, lines(&out.path().join("directions.ndjson")).len(), engine.summary())
}

#[test]
fn a_clock_that_is_set_by_an_hour_closes_nothing_and_makes_nothing_late() {
    let (windows, directions, summary) = with_a_step(0);
    assert_eq!(summary.late, 0);
    for by in [3_600_000, -3_600_000] {
        let (set_windows, set_directions, set_summary) = with_a_step(by);
        // Readings an hour ahead of a clock that was set back are another matter: `max_future`.
        if by > 0 {
            assert!(windows == set_windows, "windows differ after a step of {by} ms");
            assert_eq!(set_directions, directions);
            assert_eq!(set_summary, summary);
        } else {
            assert_eq!(
                set_summary.received,
                set_summary.accepted
                    + set_summary.duplicate
                    + set_summary.late
                    + set_summary.dead.total
            );
            assert_eq!(set_summary.late, 0);
            assert!(set_summary.dead.by_reason.contains_key("future"));
        }
    }
}

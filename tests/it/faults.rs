//! What goes wrong around a unit: a disk that fails or fills up, a clock that is set, a broker that
//! is away for long. Each time what was promised happens, and nothing is uncounted.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use wayside::domain::time::Timestamp;
use wayside::io::archive::{Archive, GrowingArchive, Windows};
use wayside::io::clock::ManualClock;
use wayside::io::journal::{Disk, Journal, JournalOptions, Medium, MediumFile};
use wayside::io::memory::{MemorySink, MemorySource};
use wayside::io::recording::RecordingSource;
use wayside::plan::{Output, OutputKind, Plan};
use wayside::ports::{Message, Publication, SharedClock, Source};
use wayside::runtime::{
    Engine, Journaling, LiveOptions, Pace, Replay, ReplayOptions, RunError, Summary, run, writers,
};

use super::support::{lines, root};

fn plan() -> Arc<Plan> {
    let path = root().join("pipelines/demo.yaml");
    let mut plan = wayside::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    plan.writer.model = None;
    Arc::new(plan)
}

fn messages() -> Vec<Message> {
    let path = root().join("pipelines/demo/recording.ndjson.gz");
    let mut source = RecordingSource::open(&path).unwrap();
    let mut messages = Vec::new();
    while let Some(message) = futures::executor::block_on(source.next()) {
        messages.push(message.unwrap());
    }
    messages
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

/// A live run: its end, what it says, what it acknowledged, and what went out.
struct Ran {
    ended: Result<(), RunError>,
    summary: Summary,
    acknowledged: Vec<u64>,
    sent: Vec<Publication>,
}

impl Ran {
    /// The payloads that went out on topics with this in them.
    fn sent(&self, topic: &str) -> Vec<serde_json::Value> {
        let sent = self.sent.iter().filter(|sent| sent.topic.contains(topic));
        sent.map(|sent| serde_json::from_str(sent.payload.as_str()).unwrap()).collect()
    }
}

/// Runs over these messages with a journal, and whatever lies in its folder, from this time on.
async fn run_at(
    now: Timestamp,
    plan: Arc<Plan>,
    messages: Vec<Message>,
    every: Duration,
    journal: JournalOptions,
) -> Ran {
    let clock: SharedClock = Arc::new(ManualClock::new(now));
    let archive = journal.dir.with_file_name("archive");
    let archive = GrowingArchive::open(&archive, NonZeroUsize::MIN).unwrap();
    let (journal, recovered) = Journal::open(journal, Arc::clone(&clock)).unwrap();
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let mut source = MemorySource::new(messages);
    let acknowledged = source.acknowledged();
    let sink = MemorySink::new();
    let ended = run(
        &mut engine,
        LiveOptions {
            pace: Pace::Clock,
            clock,
            source: &mut source,
            sink: &mut sink.clone(),
            archive: Some(archive),
            journal: Some(Journaling { journal, recovered, every, identity: "test".to_owned() }),
            link: &|| serde_json::Value::Null,
            observe: &mut |_| {},
        },
        std::future::pending(),
    )
    .await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    Ran { ended, summary: engine.summary(), acknowledged, sent: sink.publications() }
}

/// A live run over the demo's messages on this disk: how it ended, what it says, what it
/// acknowledged, and how many publications went out.
async fn live(medium: &Faulty) -> (Result<(), RunError>, Summary, Vec<u64>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages();
    let journal = JournalOptions {
        medium: Arc::new(medium.clone()),
        ..JournalOptions::new(folder.path().join("journal"))
    };
    let now = messages[0].received_at;
    let ran = run_at(now, plan(), messages, Duration::from_secs(30), journal).await;
    let directions = ran.sent("/direction/").len();
    (ran.ended, ran.summary, ran.acknowledged, directions)
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
    let mut messages = messages();
    messages.truncate(messages.len() / 4);
    let journal = JournalOptions::new(folder.path().join("journal"));
    let (now, every) = (messages[0].received_at, Duration::from_secs(30));
    let ran = run_at(now, Arc::new(plan), messages, every, journal).await;
    ran.ended.as_ref().unwrap();
    let columns: Vec<_> =
        ran.sent("w/segment_minute").iter().map(|w| w["columns"].clone()).collect();
    let cells = |name: &str| -> Vec<_> {
        columns.iter().flat_map(|columns| columns[name].as_array().unwrap().clone()).collect()
    };
    for (vehicles, seen) in cells("vehicles").iter().zip(cells("seen")) {
        let year_2023 = seen == "2023-11-14T22:13:20Z";
        assert!(if *vehicles == 0 { year_2023 } else { seen.is_null() }, "{vehicles}: {seen}");
    }
    assert!(cells("vehicles").iter().any(|vehicles| *vehicles == 0));
    assert!(cells("seen").iter().any(serde_json::Value::is_null));
    assert!(ran.summary.windows.failed.is_empty());
    let archived: usize = Windows::open(&folder.path().join("archive"))
        .unwrap()
        .map(|rows| rows.unwrap().num_rows())
        .sum();
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

/// The demo with a clock that is set in the middle: what it archives.
fn with_a_step(by: i64) -> (Vec<u8>, usize, Summary) {
    let out = tempfile::tempdir().unwrap();
    let plan = plan();
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let mut archive = Archive::create(out.path()).unwrap();
    let mut all = messages();
    for message in all.iter_mut().filter(|message| message.topic.contains("/event/")) {
        // Whether a planned end has passed is for the clock to say, and another clock says another thing.
        let mut event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        event["planned_end"] = serde_json::Value::Null;
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

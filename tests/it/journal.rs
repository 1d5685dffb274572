//! A unit's journal from outside: read by other tools, replayed, looked into, repaired.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::io::journal::{Entry, Journal, JournalOptions, Position, Snapshot};
use wayside::io::recording::{self, Reader, Record};
use wayside::ports::Message;

use super::mosquitto::lacks;
use super::support::{data, messages, python, root};

fn wayside(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wayside"))
        .args(args)
        .current_dir(root())
        .env_remove("WAYSIDE_LOG")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Small enough for a city's recording to fill many.
const SEGMENT_BYTES: u64 = 500_000;

/// A message every 25 minutes, over the end of a day.
fn message(n: u64) -> Message {
    let received_at = Timestamp::parse("2008-11-11T21:03:20.250Z").unwrap()
        + Duration::from_mins(25) * u32::try_from(n).unwrap();
    let ts = received_at - Duration::from_secs(20);
    Message {
        topic: format!("wayside/v1/x/sensor/s_{}/reading", n % 3),
        payload: match n % 4 {
            0 => vec![0, 0xff, 0xfe],
            _ => format!("{{\"ts\":\"{ts}\",\"n\":{n}}}").into_bytes(),
        },
        received_at,
        receipt: 0,
    }
}

/// A journal that is written to from here.
struct Keeping {
    journal: Journal,
    runtime: tokio::runtime::Runtime,
}

impl Keeping {
    fn open(dir: &Path, segment_bytes: u64) -> Self {
        let options = JournalOptions { segment_bytes, ..JournalOptions::new(dir) };
        let (journal, recovered) = Journal::open(options, Arc::new(SystemClock::new())).unwrap();
        assert_eq!(recovered.last, Position(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { journal, runtime }
    }

    /// Appends these and waits for the disk.
    fn append(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.journal.append(&entry);
        }
        self.journal.commit();
        let (last, mut progress) = (self.journal.last(), self.journal.progress());
        let durable = progress.wait_for(|progress| progress.through == last);
        self.runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(10), durable).await })
            .unwrap()
            .unwrap();
    }

    /// Messages as a unit keeps them: with the seconds between them, a hundred at a time.
    fn keep(&mut self, messages: &[Message]) {
        for chunk in messages.chunks(100) {
            self.append(chunk.iter().flat_map(|message| {
                let second = message.received_at.floor_to(Duration::from_secs(1));
                [Entry::Tick(second), Entry::Message(message.clone())]
            }));
        }
    }

    fn snapshot(&mut self) {
        let before = self.journal.stats().snapshots_written;
        let position = self.journal.last();
        self.journal.snapshot(Snapshot { position, identity: "x".into(), bytes: Vec::new() });
        until(|| self.journal.stats().snapshots_written > before);
    }
}

/// A journal of these messages with a few left in segments, the others in recordings.
fn journal(dir: &Path, messages: &[Message], segment_bytes: u64) {
    let mut kept = Keeping::open(dir, segment_bytes);
    let tenth = messages.len() / 10;
    for part in [&messages[..tenth * 7], &messages[tenth * 7..tenth * 9]] {
        kept.keep(part);
        kept.snapshot();
    }
    kept.keep(&messages[tenth * 9..]);
    let stats = || kept.journal.stats();
    until(|| stats().compacted > 0 && stats().recordings > 0);
    kept.journal.close().unwrap();
}

fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came");
}

/// The Python that has the readers; `None`, said loudly, where there is none.
fn readers(test: &str) -> Option<PathBuf> {
    let python = python();
    let has = Command::new(&python).args(["-c", "import duckdb, polars, pandas, pyarrow"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let python = python.display();
    lacks(
        test,
        &format!(
            "{python} has no duckdb, polars, pandas and pyarrow (WAYSIDE_PYTHON names one that has)"
        ),
    );
    None
}

/// A recorded message as a reader sees it: `pub` and `ts` in milliseconds since 1970, topic, payload
/// in hex, and the partition that it lies in, date and hour.
type Row = (i64, i64, String, String, String, u32);

#[derive(Deserialize)]
struct Read {
    reader: String,
    rows: Vec<Row>,
}

fn row(record: &Record) -> Row {
    let published = record.published.unwrap_or(record.ts);
    let text = published.to_string();
    let digits = |hex: String, byte: &u8| hex + &format!("{byte:02x}");
    let hex = record.payload.iter().fold(String::new(), digits);
    let (date, hour) = (text[..10].to_owned(), text[11..13].parse().unwrap());
    (published.millis(), record.ts.millis(), record.topic.clone(), hex, date, hour)
}

/// Each of the readers finds exactly these messages under the folder.
fn read_back(python: &Path, folder: &Path, records: impl Iterator<Item = Record>) {
    let mut expected: Vec<Row> = records.map(|record| row(&record)).collect();
    // Of messages of one moment nobody promises which comes first.
    expected.sort();
    let script = root().join("tests/readers/read.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut readers = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Read { reader, mut rows } = serde_json::from_str(line).unwrap();
        rows.sort();
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{reader}");
        }
        assert_eq!(rows.len(), expected.len(), "{reader}");
        readers.push(reader);
    }
    assert_eq!(readers, ["duckdb", "polars", "pandas"]);
}

#[test]
fn recordings_are_read_by_duckdb_polars_and_pandas() {
    let Some(python) = readers("recordings_are_read_by_duckdb_polars_and_pandas") else { return };
    let dir = TempDir::new().unwrap();
    let messages: Vec<_> = (0..60).map(message).collect();
    journal(dir.path(), &messages, 1);
    let folder = dir.path().join("recordings");
    let recorded = recording::info(&folder, Duration::MAX).unwrap().messages as usize;
    assert!(recorded >= 40, "{recorded}");
    let records = messages.into_iter().take(recorded).map(Record::received);
    read_back(&python, &folder, records);
}

/// An hour and a half of a real city goes the journal's way, to its last message.
#[test]
fn the_recording_of_a_city_is_read_by_duckdb_polars_and_pandas() {
    let test = "the_recording_of_a_city_is_read_by_duckdb_polars_and_pandas";
    let (Some(python), Some(bologna)) = (readers(test), data(test, "bologna")) else { return };
    let recording = bologna.join("recording.ndjson.gz");
    let dir = TempDir::new().unwrap();
    let mut journal = Keeping::open(dir.path(), SEGMENT_BYTES);
    journal.keep(&messages(&recording));
    // What no recovery needs becomes recordings: the messages' last segment is closed by one more
    // entry that has no room in it, and two snapshots lie behind it.
    journal.append([Entry::Note { kind: 0, bytes: vec![0; SEGMENT_BYTES as usize] }]);
    journal.snapshot();
    journal.append([Entry::Tick(Timestamp::default())]);
    journal.snapshot();
    let segments = journal.journal.stats().segments;
    until(|| journal.journal.stats().segments == 1);
    journal.journal.close().unwrap();
    assert!(segments > 10, "{segments}");

    let records: Vec<Record> = Reader::open(&recording)
        .unwrap()
        .map(|entry| match entry.unwrap() {
            recording::Entry::Record(record) => record,
            recording::Entry::Corrupt { number, reason, .. } => panic!("{number}: {reason}"),
        })
        .collect();
    assert!(records.len() > 30_000, "{}", records.len());
    read_back(&python, &dir.path().join("recordings"), records.into_iter());
}

#[test]
fn a_journal_replays_like_the_recording_it_was_fed_from() {
    let dir = TempDir::new().unwrap();
    let recording = root().join("pipelines/demo/recording.ndjson.gz");
    let messages = messages(&recording);
    let unit = dir.path().join("journal");
    journal(&unit, &messages, 100_000);
    assert!(fs::read_dir(unit.join("recordings")).unwrap().count() > 0);
    let out = |name: &str| dir.path().join(name);
    for (from, to) in [(recording.as_path(), "a"), (unit.as_path(), "b")] {
        let to = out(to);
        let args = ["replay", "pipelines/demo.yaml", "--recording", path(from), "--out", path(&to)];
        let (code, _, errors) = wayside(&args);
        assert_eq!(code, 0, "{errors}");
    }
    assert_eq!(super::support::bytes(&out("a")), super::support::bytes(&out("b")));
    let summary = |name: &str| fs::read_to_string(out(name).join("summary.json")).unwrap();
    assert_eq!(summary("a"), summary("b"));
}

#[test]
fn info_verify_and_repair_by_the_command_line() {
    let dir = TempDir::new().unwrap();
    let unit = dir.path().join("journal");
    let messages: Vec<_> = (0..60).map(message).collect();
    journal(&unit, &messages, 1_000);

    let (code, text, _) = wayside(&["recording", "info", path(&unit), "--output", "json"]);
    let info: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &info["messages"], &info["form"]), (0, &json!(60), &json!("journal")));
    assert_eq!(info["first"], json!(messages[0].received_at));
    assert_eq!(info["last"], json!(messages[59].received_at));
    assert_eq!(info["topics"]["wayside/v1/x/sensor/s_1/reading"], 20);
    assert_eq!(info["gaps"].as_array().unwrap().len(), 59, "25 minutes are a silence");
    assert_eq!(info["damage"], json!([]));
    let (code, text, _) = wayside(&["recording", "info", path(&unit), "--gap", "1500"]);
    assert_eq!(code, 0);
    assert!(text.contains("60 messages on 3 topics") && !text.contains("silent"), "{text}");

    let (code, text, _) = wayside(&["recording", "verify", path(&unit)]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("is whole: 60 messages"), "{text}");

    // One bit of a segment, and a few bytes in the middle of a recording.
    let mut segments: Vec<_> = fs::read_dir(&unit)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wsj"))
        .collect();
    segments.sort();
    strike(segments.last().unwrap(), 180);
    let (code, text, _) = wayside(&["recording", "verify", path(&unit), "--output", "json"]);
    assert_eq!(code, 1);
    let verified: Value = serde_json::from_str(&text).unwrap();
    let place = &verified["damage"][0];
    assert!(place["reason"].as_str().unwrap().contains(".wsj: the bytes do not verify"), "{text}");
    assert!(place["number"].as_u64().unwrap() > 100, "{text}");
    assert_eq!(verified["whole"], false);

    let saved = dir.path().join("saved.ndjson.gz");
    let before = fs::read(segments.last().unwrap()).unwrap();
    let repair = ["recording", "repair", path(&unit), "--out", path(&saved), "--output", "json"];
    let (code, text, _) = wayside(&repair);
    let repaired: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 0);
    assert_eq!(repaired["messages"], verified["messages"]);
    assert_eq!(repaired["lost"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read(segments.last().unwrap()).unwrap(), before, "never in place");
    let (code, _, errors) = wayside(&repair);
    assert!(code == 4 && errors.contains("is there already"), "{errors}");
    assert_eq!(wayside(&["recording", "verify", path(&saved)]).0, 0);
    let inside = unit.join("recordings/x.parquet");
    let (code, _, errors) = wayside(&["recording", "repair", path(&unit), "--out", path(&inside)]);
    assert!(code == 4 && errors.contains("lies inside"), "{errors}");
    assert_eq!(wayside(&["recording", "info", path(&dir.path().join("no.ndjson"))]).0, 4);
}

/// Flips a bit.
fn strike(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Whichever byte of a Parquet file is damaged: it does not open, rows are missing, or the checksum
/// says so; never a wrong row without a word.
#[test]
fn damage_in_a_recording_is_found() {
    let dir = TempDir::new().unwrap();
    let whole = dir.path().join("whole.ndjson");
    let mut writer = recording::RecordingWriter::create(&whole).unwrap();
    for n in 0..50 {
        writer.write(&message(n)).unwrap();
    }
    writer.finish().unwrap();
    let parquet = dir.path().join("r.parquet");
    recording::convert(&whole, &parquet).unwrap();
    let bytes = fs::read(&parquet).unwrap();
    let records: Vec<_> = Reader::open(&whole).unwrap().map(Result::unwrap).collect();
    assert_eq!(recording::verify(&parquet).unwrap().1, []);
    let broken = dir.path().join("broken.parquet");
    for byte in (0..bytes.len()).step_by(3) {
        let mut changed = bytes.clone();
        changed[byte] ^= 1 << (byte % 8);
        fs::write(&broken, changed).unwrap();
        let Ok((_, places)) = recording::verify(&broken) else { continue };
        if places.is_empty() {
            let read: Vec<_> = Reader::open(&broken).unwrap().map(Result::unwrap).collect();
            assert_eq!(read, records, "byte {byte} changes a row and nobody says so");
        }
    }
}

//! Recordings, written and read again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::io::clock::ManualClock;
use crate::io::memory::MemorySource;
use crate::ports::{Message, Source};

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn record(n: i64, payload: &[u8]) -> Record {
    Record {
        ts: Timestamp::from_millis(n * 1_000).unwrap(),
        published: (n % 2 == 0).then(|| Timestamp::from_millis(n * 1_000 + 120).unwrap()),
        topic: format!("wayside/v1/x/sensor/s_{n}/reading"),
        payload: payload.to_vec(),
    }
}

fn write_all(path: &Path, records: &[Record]) {
    let mut writer = RecordingWriter::create(path).unwrap();
    for record in records {
        writer.push(record).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), records.len() as u64);
}

fn read_all(path: &Path) -> Vec<Record> {
    Reader::open(path)
        .unwrap()
        .map(|entry| match entry.unwrap() {
            Entry::Record(record) => record,
            Entry::Corrupt { number, reason, .. } => panic!("line {number}: {reason}"),
        })
        .collect()
}

async fn messages(source: &mut impl Source) -> (Vec<Message>, Option<String>) {
    let mut all = Vec::new();
    while let Some(next) = source.next().await {
        match next {
            Ok(message) => all.push(message),
            Err(PortError::Fatal { what, .. }) => return (all, Some(what)),
        }
    }
    (all, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_form_gives_back_every_byte(
        payloads in proptest::collection::vec(any::<Vec<u8>>(), 0..40)
    ) {
        let folder = TempDir::new().unwrap();
        let records: Vec<_> = (0_i64..).zip(&payloads).map(|(n, p)| record(n, p)).collect();
        for name in ["r.ndjson", "r.ndjson.gz", "r.parquet"] {
            let path = folder.path().join(name);
            write_all(&path, &records);
            prop_assert_eq!(&read_all(&path), &records);
        }
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no part is left");
    }
}

#[test]
fn conversion_goes_both_ways_and_is_repeatable() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let records: Vec<_> = (0..700).map(|n| record(n, b"{\"v\":1, \"n\":1.0}")).collect();
    write_all(&at("a.ndjson"), &records);
    convert(&at("a.ndjson"), &at("b.parquet")).unwrap();
    convert(&at("a.ndjson"), &at("c.parquet")).unwrap();
    let done = convert(&at("b.parquet"), &at("d.ndjson")).unwrap();
    assert_eq!(done, Converted { records: 700, corrupt: 0 });
    assert_eq!(fs::read(at("b.parquet")).unwrap(), fs::read(at("c.parquet")).unwrap());
    assert_eq!(fs::read(at("a.ndjson")).unwrap(), fs::read(at("d.ndjson")).unwrap());
    let twice = convert(&at("a.ndjson"), &at("b.parquet")).unwrap_err();
    assert!(matches!(twice, RecordingError::Exists { .. }), "{twice}");
}

#[test]
fn times_come_from_the_payload_where_it_has_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut writer = RecordingWriter::create(&path).unwrap();
    let received_at = time("2008-11-11T07:00:31.250Z");
    for payload in [&br#"{"ts":"2008-11-11T07:00:30Z"}"#[..], b"noise"] {
        let (topic, payload) = ("a".to_owned(), payload.to_vec());
        writer.write(&Message { topic, payload, received_at, receipt: 0 }).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"ts\":\"2008-11-11T07:00:30.000Z\",\"pub\":\"2008-11-11T07:00:31.250Z\",\"topic\":\"a\",\
         \"payload\":{\"ts\":\"2008-11-11T07:00:30Z\"}}\n\
         {\"ts\":\"2008-11-11T07:00:31.250Z\",\"pub\":\"2008-11-11T07:00:31.250Z\",\"topic\":\"a\",\
         \"payload\":\"noise\"}\n"
    );
}

#[test]
fn a_recording_that_was_cut_short_can_be_read_and_is_not_overwritten() {
    for name in ["r.ndjson", "r.ndjson.gz", "r.parquet"] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        let mut writer = RecordingWriter::create(&path).unwrap();
        for n in 0..3 {
            writer.push(&record(n, b"{}")).unwrap();
        }
        writer.flush().unwrap();
        // What a crash leaves is what lies on disk now.
        let growing = writer.growing().to_owned();
        let left = folder.path().join(format!("left-{}", growing.file_name().unwrap().display()));
        fs::copy(&growing, &left).unwrap();
        drop(writer);
        let read: Vec<_> =
            Reader::open(&left).unwrap().take_while(Result::is_ok).flatten().collect();
        assert_eq!(read.len(), 3, "{name}");
        assert!(!path.exists());
        let again = RecordingWriter::create(&path).unwrap_err();
        assert!(again.to_string().contains(".part"), "{again}");
    }
}

#[tokio::test]
async fn a_line_that_is_no_record_is_handed_on_and_stops_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.ndjson");
    let long = "x".repeat(MAX_LINE_BYTES + 10);
    let good = r#"{"ts":"2008-11-11T07:00:30Z","topic":"a","payload":{}}"#;
    let newer =
        r#"{"ts":"2008-11-11T07:00:30Z","pub":"2008-11-11T07:00:35Z","topic":"a","payload":{}}"#;
    let text = format!("oops\n{good}\n\n{newer}\r\n{long}\n{good}\n{{\"ts\":\"2008-1");
    fs::write(&path, text).unwrap();
    let mut source = RecordingSource::open(&path).unwrap();
    let (all, error) = messages(&mut source).await;
    assert_eq!(error, None);
    let topics: Vec<_> = all.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(
        topics,
        ["$recording/line/1", "a", "a", "$recording/line/5", "a", "$recording/line/7"]
    );
    assert_eq!(source.corrupt(), 3);
    assert_eq!(all[0].payload, b"oops");
    assert_eq!(all[3].payload.len(), 64 << 10);
    let seconds: Vec<_> = all.iter().map(|m| m.received_at.millis() / 1_000 % 60).collect();
    assert_eq!(seconds, [30, 30, 35, 35, 35, 35], "the time never runs back");
    let receipts: Vec<_> = all.iter().map(|message| message.receipt).collect();
    assert_eq!(receipts, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_broken_gzip_file_ends_the_run_after_what_could_be_read() {
    let folder = TempDir::new().unwrap();
    let whole = folder.path().join("whole.ndjson.gz");
    let cut = folder.path().join("cut.ndjson.gz");
    let records: Vec<_> = (0..2_000).map(|n| record(n, format!("{n}").as_bytes())).collect();
    write_all(&whole, &records);
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let (all, error) = messages(&mut RecordingSource::open(&cut).unwrap()).await;
    assert!(!all.is_empty() && all.len() < 2_000);
    let error = error.unwrap();
    assert!(error.contains("cut.ndjson.gz"), "{error}");
    assert!(error.contains(&format!("after {} messages", all.len())), "{error}");

    fs::write(&cut, b"this is no gzip").unwrap();
    let (all, error) = messages(&mut RecordingSource::open(&cut).unwrap()).await;
    assert!(all.is_empty() && error.unwrap().contains("after 0 messages"));
}

#[test]
fn damage_in_one_row_group_leaves_the_others() {
    let folder = TempDir::new().unwrap();
    let (whole, saved) = (folder.path().join("r.parquet"), folder.path().join("s.ndjson"));
    let records: Vec<_> = (0..20_000).map(|n| record(n, format!("{n}").as_bytes())).collect();
    write_all(&whole, &records);
    let mut bytes = fs::read(&whole).unwrap();
    bytes[1_000..1_200].fill(0xaa);
    fs::write(&whole, bytes).unwrap();
    let (messages, places) = verify(&whole).unwrap();
    let [Place { number, reason }] = places.as_slice() else { panic!("{places:?}") };
    assert!(reason.contains("to 16384 cannot be read"), "{reason}");
    assert_eq!(messages, number - 1 + 20_000 - 16_384);
    let repaired = repair(&whole, &saved).unwrap();
    assert_eq!((repaired.messages, &repaired.lost), (messages, &places));
    let (before, behind) = records.split_at(16_384);
    let kept = before.iter().take(*number as usize - 1).chain(behind);
    assert!(read_all(&saved).iter().eq(kept));
}

#[test]
fn info_says_what_a_recording_holds() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.ndjson");
    let line = |second: u32, topic: &str| {
        format!(r#"{{"ts":"2008-11-11T07:00:{second:02}Z","topic":"{topic}","payload":{{}}}}"#)
    };
    fs::write(&path, [line(5, "a"), line(0, "b"), "oops".into(), line(30, "a")].join("\n"))
        .unwrap();
    let info = info(&path, Duration::from_secs(20)).unwrap();
    assert_eq!((info.form, info.files, info.messages), ("NDJSON", 1, 3));
    assert_eq!((info.topics["a"], info.topics["b"]), (2, 1));
    assert_eq!(info.first, Some(time("2008-11-11T07:00:00Z")));
    assert_eq!(info.last, Some(time("2008-11-11T07:00:30Z")));
    assert_eq!(info.gaps.len(), 1);
    assert!((info.gaps[0].seconds - 30.0).abs() < 1e-9);
    assert_eq!((info.damage.len(), info.damage[0].number), (1, 3));
}

#[test]
fn a_gzip_file_of_several_members_is_read_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.ndjson.gz");
    let mut file = fs::File::create(&path).unwrap();
    for n in 0..2 {
        let mut member = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writeln!(member, "{}", line::write(&record(n, b"{}"))).unwrap();
        file.write_all(&member.finish().unwrap()).unwrap();
    }
    assert_eq!(read_all(&path).len(), 2);
}

#[test]
fn refuses_what_is_no_recording() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        RecordingSource::open(&path).map(|_| ()).unwrap_err()
    };
    let error = at("r.ndjson", "sensor;speed\n1;2\n");
    assert!(matches!(&error, RecordingError::NotARecording { lines: 2, first: 1, .. }), "{error}");
    assert!(error.help().unwrap().contains("one line a message"));
    assert!(matches!(at("r.csv", ""), RecordingError::UnknownForm { .. }));
    assert!(matches!(at("r.parquet", "PAR0"), RecordingError::Parquet { .. }));
    let missing = RecordingSource::open(&folder.path().join("no.ndjson")).unwrap_err();
    assert!(matches!(missing, RecordingError::Open { .. }), "{missing}");
    let folder_itself = folder.path().join("d.ndjson");
    fs::create_dir(&folder_itself).unwrap();
    assert!(matches!(RecordingSource::open(&folder_itself), Err(RecordingError::Open { .. })));
}

#[tokio::test]
async fn an_empty_recording_holds_no_messages() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.ndjson");
    fs::write(&path, "\n").unwrap();
    assert_eq!(messages(&mut RecordingSource::open(&path).unwrap()).await, (vec![], None));
}

#[tokio::test]
async fn a_pace_keeps_the_recordings_gaps() {
    let message = |seconds: i64| Message {
        topic: "a".into(),
        payload: Vec::new(),
        received_at: Timestamp::from_millis(seconds * 1_000).unwrap(),
        receipt: 0,
    };
    let clock = ManualClock::default();
    let source = MemorySource::new(vec![message(100), message(160), message(130)]);
    let mut paced = Paced::new(source, Arc::new(clock.clone()), 120.0);
    paced.next().await.unwrap().unwrap();
    assert_eq!(paced.wait(message(160).received_at), Duration::from_millis(500));
    clock.advance(Duration::from_millis(400));
    assert_eq!(paced.wait(message(160).received_at), Duration::from_millis(100));
    assert_eq!(paced.wait(message(100).received_at), Duration::ZERO, "late already");
    // A wait that is broken off loses nothing.
    tokio::time::timeout(Duration::from_millis(1), paced.next()).await.unwrap_err();
    assert_eq!(paced.next().await.unwrap().unwrap(), message(160));
    assert_eq!(paced.next().await.unwrap().unwrap(), message(130));
    assert!(paced.next().await.is_none());
}

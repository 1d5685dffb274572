//! Recordings of real cities: read whole, and unchanged through every form.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::path::PathBuf;

use wayside::io::recording::{Entry, Reader, Record, RecordingSource, convert};
use wayside::ports::Source;

/// A file of the data folder, or a loud word that it is not there.
fn data(test: &str, file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WAYSIDE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED {test}: no data at {}", path.display());
    None
}

fn records(path: &std::path::Path) -> Vec<Record> {
    Reader::open(path)
        .unwrap()
        .map(|entry| match entry.unwrap() {
            Entry::Record(record) => record,
            Entry::Corrupt { number, reason, .. } => panic!("line {number}: {reason}"),
        })
        .collect()
}

#[tokio::test]
async fn a_faulty_day_is_read_to_its_end_in_order_of_time() {
    let Some(path) = data(
        "a_faulty_day_is_read_to_its_end_in_order_of_time",
        "bologna/recording-faulty.ndjson.gz",
    ) else {
        return;
    };
    let mut source = RecordingSource::open(&path).unwrap();
    let (mut count, mut broken, mut last) = (0, 0, None);
    while let Some(message) = source.next().await {
        let message = message.unwrap();
        assert!(last <= Some(message.received_at));
        last = Some(message.received_at);
        count += 1;
        broken +=
            usize::from(serde_json::from_slice::<serde_json::Value>(&message.payload).is_err());
    }
    // The counts of the data's own list of faults.
    assert_eq!((count, broken, source.corrupt()), (33_228, 26, 0));
}

#[test]
fn every_form_holds_the_same_messages() {
    let Some(path) = data("every_form_holds_the_same_messages", "bologna/recording.ndjson.gz")
    else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let parquet = folder.path().join("a.parquet");
    let lines = folder.path().join("b.ndjson");
    let done = convert(&path, &parquet).unwrap();
    assert_eq!(convert(&parquet, &lines).unwrap(), done);
    let original = records(&path);
    assert_eq!(done.records, original.len() as u64);
    assert_eq!(records(&lines), original);
    let bytes = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    println!("{} messages: gz {}, parquet {} bytes", done.records, bytes(&path), bytes(&parquet));
}

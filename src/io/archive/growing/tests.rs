//! What lies in the folder after marks, crashes and a disk that takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, StringArray};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::batch::SEGMENT;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn window(start: &str) -> WindowBatch {
    let start = time(start);
    let segment: ArrayRef = Arc::new(StringArray::from(vec!["a1"]));
    WindowBatch {
        window: 0,
        start,
        end: start + std::time::Duration::from_mins(1),
        revision: 1,
        rows: RecordBatch::try_from_iter([(SEGMENT, segment)]).unwrap(),
    }
}

fn direction(ts: &str) -> Publication {
    Publication {
        ts: time(ts),
        topic: "d".to_owned(),
        payload: json!({"ts": ts}).into(),
        qos: 1,
        retain: true,
        expiry: None,
    }
}

fn late(received_at: &str) -> LateReading {
    let time = time(received_at);
    let (topic, payload) = ("t".to_owned(), b"{}".to_vec());
    LateReading { received_at: time, event_time: time, watermark: time, topic, payload }
}

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in entries(&next).unwrap() {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Three steps; what was written after the second mark is taken back and written again.
#[test]
fn what_lies_beyond_a_mark_is_taken_back() {
    let folder = TempDir::new().unwrap();
    let first = |archive: &mut GrowingArchive| {
        archive.window(&window("2008-11-11T23:58:00Z"), "m").unwrap();
        archive.publication(&direction("2008-11-11T23:59:00Z")).unwrap();
    };
    let second = |archive: &mut GrowingArchive| {
        archive.window(&window("2008-11-11T23:59:00Z"), "m").unwrap();
        archive.window(&window("2008-11-12T00:00:00Z"), "m").unwrap();
        archive.publication(&direction("2008-11-11T23:59:59Z")).unwrap();
        archive.publication(&direction("2008-11-12T00:00:01Z")).unwrap();
    };
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    first(&mut archive);
    let mark = archive.mark();
    second(&mut archive);
    archive.mark();
    drop(archive);
    let whole = files(folder.path());
    let names: Vec<&str> = whole.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "directions/2008-11-11.ndjson",
            "directions/2008-11-12.ndjson",
            "windows/date=2008-11-11/00000001.parquet",
            "windows/date=2008-11-11/00000002.parquet",
            "windows/date=2008-11-12/00000003.parquet",
        ]
    );

    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    archive.take_back(&mark).unwrap();
    assert_eq!(files(folder.path()).len(), 2);
    second(&mut archive);
    archive.mark();
    drop(archive);
    assert_eq!(files(folder.path()), whole);

    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    archive.take_back(&ArchiveMark::default()).unwrap();
    assert_eq!(files(folder.path()), []);
}

#[test]
fn the_newest_days_are_kept() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    // A day of a clock that was wrong costs no more than one of the days.
    for day in ["2008-11-10", "2008-11-11", "2008-11-12", "2099-01-01", "2008-11-13"] {
        archive.window(&window(&format!("{day}T12:00:00Z")), "m").unwrap();
        archive.publication(&direction(&format!("{day}T12:00:00Z"))).unwrap();
        archive.mark();
    }
    let found = files(folder.path());
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "directions/2008-11-12.ndjson",
            "directions/2099-01-01.ndjson",
            "windows/date=2008-11-12/00000003.parquet",
            "windows/date=2008-11-13/00000005.parquet",
            "windows/date=2099-01-01/00000004.parquet",
        ]
    );
    assert_eq!(archive.stats(), ArchiveStats::default());
}

#[test]
fn what_the_disk_does_not_take_is_held_or_counted_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    for kind in ["windows", "directions"] {
        fs::write(folder.path().join(kind), "in the way").unwrap();
    }
    archive.window(&window("2008-11-11T07:00:00Z"), "m").unwrap();
    archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
    let mark = archive.mark();
    assert_eq!((mark.next_part, &mark.logs[DIRECTIONS]), (1, &None));
    assert_eq!(archive.stats(), ArchiveStats { failing: true, lost: 1 });

    for kind in ["windows", "directions"] {
        fs::remove_file(folder.path().join(kind)).unwrap();
    }
    archive.publication(&direction("2008-11-11T07:01:00Z")).unwrap();
    let mark = archive.mark();
    assert_eq!(mark.next_part, 2);
    assert!(mark.logs[DIRECTIONS].is_some());
    assert_eq!(archive.stats(), ArchiveStats { failing: false, lost: 1 });
    assert_eq!(files(folder.path()).len(), 2);
}

#[test]
fn what_only_memory_held_at_a_mark_is_counted_by_whoever_goes_on_from_it() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("windows"), "in the way").unwrap();
    fs::create_dir(path("directions")).unwrap();
    std::os::unix::fs::symlink("/dev/full", path("directions/2008-11-11.ndjson")).unwrap();
    for start in ["2008-11-11T07:00:00Z", "2008-11-11T07:01:00Z"] {
        archive.window(&window(start), "m").unwrap();
    }
    archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
    archive.late(&late("2008-11-11T07:00:00Z")).unwrap();
    let mark = archive.mark();
    assert_eq!((mark.lost, archive.stats().lost), (3, 0), "two rows and a line");
    assert!(mark.logs[LATE].as_ref().is_some_and(|(_, length)| *length > 0), "the rest goes on");
    drop(archive);

    for way in ["windows", "directions/2008-11-11.ndjson"] {
        fs::remove_file(path(way)).unwrap();
    }
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    archive.take_back(&mark).unwrap();
    assert_eq!(archive.stats(), ArchiveStats { failing: false, lost: 3 });
    archive.window(&window("2008-11-11T07:02:00Z"), "m").unwrap();
    assert_eq!(archive.mark().lost, 3, "what was written is not lost");
}

/// Takes the file away that lies in the way.
#[derive(Debug)]
struct Remover(PathBuf, Arc<AtomicUsize>);

impl MakeRoom for Remover {
    fn make_room(&self, path: &Path) -> bool {
        assert!(self.0.starts_with(path));
        self.1.fetch_add(1, Ordering::SeqCst);
        fs::remove_file(&self.0).is_ok()
    }
}

#[test]
fn room_is_made_for_directions_and_for_nothing_else() {
    for (kind, made) in [("directions", 1), ("late", 0)] {
        for lines in [1, 200] {
            let folder = TempDir::new().unwrap();
            let full = folder.path().join(kind).join("2008-11-11.ndjson");
            fs::create_dir(full.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/dev/full", &full).unwrap();
            let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
            let asked = Arc::default();
            archive.make_room_by(Box::new(Remover(full.clone(), Arc::clone(&asked))));
            for _ in 0..lines {
                archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
                archive.late(&late("2008-11-11T07:00:00Z")).unwrap();
            }
            let mark = archive.mark();
            assert_eq!(asked.load(Ordering::SeqCst), made, "{lines} lines of {kind}");
            assert_eq!(mark.lost, if made == 1 { 0 } else { lines });
            if made == 1 {
                let written = fs::read_to_string(&full).unwrap();
                assert_eq!(written.lines().count() as u64, lines, "each once");
            }
        }
    }
}

#[test]
fn of_several_days_those_that_were_written_are_not_lost() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    let second = folder.path().join("windows/date=2008-11-12");
    fs::create_dir_all(second.parent().unwrap()).unwrap();
    fs::write(&second, "in the way").unwrap();
    for start in ["2008-11-11T23:59:00Z", "2008-11-12T00:00:00Z"] {
        archive.window(&window(start), "m").unwrap();
    }
    let mark = archive.mark();
    assert_eq!((mark.next_part, mark.lost), (2, 1));
    fs::remove_file(&second).unwrap();
    let mark = archive.mark();
    assert_eq!((mark.next_part, mark.lost), (3, 0));
}

#[test]
fn half_a_part_is_not_left_on_the_disk() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
    let day = folder.path().join("windows/date=2008-11-11");
    fs::create_dir_all(&day).unwrap();
    let half = day.join("00000001.part.parquet");
    std::os::unix::fs::symlink("/dev/full", &half).unwrap();
    archive.window(&window("2008-11-11T07:00:00Z"), "m").unwrap();
    assert_eq!(archive.mark().lost, 1);
    assert_eq!(fs::read_dir(&day).unwrap().count(), 0);
    assert_eq!(archive.mark().lost, 0);
}

#[test]
fn without_a_mark_it_goes_on_after_what_is_there() {
    let folder = TempDir::new().unwrap();
    for _ in 0..2 {
        let mut archive = GrowingArchive::open(folder.path(), two()).unwrap();
        archive.window(&window("2008-11-11T07:00:00Z"), "m").unwrap();
        archive.publication(&direction("2008-11-11T07:00:00Z")).unwrap();
        archive.mark();
    }
    let found = files(folder.path());
    assert_eq!(found.len(), 3);
    assert_eq!(String::from_utf8_lossy(&found[0].1).lines().count(), 2);
}

//! What lies in the folder after marks, crashes and a disk that takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, StringArray};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::batch::SEGMENT;
use crate::domain::refusal::{DeadReason, Refusal};

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

fn dead(received_at: &str) -> DeadLetter {
    let refusal =
        Refusal { reason: DeadReason::NotJson, source: None, detail: "broken".to_owned() };
    let (topic, payload) = ("t".to_owned(), b"{".to_vec());
    DeadLetter { received_at: time(received_at), topic, payload, refusal }
}

fn month() -> NonZeroUsize {
    NonZeroUsize::new(30).unwrap()
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
            "directions/2008-11-13.ndjson",
            "directions/2099-01-01.ndjson",
            "windows/date=2008-11-13/00000005.parquet",
            "windows/date=2099-01-01/00000004.parquet",
        ]
    );
    assert_eq!(archive.stats(), ArchiveStats::default());
}

fn directions(archive: &mut GrowingArchive, times: &[&str]) {
    for ts in times {
        archive.publication(&direction(ts)).unwrap();
    }
}

/// What the files of these directions hold, by day.
fn by_day(days: &[(&str, &[&str])]) -> Vec<(String, Vec<u8>)> {
    days.iter()
        .map(|(day, times)| {
            let lines: String =
                times.iter().map(|ts| direction_line(&direction(ts)) + "\n").collect();
            (format!("directions/{day}.ndjson"), lines.into_bytes())
        })
        .collect()
}

#[test]
fn lines_after_a_minute_of_a_wrong_clock_lie_in_their_own_days() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), month()).unwrap();
    directions(&mut archive, &["2008-11-11T12:00:00Z", "2044-01-01T00:00:00Z"]);
    let mark = archive.mark();
    let then = files(folder.path());
    // Once more wrong, and set back over midnight, which is no error.
    let rest = [
        "2008-11-11T12:01:00Z",
        "2008-11-12T12:00:00Z",
        "2044-01-01T00:00:01Z",
        "2008-11-13T00:00:05Z",
        "2008-11-12T23:59:59Z",
        "2008-11-13T00:00:06Z",
    ];
    directions(&mut archive, &rest);
    archive.mark();
    drop(archive);
    let whole = by_day(&[
        ("2008-11-11", &["2008-11-11T12:00:00Z", rest[0]]),
        ("2008-11-12", &[rest[1]]),
        ("2008-11-13", &rest[3..]),
        ("2044-01-01", &["2044-01-01T00:00:00Z", rest[2]]),
    ]);
    assert_eq!(files(folder.path()), whole);

    let mark: ArchiveMark =
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&mark).unwrap()).unwrap();
    let mut archive = GrowingArchive::open(folder.path(), month()).unwrap();
    archive.take_back(&mark).unwrap();
    assert_eq!(files(folder.path()), then);
    directions(&mut archive, &rest);
    archive.mark();
    drop(archive);
    assert_eq!(files(folder.path()), whole);
}

#[test]
fn a_mark_of_an_earlier_version_keeps_the_days_before_its_newest() {
    let folder = TempDir::new().unwrap();
    let times = ["2008-11-11T12:00:00Z", "2008-11-12T12:00:00Z", "2008-11-13T12:00:00Z"];
    let mut archive = GrowingArchive::open(folder.path(), month()).unwrap();
    directions(&mut archive, &times[..2]);
    let mark = ArchiveMark { others: None, ..archive.mark() };
    directions(&mut archive, &["2008-11-12T13:00:00Z", times[2]]);
    archive.mark();
    let mut archive = GrowingArchive::open(folder.path(), month()).unwrap();
    archive.take_back(&mark).unwrap();
    let expected = by_day(&[("2008-11-11", &times[..1]), ("2008-11-12", &times[1..2])]);
    assert_eq!(files(folder.path()), expected);
}

#[test]
fn a_mark_without_a_line_of_its_run_keeps_those_of_runs_before() {
    let folder = TempDir::new().unwrap();
    let before = "2008-11-11T12:00:00Z";
    directions(&mut GrowingArchive::open(folder.path(), month()).unwrap(), &[before]);
    let mut archive = GrowingArchive::open(folder.path(), month()).unwrap();
    let mark = archive.mark();
    directions(&mut archive, &["2008-11-11T13:00:00Z", "2008-11-12T12:00:00Z"]);
    archive.mark();
    let mut archive = GrowingArchive::open(folder.path(), month()).unwrap();
    archive.take_back(&mark).unwrap();
    assert_eq!(files(folder.path()), by_day(&[("2008-11-11", &[before])]));
}

#[test]
fn the_day_that_is_written_stays_beside_the_newer_one_of_a_wrong_clock() {
    let folder = TempDir::new().unwrap();
    let mut archive = GrowingArchive::open(folder.path(), NonZeroUsize::MIN).unwrap();
    directions(&mut archive, &["2044-01-01T00:00:00Z", "2008-11-11T12:00:00Z"]);
    archive.mark();
    directions(&mut archive, &["2008-11-11T13:00:00Z"]);
    archive.mark();
    let expected = by_day(&[("2008-11-11", &["2008-11-11T12:00:00Z", "2008-11-11T13:00:00Z"])]);
    assert_eq!(files(folder.path()), expected);
}

#[test]
fn dead_and_late_lines_have_a_bound_and_what_is_left_out_is_counted() {
    const MOST_BYTES: u64 = 20_000;
    const FLOOD: u64 = 1_000;
    let open = |folder: &Path| {
        let mut archive = GrowingArchive::open(folder, month()).unwrap();
        for kind in [DEAD, LATE] {
            assert_eq!(archive.logs[kind].most_bytes, MOST_LINE_BYTES);
            archive.logs[kind].most_bytes = MOST_BYTES;
        }
        archive
    };
    let flood = |archive: &mut GrowingArchive, at: &str| {
        for _ in 0..FLOOD {
            archive.dead(&dead(at)).unwrap();
            archive.late(&late(at)).unwrap();
        }
        directions(archive, &[at; FLOOD as usize]);
    };
    let lines = |folder: &Path, kind: &str| -> (u64, u64) {
        let found = files(&folder.join(kind));
        let all = found.iter().flat_map(|(_, text)| text);
        let bytes = found.iter().map(|(_, text)| text.len() as u64).sum();
        (bytes, all.filter(|byte| **byte == b'\n').count() as u64)
    };
    let folder = TempDir::new().unwrap();
    let mut archive = open(folder.path());
    let few = "2008-11-10T12:00:00Z";
    archive.dead(&dead(few)).unwrap();
    archive.late(&late(few)).unwrap();
    flood(&mut archive, "2008-11-11T12:00:00Z");
    let mark = archive.mark();
    let mut written = 0;
    for kind in ["dead", "late"] {
        let (bytes, count) = lines(folder.path(), kind);
        assert!((MOST_BYTES - 500..=MOST_BYTES).contains(&bytes), "{kind}: {bytes} bytes");
        written += count;
    }
    let said =
        ArchiveStats { left_out: 2 * FLOOD - written, days_dropped: 2, ..ArchiveStats::default() };
    assert_eq!(archive.stats(), said);
    assert_eq!(lines(folder.path(), "directions").1, FLOOD, "directions have no such bound");

    flood(&mut archive, "2008-11-12T12:00:00Z");
    archive.mark();
    let whole = (files(folder.path()), archive.stats());
    drop(archive);
    for (kind, days) in [("dead", 1), ("late", 1), ("directions", 2)] {
        assert_eq!(files(&folder.path().join(kind)).len(), days, "{kind}");
    }
    assert_eq!(whole.1.left_out, 2 * said.left_out);
    assert_eq!(whole.1.days_dropped, 4);

    // What was dropped for the lines that are written once more is not there to be dropped again.
    let mut archive = open(folder.path());
    archive.take_back(&mark).unwrap();
    assert_eq!(archive.stats(), said);
    flood(&mut archive, "2008-11-12T12:00:00Z");
    archive.mark();
    assert_eq!((files(folder.path()), archive.stats().left_out), (whole.0, whole.1.left_out));
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
    assert_eq!(archive.stats(), ArchiveStats { failing: true, lost: 1, ..ArchiveStats::default() });

    for kind in ["windows", "directions"] {
        fs::remove_file(folder.path().join(kind)).unwrap();
    }
    archive.publication(&direction("2008-11-11T07:01:00Z")).unwrap();
    let mark = archive.mark();
    assert_eq!(mark.next_part, 2);
    assert!(mark.logs[DIRECTIONS].is_some());
    assert_eq!(archive.stats(), ArchiveStats { lost: 1, ..ArchiveStats::default() });
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
    assert_eq!(archive.stats(), ArchiveStats { lost: 3, ..ArchiveStats::default() });
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

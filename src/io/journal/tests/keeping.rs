//! Recordings of closed segments, the limits, and reading the folder as a recording.

use super::*;
use crate::io::recording::{self, Reader, Record};

/// Message `n`, received ten minutes after the one before.
fn message(n: u64) -> Message {
    let received_at = at(1_226_386_800_000 + n.cast_signed() * 600_000);
    Message {
        topic: format!("wayside/v1/x/sensor/s_{}/reading", n % 3),
        payload: if n.is_multiple_of(7) {
            vec![0xff, n as u8]
        } else {
            let ts = received_at - Duration::from_secs(5);
            format!("{{\"ts\":\"{ts}\",\"n\":{n}}}").into_bytes()
        },
        received_at,
        receipt: 0,
    }
}

/// Messages and, before each third one, a second: position 1 is message 1, 2 and 3 are …
fn write(journal: &mut Journal, messages: std::ops::RangeInclusive<u64>) {
    for n in messages {
        if n.is_multiple_of(3) {
            journal.append(&Entry::Tick(message(n).received_at));
        }
        let position = journal.append_message(&message(n));
        journal.commit();
        wait(journal, |progress| progress.through == position);
    }
}

fn records(messages: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    messages.map(|n| Record::received(message(n))).collect()
}

#[track_caller]
fn assert_same(found: &[Record], expected: &[Record]) {
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "number {n}");
    }
    assert_eq!(found.len(), expected.len());
}

fn read(path: &Path) -> Vec<Record> {
    Reader::open(path)
        .unwrap()
        .map(|entry| match entry.unwrap() {
            recording::Entry::Record(record) => record,
            recording::Entry::Corrupt { number, reason, .. } => panic!("{number}: {reason}"),
        })
        .collect()
}

/// A journal of these messages, of which the first segments are recordings.
fn compacted(options: &JournalOptions, messages: u64) -> Journal {
    let (mut journal, _) = open(options);
    write(&mut journal, 1..=messages - 10);
    keep_snapshot(&mut journal);
    write(&mut journal, messages - 9..=messages);
    keep_snapshot(&mut journal);
    compaction(&journal, &options.dir);
    journal
}

#[test]
fn closed_segments_become_recordings_by_the_hour() {
    let dir = TempDir::new().unwrap();
    let journal = compacted(&small(&dir), 60);
    assert!(journal.stats().compacted > 2 && journal.stats().recordings > 2);
    journal.close().unwrap();
    let made = recordings(dir.path()).unwrap();
    for file in &made {
        let read = read(&file.path);
        let hour: Vec<_> = read.iter().map(|r| r.published.unwrap().to_string()).collect();
        let folder = file.path.parent().unwrap().to_string_lossy().into_owned();
        for time in &hour {
            let (date, hour) = (&time[..10], &time[11..13]);
            assert!(folder.ends_with(&format!("date={date}/hour={hour}")), "{folder}: {time}");
        }
    }
    assert!(names(&dir, ".part").is_empty());
    assert_same(&read(dir.path()), &records(1..=60));
    // What is recorded can be taken away and read elsewhere.
    let elsewhere = read(&dir.path().join(RECORDINGS));
    assert_same(&elsewhere, &records(1..=elsewhere.len() as u64));
    assert!(elsewhere.len() > 30);
}

#[test]
fn a_recording_beside_its_segment_doubles_nothing() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    write(&mut journal, 1..=60);
    journal.close().unwrap();
    let kept: Vec<_> = segments(dir.path())
        .unwrap()
        .into_iter()
        .map(|file| (fs::read(&file.path).unwrap(), file.path))
        .collect();
    let (mut journal, _) = open(&small(&dir));
    keep_snapshot(&mut journal);
    write(&mut journal, 61..=62);
    keep_snapshot(&mut journal);
    compaction(&journal, dir.path());
    journal.close().unwrap();
    let made = recordings(dir.path()).unwrap();
    let lost = made[1].path.clone();
    // The crash came after two of a segment's recordings, or after all of them.
    for (bytes, path) in kept.iter().filter(|(_, path)| !path.exists()) {
        fs::write(path, bytes).unwrap();
    }
    assert_same(&read(dir.path()), &records(1..=62));
    fs::remove_file(&lost).unwrap();
    assert_same(&read(dir.path()), &records(1..=62));
    // The next run makes the same recordings of them again.
    let (journal, recovered) = open(&small(&dir));
    assert!(!recovered.broken);
    compaction(&journal, dir.path());
    journal.close().unwrap();
    assert_eq!(recordings(dir.path()).unwrap().len(), made.len());
    assert_same(&read(dir.path()), &records(1..=62));
}

#[test]
fn without_recordings_old_segments_just_go() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions { record: false, ..small(&dir) };
    let journal = compacted(&options, 60);
    assert!(recordings(dir.path()).unwrap().is_empty());
    assert!(journal.stats().compacted > 2);
    journal.close().unwrap();
    assert_eq!(open(&options).1.snapshot, Some(snapshot(60 + 20)));
}

#[test]
fn a_size_drops_recordings_and_never_what_a_recovery_needs() {
    let dir = TempDir::new().unwrap();
    let journal = compacted(&small(&dir), 60);
    journal.close().unwrap();
    let made = recordings(dir.path()).unwrap();
    let needed = names(&dir, ".wsj");
    let all = made.iter().map(|file| file.bytes).sum::<u64>();
    let total = open(&small(&dir)).0.stats().bytes;

    let options = JournalOptions { max_bytes: total - 1, ..small(&dir) };
    let (journal, _) = open(&options);
    until("one is dropped", || journal.stats().expired == 1);
    assert_eq!(recordings(dir.path()).unwrap(), made[1..]);
    drop(journal);
    let options = JournalOptions { max_bytes: total - all - 1, ..small(&dir) };
    let (journal, _) = open(&options);
    until("all are dropped", || journal.stats().recordings == 0);
    assert_eq!(names(&dir, ".wsj"), needed);
    assert_eq!(fs::read_dir(dir.path().join(RECORDINGS)).unwrap().count(), 0, "no empty folders");
}

#[test]
fn recordings_older_than_the_limit_go() {
    let dir = TempDir::new().unwrap();
    compacted(&small(&dir), 60).close().unwrap();
    let made = recordings(dir.path()).unwrap();
    let mut hours: Vec<_> = made.iter().map(|file| file.hour().unwrap()).collect();
    hours.dedup();
    assert!(hours.len() > 4, "{hours:?}");
    // Two hours, and the one that is not over.
    let kept = &hours[hours.len() - 3..];
    let old = made.iter().position(|file| kept.contains(&file.hour().unwrap())).unwrap();
    let options = JournalOptions { max_age: Duration::from_hours(2), ..small(&dir) };
    // That the clock has not yet come so far changes nothing.
    let (journal, _) = Journal::open(options, Arc::new(ManualClock::default())).unwrap();
    until("the hours are dropped", || journal.stats().expired == old as u64);
    until("a count", || journal.stats().recordings == (made.len() - old) as u64);
    assert_eq!(recordings(dir.path()).unwrap(), made[old..]);
}

#[test]
fn a_clock_that_is_wrong_by_years_ages_no_recording() {
    let dir = TempDir::new().unwrap();
    compacted(&small(&dir), 60).close().unwrap();
    let made = recordings(dir.path()).unwrap();
    let options = JournalOptions { max_age: Duration::from_hours(7 * 24), ..small(&dir) };
    let wrong = message(61).received_at + Duration::from_hours(20 * 365 * 24);
    let clock = ManualClock::new(wrong);
    let (mut journal, _) = Journal::open(options, Arc::new(clock.clone())).unwrap();
    // What came in that minute becomes a recording, too.
    journal.append_message(&Message { received_at: wrong, ..message(61) });
    clock.set(message(62).received_at);
    write(&mut journal, 62..=90);
    keep_snapshot(&mut journal);
    write(&mut journal, 91..=92);
    keep_snapshot(&mut journal);
    compaction(&journal, dir.path());
    assert_eq!(journal.stats().expired, 0);
    let found = recordings(dir.path()).unwrap();
    assert_eq!(found[..made.len()], made);
    let strays = found.iter().filter(|file| file.path.to_string_lossy().contains("date=2028"));
    assert_eq!(strays.count(), 1);
}

#[test]
fn a_journal_can_be_read_while_it_is_written() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    write(&mut journal, 1..=30);
    // What the writer has not finished stands there half.
    let last = segments(dir.path()).unwrap().pop().unwrap().path;
    let bytes = fs::read(&last).unwrap();
    let copy = TempDir::new().unwrap();
    let half = copy.path().join(last.file_name().unwrap());
    fs::write(&half, &bytes[..bytes.len() - 3]).unwrap();
    let (first, rest) = (read(&half), read(&last));
    assert_same(&first, &rest[..rest.len() - 1]);

    // A segment becomes a recording after the folder was listed.
    let mut reader = Reader::open(dir.path()).unwrap();
    let mut found = vec![reader.next().unwrap().unwrap()];
    keep_snapshot(&mut journal);
    write(&mut journal, 31..=40);
    keep_snapshot(&mut journal);
    compaction(&journal, dir.path());
    found.extend(reader.map(Result::unwrap));
    let found: Vec<_> = found
        .into_iter()
        .map(|entry| match entry {
            recording::Entry::Record(record) => record,
            recording::Entry::Corrupt { reason, .. } => panic!("{reason}"),
        })
        .collect();
    assert!(found.len() >= 30, "{}", found.len());
    assert_same(&found, &records(1..=found.len() as u64));
}

#[test]
fn damage_is_left_out_of_a_recording_and_kept() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    write(&mut journal, 1..=40);
    journal.close().unwrap();
    let first = segments(dir.path()).unwrap()[0].path.clone();
    let mut bytes = fs::read(&first).unwrap();
    bytes[120] ^= 1;
    fs::write(&first, bytes).unwrap();
    let broken = recording::verify(dir.path()).unwrap();
    assert_eq!((broken.0, broken.1.len()), (39, 1), "{broken:?}");

    let (mut journal, _) = open(&small(&dir));
    keep_snapshot(&mut journal);
    write(&mut journal, 41..=42);
    keep_snapshot(&mut journal);
    compaction(&journal, dir.path());
    let stats = journal.stats();
    assert_eq!(stats.cut, 2, "once at opening, once on the way to the recording");
    journal.close().unwrap();
    assert_eq!(names(&dir, ".damaged"), ["000000000001.wsj.damaged"]);
    let mut expected = records(1..=42);
    expected.remove(0);
    assert_same(&read(dir.path()), &expected);
    let (messages, places) = recording::verify(dir.path()).unwrap();
    assert_eq!(messages, 41);
    assert!(places.iter().any(|place| place.reason.contains(".damaged")), "{places:?}");
}

#[test]
fn a_recording_that_cannot_be_made_is_tried_again() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), u64::MAX);
    let options = JournalOptions { medium: Arc::new(trial.clone()), ..small(&dir) };
    let (mut journal, _) = open(&options);
    write(&mut journal, 1..=40);
    // No folder can be made where a file is.
    fs::write(dir.path().join(RECORDINGS), "").unwrap();
    keep_snapshot(&mut journal);
    write(&mut journal, 41..=42);
    keep_snapshot(&mut journal);
    until("a failure", || journal.stats().compaction_failures > 0);
    assert_eq!(journal.stats().state, "running");
    fs::remove_file(dir.path().join(RECORDINGS)).unwrap();
    keep_snapshot(&mut journal);
    compaction(&journal, dir.path());
    journal.close().unwrap();
    assert_same(&read(dir.path()), &records(1..=42));
}

#[test]
fn where_no_recording_can_be_made_the_size_takes_the_old_segments() {
    let dir = TempDir::new().unwrap();
    // No folder of the day can be made where a file is.
    let recordings = dir.path().join(RECORDINGS);
    fs::create_dir(&recordings).unwrap();
    fs::write(recordings.join("date=2008-11-11"), "").unwrap();
    let options = JournalOptions { max_bytes: 2_000, ..small(&dir) };
    let (mut journal, _) = open(&options);
    write(&mut journal, 1..=40);
    let before = segments(dir.path()).unwrap();
    keep_snapshot(&mut journal);
    write(&mut journal, 41..=42);
    keep_snapshot(&mut journal);
    until("the limit holds", || {
        let stats = journal.stats();
        stats.expired > 0 && stats.bytes <= options.max_bytes
    });
    let stats = journal.stats();
    assert!(stats.compaction_failures > 0 && stats.compacted == 0, "{stats:?}");
    let left = segments(dir.path()).unwrap();
    let gone = before.len() - before.iter().filter(|file| left.contains(file)).count();
    assert_eq!(before[gone..], left[..before.len() - gone], "the oldest went");
    assert_eq!(stats.expired as usize, gone);
    journal.close().unwrap();
    let recovered = open(&options).1;
    assert!(recovered.cut.is_empty() && recovered.snapshot.is_some(), "{:?}", recovered.cut);
}

#[test]
fn a_folder_without_a_recording_is_none() {
    let dir = TempDir::new().unwrap();
    let error = Reader::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("neither a journal nor Parquet"), "{error}");
}

#[test]
fn a_message_received_after_the_clock_went_back_keeps_its_place() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    let mut sent = Vec::new();
    for (n, hour) in [(1, 7), (2, 8), (3, 7), (4, 8), (5, 8)] {
        let message = Message {
            received_at: Timestamp::parse(&format!("2008-11-11T{hour:02}:30:00Z")).unwrap(),
            ..message(n)
        };
        journal.append_message(&message);
        sent.push(Record::received(message));
    }
    let end = journal.last().0;
    write(&mut journal, 6..=40);
    keep_snapshot(&mut journal);
    write(&mut journal, 41..=42);
    keep_snapshot(&mut journal);
    compaction(&journal, dir.path());
    assert!(segments(dir.path()).unwrap()[0].position > end);
    journal.close().unwrap();
    assert_same(&read(dir.path())[..5], &sent);
}

//! The journal, written and found again: on good disks, on bad ones, and after crashes.

mod damage;
mod faults;
mod keeping;
mod medium;

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::io::clock::{ManualClock, SystemClock};
use crate::ports::SharedClock;
use medium::Trial;

fn clock() -> SharedClock {
    Arc::new(SystemClock::new())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

/// The entry that stands at position `n` in these tests.
fn entry(n: u64) -> Entry {
    match n % 5 {
        0 => Entry::Tick(at(n.cast_signed() * 1_000)),
        1 => Entry::Note { kind: n as u8, bytes: n.to_string().into_bytes() },
        _ => Entry::Message(Message {
            topic: format!("wayside/v1/x/sensor/s_{}/reading", n % 7),
            payload: format!("{{\"v\":1,\"n\":{n}}}").into_bytes(),
            received_at: at(n.cast_signed() * 1_000),
            receipt: 0,
        }),
    }
}

fn open(options: &JournalOptions) -> (Journal, Recovered) {
    Journal::open(options.clone(), clock()).unwrap()
}

/// Appends the entries `from` to `to`, one commit each.
fn append(journal: &mut Journal, from: u64, to: u64) {
    for n in from..=to {
        assert_eq!(journal.append(&entry(n)), Position(n));
        journal.commit();
        // Each in a write of its own, so that segments end where the tests expect it.
        wait(journal, |progress| {
            progress.through >= Position(n) || matches!(progress.state, State::Failed(_))
        });
    }
}

/// Waits for the journal to come so far; ten seconds at most.
fn wait(journal: &Journal, so_far: impl FnMut(&Progress) -> bool) -> Progress {
    let mut progress = journal.progress();
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        let waited = progress.wait_for(so_far);
        tokio::time::timeout(Duration::from_secs(10), waited).await.unwrap().unwrap().clone()
    })
}

/// Waits for something that the other threads do; ten seconds at most.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

fn snapshot(n: u64) -> Snapshot {
    Snapshot {
        position: Position(n),
        identity: "pipeline".to_owned(),
        bytes: format!("state after {n}").into_bytes(),
    }
}

/// Takes a snapshot after everything appended so far, and waits for it.
fn keep_snapshot(journal: &mut Journal) {
    let before = journal.stats().snapshots_written;
    journal.snapshot(snapshot(journal.last().0));
    until("a snapshot", || journal.stats().snapshots_written > before);
}

fn positions(tail: Tail) -> Vec<u64> {
    tail.map(|read| {
        let (position, read) = read.unwrap();
        assert_eq!(read, entry(position.0));
        position.0
    })
    .collect()
}

/// Waits until every segment that no recovery needs has become a recording.
fn compaction(journal: &Journal, dir: &Path) {
    until("segments are compacted", || keep::spare_segments(dir).unwrap().is_empty());
    let recorded = recordings(dir).unwrap().len() as u64;
    until("a count", || journal.stats().recordings == recorded);
}

fn small(dir: &TempDir) -> JournalOptions {
    JournalOptions { segment_bytes: 1_000, ..JournalOptions::new(dir.path()) }
}

fn names(dir: &TempDir, extension: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(extension))
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_committed_is_found_again() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions::new(dir.path().join("a/b"));
    let (mut journal, recovered) = open(&options);
    assert_eq!((recovered.last, recovered.snapshot), (Position(0), None));
    for n in 1..=20 {
        journal.append(&entry(n));
    }
    journal.commit();
    wait(&journal, |progress| progress.through == Position(20));
    journal.append(&entry(21));
    drop(journal);

    let (mut journal, recovered) = open(&options);
    assert_eq!(recovered.last, Position(20), "what was not committed is not there");
    assert!(recovered.cut.is_empty() && !recovered.broken);
    assert_eq!(positions(recovered.tail), (1..=20).collect::<Vec<_>>());
    append(&mut journal, 21, 22);
    journal.append(&entry(23));
    journal.close().unwrap();
    let (journal, recovered) = open(&options);
    assert_eq!(positions(recovered.tail), (1..=23).collect::<Vec<_>>());
    assert_eq!(journal.stats().segments, 1, "it goes on in the same segment");
}

#[test]
fn a_receipt_is_not_kept() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions::new(dir.path());
    let (mut journal, _) = open(&options);
    let Entry::Message(message) = entry(2) else { panic!() };
    journal.append_message(&Message { receipt: 77, ..message.clone() });
    journal.close().unwrap();
    let read = open(&options).1.tail.next().unwrap().unwrap();
    assert_eq!(read, (Position(1), Entry::Message(message)));
}

#[test]
fn a_recovery_begins_behind_the_newest_snapshot() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    append(&mut journal, 1, 40);
    keep_snapshot(&mut journal);
    append(&mut journal, 41, 50);
    keep_snapshot(&mut journal);
    append(&mut journal, 51, 60);
    keep_snapshot(&mut journal);
    append(&mut journal, 61, 65);
    journal.close().unwrap();
    assert_eq!(names(&dir, ".wss").len(), 2, "two generations");
    let (journal, recovered) = open(&small(&dir));
    assert_eq!(recovered.snapshot, Some(snapshot(60)));
    assert_eq!(positions(recovered.tail), (61..=65).collect::<Vec<_>>());
    assert_eq!(journal.last(), Position(65));
    assert!(!journal.progress().borrow().snapshot_wanted);
}

#[test]
fn a_tail_ends_where_the_journal_ended_at_opening() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions::new(dir.path());
    let (mut journal, _) = open(&options);
    append(&mut journal, 1, 5);
    journal.close().unwrap();
    let (mut journal, recovered) = open(&options);
    append(&mut journal, 6, 9);
    assert_eq!(positions(recovered.tail), [1, 2, 3, 4, 5]);
}

#[test]
fn only_one_unit_at_a_time() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions::new(dir.path());
    let (journal, _) = open(&options);
    let error = Journal::open(options.clone(), clock()).unwrap_err();
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another unit") && error.help().contains("journal.dir"));
    drop(journal);
    open(&options);
}

#[test]
fn commits_that_queue_up_are_joined() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::new();
    let options =
        JournalOptions { medium: Arc::new(trial.clone()), ..JournalOptions::new(dir.path()) };
    let (mut journal, _) = open(&options);
    append(&mut journal, 1, 1);
    let before = trial.syncs();
    trial.hold_syncs(true);
    journal.append(&entry(2));
    journal.commit();
    until("the first commit is at its sync", || trial.held() == 1);
    for n in 3..=50 {
        journal.append(&entry(n));
        journal.commit();
    }
    assert_eq!(journal.progress().borrow().through, Position(1), "nothing is promised before");
    assert!(journal.backlog() > 0);
    trial.hold_syncs(false);
    wait(&journal, |progress| progress.through == Position(50));
    assert_eq!(trial.syncs() - before, 2);
    assert_eq!(journal.backlog(), 0);
    assert_eq!((journal.stats().committed, journal.stats().appended), (50, 50));
}

#[test]
fn stats_speak_for_the_status_message() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    append(&mut journal, 1, 60);
    keep_snapshot(&mut journal);
    until("a count", || journal.stats().snapshots == 1);
    let stats = serde_json::to_value(journal.stats()).unwrap();
    assert_eq!(stats["state"], "running");
    assert_eq!(stats["durable"], 60);
    assert_eq!(stats["unjournaled"], 0);
    assert!(stats["segments"].as_u64().unwrap() > 1, "{stats}");
    let on_disk: u64 =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    until("a count", || journal.stats().bytes == on_disk);
}

//! Full and failing disks.

use std::io::ErrorKind;

use super::*;

const RETRY: Duration = Duration::from_millis(20);

fn options(dir: &TempDir, trial: &Trial) -> JournalOptions {
    JournalOptions { medium: Arc::new(trial.clone()), retry_every: RETRY, ..small(dir) }
}

#[test]
fn short_writes_are_finished() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::new();
    trial.write_at_most(3);
    let (mut journal, _) = open(&options(&dir, &trial));
    append(&mut journal, 1, 30);
    keep_snapshot(&mut journal);
    append(&mut journal, 31, 35);
    journal.close().unwrap();
    let recovered = open(&small(&dir)).1;
    assert_eq!(recovered.snapshot, Some(snapshot(30)));
    assert_eq!(positions(recovered.tail), [31, 32, 33, 34, 35]);
}

/// A disk that fails: the journal fails for good, and nothing after it is ever reported.
fn fails_for_good(break_it: impl FnOnce(&Trial)) {
    let dir = TempDir::new().unwrap();
    let trial = Trial::new();
    let (mut journal, _) = open(&options(&dir, &trial));
    append(&mut journal, 1, 10);
    break_it(&trial);
    // As many as it takes to begin a new segment.
    append(&mut journal, 11, 60);
    let progress = wait(&journal, |progress| matches!(progress.state, State::Failed(_)));
    let through = progress.through;
    assert!(through >= Position(10) && through < Position(60), "{progress:?}");
    // It does not come back when the disk does.
    trial.fail_syncs(false);
    append(&mut journal, 61, 65);
    assert_eq!(journal.progress().borrow().through, through);
    let stats = journal.stats();
    assert_eq!((stats.state, stats.committed), ("failed", through.0));
    assert_eq!(stats.unjournaled, 65 - through.0, "every other one is counted");
    assert!(matches!(journal.close(), Err(JournalError::Failed { .. })));
    let found = positions(open(&small(&dir)).1.tail);
    assert!(found.len() as u64 >= through.0);
}

#[test]
fn a_failing_sync_is_final() {
    fails_for_good(|trial| trial.fail_syncs(true));
    fails_for_good(Trial::fail_folder_syncs);
}

#[test]
fn a_failing_write_is_final() {
    fails_for_good(|trial| trial.fail_writes_after(7, ErrorKind::Other));
}

#[test]
fn a_snapshot_that_cannot_be_named_fails_the_journal() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::new();
    let (mut journal, _) = open(&options(&dir, &trial));
    append(&mut journal, 1, 10);
    trial.fail_renames(true);
    journal.snapshot(snapshot(10));
    wait(&journal, |progress| matches!(progress.state, State::Failed(_)));
    assert_eq!((journal.stats().committed, journal.stats().unjournaled), (10, 0));
    assert!(journal.close().is_err());
    let recovered = open(&small(&dir)).1;
    assert_eq!((recovered.snapshot, positions(recovered.tail).len()), (None, 10));
}

/// Messages of many seconds, so that there are recordings to shed.
fn fill(journal: &mut Journal, dir: &Path) {
    append(journal, 1, 60);
    keep_snapshot(journal);
    append(journal, 61, 80);
    keep_snapshot(journal);
    append(journal, 81, 90);
    compaction(journal, dir);
}

#[test]
fn a_full_disk_sheds_the_oldest_recordings_first() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), u64::MAX);
    let (mut journal, _) = open(&options(&dir, &trial));
    fill(&mut journal, dir.path());
    let recorded = recordings(dir.path()).unwrap();
    trial.set_quota(trial.used() + 100);
    append(&mut journal, 91, 95);
    let stats = journal.stats();
    assert_eq!((stats.state, stats.unjournaled, stats.committed), ("running", 0, 95));
    assert!(stats.shed > 0);
    let left = recordings(dir.path()).unwrap();
    assert!(left.len() < recorded.len());
    assert_eq!(left.first(), recorded.get(recorded.len() - left.len()), "the oldest went");
    drop(journal);
    let recovered = open(&small(&dir)).1;
    assert_eq!(recovered.snapshot, Some(snapshot(80)));
    assert_eq!(positions(recovered.tail).last(), Some(&95));
}

#[test]
fn others_on_the_same_disk_may_have_its_recordings_dropped() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    fill(&mut journal, dir.path());
    let recorded = recordings(dir.path()).unwrap();
    let room = journal.room();
    assert!(!room.make_room(Path::new("/proc")), "another disk");
    assert_eq!(recordings(dir.path()).unwrap(), recorded);
    assert!(room.make_room(dir.path()));
    assert_eq!(recordings(dir.path()).unwrap(), recorded[1..]);
    assert_eq!(journal.stats().shed, 1);
}

#[test]
fn segments_that_no_recovery_needs_are_shed_after_the_recordings() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    append(&mut journal, 1, 60);
    journal.close().unwrap();
    let hour = dir.path().join("recordings/date=2008-11-11/hour=07");
    fs::create_dir_all(&hour).unwrap();
    fs::write(hour.join("1-2.parquet"), "").unwrap();
    fs::write(dir.path().join("000000000001.wsj.damaged"), "").unwrap();
    for position in [40, 50] {
        let bytes = [snapshot::head(&snapshot(position)), snapshot(position).bytes];
        fs::write(dir.path().join(format!("{position:012}.wss")), bytes.concat()).unwrap();
    }
    let before = segments(dir.path()).unwrap();
    let mut shed = Vec::new();
    while let Some(path) = keep::shed_one(&small(&dir)).unwrap() {
        shed.push(path);
    }
    assert_eq!(shed[0].extension().unwrap(), "parquet");
    assert_eq!(shed[1].extension().unwrap(), "damaged");
    assert!(!hour.exists(), "the hour's folder goes with its last file");
    let needed: Vec<_> = segments(dir.path()).unwrap();
    assert!(needed.len() + shed.len() - 2 == before.len() && shed.len() >= 4, "{shed:?}");
    assert!(needed[0].position <= 41 && needed[1].position > 41, "{needed:?}");
    let recovered = open(&small(&dir)).1;
    assert_eq!(positions(recovered.tail), (51..=60).collect::<Vec<_>>());
}

#[test]
fn with_nothing_left_to_shed_the_journal_is_suspended_and_resumes() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), u64::MAX);
    let (mut journal, _) = open(&options(&dir, &trial));
    append(&mut journal, 1, 10);
    keep_snapshot(&mut journal);
    trial.set_quota(trial.used() + 10);
    append(&mut journal, 11, 20);
    let progress = journal.progress().borrow().clone();
    assert_eq!((progress.state, progress.through), (State::Suspended, Position(20)));
    let stats = journal.stats();
    assert_eq!((stats.durable, stats.unjournaled, stats.state), (10, 10, "suspended"));
    journal.snapshot(snapshot(20));
    until("a refusal", || journal.stats().snapshots_skipped == 1);

    trial.set_quota(u64::MAX);
    std::thread::sleep(RETRY);
    append(&mut journal, 21, 25);
    let progress = journal.progress().borrow().clone();
    assert_eq!((progress.state, progress.through), (State::Running, Position(25)));
    assert!(progress.snapshot_wanted, "the gap must be bridged");
    assert_eq!((journal.stats().unjournaled, journal.stats().durable), (10, 25));
    let crashed = copy(&dir);

    // Before there is a snapshot, a crash falls back to before the gap and says so.
    let (reopened, recovered) = open(&small(&crashed));
    assert!(recovered.broken && reopened.progress().borrow().snapshot_wanted);
    let cut = recovered.cut.first().unwrap();
    assert_eq!((cut.reason, cut.lost), (CutReason::Gap, Some((Position(11), Position(20)))));
    assert_eq!((recovered.snapshot, recovered.last), (Some(snapshot(10)), Position(25)));
    assert_eq!(positions(recovered.tail), Vec::<u64>::new());
    drop(reopened);

    journal.snapshot(snapshot(15));
    until("a snapshot", || journal.stats().snapshots_written == 2);
    assert!(journal.progress().borrow().snapshot_wanted, "one from inside the gap is no bridge");
    keep_snapshot(&mut journal);
    assert!(!journal.progress().borrow().snapshot_wanted);
    append(&mut journal, 26, 30);
    journal.close().unwrap();
    let recovered = open(&small(&dir)).1;
    assert!(!recovered.broken && recovered.cut.is_empty());
    assert_eq!(positions(recovered.tail), (26..=30).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_is_full_at_the_first_snapshot_suspends_the_journal_until_there_is_room() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), 10);
    let (mut journal, _) = open(&options(&dir, &trial));
    journal.snapshot(snapshot(0));
    wait(&journal, |progress| progress.state == State::Suspended);
    append(&mut journal, 1, 5);
    let stats = journal.stats();
    assert_eq!((stats.state, stats.snapshots_skipped, stats.unjournaled), ("suspended", 1, 5));

    trial.set_quota(u64::MAX);
    std::thread::sleep(RETRY);
    append(&mut journal, 6, 7);
    let progress = journal.progress().borrow().clone();
    assert_eq!((progress.state, progress.snapshot_wanted), (State::Running, true));
    keep_snapshot(&mut journal);
    append(&mut journal, 8, 9);
    journal.close().unwrap();
    let recovered = open(&small(&dir)).1;
    assert_eq!((recovered.snapshot, recovered.broken), (Some(snapshot(7)), false));
    assert_eq!(positions(recovered.tail), [8, 9]);
}

#[test]
fn a_later_snapshot_that_finds_no_room_suspends_nothing() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), u64::MAX);
    let (mut journal, _) = open(&options(&dir, &trial));
    append(&mut journal, 1, 5);
    keep_snapshot(&mut journal);
    trial.set_quota(trial.used() + 10);
    journal.snapshot(snapshot(5));
    until("a refusal", || journal.stats().snapshots_skipped == 1);
    trial.set_quota(u64::MAX);
    append(&mut journal, 6, 6);
    assert_eq!((journal.stats().state, journal.stats().unjournaled), ("running", 0));
}

#[test]
fn snapshots_free_the_segments_that_fill_the_disk() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), u64::MAX);
    let (mut journal, _) = open(&JournalOptions { record: false, ..options(&dir, &trial) });
    append(&mut journal, 1, 60);
    trial.set_quota(trial.used() + 10);
    append(&mut journal, 61, 65);
    assert_eq!(journal.progress().borrow().state, State::Suspended);
    // Room for two snapshots, and for no segment.
    trial.set_quota(trial.used() + 300);
    std::thread::sleep(RETRY);
    append(&mut journal, 66, 66);
    assert_eq!(journal.progress().borrow().state, State::Suspended);
    keep_snapshot(&mut journal);
    append(&mut journal, 67, 67);
    keep_snapshot(&mut journal);
    std::thread::sleep(RETRY);
    append(&mut journal, 68, 70);
    assert_eq!(journal.progress().borrow().state, State::Running);
    journal.close().unwrap();
    let recovered = open(&small(&dir)).1;
    assert_eq!((recovered.snapshot, recovered.broken), (Some(snapshot(67)), false));
    assert_eq!(positions(recovered.tail), [68, 69, 70]);
}

#[test]
fn a_crash_while_suspended_never_uses_a_position_again_that_a_snapshot_has() {
    let dir = TempDir::new().unwrap();
    let trial = Trial::with_quota(dir.path(), u64::MAX);
    let (mut journal, _) = open(&options(&dir, &trial));
    append(&mut journal, 1, 10);
    keep_snapshot(&mut journal);
    drop(journal);
    // The segment is lost, the snapshot is not.
    for name in names(&dir, ".wsj") {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let (mut journal, recovered) = open(&small(&dir));
    assert_eq!((recovered.last, recovered.broken), (Position(10), false));
    append(&mut journal, 11, 12);
    drop(journal);
    assert_eq!(positions(open(&small(&dir)).1.tail), [11, 12]);
}

/// What a crash would leave of the folder now.
fn copy(dir: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

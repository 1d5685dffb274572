//! Torn, flipped, missing: what is read equals what was written, in order, and the rest is said.

use proptest::prelude::*;

use super::*;
use crate::io::recording;

/// A closed journal with segments of about ten entries.
fn written(entries: u64) -> (TempDir, Vec<PathBuf>) {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    append(&mut journal, 1, entries);
    journal.close().unwrap();
    let files = segments(dir.path()).unwrap().into_iter().map(|file| file.path).collect();
    (dir, files)
}

fn flip(path: &Path, byte: usize, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn a_torn_tail_is_cut_and_it_goes_on() {
    let (dir, files) = written(25);
    let last = files.last().unwrap();
    let whole = length(last);
    fs::OpenOptions::new().write(true).open(last).unwrap().set_len(whole - 5).unwrap();
    let (mut journal, recovered) = open(&small(&dir));
    assert_eq!(recovered.last, Position(24));
    let [cut] = recovered.cut.as_slice() else { panic!("{:?}", recovered.cut) };
    assert_eq!((cut.reason, &cut.file, cut.lost), (CutReason::Torn, last, None));
    assert_eq!(cut.offset, length(last), "the file ends where the last whole entry does");
    assert_eq!((journal.stats().cut, journal.stats().cut_bytes), (1, cut.bytes));
    assert!(!recovered.broken);
    append(&mut journal, 25, 26);
    drop(journal);
    let recovered = open(&small(&dir)).1;
    assert!(recovered.cut.is_empty());
    assert_eq!(positions(recovered.tail), (1..=26).collect::<Vec<_>>());
}

#[test]
fn a_torn_tail_is_passed_over_by_who_reads_and_found_by_who_verifies() {
    let (dir, files) = written(25);
    let last = files.last().unwrap();
    let whole = recording::verify(dir.path()).unwrap();
    assert_eq!(whole.1, []);
    fs::OpenOptions::new().write(true).open(last).unwrap().set_len(length(last) - 5).unwrap();
    let info = recording::info(dir.path(), Duration::MAX).unwrap();
    assert_eq!(info.damage, []);
    let (messages, places) = recording::verify(dir.path()).unwrap();
    // Entry 25 is a second, and no message.
    assert_eq!((messages, places.len()), (whole.0, 1));
    assert!(places[0].reason.contains("not complete"), "{places:?}");
}

#[test]
fn a_segment_that_was_only_begun_goes() {
    let (dir, files) = written(25);
    let last = files.last().unwrap();
    for length in [0, 40, 700] {
        fs::write(last, vec![0; length]).unwrap();
        let (_, recovered) = open(&small(&dir));
        assert!(!last.exists());
        assert!(!recovered.broken);
        let read = positions(recovered.tail);
        assert_eq!(read.last(), Some(&recovered.last.0));
    }
}

#[test]
fn a_flipped_bit_costs_one_entry_and_says_which() {
    let (dir, files) = written(25);
    let first = &files[0];
    flip(first, 200, 3);
    let (journal, recovered) = open(&small(&dir));
    let [cut] = recovered.cut.as_slice() else { panic!("{:?}", recovered.cut) };
    let (from, to) = cut.lost.unwrap();
    assert_eq!((cut.reason, from, &cut.file), (CutReason::Damaged, to, first));
    assert!(!recovered.broken);
    let expected: Vec<u64> = (1..=25).filter(|n| *n != from.0).collect();
    assert_eq!(positions(recovered.tail), expected);
    assert_eq!(journal.stats().lost, 1);
    assert!(cut.to_string().contains(&format!("entries {from} to {to}")), "{cut}");
}

#[test]
fn damage_at_the_end_of_a_closed_segment_is_known_by_the_next_one() {
    let (dir, files) = written(25);
    let first = &files[0];
    flip(first, length(first) as usize - 1, 0);
    let recovered = open(&small(&dir)).1;
    let [cut] = recovered.cut.as_slice() else { panic!("{:?}", recovered.cut) };
    let next = segments(dir.path()).unwrap()[1].position;
    assert_eq!(cut.lost, Some((Position(next - 1), Position(next - 1))));
    assert_eq!(positions(recovered.tail).len(), 24);
}

#[test]
fn a_missing_segment_is_a_gap() {
    let (dir, files) = written(40);
    let second = segments(dir.path()).unwrap()[1].position;
    fs::remove_file(&files[1]).unwrap();
    let (mut journal, recovered) = open(&small(&dir));
    assert!(recovered.broken && recovered.last == Position(40));
    assert_eq!(recovered.cut[0].reason, CutReason::Missing);
    assert_eq!(positions(recovered.tail), (1..second).collect::<Vec<_>>());
    assert!(journal.progress().borrow().snapshot_wanted);
    // A snapshot bridges it.
    append(&mut journal, 41, 42);
    keep_snapshot(&mut journal);
    append(&mut journal, 43, 44);
    journal.close().unwrap();
    let recovered = open(&small(&dir)).1;
    assert!(!recovered.broken);
    assert_eq!(positions(recovered.tail), [43, 44]);
}

#[test]
fn an_unreadable_last_segment_is_set_aside_and_its_positions_stay_used() {
    let (dir, files) = written(25);
    let last = files.last().unwrap();
    let begun = segments(dir.path()).unwrap().last().unwrap().position;
    fs::write(last, vec![1; 700]).unwrap();
    let (mut journal, recovered) = open(&small(&dir));
    assert!(recovered.broken);
    assert!(recovered.last >= Position(25), "{:?}", recovered.last);
    assert_eq!(names(&dir, ".damaged").len(), 1);
    assert_eq!(positions(recovered.tail), (1..begun).collect::<Vec<_>>());
    let next = journal.last().0 + 1;
    append(&mut journal, next, next);
    drop(journal);
    let recovered = open(&small(&dir)).1;
    assert!(recovered.broken, "what stands behind it continues nothing");
}

#[test]
fn a_damaged_snapshot_falls_back_to_the_older_one() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(&small(&dir));
    append(&mut journal, 1, 20);
    keep_snapshot(&mut journal);
    append(&mut journal, 21, 40);
    keep_snapshot(&mut journal);
    append(&mut journal, 41, 42);
    journal.close().unwrap();
    let snapshots = names(&dir, ".wss");
    flip(&dir.path().join(&snapshots[1]), 40, 2);
    let (mut journal, recovered) = open(&small(&dir));
    assert_eq!(recovered.snapshot, Some(snapshot(20)));
    assert_eq!(positions(recovered.tail), (21..=42).collect::<Vec<_>>());
    assert_eq!(recovered.cut[0].reason, CutReason::Snapshot);
    assert!(journal.progress().borrow().snapshot_wanted);
    keep_snapshot(&mut journal);
    assert_eq!(open_names(&dir), ["000000000020.wss", "000000000042.wss"]);
}

fn open_names(dir: &TempDir) -> Vec<String> {
    names(dir, ".wss")
}

#[test]
fn without_any_snapshot_what_was_dropped_is_a_gap() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions { record: false, ..small(&dir) };
    let (mut journal, _) = open(&options);
    append(&mut journal, 1, 40);
    keep_snapshot(&mut journal);
    append(&mut journal, 41, 60);
    keep_snapshot(&mut journal);
    until("segments are dropped", || segments(dir.path()).unwrap()[0].position > 1);
    journal.close().unwrap();
    for name in names(&dir, ".wss") {
        flip(&dir.path().join(name), 20, 0);
    }
    let recovered = open(&options).1;
    assert!(recovered.broken && recovered.snapshot.is_none());
    assert_eq!(positions(recovered.tail), Vec::<u64>::new());
}

/// One change to one of the files.
#[derive(Clone, Debug)]
enum Blow {
    Flip { file: usize, byte: usize, bit: u8 },
    Truncate { file: usize, to: usize },
    Zero { file: usize, from: usize, bytes: usize },
    Remove { file: usize },
    Double { file: usize, from: usize, bytes: usize },
}

fn blow() -> impl Strategy<Value = Blow> {
    let (file, byte) = (0..64_usize, 0..100_000_usize);
    prop_oneof![
        6 => (file.clone(), byte.clone(), 0..8_u8).prop_map(|(file, byte, bit)| Blow::Flip { file, byte, bit }),
        3 => (file.clone(), byte.clone()).prop_map(|(file, to)| Blow::Truncate { file, to }),
        2 => (file.clone(), byte.clone(), 1..300_usize)
            .prop_map(|(file, from, bytes)| Blow::Zero { file, from, bytes }),
        1 => file.clone().prop_map(|file| Blow::Remove { file }),
        1 => (file, byte, 1..300_usize).prop_map(|(file, from, bytes)| Blow::Double { file, from, bytes }),
    ]
}

fn strike(files: &[PathBuf], blow: &Blow) {
    let (Blow::Flip { file, .. }
    | Blow::Truncate { file, .. }
    | Blow::Zero { file, .. }
    | Blow::Remove { file }
    | Blow::Double { file, .. }) = blow;
    let path = &files[file % files.len()];
    let Ok(mut bytes) = fs::read(path) else { return };
    let length = bytes.len().max(1);
    match blow {
        Blow::Remove { .. } => return fs::remove_file(path).unwrap(),
        Blow::Flip { byte, bit, .. } => {
            if let Some(byte) = bytes.get_mut(byte % length) {
                *byte ^= 1 << bit;
            }
        }
        Blow::Truncate { to, .. } => bytes.truncate(to % length),
        Blow::Zero { from, bytes: count, .. } => {
            bytes.iter_mut().skip(from % length).take(*count).for_each(|byte| *byte = 0);
        }
        Blow::Double { from, bytes: count, .. } => {
            let from = (from % length).min(bytes.len());
            let end = (from + count).min(bytes.len());
            let again = bytes[from..end].to_vec();
            bytes.splice(end..end, again);
        }
    }
    fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn whatever_happens_to_the_files_nothing_false_is_read_and_nothing_lost_unsaid(
        blows in proptest::collection::vec(blow(), 1..4),
        with_snapshot: bool,
    ) {
        const LAST: u64 = 45;
        let dir = TempDir::new().unwrap();
        let medium = Arc::new(Trial::new());
        let options =
            JournalOptions { segment_bytes: 600, medium, ..JournalOptions::new(dir.path()) };
        let (mut journal, _) = open(&options);
        for n in 1..=LAST {
            journal.append(&entry(n));
            if n % 4 == 0 {
                journal.commit();
                wait(&journal, |progress| progress.through == Position(n));
            }
            if with_snapshot && n == 20 {
                keep_snapshot(&mut journal);
            }
        }
        journal.close().unwrap();
        let files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().is_some_and(|name| name != "lock"))
            .collect();
        for blow in &blows {
            strike(&files, blow);
        }

        let (mut journal, recovered) = open(&options);
        let after = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.position.0);
        prop_assert!(recovered.snapshot.is_none_or(|found| found == snapshot(20)));
        let (cuts, broken) = (recovered.cut, recovered.broken);
        let read = positions(recovered.tail);
        prop_assert!(read.windows(2).all(|pair| pair[0] < pair[1]), "{read:?}");
        prop_assert!(read.first().is_none_or(|first| *first > after));
        // Every entry after the snapshot was read, or stands in a report, or lies behind a break
        // or in a tail that was cut.
        let end = read.last().copied().unwrap_or(after);
        for n in after + 1..=LAST {
            let said = cuts.iter().any(|cut| {
                cut.lost.is_some_and(|(from, to)| (from.0..=to.0).contains(&n))
            });
            let behind = n > end && (broken || recovered.last.0 < n);
            prop_assert!(read.contains(&n) || said || behind, "{n}: {read:?} {cuts:?} {broken}");
        }
        // It goes on behind everything, and what is written now is found again.
        let next = journal.last().0 + 1;
        prop_assert!(next > end);
        append(&mut journal, next, next + 2);
        keep_snapshot(&mut journal);
        append(&mut journal, next + 3, next + 5);
        journal.close().unwrap();
        let recovered = open(&options).1;
        prop_assert!(!recovered.broken);
        prop_assert_eq!(positions(recovered.tail), [next + 3, next + 4, next + 5]);
    }

    #[test]
    fn no_bytes_make_it_panic(
        files in proptest::collection::vec(
            (0..6_u64, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..400), any::<bool>()),
            0..5,
        ),
    ) {
        let dir = TempDir::new().unwrap();
        for (position, is_segment, mut bytes, with_header) in files {
            if with_header {
                let header = segment::Header { salt: 0, first: position + 1, follows: position };
                bytes.splice(0..0, header.to_bytes());
            }
            let extension = if is_segment { "wsj" } else { "wss" };
            fs::write(dir.path().join(format!("{position:012}.{extension}")), bytes).unwrap();
        }
        let read = recording::verify(dir.path());
        prop_assert!(read.is_err() || read.is_ok_and(|(messages, _)| messages == 0));
        let options = JournalOptions { medium: Arc::new(Trial::new()), ..small(&dir) };
        let (mut journal, recovered) = open(&options);
        prop_assert_eq!(recovered.tail.count(), 0);
        journal.append(&entry(1));
        journal.close().unwrap();
    }
}

//! Keys that are told apart, forgotten with their time, and no more of them than fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use proptest::prelude::*;

use super::*;

#[test]
fn cells_that_run_together_are_still_two_keys() {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(StringArray::from(vec![Some("ab"), Some("a"), None, Some("ab")]))),
        ("b", Arc::new(StringArray::from(vec![Some("c"), Some("bc"), Some("abc"), Some("c")]))),
        ("n", Arc::new(Float64Array::from(vec![Some(0.0), Some(0.0), None, Some(-0.0)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let columns = KeyColumns::of(&batch, &[0, 1, 2]);
    let (mut keys, mut key) = (Keys::new(2), Vec::new());
    let fresh: Vec<Look> = (0..4)
        .zip(0..)
        .map(|(row, time)| {
            columns.write(row, &mut key);
            keys.insert(&key, time)
        })
        .collect();
    assert_eq!(fresh, [Look::New, Look::New, Look::New, Look::Known]);
    keys.forget_before(1);
    columns.write(0, &mut key);
    assert_eq!(keys.insert(&key, 9), Look::New, "forgotten with its time");
    assert_eq!(keys.insert(&key, 9), Look::Known);
}

#[test]
fn what_is_forgotten_does_not_fill_the_memory() {
    let mut keys = Keys::new(250);
    for n in 0..100_000_i64 {
        assert_eq!(keys.insert(&n.to_le_bytes(), n), Look::New);
        keys.forget_before(n - 500);
    }
    assert!(keys.len() <= 751, "{}", keys.len());
    assert_eq!(keys.insert(&99_900_i64.to_le_bytes(), 99_900), Look::Known);
    let mut again = Keys::new(60);
    let bytes = rmp_serde::to_vec(&keys.state()).unwrap();
    again.restore(&rmp_serde::from_slice(&bytes).unwrap());
    assert_eq!(again.len(), 501, "the forgotten are not taken up");
    assert_eq!(again.insert(&99_900_i64.to_le_bytes(), 99_900), Look::Known);
    assert_eq!(again.insert(&99_000_i64.to_le_bytes(), 99_990), Look::New);
}

#[test]
fn keys_that_come_again_and_again_hold_nothing_else() {
    let mut keys = Keys::new(100);
    for n in 0..20_000_i64 {
        // One of forty that return, each after all was forgotten, and one that never does.
        keys.insert(&(n / 10 % 40).to_le_bytes(), n);
        assert_eq!(keys.insert(&(1_000_000 + n).to_le_bytes(), n), Look::New);
        keys.forget_before(n - 300);
    }
    assert!(keys.spans.len() <= 5, "{} spans", keys.spans.len());
    assert!(keys.len() <= 500, "{} keys", keys.len());
}

#[test]
fn clocks_that_show_any_time_make_no_more_tables() {
    let mut keys = Keys::new(10);
    for n in 0..1_000_i64 {
        assert_eq!(keys.insert(&n.to_le_bytes(), n * 1_000_003), Look::New);
    }
    assert_eq!(keys.spans.len(), MOST_SPANS);
    assert!((0..1_000_i64).all(|n| keys.insert(&n.to_le_bytes(), 5) == Look::Known));
    keys.forget_before(500 * 1_000_003);
    assert!((500..1_000_i64).all(|n| keys.insert(&n.to_le_bytes(), 5) == Look::Known));
    assert!((0..500_i64).all(|n| keys.insert(&n.to_le_bytes(), 999 * 1_000_003) == Look::New));
}

proptest! {
    /// Against a list of all keys: which are known depends on what came, not on stops or on how keys lie.
    #[test]
    fn what_is_known_is_that_of_a_naive_reference(
        rows in prop::collection::vec((0_u8..60, 0_i64..400, 0_i64..30, prop::bool::weighted(0.05)), 1..400),
        length in 1_i64..200,
        most_keys in 1_usize..80,
    ) {
        let room = |name: u8| HEAD + 1 + usize::from(name % 7);
        let most_bytes = most_keys * (HEAD + 4);
        let mut keys = Keys::new(length);
        keys.limit(most_bytes);
        let mut known: BTreeMap<u8, i64> = BTreeMap::new();
        let (mut floor, mut now) = (0, 0);
        for (name, ahead, later, stop) in rows {
            now += later;
            floor = floor.max(now - 150);
            keys.forget_before(floor);
            known.retain(|_, time| *time >= floor);
            if stop {
                let bytes = rmp_serde::to_vec(&keys.state()).unwrap();
                keys = Keys::new(length);
                keys.limit(most_bytes);
                keys.restore(&rmp_serde::from_slice(&bytes).unwrap());
            }
            let time = floor.max(now + ahead - 200);
            let held: usize = known.keys().copied().map(room).sum();
            let look = match known.get(&name) {
                Some(_) => Look::Known,
                None if held + room(name) > most_bytes => Look::Full,
                None => {
                    known.insert(name, time);
                    Look::New
                }
            };
            let key = vec![name; 1 + usize::from(name % 7)];
            prop_assert_eq!(keys.insert(&key, time), look);
        }
    }
}

//! What is read of a payload, and what is refused whoever reads it.

use proptest::prelude::*;

use super::super::tests::payloads::{PATHS, broken, payload};
use super::*;

/// Reads the members `a`, `b` and `o.a`, and the list of texts `l`.
fn extract(payload: &[u8]) -> Result<(Vec<Found<'_>>, Store<'_>), Refused> {
    let mut extractor = Extractor::new();
    for (path, keeps_elements) in [("a", false), ("b", false), ("o.a", false), ("l", true)] {
        extractor.follow(path.split('.'), keeps_elements);
    }
    let (mut found, mut store) = (Vec::new(), Store::default());
    extractor.extract(payload, &mut found, &mut store)?;
    Ok((found.split_off(ELEMENT + 1), store))
}

fn reason(payload: &[u8]) -> DeadReason {
    extract(payload).unwrap_err().0
}

#[test]
fn refuses_by_the_first_thing_wrong() {
    assert_eq!(reason(&vec![b' '; 1_000_000]), DeadReason::TooLarge);
    assert_eq!(reason(b"{\"a\":\"\xff\"}"), DeadReason::NotUtf8);
    for broken in ["", "  ", "{", "{\"v\": 1,", "nul", "{} {}", "{\"a\":NaN}", "\u{feff}{}"] {
        assert_eq!(reason(broken.as_bytes()), DeadReason::NotJson, "{broken}");
    }
    for other in ["[]", "3", "\"x\"", "null", "true"] {
        assert_eq!(reason(other.as_bytes()), DeadReason::NotAnObject, "{other}");
    }
    assert_eq!(reason(b"{\"a\":1e999}"), DeadReason::OutOfRange);
}

#[test]
fn what_nobody_reads_is_checked_all_the_same() {
    for (value, expected) in [
        ("{\"y\":[1e999]}", DeadReason::OutOfRange),
        ("\"\\ud800\"", DeadReason::NotJson),
        ("\"\t\"", DeadReason::NotJson),
        ("[1,]", DeadReason::NotJson),
        ("{\"\\udc00\":1}", DeadReason::NotJson),
    ] {
        assert_eq!(reason(format!("{{\"x\":{value}}}").as_bytes()), expected, "{value}");
    }
}

#[test]
fn depth_is_capped_wherever_it_lies() {
    for member in ["a", "o", "l", "x"] {
        let nested = |depth: usize| {
            format!("{{\"{member}\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
        };
        assert!(extract(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(reason(&nested(MAX_DEPTH)), DeadReason::TooDeep);
        assert_eq!(reason(&nested(30_000)), DeadReason::TooDeep);
        let objects = format!("{{\"{member}\":").repeat(9_000);
        assert_eq!(reason(objects.as_bytes()), DeadReason::TooDeep);
    }
}

#[test]
fn a_member_that_is_read_may_stand_once() {
    for twice in [
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"a":null,"a":null}"#,
        r#"{"o":{"a":1,"\u0061":3}}"#,
        r#"{"o":1,"o":{"a":1}}"#,
    ] {
        let (reason, detail) = extract(twice.as_bytes()).unwrap_err();
        assert_eq!(reason, DeadReason::NotJson, "{twice}");
        assert!(detail.ends_with("` stands twice"), "{detail}");
    }
    for fine in [r#"{"x":1,"x":2,"b":3}"#, r#"{"o":{"x":1,"x":3}}"#, r#"{"a":{"a":1,"a":3}}"#] {
        assert!(extract(fine.as_bytes()).is_ok(), "{fine}");
    }
}

#[test]
fn slots_hold_what_stands_on_their_paths() {
    let payload = br#"{"x":[{"a":5}],"b":"\u0062","o":{"b":6,"a":-7},"l":["p","q\n",[1],{"a":2}],
        "a":18446744073709551615}"#;
    let (found, store) = extract(payload).unwrap();
    let [a, b, o, o_a, l] = found[..] else { panic!("{found:?}") };
    assert_eq!((a, o, o_a), (Found::Large(u64::MAX), Found::Object, Found::Integer(-7)));
    let (Found::Text(b), Found::List(l)) = (b, l) else { panic!("{found:?}") };
    assert_eq!(store.text(b), "b");
    let texts: Vec<String> = store.elements(l).iter().map(|e| e.describe(&store)).collect();
    assert_eq!(texts, ["the text `p`", "the text `q\u{fffd}`", "a list", "an object"]);
}

#[test]
fn values_compare_by_worth() {
    let store = Store::default();
    let equals = |found: Found<'_>, value: &Value| found.equals(value, &store);
    assert!(equals(Found::Number(1.0), &1.into()) && equals(Found::Integer(1), &1.0.into()));
    assert!(equals(Found::Large(u64::MAX), &u64::MAX.into()));
    let text = Found::Text(Text::Borrowed("x"));
    assert!(equals(text, &"x".into()) && !equals(text, &1.into()));
    assert!(!equals(Found::Absent, &Value::Null) && equals(Found::Null, &Value::Null));
}

#[test]
fn every_name_is_found_and_no_other() {
    let mut names = Names::default();
    // They differ in the bytes that the hash passes over.
    let known: Vec<String> = (10..60).map(|i| format!("a{i}b{i}c{i}d")).collect();
    for (slot, name) in known.iter().enumerate() {
        names.insert(name, slot);
    }
    for (slot, name) in known.iter().enumerate() {
        assert_eq!((names.get(name), names.name_of(slot)), (Some(slot), name.as_str()));
    }
    assert_eq!((names.get("a60b60c60d"), names.get("")), (None, None));
    assert_eq!(Names::default().get("a"), None);
}

/// Reads all paths of the random payloads; `lll` as a list of texts.
fn of_random_payloads() -> Extractor {
    let mut extractor = Extractor::new();
    for path in PATHS {
        extractor.follow(path.split('.'), path == "lll");
    }
    extractor
}

#[test]
fn what_is_plain_is_read_the_fast_way() {
    for plain in [
        r#"{"aaa":"x","bbb":-7,"ooo":{"aaa":12.35,"ppp":{}},"tts":"2008-11-11T07:20:30.000Z"}"#,
        r#" { "yyy" : true , "lll": false, "aaa": null } "#,
        r#"{"aaa":999999999999999,"bbb":0.00000000000001,"xxx":"süß","xxx":0}"#,
        "{}",
    ] {
        let Extractor { slots, mut order } = of_random_payloads();
        let mut found = vec![Found::Absent; slots.len()];
        let read = plain::read(plain, &slots, &mut order, &mut found);
        assert!(read.is_some(), "{plain}");
    }
}

/// `aaa` under `ooo` is another member than `aaa`, whichever came after what before.
#[test]
fn the_order_of_earlier_payloads_misleads_nobody() {
    let mut extractor = of_random_payloads();
    let a = extractor.member("aaa");
    let o_a = *extractor.follow(["ooo", "aaa"], false).last().unwrap();
    for (payload, expected) in [
        (r#"{"ooo":{"aaa":1},"aaa":2}"#, (Found::Integer(2), Found::Integer(1))),
        (r#"{"ooo":{"aaa":3},"aaa":4}"#, (Found::Integer(4), Found::Integer(3))),
        (r#"{"ooo":7,"aaa":5}"#, (Found::Integer(5), Found::Absent)),
        (r#"{"aaa":6,"ooo":{"aaa":8}}"#, (Found::Integer(6), Found::Integer(8))),
        (r#"{"xxx":{"aaa":1},"ooo":{"xxx":{"aaa":2}}}"#, (Found::Absent, Found::Absent)),
    ] {
        let (mut found, mut store) = (Vec::new(), Store::default());
        extractor.extract(payload.as_bytes(), &mut found, &mut store).unwrap();
        assert_eq!((found[a], found[o_a]), expected, "{payload}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Fast way or not, and whatever was read before: the outcome is the general reader's.
    #[test]
    fn both_readers_agree(payloads in prop::collection::vec(
        (payload(), prop::option::weighted(0.3, (0_u8..4, any::<usize>(), any::<u8>()))),
        1..12,
    )) {
        let mut extractor = of_random_payloads();
        for (payload, breakage) in payloads {
            // Without spaces, as most senders write.
            let compact = payload.text().replace(": ", ":").replace(", ", ",").into_bytes();
            let bytes = breakage.map_or(compact.clone(), |breakage| broken(compact, breakage));
            let (mut found, mut store) = (Vec::new(), Store::default());
            let outcome = extractor.extract(&bytes, &mut found, &mut store);
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            if text.trim_ascii().is_empty() {
                continue;
            }
            let mut general = vec![Found::Absent; found.len()];
            let mut general_store = Store::default();
            let expected = extractor.read_any(text, &mut general, &mut general_store);
            prop_assert_eq!(&outcome, &expected, "{}", text);
            if outcome.is_ok() {
                prop_assert_eq!(found, general, "{}", text);
            }
        }
    }
}

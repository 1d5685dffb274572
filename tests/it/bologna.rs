//! The real network of Bologna, with and without faults in the recording.

use std::path::Path;

use serde_json::Value;

use super::support::{Words, bytes, data, lines, run};

const CLOSED: &str = "a72[0]";

fn replayed(
    name: &str,
    recording: &str,
    out: &Path,
    words: Words,
) -> Option<wayside::runtime::Summary> {
    let dir = data(name, "bologna")?;
    Some(run("bologna.yaml", &dir.join(recording), out, words))
}

fn signs(out: &Path) -> Vec<Value> {
    let mut all = lines(&out.join("directions.ndjson"));
    all.retain(|line| line["topic"].as_str().unwrap().contains("/direction/sign/"));
    all
}

#[test]
fn a_closure_speaks_at_once_and_is_withdrawn() {
    let out = tempfile::tempdir().unwrap();
    let Some(summary) = replayed("bologna", "recording.ndjson.gz", out.path(), Words::Templates)
    else {
        return;
    };
    assert_eq!(summary.dead.total, 0, "{:?}", summary.dead);
    let closures: Vec<Value> = signs(out.path())
        .into_iter()
        .map(|line| line["payload"].clone())
        .filter(|p| p["cause"] == "closure" && p["avoid_edges"].to_string().contains(CLOSED))
        .collect();
    let ts = |p: &Value| p["ts"].as_str().unwrap().to_owned();
    let first = closures.first().expect("no closure direction on any sign");
    assert_eq!(first["state"], "show");
    assert!(ts(first).as_str() >= "2008-11-11T07:20:00.000Z");
    assert!(ts(first).as_str() <= "2008-11-11T07:21:00.000Z", "first at {}", ts(first));
    let words = first["text"].to_string();
    assert!(words.contains("CHIUS"), "no cause in {words}");
    // Whoever was told is told that it is over.
    let mut told: Vec<&Value> = closures.iter().map(|p| &p["direction_id"]).collect();
    told.dedup();
    for id in told {
        let last = closures.iter().rfind(|p| p["direction_id"] == *id).unwrap();
        assert_eq!(last["state"], "clear", "{id} never withdrawn");
        assert!(ts(last).as_str() <= "2008-11-11T07:42:00.000Z", "{id} withdrawn at {}", ts(last));
    }
    no_way_over_the_closed_road(out.path());
}

/// No way leads over the closed road, at any time, to anybody.
fn no_way_over_the_closed_road(out: &Path) {
    let mut shown = 0;
    for line in lines(&out.join("directions.ndjson")) {
        let payload = &line["payload"];
        let ts = payload["ts"].as_str().unwrap();
        let closed = ("2008-11-11T07:20:00.000Z".."2008-11-11T07:40:00.000Z").contains(&ts);
        let via = payload["via_edges"].as_array().unwrap();
        if closed && payload["state"] == "show" {
            shown += 1;
            assert!(!via.iter().any(|edge| edge == CLOSED), "{payload}");
            for way in payload["why"]["ways"].as_array().into_iter().flatten() {
                let over = way["edges"].as_array().unwrap().iter().any(|edge| edge == CLOSED);
                assert!(way["verdict"] != "advised" || !over, "{payload}");
            }
        }
        for edge in via {
            assert!(!payload["avoid_edges"].as_array().unwrap().contains(edge), "{payload}");
        }
        assert!(payload["valid_until"].as_str().unwrap() > ts);
    }
    assert!(shown > 0);
}

#[test]
fn the_same_bytes_twice_with_the_model() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if replayed("bologna twice", "recording.ndjson.gz", one.path(), Words::Model).is_none() {
        return;
    }
    replayed("bologna twice", "recording.ndjson.gz", two.path(), Words::Model);
    for ((name, first), (_, second)) in bytes(one.path()).into_iter().zip(bytes(two.path())) {
        assert!(first == second, "{name} differs between two replays");
    }
}

#[test]
fn a_faulty_recording_balances() {
    let out = tempfile::tempdir().unwrap();
    let Some(s) =
        replayed("bologna faulty", "recording-faulty.ndjson.gz", out.path(), Words::Templates)
    else {
        return;
    };
    assert_eq!(s.received, s.accepted + s.duplicate + s.late + s.dead.total);
    assert_eq!(s.received + s.unsubscribed, 33_228);
    assert_eq!(s.dead.by_reason.get("not_json"), Some(&26), "{:?}", s.dead);
    assert!(s.duplicate > 0 && s.late > 0, "{s:?}");
    for tally in s.sources.values() {
        assert!(tally.balances(), "{tally:?}");
    }
    // What is refused is kept, every one.
    assert_eq!(lines(&out.path().join("dead.ndjson")).len() as u64, s.dead.total);
    assert_eq!(lines(&out.path().join("late.ndjson")).len() as u64, s.late);
}

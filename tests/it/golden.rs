//! Golden runs: a recording and a pipeline of the project give exactly these directions.

use std::fmt::Write;

use super::support::{Words, bytes, lines, root, run};

/// Templates only: their words do not depend on how a processor rounds.
#[test]
fn the_demo_town() {
    let out = tempfile::tempdir().unwrap();
    let recording = root().join("pipelines/demo/recording.ndjson.gz");
    let summary = run("demo.yaml", &recording, out.path(), Words::Templates);
    assert_eq!(
        summary.received,
        summary.accepted + summary.duplicate + summary.late + summary.dead.total
    );
    let mut golden = String::new();
    for line in lines(&out.path().join("directions.ndjson")) {
        let (topic, p) = (line["topic"].as_str().unwrap(), &line["payload"]);
        let whom = topic.split_once("/direction/").unwrap().1;
        let text = |key: &str| p[key].as_str().unwrap_or("-").to_owned();
        writeln!(
            golden,
            "{} {whom} {} r{} {} {} avoid {} via {} {}",
            text("ts"),
            text("direction_id"),
            p["revision"],
            text("state"),
            text("cause"),
            p["avoid_edges"],
            p["via_edges"],
            p["words"]
        )
        .unwrap();
    }
    insta::assert_snapshot!("demo_directions", golden);
    // A comment in a pipeline file changes its hash and nothing else.
    let mut summary = serde_json::to_value(summary).unwrap();
    summary["pipeline_hash"] = "[hash]".into();
    insta::assert_json_snapshot!("demo_summary", summary);
}

#[test]
fn the_same_bytes_twice() {
    let recording = root().join("pipelines/demo/recording.ndjson.gz");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run("demo.yaml", &recording, one.path(), Words::Model);
    run("demo.yaml", &recording, two.path(), Words::Model);
    for ((name, first), (_, second)) in bytes(one.path()).into_iter().zip(bytes(two.path())) {
        assert!(first == second, "{name} differs between two replays");
    }
}

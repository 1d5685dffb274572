//! Golden runs: a recording and a pipeline of the project give exactly these directions.

use std::fmt::Write;

use super::support::{Words, bytes, copy, lines, root, run, run_file};

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

/// A sign with a font shows only what its dots have room for, whatever its columns say.
#[test]
fn a_sign_with_a_font_says_what_fits_it() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["pipelines", "schemas"] {
        copy(&root().join(folder), &dir.path().join(folder));
    }
    let network = dir.path().join("pipelines/demo/network");
    // Blocks of 5 by 7 dots, one dot apart: 14 of them on 84 dots, where the sign has 18 columns.
    let mut font =
        "font_name: blocks\nfont_number: 1\nchar_spacing: 1\nline_spacing: 2\n".to_owned();
    for c in (b' '..=b'Z').filter(|c| *c != b'<' && *c != b'>').map(char::from) {
        let symbol = if c == ' ' { "SP".to_owned() } else { c.to_string() };
        write!(font, "\nch: {} {symbol}\n{}", u32::from(c), "@@@@@\n".repeat(7)).unwrap();
    }
    std::fs::write(network.join("blocks.tfon"), font).unwrap();
    let table = "sign_id,font,width_px,height_px\nvms_06,blocks,84,27\n";
    std::fs::write(network.join("fonts.csv"), table).unwrap();
    let out = dir.path().join("out");
    let recording = root().join("pipelines/demo/recording.ndjson.gz");
    let pipeline = dir.path().join("pipelines/demo.yaml");
    let summary = run_file(&pipeline, &recording, &out, Words::Templates);
    assert!(summary.directions.refused_drafts["multi"] > 0, "{:?}", summary.directions);
    let mut shown = 0;
    for line in lines(&out.join("directions.ndjson")) {
        let p = &line["payload"];
        if p["sign_id"] == "vms_06" && p["state"] == "show" {
            shown += 1;
            for row in p["text"].as_array().unwrap() {
                assert!(row.as_str().unwrap().len() <= 14, "{row}");
            }
        }
    }
    assert!(shown > 0);
}

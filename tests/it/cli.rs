//! The program as a person meets it: exit codes and messages, above all on bad input.

use std::path::Path;
use std::process::Output;

use super::mosquitto::{Mosquitto, have};
use super::support::{copy, root, wayside};

fn ends(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

const DEMO: &str = "pipelines/demo.yaml";
const RECORDING: &str = "pipelines/demo/recording.ndjson.gz";

#[test]
fn help_names_every_command_and_exit_code() {
    let output = wayside(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for word in
        ["demo", "run", "replay", "record", "recording", "check", "schema", "model", "Exit codes:"]
    {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
    ends(&wayside(&["no-such-command"]), 2, &["no-such-command"]);
}

#[test]
fn check_passes_the_ready_demo() {
    ends(&wayside(&["check", DEMO]), 0, &[]);
}

#[test]
fn a_missing_pipeline_file_is_named() {
    ends(&wayside(&["check", "pipelines/no-such.yaml"]), 3, &["no-such.yaml"]);
}

#[test]
fn a_missing_recording_is_an_input_fault() {
    let out = tempfile::tempdir().unwrap();
    let args = ["replay", DEMO, "--recording", "no-such.ndjson", "--out", path(out.path())];
    ends(&wayside(&args), 4, &["no-such.ndjson"]);
}

#[test]
fn a_recording_that_is_no_gzip_is_an_input_fault() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("r.ndjson.gz");
    std::fs::write(&recording, "not gzip at all").unwrap();
    let out = dir.path().join("out");
    let args = ["replay", DEMO, "--recording", path(&recording), "--out", path(&out)];
    ends(&wayside(&args), 4, &["r.ndjson.gz"]);
}

#[test]
fn an_output_folder_that_cannot_be_made_is_an_input_fault() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let out = file.join("out");
    let args = ["replay", DEMO, "--recording", RECORDING, "--out", path(&out)];
    ends(&wayside(&args), 4, &["out"]);
}

/// The pipelines with their networks and schemas, to be changed.
fn demo_to_break() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["pipelines", "schemas"] {
        copy(&root().join(folder), &dir.path().join(folder));
    }
    dir
}

#[test]
fn a_network_with_an_edge_to_nowhere_is_a_fault_of_the_pipeline() {
    let dir = demo_to_break();
    let table = dir.path().join("pipelines/demo/network/connections.csv");
    let mut text = std::fs::read_to_string(&table).unwrap();
    text.push_str("no_such_edge,d2_e2,s,1,,1\n");
    std::fs::write(&table, text).unwrap();
    let output = wayside(&["check", path(&dir.path().join(DEMO))]);
    ends(&output, 3, &["connections.csv", "no_such_edge"]);
}

/// A start would end on it, again and again: `check` must say so before.
#[test]
fn a_broken_font_of_a_sign_is_found_by_check() {
    let dir = demo_to_break();
    let network = dir.path().join("pipelines/demo/network");
    let table = "sign_id,font,width_px,height_px\nvms_06,f7,84,27\nvms_07,f7,96,27\n";
    std::fs::write(network.join("fonts.csv"), table).unwrap();
    let font = "font_name: f7\nfont_number: 1\n\nch: 65 A\n@@\n\nch: 66 C\n@@\n";
    std::fs::write(network.join("f7.tfon"), font).unwrap();
    let pipeline = dir.path().join(DEMO);
    let output = wayside(&["check", path(&pipeline)]);
    ends(&output, 3, &["f7.tfon:7:1", "code and symbol", "sign vms_06", "1 error"]);
    let json = wayside(&["check", path(&pipeline), "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let error = findings.iter().find(|finding| finding["severity"] == "error").unwrap();
    assert_eq!((&report["errors"], &error["line"]), (&1.into(), &7.into()));
    // What runs a pipeline refuses it the same way, before it does anything.
    let out = dir.path().join("out");
    let args = ["replay", path(&pipeline), "--recording", RECORDING, "--out", path(&out)];
    ends(&wayside(&args), 3, &["f7.tfon:7:1"]);
    std::fs::write(network.join("f7.tfon"), font.replace("66 C", "66 B")).unwrap();
    ends(&wayside(&["check", path(&pipeline)]), 0, &[]);
}

#[test]
fn a_broker_that_refuses_us_ends_the_run() {
    let test = "a_broker_that_refuses_us_ends_the_run";
    if !have(test, &["mosquitto"]) {
        return;
    }
    // Nobody may come in without a password, and nobody has one.
    let broker = Mosquitto::start("listener PORT 127.0.0.1\nallow_anonymous false");
    let address = format!("127.0.0.1:{}", broker.port);
    ends(&wayside(&["run", DEMO, "--broker", &address]), 5, &[&broker.port.to_string()]);
}

#[test]
fn the_model_words_what_it_has_never_seen() {
    let output = wayside(&["model", "eval", "--contexts", "200", "--output", "json"]);
    ends(&output, 0, &[]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = report["accepted_first_try"].as_f64().unwrap();
    assert!(first >= 0.98, "{report}");
}

/// Every kind of broken payload becomes a counted dead letter and stops nothing.
#[test]
fn broken_payloads_are_counted_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("bad.ndjson");
    let topic = "wayside/v1/demo/sensor/x/reading";
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let big = format!("{{\"v\":1,\"pad\":\"{}\"}}", "x".repeat(1 << 20));
    let payloads = [
        serde_json::json!("no json"),
        serde_json::json!(deep),
        serde_json::json!(big),
        serde_json::json!("[1,2]"),
        serde_json::json!({"v": 2, "kind": "loop"}),
        serde_json::json!({"v": 1, "kind": "tram"}),
    ];
    let ts = "2026-05-12T06:00:00.000Z";
    let lines: Vec<String> = payloads
        .iter()
        .map(|p| serde_json::json!({"ts": ts, "topic": topic, "payload": p}).to_string())
        .collect();
    std::fs::write(&recording, lines.join("\n")).unwrap();
    let out = dir.path().join("out");
    let args =
        ["replay", DEMO, "--recording", path(&recording), "--out", path(&out), "--output", "json"];
    let output = wayside(&args);
    ends(&output, 0, &[]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let dead = &summary["dead"]["by_reason"];
    assert_eq!(summary["received"], 6);
    assert_eq!(summary["dead"]["total"], 6, "{dead}");
    for reason in
        ["not_json", "too_deep", "too_large", "not_an_object", "unknown_version", "unclaimed"]
    {
        assert_eq!(dead[reason], 1, "{reason} in {dead}");
    }
    let kept = std::fs::read_to_string(out.join("dead.ndjson")).unwrap();
    assert_eq!(kept.lines().count(), 6);
}

/// A model that is not what its card says must not word anything; the run goes on with templates.
#[test]
fn a_damaged_model_falls_back_to_templates() {
    let dir = tempfile::tempdir().unwrap();
    copy(&root().join("pipelines"), &dir.path().join("pipelines"));
    copy(&root().join("schemas"), &dir.path().join("schemas"));
    copy(&root().join("models/directions"), &dir.path().join("models/directions"));
    let weights = dir.path().join("models/directions/weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let (pipeline, out) = (dir.path().join(DEMO), dir.path().join("out"));
    let recording = dir.path().join(RECORDING);
    let args = [
        "replay",
        path(&pipeline),
        "--recording",
        path(&recording),
        "--out",
        path(&out),
        "--output",
        "json",
    ];
    let output = wayside(&args);
    ends(&output, 0, &[]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let model = summary["model"].as_str().unwrap();
    assert!(model.starts_with("template (model refused:") && model.contains("SHA-256"), "{model}");
    let writers = summary["directions"]["texts_by_writer"].as_object().unwrap();
    assert_eq!(writers.keys().collect::<Vec<_>>(), ["template"]);
}

//! What analysts do with recordings and runs: compare and ask.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;
use wayside::domain::time::Timestamp;
use wayside::io::recording::{Entry, Reader, RecordingWriter};

use super::support::{Words, copy, root, run, wayside};

const RECORDING: &str = "pipelines/demo/recording.ndjson.gz";

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn demo(folder: &Path) {
    run("demo.yaml", &root().join(RECORDING), folder, Words::Templates);
}

fn diff(a: &Path, b: &Path) -> (Option<i32>, Value) {
    let output = wayside(&["diff", path(a), path(b), "--output", "json"]);
    let text = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}")),
    )
}

/// The windows of a run, in one batch.
fn windows(file: &Path) -> RecordBatch {
    let file = fs::File::open(file).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn write(file: &Path, rows: &RecordBatch) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut out =
        ArrowWriter::try_new(fs::File::create(file).unwrap(), rows.schema(), None).unwrap();
    out.write(rows).unwrap();
    out.close().unwrap();
}

#[test]
fn diff_finds_the_one_value_that_differs() {
    let dir = TempDir::new().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    demo(&a);
    copy(&a, &b);
    let (code, same) = diff(&a, &b);
    assert_eq!((code, &same["equal"]), (Some(0), &Value::from(true)));
    let rows = windows(&a.join("windows.parquet"));
    let text = fs::read_to_string(a.join("directions.ndjson")).unwrap();
    assert_eq!(same["window_rows"]["b"], rows.num_rows());
    assert_eq!(same["directions"]["b"], text.lines().count());
    assert!(rows.num_rows() > 100 && text.lines().count() > 4);

    // A live unit's layout, with the same content, is the same run.
    let live = dir.path().join("live");
    let half = rows.num_rows() / 2;
    let parts = [rows.slice(0, half), rows.slice(half, rows.num_rows() - half)];
    for (at, part) in parts.iter().enumerate() {
        write(&live.join(format!("windows/date=2026-05-12/{:08}.parquet", at + 1)), part);
    }
    let cut = text.match_indices('\n').nth(1).unwrap().0 + 1;
    fs::create_dir_all(live.join("directions")).unwrap();
    fs::write(live.join("directions/2026-05-12.ndjson"), &text[..cut]).unwrap();
    fs::write(live.join("directions/2026-05-13.ndjson"), &text[cut..]).unwrap();
    let (code, found) = diff(&a, &live);
    assert_eq!(code, Some(0), "{found}");

    // One byte of the fourth direction.
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines[3].find("\"topic\":\"").unwrap() + 9;
    lines[3].replace_range(at..=at, "#");
    fs::write(b.join("directions.ndjson"), lines.join("\n") + "\n").unwrap();
    let (code, found) = diff(&a, &b);
    let first = &found["first_direction"];
    assert_eq!((code, &first["number"]), (Some(1), &Value::from(4)), "{found}");
    assert_eq!(first["member"]["name"], "/topic");
    assert_eq!(first["member"]["a"], first["topic"]);
    assert!(first["member"]["b"].as_str().unwrap().starts_with('#'));
    assert_eq!(found["first_window"], Value::Null);

    // One value of one window.
    fs::write(b.join("directions.ndjson"), &text).unwrap();
    let place = rows.schema().index_of("vehicles").unwrap();
    let vehicles = rows.column(place).as_primitive::<Float64Type>();
    let row = (50..rows.num_rows()).find(|row| vehicles.is_valid(*row)).unwrap();
    let changed: Float64Array = vehicles
        .iter()
        .enumerate()
        .map(|(at, v)| if at == row { v.map(|v| v + 1.0) } else { v })
        .collect();
    let mut columns = rows.columns().to_vec();
    columns[place] = Arc::new(changed) as ArrayRef;
    write(&b.join("windows.parquet"), &RecordBatch::try_new(rows.schema(), columns).unwrap());
    let (code, found) = diff(&a, &b);
    let first = &found["first_window"];
    assert_eq!((code, &first["row"]), (Some(1), &Value::from(row + 1)), "{found}");
    assert_eq!(first["columns"].as_array().unwrap().len(), 1);
    assert_eq!(first["columns"][0]["name"], "vehicles");
    assert_eq!(first["columns"][0]["a"], format!("{:?}", vehicles.value(row)));
    assert_eq!(first["columns"][0]["b"], format!("{:?}", vehicles.value(row) + 1.0));
    assert_eq!(
        first["window"],
        rows.column_by_name("window").unwrap().as_string::<i32>().value(row)
    );
    assert_eq!(found["first_direction"], Value::Null);

    // A run that is shorter.
    fs::write(b.join("directions.ndjson"), text.lines().next().unwrap().to_owned() + "\n").unwrap();
    let (_, found) = diff(&a, &b);
    assert_eq!(found["first_direction"]["number"], 2);
    assert_eq!(found["first_direction"]["member"]["b"], Value::Null);
    assert_eq!(found["directions"]["b"], 1);
}

#[test]
fn diff_says_what_cannot_be_read() {
    let dir = TempDir::new().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("nothing"));
    fs::create_dir_all(&a).unwrap();
    fs::write(a.join("windows.parquet"), "PAR1 but no more PAR1").unwrap();
    fs::write(a.join("directions.ndjson"), "").unwrap();
    for (run, word) in [(&a, "windows.parquet"), (&b, "nothing")] {
        let output = wayside(&["diff", path(run), path(run)]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains(word) && !text.contains("panicked at src"), "{text}");
    }
}

fn rows(sql: &str, paths: &[&str]) -> Vec<Value> {
    let output = wayside(&[&["query", sql], paths, &["--output", "json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{sql}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_query_counts_what_is_there() {
    let mut kinds = BTreeMap::<Option<String>, i64>::new();
    for entry in Reader::open(&root().join(RECORDING)).unwrap() {
        let Entry::Record(record) = entry.unwrap() else { panic!("the demo is whole") };
        let payload: Value = serde_json::from_slice(&record.payload).unwrap_or_default();
        *kinds.entry(payload["kind"].as_str().map(str::to_owned)).or_default() += 1;
    }
    assert!(kinds.len() > 2, "{kinds:?}");
    let sql = "SELECT kind, COUNT(*) AS n FROM readings GROUP BY kind";
    let found = rows(sql, &[RECORDING]);
    let found: BTreeMap<_, _> = found
        .iter()
        .map(|row| (row["kind"].as_str().map(str::to_owned), row["n"].as_i64().unwrap()))
        .collect();
    assert_eq!(found, kinds);

    let dir = TempDir::new().unwrap();
    demo(dir.path());
    let run = path(dir.path());
    let file = windows(&dir.path().join("windows.parquet"));
    let found = rows("SELECT COUNT(*) AS n FROM windows", &[run]);
    assert_eq!(found[0]["n"], file.num_rows());
    let lines = super::support::lines(&dir.path().join("directions.ndjson"));
    let shown = lines.iter().filter(|line| line["payload"]["state"] == "show").count();
    let sql =
        "SELECT ts, state, text, valid_until FROM directions WHERE state = 'show' ORDER BY ts";
    let found = rows(sql, &[RECORDING, run]);
    assert_eq!(found.len(), shown);
    let first = lines.iter().find(|line| line["payload"]["state"] == "show").unwrap();
    let words: Vec<_> =
        first["payload"]["text"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(found[0]["text"], words.join(" / "));
    assert_eq!(
        Timestamp::parse(found[0]["ts"].as_str().unwrap()).unwrap().to_string(),
        first["ts"].as_str().unwrap()
    );
    // A table that nothing fills is empty; times compare with texts.
    assert_eq!(rows("SELECT COUNT(*) AS n FROM readings", &[run])[0]["n"], 0);
    let sql = "SELECT COUNT(*) AS n FROM readings WHERE ts < '2026-05-12T06:01:00Z'";
    let early = rows(sql, &[RECORDING])[0]["n"].as_i64().unwrap();
    assert!(early > 0 && early < kinds.values().sum::<i64>());

    let table = wayside(&["query", "SELECT MIN(\"start\") AS first FROM windows", run]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains("| first ") && text.contains("2026-05-12T06:0"), "{text}");
}

#[test]
fn a_query_that_is_no_select_is_refused() {
    let target = std::env::temp_dir().join("wayside-query-copy.csv");
    for (sql, word) in [
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "refused"),
        (&format!("COPY readings TO '{}'", target.display()), "SELECT"),
        ("SET datafusion.execution.batch_size = 1", "SELECT"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT * FROM '/etc/passwd'", "/etc/passwd"),
        ("SELECT kinds FROM readings", "kinds"),
    ] {
        let output = wayside(&["query", sql, RECORDING]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{sql}: {text}");
        assert!(text.contains(word), "{sql}: {text}");
    }
    assert!(!target.exists());
    let output = wayside(&["query", "SELECT 1", "no-such.ndjson"]);
    assert_eq!(output.status.code(), Some(4));
}

/// The demo's pipeline over a recording; the summary.
fn replay(recording: &str, out: &Path, more: &[&str]) -> Value {
    let args = ["replay", "pipelines/demo.yaml", "--recording", recording, "--out", path(out)];
    let output = wayside(&[&args, more, &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// From the moment on that was sought all is as in the whole run, ids and revisions included.
#[test]
fn a_replay_that_seeks_writes_the_rest_of_the_whole_run() {
    let dir = TempDir::new().unwrap();
    let (whole, rest) = (dir.path().join("whole"), dir.path().join("rest"));
    let everything = replay(RECORDING, &whole, &[]);
    let mut sought = replay(RECORDING, &rest, &["--seek", "2026-05-12T06:10:00Z"]);
    let before = sought.as_object_mut().unwrap().remove("before_seek").unwrap();
    assert_eq!(sought, everything, "the run is the same");
    let count = |key: &str| before[key].as_u64().unwrap() as usize;
    assert!(count("messages") > 0);

    let lines = |folder: &Path| -> Vec<String> {
        let text = fs::read_to_string(folder.join("directions.ndjson")).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    };
    let (whole_lines, rest_lines) = (lines(&whole), lines(&rest));
    // The demo has neither dead letters nor late readings in its first minutes.
    assert!(count("lines") > 0 && rest_lines.len() > 1);
    assert_eq!(rest_lines, whole_lines[count("lines")..]);
    let first: Value = serde_json::from_str(&rest_lines[0]).unwrap();
    assert!(first["ts"].as_str().unwrap() >= "2026-05-12T06:10:00");

    let windows = |folder: &Path| -> Vec<String> {
        let sql = "SELECT * FROM windows";
        let output = wayside(&["query", sql, path(folder), "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    };
    let (all, last) = (windows(&whole), windows(&rest));
    assert!(last.len() > 10 && last.len() < all.len());
    assert_eq!(last, all[all.len() - last.len()..]);
}

/// What is skipped, taken and left out is the whole recording, and a stretch is what a recording
/// of that stretch alone would give.
#[test]
fn a_replay_takes_a_stretch_of_receive_time() {
    let dir = TempDir::new().unwrap();
    let (from, until) = ("2026-05-12T06:05:00Z", "2026-05-12T06:15:00Z");
    let (cut, first) = (dir.path().join("cut.ndjson"), dir.path().join("first"));
    let mut writer = RecordingWriter::create(&cut).unwrap();
    let (mut before, mut inside) = (0, 0);
    for entry in Reader::open(&root().join(RECORDING)).unwrap() {
        let Entry::Record(record) = entry.unwrap() else { panic!("the demo is whole") };
        let received = record.published.unwrap_or(record.ts);
        if received < Timestamp::parse(from).unwrap() {
            before += 1;
        } else if received < Timestamp::parse(until).unwrap() {
            inside += 1;
            writer.push(&record).unwrap();
        }
    }
    writer.finish().unwrap();
    assert!(before > 0 && inside > 0);
    let summary = replay(RECORDING, &first, &["--from", from, "--until", until]);
    assert_eq!(summary["skipped"], before);
    let taken =
        |of: &Value| of["received"].as_u64().unwrap() + of["unsubscribed"].as_u64().unwrap();
    assert_eq!(taken(&summary), inside);
    let second = dir.path().join("second");
    let summary = replay(path(&cut), &second, &[]);
    assert_eq!(summary.get("skipped"), None);
    let (code, found) = diff(&first, &second);
    assert_eq!(code, Some(0), "{found}");
    assert!(found["window_rows"]["a"].as_u64().unwrap() > 0);
}

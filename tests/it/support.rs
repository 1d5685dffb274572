//! What the modules share: where data lies, and a replay in a call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use wayside::io::archive::Archive;
use wayside::io::recording::RecordingSource;
use wayside::ports::{Message, Source};
use wayside::runtime::{Engine, ReplayOptions, Summary, replay, writers};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of the data that is not in the project; `None`, said loudly, where it is not there.
pub fn data(test: &str, folder: &str) -> Option<PathBuf> {
    let base = std::env::var_os("WAYSIDE_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let dir = base.join(folder);
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED {test}: no data at {}", dir.display());
    None
}

/// The Python that `WAYSIDE_PYTHON` names, else the one on the path.
pub fn python() -> PathBuf {
    std::env::var_os("WAYSIDE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

/// Which writer a replay uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// As the pipeline says.
    Model,
    /// Templates alone: the same on every processor.
    Templates,
}

/// Replays `recording` through a ready pipeline into `out`.
pub fn run(pipeline: &str, recording: &Path, out: &Path, words: Words) -> Summary {
    run_file(&root().join("pipelines").join(pipeline), recording, out, words)
}

/// The program in the project's folder, to its end.
pub fn wayside(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wayside"))
        .args(args)
        .current_dir(root())
        .env_remove("WAYSIDE_LOG")
        .output()
        .unwrap()
}

/// The same with any pipeline file.
pub fn run_file(path: &Path, recording: &Path, out: &Path, words: Words) -> Summary {
    let mut plan = wayside::config::load(path).unwrap_or_else(|report| panic!("{report}"));
    if words == Words::Templates {
        plan.writer.model = None;
    }
    let plan = Arc::new(plan);
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let mut archive = Archive::create(out).unwrap();
    let mut source = RecordingSource::open(recording).unwrap();
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(replay(
            &mut engine,
            &mut source,
            &mut archive,
            ReplayOptions::default(),
            &mut |_, _| {},
        ))
        .unwrap();
    archive.finish().unwrap();
    engine.summary()
}

/// The messages of a recording, as they are received.
pub fn messages(recording: &Path) -> Vec<Message> {
    let mut source = RecordingSource::open(recording).unwrap();
    let mut messages = Vec::new();
    while let Some(message) = futures::executor::block_on(source.next()) {
        messages.push(message.unwrap());
    }
    messages
}

/// The lines of an NDJSON file.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Windows over loops and cameras at once: one below the other, and side by side.
const TWO_SOURCES: &str = "
  both_minute:
    from: [loops, cameras]
    size: 60s
    sql: |
      SELECT segment, SUM(seen) AS vehicles, COUNT(*) AS readings, SUM(by_camera) AS by_camera
      FROM (SELECT edge_id AS segment, count AS seen, 0 AS by_camera FROM loops
            UNION ALL SELECT edge_id, count, 1 FROM cameras)
      GROUP BY segment
  met_minute:
    from: [loops, cameras]
    size: 60s
    sql: |
      SELECT l.segment, l.passed AS vehicles, c.speed_kmh, c.seen
      FROM (SELECT edge_id AS segment, SUM(count) AS passed FROM loops GROUP BY edge_id) AS l
      JOIN (SELECT edge_id AS segment, MAX(count) AS seen, AVG(speed_kmh) AS speed_kmh
            FROM cameras GROUP BY edge_id) AS c ON c.segment = l.segment
";

/// The demo's pipeline with templates alone and with windows over two sources, for a file in any
/// folder: before its outputs, and from there on.
pub fn demo_of_two_sources() -> (String, String) {
    let root = fs::canonicalize(root()).unwrap();
    let text = fs::read_to_string(root.join("pipelines/demo.yaml")).unwrap();
    let mut text = text
        .replace("demo/network", &root.join("pipelines/demo/network").display().to_string())
        .replace("\ncongestion:\n", &format!("{TWO_SOURCES}\ncongestion:\n"));
    for name in ["loop", "camera", "closure"] {
        let file = root.join("schemas").join(format!("{name}.yaml"));
        for end in [" ", "\n"] {
            text = text.replace(
                &format!("schema: {name}{end}"),
                &format!("schema: {}{end}", file.display()),
            );
        }
    }
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("model:"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let (head, tail) = text.split_once("\noutputs:\n").unwrap();
    (format!("{head}\n"), format!("outputs:\n{tail}\n"))
}

/// The rows of a Parquet file of windows, in order: columns between bars.
pub fn window_rows(part: &Path) -> Vec<String> {
    let file = fs::File::open(part).unwrap();
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let text = pretty_format_batches(&[batch.unwrap()]).unwrap().to_string();
        // Columns are as wide as their batch makes them.
        let squeezed = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.extend(text.lines().skip(3).filter(|row| row.starts_with('|')).map(squeezed));
    }
    rows
}

/// Every file of a run but the summary, by name.
pub fn bytes(dir: &Path) -> Vec<(String, Vec<u8>)> {
    ["windows.parquet", "directions.ndjson", "dead.ndjson", "late.ndjson"]
        .into_iter()
        .map(|name| (name.to_owned(), fs::read(dir.join(name)).unwrap()))
        .collect()
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

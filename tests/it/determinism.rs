//! The same recording gives the same bytes: at any speed, in batches of any size, and after a stop
//! and a new start every few messages.
//!
//! `WAYSIDE_STOP_EVERY` sets after how many messages a run of the longer recordings is stopped (500),
//! `WAYSIDE_DAYS` how much of the METR-LA week is played (1).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wayside::domain::time::Timestamp;
use wayside::io::archive::Archive;
use wayside::io::clock::SystemClock;
use wayside::io::memory::MemorySource;
use wayside::io::recording::{Paced, RecordingSource};
use wayside::plan::Plan;
use wayside::ports::{Message, Source};
use wayside::runtime::{BATCH, Engine, EngineState, Replay, ReplayOptions, replay, writers};

use super::support::{bytes, data, root};

fn plan(path: &Path) -> Arc<Plan> {
    let mut plan = wayside::config::load(path).unwrap_or_else(|report| panic!("{report}"));
    // Templates: what a model writes has a test of its own, and takes longer.
    plan.writer.model = None;
    Arc::new(plan)
}

fn engine(plan: &Arc<Plan>) -> Engine {
    Engine::for_replay(Arc::clone(plan), writers(plan)).unwrap()
}

/// The files of a run over these messages.
fn run(plan: &Arc<Plan>, source: &mut dyn Source, batch: usize) -> Vec<(String, Vec<u8>)> {
    let out = tempfile::tempdir().unwrap();
    let mut archive = Archive::create(out.path()).unwrap();
    let mut engine = engine(plan);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(replay(
            &mut engine,
            source,
            &mut archive,
            ReplayOptions { batch, seek: None },
            &mut |_, _| {},
        ))
        .unwrap();
    archive.finish().unwrap();
    bytes(out.path())
}

/// The same with an engine that is replaced every so many messages by one that takes up its state.
fn run_with_stops(plan: &Arc<Plan>, messages: &[Message], every: usize) -> Vec<(String, Vec<u8>)> {
    let out = tempfile::tempdir().unwrap();
    let mut archive = Archive::create(out.path()).unwrap();
    let mut kept = engine(plan);
    let mut chunks = messages.chunks(every).peekable();
    while let Some(chunk) = chunks.next() {
        let mut nobody = |_: Timestamp, _: &[_]| {};
        let mut replay =
            Replay::new(&mut kept, &mut archive, ReplayOptions::default(), &mut nobody);
        for message in chunk {
            replay.push(message.clone()).unwrap();
        }
        if chunks.peek().is_none() {
            replay.finish().unwrap();
            break;
        }
        replay.flush().unwrap();
        let state = rmp_serde::to_vec_named(&kept.state().unwrap()).unwrap();
        let state: EngineState = rmp_serde::from_slice(&state).unwrap();
        kept = engine(plan);
        assert!(kept.restore(state));
    }
    archive.finish().unwrap();
    bytes(out.path())
}

fn same(whole: &[(String, Vec<u8>)], other: &[(String, Vec<u8>)], how: &str) {
    assert!(whole.iter().any(|(name, _)| name == "windows.parquet"), "no windows");
    for ((name, expected), (_, found)) in whole.iter().zip(other) {
        assert!(expected == found, "{name} differs {how}");
    }
}

fn everything_is_the_same(pipeline: &Arc<Plan>, messages: &[Message], stop_every: usize) {
    let play = |batch| run(pipeline, &mut MemorySource::new(messages.to_vec()), batch);
    let whole = play(BATCH);
    for batch in [1, 100, 10_000] {
        same(&whole, &play(batch), &format!("in batches of {batch}"));
    }
    let stopped = run_with_stops(pipeline, messages, stop_every);
    same(&whole, &stopped, &format!("after stops every {stop_every} messages"));
}

fn messages(recording: &Path) -> Vec<Message> {
    let mut source = RecordingSource::open(recording).unwrap();
    let mut messages = Vec::new();
    while let Some(message) = futures::executor::block_on(source.next()) {
        messages.push(message.unwrap());
    }
    messages
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn demo() -> (Arc<Plan>, PathBuf) {
    let recording = root().join("pipelines/demo/recording.ndjson.gz");
    (plan(&root().join("pipelines/demo.yaml")), recording)
}

#[test]
fn the_demo_in_batches_and_after_stops() {
    let (plan, recording) = demo();
    everything_is_the_same(&plan, &messages(&recording), 10);
}

#[test]
fn the_demo_at_any_speed() {
    let (plan, recording) = demo();
    let all = messages(&recording);
    let first = all[0].received_at;
    let until = |span: Duration| -> Vec<Message> {
        all.iter().filter(|m| m.received_at.since(first) <= span).cloned().collect()
    };
    for (messages, speed) in [(until(Duration::from_secs(4)), 1.0), (all.clone(), 100.0)] {
        let whole = run(&plan, &mut MemorySource::new(messages.clone()), BATCH);
        let clock = Arc::new(SystemClock::new());
        let mut paced = Paced::new(MemorySource::new(messages), clock, speed);
        same(&whole, &run(&plan, &mut paced, BATCH), &format!("at speed {speed}"));
    }
}

#[test]
fn bologna_in_batches_and_after_stops() {
    let Some(bologna) = data("bologna_in_batches_and_after_stops", "bologna") else { return };
    let plan = plan(&root().join("pipelines/bologna.yaml"));
    let messages = messages(&bologna.join("recording.ndjson.gz"));
    everything_is_the_same(&plan, &messages, number("WAYSIDE_STOP_EVERY", 500));
}

/// The week's table as messages; its times are Pacific Standard Time.
fn metr_la(folder: &Path, days: usize) -> Vec<Message> {
    let file = fs::File::open(folder.join("speed_mph_week.csv.gz")).unwrap();
    let mut rows = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let head = rows.next().unwrap().unwrap();
    let sensors: Vec<&str> = head.split(',').skip(1).collect();
    let mut messages = Vec::new();
    for row in rows.take(days * 288) {
        let row = row.unwrap();
        let mut cells = row.split(',');
        let ts = Timestamp::parse(&format!("{}-08:00", cells.next().unwrap())).unwrap();
        for (sensor, cell) in sensors.iter().zip(cells) {
            let speed: Option<f64> = cell.parse().ok();
            let payload = json!({"sensor_id": sensor, "ts": ts, "speed_mph": speed});
            messages.push(Message {
                topic: format!("metr-la/metr-la/{sensor}"),
                payload: payload.to_string().into_bytes(),
                received_at: ts + Duration::from_secs(2),
                receipt: 0,
            });
        }
    }
    messages
}

#[test]
fn metr_la_in_batches_and_after_stops() {
    let Some(folder) = data("metr_la_in_batches_and_after_stops", "metr-la") else { return };
    let plan = plan(&root().join("tests/metr-la/pipeline.yaml"));
    let messages = metr_la(&folder, number("WAYSIDE_DAYS", 1));
    assert!(messages.len() > 50_000, "{} readings", messages.len());
    everything_is_the_same(&plan, &messages, number("WAYSIDE_STOP_EVERY", 5_000));
}

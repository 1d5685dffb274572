//! The same recording gives the same bytes and the same summary: at any speed, in batches of any size,
//! and after a stop and a new start every few messages.
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
use wayside::io::recording::{Paced, RecordingWriter};
use wayside::plan::Plan;
use wayside::ports::{Message, Source};
use wayside::runtime::{BATCH, Engine, EngineState, Replay, ReplayOptions, replay, writers};

use super::support::{
    Words, bytes, data, demo_of_two_sources, messages, root, run_file, window_rows,
};

fn plan(path: &Path) -> Arc<Plan> {
    let mut plan = wayside::config::load(path).unwrap_or_else(|report| panic!("{report}"));
    // Templates: what a model writes has a test of its own, and takes longer.
    plan.writer.model = None;
    Arc::new(plan)
}

fn engine(plan: &Arc<Plan>) -> Engine {
    Engine::for_replay(Arc::clone(plan), writers(plan)).unwrap()
}

/// What a run leaves, by name: its files and its summary.
type Left = Vec<(String, Vec<u8>)>;

fn left(out: &Path, engine: &Engine) -> Left {
    let mut left = bytes(out);
    left.push(("summary".to_owned(), serde_json::to_vec_pretty(&engine.summary()).unwrap()));
    left
}

/// What a run over these messages leaves.
fn run(plan: &Arc<Plan>, source: &mut dyn Source, batch: usize) -> Left {
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
    left(out.path(), &engine)
}

/// The same with an engine that is replaced every so many messages by one that takes up its state.
fn run_with_stops(plan: &Arc<Plan>, messages: &[Message], every: usize) -> Left {
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
    left(out.path(), &kept)
}

fn same(whole: &Left, other: &Left, how: &str) {
    assert_eq!(whole.len(), other.len());
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

/// Six minutes of loops and cameras on two roads, and of a camera alone. One camera is silent for two
/// minutes and holds the windows of both sources back for as long as it may; the loops' readings of
/// one half minute come twice, one of a camera comes when its minute is over.
fn two_sources() -> Vec<Message> {
    let begin = Timestamp::parse("2026-05-12T06:00:00Z").unwrap();
    let mut messages = Vec::new();
    let mut send = |after_s: u64, topic: &str, payload: serde_json::Value| {
        messages.push(Message {
            topic: format!("wayside/v1/demo/sensor/{topic}/reading"),
            payload: payload.to_string().into_bytes(),
            received_at: begin + Duration::from_secs(after_s),
            receipt: 0,
        });
    };
    for half in 1..=12_u64 {
        let (end_s, ts) = (half * 30, begin + Duration::from_secs(half * 30));
        for (nth, (sensor, edge, lane)) in
            [("loop_002", "a2_a3", 0), ("loop_003", "a2_b2", 0), ("loop_004", "a2_b2", 1)]
                .into_iter()
                .enumerate()
        {
            let payload = json!({"v": 1, "sensor_id": sensor, "kind": "loop", "edge_id": edge,
                "lane": lane, "ts": ts, "period_s": 30, "count": half + nth as u64,
                "speed_kmh": 40.5 + half as f64, "occupancy_pct": 5.25});
            send(end_s + 1, sensor, payload.clone());
            if half == 3 {
                send(end_s + 2, sensor, payload);
            }
        }
        for (sensor, edge) in [("cam_001", "a1_b1"), ("cam_002", "a2_a3"), ("cam_003", "a2_b2")] {
            if sensor == "cam_002" && (5..=8).contains(&half) {
                continue;
            }
            let payload = json!({"v": 1, "sensor_id": sensor, "kind": "camera", "edge_id": edge,
                "lane": null, "ts": ts, "period_s": 30, "count": 2 * half, "vehicles_avg": 1.5,
                "speed_kmh": 30.25 + half as f64, "queue_veh": 0.0});
            let late = sensor == "cam_001" && half == 4;
            send(end_s + if late { 100 } else { 4 }, sensor, payload);
        }
    }
    messages.sort_by_key(|message| message.received_at);
    messages
}

#[test]
fn windows_over_two_sources_in_batches_and_after_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (head, outputs) = demo_of_two_sources();
    let pipeline = dir.path().join("two.yaml");
    fs::write(&pipeline, head + &outputs).unwrap();
    let recording = dir.path().join("two.ndjson");
    let mut writer = RecordingWriter::create(&recording).unwrap();
    let messages = two_sources();
    for message in &messages {
        writer.write(message).unwrap();
    }
    writer.finish().unwrap();

    let out = dir.path().join("out");
    let summary = run_file(&pipeline, &recording, &out, Words::Templates);
    assert_eq!((summary.duplicate, summary.late, summary.dead.total), (3, 1, 0), "{summary:?}");
    let mut rows = window_rows(&out.join("windows.parquet"));
    rows.retain(|row| row.starts_with("| both_minute ") || row.starts_with("| met_minute "));
    insta::assert_snapshot!("two_sources", rows.join("\n"));

    let plan = plan(&pipeline);
    let whole = run(&plan, &mut MemorySource::new(messages.clone()), BATCH);
    assert!(whole.starts_with(&bytes(&out)), "the golden run is another one");
    everything_is_the_same(&plan, &messages, 10);
    same(&whole, &run_with_stops(&plan, &messages, 1), "after stops at every message");
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

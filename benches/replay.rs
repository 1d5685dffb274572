//! Messages per second of a recording through the whole engine, from the file to the archive: read,
//! decoded, windowed, graded, directions decided, worded by templates, checked and written. The median
//! of several rounds, and the fastest and slowest beside it. The mark is reading the file alone.
//!
//! The demo is the project's own; Bologna and Monaco need `${WAYSIDE_DATA}` (default `../shared/data`).

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wayside::io::archive::Archive;
use wayside::io::clock::SystemClock;
use wayside::io::recording::RecordingSource;
use wayside::plan::Plan;
use wayside::ports::{Clock, Source};
use wayside::runtime::{Engine, ReplayOptions, replay, writers};

const ROUNDS: usize = 5;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data =
        std::env::var_os("WAYSIDE_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    println!("| what | messages | median | fastest | slowest | messages/s |");
    println!("|---|---|---|---|---|---|");
    for (name, recording) in [
        ("demo", root.join("pipelines/demo/recording.ndjson.gz")),
        ("bologna", data.join("bologna/recording.ndjson.gz")),
        ("monaco", data.join("monaco/recording.ndjson.gz")),
    ] {
        if !recording.is_file() {
            eprintln!("SKIPPED {name}: no recording at {}", recording.display());
            continue;
        }
        let pipeline = root.join(format!("pipelines/{name}.yaml"));
        let mut plan = wayside::config::load(&pipeline).unwrap_or_else(|report| panic!("{report}"));
        plan.writer.model = None;
        let plan = Arc::new(plan);
        measure(&format!("{name}, read alone"), || read(&recording));
        measure(&format!("{name}, replayed"), || run(&plan, &recording));
    }
}

/// `work` gives how many messages it had.
fn measure(name: &str, mut work: impl FnMut() -> u64) {
    let clock = SystemClock::new();
    let mut messages = 0;
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = clock.elapsed();
            messages = work();
            clock.elapsed().saturating_sub(start)
        })
        .collect();
    times.sort();
    let median = times[ROUNDS / 2];
    println!(
        "| {name} | {messages} | {median:.2?} | {:.2?} | {:.2?} | {:.0} |",
        times[0],
        times[ROUNDS - 1],
        messages as f64 / median.as_secs_f64()
    );
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn read(recording: &Path) -> u64 {
    let mut source = RecordingSource::open(recording).unwrap();
    block_on(async {
        let mut messages = 0;
        while let Some(message) = source.next().await {
            message.unwrap();
            messages += 1;
        }
        messages
    })
}

fn run(plan: &Arc<Plan>, recording: &Path) -> u64 {
    let out = tempfile::tempdir().unwrap();
    let mut engine = Engine::for_replay(Arc::clone(plan), writers(plan)).unwrap();
    let mut archive = Archive::create(out.path()).unwrap();
    let mut source = RecordingSource::open(recording).unwrap();
    block_on(replay(
        &mut engine,
        &mut source,
        &mut archive,
        ReplayOptions::default(),
        &mut |_, _| {},
    ))
    .unwrap();
    archive.finish().unwrap();
    let summary = engine.summary();
    summary.received + summary.unsubscribed
}

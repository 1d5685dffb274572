//! How near the windows come to the street: mean speeds of camera edges in one-minute windows
//! against the simulator's own means (`truth_edges.csv.gz`), for Bologna and Monaco.
//!
//! `cargo bench --bench truth`. Prints a table and, for Bologna, where the largest errors lie.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use wayside::io::archive::Archive;
use wayside::io::recording::RecordingSource;
use wayside::runtime::{Engine, Event, ReplayOptions, replay, writers};

type Key = (String, String);

fn main() {
    let data = std::env::var_os("WAYSIDE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    println!(
        "| network | camera edge-minutes with truth | covered | coverage | MAE km/h | bias km/h | MAE, ≥ 2 vehicles |"
    );
    println!("|---|---|---|---|---|---|---|");
    for city in ["bologna", "monaco"] {
        let dir = data.join(city);
        if !dir.is_dir() {
            eprintln!("SKIPPED {city}: no data at {}", dir.display());
            continue;
        }
        compare(city, &dir);
    }
}

struct Truth {
    speed_kmh: f64,
    sampled_veh_s: f64,
}

fn compare(city: &str, dir: &Path) {
    let cameras = camera_edges(&dir.join("sensors.csv"));
    let truth: BTreeMap<Key, Truth> = truth(&dir.join("truth_edges.csv.gz"))
        .into_iter()
        .filter(|((_, edge), _)| cameras.contains(edge))
        .collect();
    let windows = windows(city, dir);
    let (mut errors, mut busy) = (Vec::new(), Vec::new());
    for (key, truth) in &truth {
        let Some(speed) = windows.get(key) else { continue };
        let error = speed - truth.speed_kmh;
        errors.push((error, key, truth));
        // Two vehicles for the whole minute.
        if truth.sampled_veh_s >= 120.0 {
            busy.push(error);
        }
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
        if n == 0.0 { f64::NAN } else { sum / n }
    };
    println!(
        "| {city} | {} | {} | {:.1} % | {:.2} | {:+.2} | {:.2} |",
        truth.len(),
        errors.len(),
        100.0 * errors.len() as f64 / truth.len() as f64,
        mean(&mut errors.iter().map(|e| e.0.abs())),
        mean(&mut errors.iter().map(|e| e.0)),
        mean(&mut busy.iter().map(|e| e.abs())),
    );
    errors.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    for (error, (ts, edge), truth) in errors.iter().take(5) {
        eprintln!(
            "{city}: {edge} at {ts}: {error:+.1} km/h (truth {:.1}, {:.0} vehicle-seconds)",
            truth.speed_kmh, truth.sampled_veh_s
        );
    }
}

/// Mean speed by end of window and edge, from the pipeline's camera window.
fn windows(city: &str, dir: &Path) -> BTreeMap<Key, f64> {
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pipelines/{city}.yaml"));
    let mut plan = wayside::config::load(&pipeline).unwrap_or_else(|report| panic!("{report}"));
    plan.writer.model = None;
    plan.directions = None;
    let plan = Arc::new(plan);
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers(&plan)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut archive = Archive::create(out.path()).unwrap();
    let mut source = RecordingSource::open(&dir.join("recording.ndjson.gz")).unwrap();
    let mut speeds = BTreeMap::new();
    let mut take = |events: &[Event]| {
        for event in events {
            let Event::Window { name, result } = event else { continue };
            if !name.starts_with("camera") {
                continue;
            }
            let edges = result.rows.column_by_name("segment").unwrap().as_string::<i32>().clone();
            let column = result.rows.column_by_name("speed_kmh").unwrap();
            let values = column.as_primitive::<Float64Type>();
            for row in 0..result.rows.num_rows() {
                if values.is_valid(row) {
                    let key = (result.end.to_string(), edges.value(row).to_owned());
                    speeds.insert(key, values.value(row));
                }
            }
        }
    };
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(replay(
            &mut engine,
            &mut source,
            &mut archive,
            ReplayOptions::default(),
            &mut |_, events| {
                take(events);
            },
        ))
        .unwrap();
    speeds
}

fn camera_edges(path: &Path) -> Vec<String> {
    let mut rows = csv::Reader::from_path(path).unwrap();
    let rows = rows.records().map(|row| row.unwrap());
    rows.filter(|row| &row[1] == "camera").map(|row| row[2].to_owned()).collect()
}

fn truth(path: &Path) -> BTreeMap<Key, Truth> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    rows.records()
        .map(|row| row.unwrap())
        .filter_map(|row| {
            let (speed_kmh, sampled_veh_s) = (row[2].parse().ok()?, row[7].parse().ok()?);
            Some(((row[0].to_owned(), row[1].to_owned()), Truth { speed_kmh, sampled_veh_s }))
        })
        .collect()
}

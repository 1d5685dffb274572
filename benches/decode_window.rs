//! Rows per second through decode, windows and SQL, one core: the median of several rounds, and the
//! fastest and slowest beside it. The first row, `serde_json` into a struct, is the mark to stay near.
//! The last rows take Arrow batches as an analyst's replay has them to the results of minutes:
//! watermark by sensor, panes, SQL; without and with a look for repeats.
//!
//! Needs a network folder at `${WAYSIDE_DATA}/bologna` (default `../shared/data`).

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use wayside::batch::{Step, schema_of};
use wayside::domain::network::Network;
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::plan::{Column, ColumnKind, EventTime, Mapping, Produces, Shape, Source, Window};
use wayside::ports::{Clock, Message};
use wayside::query::{self, Tables};
use wayside::stage::aggregate::Aggregate;
use wayside::stage::decode::{DecodedBatch, Decoder};
use wayside::stage::window::{Admission, Arrival, Windower};

const SQL: &str = "SELECT edge_id AS segment, SUM(count) AS vehicles, \
    SUM(count * speed_kmh) / NULLIF(SUM(count), 0) AS speed_kmh, \
    AVG(occupancy_pct) AS occupancy_pct FROM loops GROUP BY edge_id";

const SENSORS: usize = 200;
const ROUNDS: i64 = 50;
const BATCH: usize = 256;

/// Of the rows from Arrow to results.
const MANY_SENSORS: usize = 1_000;
const MANY_ROUNDS: i64 = 300;
const LARGE_BATCH: usize = 8_192;

fn mapping() -> Mapping {
    let column = |name: &str, kind, nullable| Column {
        name: name.to_owned(),
        path: vec![name.to_owned()],
        kind,
        nullable,
        missing: Vec::new(),
        scale: 1.0,
        offset: 0.0,
        min: None,
        max: None,
        is_segment: name == "edge_id",
        one_of: Vec::new(),
    };
    Mapping {
        name: "loop".to_owned(),
        produces: Produces::Readings,
        version: Some(1),
        columns: vec![
            column("sensor_id", ColumnKind::Text, false),
            column("edge_id", ColumnKind::Text, false),
            column("lane", ColumnKind::Integer, true),
            column("ts", ColumnKind::Time, false),
            column("count", ColumnKind::Integer, false),
            column("speed_kmh", ColumnKind::Number, true),
            column("occupancy_pct", ColumnKind::Number, true),
        ],
    }
}

fn source() -> Source {
    Source {
        name: "loops".to_owned(),
        topic: "wayside/v1/bologna/sensor/+/reading".to_owned(),
        qos: 1,
        mapping: Arc::new(mapping()),
        claims: vec![("kind".to_owned(), json!("loop"))],
        event_time: Some(EventTime {
            column: "ts".to_owned(),
            lateness: Duration::from_secs(10),
            idle_after: Duration::from_secs(90),
            max_future: Duration::from_mins(5),
            group: Some("sensor_id".to_owned()),
            interval_end: true,
        }),
        unique: vec!["sensor_id".to_owned(), "ts".to_owned()],
    }
}

/// Every sensor once a round, a round each `every_ms`.
fn messages(network: &Network, sensors: usize, rounds: i64, every_ms: i64) -> Vec<Message> {
    let start = 1_226_386_800_000;
    let mut messages = Vec::new();
    for round in 1..=rounds {
        for sensor in 0..sensors {
            let Some(ts) = Timestamp::from_millis(start + round * every_ms) else { continue };
            let segment = &network.segments[sensor % network.segments.len()];
            let payload = json!({
                "v": 1, "sensor_id": format!("loop_{sensor:03}"), "kind": "loop",
                "edge_id": segment.name, "lane": 0, "ts": ts, "period_s": 30,
                "count": sensor % 9, "speed_kmh": 31.25, "occupancy_pct": 12.35,
            });
            messages.push(Message {
                topic: format!("wayside/v1/bologna/sensor/loop_{sensor:03}/reading"),
                payload: payload.to_string().into_bytes(),
                received_at: ts + Duration::from_millis(sensor as u64),
                receipt: 0,
            });
        }
    }
    messages
}

/// What decode makes of a payload, by serde alone.
#[derive(Deserialize)]
#[allow(dead_code, reason = "parsed, not read")]
struct Plain<'p> {
    sensor_id: &'p str,
    edge_id: &'p str,
    lane: Option<i64>,
    ts: Timestamp,
    count: i64,
    speed_kmh: Option<f64>,
    occupancy_pct: Option<f64>,
}

fn is_accepted(admission: &Admission) -> bool {
    matches!(admission, Admission::Accepted { .. })
}

const ROUNDS_MEASURED: usize = 15;

/// Runs `work` on fresh input from `make`, prints its row of the table.
fn measure<I, O>(name: &str, rows: usize, make: impl Fn() -> I, mut work: impl FnMut(I) -> O) {
    let clock = SystemClock::new();
    let mut times: Vec<Duration> = (0..ROUNDS_MEASURED)
        .map(|_| {
            let input = make();
            let start = clock.elapsed();
            black_box(work(input));
            clock.elapsed().saturating_sub(start)
        })
        .collect();
    times.sort();
    let per_second = rows as f64 / times[times.len() / 2].as_secs_f64();
    println!(
        "| {name} | {rows} | {:?} | {:?} | {:?} | {:.2} M |",
        times[times.len() / 2],
        times[0],
        times[times.len() - 1],
        per_second / 1e6
    );
}

/// Arrow batches to the results of their minutes.
fn arrow_to_results(name: &str, source: Source, windows: &[Window], network: &Network) {
    let sources = [source];
    let messages = messages(network, MANY_SENSORS, MANY_ROUNDS, 1_000);
    let mut decoder = Decoder::new(&sources, network);
    let mut out = DecodedBatch::default();
    let mut calls = Vec::new();
    for call in messages.chunks(LARGE_BATCH) {
        decoder.decode_batch(call, &mut out);
        let received: Vec<Timestamp> = call.iter().map(|message| message.received_at).collect();
        calls.push((received, out.rows.clone()));
    }
    let minutes = usize::try_from(MANY_ROUNDS / 60).unwrap();
    measure(
        name,
        messages.len(),
        || Aggregate::new(&sources, windows, network).unwrap(),
        |mut aggregate| {
            let mut windower = Windower::new(&sources, windows).keeping(aggregate.columns());
            let (mut results, mut accepted) = (0, 0);
            let mut run = |windower: &mut Windower| {
                for step in windower.take_steps() {
                    results += usize::from(aggregate.run(step).unwrap().is_some());
                }
            };
            for (received, rows) in &calls {
                let arrivals = received.iter().zip(0..).map(|(&received_at, row)| Arrival {
                    source: 0,
                    row,
                    received_at,
                });
                windower.push(rows, arrivals, |_, admission| {
                    accepted += usize::from(is_accepted(&admission));
                });
                run(&mut windower);
            }
            windower.finish();
            run(&mut windower);
            assert_eq!((results, accepted), (minutes, messages.len()));
        },
    );
}

fn main() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let data =
        std::env::var_os("WAYSIDE_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let dir = data.join("bologna");
    let network = match Network::load(&dir) {
        Ok(network) => network,
        Err(error) => {
            eprintln!("SKIPPED decode_window: no network at {}: {error}", dir.display());
            return;
        }
    };
    let messages = messages(&network, SENSORS, ROUNDS, 30_000);
    let sources = [source()];
    let minute = Duration::from_mins(1);
    let windows = [Window {
        name: "segment_minute".to_owned(),
        sources: vec![0],
        shape: Shape::Slots { size: minute, every: minute, zone: None },
        accept_for: Duration::ZERO,
        tables: Vec::new(),
        sql: SQL.to_owned(),
    }];
    let mut decoder = Decoder::new(&sources, &network);
    let mut out = DecodedBatch::default();
    let mut calls = Vec::new();
    for call in messages.chunks(BATCH) {
        decoder.decode_batch(call, &mut out);
        calls.push((call, out.rows.clone()));
    }
    let rows: usize =
        calls.iter().flat_map(|(_, rows)| rows).flatten().map(|r| r.batch.num_rows()).sum();
    assert_eq!(rows, messages.len(), "a message became no row");

    println!("| what | rows | median | fastest | slowest | rows/s |");
    println!("|---|---|---|---|---|---|");
    measure(
        "serde_json into a struct",
        messages.len(),
        || (),
        |()| {
            for message in &messages {
                black_box(serde_json::from_slice::<Plain<'_>>(&message.payload).unwrap());
            }
        },
    );
    measure(
        &format!("decode (batches of {BATCH})"),
        messages.len(),
        || (),
        |()| {
            for call in messages.chunks(BATCH) {
                decoder.decode_batch(call, &mut out);
                black_box(&out);
            }
        },
    );
    let window = || {
        let mut windower = Windower::new(&sources, &windows);
        for (messages, rows) in &calls {
            let arrivals = messages.iter().zip(0..).map(|(message, row)| Arrival {
                source: 0,
                row,
                received_at: message.received_at,
            });
            windower.push(rows, arrivals, |_, admission| assert!(is_accepted(&admission)));
        }
        windower.finish();
        windower.take_steps()
    };
    measure("window", messages.len(), || (), |()| window());

    let fold = window().into_iter().find_map(|step| match step {
        Step::Fold { rows, .. } => Some(rows),
        _ => None,
    });
    let batch = fold.unwrap();
    let tables = Tables {
        streams: vec![("loops".to_owned(), schema_of(&sources[0].mapping))],
        statics: Vec::new(),
    };
    let mut query = query::check(SQL, &tables).unwrap();
    measure(
        "query of one minute",
        batch.num_rows(),
        || (),
        |()| query.run(std::slice::from_ref(&batch)).unwrap(),
    );
    let unchecked = Source { unique: Vec::new(), ..source() };
    arrow_to_results("Arrow to results", unchecked, &windows, &network);
    arrow_to_results("Arrow to results, repeats sought", source(), &windows, &network);
}

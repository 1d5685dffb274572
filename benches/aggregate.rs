//! Rows per second through phase one of a pipeline query, one core: the median of several rounds,
//! and the fastest and slowest beside it. The mark is `DataFusion`'s own Single aggregate over the
//! same batches, planned once and run again without anything of ours.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use wayside::io::clock::SystemClock;
use wayside::ports::Clock;
use wayside::query::{self, Tables};

const SQL: &str = "SELECT edge_id AS segment, SUM(count) AS vehicles, \
    AVG(speed_kmh) AS speed_kmh, AVG(occupancy_pct) AS occupancy_pct FROM loops GROUP BY edge_id";
const WEIGHTED: &str = "SELECT edge_id AS segment, SUM(count) AS vehicles, \
    SUM(count * speed_kmh) / NULLIF(SUM(count), 0) AS speed_kmh, \
    AVG(occupancy_pct) AS occupancy_pct FROM loops GROUP BY edge_id";
const JOINED: &str = "SELECT s.name, SUM(l.count) AS vehicles, AVG(l.speed_kmh) AS speed_kmh, \
    AVG(l.occupancy_pct) AS occupancy_pct FROM loops AS l JOIN segments AS s \
    ON s.segment = l.edge_id GROUP BY s.name";

const GROUPS: usize = 1_000;
const ROUNDS: usize = 15;
/// Rows in a round, whatever the batches.
const ROWS: usize = 1 << 20;

/// Keys as long as those of a real network, in an order that no cache likes.
fn key(row: usize) -> String {
    format!("23288872#{}", row.wrapping_mul(2_654_435_761) % GROUPS)
}

fn batches(size: usize, keys: &DataType) -> Vec<RecordBatch> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("edge_id", keys.clone(), false),
        Field::new("count", DataType::Int64, false),
        Field::new("speed_kmh", DataType::Float64, true),
        Field::new("occupancy_pct", DataType::Float64, true),
    ]));
    let batch = |start: usize| {
        let rows = || start..start + size;
        let texts: ArrayRef = Arc::new(rows().map(|row| Some(key(row))).collect::<StringArray>());
        let columns: Vec<ArrayRef> = vec![
            cast(&texts, keys).unwrap(),
            Arc::new(rows().map(|row| Some(i64::from((row % 9) as u32))).collect::<Int64Array>()),
            Arc::new(
                rows()
                    .map(|row| (row % 7 > 0).then_some((row % 90) as f64 + 0.5))
                    .collect::<Float64Array>(),
            ),
            Arc::new(rows().map(|row| Some((row % 100) as f64)).collect::<Float64Array>()),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    // A few batches are enough, and stay in the cache no longer than arriving rows would.
    (0..(ROWS / size).min(64)).map(|at| batch(at * size)).collect()
}

fn segments() -> RecordBatch {
    let keys = (0..GROUPS).map(|i| Some(format!("23288872#{i}"))).collect::<StringArray>();
    let names = (0..GROUPS).map(|i| Some(format!("Via {}", i / 4))).collect::<StringArray>();
    let columns: Vec<(&str, ArrayRef, bool)> =
        vec![("segment", Arc::new(keys), false), ("name", Arc::new(names), false)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Runs `work` on as many batches as make a round, prints its row of the table.
fn measure(name: &str, batches: &[RecordBatch], mut work: impl FnMut(&RecordBatch)) {
    let clock = SystemClock::new();
    let size = batches[0].num_rows();
    let runs = (ROWS / size).min(4_096);
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = clock.elapsed();
            for batch in batches.iter().cycle().take(runs) {
                work(batch);
            }
            clock.elapsed().saturating_sub(start) / runs as u32
        })
        .collect();
    times.sort();
    let median = times[ROUNDS / 2];
    println!(
        "| {name} | {size} | {median:?} | {:?} | {:?} | {:.2} M |",
        times[0],
        times[ROUNDS - 1],
        size as f64 / median.as_secs_f64() / 1e6
    );
}

/// The mark: a kept plan of `DataFusion`'s own for each batch, since its tables are fixed.
fn single(sql: &str, batches: &[RecordBatch]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plans: Vec<(Arc<dyn ExecutionPlan>, SessionContext)> = batches
        .iter()
        .map(|batch| {
            let config = SessionConfig::new().with_target_partitions(1);
            let context = SessionContext::new_with_config(config);
            let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).unwrap();
            context.register_table("loops", Arc::new(table)).unwrap();
            let plan = runtime.block_on(async {
                context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
            });
            (plan, context)
        })
        .collect();
    let mut next = plans.iter().cycle();
    measure("DataFusion, Single", batches, |_| {
        let (plan, context) = next.next().unwrap();
        let plan = reset_plan_states(Arc::clone(plan)).unwrap();
        black_box(runtime.block_on(collect(plan, context.task_ctx())).unwrap());
    });
}

fn main() {
    println!("| what | rows a batch | median | fastest | slowest | rows/s |");
    println!("|---|---|---|---|---|---|");
    for size in [1, 1_024, 8_192, 65_536] {
        let texts = batches(size, &DataType::Utf8);
        single(SQL, &texts);
        for (name, sql, keys) in [
            ("partial", SQL, DataType::Utf8),
            ("partial, weighted mean", WEIGHTED, DataType::Utf8),
            ("partial, joined with 1,000 segments", JOINED, DataType::Utf8),
            ("partial, keys as Utf8View", SQL, DataType::Utf8View),
            (
                "partial, keys as dictionary",
                SQL,
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            ),
        ] {
            let batches = batches(size, &keys);
            let tables = Tables {
                streams: vec![("loops".to_owned(), batches[0].schema())],
                statics: vec![("segments".to_owned(), segments())],
            };
            let mut query = query::check(sql, &tables).unwrap();
            assert!(query.in_two_phases(), "{sql}");
            measure(name, &batches, |batch| {
                black_box(query.partial(batch).unwrap());
            });
        }
    }
    let texts = batches(8_192, &DataType::Utf8);
    let tables =
        Tables { streams: vec![("loops".to_owned(), texts[0].schema())], statics: Vec::new() };
    let mut query = query::check(SQL, &tables).unwrap();
    let states: Vec<_> = texts.iter().map(|batch| query.partial(batch).unwrap()).collect();
    println!("\n| what | states of {GROUPS} groups | median | fastest | slowest | groups/s |");
    println!("|---|---|---|---|---|---|");
    measure("reduce of 8", &states, |_| {
        black_box(query.reduce(&states[..8]).unwrap());
    });
    measure("finish of 8", &states, |_| {
        black_box(query.finish(&states[..8]).unwrap());
    });
}

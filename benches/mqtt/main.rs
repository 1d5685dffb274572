//! Messages a second through a unit on a live broker, with what it costs and how long a result takes;
//! beside it, in the same run, a subscriber that does nothing, and other engines where they are
//! installed. README.md says how to run it and how to read the table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on stops")]

mod engines;
mod load;
mod machine;
#[path = "../../tests/it/mosquitto.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod mosquitto;
mod stream;
mod table;
mod unit;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use serde_json::Value;
use wayside::io::clock::SystemClock;
use wayside::ports::SharedClock;

use load::{Arrived, Idle, Publisher, Results};
use machine::{cpu_s, memory, percentile, tree_cpu_s};
use mosquitto::Mosquitto;
use stream::{Cell, Counts, Stream};
use table::Row;
use unit::Unit;

/// A broker that keeps nothing and holds nobody back.
const BROKER: &str = "listener PORT 127.0.0.1\nallow_anonymous true\npersistence false\n\
    max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_dest stderr\nlog_type error";

/// How fast the first round goes, readings a second: it fills tables and is not measured.
const FIRST_ROUND: f64 = 20_000.0;

/// A result that does not come for so long does not come.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Parser)]
#[command(name = "mqtt")]
struct Options {
    /// Readings at QoS 0, as fast as they are taken.
    #[arg(long, default_value_t = 3_000_000)]
    messages: usize,
    /// Readings at QoS 1, as fast as they are taken.
    #[arg(long, default_value_t = 1_000_000)]
    messages_qos1: usize,
    /// How many segments, one sensor each: a list.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    segments: Vec<u32>,
    /// Which QoS: a list.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1])]
    qos: Vec<u8>,
    /// How often a sensor reports, s of event time.
    #[arg(long, default_value_t = 10)]
    interval: u32,
    /// How long latency is measured, s, at half of the rate that was reached.
    #[arg(long, default_value_t = 20)]
    latency: u32,
    /// Other engines, by name; `none` for no other. Default: all that are installed.
    #[arg(long, value_delimiter = ',', default_values_t = engines::names())]
    engines: Vec<String>,
    /// Readings for another engine.
    #[arg(long, default_value_t = 200_000)]
    engine_messages: usize,
    /// Only hold a unit at `soak_rate` for so many minutes and watch its memory.
    #[arg(long)]
    soak: Option<u32>,
    /// Readings a second in a soak.
    #[arg(long, default_value_t = 10_000.0)]
    soak_rate: f64,
    /// The unit's program.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_wayside"))]
    unit: PathBuf,
    /// `cargo bench` says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if mosquitto::program("mosquitto").is_none() {
        eprintln!("SKIPPED mqtt: mosquitto is not installed (Debian: apt install mosquitto)");
        return Ok(());
    }
    let bench = Bench { clock: Arc::new(SystemClock::new()), options };
    if let Some(minutes) = bench.options.soak {
        return bench.soak(minutes);
    }
    bench.describe();
    Row::head();
    for &segments in &bench.options.segments {
        for &qos in &bench.options.qos {
            let idle = bench.idle(segments, qos)?;
            bench.unit(segments, qos, idle)?;
        }
    }
    let segments = bench.options.segments.first().copied().unwrap_or(1_000);
    for engine in engines::known() {
        if bench.options.engines.iter().any(|name| *name == engine.name) {
            bench.engine(&engine, segments)?;
        }
    }
    Ok(())
}

struct Bench {
    options: Options,
    clock: SharedClock,
}

/// Processor time of everything on the way, to see how much of the machine was at work.
struct Busy {
    pids: Vec<u32>,
    cpu_s: f64,
    since: Duration,
}

impl Bench {
    fn describe(&self) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let template = wire::Template::new(0);
        println!(
            "{cores} cores; payloads of {} bytes in packets of {}; a reading a sensor each {} s of event \
             time, windows of a minute; 2 % out of order, 0.1 % late, 0.1 % twice, one sensor silent, \
             one clock a day ahead\n",
            template.payload_bytes(),
            template.bytes(),
            self.options.interval,
        );
    }

    fn since(&self, then: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(then)
    }

    fn messages(&self, qos: u8) -> usize {
        if qos == 0 { self.options.messages } else { self.options.messages_qos1 }
    }

    fn stream(&self, segments: u32, most: u64) -> Stream {
        let interval_ms = i64::from(self.options.interval) * 1_000;
        Stream::new(segments, interval_ms, most, self.clock.now().millis())
    }

    fn busy(&self, pids: &[u32]) -> Busy {
        let mut pids = pids.to_vec();
        pids.push(std::process::id());
        let cpu_s = pids.iter().map(|pid| cpu_s(*pid)).sum();
        Busy { pids, cpu_s, since: self.clock.elapsed() }
    }

    /// How many cores were at work since then.
    fn cores(&self, busy: &Busy) -> f64 {
        let cpu_s: f64 = busy.pids.iter().map(|pid| cpu_s(*pid)).sum();
        (cpu_s - busy.cpu_s) / self.since(busy.since).as_secs_f64()
    }

    /// The rate of a subscriber that does nothing.
    fn idle(&self, segments: u32, qos: u8) -> anyhow::Result<f64> {
        let broker = Mosquitto::start(BROKER);
        let broker_pid = broker.child.as_ref().map_or(0, std::process::Child::id);
        let idle = Idle::new(broker.port, qos)?;
        let mut publisher = Publisher::new(broker.port, qos, Arc::clone(&self.clock))?;
        let messages = self.messages(qos);
        let mut stream = self.stream(segments, messages as u64 * 2);
        let stretch = stream.up_to_a_closing(messages);
        let busy = self.busy(&[broker_pid]);
        let sent = publisher.as_fast_as_taken(&stretch)?;
        let all = stretch.readings.len() as u64;
        let (mut received, mut since) = (0, self.clock.elapsed());
        while received < all && self.since(since) < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
            if idle.received() > received {
                (received, since) = (idle.received(), self.clock.elapsed());
            }
        }
        let rate = received as f64 / since.saturating_sub(sent.began).as_secs_f64();
        Row {
            subject: "a subscriber that does nothing",
            qos,
            segments,
            rate,
            cores: self.cores(&busy),
            counts: format!("{received} of {all}"),
            ..Row::default()
        }
        .print();
        Ok(rate)
    }

    fn unit(&self, segments: u32, qos: u8, idle: f64) -> anyhow::Result<()> {
        let broker = Mosquitto::start(BROKER);
        let broker_pid = broker.child.as_ref().map_or(0, std::process::Child::id);
        let folder = tempfile::tempdir()?;
        let journal = qos > 0;
        let program = &self.options.unit;
        let unit = Unit::start(program, folder.path(), broker.port, segments, qos, journal)?;
        let results = Results::new(broker.port, unit::RESULTS, Arc::clone(&self.clock))?;
        let mut publisher = Publisher::new(broker.port, qos, Arc::clone(&self.clock))?;
        let messages = self.messages(qos);
        let at_half = (idle * f64::from(self.options.latency)) as usize;
        let mut stream = self.stream(segments, (messages + at_half) as u64 * 2);
        first_round(&mut stream, &mut publisher)?;

        let stretch = stream.up_to_a_closing(messages);
        let busy = self.busy(&[broker_pid, unit.pid()]);
        let before = cpu_s(unit.pid());
        let sent = publisher.as_fast_as_taken(&stretch)?;
        let last = *stretch.closings.last().context("no window closes in so few readings")?;
        let Some(arrived) = results.until(last.end, PATIENCE) else {
            println!("| wayside | {qos} | {segments} | its last window never came |");
            return Ok(());
        };
        let at = arrived.last().map(|arrived| arrived.at).unwrap_or_default();
        let rate = (last.at + 1) as f64 / at.saturating_sub(sent.began).as_secs_f64();
        let cores = self.cores(&busy);
        let cpu = (cpu_s(unit.pid()) - before) / stretch.readings.len() as f64 * 1e6;

        let half = rate / 2.0;
        let stretch = stream.up_to_a_closing((half * f64::from(self.options.latency)) as usize);
        let half_before = cpu_s(unit.pid());
        let sent = publisher.at_rate(&stretch, half)?;
        let last = *stretch.closings.last().context("no window closes at half the rate")?;
        let arrived = results.until(last.end, PATIENCE).unwrap_or_default();
        let half_cpu = (cpu_s(unit.pid()) - half_before) / stretch.readings.len() as f64 * 1e6;
        let times: BTreeMap<i64, Duration> =
            stretch.closings.iter().map(|c| c.end).zip(sent.closings).collect();
        let latencies = latencies(&times, &arrived);

        // The readings behind the last closing are taken in as well.
        std::thread::sleep(Duration::from_millis(1_500));
        let memory = memory(unit.pid());
        let summary = unit.stop()?;
        let wrong = wrong_cells(&results, &stream.cells);
        Row {
            subject: if journal { "wayside, journal on" } else { "wayside" },
            time: "event",
            qos,
            segments,
            rate,
            of_idle: Some(rate / idle),
            cpu: Some(cpu),
            cores,
            memory: Some(memory),
            counts: judge(&summary, stream.sent),
            windows: wrong,
            p50: percentile(&latencies, 0.5),
            p99: percentile(&latencies, 0.99),
            at_rate: Some((half, latencies.len(), half_cpu)),
        }
        .print();
        Ok(())
    }

    fn engine(&self, engine: &engines::Engine, segments: u32) -> anyhow::Result<()> {
        let broker = Mosquitto::start(BROKER);
        let folder = tempfile::tempdir()?;
        let Some(mut running) = engine.start(folder.path(), broker.port)? else { return Ok(()) };
        let broker_pid = broker.child.as_ref().map_or(0, std::process::Child::id);
        let mut publisher = Publisher::new(broker.port, 0, Arc::clone(&self.clock))?;
        let mut stream = self.stream(segments, self.options.engine_messages as u64 * 2);
        let stretch = stream.up_to_a_closing(self.options.engine_messages);
        let busy = self.busy(&[broker_pid, running.pid()]);
        let before = tree_cpu_s(running.pid());
        let sent = publisher.as_fast_as_taken(&stretch)?;
        publisher.end()?;
        let done = running.done(PATIENCE * 3);
        let took = self.since(sent.began);
        let cpu = (tree_cpu_s(running.pid()) - before) / stretch.readings.len() as f64 * 1e6;
        let (cores, memory) = (self.cores(&busy), memory(running.pid()));
        let counted = running.stop()?;
        Row {
            subject: engine.name,
            time: engine.time,
            segments,
            rate: if done { stretch.readings.len() as f64 / took.as_secs_f64() } else { 0.0 },
            cpu: Some(cpu),
            cores,
            memory: Some(memory),
            counts: counted.total(&stream),
            windows: if engine.time == "event" { counted.cells(&stream) } else { "–".to_owned() },
            ..Row::default()
        }
        .print();
        Ok(())
    }

    /// The unit's memory over a long time.
    fn soak(&self, minutes: u32) -> anyhow::Result<()> {
        let segments = self.options.segments.last().copied().unwrap_or(10_000);
        let qos = self.options.qos.last().copied().unwrap_or(0);
        let broker = Mosquitto::start(BROKER);
        let folder = tempfile::tempdir()?;
        let program = &self.options.unit;
        let unit = Unit::start(program, folder.path(), broker.port, segments, qos, qos > 0)?;
        let mut publisher = Publisher::new(broker.port, qos, Arc::clone(&self.clock))?;
        let a_minute = (self.options.soak_rate * 60.0) as usize;
        let mut stream = self.stream(segments, a_minute as u64 * (u64::from(minutes) + 2));
        first_round(&mut stream, &mut publisher)?;
        println!("{segments} segments, QoS {qos}, {:.0} readings a second", self.options.soak_rate);
        println!("| minute | resident MiB, mean (least, most) of its seconds |\n|---|---|");
        let mut seen = Vec::new();
        let watch = Watch::start(unit.pid());
        for minute in 1..=minutes {
            let stretch = stream.up_to_a_closing(a_minute);
            publisher.at_rate(&stretch, self.options.soak_rate)?;
            stream.forget_cells();
            let seconds = watch.take();
            let now = mean(&seconds);
            let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = seconds.iter().copied().fold(0.0, f64::max);
            println!("| {minute} | {now:.1} ({least:.1}, {most:.1}) |");
            seen.push(now);
        }
        drop(watch);
        std::thread::sleep(Duration::from_secs(2));
        let summary = unit.stop()?;
        // The first tenth is a unit that still fills its tables.
        let warm = &seen[seen.len() / 10..];
        let third = (warm.len() / 3).max(1);
        let (early, late) = (mean(&warm[..third]), mean(&warm[warm.len() - third..]));
        println!(
            "\nfirst third {early:.1} MiB, last third {late:.1} MiB: {:+.1} %; counts: {}",
            (late / early - 1.0) * 100.0,
            judge(&summary, stream.sent)
        );
        Ok(())
    }
}

/// A process's memory, looked at every second: a state that is written or a window that closes takes
/// some for a moment, so that single looks say little.
struct Watch {
    seen: Arc<Mutex<Vec<f64>>>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn start(pid: u32) -> Self {
        let watch = Self { seen: Arc::default(), over: Arc::default() };
        let (seen, over) = (Arc::clone(&watch.seen), Arc::clone(&watch.over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let now = memory(pid).now;
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(now);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        watch
    }

    /// What was seen since the last time, MiB.
    fn take(&self) -> Vec<f64> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Every sensor speaks once, and the time passes in which nothing may close.
fn first_round(stream: &mut Stream, publisher: &mut Publisher) -> anyhow::Result<()> {
    let first = stream.first_round();
    publisher.at_rate(&first, FIRST_ROUND)?;
    std::thread::sleep(Duration::from_millis(stream::LATENESS_MS as u64 + 1_500));
    Ok(())
}

/// From the sending of the readings that close windows to the arrival of their results, sorted.
fn latencies(sent: &BTreeMap<i64, Duration>, arrived: &[Arrived]) -> Vec<Duration> {
    let mut latencies: Vec<Duration> =
        arrived.iter().filter_map(|a| Some(a.at.saturating_sub(*sent.get(&a.end)?))).collect();
    latencies.sort();
    latencies
}

/// The summary against what was sent.
fn judge(summary: &Value, sent: Counts) -> String {
    let count = |key: &str| summary[key].as_u64().unwrap_or(u64::MAX);
    let counted = Counts {
        received: count("received"),
        accepted: count("accepted"),
        duplicate: count("duplicate"),
        late: count("late"),
        dead: summary["dead"]["total"].as_u64().unwrap_or(u64::MAX),
    };
    if counted == sent {
        format!(
            "exact: {} = {} + {} twice + {} late + {} dead",
            sent.received, sent.accepted, sent.duplicate, sent.late, sent.dead
        )
    } else {
        format!("WRONG: {counted:?}, sent {sent:?}")
    }
}

/// Every result's number of readings against what was sent.
fn wrong_cells(results: &Results, cells: &BTreeMap<i64, Vec<Cell>>) -> String {
    let payloads = results.payloads.lock().expect("nobody panicked");
    let mut wrong = 0;
    for payload in payloads.iter() {
        let result: Value = serde_json::from_slice(payload).unwrap_or_default();
        let end = result["end"]
            .as_str()
            .and_then(|end| wayside::domain::time::Timestamp::parse(end).ok());
        let expected = end.and_then(|end| cells.get(&end.millis()));
        let columns = &result["columns"];
        let readings = columns["readings"].as_array().into_iter().flatten();
        let segments = columns["segment"].as_array().into_iter().flatten();
        let mut counted = vec![0; expected.map_or(0, Vec::len)];
        for (segment, readings) in segments.zip(readings) {
            let number =
                segment.as_str().and_then(|s| s.strip_prefix("edge_")?.parse::<usize>().ok());
            if let Some(place) = number.and_then(|number| counted.get_mut(number)) {
                *place += readings.as_u64().unwrap_or(0);
            }
        }
        let right = expected.is_some_and(|cells| {
            cells.iter().map(|cell| u64::from(cell.accepted)).eq(counted.iter().copied())
        });
        wrong += usize::from(!right);
    }
    if wrong == 0 {
        format!("all {} right", payloads.len())
    } else {
        format!("{wrong} of {} WRONG", payloads.len())
    }
}

//! `wayside replay`: a pipeline over a recording.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Exit, Exits, Failure, Output, plan, runtime};
use crate::domain::time::Timestamp;
use crate::io::archive::Archive;
use crate::io::clock::SystemClock;
use crate::io::recording::{Between, Paced, RecordingSource};
use crate::ports::Source;
use crate::runtime::{BATCH, Engine, ReplayOptions, Summary, Unwritten, replay, writers};
use crate::stage::route::{GuidanceReport, Promise};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline file.
    pipeline: PathBuf,
    /// The recording: .ndjson, .ndjson.gz or .parquet; or a folder: a unit's journal, or Parquet
    /// files.
    #[arg(long, value_name = "PATH")]
    recording: PathBuf,
    /// Folder for windows.parquet, directions.ndjson, dead.ndjson, late.ndjson and summary.json.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Begin with the first message received at this time or later, such as 2026-05-12T06:10:00Z.
    /// What comes before is passed over and counted as `skipped`.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    from: Option<Timestamp>,
    /// End before the first message received at this time or later.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Write from this time on. What was received before goes through the pipeline too, at full
    /// speed, so that windows and directions are those of the whole run; it is counted as
    /// `before_seek`. With --from, the pipeline warms up between the two.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    seek: Option<Timestamp>,
    /// `max`, or how many times faster than it was recorded. Changes no byte of the result.
    #[arg(long, default_value = "max", value_name = "max|N")]
    speed: Speed,
    /// Messages that are taken together, at most. Changes no byte of the result.
    #[arg(long, default_value_t = BATCH, value_name = "N", value_parser = batch)]
    batch: usize,
    /// The form of the summary on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Max,
    Times(f64),
}

impl std::str::FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err("`max`, or a number above 0 such as 10".to_owned()),
        }
    }
}

fn batch(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number above 0".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let plan = Arc::new(plan(&args.pipeline)?);
    let writers = writers(&plan);
    let mut engine = Engine::for_replay(Arc::clone(&plan), writers)?;
    let mut archive = Archive::create(&args.out).exits(Exit::Input)?;
    let source = RecordingSource::open(&args.recording).exits(Exit::Input)?;
    let source = Between::new(source, args.from, args.until);
    let skipped = source.skipped();
    let mut source: Box<dyn Source> = match args.speed {
        Speed::Max => Box::new(source),
        Speed::Times(times) => {
            let clock = Arc::new(SystemClock::new());
            Box::new(Paced::new(source, clock, times).waiting_from(args.seek))
        }
    };
    let bar = progress();
    let done = runtime()?.block_on(replay(
        &mut engine,
        source.as_mut(),
        &mut archive,
        ReplayOptions { batch: args.batch, seek: args.seek },
        &mut |now, _| {
            bar.set_message(now.to_string());
            bar.inc(1);
        },
    ));
    bar.finish_and_clear();
    let unwritten = done
        .with_context(|| format!("replay of {}", args.recording.display()))
        .exits(Exit::Input)?;
    archive.finish()?;
    let summary = engine.summary();
    let skipped = args.from.map(|_| skipped.load(Ordering::Relaxed));
    let before_seek = args.seek.map(|_| unwritten);
    let whole = Whole { summary: &summary, skipped, before_seek };
    write_summary(&args.out, &whole)?;
    match args.output {
        Output::Json => {
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&whole)?)?;
        }
        Output::Text => {
            print_summary(&summary, args.output)?;
            if let Some(skipped) = skipped {
                writeln!(std::io::stdout(), "passed over, received before --from: {skipped}")?;
            }
            if let Some(Unwritten { messages, windows, lines }) = before_seek {
                writeln!(
                    std::io::stdout(),
                    "taken and not written, before --seek: {messages} messages, {windows} windows, \
                     {lines} publications, dead letters and late readings"
                )?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The summary with what the engine never saw.
#[derive(Serialize)]
struct Whole<'s> {
    #[serde(flatten)]
    summary: &'s Summary,
    /// Only where `--from` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    /// Only where `--seek` is given; the summary's other counts have it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    before_seek: Option<Unwritten>,
}

/// A spinner on a terminal, nothing anywhere else.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} steps, {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn write_summary(dir: &Path, summary: &Whole<'_>) -> Result<(), Failure> {
    let path = dir.join("summary.json");
    let mut text = serde_json::to_string_pretty(summary)?;
    text.push('\n');
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(())
}

pub(super) fn print_summary(summary: &Summary, output: Output) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(summary)?)?;
        return Ok(());
    }
    let s = summary;
    writeln!(
        out,
        "received {} = accepted {} + duplicate {} + late {} + dead {}",
        s.received, s.accepted, s.duplicate, s.late, s.dead.total
    )?;
    if s.unsubscribed > 0 {
        writeln!(out, "passed over, on topics without a subscription: {}", s.unsubscribed)?;
    }
    for (reason, count) in &s.dead.by_reason {
        writeln!(out, "  dead, {reason}: {count}")?;
    }
    for (name, count) in &s.windows.by_name {
        writeln!(out, "windows {name}: {count}")?;
    }
    for (name, count) in &s.windows.failed {
        writeln!(out, "  SQL failed, {name}: {count}")?;
    }
    let unused = &s.windows.unused_rows;
    let unused = [
        ("null segment", unused.null_segment),
        ("unknown segment", unused.unknown_segment),
        ("repeated segment", unused.repeated_segment),
    ];
    for (what, count) in unused.iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "  result rows not used, {what}: {count}")?;
    }
    let d = &s.directions;
    writeln!(out, "directions: {} shown, {} cleared, {} withheld", d.shown, d.cleared, d.withheld)?;
    for (writer, count) in &d.texts_by_writer {
        writeln!(out, "  texts by {writer}: {count}")?;
    }
    for (rule, count) in &d.refused_drafts {
        writeln!(out, "  drafts refused, {rule}: {count}")?;
    }
    for (cause, count) in &d.missing_drafts {
        writeln!(out, "  drafts missing, {cause}: {count}")?;
    }
    if let Some(guidance) = &s.guidance {
        print_guidance(&mut out, guidance)?;
    }
    writeln!(out, "writer: {}", s.model)?;
    Ok(())
}

fn print_guidance(out: &mut impl Write, guidance: &GuidanceReport) -> Result<(), Failure> {
    let g = guidance;
    writeln!(
        out,
        "guidance: {} changes of signs, {} a sign and hour, {} at most of one sign in an hour",
        g.flips, g.flips_per_sign_hour, g.flips_worst_hour
    )?;
    if let Some(dwell) = g.dwell_s {
        writeln!(out, "  a way on a sign stood {} s, {} s at least", dwell.mean, dwell.least)?;
    }
    for (what, promise) in [("told ways took", g.told_way_s), ("they saved", g.saving_s)] {
        if let Some(Promise { predicted, realised, of }) = promise {
            writeln!(out, "  {what} {realised} s, predicted {predicted} s ({of} imagined trips)")?;
        }
    }
    if let Some(reckoned) = g.diverted.reckoned {
        let measured = g.diverted.measured.map_or("not".to_owned(), |share| share.to_string());
        writeln!(out, "  share diverted: {reckoned} reckoned, {measured} measured")?;
    }
    writeln!(
        out,
        "  told ways full: {} of {} road-minutes",
        g.overloaded_road_min, g.told_road_min
    )?;
    Ok(())
}

//! `wayside recording`: what is in a recording, whether it is whole, and saving what can be saved.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::{Exit, Exits, Failure, Output};
use crate::io::recording::{self, Info, Place};

/// So many topics and places are listed for people; JSON has all.
const LISTED: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what a recording holds: times, topics, gaps.
    Info(InfoArgs),
    /// Check every checksum, footer and line; exit code 1 where something is damaged.
    Verify(VerifyArgs),
    /// Write what can still be read to a new recording, and say what is lost.
    Repair(RepairArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct InfoArgs {
    /// A recording (.ndjson, .ndjson.gz, .parquet), a unit's journal folder or one of its segments
    /// (.wsj), or a folder of Parquet files.
    path: PathBuf,
    /// List silences that are longer than this.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    gap: u64,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// As for `info`.
    path: PathBuf,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct RepairArgs {
    /// As for `info`. It stays as it is.
    path: PathBuf,
    /// The recording to write: .ndjson, .ndjson.gz or .parquet; never over one that is there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Info(args) => info(args),
        Command::Verify(args) => verify(args),
        Command::Repair(args) => repair(args),
    }
}

fn info(args: &InfoArgs) -> Result<Exit, Failure> {
    let info = recording::info(&args.path, Duration::from_secs(args.gap)).exits(Exit::Input)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&info)?)?,
        Output::Text => print_info(&mut out, &info)?,
    }
    Ok(Exit::Done)
}

fn print_info(out: &mut impl Write, info: &Info) -> std::io::Result<()> {
    let Info { form, files, bytes, messages, first, last, topics, gaps, damage } = info;
    writeln!(out, "{form}, {files} file{}, {bytes} bytes", if *files == 1 { "" } else { "s" })?;
    writeln!(out, "{messages} messages on {} topics", topics.len())?;
    if let (Some(first), Some(last)) = (first, last) {
        writeln!(out, "received {first} to {last}")?;
    }
    let mut by_count: Vec<_> = topics.iter().collect();
    by_count.sort_by_key(|(topic, count)| (std::cmp::Reverse(**count), *topic));
    list(out, &by_count, |(topic, count)| format!("{count:>9}  {topic}"))?;
    if !gaps.is_empty() {
        writeln!(out, "silent {} times", gaps.len())?;
        list(out, gaps, |gap| format!("{} to {}, {} s", gap.from, gap.to, gap.seconds))?;
    }
    print_damage(out, damage)
}

fn verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let (messages, damage) = recording::verify(&args.path).exits(Exit::Input)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => {
            let result =
                json!({"messages": messages, "whole": damage.is_empty(), "damage": damage});
            writeln!(out, "{}", serde_json::to_string_pretty(&result)?)?;
        }
        Output::Text if damage.is_empty() => {
            writeln!(out, "{} is whole: {messages} messages", args.path.display())?;
        }
        Output::Text => {
            writeln!(out, "{messages} messages are whole")?;
            print_damage(&mut out, &damage)?;
        }
    }
    Ok(if damage.is_empty() { Exit::Done } else { Exit::Failed })
}

fn repair(args: &RepairArgs) -> Result<Exit, Failure> {
    let done = recording::repair(&args.path, &args.out).exits(Exit::Input)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => {
            let result = json!({"messages": done.messages, "file": args.out, "lost": done.lost});
            writeln!(out, "{}", serde_json::to_string_pretty(&result)?)?;
        }
        Output::Text => {
            writeln!(out, "{} messages in {}", done.messages, args.out.display())?;
            print_damage(&mut out, &done.lost)?;
        }
    }
    Ok(Exit::Done)
}

fn print_damage(out: &mut impl Write, damage: &[Place]) -> std::io::Result<()> {
    if damage.is_empty() {
        return Ok(());
    }
    writeln!(out, "damaged in {} places", damage.len())?;
    list(out, damage, |place| format!("{}: {}", place.number, place.reason))
}

fn list<T>(out: &mut impl Write, all: &[T], line: impl Fn(&T) -> String) -> std::io::Result<()> {
    for one in all.iter().take(LISTED) {
        writeln!(out, "  {}", line(one))?;
    }
    match all.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more, see --output json"),
    }
}

//! `wayside diff`: whether two runs gave the same, and where they first part.

use std::io::Write;
use std::path::PathBuf;

use super::{Exit, Exits, Failure, Output};
use crate::io::archive::{self, Comparison, DirectionDifference, WindowDifference};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run: the --out folder of a replay, or the archive folder of a live unit.
    run_a: PathBuf,
    /// The run to compare it with.
    run_b: PathBuf,
    /// The form of the result on stdout.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let found = archive::compare(&args.run_a, &args.run_b).exits(Exit::Input)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?,
        Output::Text => print(&mut out, &found)?,
    }
    Ok(if found.equal { Exit::Done } else { Exit::Failed })
}

fn print(out: &mut impl Write, found: &Comparison) -> std::io::Result<()> {
    let Comparison { equal, window_rows: rows, directions, first_window, first_direction } = found;
    if *equal {
        return writeln!(out, "equal: {} window rows, {} directions", rows.a, directions.a);
    }
    writeln!(out, "window rows: {} in A, {} in B", rows.a, rows.b)?;
    match first_window {
        Some(first) => print_window(out, first)?,
        None => writeln!(out, "  all equal")?,
    }
    writeln!(out, "directions: {} in A, {} in B", directions.a, directions.b)?;
    match first_direction {
        Some(first) => print_direction(out, first),
        None => writeln!(out, "  all equal"),
    }
}

fn print_window(out: &mut impl Write, first: &WindowDifference) -> std::io::Result<()> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| ABSENT.to_owned());
    let WindowDifference { row, window, start, end, revision, segment, columns } = first;
    writeln!(
        out,
        "  first difference in row {row}: {} from {} to {}, revision {}, segment {}",
        text(window),
        text(start),
        text(end),
        text(revision),
        text(segment)
    )?;
    for column in columns {
        writeln!(out, "    {}: A {}, B {}", column.name, text(&column.a), text(&column.b))?;
    }
    Ok(())
}

fn print_direction(out: &mut impl Write, first: &DirectionDifference) -> std::io::Result<()> {
    let text = |value: &Option<serde_json::Value>| match value {
        Some(value) => value.to_string(),
        None => ABSENT.to_owned(),
    };
    let DirectionDifference { number, ts, topic, member } = first;
    let name = if member.name.is_empty() { "the whole line" } else { &member.name };
    writeln!(out, "  first difference in direction {number}: {} at {}", text(topic), text(ts))?;
    writeln!(out, "    {name}: A {}, B {}", text(&member.a), text(&member.b))
}

/// Stands for a value in a run that has none.
const ABSENT: &str = "(absent)";

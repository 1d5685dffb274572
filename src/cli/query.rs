//! `wayside query`: SQL over recordings and runs.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;

use super::{Exit, Exits, Failure, Output};
use crate::io::archive;
use crate::io::recording::Reader;
use crate::io::tables::{self, Batches};
use crate::query::analysis::{self, Readable};

/// Rows of a table for people, which is held in memory; JSON is written as it comes.
const MAX_TABLE_ROWS: usize = 100_000;

const TABLES: &str = "\
Tables; one that no PATH fills is empty:
  readings    the messages of recordings: ts, pub, topic, sensor_id, kind, edge_id, lane, count,
              speed_kmh, occupancy_pct, queue_veh, payload (the text as it was received)
  windows     the results of a run: window, start, end, revision, segment, vehicles, speed_kmh,
              occupancy_pct, extra (a JSON text of the query's other columns)
  directions  what a run published: ts, topic, direction_id, revision, state, cause, sign_id,
              valid_until, delay_s, saving_s, text (its lines joined by ' / '), payload

Times are UTC. Some column names are words of SQL and need quotes: \"window\", \"start\", \"end\".

Examples:
  wayside query \"SELECT kind, COUNT(*) AS n FROM readings GROUP BY kind\" recording.ndjson.gz
  wayside query \"SELECT ts, sign_id, text FROM directions WHERE state = 'show' ORDER BY ts\" out
  wayside query 'SELECT segment, MIN(speed_kmh) FROM windows GROUP BY segment ORDER BY 2' out";

#[derive(Debug, clap::Args)]
#[command(after_help = TABLES)]
pub(super) struct Args {
    /// One SELECT. It reads the tables below and nothing else, and changes nothing.
    sql: String,
    /// Recordings (.ndjson, .ndjson.gz, .parquet, a unit's journal or one of its segments, a folder
    /// of Parquet files) and runs (the --out folder of a replay, the archive of a live unit).
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The form of the result on stdout; json is one object a row.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (runs, recordings): (Vec<_>, Vec<_>) =
        args.paths.iter().cloned().partition(|path| archive::is_run(path));
    // A path that is neither is said whatever the query reads.
    for path in &recordings {
        Reader::open(path).exits(Exit::Input)?;
    }
    let tables = [
        readable("readings", tables::readings_schema(), recordings, tables::readings),
        readable("windows", tables::windows_schema(), runs.clone(), tables::windows),
        readable("directions", tables::directions_schema(), runs, tables::directions),
    ];
    let mut out = std::io::stdout();
    match args.output {
        Output::Json => {
            let mut json = WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, LineDelimited>(std::io::BufWriter::new(out));
            let mut take = |rows: &RecordBatch| json.write(rows).map_err(io_error);
            analysis::select(&args.sql, &tables, &mut take).exits(Exit::Input)?;
            json.finish()?;
            json.into_inner().flush()?;
        }
        Output::Text => {
            // The width of a table's columns is known when all rows are.
            let (mut batches, mut count) = (Vec::new(), 0);
            analysis::select(&args.sql, &tables, &mut |rows| {
                count += rows.num_rows();
                if count > MAX_TABLE_ROWS {
                    return Err(std::io::Error::other(format!(
                        "more than {MAX_TABLE_ROWS} rows; add LIMIT, or take --output json"
                    )));
                }
                batches.push(rows.clone());
                Ok(())
            })
            .exits(Exit::Input)?;
            writeln!(out, "{}", pretty_format_batches(&batches)?)?;
        }
    }
    Ok(Exit::Done)
}

/// A reader of ours that went away is told apart from other trouble.
fn io_error(error: ArrowError) -> std::io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => std::io::Error::other(other),
    }
}

fn readable(
    name: &str,
    schema: SchemaRef,
    paths: Vec<PathBuf>,
    read: fn(Vec<PathBuf>) -> Batches,
) -> Readable {
    Readable { name: name.to_owned(), schema, read: Arc::new(move || read(paths.clone())) }
}

//! SQL over the rows of windows, on `DataFusion`: checked once, planned once, run often.
//!
//! The only place that names `DataFusion`. A query reads the tables it is given and nothing else:
//! one SELECT, functions by allow-list, size and depth capped before anything recursive sees the
//! text, memory, output and time bounded, no disk, no clock, no chance. Knows nothing of windows,
//! sources or networks.
//!
//! A query that aggregates one stream is also planned in two phases, `DataFusion`'s own: `partial`
//! turns rows into a state batch as they arrive, `reduce` makes one state of several, `finish` makes
//! the result. The states are batches like any other: they can be kept, shared and written down.

pub mod analysis;
mod ast;
mod engine;
mod functions;
mod growth;
mod meaning;
mod nodes;
mod parse;
mod places;
mod rules;
mod scope;
mod session;
mod size;
mod slot;
mod split;
mod worker;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use worker::{Work, Worker};

use crate::batch::Columns;

/// Longest query that is read, in bytes.
pub const MAX_SQL_BYTES: usize = 16 * 1024;
/// Deepest nesting of expressions and subqueries together, parts under WITH counted where they are
/// used.
pub const MAX_DEPTH: usize = 48;
/// Most expressions in a query, each part under WITH counted as often as it is used.
pub const MAX_EXPRESSIONS: usize = 2_000;
/// Most tables that are read, counted in the same way: a table joined with itself is read twice.
pub const MAX_TABLES: usize = 16;
/// Most SELECTs, counted in the same way.
pub const MAX_SELECTS: usize = 32;
/// Most columns of a result, and of any part.
pub const MAX_COLUMNS: usize = 128;
/// How many texts of its rows a query may join into one.
pub const MAX_TEXT_COPIES: usize = 32;
/// Longest pattern of a LIKE, in bytes.
pub const MAX_PATTERN_BYTES: usize = 128;
/// What a running query may hold beside its input and output, and what may come out of it.
pub const MAX_MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// Most rows that come out of a query.
pub const MAX_ROWS: usize = 256 * 1024;
/// How long one run may take.
pub const MAX_TIME: Duration = Duration::from_secs(10);

/// What a query may read. The names are those in its FROM.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Tables whose rows come with each run.
    pub streams: Vec<(String, SchemaRef)>,
    /// Tables whose rows stay the same.
    pub statics: Vec<(String, RecordBatch)>,
}

impl Tables {
    fn names(&self) -> impl Iterator<Item = &str> {
        let streams = self.streams.iter().map(|(name, _)| name.as_str());
        streams.chain(self.statics.iter().map(|(name, _)| name.as_str()))
    }

    fn schema(&self, table: &str) -> Option<SchemaRef> {
        let stream = self.streams.iter().find(|(name, _)| name == table);
        let fixed = || self.statics.iter().find(|(name, _)| name == table);
        stream
            .map(|(_, schema)| SchemaRef::clone(schema))
            .or_else(|| fixed().map(|(_, rows)| rows.schema()))
    }
}

/// One thing that is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlFinding {
    /// Bytes of the SQL text; absent where the whole of it is meant.
    pub offset: Option<Range<usize>>,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl SqlFinding {
    /// Of the whole text.
    fn whole(message: impl Into<String>) -> Self {
        Self { offset: None, message: message.into(), help: None }
    }
}

/// Why a checked query gave no result for its rows.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the rows have other columns than the query was checked for: {found}")]
    Schema { found: String },
    #[error("the query reads {expected} streams and was given rows of {found}")]
    Streams { expected: usize, found: usize },
    #[error("this query cannot be computed in parts; run it over all rows at once")]
    NotInParts,
    #[error(
        "the query needs more than {} MiB for one window; group by fewer values or make the \
         window shorter ({detail})",
        MAX_MEMORY_BYTES / (1024 * 1024)
    )]
    Memory { detail: String },
    #[error(
        "more comes out of the query than {MAX_ROWS} rows or {} MiB; aggregate more, or join on \
         columns that tell the rows apart",
        MAX_MEMORY_BYTES / (1024 * 1024)
    )]
    TooLarge,
    #[error(
        "the query took longer than {} s over the rows of one window and was stopped; join on \
         columns that tell the rows apart, or make the window shorter",
        .0.as_secs_f64()
    )]
    Time(Duration),
    /// An operator of the engine did not heed the stop: nothing can be asked of it until it is done.
    #[error("the query engine is still at work on rows that took too long; it goes on when done")]
    Busy,
    /// A value that the query cannot work on: division of integers by zero, a text that is no number.
    #[error("the query failed on these rows: {0}")]
    Failed(String),
    #[error("the query engine has stopped after an internal error; restart the unit")]
    Stopped,
}

/// A query that is ready to run.
#[derive(Debug)]
pub struct Query {
    /// In the order of `Tables::streams`.
    streams: Vec<Stream>,
    output: SchemaRef,
    phases: Option<Phases>,
    worker: Worker,
}

/// The columns of a stream.
#[derive(Clone, Debug)]
struct Stream {
    all: SchemaRef,
    read: Columns,
}

/// What is known outside of a query that is split.
#[derive(Clone, Debug)]
struct Phases {
    /// By place in `Tables::streams`.
    stream: usize,
    /// The columns of a state batch.
    state: SchemaRef,
}

/// Checks a query over its tables and plans it.
///
/// All findings at once, in the order of the text.
pub fn check(sql: &str, tables: &Tables) -> Result<Query, Vec<SqlFinding>> {
    if sql.len() > MAX_SQL_BYTES {
        let message =
            format!("the query is {} bytes long, at most {MAX_SQL_BYTES} are read", sql.len());
        return Err(vec![SqlFinding::whole(message)]);
    }
    let mut names: Vec<&str> = tables.names().collect();
    names.sort_unstable();
    if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
        let message = format!("two tables are called `{twice}`; give one another name");
        return Err(vec![SqlFinding::whole(message)]);
    }
    let (worker, planned) = Worker::start(sql, tables)?;
    let worker::Planned { output, phases, columns } = planned;
    let stream = |((_, all), read): (&(String, SchemaRef), Vec<usize>)| {
        Ok(Stream { all: SchemaRef::clone(all), read: Columns::of(all, read)? })
    };
    let streams = tables.streams.iter().zip(columns).map(stream);
    let streams = streams
        .collect::<Result<_, ArrowError>>()
        .map_err(|error| vec![SqlFinding::whole(error.to_string())])?;
    Ok(Query { streams, output, phases, worker })
}

impl Query {
    /// The columns that come out.
    pub fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.output)
    }

    /// The columns that it reads, of each stream in the order of `Tables::streams`. Rows may come with
    /// these alone.
    pub fn columns(&self) -> Vec<Columns> {
        self.streams.iter().map(|stream| stream.read.clone()).collect()
    }

    /// Whether the query is split into `DataFusion`'s own Partial and Final aggregates. If not, it
    /// can only `run`.
    pub fn in_two_phases(&self) -> bool {
        self.phases.is_some()
    }

    /// The stream whose rows `partial` takes, by its place in `Tables::streams`; `None` if the
    /// query is not in two phases.
    pub fn stream(&self) -> Option<usize> {
        self.phases.as_ref().map(|phases| phases.stream)
    }

    /// The columns of a state: the groups' and those of the accumulators; `None` if the query is
    /// not in two phases.
    pub fn state_schema(&self) -> Option<SchemaRef> {
        self.phases.as_ref().map(|phases| SchemaRef::clone(&phases.state))
    }

    /// Phase one: rows of the one stream into a state, a row a group.
    ///
    /// Costs next to nothing beyond the aggregation, so it may be called for few rows at a time.
    pub fn partial(&mut self, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let stream = self.phases.as_ref().ok_or(QueryError::NotInParts)?.stream;
        self.streams.get(stream).ok_or(QueryError::NotInParts)?.fits(rows)?;
        self.worker.ask(Work::Partial(rows.clone()))
    }

    /// Several states of the same groups into one. They count as in the order given: earlier rows
    /// first.
    pub fn reduce(&mut self, states: &[RecordBatch]) -> Result<RecordBatch, QueryError> {
        self.states(states)?;
        self.worker.ask(Work::Reduce(states.to_vec()))
    }

    /// Phase two: the result over all rows behind the states, as `run` would give it; for no states,
    /// the result over no rows.
    ///
    /// The same calls with the same batches give the same bits. Sums of floats may differ from
    /// `run`'s in the last places, since they are added up in another order.
    pub fn finish(&mut self, states: &[RecordBatch]) -> Result<RecordBatch, QueryError> {
        self.states(states)?;
        self.worker.ask(Work::Finish(states.to_vec()))
    }

    /// Runs the whole query over these rows, one batch a stream in the order of `Tables::streams`.
    /// Without an ORDER BY the result is sorted by all its columns, so equal rows give equal
    /// results, bit by bit.
    pub fn run(&mut self, rows: &[RecordBatch]) -> Result<RecordBatch, QueryError> {
        if rows.len() != self.streams.len() {
            let (expected, found) = (self.streams.len(), rows.len());
            return Err(QueryError::Streams { expected, found });
        }
        for (rows, stream) in rows.iter().zip(&self.streams) {
            stream.fits(rows)?;
        }
        self.worker.ask(Work::Run(rows.to_vec()))
    }

    fn states(&self, states: &[RecordBatch]) -> Result<(), QueryError> {
        let schema = &self.phases.as_ref().ok_or(QueryError::NotInParts)?.state;
        states.iter().try_for_each(|state| same_columns(state, schema))
    }
}

impl Stream {
    fn fits(&self, rows: &RecordBatch) -> Result<(), QueryError> {
        same_columns(rows, self.read.schema()).or_else(|_| same_columns(rows, &self.all))
    }
}

fn same_columns(rows: &RecordBatch, schema: &SchemaRef) -> Result<(), QueryError> {
    if rows.schema_ref() == schema {
        return Ok(());
    }
    Err(QueryError::Schema { found: rows.schema().to_string() })
}

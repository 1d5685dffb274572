//! SQL over the rows of one window, on DataFusion: checked once, planned once, run often.
//!
//! The only place that names DataFusion. A query reads its own source and nothing else: one SELECT
//! over one table, functions by allow-list, size and depth capped before anything recursive sees
//! the text, memory bounded, no disk, no clock, no chance. Knows nothing of windows or sources.
//!
//! Each query has a thread of its own, on which it is planned and run. So a run neither needs nor
//! disturbs the caller's runtime, recursion has a stack of known size, and a panic in the engine is
//! an error here.

mod ast;
mod engine;
mod functions;
mod meaning;
mod places;
mod rules;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use engine::Engine;

/// Longest query that is read, in bytes.
pub const MAX_SQL_BYTES: usize = 16 * 1024;
/// Deepest nesting of expressions and subqueries together.
pub const MAX_DEPTH: usize = 48;
/// What a running query may hold beside its input and output.
pub const MAX_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// For the planner's recursion at `MAX_DEPTH`, unoptimised code included. Only what is touched
/// takes memory.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// One thing that is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlFinding {
    /// Bytes of the SQL text; absent where the whole of it is meant.
    pub offset: Option<Range<usize>>,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Why a checked query gave no result for a batch.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the rows have other columns than the query was checked for: {found}")]
    Schema { found: String },
    #[error(
        "the query needs more than {} MiB for one window; group by fewer values or make the \
         window shorter ({detail})",
        MAX_MEMORY_BYTES / (1024 * 1024)
    )]
    Memory { detail: String },
    /// A value that the query cannot work on: division of integers by zero, a text that is no number.
    #[error("the query failed on these rows: {0}")]
    Failed(String),
    #[error("the query engine has stopped after an internal error; restart the unit")]
    Stopped,
}

/// A query that is ready to run.
#[derive(Debug)]
pub struct Query {
    input: SchemaRef,
    output: SchemaRef,
    requests: SyncSender<RecordBatch>,
    results: Receiver<Result<RecordBatch, QueryError>>,
}

/// Checks a query over one table and plans it.
///
/// All findings at once, in the order of the text.
pub fn check(sql: &str, table: &str, schema: &SchemaRef) -> Result<Query, Vec<SqlFinding>> {
    let whole =
        |message: &str| vec![SqlFinding { offset: None, message: message.to_owned(), help: None }];
    if sql.len() > MAX_SQL_BYTES {
        let message =
            format!("the query is {} bytes long, at most {MAX_SQL_BYTES} are read", sql.len());
        return Err(whole(&message));
    }
    let (planned, plan) = sync_channel(1);
    let (requests, batches) = sync_channel::<RecordBatch>(1);
    let (answers, results) = sync_channel(1);
    let (text, table, input) = (sql.to_owned(), table.to_owned(), SchemaRef::clone(schema));
    let work = move || {
        let mut engine = match Engine::plan(&text, &table, &input) {
            Ok(engine) => engine,
            Err(findings) => {
                // Nobody listens any more only if the caller is gone.
                return planned.send(Err(findings)).unwrap_or_default();
            }
        };
        if planned.send(Ok(engine.output_schema())).is_err() {
            return;
        }
        for batch in batches {
            if answers.send(engine.run(batch)).is_err() {
                return;
            }
        }
    };
    if thread::Builder::new().name("query".to_owned()).stack_size(STACK_BYTES).spawn(work).is_err()
    {
        return Err(whole("the query engine cannot start: the system gives no more threads"));
    }
    match plan.recv() {
        Ok(Ok(output)) => Ok(Query { input: SchemaRef::clone(schema), output, requests, results }),
        Ok(Err(findings)) => Err(findings),
        Err(_) => Err(whole("the query engine failed on this query; write it in another way")),
    }
}

impl Query {
    /// The columns that come out.
    pub fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.output)
    }

    /// Runs the query over these rows. Without an ORDER BY the result is sorted by all its columns,
    /// so equal rows give equal results, bit by bit.
    pub fn run(&mut self, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
        if rows.schema() != self.input {
            return Err(QueryError::Schema { found: rows.schema().to_string() });
        }
        self.requests.send(rows.clone()).map_err(|_| QueryError::Stopped)?;
        self.results.recv().map_err(|_| QueryError::Stopped)?
    }
}

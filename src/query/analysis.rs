//! An analyst's question: one SELECT over tables that are read while it runs.
//!
//! Unlike a pipeline's query it may call every scalar, aggregate and window function that is
//! compiled in, may take as long as it likes, and its result comes in batches. Like one it reads
//! its tables and nothing else, changes nothing, touches no disk, and has a limit of memory.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{DataFusionError, TableReference};
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionConfig;
use futures::{StreamExt, stream};

use super::places::Places;
use super::session::logical_plan;
use super::{MAX_SQL_BYTES, SqlFinding, parse, size};

/// What a question may hold in memory: groups, sorted rows, one side of a join.
const MEMORY_BYTES: usize = 1 << 30;

/// For the planner's recursion, as for a pipeline's query.
const STACK_BYTES: usize = 64 << 20;

/// Rows of a table, batch by batch; an error says what could not be read.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

/// A table that is read anew each time that the query looks at it.
#[derive(Clone)]
pub struct Readable {
    pub name: String,
    pub schema: SchemaRef,
    pub read: Arc<dyn Fn() -> Batches + Send + Sync>,
}

impl fmt::Debug for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartitionStream for Readable {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let failed = |reason: String| DataFusionError::External(reason.into());
        let batches = (self.read)().map(move |batch| batch.map_err(failed));
        let schema = SchemaRef::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches)))
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    #[error("the query is refused{at}: {message}{help}")]
    Refused { at: String, message: String, help: String },
    #[error(
        "the query needs more than {} MiB; group by fewer values, or sort and join fewer rows \
         ({detail})",
        MEMORY_BYTES >> 20
    )]
    Memory { detail: String },
    #[error("the query failed: {0}")]
    Failed(String),
    #[error("the result cannot be written")]
    Output(#[source] std::io::Error),
}

/// Answers one SELECT; `take` is given the columns first, with no rows, and then the rows.
pub fn select(
    sql: &str,
    tables: &[Readable],
    take: &mut (dyn FnMut(&RecordBatch) -> std::io::Result<()> + Send),
) -> Result<(), AnalysisError> {
    let asked = || catch_unwind(AssertUnwindSafe(|| answer(sql, tables, take)));
    let stopped = || AnalysisError::Failed("the query engine met an internal error".to_owned());
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("analysis".to_owned()).stack_size(STACK_BYTES);
        let thread = thread
            .spawn_scoped(scope, asked)
            .map_err(|error| AnalysisError::Failed(format!("the engine cannot start: {error}")))?;
        thread.join().ok().and_then(Result::ok).unwrap_or_else(|| Err(stopped()))
    })
}

fn answer(
    sql: &str,
    tables: &[Readable],
    take: &mut (dyn FnMut(&RecordBatch) -> std::io::Result<()> + Send),
) -> Result<(), AnalysisError> {
    let context = session(tables).map_err(|error| failed(&error))?;
    let plan = checked(sql, &context)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| AnalysisError::Failed(error.to_string()))?;
    runtime.block_on(async {
        let frame = context.execute_logical_plan(plan).await.map_err(|error| failed(&error))?;
        let mut rows = frame.execute_stream().await.map_err(|error| failed(&error))?;
        take(&RecordBatch::new_empty(rows.schema())).map_err(AnalysisError::Output)?;
        while let Some(batch) = rows.next().await {
            take(&batch.map_err(|error| failed(&error))?).map_err(AnalysisError::Output)?;
        }
        Ok(())
    })
}

/// The plan of exactly one SELECT that changes nothing.
fn checked(sql: &str, context: &SessionContext) -> Result<LogicalPlan, AnalysisError> {
    let refused = |finding: SqlFinding| AnalysisError::Refused {
        at: finding.offset.and_then(|range| sql.get(range)).map_or_else(String::new, |text| {
            let text: String = text.chars().take(60).collect();
            format!(" at `{text}`")
        }),
        message: finding.message,
        help: finding.help.map_or_else(String::new, |help| format!("; {help}")),
    };
    if sql.len() > MAX_SQL_BYTES {
        let message = format!("it is {} bytes long, at most {MAX_SQL_BYTES} are read", sql.len());
        return Err(refused(SqlFinding::whole(message)));
    }
    let places = Places::new(sql);
    let query = parse::parse(sql, &places).map_err(refused)?;
    if let Some(excess) = size::excess(&query, &places) {
        return Err(refused(excess));
    }
    let place = |error: DataFusionError| refused(parse::place(&error, &places));
    let plan = logical_plan(&context.state(), query).map_err(place)?;
    // SELECT ... INTO and an INSERT below WITH are queries to the parser.
    let reads =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(&plan).map_err(place)?;
    Ok(plan)
}

fn session(tables: &[Readable]) -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(MEMORY_BYTES, 1.0)
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()?;
    // No table functions: a table made from nothing needs no limit to be endless.
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(SessionStateDefaults::default_scalar_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build();
    let context = SessionContext::new_with_state(state);
    for table in tables {
        let schema = SchemaRef::clone(&table.schema);
        let stream = StreamingTable::try_new(schema, vec![Arc::new(table.clone())])?;
        context.register_table(TableReference::bare(table.name.as_str()), Arc::new(stream))?;
    }
    Ok(context)
}

fn failed(error: &DataFusionError) -> AnalysisError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(detail) => {
            AnalysisError::Memory { detail: parse::first_line(detail).to_owned() }
        }
        DataFusionError::External(reason) => AnalysisError::Failed(reason.to_string()),
        _ => AnalysisError::Failed(parse::say(error).0),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn ask(sql: &str, error: Option<&str>) -> Result<Vec<RecordBatch>, AnalysisError> {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
        let (rows, error) = (SchemaRef::clone(&schema), error.map(str::to_owned));
        let read = move || -> Batches {
            let batch = |from: i64| {
                let column = Arc::new(Int64Array::from_iter_values(from..from + 3)) as ArrayRef;
                RecordBatch::try_new(SchemaRef::clone(&rows), vec![column])
                    .map_err(|error| error.to_string())
            };
            Box::new(vec![batch(0), error.clone().map_or(batch(3), Err)].into_iter())
        };
        let table = Readable { name: "t".to_owned(), schema, read: Arc::new(read) };
        let mut batches = Vec::new();
        select(sql, &[table], &mut |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        Ok(batches)
    }

    fn numbers(sql: &str) -> Vec<i64> {
        let batches = ask(sql, None).unwrap();
        batches
            .iter()
            .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect()
    }

    #[test]
    fn a_table_is_read_as_often_as_it_is_named() {
        assert_eq!(numbers("SELECT SUM(x) FROM t"), [15]);
        assert_eq!(numbers("SELECT a.x FROM t a JOIN t b ON a.x = b.x + 4 ORDER BY 1"), [4, 5]);
        assert_eq!(
            numbers("SELECT SUM(x) OVER (ORDER BY x) FROM t ORDER BY 1"),
            [0, 1, 3, 6, 10, 15]
        );
        assert_eq!(numbers("SELECT x FROM t WHERE x > 4 UNION ALL SELECT 9"), [5, 9]);
    }

    #[test]
    fn no_rows_still_have_columns() {
        let batches = ask("SELECT x AS y FROM t WHERE x < 0", None).unwrap();
        assert_eq!(batches[0].schema().field(0).name(), "y");
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }

    #[test]
    fn what_cannot_be_read_ends_the_query_and_is_said() {
        let error = ask("SELECT SUM(x) FROM t", Some("r.parquet: broken")).unwrap_err();
        assert_eq!(error.to_string(), "the query failed: r.parquet: broken");
    }

    #[test]
    fn whatever_is_no_plain_select_is_refused() {
        for sql in [
            "CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE TABLE u AS SELECT 1",
            "COPY t TO '/tmp/x.csv'",
            "COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV",
            "SET datafusion.execution.batch_size = 1",
            "SELECT 1; SELECT 2",
            "INSERT INTO t VALUES (1)",
            "WITH a AS (SELECT 1 AS x) INSERT INTO t SELECT x FROM a",
            "SELECT x INTO u FROM t",
            "DROP TABLE t",
            "EXPLAIN ANALYZE SELECT x FROM t",
            "SHOW TABLES",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM generate_series(1, 1000000000000)",
            "SELECT * FROM information_schema.tables",
            "SELECT nothing FROM t",
            "SELEC x FROM t",
            "",
        ] {
            let error = ask(sql, None).err();
            assert!(matches!(error, Some(AnalysisError::Refused { .. })), "{sql}: {error:?}");
        }
        let deep = format!("SELECT {}x{} FROM t", "(".repeat(5000), ")".repeat(5000));
        assert!(matches!(ask(&deep, None), Err(AnalysisError::Refused { .. })));
    }

    #[test]
    fn every_function_that_is_compiled_in_may_be_called() {
        let context = session(&[]).unwrap();
        let state = context.state();
        for name in ["date_bin", "sqrt"] {
            assert!(state.scalar_functions().contains_key(name), "{name}");
        }
        for name in ["row_number", "lag"] {
            assert!(state.window_functions().contains_key(name), "{name}");
        }
        assert!(state.table_functions().is_empty());
    }
}

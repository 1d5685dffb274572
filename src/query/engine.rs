//! Planning and running on DataFusion: a session that has nothing but one table, and a physical
//! plan that is kept and run over whatever lies in the table's slot.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::UInt32Array;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{self, DataFusionError, TableReference};
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream, collect,
};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as AnyStatement;
use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Span};
use tokio::runtime::Runtime;

use super::places::Places;
use super::{MAX_MEMORY_BYTES, QueryError, SqlFinding, functions, meaning, rules};

/// Parser recursion: each level of brackets takes one or two of these.
const PARSER_DEPTH: usize = 100;

/// A planned query with everything that a run needs. Lives on its query's thread.
pub(super) struct Engine {
    /// Nobody else's: the caller may or may not have a runtime of its own.
    runtime: Runtime,
    slot: Arc<Slot>,
    /// Never run itself: each run takes a copy with fresh state.
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    /// The query has an ORDER BY; else the result is sorted here.
    ordered: bool,
}

impl Engine {
    pub(super) fn plan(
        sql: &str,
        table: &str,
        schema: &SchemaRef,
    ) -> Result<Self, Vec<SqlFinding>> {
        let places = Places::new(sql);
        let query = parse(sql, &places).map_err(|finding| vec![finding])?;
        let mut findings = rules::breaches(&query, table, &places);
        if findings.iter().any(|finding| finding.offset.is_none()) {
            // Without a place there is no telling what else would only repeat it.
            return Err(findings);
        }

        let slot = Arc::new(Slot::new(schema));
        let whole = |error: &DataFusionError| {
            let (message, help) = say(error);
            vec![SqlFinding { offset: None, message, help }]
        };
        let state = session(table, &slot).map_err(|error| whole(&error))?;
        for trouble in meaning::troubles(&query, table, schema, &state, &places) {
            let said = |finding: &SqlFinding| overlap(finding, &trouble);
            if !findings.iter().any(said) {
                findings.push(trouble);
            }
        }
        if !findings.is_empty() {
            findings.sort_by_key(|finding| finding.offset.as_ref().map(|range| range.start));
            return Err(findings);
        }

        let ordered = query.order_by.is_some();
        let plan = logical_plan(&state, query).map_err(|error| vec![place(&error, &places)])?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| whole(&DataFusionError::IoError(error)))?;
        let plan = runtime
            .block_on(state.create_physical_plan(&plan))
            .map_err(|error| vec![place(&error, &places)])?;
        one_partition(&plan)?;
        let mut engine = Self { runtime, slot, plan, task: state.task_ctx(), ordered };
        // What cannot run at all shows on no rows, too.
        let nothing = RecordBatch::new_empty(SchemaRef::clone(schema));
        engine.run(nothing).map_err(|error| {
            vec![SqlFinding { offset: None, message: error.to_string(), help: None }]
        })?;
        Ok(engine)
    }

    pub(super) fn output_schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    pub(super) fn run(&mut self, rows: RecordBatch) -> Result<RecordBatch, QueryError> {
        let schema = self.plan.schema();
        self.slot.set(rows);
        let result = reset_plan_states(Arc::clone(&self.plan)).and_then(|plan| {
            let batches = self.runtime.block_on(collect(plan, Arc::clone(&self.task)))?;
            let result = concat_batches(&schema, &batches)?;
            if self.ordered { Ok(result) } else { sorted(&result) }
        });
        self.slot.clear();
        result.map_err(|error| match error.find_root() {
            DataFusionError::ResourcesExhausted(detail) => {
                QueryError::Memory { detail: first_line(detail).to_owned() }
            }
            _ => QueryError::Failed(say(&error).0),
        })
    }
}

/// Sorted by all columns from the first on, nulls first.
fn sorted(batch: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    if batch.num_rows() < 2 {
        return Ok(batch.clone());
    }
    let fields = batch.columns().iter().map(|column| SortField::new(column.data_type().clone()));
    let rows = RowConverter::new(fields.collect())?.convert_columns(batch.columns())?;
    let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
    order.sort_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    Ok(take_record_batch(batch, &UInt32Array::from(order))?)
}

/// Exactly one SELECT, or the one thing that is wrong with the text.
fn parse(sql: &str, places: &Places<'_>) -> Result<Query, SqlFinding> {
    let statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(PARSER_DEPTH)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| {
            let message = error.to_string();
            let offset = places.of_message(&message);
            let said = message.trim_start_matches("sql parser error: ");
            let said = said.split(" at Line: ").next().unwrap_or(said);
            let help = said.contains("recursion limit").then(|| {
                "the query is nested too deeply; split it: WITH part AS (SELECT ...)".to_owned()
            });
            SqlFinding { offset, message: format!("this is no SQL: {said}"), help }
        })?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(Statement::Query(query)), None) => Ok(*query),
        (None, _) => Err(SqlFinding {
            offset: None,
            message: "the query is empty".to_owned(),
            help: Some("write SELECT ... FROM the source".to_owned()),
        }),
        (Some(_), Some(_)) => Err(SqlFinding {
            offset: None,
            message: "there are several statements; one SELECT is allowed".to_owned(),
            help: None,
        }),
        (Some(_), None) => Err(SqlFinding {
            offset: None,
            message: "only SELECT is allowed: a pipeline query changes nothing".to_owned(),
            help: None,
        }),
    }
}

/// A session that knows one table and the allowed functions.
fn session(table: &str, slot: &Arc<Slot>) -> Result<SessionState, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        // A kept plan must not carry what one run has learnt into the next.
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(MAX_MEMORY_BYTES, 1.0)
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()?;
    let allowed = |name: &str, aliases: &[String]| {
        functions::is_allowed(name) || aliases.iter().any(|alias| functions::is_allowed(alias))
    };
    let scalars = SessionStateDefaults::default_scalar_functions().into_iter();
    let aggregates = SessionStateDefaults::default_aggregate_functions().into_iter();
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalars.filter(|f| allowed(f.name(), f.aliases())).collect())
        .with_aggregate_functions(aggregates.filter(|f| allowed(f.name(), f.aliases())).collect())
        .build();
    let source = Arc::clone(slot) as Arc<dyn PartitionStream>;
    let source = StreamingTable::try_new(Arc::clone(&slot.schema), vec![source])?;
    let context = SessionContext::new_with_state(state);
    context.register_table(TableReference::bare(table), Arc::new(source))?;
    Ok(context.state())
}

/// Planning asks nobody outside, so it needs no runtime.
pub(super) fn logical_plan(
    state: &SessionState,
    query: Query,
) -> Result<LogicalPlan, DataFusionError> {
    let statement = AnyStatement::Statement(Box::new(Statement::Query(Box::new(query))));
    futures::executor::block_on(state.statement_to_plan(statement))
}

/// Several partitions would need tasks and meet in an order of their own.
fn one_partition(plan: &Arc<dyn ExecutionPlan>) -> Result<(), Vec<SqlFinding>> {
    if plan.output_partitioning().partition_count() != 1 {
        let message = format!("the query would run in several parts ({})", plan.name());
        return Err(vec![SqlFinding { offset: None, message, help: None }]);
    }
    plan.children().into_iter().try_for_each(one_partition)
}

/// Two findings about the same text.
fn overlap(a: &SqlFinding, b: &SqlFinding) -> bool {
    match (&a.offset, &b.offset) {
        (Some(a), Some(b)) => a.start < b.end && b.start < a.end,
        _ => false,
    }
}

/// An error of the planner, at its place if it knows one.
fn place(error: &DataFusionError, places: &Places<'_>) -> SqlFinding {
    let location = |at: common::Location| Location { line: at.line, column: at.column };
    let offset = error.diagnostic().and_then(|diagnostic| {
        let span = diagnostic.span?;
        places.range(Span { start: location(span.start), end: location(span.end) })
    });
    let (message, help) = say(error);
    SqlFinding { offset, message, help }
}

/// An error of the engine, without the names of its own parts, and what it advises.
pub(super) fn say(error: &DataFusionError) -> (String, Option<String>) {
    if let Some(diagnostic) = error.diagnostic() {
        let helps = diagnostic.helps.iter().map(|help| help.message.as_str());
        let notes = diagnostic.notes.iter().map(|note| note.message.as_str());
        let help = helps.chain(notes).collect::<Vec<_>>().join("; ");
        return (diagnostic.message.clone(), (!help.is_empty()).then_some(help));
    }
    let text = error.find_root().strip_backtrace();
    let text = first_line(&text);
    let said = [
        "Error during planning: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Arrow error: ",
        "Invalid argument error: ",
    ]
    .iter()
    .fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    (said.to_owned(), None)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The one table's rows: whatever was put in last. It may be read several times in a run, by
/// subqueries.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    rows: Mutex<RecordBatch>,
}

impl Slot {
    fn new(schema: &SchemaRef) -> Self {
        let rows = Mutex::new(RecordBatch::new_empty(Arc::clone(schema)));
        Self { schema: Arc::clone(schema), rows }
    }

    fn set(&self, rows: RecordBatch) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// Lets go of the rows, not only when the next ones come.
    fn clear(&self) {
        self.set(RecordBatch::new_empty(Arc::clone(&self.schema)));
    }
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(rows)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_function_is_compiled_in() {
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let state = session("t", &Arc::new(Slot::new(&schema))).unwrap();
        let missing: Vec<_> = functions::SCALARS
            .iter()
            .filter(|name| !state.scalar_functions().contains_key(**name))
            .chain(
                functions::AGGREGATES
                    .iter()
                    .filter(|name| !state.aggregate_functions().contains_key(**name)),
            )
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(state.table_functions().is_empty() && state.window_functions().is_empty());
    }
}

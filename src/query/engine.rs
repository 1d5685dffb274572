//! Planning a query and running its plans, which are kept.

use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use tokio::runtime::Runtime;

use super::nodes::watched;
use super::places::Places;
use super::session::{logical_plan, session};
use super::slot::Slot;
use super::split::{Parts, columns, split};
use super::worker::{Planned, Stop, Work};
use super::{MAX_MEMORY_BYTES, MAX_ROWS, Phases, QueryError, SqlFinding, Tables};
use super::{growth, meaning, parse, rules, size};
use crate::batch::bytes_of;

/// A planned query with everything that a run needs. Lives on its query's thread.
pub(super) struct Engine {
    /// Nobody else's: the caller may or may not have a runtime of its own.
    runtime: Runtime,
    task: Arc<TaskContext>,
    /// In the order of `Tables::streams`.
    streams: Vec<Arc<Slot>>,
    /// Plans are never run themselves: each run takes a copy with fresh state.
    plan: Arc<dyn ExecutionPlan>,
    parts: Option<Parts>,
    /// The query has an ORDER BY; else the result is sorted here.
    ordered: bool,
}

impl Engine {
    pub(super) fn plan(sql: &str, tables: &Tables, stop: &Stop) -> Result<Self, Vec<SqlFinding>> {
        let places = Places::new(sql);
        let query = parse::parse(sql, &places).map_err(|finding| vec![finding])?;
        if let Some(excess) = size::excess(&query, &places) {
            return Err(vec![excess]);
        }
        let mut findings = rules::breaches(&query, tables, &places);
        if findings.iter().any(|finding| finding.offset.is_none()) {
            // Without a place there is no telling what else would only repeat it.
            return Err(findings);
        }

        let whole = |error: &DataFusionError| {
            let (message, help) = parse::say(error);
            vec![SqlFinding { offset: None, message, help }]
        };
        let streams: Vec<_> =
            tables.streams.iter().map(|(_, schema)| Slot::stream(schema, stop)).collect();
        let statics: Vec<_> =
            tables.statics.iter().map(|(_, rows)| Slot::fixed(rows, stop)).collect();
        let session = session(tables.names().zip(streams.iter().chain(&statics)))
            .map_err(|error| whole(&error))?;
        for trouble in meaning::troubles(&query, tables, &session, &places) {
            let said = |finding: &SqlFinding| parse::overlap(finding, &trouble);
            if !findings.iter().any(said) {
                findings.push(trouble);
            }
        }
        if !findings.is_empty() {
            findings.sort_by_key(|finding| finding.offset.as_ref().map(|range| range.start));
            return Err(findings);
        }

        let ordered = query.order_by.is_some();
        let refused = |error: DataFusionError| vec![parse::place(&error, &places)];
        let plan = logical_plan(&session, query).map_err(refused)?;
        growth::check(&plan)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| whole(&DataFusionError::IoError(error)))?;
        let plan = runtime.block_on(session.create_physical_plan(&plan)).map_err(refused)?;
        one_partition(&plan)?;
        let parts = split(&plan, &streams, stop).map_err(refused)?;
        for (stream, columns) in streams.iter().zip(columns(&plan, &streams)) {
            stream.set_read(columns);
        }
        let watched = |plan: Arc<dyn ExecutionPlan>| watched(plan, stop).map_err(refused);
        let parts = match parts {
            None => None,
            Some(parts) => Some(Parts {
                partial: watched(parts.partial)?,
                reduce: watched(parts.reduce)?,
                finish: watched(parts.finish)?,
                ..parts
            }),
        };
        let engine = Self {
            runtime,
            task: session.task_ctx(),
            streams,
            plan: watched(plan)?,
            parts,
            ordered,
        };
        // What cannot run at all shows on no rows, too.
        let nothing =
            tables.streams.iter().map(|(_, schema)| RecordBatch::new_empty(Arc::clone(schema)));
        let mut probes = vec![Work::Run(nothing.collect())];
        if engine.parts.is_some() {
            probes.push(Work::Finish(Vec::new()));
        }
        for probe in probes {
            engine.run(probe).map_err(|error| vec![SqlFinding::whole(error.to_string())])?;
        }
        Ok(engine)
    }

    pub(super) fn planned(&self) -> Planned {
        let phases = self
            .parts
            .as_ref()
            .map(|parts| Phases { stream: parts.stream, state: Arc::clone(parts.states.schema()) });
        let columns = self.streams.iter().map(|stream| stream.read()).collect();
        Planned { output: self.plan.schema(), phases, columns }
    }

    pub(super) fn run(&self, work: Work) -> Result<RecordBatch, QueryError> {
        let parts = || self.parts.as_ref().ok_or(QueryError::NotInParts);
        match work {
            Work::Partial(rows) => {
                let parts = parts()?;
                let stream = self.streams.get(parts.stream).ok_or(QueryError::NotInParts)?;
                self.collect([(stream, vec![rows])], &parts.partial, usize::MAX)
            }
            Work::Reduce(states) => {
                let parts = parts()?;
                self.collect([(&parts.states, states)], &parts.reduce, usize::MAX)
            }
            Work::Finish(states) => {
                let parts = parts()?;
                let rows = self.collect([(&parts.states, states)], &parts.finish, MAX_ROWS)?;
                self.in_order(rows)
            }
            Work::Run(rows) => {
                let input = self.streams.iter().zip(rows.into_iter().map(|rows| vec![rows]));
                let rows = self.collect(input, &self.plan, MAX_ROWS)?;
                self.in_order(rows)
            }
        }
    }

    fn in_order(&self, rows: RecordBatch) -> Result<RecordBatch, QueryError> {
        if self.ordered { Ok(rows) } else { sorted(&rows).map_err(|error| failed(&error)) }
    }

    /// What a plan makes of these rows.
    fn collect<'s>(
        &self,
        input: impl IntoIterator<Item = (&'s Arc<Slot>, Vec<RecordBatch>)>,
        plan: &Arc<dyn ExecutionPlan>,
        max_rows: usize,
    ) -> Result<RecordBatch, QueryError> {
        let mut filled = Vec::new();
        for (slot, rows) in input {
            slot.set(rows);
            filled.push(slot);
        }
        let batches = self.runtime.block_on(self.batches(plan, max_rows));
        for slot in filled {
            slot.clear();
        }
        match batches?.as_slice() {
            [only] => Ok(only.clone()),
            several => concat_batches(&plan.schema(), several)
                .map_err(|error| failed(&DataFusionError::from(error))),
        }
    }

    /// Everything that comes out of a plan, as long as it is not too much.
    async fn batches(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        max_rows: usize,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        let (mut rows, mut bytes) = (0_usize, 0_usize);
        let mut stream = reset_plan_states(Arc::clone(plan))
            .and_then(|plan| plan.execute(0, Arc::clone(&self.task)))
            .map_err(|error| failed(&error))?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| failed(&error))?;
            bytes += bytes_of(&batch);
            rows += batch.num_rows();
            if rows > max_rows || bytes > MAX_MEMORY_BYTES {
                return Err(QueryError::TooLarge);
            }
            batches.push(batch);
        }
        Ok(batches)
    }
}

fn failed(error: &DataFusionError) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(detail) => {
            QueryError::Memory { detail: parse::first_line(detail).to_owned() }
        }
        _ => QueryError::Failed(parse::say(error).0),
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

/// Several partitions would need tasks and meet in an order of their own.
fn one_partition(plan: &Arc<dyn ExecutionPlan>) -> Result<(), Vec<SqlFinding>> {
    if plan.output_partitioning().partition_count() != 1 {
        let message = format!("the query would run in several parts ({})", plan.name());
        return Err(vec![SqlFinding::whole(message)]);
    }
    plan.children().into_iter().try_for_each(one_partition)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn measured(plan: &Arc<dyn ExecutionPlan>) -> usize {
        let own = plan.metrics().map_or(0, |metrics| metrics.iter().count());
        own + plan.children().into_iter().map(measured).sum::<usize>()
    }

    /// Each run measures itself; a kept plan must not gather that for months.
    #[test]
    fn a_kept_plan_does_not_grow() {
        let field = |name| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field("a"), field("b")]));
        let rows = RecordBatch::new_empty(Arc::clone(&schema));
        let tables = Tables { streams: vec![("t".to_owned(), schema)], statics: Vec::new() };
        for sql in [
            "SELECT a, SUM(b) AS s FROM t WHERE b > 0 GROUP BY a",
            "SELECT DISTINCT a + 1 AS x FROM t ORDER BY x LIMIT 3",
            "SELECT a FROM t WHERE b > (SELECT MIN(b) FROM t)",
            "SELECT a FROM t WHERE b IN (SELECT a FROM t)",
            "SELECT a FROM t UNION ALL SELECT b FROM t",
        ] {
            let engine = Engine::plan(sql, &tables, &Stop::default()).unwrap();
            let mut sizes = (0..4).map(|_| {
                engine.run(Work::Run(vec![rows.clone()])).unwrap();
                let mut size = measured(&engine.plan);
                if let Some(state) = engine.parts.as_ref().map(|parts| Arc::clone(&parts.states)) {
                    let rows = engine.run(Work::Partial(rows.clone())).unwrap();
                    assert_eq!(&rows.schema(), state.schema());
                    engine.run(Work::Reduce(vec![rows.clone(), rows.clone()])).unwrap();
                    engine.run(Work::Finish(vec![rows])).unwrap();
                    let parts = engine.parts.as_ref().unwrap();
                    size += measured(&parts.partial);
                    size += measured(&parts.reduce) + measured(&parts.finish);
                }
                size
            });
            let first = sizes.next();
            assert!(sizes.all(|size| Some(size) == first), "{sql}");
        }
    }
}

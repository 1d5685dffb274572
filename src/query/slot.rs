//! The tables of a query, as plans see them: what is read is whatever was put in last.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning,
    PlanProperties, ReplaceChildrenOptions, SendableRecordBatchStream,
};

use super::worker::Stop;

/// Rows that are read at a time: between two such pieces a run can be stopped.
const ROWS_AT_A_TIME: usize = 8192;

/// What the planner is told of a stream's size. Any static table is smaller, so that a join keeps
/// that one in memory and lets the stream's rows pass by in their order.
const STREAM_ROWS: usize = 1 << 30;

/// One table's rows. They may be read several times in a run, by subqueries.
#[derive(Debug)]
pub(super) struct Slot {
    schema: SchemaRef,
    rows: Mutex<Vec<RecordBatch>>,
    /// The columns that plans read of it, in order: rows may come with these alone.
    read: OnceLock<Vec<usize>>,
    /// Rows and bytes, of a table that stays the same.
    size: Option<(usize, usize)>,
    stop: Stop,
}

impl Slot {
    /// A table whose rows come with each run.
    pub(super) fn stream(schema: &SchemaRef, stop: &Stop) -> Arc<Self> {
        let (schema, stop) = (Arc::clone(schema), stop.clone());
        Arc::new(Self { schema, rows: Mutex::default(), read: OnceLock::new(), size: None, stop })
    }

    /// A table that stays the same.
    pub(super) fn fixed(rows: &RecordBatch, stop: &Stop) -> Arc<Self> {
        let size = Some((rows.num_rows(), rows.get_array_memory_size()));
        let (schema, stop) = (rows.schema(), stop.clone());
        let rows = Mutex::new(vec![rows.clone()]);
        Arc::new(Self { schema, rows, read: OnceLock::new(), size, stop })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Once, before the first rows come.
    pub(super) fn set_read(&self, columns: Vec<usize>) {
        self.read.get_or_init(|| columns);
    }

    /// All columns before it was said.
    pub(super) fn read(&self) -> Vec<usize> {
        self.read.get().map_or_else(|| self.all(), Vec::clone)
    }

    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.schema.fields().len()).collect()
    }

    /// Columns of the table, in a batch that may have those alone that are read.
    fn project(&self, batch: &RecordBatch, columns: &[usize]) -> Result<RecordBatch> {
        let Some(read) = self.read.get().filter(|read| read.len() == batch.num_columns()) else {
            return Ok(batch.project(columns)?);
        };
        let place = |column: &usize| read.binary_search(column).unwrap_or(usize::MAX);
        Ok(batch.project(&columns.iter().map(place).collect::<Vec<_>>())?)
    }

    pub(super) fn set(&self, rows: Vec<RecordBatch>) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// Lets go of the rows, not only when the next ones come.
    pub(super) fn clear(&self) {
        self.set(Vec::new());
    }

    fn statistics(&self, schema: &SchemaRef) -> Statistics {
        let mut statistics = Statistics::new_unknown(schema);
        (statistics.num_rows, statistics.total_byte_size) = match self.size {
            Some((rows, bytes)) => (Precision::Exact(rows), Precision::Inexact(bytes)),
            None => (
                Precision::Inexact(STREAM_ROWS),
                Precision::Inexact(STREAM_ROWS.saturating_mul(64)),
            ),
        };
        statistics
    }
}

#[derive(Debug)]
pub(super) struct SlotTable(pub Arc<Slot>);

#[async_trait]
impl TableProvider for SlotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(SlotExec::new(&self.0, projection.map(Vec::as_slice))?))
    }
}

/// Reads a slot.
#[derive(Debug)]
pub(super) struct SlotExec {
    slot: Arc<Slot>,
    projection: Option<Arc<[usize]>>,
    properties: Arc<PlanProperties>,
}

impl SlotExec {
    pub(super) fn new(slot: &Arc<Slot>, projection: Option<&[usize]>) -> Result<Self> {
        let schema = match projection {
            Some(projection) => Arc::new(slot.schema.project(projection)?),
            None => Arc::clone(&slot.schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        // It never waits, so nothing needs to make it yield.
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            slot: Arc::clone(slot),
            projection: projection.map(Arc::from),
            properties: Arc::new(properties),
        })
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// The columns that are read, by index; `None`: all.
    pub(super) fn projection(&self) -> Option<&[usize]> {
        self.projection.as_deref()
    }
}

impl DisplayAs for SlotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotExec: projection={:?}", self.projection)
    }
}

impl ExecutionPlan for SlotExec {
    fn name(&self) -> &'static str {
        "SlotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.slot.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (projection, slot) = (self.projection.clone(), Arc::clone(&self.slot));
        let pieces = batches.into_iter().flat_map(|batch| {
            (0..batch.num_rows())
                .step_by(ROWS_AT_A_TIME)
                .map(move |start| batch.slice(start, ROWS_AT_A_TIME.min(batch.num_rows() - start)))
        });
        let pieces = pieces.map(move |piece| {
            if slot.stop.is_set() {
                return Err(stopped());
            }
            match &projection {
                Some(projection) => slot.project(&piece, projection),
                None => Ok(piece),
            }
        });
        let stream = futures::stream::iter(pieces);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::new(self.slot.statistics(&self.schema())))
    }
}

/// What a plan fails with when it is told to stop. Its text is never shown: the caller knows.
pub(super) fn stopped() -> DataFusionError {
    DataFusionError::Execution("stopped".to_owned())
}

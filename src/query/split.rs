//! One plan into two phases, around the aggregate next to the one stream that it reads.
//!
//! What lies below that aggregate (filters, projections, joins with static tables) is done to each
//! row by itself, so it can be done to some of the rows at a time. What lies above sees the
//! aggregate's result alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::common::Result;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::slot::{Slot, SlotExec};
use super::worker::Stop;

/// The plans of a query in two phases.
pub(super) struct Parts {
    /// The stream that phase one reads, by its place.
    pub stream: usize,
    /// What `reduce` and `finish` read.
    pub states: Arc<Slot>,
    pub partial: Arc<dyn ExecutionPlan>,
    pub reduce: Arc<dyn ExecutionPlan>,
    pub finish: Arc<dyn ExecutionPlan>,
}

/// `None` if the query has to see all rows at once.
pub(super) fn split(
    plan: &Arc<dyn ExecutionPlan>,
    streams: &[Arc<Slot>],
    stop: &Stop,
) -> Result<Option<Parts>> {
    let mut reads = Vec::new();
    let mut path = Vec::new();
    let whole_values = walk(plan, &mut path, &mut |path, read| {
        if let Some(stream) = streams.iter().position(|stream| Arc::ptr_eq(stream, read.slot())) {
            reads.push((stream, path.to_vec()));
        }
    });
    // A value that a subquery gives to the whole plan is known only to the whole plan.
    let ([(stream, path)], true) = (reads.as_slice(), whole_values) else { return Ok(None) };
    let Some((at, aggregate)) = nearest_aggregate(path) else { return Ok(None) };

    // Ungrouped aggregates are planned as Final over Partial, others as one.
    let at = match (aggregate.mode(), at.checked_sub(1)) {
        (AggregateMode::Single | AggregateMode::SinglePartitioned, _) => at,
        (AggregateMode::Partial, Some(above)) => {
            match path[above].0.downcast_ref::<AggregateExec>().map(AggregateExec::mode) {
                Some(AggregateMode::Final | AggregateMode::FinalPartitioned) => above,
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let (result, _) = &path[at];

    let rows = Arc::clone(aggregate.input());
    let phase = |mode, input: Arc<dyn ExecutionPlan>| {
        let groups = match mode {
            AggregateMode::Partial => aggregate.group_expr().clone(),
            _ => aggregate.group_expr().as_final(),
        };
        AggregateExec::try_new(
            mode,
            groups,
            aggregate.aggr_expr().to_vec(),
            aggregate.filter_expr().to_vec(),
            input,
            aggregate.input_schema(),
        )
        .map(Arc::new)
    };
    let partial = phase(AggregateMode::Partial, rows)?;
    let schema: SchemaRef = partial.schema();
    let states = Slot::stream(&schema, stop);
    let read = || SlotExec::new(&states, None).map(Arc::new);
    let reduce = phase(AggregateMode::PartialReduce, read()?)?;
    let last = phase(AggregateMode::Final, read()?)?;
    if reduce.schema() != schema || last.schema() != result.schema() {
        return Ok(None);
    }
    let mut finish = last as Arc<dyn ExecutionPlan>;
    for (node, child) in path[..at].iter().rev() {
        let mut children: Vec<_> = node.children().into_iter().cloned().collect();
        children[*child] = finish;
        let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        finish = Arc::clone(node).replace_children(children, anew)?;
    }
    Ok(Some(Parts { stream: *stream, states, partial, reduce, finish }))
}

/// The columns of each stream that a plan reads, in order; all of them where that cannot be told, and the
/// first one where it only counts rows.
pub(super) fn columns(plan: &Arc<dyn ExecutionPlan>, streams: &[Arc<Slot>]) -> Vec<Vec<usize>> {
    let mut read = vec![BTreeSet::new(); streams.len()];
    let whole_values = walk(plan, &mut Vec::new(), &mut |_, exec| {
        for (stream, read) in streams.iter().zip(&mut read) {
            if Arc::ptr_eq(stream, exec.slot()) {
                read.extend(exec.projection().map_or_else(|| exec.slot().all(), <[usize]>::to_vec));
            }
        }
    });
    if !whole_values {
        return streams.iter().map(|stream| stream.all()).collect();
    }
    let some = |mut columns: BTreeSet<usize>| {
        if columns.is_empty() {
            columns.insert(0);
        }
        columns.into_iter().collect()
    };
    read.into_iter().map(some).collect()
}

/// A node, and which of its children the path goes down to.
type Step = (Arc<dyn ExecutionPlan>, usize);

/// Calls `found` for every table that is read, with the way to it from the root; says whether there
/// are no values from subqueries.
fn walk(
    plan: &Arc<dyn ExecutionPlan>,
    path: &mut Vec<Step>,
    found: &mut impl FnMut(&[Step], &SlotExec),
) -> bool {
    if let Some(read) = plan.downcast_ref::<SlotExec>() {
        found(path, read);
    }
    let mut fine = !plan.is::<ScalarSubqueryExec>();
    for (at, child) in plan.children().into_iter().enumerate() {
        path.push((Arc::clone(plan), at));
        fine &= walk(child, path, found);
        path.pop();
    }
    fine
}

/// The lowest aggregate on the way, if what lies below it can be done to some of the rows at a time
/// and its own work, too.
fn nearest_aggregate(path: &[Step]) -> Option<(usize, &AggregateExec)> {
    let mut keeps_order = true;
    for (at, (node, child)) in path.iter().enumerate().rev() {
        if node.fetch().is_some() {
            return None;
        }
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            return in_parts(aggregate, keeps_order).then_some((at, aggregate));
        }
        if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            if !row_by_row(*join.join_type(), *child) {
                return None;
            }
            // The right side passes by in its order.
            keeps_order &= *child == 1;
        } else if !node.is::<FilterExec>() && !node.is::<ProjectionExec>() {
            return None;
        }
    }
    None
}

/// Whether a join does to each row of one side what it would do without that side's other rows.
fn row_by_row(join: JoinType, side: usize) -> bool {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi};
    use JoinType::{Right, RightAnti, RightMark, RightSemi};
    match join {
        Inner => true,
        Left | LeftSemi | LeftAnti | LeftMark => side == 0,
        Right | RightSemi | RightAnti | RightMark => side == 1,
        Full => false,
    }
}

/// Whether the states of an aggregate's parts make the same result as all rows at once.
fn in_parts(aggregate: &AggregateExec, keeps_order: bool) -> bool {
    let groups = aggregate.group_expr();
    aggregate.limit_options().is_none()
        && !groups.has_grouping_set()
        && aggregate.aggr_expr().iter().all(|call| {
            let by_order = match call.fun().name() {
                // The order is what a percentile is of; the state holds all values.
                "percentile_cont" => true,
                "first_value" | "last_value" => keeps_order && call.order_bys().is_empty(),
                _ => call.order_bys().is_empty(),
            };
            by_order && !call.is_distinct()
        })
}

//! A session that knows the tables of one query, the allowed functions, and nothing else.

use std::sync::Arc;

use datafusion::common::{DataFusionError, TableReference};
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, SessionStateDefaults};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as AnyStatement;
use datafusion::sql::sqlparser::ast::{Query, Statement};

use super::nodes::UnionsInTurn;
use super::slot::{Slot, SlotTable};
use super::{MAX_MEMORY_BYTES, functions};

pub(super) fn session<'t>(
    tables: impl IntoIterator<Item = (&'t str, &'t Arc<Slot>)>,
) -> Result<SessionState, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        // A kept plan must not carry what one run has learnt into the next.
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false)
        // An aggregate that keeps but some of its groups cannot be computed in parts.
        .set_bool("datafusion.optimizer.enable_topk_aggregation", false)
        .set_bool("datafusion.optimizer.enable_distinct_aggregation_soft_limit", false);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    // A state is to have one row a group, however many there are.
    options.execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
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
    let mut optimizers = PhysicalOptimizer::new().rules;
    optimizers.insert(0, Arc::new(UnionsInTurn));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalars.filter(|f| allowed(f.name(), f.aliases())).collect())
        .with_aggregate_functions(aggregates.filter(|f| allowed(f.name(), f.aliases())).collect())
        .with_physical_optimizer_rules(optimizers)
        .build();
    let context = SessionContext::new_with_state(state);
    for (name, slot) in tables {
        let table = Arc::new(SlotTable(Arc::clone(slot)));
        context.register_table(TableReference::bare(name), table)?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_function_is_compiled_in() {
        let state = session([]).unwrap();
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

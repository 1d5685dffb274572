//! The rows of a closed window through the pipeline's SQL.
//!
//! Knows nothing of time: what a window is was decided before.

use crate::batch::{WindowBatch, schema_of};
use crate::plan::Plan;
use crate::query::{self, Query, QueryError, SqlFinding};

/// A window whose query does not pass its check.
#[derive(Debug, thiserror::Error)]
#[error("window `{window}`: {message}")]
pub struct AggregateError {
    pub window: String,
    pub message: String,
}

/// One planned query a window.
#[derive(Debug)]
pub struct Aggregate {
    /// By index into `Plan::windows`.
    queries: Vec<Query>,
}

impl Aggregate {
    /// Plans the query of every window. The name of a window's source is its one table.
    pub fn new(plan: &Plan) -> Result<Self, AggregateError> {
        let planned = plan.windows.iter().map(|window| {
            let error = |message| AggregateError { window: window.name.clone(), message };
            let source = plan
                .sources
                .get(window.source)
                .ok_or_else(|| error(format!("there is no source {}", window.source)))?;
            query::check(&window.sql, &source.name, &schema_of(&source.mapping))
                .map_err(|findings| error(in_one_line(&findings)))
        });
        Ok(Self { queries: planned.collect::<Result<_, _>>()? })
    }

    /// The result of the window's query over its rows, for the same interval.
    pub fn run(&mut self, batch: &WindowBatch) -> Result<WindowBatch, QueryError> {
        let query = self.queries.get_mut(batch.window).ok_or(QueryError::Stopped)?;
        Ok(WindowBatch { rows: query.run(&batch.rows)?, ..batch.clone() })
    }
}

fn in_one_line(findings: &[SqlFinding]) -> String {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| match &finding.help {
            Some(help) => format!("{} ({help})", finding.message),
            None => finding.message.clone(),
        })
        .collect();
    lines.join("; ")
}

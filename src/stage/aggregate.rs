//! The rows of a closed window through the pipeline's SQL.
//!
//! Knows nothing of time: what a window is was decided before.

use crate::batch::{WindowBatch, schema_of};
use crate::plan::Plan;
use crate::query::{self, Query, QueryError, SqlFinding, Tables};

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
            let tables = Tables {
                streams: vec![(source.name.clone(), schema_of(&source.mapping))],
                statics: Vec::new(),
            };
            query::check(&window.sql, &tables).map_err(|findings| error(in_one_line(&findings)))
        });
        Ok(Self { queries: planned.collect::<Result<_, _>>()? })
    }

    /// The result of the window's query over its rows, for the same interval.
    pub fn run(&mut self, batch: &WindowBatch) -> Result<WindowBatch, QueryError> {
        let query = self.queries.get_mut(batch.window).ok_or_else(|| {
            QueryError::Failed(format!("window {} is not in the plan", batch.window))
        })?;
        Ok(WindowBatch { rows: query.run(std::slice::from_ref(&batch.rows))?, ..batch.clone() })
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::batch::{Row, Value, batch_of};
    use crate::domain::network::Network;
    use crate::domain::time::Timestamp;
    use crate::domain::wording::Language;
    use crate::plan::{Backend, Column, ColumnKind, Mapping, Produces, Source, Window, Writer};

    fn plan(queries: &[&str]) -> Plan {
        let column = |name: &str, kind| Column {
            name: name.to_owned(),
            path: vec![name.to_owned()],
            kind,
            nullable: false,
            missing: Vec::new(),
            scale: 1.0,
            offset: 0.0,
            min: None,
            max: None,
            is_segment: false,
            one_of: Vec::new(),
        };
        let columns =
            vec![column("edge_id", ColumnKind::Text), column("count", ColumnKind::Integer)];
        let mapping = Mapping {
            name: "loop".to_owned(),
            produces: Produces::Readings,
            version: None,
            columns,
        };
        let window = |sql: &&str| Window {
            name: "minute".to_owned(),
            source: 0,
            size: Duration::from_mins(1),
            every: Duration::from_mins(1),
            accept_for: Duration::ZERO,
            sql: (*sql).to_owned(),
        };
        Plan {
            name: "test".to_owned(),
            hash: String::new(),
            site: "test".to_owned(),
            network: Arc::new(Network {
                city: "test".to_owned(),
                hash: String::new(),
                segments: Vec::new(),
                detectors: Vec::new(),
                signs: Vec::new(),
                places: Vec::new(),
                outgoing: Vec::new(),
                incoming: Vec::new(),
                by_name: HashMap::new(),
            }),
            broker: None,
            sources: vec![Source {
                name: "loops".to_owned(),
                topic: "t".to_owned(),
                qos: 1,
                mapping: Arc::new(mapping),
                claims: Vec::new(),
                event_time: None,
                unique: Vec::new(),
            }],
            windows: queries.iter().map(window).collect(),
            congestion: None,
            directions: None,
            writer: Writer {
                model: None,
                languages: vec![Language::En],
                deadline: Duration::ZERO,
                backend: Backend::Cpu,
            },
            outputs: Vec::new(),
            status_topic: String::new(),
        }
    }

    fn batch(plan: &Plan, window: usize, counts: &[i64]) -> WindowBatch {
        let mapping = &plan.sources[0].mapping;
        let rows: Vec<Row> = counts
            .iter()
            .map(|count| {
                let mut row = Row::with_capacity(2);
                row.push(Value::Text("a104"));
                row.push(Value::Integer(*count));
                row
            })
            .collect();
        let rows: Vec<&Row> = rows.iter().collect();
        WindowBatch {
            window,
            start: Timestamp::default(),
            end: Timestamp::default() + Duration::from_mins(1),
            revision: 1,
            rows: batch_of(mapping, &schema_of(mapping), &rows).unwrap(),
        }
    }

    #[test]
    fn each_window_goes_through_its_own_query() {
        let plan = plan(&[
            "SELECT edge_id AS segment, SUM(count) AS vehicles FROM loops GROUP BY edge_id",
            "SELECT MAX(count) AS most FROM loops",
        ]);
        let mut aggregate = Aggregate::new(&plan).unwrap();
        for (window, column, expected) in [(0, 1, 7), (1, 0, 4), (0, 1, 7)] {
            let input = batch(&plan, window, &[4, 3]);
            let output = aggregate.run(&input).unwrap();
            let values = output.rows.column(column).as_primitive::<Int64Type>();
            assert_eq!(values.values(), &[expected]);
            assert_eq!((output.start, output.end, output.revision), (input.start, input.end, 1));
        }
    }

    #[test]
    fn a_query_that_does_not_pass_names_its_window() {
        let error = Aggregate::new(&plan(&["SELECT edge FROM loops"])).unwrap_err().to_string();
        assert!(error.contains("`minute`") && error.contains("`edge_id`"), "{error}");
    }
}

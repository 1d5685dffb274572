//! Rows into panes, panes into results: the pipeline's SQL over each closed window.
//!
//! Does the window stage's steps in their order. A query that can be computed in parts is: each
//! fold becomes a state of groups and accumulators, states of one pane are merged as they gather,
//! and a window's result is made of the states of its panes. The rows of any other query are kept
//! as they are until its windows are done. Either way the result depends on the order of the rows
//! and nothing else. Knows nothing of time: what a window is was decided before.

use std::collections::BTreeMap;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::batch::{
    Batches, Closing, Columns, Step, WindowBatch, bytes_of, schema_of, static_tables,
};
use crate::domain::network::Network;
use crate::plan::{Source, Window};
use crate::query::{self, MAX_MEMORY_BYTES, Query, QueryError, SqlFinding, Tables};

/// A window whose query does not pass its check.
#[derive(Debug, thiserror::Error)]
#[error("window `{window}`: {message}")]
pub struct AggregateError {
    pub window: String,
    pub message: String,
}

/// A pane's states are merged when there are so many: each is as large as the pane has groups.
const STATES_TO_REDUCE: usize = 8;

/// One planned query a window, and what has been folded so far.
#[derive(Debug)]
pub struct Aggregate {
    /// By index into `Plan::windows`.
    queries: Vec<Planned>,
    panes: BTreeMap<(usize, i64), Pane>,
}

#[derive(Debug)]
struct Planned {
    query: Query,
    /// Of each stream those that the query reads.
    columns: Vec<Columns>,
    /// Of all panes, where rows are kept as they are.
    kept_bytes: usize,
}

/// What is kept of a pane's rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pane {
    /// One entry a stream, in the order in which they were folded: the rows, or, where the query is
    /// computed in parts, their states.
    kept: Vec<Batches>,
    /// Why its rows are lost to the query.
    failed: Option<String>,
    /// Of the rows, where they are kept as they are.
    #[serde(default)]
    bytes: usize,
}

/// Every pane, to be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AggregateState(Vec<(usize, i64, Pane)>);

impl Aggregate {
    /// Plans the query of every window. The names of a window's sources are its tables.
    pub fn new(
        sources: &[Source],
        windows: &[Window],
        network: &Network,
    ) -> Result<Self, AggregateError> {
        let planned = windows.iter().map(|window| {
            let error = |message| AggregateError { window: window.name.clone(), message };
            let mut tables =
                Tables { statics: static_tables(&window.tables, network), ..Tables::default() };
            for source in &window.sources {
                let source = sources
                    .get(*source)
                    .ok_or_else(|| error(format!("there is no source {source}")))?;
                tables.streams.push((source.name.clone(), schema_of(&source.mapping)));
            }
            let query = query::check(&window.sql, &tables)
                .map_err(|findings| error(in_one_line(&findings)))?;
            let columns = query.columns();
            Ok(Planned { query, columns, kept_bytes: 0 })
        });
        Ok(Self { queries: planned.collect::<Result<_, _>>()?, panes: BTreeMap::new() })
    }

    /// The columns that the rows of a window have to have, by index into `Plan::windows` and by
    /// stream. No step may bring others.
    pub fn columns(&self) -> Vec<Vec<Columns>> {
        self.queries.iter().map(|planned| planned.columns.clone()).collect()
    }

    /// Does one step; the result of a window, where that is what it asks for.
    ///
    /// An error of a fold costs the results of all windows over its pane, of a close this result:
    /// all else goes on.
    pub fn run(&mut self, step: Step) -> Result<Option<WindowBatch>, QueryError> {
        match step {
            Step::Fold { window, pane, stream, rows } => {
                let planned = self.queries.get_mut(window).ok_or_else(|| unplanned(window))?;
                let pane = self.panes.entry((window, pane)).or_default();
                planned.fold(pane, stream, rows).map(|()| None).inspect_err(|error| {
                    pane.failed = Some(error.to_string());
                    pane.kept.clear();
                    planned.kept_bytes -= std::mem::take(&mut pane.bytes);
                })
            }
            Step::Close { closing, panes } => self.close(&closing, &panes).map(Some),
            Step::Forget { window, pane } => {
                let gone = self.panes.remove(&(window, pane));
                if let (Some(gone), Some(planned)) = (gone, self.queries.get_mut(window)) {
                    planned.kept_bytes -= gone.bytes;
                }
                Ok(None)
            }
        }
    }

    fn close(&mut self, closing: &Closing, panes: &[i64]) -> Result<WindowBatch, QueryError> {
        let Closing { window, start, end, revision } = *closing;
        let planned = self.queries.get_mut(window).ok_or_else(|| unplanned(window))?;
        let panes: Vec<&Pane> =
            panes.iter().filter_map(|pane| self.panes.get(&(window, *pane))).collect();
        if let Some(reason) = panes.iter().find_map(|pane| pane.failed.as_ref()) {
            return Err(QueryError::Failed(reason.clone()));
        }
        let rows = planned.result(&panes)?;
        Ok(WindowBatch { window, start, end, revision, rows })
    }

    pub fn state(&self) -> AggregateState {
        let panes = self.panes.iter();
        AggregateState(panes.map(|((window, pane), kept)| (*window, *pane, kept.clone())).collect())
    }

    pub fn restore(&mut self, state: AggregateState) {
        let panes = state.0.into_iter();
        self.panes = panes.map(|(window, pane, kept)| ((window, pane), kept)).collect();
        for (window, planned) in self.queries.iter_mut().enumerate() {
            let own = self.panes.range((window, i64::MIN)..=(window, i64::MAX));
            planned.kept_bytes = own.map(|(_, pane)| pane.bytes).sum();
        }
    }
}

impl Planned {
    fn fold(
        &mut self,
        pane: &mut Pane,
        stream: usize,
        rows: RecordBatch,
    ) -> Result<(), QueryError> {
        // A query in two phases reads one stream; what the others bring only moves the watermark.
        let unread = self.query.stream().is_some_and(|read| read != stream);
        if pane.failed.is_some() || unread {
            return Ok(());
        }
        pane.kept.resize(self.columns.len(), Batches::default());
        let kept = &mut pane.kept[stream].0;
        if !self.query.in_two_phases() {
            let bytes = bytes_of(&rows);
            if self.kept_bytes + bytes > MAX_MEMORY_BYTES {
                let detail = "its rows are kept whole until its windows are closed".to_owned();
                return Err(QueryError::Memory { detail });
            }
            self.kept_bytes += bytes;
            pane.bytes += bytes;
            kept.push(rows);
            return Ok(());
        }
        kept.push(self.query.partial(&rows)?);
        if kept.len() >= STATES_TO_REDUCE {
            let state = self.query.reduce(kept)?;
            *kept = vec![state];
        }
        Ok(())
    }

    fn result(&mut self, panes: &[&Pane]) -> Result<RecordBatch, QueryError> {
        let kept = |stream: usize| {
            let batches = panes.iter().filter_map(move |pane| pane.kept.get(stream));
            batches.flat_map(|batches| &batches.0)
        };
        if let Some(stream) = self.query.stream() {
            let states: Vec<RecordBatch> = kept(stream).cloned().collect();
            return self.query.finish(&states);
        }
        let rows = self.columns.iter().enumerate().map(|(stream, columns)| {
            concat_batches(columns.schema(), kept(stream))
                .map_err(|error| QueryError::Failed(error.to_string()))
        });
        let rows: Vec<RecordBatch> = rows.collect::<Result<_, _>>()?;
        self.query.run(&rows)
    }
}

fn unplanned(window: usize) -> QueryError {
    QueryError::Failed(format!("window {window} is not in the plan"))
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
    use std::sync::Arc;

    use arrow::array::{
        Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMillisecondArray,
    };
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::plan::StaticTable;
    use crate::plan::testing::{source, window};

    fn aggregate(queries: &[&str]) -> Result<Aggregate, AggregateError> {
        let windows: Vec<Window> = queries
            .iter()
            .map(|sql| Window {
                name: "minute".to_owned(),
                sql: (*sql).to_owned(),
                ..window(60, 60)
            })
            .collect();
        let network = crate::domain::network::testing::grid(2, 2).build();
        Aggregate::new(
            &[source("loops", true, &[]), source("cameras", true, &[])],
            &windows,
            &network,
        )
    }

    fn rows(counts: &[i64]) -> RecordBatch {
        let sensors: StringArray = counts.iter().map(|_| Some("a104")).collect();
        let times = TimestampMillisecondArray::from(vec![0; counts.len()]).with_timezone("UTC");
        let columns: Vec<ArrayRef> =
            vec![Arc::new(sensors), Arc::new(times), Arc::new(Int64Array::from(counts.to_vec()))];
        let schema = schema_of(&source("loops", true, &[]).mapping);
        RecordBatch::try_new(schema, columns).unwrap()
    }

    fn fold(to: &Aggregate, window: usize, pane: i64, counts: &[i64]) -> Step {
        let rows = to.columns()[window][0].from(&rows(counts)).unwrap();
        Step::Fold { window, pane, stream: 0, rows }
    }

    fn close(window: usize, revision: u32, panes: &[i64]) -> Step {
        let (start, end) = (Timestamp::default(), Timestamp::from_millis(60_000).unwrap());
        let closing = Closing { window, start, end, revision };
        Step::Close { closing, panes: panes.to_vec() }
    }

    /// The one value of the one window that these steps give.
    fn value(aggregate: &mut Aggregate, step: Step) -> i64 {
        let result = aggregate.run(step).unwrap().unwrap();
        let column = result.rows.num_columns() - 1;
        result.rows.column(column).as_primitive::<Int64Type>().value(0)
    }

    #[test]
    fn panes_are_shared_revised_kept_and_forgotten() {
        let mut all = aggregate(&[
            "SELECT sensor_id AS segment, SUM(count) AS vehicles FROM loops GROUP BY sensor_id",
            "SELECT COUNT(DISTINCT count) AS kinds FROM loops",
        ])
        .unwrap();
        for (pane, counts) in [(0, &[4, 3][..]), (1, &[3, 5]), (0, &[4])] {
            assert_eq!(all.run(fold(&all, 0, pane, counts)).unwrap(), None);
            assert_eq!(all.run(fold(&all, 1, pane, counts)).unwrap(), None);
        }
        assert_eq!(value(&mut all, close(0, 1, &[0])), 11);
        assert_eq!(value(&mut all, close(0, 1, &[0, 1])), 19);
        assert_eq!(value(&mut all, close(1, 1, &[0, 1])), 3);

        let bytes = rmp_serde::to_vec(&all.state()).unwrap();
        all.restore(rmp_serde::from_slice(&bytes).unwrap());
        all.run(fold(&all, 0, 0, &[9])).unwrap();
        assert_eq!(value(&mut all, close(0, 2, &[0])), 20);
        all.run(Step::Forget { window: 0, pane: 0 }).unwrap();
        assert_eq!(value(&mut all, close(0, 1, &[1])), 8);
    }

    #[test]
    fn rows_have_the_columns_that_the_query_reads_and_no_others() {
        let queries = [
            ("SELECT sensor_id, SUM(count) AS n FROM loops GROUP BY sensor_id", "sensor_id count"),
            ("SELECT SUM(count) AS n FROM loops WHERE ts IS NOT NULL", "count"),
            ("SELECT COUNT(*) AS n FROM loops", "sensor_id"),
            ("SELECT * FROM loops", "sensor_id ts count"),
            (
                "SELECT COUNT(*) AS n FROM loops WHERE count > (SELECT AVG(count) FROM loops)",
                "sensor_id ts count",
            ),
            (
                "SELECT a.count FROM loops a JOIN loops b ON a.sensor_id = b.sensor_id",
                "sensor_id count",
            ),
        ];
        for (sql, expected) in queries {
            let mut all = aggregate(&[sql]).unwrap();
            let columns = all.columns();
            assert_eq!(columns[0][0].names(), expected.replace(' ', ","), "{sql}");
            all.run(fold(&all, 0, 0, &[4, 3])).unwrap();
            assert!(all.run(close(0, 1, &[0])).unwrap().is_some(), "{sql}");
        }
    }

    /// A query that needs its rows whole has room for so many, over all its open windows.
    #[test]
    fn rows_that_are_kept_whole_have_a_bound() {
        let mut all = aggregate(&["SELECT * FROM loops"]).unwrap();
        let long = "x".repeat(1_000);
        let rows = |count: usize| {
            let sensors: StringArray = (0..count).map(|_| Some(long.as_str())).collect();
            let times = TimestampMillisecondArray::from(vec![0; count]).with_timezone("UTC");
            let counts = Int64Array::from(vec![1; count]);
            let columns: Vec<ArrayRef> = vec![Arc::new(sensors), Arc::new(times), Arc::new(counts)];
            RecordBatch::try_new(schema_of(&source("loops", true, &[]).mapping), columns).unwrap()
        };
        let fold = |pane, count| Step::Fold { window: 0, pane, stream: 0, rows: rows(count) };
        all.run(fold(0, 30_000)).unwrap();
        all.run(fold(1, 30_000)).unwrap();
        let state = rmp_serde::to_vec(&all.state()).unwrap();
        all.restore(rmp_serde::from_slice(&state).unwrap());
        let error = all.run(fold(1, 30_000)).unwrap_err();
        assert!(matches!(error, QueryError::Memory { .. }), "{error}");
        assert!(all.run(close(0, 1, &[0])).is_ok());
        assert!(all.run(close(0, 1, &[1])).is_err(), "a part of the rows is no result");
        // What is done with makes room.
        all.run(Step::Forget { window: 0, pane: 0 }).unwrap();
        all.run(fold(2, 30_000)).unwrap();
    }

    #[test]
    fn a_window_without_rows_gives_what_its_query_says_of_none() {
        let mut all = aggregate(&["SELECT COUNT(*) AS n FROM loops"]).unwrap();
        assert_eq!(value(&mut all, close(0, 1, &[])), 0);
    }

    #[test]
    fn two_streams_and_a_static_table_meet_in_one_window() {
        let network = crate::domain::network::testing::grid(2, 2).build();
        let sources = [source("loops", true, &[]), source("cameras", true, &[])];
        let sql = "SELECT s.segment, SUM(x.count) * MAX(s.lanes) AS n FROM \
            (SELECT sensor_id, count FROM loops UNION ALL SELECT sensor_id, count FROM cameras) x \
            LEFT JOIN segments s ON s.segment = x.sensor_id GROUP BY s.segment";
        let both = Window {
            sources: vec![0, 1],
            tables: vec![StaticTable::Segments],
            sql: sql.to_owned(),
            ..window(60, 60)
        };
        let mut all = Aggregate::new(&sources, &[both], &network).unwrap();
        all.run(fold(&all, 0, 0, &[4, 3])).unwrap();
        let Step::Fold { window, pane, rows, .. } = fold(&all, 0, 0, &[5]) else { unreachable!() };
        all.run(Step::Fold { window, pane, stream: 1, rows }).unwrap();
        let Some(result) = all.run(close(0, 1, &[0])).unwrap() else { panic!("no result") };
        assert_eq!(result.rows.num_rows(), 1);
        assert!(result.rows.column(0).is_null(0), "no segment is called so");
    }

    #[test]
    fn a_stream_that_the_query_does_not_read_counts_for_nothing() {
        let network = crate::domain::network::testing::grid(2, 2).build();
        let sources = [source("loops", true, &[]), source("cameras", true, &[])];
        for (table, expected) in [("loops", 2), ("cameras", 3)] {
            let sql = format!("SELECT COUNT(*) AS n FROM {table}");
            let both = Window { sources: vec![0, 1], sql, ..window(60, 60) };
            let mut all = Aggregate::new(&sources, &[both], &network).unwrap();
            for (stream, counts) in [(0, &[4, 3][..]), (1, &[5, 5, 5])] {
                let rows = all.columns()[0][stream].from(&rows(counts)).unwrap();
                all.run(Step::Fold { window: 0, pane: 0, stream, rows }).unwrap();
            }
            assert_eq!(value(&mut all, close(0, 1, &[0])), expected, "{table}");
        }
    }

    #[test]
    fn a_value_that_the_query_cannot_work_on_costs_its_windows_alone() {
        let mut all = aggregate(&["SELECT SUM(12 / (count - 4)) AS n FROM loops"]).unwrap();
        assert!(all.run(fold(&all, 0, 0, &[3, 4])).is_err());
        all.run(fold(&all, 0, 0, &[1])).unwrap();
        all.run(fold(&all, 0, 1, &[6])).unwrap();
        assert!(all.run(close(0, 1, &[0, 1])).is_err());
        assert_eq!(value(&mut all, close(0, 1, &[1])), 6);
    }

    #[test]
    fn many_folds_are_reduced_and_none_is_lost() {
        let mut all =
            aggregate(&["SELECT sensor_id, SUM(count) AS n FROM loops GROUP BY sensor_id"])
                .unwrap();
        for _ in 0..3 * STATES_TO_REDUCE {
            all.run(fold(&all, 0, 0, &[1, 2])).unwrap();
        }
        assert!(all.panes[&(0, 0)].kept[0].0.len() < STATES_TO_REDUCE);
        assert_eq!(value(&mut all, close(0, 1, &[0])), 72);
    }

    #[test]
    fn a_query_that_does_not_pass_names_its_window() {
        let error = aggregate(&["SELECT sensor FROM loops"]).unwrap_err().to_string();
        assert!(error.contains("`minute`") && error.contains("`sensor_id`"), "{error}");
    }
}

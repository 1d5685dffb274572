//! What the SQL check lets through, and what it says of the rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::array::{BooleanArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use proptest::prelude::*;

use super::*;

mod hostile;
mod joins;
mod phases;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("sensor_id", DataType::Utf8, false),
        Field::new("edge_id", DataType::Utf8, false),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        Field::new("count", DataType::Int64, false),
        Field::new("speed_kmh", DataType::Float64, true),
        Field::new("faulty", DataType::Boolean, true),
        Field::new("laneNo", DataType::Int64, true),
    ]))
}

/// Edge, count, speed.
fn rows(rows: &[(&str, i64, Option<f64>)]) -> RecordBatch {
    let n = rows.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..n).map(|i| Some(format!("s{i}"))).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(
            TimestampMillisecondArray::from_iter_values((0..).step_by(1_000).take(n))
                .with_timezone("UTC"),
        ),
        Arc::new(
            rows.iter().map(|row| row.1).collect::<Vec<_>>().into_iter().collect::<Int64Array>(),
        ),
        Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
        Arc::new((0..n).map(|_| Some(false)).collect::<BooleanArray>()),
        Arc::new((0..n).map(|_| None::<i64>).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

const MINUTE: &str = "SELECT edge_id AS segment, SUM(count) AS vehicles, \
    SUM(count * speed_kmh) / NULLIF(SUM(count), 0) AS speed_kmh FROM loops GROUP BY edge_id";

fn tables() -> Tables {
    Tables { streams: vec![("loops".to_owned(), schema())], statics: Vec::new() }
}

/// With a static table beside the stream.
fn joined() -> Tables {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("segment", Arc::new(StringArray::from(vec!["a", "b", "c", "d"])), false),
        ("name", Arc::new(StringArray::from(vec!["First", "Second", "Second", "Third"])), true),
        ("length_m", Arc::new(Float64Array::from(vec![100.0, 250.0, 40.0, 8.0])), false),
        ("lanes", Arc::new(Int64Array::from(vec![1, 2, 2, 1])), false),
    ];
    let segments = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    Tables { statics: vec![("segments".to_owned(), segments)], ..tables() }
}

fn query(sql: &str) -> Query {
    check(sql, &tables()).unwrap_or_else(|findings| panic!("{sql}: {findings:#?}"))
}

impl Query {
    /// Over the one stream's rows.
    fn run_one(&mut self, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
        self.run(std::slice::from_ref(rows))
    }
}

fn findings(sql: &str) -> Vec<SqlFinding> {
    match check(sql, &tables()) {
        Ok(_) => panic!("passed: {sql:.300}"),
        Err(findings) => findings,
    }
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<&str> {
    batch.column(column).as_string::<i32>().iter().flatten().collect()
}

fn integers(batch: &RecordBatch, column: usize) -> Vec<i64> {
    batch.column(column).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn a_kept_plan_runs_again_and_again() {
    let mut query = query(MINUTE);
    assert_eq!(query.output_schema().fields().len(), 3);
    for round in 1..50 {
        let batch = rows(&[("b", round, Some(30.0)), ("a", 0, None), ("b", round, Some(50.0))]);
        let result = query.run_one(&batch).unwrap();
        assert_eq!(result.schema(), query.output_schema());
        assert_eq!(texts(&result, 0), ["a", "b"]);
        assert_eq!(integers(&result, 1), [0, 2 * round]);
        let speeds: Vec<_> = result.column(2).as_primitive::<Float64Type>().iter().collect();
        assert_eq!(speeds, [None, Some(40.0)]);
    }
}

#[test]
fn no_rows_give_what_sql_says() {
    assert_eq!(query(MINUTE).run_one(&rows(&[])).unwrap().num_rows(), 0);
    let result =
        query("SELECT COUNT(*) AS n, SUM(count) AS s FROM loops").run_one(&rows(&[])).unwrap();
    assert_eq!((integers(&result, 0), result.column(1).null_count()), (vec![0], 1));
}

#[test]
fn without_an_order_the_result_is_sorted_and_with_one_it_is_not() {
    let batch = rows(&[("c", 1, None), ("a", 2, None), ("b", 3, None)]);
    for (sql, order) in [
        ("SELECT edge_id, count FROM loops", ["a", "b", "c"]),
        ("SELECT edge_id, count FROM loops ORDER BY count DESC", ["b", "a", "c"]),
        ("SELECT edge_id, SUM(count) AS n FROM loops GROUP BY edge_id ORDER BY n", ["c", "a", "b"]),
    ] {
        assert_eq!(texts(&query(sql).run_one(&batch).unwrap(), 0), order, "{sql}");
    }
    let limited = query("SELECT edge_id FROM loops ORDER BY count DESC LIMIT 2 OFFSET 1");
    let mut limited = limited;
    for _ in 0..3 {
        assert_eq!(texts(&limited.run_one(&batch).unwrap(), 0), ["a", "c"]);
    }
}

#[test]
fn parts_and_subqueries_over_the_same_table_run_again_with_the_new_rows() {
    for sql in [
        "WITH means AS (SELECT edge_id, AVG(speed_kmh) AS v FROM loops GROUP BY edge_id) \
         SELECT edge_id FROM means WHERE v > 20",
        "SELECT edge_id FROM (SELECT edge_id, AVG(speed_kmh) AS v FROM loops GROUP BY edge_id) \
         WHERE v > 20",
        "SELECT edge_id FROM loops WHERE speed_kmh > 20 AND edge_id IN \
         (SELECT edge_id FROM loops WHERE count > 0)",
        "SELECT DISTINCT edge_id FROM loops WHERE speed_kmh > (SELECT MIN(speed_kmh) FROM loops)",
        "SELECT edge_id FROM loops AS l WHERE l.speed_kmh > 20 AND EXISTS \
         (SELECT 1 FROM loops WHERE count > 0)",
    ] {
        let mut query = query(sql);
        for fast in ["a", "b", "a"] {
            let slow = if fast == "a" { "b" } else { "a" };
            let batch = rows(&[(fast, 1, Some(50.0)), (slow, 1, Some(10.0))]);
            assert_eq!(texts(&query.run_one(&batch).unwrap(), 0), [fast], "{sql}");
        }
    }
}

#[test]
fn what_traffic_queries_need_is_allowed() {
    for sql in [
        "SELECT * FROM loops",
        "select EDGE_ID from LOOPS;",
        "SELECT loops.edge_id, l2.n FROM loops".replace(", l2.n", "").as_str(),
        "SELECT edge_id, COUNT(DISTINCT sensor_id) AS sensors FROM loops GROUP BY edge_id",
        "SELECT edge_id, MEDIAN(speed_kmh) AS v, STDDEV(speed_kmh) AS s FROM loops GROUP BY 1",
        "SELECT edge_id, SUM(count) FILTER (WHERE speed_kmh IS NOT NULL) AS n FROM loops \
         GROUP BY edge_id HAVING SUM(count) > 3",
        "SELECT date_trunc('minute', ts) AS minute, MAX(ts) AS newest FROM loops GROUP BY minute",
        "SELECT date_bin(INTERVAL '5 minutes', ts) AS t, EXTRACT(HOUR FROM ts) AS h FROM loops",
        "SELECT CASE WHEN speed_kmh < 10 THEN 'slow' ELSE 'fine' END AS word FROM loops",
        "SELECT CEIL(speed_kmh) AS a, FLOOR(speed_kmh) AS b, ROUND(speed_kmh, 1) AS c FROM loops",
        "SELECT CAST(count AS DOUBLE) AS a, count::VARCHAR AS b, TRY_CAST(edge_id AS INT) AS c \
         FROM loops",
        "SELECT edge_id || '/' || sensor_id AS k FROM loops WHERE edge_id LIKE 'a%'",
        "SELECT edge_id FROM loops WHERE ts > '2008-11-11T07:00:00Z' AND count BETWEEN 1 AND 5",
        "SELECT edge_id FROM loops WHERE edge_id IN ('a', 'b') AND NOT faulty",
        "SELECT LAST_VALUE(speed_kmh ORDER BY ts) AS v FROM loops",
        "SELECT percentile_cont(0.85) WITHIN GROUP (ORDER BY speed_kmh) AS v85 FROM loops",
        "SELECT \"laneNo\" FROM loops -- a comment",
        "SELECT COALESCE(speed_kmh, 0) AS v FROM loops WHERE COALESCE(faulty, FALSE) IS NOT TRUE",
    ] {
        query(sql).run_one(&rows(&[("a", 1, Some(2.0))])).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// The text between the brackets is what the finding points at; the rest is the query.
#[test]
fn findings_point_at_the_trouble_and_say_what_to_do() {
    let mut wrong = Vec::new();
    for (marked, message, help) in [
        ("SELECT [speed_kmhh] FROM loops", "no column `speed_kmhh`", "`speed_kmh`"),
        ("SELECT loops.[sped_kmh] FROM loops", "no column `sped_kmh`", "`speed_kmh`"),
        ("SELECT [x].count FROM loops", "no table `x`", "loops.count"),
        ("SELECT [laneNo] FROM loops", "no column `laneNo`", "`\"laneNo\"`"),
        ("SELECT 1 AS a\n  FROM loops\n  WHERE [köln] > 3", "no column `köln`", "its columns are"),
        (
            "SELECT edge_id FROM loops GROUP BY edge_id ORDER BY [edge]",
            "no column `edge`",
            "edge_id",
        ),
        (
            "SELECT SUM([edge_id * 2]) AS x FROM loops",
            "`*` cannot work on text and a whole number",
            "CAST",
        ),
        ("SELECT edge_id FROM loops WHERE [edge_id > 3]", "text cannot be compared with", "CAST"),
        ("SELECT edge_id FROM loops WHERE [faulty = 1]", "cannot be compared", "CAST"),
        ("SELECT edge_id FROM loops WHERE [count]", "WHERE needs a condition", "compare"),
        ("SELECT edge_id FROM loops WHERE [count AND faulty]", "`AND` joins conditions", "compare"),
        (
            "SELECT edge_id FROM loops WHERE [count IN ('a')]",
            "a whole number cannot be compared with text",
            "own type",
        ),
        (
            "SELECT CAST([faulty] AS TIMESTAMP) AS t FROM loops",
            "cannot be converted",
            "another type",
        ),
        ("SELECT [avrg](count) AS x FROM loops", "no function `avrg`", "`avg`"),
        ("SELECT [upper](edge_id) AS x FROM loops", "no function `upper`", ""),
        ("SELECT [now]() AS x FROM loops", "another answer each time", "event time"),
        ("SELECT [random]() AS x FROM loops", "another answer each time", "event time"),
        (
            "SELECT edge_id FROM loops WHERE ts < [current_timestamp]",
            "another answer",
            "event time",
        ),
        ("SELECT [SUM](count) OVER () AS x FROM loops", "OVER is not allowed", "GROUP BY"),
        ("SELECT edge_id FROM loops WHERE [SUM](count) > 3", "cannot stand in WHERE", "HAVING"),
        (
            "SELECT SUM([AVG](count)) AS x FROM loops",
            "cannot stand in another aggregate",
            "FROM (SELECT",
        ),
        ("SELECT edge_id, [count AS edge_id] FROM loops", "`edge_id` stands twice", "AS"),
        ("SELECT *, [count] FROM loops", "`count` stands twice", "AS"),
        ("SELECT a FROM [cams]", "no table `cams`", "FROM loops"),
        ("SELECT a FROM [information_schema.tables]", "no table", "FROM loops"),
        ("SELECT a FROM ['/etc/passwd']", "no table", "FROM loops"),
        (
            "SELECT edge_id FROM loops [LIMIT] 3".replace("[LIMIT] 3", "LIMIT [3]").as_str(),
            "LIMIT without ORDER BY",
            "ORDER BY",
        ),
        ("SELECT edge_id [FORM] loops", "this is no SQL", "`FROM`"),
        ("SELECT edge_id FROM loops WHERE count > [)]", "this is no SQL", ""),
        ("[SELCT] edge_id FROM loops", "this is no SQL", "`SELECT`"),
        ("SELECT (SELECT [nope] FROM loops) AS x FROM loops", "no column `nope`", ""),
        (
            "WITH p AS (SELECT edge_id AS e FROM loops) SELECT [edge_id] FROM p",
            "`p` has no column",
            "columns are e",
        ),
        ("SELECT [edge_id], SUM(count) AS n FROM loops", "GROUP BY", ""),
    ] {
        let start = marked.find('[').unwrap();
        let end = marked.find(']').unwrap() - 1;
        let sql = marked.replacen('[', "", 1).replacen(']', "", 1);
        let found = findings(&sql);
        let as_expected = found.len() == 1
            && found[0].message.contains(message)
            && found[0].offset == Some(start..end)
            && found[0].help.as_deref().unwrap_or_default().contains(help);
        if !as_expected {
            wrong.push((sql, start..end, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn everything_but_one_select_over_the_table_is_refused() {
    for sql in [
        "",
        "   -- nothing",
        "SELECT 1",
        "SELECT edge_id FROM loops; SELECT edge_id FROM loops",
        "INSERT INTO loops VALUES (1)",
        "DELETE FROM loops",
        "UPDATE loops SET count = 0",
        "DROP TABLE loops",
        "CREATE TABLE x AS SELECT * FROM loops",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY loops TO 'x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN SELECT * FROM loops",
        "SHOW TABLES",
        "VALUES (1)",
        "TABLE loops",
        "SELECT edge_id FROM loops UNION SELECT edge_id FROM loops",
        "SELECT edge_id FROM loops INTERSECT SELECT edge_id FROM loops",
        "SELECT a.edge_id FROM loops a, loops b",
        "SELECT a.edge_id FROM loops a CROSS JOIN loops b",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM 'http://example.org/x.csv'",
        "SELECT * FROM unnest([1, 2])",
        "SELECT * INTO x FROM loops",
        "SELECT edge_id FROM loops WHERE count = $1",
        "SELECT edge_id FROM loops WHERE edge_id ~ 'a'",
        "SELECT [1, 2] AS x FROM loops",
        "SELECT {a: 1} AS x FROM loops",
        "SELECT row_number() OVER () AS x FROM loops",
        "SELECT arrow_cast(count, 'Utf8') AS x FROM loops",
        "SELECT version() AS x FROM loops",
        "SELECT input_file_name() AS x FROM loops",
        "SELECT DISTINCT ON (edge_id) count FROM loops",
        "SELECT edge_id FROM loops FOR UPDATE",
        "SELECT edge_id FROM loops GROUP BY ALL",
        "SELECT edge_id, SUM(count) AS n FROM loops GROUP BY ROLLUP (edge_id)",
        "WITH RECURSIVE r AS (SELECT 1 AS n FROM loops) SELECT n FROM r",
        "SELECT edge_id FROM loops QUALIFY count > 1",
        "SELECT edge_id FROM loops TABLESAMPLE SYSTEM (10)",
        "SELECT edge_id FROM loops AS l (a, b)",
        "SELECT * EXCLUDE (count) FROM loops",
    ] {
        let found = findings(sql);
        assert!(found.iter().all(|finding| !finding.message.is_empty()), "{sql}");
    }
}

#[test]
fn all_findings_come_at_once_in_the_order_of_the_text() {
    let found = findings(
        "SELECT sped_kmh, upper(edge_id) AS u, edge_id * 2 AS d FROM loops WHERE cout > 3 LIMIT 1",
    );
    let starts: Vec<_> = found.iter().map(|f| f.offset.clone().unwrap().start).collect();
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(starts.is_sorted(), "{found:#?}");
}

#[test]
fn deep_and_long_queries_are_refused_before_anything_recurses() {
    let nested = |open: &str, close: &str, n: usize| {
        format!("SELECT {}count{} AS x FROM loops", open.repeat(n), close.repeat(n))
    };
    for sql in [
        nested("(", ")", 7_000),
        nested("1+", "", 8_000),
        nested("", "+1", 8_000),
        nested("", "::INT", 3_000),
        nested("- ", "", 8_000),
        nested("NOT ", "", 4_000),
        nested("abs(", ")", 3_000),
        nested("CASE WHEN faulty THEN ", " END", 500),
        nested("(SELECT ", " FROM loops)", 700),
        format!("SELECT 1 AS x FROM {}loops{}", "(SELECT * FROM ".repeat(700), ")".repeat(700)),
        format!("SELECT 1 AS x FROM loops {}", "UNION SELECT 1 ".repeat(1_000)),
        format!("SELECT 1 AS x FROM loops {}", "JOIN loops ".repeat(1_400)),
        format!("SELECT count AS x FROM loops WHERE {} TRUE", "faulty OR ".repeat(1_500)),
        format!(
            "SELECT CAST(1 AS {}INT{}) AS x FROM loops",
            "ARRAY<".repeat(2_000),
            ">".repeat(2_000)
        ),
        "x".repeat(MAX_SQL_BYTES + 1),
    ] {
        assert!(!findings(&sql).is_empty());
    }
    query(&nested("(", ")", 20));
    query(&nested("", "+1", MAX_DEPTH - 3));
}

#[test]
fn rows_that_the_query_cannot_work_on_are_an_error_and_the_next_ones_run() {
    let mut query = query("SELECT SUM(10 / count) AS x FROM loops");
    assert!(matches!(query.run_one(&rows(&[("a", 0, None)])), Err(QueryError::Failed(_))));
    assert_eq!(integers(&query.run_one(&rows(&[("a", 5, None)])).unwrap(), 0), [2]);
    let other = RecordBatch::new_empty(Arc::new(Schema::empty()));
    assert!(matches!(query.run_one(&other), Err(QueryError::Schema { .. })));
}

#[test]
fn memory_is_bounded() {
    let mut query = query("SELECT edge_id || sensor_id AS k, COUNT(*) AS n FROM loops GROUP BY 1");
    let wide: Vec<String> = (0..20_000).map(|i| format!("{i:0>6000}")).collect();
    let wide: Vec<_> = wide.iter().map(|edge| (edge.as_str(), 1, None)).collect();
    let error = query.run_one(&rows(&wide)).unwrap_err();
    assert!(matches!(error, QueryError::Memory { .. }), "{error}");
    assert_eq!(query.run_one(&rows(&[("a", 1, None)])).unwrap().num_rows(), 1);
}

/// Large enough for several batches inside the engine, where it would spawn tasks if it could.
fn large(query: &mut Query) -> RecordBatch {
    let edges: Vec<String> = (0..30_000).map(|i| format!("e{}", i * 7_919 % 30_000)).collect();
    let many: Vec<_> = edges.iter().map(|edge| (edge.as_str(), 1, Some(1.0))).collect();
    query.run_one(&rows(&many)).unwrap()
}

#[test]
fn runs_inside_and_outside_of_any_runtime() {
    let sql = "SELECT edge_id, SUM(count) AS n, AVG(speed_kmh) AS v FROM loops \
               GROUP BY edge_id ORDER BY n, edge_id";
    let mut query = query(sql);
    let outside = large(&mut query);
    assert_eq!(outside.num_rows(), 30_000);
    for threads in [1, 2] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build().unwrap();
        let inside = runtime.block_on(async {
            let mut moved = check(sql, &tables()).unwrap();
            tokio::spawn(async move { large(&mut moved) }).await.unwrap()
        });
        assert_eq!(inside, outside);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Checked, run and dropped inside.
    let inside = runtime.block_on(async { large(&mut check(sql, &tables()).unwrap()) });
    assert_eq!(inside, outside);
}

#[test]
fn the_same_rows_give_the_same_bits() {
    let speeds: Vec<_> = (0..999).map(|i| ("a", 1, Some(f64::from(i) * 0.1))).collect();
    let batch = rows(&speeds);
    let sql = "SELECT SUM(speed_kmh) AS s, STDDEV(speed_kmh) AS d FROM loops";
    let first = query(sql).run_one(&batch).unwrap();
    for _ in 0..5 {
        assert_eq!(query(sql).run_one(&batch).unwrap(), first);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever stands in the file, the check answers, and points into the text.
    #[test]
    fn no_text_panics(words in prop::collection::vec(
        prop::sample::select(vec![
            "SELECT", "FROM", "loops", "WHERE", "GROUP BY", "edge_id", "count", "(", ")", ",", "*",
            "SUM(", "AS x", "1", "'ä'", "\"", "+", "AND", "NOT", "CASE WHEN", "END", "ORDER BY",
            "LIMIT", "IN", "WITH p AS", "::", "\n", "INTERVAL '1 day'", "OVER", "--", "€", ";",
        ]),
        0..14,
    )) {
        let sql = format!("SELECT {}", words.join(" "));
        if let Err(findings) = check(&sql, &tables()) {
            prop_assert!(!findings.is_empty());
            for finding in findings {
                prop_assert!(!finding.message.contains("engine failed"), "{}", sql);
                prop_assert!(finding.offset.is_none_or(|range| sql.get(range).is_some()));
            }
        }
    }
}

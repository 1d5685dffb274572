//! Queries that mean harm, or would do it: each is refused, or stopped within its caps, and the
//! process answers the next one.

use super::*;

enum Fate {
    /// By the check, at a place in the text.
    Refused(&'static str),
    /// By the check, as a whole: there is no one place, or none is known.
    RefusedWhole(&'static str),
    /// By a cap, while it runs.
    Stopped,
    /// By the values in the rows, while it runs.
    Failed,
    /// An answer after all, and no harm.
    Answered,
}
use Fate::{Answered, Failed, Refused, RefusedWhole, Stopped};

fn select(what: &str) -> String {
    format!("SELECT {what} AS x FROM loops")
}

/// `n` parts under WITH, each made of the one before it by `step`.
fn parts(n: usize, step: &str) -> String {
    let first = "WITH p0 AS (SELECT edge_id AS e, count AS c FROM loops)".to_owned();
    let all = (1..=n).fold(first, |text, i| {
        format!("{text}, p{i} AS ({})", step.replace("{}", &format!("p{}", i - 1)))
    });
    format!("{all} SELECT e FROM p{n}")
}

/// Every row with every row, by columns that are equal throughout.
const BLOWN: &str = "(SELECT 1 AS k, count AS x, edge_id AS e FROM loops) AS a \
    JOIN (SELECT 1 AS k, count AS y, sensor_id AS s FROM loops) AS b ON a.k = b.k";

fn hostile() -> Vec<(String, Fate)> {
    let nest = |open: &str, close: &str, n: usize| {
        select(&format!("{}count{}", open.repeat(n), close.repeat(n)))
    };
    let no_sql = "this is no SQL";
    let only_select = "only SELECT is allowed";
    let deep = "nested deeper";
    let mut queries = Vec::new();
    let mut add = |sql: &str, fate| queries.push((sql.to_owned(), fate));

    // Files, tables and addresses that are not its own.
    add("SELECT * FROM '/etc/passwd'", Refused("no table"));
    add("SELECT * FROM \"/etc/passwd\"", Refused("no table"));
    add("SELECT * FROM 'https://example.org/x.parquet'", Refused("no table"));
    add("SELECT * FROM file:///etc/passwd", RefusedWhole(""));
    add("SELECT * FROM read_parquet('x')", Refused("table functions"));
    add("SELECT * FROM read_csv('/etc/passwd')", Refused("table functions"));
    add("SELECT * FROM information_schema.tables", Refused("no table"));
    add("SELECT * FROM datafusion.public.loops", Refused("no table"));
    add("SELECT * FROM \"LOOPS\"", Refused("no table"));
    add("SELECT * FROM \"loops\"\"\"", Refused("no table"));
    add("SELECT * FROM \"loops; DROP TABLE loops\"", Refused("no table"));
    add("SELECT @@version AS x FROM loops", RefusedWhole(""));
    add("SELECT * FROM TABLE(loops)", Refused("table functions"));
    add("SELECT * FROM (VALUES (1), (2)) AS v", Refused(only_select));

    // Statements.
    add("COPY loops TO '/tmp/x.csv'", Refused(only_select));
    add("COPY (SELECT * FROM loops) TO 'x.parquet'", RefusedWhole(""));
    add("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", RefusedWhole(""));
    add("CREATE VIEW v AS SELECT * FROM loops", Refused(only_select));
    add("CREATE FUNCTION f(BIGINT) RETURNS BIGINT RETURN $1 + 1", RefusedWhole(""));
    add("INSERT INTO loops SELECT * FROM loops", Refused(only_select));
    add("SET datafusion.runtime.memory_limit = '1T'", Refused(only_select));
    add("EXPLAIN ANALYZE SELECT * FROM loops", Refused(only_select));
    add("PREPARE p AS SELECT * FROM loops", Refused(only_select));
    add("EXECUTE p", Refused(only_select));
    add("DESCRIBE loops", Refused(only_select));
    add("SELECT edge_id FROM loops; -- harmless\nDROP TABLE loops", RefusedWhole("several"));
    add("SELECT edge_id FROM loops /* ; */ ; DELETE FROM loops", RefusedWhole("several"));
    add("SELECT edge_id /* /* */ */, version() AS v FROM loops", Refused("no function `version`"));
    add("SELECT edge_id INTO OUTFILE FROM loops", RefusedWhole(""));
    add("WITH x AS (DELETE FROM loops) SELECT * FROM x", RefusedWhole(""));

    // Depth and length of every kind.
    add(&nest("(", ")", 7_000), Refused(deep));
    add(&nest("NOT ", "", 4_000), RefusedWhole(no_sql));
    add(&nest("- ", "", 8_000), RefusedWhole("recursion limit"));
    add(&nest("CASE WHEN faulty THEN ", " END", 500), RefusedWhole(deep));
    add(&nest("(SELECT ", " FROM loops)", 700), Refused(deep));
    add(&nest("abs(", ")", 3_000), Refused(deep));
    add(&nest("", "::INT", 3_000), RefusedWhole(deep));
    add(&nest("CAST(", " AS INT)", 1_200), Refused(deep));
    // The parser reads each of these again when the innermost one is wrong.
    add(&nest("POSITION(", " IN 'a')", 30), Refused(deep));
    add(&nest("NOT (", ") +", 20), Refused(deep));
    add(&nest("1 + ", "", 3_000), RefusedWhole(deep));
    let chain = "faulty AND ".repeat(1_400);
    add(&format!("SELECT count FROM loops WHERE {chain} TRUE"), RefusedWhole(deep));
    let chain = "edge_id || ".repeat(1_000);
    add(&select(&format!("{chain} edge_id")), RefusedWhole(deep));
    let list = "1,".repeat(4_000);
    add(&format!("SELECT edge_id FROM loops WHERE count IN ({list} 2)"), RefusedWhole("more than"));
    let items = (0..200).map(|i| format!("count AS c{i}")).collect::<Vec<_>>().join(", ");
    add(&format!("SELECT {items} FROM loops"), Refused("at most 128 columns"));
    let unions = " UNION ALL SELECT count FROM loops".repeat(400);
    add(&format!("SELECT count FROM loops{unions}"), Refused("more than 16 tables"));
    let joins = |i| format!(" JOIN loops AS l{i} ON l{i}.count = l.count");
    let joins: String = (0..40).map(joins).collect();
    add(&format!("SELECT l.count FROM loops AS l{joins}"), Refused("more than 16 tables"));
    add(&format!("SELECT {} FROM loops", "x".repeat(MAX_SQL_BYTES)), RefusedWhole("bytes long"));

    // Little text, large plan.
    let twice = "SELECT e, c FROM {} UNION ALL SELECT e, c FROM {}";
    add(&parts(6, twice), Refused("more than 32 SELECTs"));
    let joined = "SELECT a.e, a.c FROM {} AS a JOIN {} AS b ON a.c = b.c";
    add(&parts(9, joined), Refused("more than 16 tables"));
    let nested = "SELECT e, c FROM {} WHERE c > (SELECT MAX(c) FROM {})";
    add(&parts(9, nested), RefusedWhole("more than"));
    add(&parts(60, "SELECT e, c FROM {}"), Refused("more than 32 SELECTs"));
    add(&parts(10, "SELECT e || e AS e, c FROM {}"), RefusedWhole("one text of more than 32"));
    let many = ["edge_id"; 40].join(" || ");
    add(&select(&many), RefusedWhole("one text of more than 32"));
    let many = ["(SELECT MAX(edge_id || edge_id || edge_id) FROM loops)"; 12].join(" || ");
    add(&select(&many), RefusedWhole("one text of more than 32"));
    let recursion = "WITH RECURSIVE r AS (SELECT 1 AS n FROM loops UNION ALL SELECT n + 1 FROM r) \
                     SELECT n FROM r";
    add(recursion, Refused("RECURSIVE"));

    // Functions and operators that make much of little, or ask outside.
    add("SELECT * FROM generate_series(1, 1000000000)", Refused("table functions"));
    add("SELECT * FROM range(0, 1000000000)", Refused("table functions"));
    add("SELECT * FROM unnest([1, 2])", Refused("table functions"));
    add(&select("unnest([1, 2])"), Refused("no function `unnest`"));
    for call in [
        "repeat('x', 1000000000)",
        "lpad('x', 1000000000)",
        "regexp_replace(edge_id, '(a+)+$', '')",
        "regexp_like(edge_id, '(a+)+$')",
        "arrow_cast(count, 'Utf8')",
        "arrow_typeof(count)",
        "string_agg(edge_id, ',')",
        "array_agg(count)",
        "make_array(1, 2)",
    ] {
        add(&select(call), Refused("no function"));
    }
    for call in ["now()", "random()", "uuid()", "current_timestamp"] {
        add(&select(call), Refused("another answer each time"));
    }
    add("SELECT edge_id FROM loops WHERE edge_id ~ '(a+)+$'", Refused("not allowed"));
    add("SELECT edge_id FROM loops WHERE edge_id SIMILAR TO '(a+)+'", Refused("not allowed"));
    add("SELECT edge_id FROM loops WHERE edge_id LIKE sensor_id", Refused("LIKE takes"));
    let like = format!("SELECT edge_id FROM loops WHERE edge_id LIKE '{}'", "%a".repeat(4_000));
    add(&like, Refused("LIKE takes"));
    let like = format!("SELECT COUNT(*) AS n FROM loops WHERE edge_id ILIKE '{}'", "%e".repeat(60));
    add(&like, Answered);
    add("SELECT row_number() OVER () AS x FROM loops", Refused("no function"));
    add("SELECT SUM(count) OVER (ORDER BY ts) AS x FROM loops", Refused("OVER"));
    add("SELECT edge_id FROM loops GROUP BY GROUPING SETS ((edge_id), ())", Refused(""));
    add("SELECT edge_id FROM loops GROUP BY CUBE (edge_id, count, faulty)", Refused(""));
    add("SELECT edge_id FROM loops ORDER BY random()", Refused("another answer each time"));
    add(&select("edge_id COLLATE \"C\""), Refused("not allowed"));
    add(&select("ts AT TIME ZONE 'Europe/Rome'"), Refused("not allowed"));
    add(&select("SUBSTRING(edge_id FROM 1 FOR 2)"), Refused("not allowed"));
    add(&select("$1"), Refused("not allowed"));
    add(&select("$$text$$"), Answered);

    // Joins of everything with everything.
    add("SELECT a.count FROM loops AS a CROSS JOIN loops AS b", Refused("only JOIN"));
    add("SELECT a.count FROM loops AS a, loops AS b", Refused("a comma"));
    add("SELECT a.count FROM loops AS a JOIN loops AS b ON TRUE", Refused("ON takes"));
    add("SELECT a.count FROM loops AS a JOIN loops AS b ON a.count = a.count", Refused("nothing"));
    add("SELECT a.count FROM loops AS a JOIN loops AS b ON a.count < b.count", Refused("ON takes"));
    let lateral = "SELECT a.count FROM loops AS a JOIN LATERAL (SELECT 1 AS x FROM loops) AS b \
                   ON a.count = b.x";
    add(lateral, Refused("table functions"));
    add(&format!("SELECT a.x, b.y FROM {BLOWN}"), Stopped);
    add(&format!("SELECT a.x, b.y FROM {BLOWN} WHERE a.x + b.y < -1"), Stopped);
    add(&format!("SELECT a.x, b.y FROM {BLOWN} ORDER BY a.x, b.y"), Stopped);
    add(&format!("SELECT a.e, b.s, COUNT(*) AS n FROM {BLOWN} GROUP BY a.e, b.s"), Stopped);
    add(&format!("SELECT COUNT(DISTINCT a.e || b.s) AS n FROM {BLOWN}"), Stopped);
    add(&format!("SELECT MEDIAN(a.x + b.y) AS m FROM {BLOWN}"), Stopped);
    let third = "JOIN (SELECT 1 AS k FROM loops) AS c ON b.k = c.k";
    add(&format!("SELECT COUNT(*) AS n FROM {BLOWN} {third}"), Stopped);
    add(&format!("SELECT MIN(sin(a.x) + cos(b.y)) AS m FROM {BLOWN} {third}"), Stopped);

    // LIMIT, numbers and dates.
    add("SELECT edge_id FROM loops LIMIT 3", Refused("LIMIT without ORDER BY"));
    add("SELECT edge_id FROM loops ORDER BY 1 LIMIT (SELECT 3)", Refused("plain number"));
    add("SELECT edge_id FROM loops ORDER BY 1 LIMIT 3 OFFSET -1", Refused("plain number"));
    add("SELECT edge_id FROM loops ORDER BY 1 LIMIT 99999999999999999999", RefusedWhole(""));
    add("SELECT edge_id FROM loops ORDER BY 1 FETCH FIRST 3 ROWS ONLY", Refused("ORDER BY"));
    add("SELECT SUM(count * 9223372036854775807) AS x FROM loops", Answered);
    add(&select("count + 1e999"), Answered);
    add(&select(&format!("count + {}", "9".repeat(400))), Answered);
    add(&select("power(count, 400)"), Answered);
    add(&select("abs(-9223372036854775808)"), Failed);
    add(&select("1 / (count - count)"), Failed);
    add(&select("1 % (count - count)"), Failed);
    add(&select("CAST(edge_id AS BIGINT)"), Failed);
    add(&select("lcm(count + 9223372036854775000, 9223372036854775783)"), Failed);
    add(&select("INTERVAL '999999999999 years'"), RefusedWhole(""));
    add(&select("date_bin(INTERVAL '0 seconds', ts)"), Failed);
    add(&select("ts + INTERVAL '200000 years'"), Answered);
    add(&select("make_date(999999999, 99, 99)"), Failed);

    // Quotes and letters.
    add("SELECT edge_id FROM loops WHERE edge_id = ‘a’", RefusedWhole(""));
    add("SELECT \u{455}peed_kmh FROM loops", Refused("no column"));
    add("SELECT edge\u{200b}_id FROM loops", RefusedWhole(""));
    add("SELECT edge_id\0 FROM loops", RefusedWhole(no_sql));
    add("SELECT 'a' 'b\\' FROM loops -- '", Answered);
    add("SELECT edge_id AS \"x\u{0}\u{202e}\" FROM loops", Answered);
    add("SELECT edge_id FROM loops WHERE edge_id = 'a'' OR ''1''=''1'", Answered);
    add("SELECT 'unended FROM loops", RefusedWhole(no_sql));
    queries
}

#[test]
fn the_process_outlives_hostile_queries() {
    let edges: Vec<String> = (0..20_000).map(|i| format!("edge number {i}")).collect();
    let many: Vec<_> =
        edges.iter().zip(0..).map(|(edge, i)| (edge.as_str(), i, Some(1.0))).collect();
    let many = rows(&many);
    let mut good = query(MINUTE);
    let answer = good.run_one(&many).unwrap();
    let mut wrong = Vec::new();
    let queries = hostile();
    assert!(queries.len() >= 60, "{}", queries.len());
    for (sql, fate) in queries {
        let shown: String = sql.chars().take(90).collect();
        let found = match check(&sql, &tables()) {
            Err(findings) => {
                let first = &findings[0];
                let fine = match &fate {
                    Refused(text) => first.offset.is_some() && first.message.contains(text),
                    RefusedWhole(text) => first.message.contains(text),
                    _ => false,
                };
                (fine, format!("{findings:?}"))
            }
            Ok(mut query) => {
                query.worker.max_time = Duration::from_millis(300);
                match (query.run_one(&many), &fate) {
                    (Ok(_), fate) => (matches!(fate, Answered), "an answer".to_owned()),
                    (Err(QueryError::Failed(text)), fate) => (matches!(fate, Failed), text),
                    (Err(error), fate) => (matches!(fate, Stopped), error.to_string()),
                }
            }
        };
        if !found.0 {
            wrong.push((shown, found.1));
        }
        assert_eq!(good.run_one(&many).unwrap(), answer, "after {sql:.300}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_run_that_was_stopped_leaves_the_query_as_it_was() {
    let sql = format!("SELECT COUNT(*) AS n FROM {BLOWN}");
    let mut query = query(&sql);
    let few = rows(&[("a", 1, None), ("b", 2, None)]);
    let edges = vec!["a"; 60_000];
    let many: Vec<_> = edges.iter().map(|edge| (*edge, 1, None)).collect();
    let many = rows(&many);
    for _ in 0..2 {
        query.worker.max_time = Duration::from_millis(50);
        let error = query.run_one(&many).unwrap_err();
        assert!(matches!(error, QueryError::Time(_)), "{error}");
        query.worker.max_time = MAX_TIME;
        assert_eq!(integers(&query.run_one(&few).unwrap(), 0), [4]);
    }
}

#[test]
fn too_many_rows_are_not_given() {
    let edges = vec!["a"; MAX_ROWS + 1];
    let many: Vec<_> = edges.iter().map(|edge| (*edge, 1, None)).collect();
    let many = rows(&many);
    let mut all = query("SELECT count FROM loops");
    assert!(matches!(all.run_one(&many), Err(QueryError::TooLarge)));
    assert_eq!(all.run_one(&many.slice(0, 10)).unwrap().num_rows(), 10);
}

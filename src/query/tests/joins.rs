//! Queries over several tables.

use super::*;

/// Two streams and the network.
fn two() -> Tables {
    let mut tables = joined();
    let cameras = Schema::new(vec![
        Field::new("edge_id", DataType::Utf8, false),
        Field::new("vehicles_avg", DataType::Float64, true),
        Field::new("day", DataType::Utf8, true),
    ]);
    tables.streams.push(("cameras".to_owned(), Arc::new(cameras)));
    tables
}

fn cameras(rows: &[(&str, f64)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|_| None::<&str>).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::clone(&two().streams[1].1), columns).unwrap()
}

fn query(sql: &str) -> Query {
    check(sql, &two()).unwrap_or_else(|findings| panic!("{sql}: {findings:#?}"))
}

#[test]
fn a_stream_finds_its_segments() {
    let loops = rows(&[("b", 2, None), ("a", 1, None), ("nowhere", 4, None), ("b", 3, None)]);
    let none = cameras(&[]);
    for (sql, expected) in [
        (
            "SELECT s.name AS word, count FROM loops JOIN segments AS s ON s.segment = edge_id",
            vec![("First", 1), ("Second", 2), ("Second", 3)],
        ),
        (
            "SELECT COALESCE(s.name, '-') AS word, count FROM loops AS l LEFT JOIN segments AS s \
             ON (s.segment = l.edge_id)",
            vec![("-", 4), ("First", 1), ("Second", 2), ("Second", 3)],
        ),
        (
            "SELECT s.name AS word, SUM(count) AS n FROM loops AS l INNER JOIN segments AS s \
             ON s.segment = l.edge_id AND s.segment = l.edge_id GROUP BY s.name",
            vec![("First", 1), ("Second", 5)],
        ),
    ] {
        let result = query(sql).run(&[loops.clone(), none.clone()]).unwrap();
        let found: Vec<_> = texts(&result, 0).into_iter().zip(integers(&result, 1)).collect();
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn two_streams_of_one_window_meet() {
    let loops = rows(&[("b", 2, None), ("a", 1, None), ("b", 3, None)]);
    let seen = cameras(&[("c", 7.0), ("b", 5.0)]);
    for (sql, expected) in [
        (
            "SELECT l.edge_id, SUM(l.count) AS n FROM loops AS l JOIN cameras AS c \
             ON c.edge_id = l.edge_id GROUP BY l.edge_id",
            vec![("b", 5)],
        ),
        (
            "SELECT edge_id, SUM(n) AS n FROM (SELECT edge_id, count AS n FROM loops UNION ALL \
             SELECT edge_id, CAST(vehicles_avg AS BIGINT) FROM cameras) GROUP BY edge_id",
            vec![("a", 1), ("b", 10), ("c", 7)],
        ),
        (
            "SELECT edge_id, count FROM loops WHERE count > 1 UNION ALL \
             (SELECT edge_id, CAST(vehicles_avg AS BIGINT) FROM cameras)",
            vec![("b", 2), ("b", 3), ("b", 5), ("c", 7)],
        ),
        (
            "SELECT edge_id, count FROM loops UNION ALL \
             SELECT edge_id, CAST(vehicles_avg AS BIGINT) FROM cameras ORDER BY count DESC LIMIT 3",
            vec![("c", 7), ("b", 5), ("b", 3)],
        ),
    ] {
        let mut query = query(sql);
        assert!(!query.in_two_phases(), "{sql}");
        for _ in 0..2 {
            let result = query.run(&[loops.clone(), seen.clone()]).unwrap();
            let found: Vec<_> = texts(&result, 0).into_iter().zip(integers(&result, 1)).collect();
            assert_eq!(found, expected, "{sql}");
        }
    }
}

#[test]
fn a_query_over_one_of_two_streams_is_split() {
    let mut query = query("SELECT edge_id, AVG(vehicles_avg) AS v FROM cameras GROUP BY edge_id");
    assert_eq!(query.stream(), Some(1));
    let state = query.partial(&cameras(&[("c", 7.0), ("b", 5.0)])).unwrap();
    assert_eq!(texts(&query.finish(&[state]).unwrap(), 0), ["b", "c"]);
}

#[test]
fn findings_name_the_table() {
    let mut wrong = Vec::new();
    for (marked, message, help) in [
        (
            "SELECT s.[lains] FROM loops JOIN segments AS s ON s.segment = edge_id",
            "`s` has no column `lains`",
            "`s.lanes`",
        ),
        (
            "SELECT [lains] FROM loops JOIN segments AS s ON s.segment = edge_id",
            "no table here has a column `lains`",
            "`s.lanes`",
        ),
        (
            "SELECT s.[count] FROM loops JOIN segments AS s ON s.segment = edge_id",
            "`s` has no column `count`",
            "`loops.count`",
        ),
        (
            "SELECT [x].lanes FROM loops JOIN segments AS s ON s.segment = edge_id",
            "there is no table `x` here",
            "`s.lanes`",
        ),
        (
            "SELECT [segments].lanes FROM loops JOIN segments AS s ON s.segment = edge_id",
            "there is no table `segments` here",
            "`s.lanes`",
        ),
        (
            "SELECT [edge_id] FROM loops AS l JOIN cameras AS c ON l.edge_id = c.edge_id",
            "more than one table has a column `edge_id`",
            "`l.edge_id` or `c.edge_id`",
        ),
        (
            "SELECT count FROM loops JOIN [loops] ON count = count",
            "two tables are called `loops`",
            "AS",
        ),
        (
            "SELECT count FROM loops AS l JOIN segments AS s ON [l.count = l.count]",
            "says nothing of how",
            "after JOIN",
        ),
        (
            "SELECT count FROM loops AS l JOIN segments AS s ON [l.count = s.segment]",
            "a whole number cannot be compared with text",
            "CAST",
        ),
        (
            "SELECT count FROM loops AS l JOIN segments AS s ON [l.count > s.lanes]",
            "ON takes columns that are equal",
            "WHERE",
        ),
        (
            "SELECT count FROM loops AS l JOIN segments AS s ON l.edge_id = s.segment AND [TRUE]",
            "ON takes columns that are equal",
            "WHERE",
        ),
        ("SELECT count FROM loops JOIN [segments]", "JOIN needs ON", "ON s.segment"),
        ("SELECT count FROM loops JOIN [segments] USING (segment)", "JOIN needs ON", ""),
        ("SELECT count FROM loops NATURAL JOIN [segments]", "JOIN needs ON", ""),
        ("SELECT count FROM loops CROSS JOIN [segments]", "only JOIN and LEFT JOIN", ""),
        (
            "SELECT count FROM loops FULL JOIN [segments] AS s ON s.segment = edge_id"
                .replace("[segments] AS s", "[segments AS s]")
                .as_str(),
            "only JOIN and LEFT JOIN",
            "",
        ),
        ("SELECT count FROM loops, [segments]", "a comma", "JOIN segments"),
        (
            "SELECT count FROM loops JOIN ([SELECT segment FROM segments]) ON segment = edge_id",
            "needs a name",
            "AS part",
        ),
        ("SELECT count FROM [nets]", "no table `nets`", "loops, cameras, segments"),
        (
            "SELECT edge_id, count FROM loops UNION ALL [SELECT edge_id FROM cameras]",
            "1 columns under 2",
            "same columns",
        ),
        (
            "SELECT edge_id FROM loops UNION ALL [SELECT vehicles_avg FROM cameras]",
            "`vehicles_avg`, which is a number, under `edge_id`, which is text",
            "same columns",
        ),
        (
            "SELECT edge_id FROM loops UNION ALL SELECT [edge] FROM cameras",
            "`cameras` has no column `edge`",
            "`edge_id`",
        ),
    ] {
        let start = marked.find('[').unwrap();
        let end = marked.find(']').unwrap() - 1;
        let sql = marked.replacen('[', "", 1).replacen(']', "", 1);
        let found = match check(&sql, &two()) {
            Ok(_) => Vec::new(),
            Err(found) => found,
        };
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
fn two_tables_of_one_name_are_refused() {
    let mut tables = two();
    tables.statics.push(("loops".to_owned(), RecordBatch::new_empty(schema())));
    let findings = check("SELECT count FROM loops", &tables).unwrap_err();
    assert!(findings[0].message.contains("two tables are called `loops`"), "{findings:?}");
}

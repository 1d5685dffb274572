//! Two phases give what one run gives, however the rows are cut and the states put together.

use super::*;

/// What can be split. Together they call every allowed aggregate.
const SPLIT: &[&str] = &[
    "SELECT edge_id, COUNT(*) AS n, COUNT(speed_kmh) AS m, SUM(count) AS c, AVG(speed_kmh) AS v, \
     MIN(speed_kmh) AS low, MAX(count) AS high, MEAN(count) AS mean FROM loops GROUP BY edge_id",
    "SELECT COUNT(*) AS n, SUM(count) AS c, AVG(speed_kmh) AS v, MIN(edge_id) AS e, MAX(ts) AS t, \
     MEDIAN(speed_kmh) AS m, FIRST_VALUE(count) AS f FROM loops",
    "SELECT edge_id, FIRST_VALUE(speed_kmh) AS f, LAST_VALUE(speed_kmh) AS l, \
     FIRST_VALUE(count) AS fc, LAST_VALUE(sensor_id) AS ls FROM loops GROUP BY edge_id",
    "SELECT edge_id, FIRST_VALUE(speed_kmh) IGNORE NULLS AS f, \
     LAST_VALUE(speed_kmh) IGNORE NULLS AS l FROM loops GROUP BY edge_id",
    "SELECT edge_id, MEDIAN(speed_kmh) AS m, MEDIAN(count) AS c, \
     PERCENTILE_CONT(0.85) WITHIN GROUP (ORDER BY speed_kmh) AS v85, \
     PERCENTILE_CONT(0.15) WITHIN GROUP (ORDER BY speed_kmh DESC) AS v15 \
     FROM loops GROUP BY edge_id",
    "SELECT edge_id, STDDEV(speed_kmh) AS a, STDDEV_POP(speed_kmh) AS b, VAR(speed_kmh) AS c, \
     VAR_POP(speed_kmh) AS d, VAR_SAMP(count) AS e, STDDEV_SAMP(count) AS f, \
     CORR(count, speed_kmh) AS g, COVAR_POP(count, speed_kmh) AS h, \
     COVAR_SAMP(count, speed_kmh) AS i FROM loops GROUP BY edge_id",
    "SELECT edge_id, BOOL_AND(faulty) AS a, BOOL_OR(faulty) AS o FROM loops GROUP BY edge_id",
    "SELECT edge_id, SUM(count * speed_kmh) / NULLIF(SUM(count), 0) AS v, \
     SUM(count) FILTER (WHERE speed_kmh < 20) AS slow, \
     CASE WHEN SUM(count) > 100 THEN 'much' ELSE 'little' END AS word \
     FROM loops WHERE faulty IS NOT TRUE GROUP BY edge_id HAVING COUNT(*) > 1",
    "SELECT COUNT(*) AS edges, SUM(n) AS vehicles FROM \
     (SELECT edge_id, SUM(count) AS n FROM loops GROUP BY edge_id) WHERE n > 60",
    "SELECT edge_id, SUM(count) AS n FROM loops GROUP BY edge_id ORDER BY n DESC, edge_id LIMIT 2",
    "SELECT DISTINCT edge_id, \"laneNo\" FROM loops",
    "SELECT edge_id, COUNT(DISTINCT sensor_id) AS sensors FROM loops GROUP BY edge_id",
    "SELECT date_bin(INTERVAL '5 seconds', ts) AS t, \"laneNo\", MAX(edge_id) AS e FROM loops \
     GROUP BY t, \"laneNo\"",
    "SELECT s.name, SUM(l.count) AS n, SUM(l.count * s.length_m) AS m, FIRST_VALUE(l.count) AS f \
     FROM loops AS l JOIN segments AS s ON s.segment = l.edge_id GROUP BY s.name",
    "SELECT s.name, COUNT(*) AS n, LAST_VALUE(l.count) AS last, MIN(s.length_m) AS m \
     FROM loops AS l LEFT JOIN segments AS s ON l.edge_id = s.segment GROUP BY s.name",
    "SELECT COUNT(*) AS n FROM loops WHERE edge_id IN (SELECT segment FROM segments)",
    "WITH minute AS (SELECT edge_id, AVG(speed_kmh) AS v FROM loops GROUP BY edge_id) \
     SELECT s.name, s.segment, minute.v, minute.v / s.length_m AS share \
     FROM segments AS s LEFT JOIN minute ON minute.edge_id = s.segment",
];

/// What has to see all rows at once.
const WHOLE: &[&str] = &[
    "SELECT edge_id, count FROM loops",
    "SELECT edge_id, LAST_VALUE(speed_kmh ORDER BY ts) AS v FROM loops GROUP BY edge_id",
    "SELECT COUNT(DISTINCT edge_id) AS a, COUNT(DISTINCT sensor_id) AS b FROM loops",
    "SELECT edge_id, SUM(count) AS n FROM loops WHERE count > (SELECT MIN(count) FROM loops) \
     GROUP BY edge_id",
    "SELECT s.name, COUNT(*) AS n FROM segments AS s LEFT JOIN loops AS l \
     ON l.edge_id = s.segment GROUP BY s.name",
    "SELECT edge_id, SUM(count) AS n FROM (SELECT edge_id, count FROM loops UNION ALL \
     SELECT segment, lanes FROM segments) GROUP BY edge_id",
    "SELECT SUM(count) AS n FROM (SELECT edge_id, count FROM loops ORDER BY count LIMIT 3)",
    "SELECT a.edge_id, COUNT(*) AS n FROM loops AS a JOIN loops AS b ON a.count = b.count \
     GROUP BY a.edge_id",
    "SELECT COUNT(*) AS n FROM segments",
];

fn query(sql: &str) -> Query {
    check(sql, &joined()).unwrap_or_else(|findings| panic!("{sql}: {findings:#?}"))
}

/// Equal, floats to the last few places.
fn assert_alike(a: &RecordBatch, b: &RecordBatch, sql: &str) {
    assert_eq!((a.schema(), a.num_rows()), (b.schema(), b.num_rows()), "{sql}");
    for (left, right) in a.columns().iter().zip(b.columns()) {
        let (Some(x), Some(y)) =
            (left.as_primitive_opt::<Float64Type>(), right.as_primitive_opt::<Float64Type>())
        else {
            assert_eq!(left, right, "{sql}");
            continue;
        };
        for (x, y) in x.iter().zip(y) {
            match (x, y) {
                (Some(x), Some(y)) if x.is_nan() || y.is_nan() => {
                    assert_eq!(x.is_nan(), y.is_nan(), "{sql}");
                }
                // A variance of equal values comes out as a few last places.
                (Some(x), Some(y)) => {
                    assert!(
                        (x - y).abs() <= 1e-6 * x.abs().max(y.abs()).max(1.0),
                        "{sql}: {x} {y}"
                    );
                }
                (x, y) => assert_eq!(x, y, "{sql}"),
            }
        }
    }
}

/// Rows cut at these places, as states.
fn states(query: &mut Query, rows: &RecordBatch, cuts: &[usize]) -> Vec<RecordBatch> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows.num_rows() + 1)).collect();
    cuts.extend([0, rows.num_rows()]);
    cuts.sort_unstable();
    let parts = cuts.windows(2).map(|cut| rows.slice(cut[0], cut[1] - cut[0]));
    parts.map(|part| query.partial(&part).unwrap()).collect()
}

/// Each pair says where to begin and how many neighbours to make one of.
fn reduced(
    query: &mut Query,
    mut states: Vec<RecordBatch>,
    pairs: &[(usize, usize)],
) -> Vec<RecordBatch> {
    for (at, many) in pairs {
        let start = at % (states.len() + 1);
        let end = (start + many).min(states.len());
        let one = query.reduce(&states[start..end]).unwrap();
        states.splice(start..end, [one]);
    }
    states
}

#[test]
fn every_allowed_aggregate_is_among_the_split_queries() {
    let all = SPLIT.join(" ").to_lowercase();
    let missing: Vec<_> =
        functions::AGGREGATES.iter().filter(|name| !all.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_can_be_split_is_and_what_cannot_says_so() {
    let unsplit: Vec<_> = SPLIT.iter().filter(|sql| !query(sql).in_two_phases()).collect();
    assert!(unsplit.is_empty(), "{unsplit:#?}");
    for sql in WHOLE {
        let mut query = query(sql);
        assert!(!query.in_two_phases() && query.state_schema().is_none(), "{sql}");
        let batch = rows(&[("a", 1, None)]);
        query.run_one(&batch).unwrap();
        assert!(matches!(query.partial(&batch), Err(QueryError::NotInParts)), "{sql}");
        assert!(matches!(query.reduce(&[]), Err(QueryError::NotInParts)), "{sql}");
        assert!(matches!(query.finish(&[]), Err(QueryError::NotInParts)), "{sql}");
    }
}

#[test]
fn no_rows_and_no_states_give_what_a_run_over_nothing_gives() {
    let nothing = rows(&[]);
    for sql in SPLIT {
        let mut query = query(sql);
        let whole = query.run_one(&nothing).unwrap();
        assert_eq!(query.finish(&[]).unwrap(), whole, "{sql}");
        let state = query.partial(&nothing).unwrap();
        assert_eq!(Some(state.schema()), query.state_schema(), "{sql}");
        assert_eq!(query.finish(std::slice::from_ref(&state)).unwrap(), whole, "{sql}");
        let empty = query.reduce(&[]).unwrap();
        assert_eq!(query.reduce(&[state, empty.clone()]).unwrap(), empty, "{sql}");
        assert_eq!(query.finish(&[empty]).unwrap(), whole, "{sql}");
    }
    let count = "SELECT COUNT(*) AS n FROM loops";
    assert_eq!(integers(&query(count).finish(&[]).unwrap(), 0), [0]);
}

#[test]
fn states_of_other_columns_are_refused() {
    let mut minute = query(SPLIT[0]);
    let other = query(SPLIT[1]).partial(&rows(&[("a", 1, None)])).unwrap();
    assert!(matches!(minute.reduce(std::slice::from_ref(&other)), Err(QueryError::Schema { .. })));
    assert!(matches!(minute.finish(&[other]), Err(QueryError::Schema { .. })));
    assert!(matches!(minute.partial(&joined().statics[0].1), Err(QueryError::Schema { .. })));
    assert!(matches!(minute.run(&[]), Err(QueryError::Streams { expected: 1, found: 0 })));
}

/// Many groups and rows: more than the engine takes at a time.
#[test]
fn large_states_hold_one_row_a_group() {
    let mut query = query(SPLIT[0]);
    let edges: Vec<String> = (0..30_000).map(|i| format!("e{}", i * 7_919 % 20_000)).collect();
    let many: Vec<_> = edges.iter().map(|edge| (edge.as_str(), 1, Some(0.5))).collect();
    let batch = rows(&many);
    let states = states(&mut query, &batch, &[11_000, 12_000]);
    assert!(states.iter().all(|state| state.num_rows() <= 20_000));
    let one = query.reduce(&states).unwrap();
    assert_eq!(one.num_rows(), 20_000);
    assert_eq!(query.finish(&[one]).unwrap(), query.run_one(&batch).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn parts_give_what_the_whole_gives(
        cells in prop::collection::vec(
            (0_usize..6, 0_i64..50, prop::option::of(0_i32..240), prop::option::of(any::<bool>())),
            0..60,
        ),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        pairs in prop::collection::vec((any::<usize>(), 0_usize..4), 0..4),
    ) {
        let edges = ["a", "b", "c", "d", "e", "nowhere"];
        let flags: Vec<Option<bool>> = cells.iter().map(|cell| cell.3).collect();
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| (edges[cell.0], cell.1, cell.2.map(|half| f64::from(half) / 2.0)))
            .collect();
        let batch = with_flags(&rows(&cells), flags);
        for sql in SPLIT {
            let mut query = query(sql);
            let whole = query.run_one(&batch).unwrap();
            let mut parts = || {
                let states = states(&mut query, &batch, &cuts);
                let states = reduced(&mut query, states, &pairs);
                query.finish(&states).unwrap()
            };
            let first = parts();
            assert_alike(&first, &whole, sql);
            // To the bit, NaN included.
            prop_assert_eq!(format!("{:?}", parts()), format!("{:?}", first), "{}", sql);
        }
    }
}

fn with_flags(rows: &RecordBatch, flags: Vec<Option<bool>>) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[6] = Arc::new(flags.iter().map(|flag| flag.map(i64::from)).collect::<Int64Array>());
    columns[5] = Arc::new(BooleanArray::from(flags));
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

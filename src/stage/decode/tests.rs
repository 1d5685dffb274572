//! Payloads, good and bad, each with its fate.

pub(super) mod payloads;

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMillisecondType};
use proptest::prelude::*;

use serde_json::json;

use super::*;
use crate::domain::closure::{ClosureKind, ClosureState, Reason};
use arrow::record_batch::RecordBatch;

use crate::domain::network::{ByName, Segment};
use crate::plan::{Column, ColumnKind, Mapping};

pub(super) fn network() -> Arc<Network> {
    let segment = |name: &str| Segment {
        name: name.to_owned(),
        from_junction: "x".to_owned(),
        to_junction: "y".to_owned(),
        street: None,
        length_m: 100.0,
        speed_limit_kmh: 50.0,
        lanes: 1,
        cars_allowed: true,
        to_signal: false,
        line: geo::LineString::from(vec![(11.0, 44.0), (11.1, 44.0)]),
    };
    let segments = vec![segment("a104"), segment("b3[1]")];
    Arc::new(Network {
        city: "test".to_owned(),
        hash: String::new(),
        by_name: ByName::of(&segments),
        segments,
        detectors: Vec::new(),
        signs: Vec::new(),
        places: Vec::new(),
        outgoing: vec![Vec::new(); 2],
        incoming: vec![Vec::new(); 2],
    })
}

/// A dot in the name leads into a member.
pub(super) fn column(name: &str, kind: ColumnKind) -> Column {
    let path = name.split('.').map(str::to_owned).collect();
    Column { path, ..crate::plan::testing::column(name, kind) }
}

pub(super) fn optional(name: &str, kind: ColumnKind) -> Column {
    Column { nullable: true, ..column(name, kind) }
}

pub(super) fn source(name: &str, topic: &str, mapping: Mapping, claims: &[(&str, &str)]) -> Source {
    let readings = mapping.produces == Produces::Readings;
    Source {
        name: name.to_owned(),
        topic: topic.to_owned(),
        qos: 1,
        mapping: Arc::new(mapping),
        claims: claims.iter().map(|(m, v)| ((*m).to_owned(), json!(v))).collect(),
        event_time: readings.then(|| crate::plan::testing::event_time(true)),
        unique: Vec::new(),
    }
}

fn readings(columns: Vec<Column>) -> Mapping {
    Mapping { name: "m".to_owned(), produces: Produces::Readings, version: Some(1), columns }
}

fn site() -> Decoder {
    let common = || {
        vec![
            column("sensor_id", ColumnKind::Text),
            Column { is_segment: true, ..column("edge_id", ColumnKind::Text) },
            column("ts", ColumnKind::Time),
            Column { min: Some(0.0), max: Some(500.0), ..column("count", ColumnKind::Integer) },
            Column {
                max: Some(200.0),
                missing: vec![json!(-99), json!("n/a")],
                ..optional("speed_kmh", ColumnKind::Number)
            },
        ]
    };
    let closures = Mapping {
        name: "closure".to_owned(),
        produces: Produces::Closures,
        version: Some(1),
        columns: vec![
            column("event_id", ColumnKind::Text),
            column("state", ColumnKind::Text),
            column("kind", ColumnKind::Text),
            optional("reason", ColumnKind::Text),
            Column { is_segment: true, ..column("edges", ColumnKind::TextList) },
            optional("lanes_closed", ColumnKind::Integer),
            column("ts", ColumnKind::Time),
            optional("start", ColumnKind::Time),
            optional("planned_end", ColumnKind::Time),
        ],
    };
    Decoder::new(
        &[
            source("loops", "w/sensor/+/reading", readings(common()), &[("kind", "loop")]),
            source("cams", "w/sensor/+/reading", readings(common()), &[("kind", "camera")]),
            source("closures", "w/event/+", closures, &[]),
        ],
        &network(),
    )
}

pub(super) fn message(topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: payload.into(),
        received_at: Timestamp::parse("2008-11-11T07:20:31.000Z").unwrap(),
        receipt: 0,
    }
}

fn reading() -> Value {
    json!({"v": 1, "sensor_id": "loop_012", "kind": "loop", "edge_id": "a104", "lane": 0,
           "ts": "2008-11-11T07:20:30.000Z", "count": 7, "speed_kmh": 31.2})
}

/// Decodes one message on its own.
fn decode(decoder: &mut Decoder, message: Message) -> (Fate, Vec<Option<SourceRows>>) {
    let mut out = DecodedBatch::default();
    decoder.decode_batch(&[message], &mut out);
    assert_eq!(out.fates.len(), 1);
    (out.fates.remove(0), out.rows)
}

fn dead(message: Message) -> Refusal {
    match decode(&mut site(), message) {
        (Fate::Dead(refusal), rows) => {
            assert!(rows.iter().all(Option::is_none), "{refusal:?} left {rows:?}");
            refusal
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// The cells of a row as JSON, times as texts.
fn cells(batch: &RecordBatch, row: usize) -> Vec<Value> {
    let cell = |array: &dyn Array, row: usize| match array.data_type() {
        _ if array.is_null(row) => Value::Null,
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Timestamp(..) => {
            let millis = array.as_primitive::<TimestampMillisecondType>().value(row);
            Timestamp::from_millis(millis).unwrap().to_string().into()
        }
        DataType::List(_) => {
            let texts = array.as_list::<i32>().value(row);
            texts.as_string::<i32>().iter().map(Value::from).collect()
        }
        other => panic!("no column is of type {other}"),
    };
    batch.columns().iter().map(|array| cell(array, row)).collect()
}

#[test]
fn a_reading_becomes_a_row_of_its_source() {
    for (kind, index) in [("loop", 0), ("camera", 1)] {
        let mut payload = reading();
        payload["kind"] = json!(kind);
        let message = message("w/sensor/x/reading", payload.to_string());
        let mut decoder = site();
        let (fate, rows) = decode(&mut decoder, message);
        assert_eq!(fate, Fate::Row { source: index, row: 0 });
        assert_eq!(rows.iter().filter(|rows| rows.is_some()).count(), 1);
        let rows = rows[index].clone().unwrap();
        let ts = "2008-11-11T07:20:30.000Z";
        assert_eq!(
            cells(&rows.batch, 0),
            [json!("loop_012"), json!("a104"), json!(ts), json!(7), json!(31.2)]
        );
        assert_eq!(rows.event_times, [Timestamp::parse(ts).unwrap().millis()]);
        assert_eq!(rows.messages, [0]);
        assert_eq!(rows.batch.schema(), schema_of(&decoder.sources[index].source.mapping));
    }
}

#[test]
fn every_refusal_has_its_most_telling_reason() {
    use DeadReason::{
        BadTime, Future, MissingField, NotAnObject, NotJson, NotUtf8, OutOfRange, TooDeep,
        TooLarge, Unclaimed, UnknownSegment, UnknownValue, UnknownVersion, WrongType,
    };
    let with = |member: &str, value: Value| {
        let mut payload = reading();
        payload[member] = value;
        payload.to_string().into_bytes()
    };
    let without = |member: &str| {
        let mut payload = reading();
        payload.as_object_mut().unwrap().shift_remove(member);
        payload.to_string().into_bytes()
    };
    let loops = Some("loops");
    let cases: Vec<(Vec<u8>, DeadReason, Option<&str>)> = vec![
        (vec![b'7'; 1_000_000], TooLarge, None),
        (vec![0xff, 0xfe], NotUtf8, None),
        (b"{\"v\": 1,".to_vec(), NotJson, None),
        ("[".repeat(40_000).into_bytes(), TooDeep, None),
        (b"[1]".to_vec(), NotAnObject, None),
        (with("v", json!(2)), UnknownVersion, loops),
        (with("v", json!("1")), UnknownVersion, loops),
        (without("v"), UnknownVersion, loops),
        (br#"{"v":2,"type":"loop"}"#.to_vec(), UnknownVersion, None),
        (without("kind"), MissingField, None),
        (with("kind", json!("radar")), Unclaimed, None),
        (with("kind", json!(7)), Unclaimed, None),
        (without("count"), MissingField, loops),
        (with("count", json!(null)), MissingField, loops),
        (with("count", json!("7")), WrongType, loops),
        (with("count", json!(7.5)), WrongType, loops),
        (with("count", json!(-1)), OutOfRange, loops),
        (with("count", json!(u64::MAX)), OutOfRange, loops),
        (with("speed_kmh", json!(200.1)), OutOfRange, loops),
        (with("speed_kmh", json!(true)), WrongType, loops),
        (with("sensor_id", json!(12)), WrongType, loops),
        (with("edge_id", json!("a105")), UnknownSegment, loops),
        (with("ts", json!("11.11.2008 07:20")), BadTime, loops),
        (with("ts", json!("2008-11-11T07:20:30")), BadTime, loops),
        (with("ts", json!(1_226_388_030)), WrongType, loops),
        (with("ts", json!("2008-11-11T07:25:31.001Z")), Future, loops),
    ];
    for (payload, reason, source) in cases {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(200)]).into_owned();
        let refusal = dead(message("w/sensor/x/reading", payload));
        assert_eq!((refusal.reason, refusal.source.as_deref()), (reason, source), "{shown}");
        assert!(!refusal.detail.is_empty() && refusal.detail.len() < 400, "{}", refusal.detail);
    }
    assert_eq!(dead(message("elsewhere", "{}")).reason, Unclaimed);
    assert_eq!(dead(message("$SYS/x", "{}")).reason, Unclaimed);

    let mut event = closure();
    event["state"] = json!("ended");
    let refusal = dead(message("w/event/1", event.to_string()));
    assert_eq!((refusal.reason, refusal.source.as_deref()), (UnknownValue, Some("closures")));
    let refusal = dead(message("w/event/1", "{"));
    assert_eq!((refusal.reason, refusal.source.as_deref()), (NotJson, Some("closures")));
}

#[test]
fn the_largest_event_time_that_is_allowed_is_allowed() {
    let mut payload = reading();
    payload["ts"] = json!("2008-11-11T07:25:31.000Z");
    let (fate, _) = decode(&mut site(), message("w/sensor/x/reading", payload.to_string()));
    assert_eq!(fate, Fate::Row { source: 0, row: 0 });
}

#[test]
fn the_first_source_in_plan_order_wins() {
    let any = || readings(vec![column("ts", ColumnKind::Time)]);
    let mut decoder = Decoder::new(
        &[
            source("first", "w/#", any(), &[("kind", "camera")]),
            source("second", "w/sensor/+/reading", any(), &[]),
            source("third", "w/#", any(), &[]),
        ],
        &network(),
    );
    for (topic, kind, index) in [
        ("w/sensor/x/reading", "camera", 0),
        ("w/sensor/x/reading", "loop", 1),
        ("w/other", "loop", 2),
    ] {
        let payload = json!({"v": 1, "kind": kind, "ts": "2008-11-11T07:20:30Z"});
        let (fate, _) = decode(&mut decoder, message(topic, payload.to_string()));
        assert_eq!(fate, Fate::Row { source: index, row: 0 });
    }
}

/// One column beside `ts`, and what becomes of a member's values in it.
#[test]
fn columns_convert_as_the_mapping_says() {
    use DeadReason::{MissingField, OutOfRange, UnknownSegment, UnknownValue, WrongType};
    let scaled = Column { scale: 0.1, offset: 1.0, ..column("x", ColumnKind::Number) };
    let coded = Column { missing: vec![json!(65535), json!(-99)], ..scaled.clone() };
    let tenths = Column { scale: 0.1, ..column("x", ColumnKind::Integer) };
    let limited = Column { one_of: vec!["a".into(), "b".into()], ..column("x", ColumnKind::Text) };
    let segments = Column { is_segment: true, ..column("x", ColumnKind::TextList) };
    let nested = optional("x.y.z", ColumnKind::Integer);
    let cases: Vec<(Column, Value, Result<Value, DeadReason>)> = vec![
        (scaled.clone(), json!(20), Ok(json!(3.0))),
        (scaled, json!(1e308), Ok(json!(1e308 * 0.1 + 1.0))),
        (Column { scale: 10.0, ..column("x", ColumnKind::Number) }, json!(1e308), Err(OutOfRange)),
        // The code is compared with the raw value, and a required value must not be missing.
        (
            Column { nullable: true, max: Some(100.0), ..coded.clone() },
            json!(65535),
            Ok(Value::Null),
        ),
        (Column { nullable: true, ..coded.clone() }, json!(-99.0), Ok(Value::Null)),
        (coded, json!(65535), Err(MissingField)),
        (column("x", ColumnKind::Integer), json!(7.0), Ok(json!(7))),
        (column("x", ColumnKind::Integer), json!(-0.0), Ok(json!(0))),
        (column("x", ColumnKind::Integer), json!(7.000_000_1), Err(WrongType)),
        (column("x", ColumnKind::Integer), json!(i64::MIN), Ok(json!(i64::MIN))),
        (column("x", ColumnKind::Integer), json!(1e300), Err(OutOfRange)),
        (tenths.clone(), json!(70), Ok(json!(7))),
        (tenths, json!(75), Err(WrongType)),
        (column("x", ColumnKind::Boolean), json!(false), Ok(json!(false))),
        (column("x", ColumnKind::Boolean), json!(0), Err(WrongType)),
        (limited.clone(), json!("b"), Ok(json!("b"))),
        (limited, json!("c"), Err(UnknownValue)),
        (segments.clone(), json!(["a104"]), Ok(json!(["a104"]))),
        (segments.clone(), json!(["a104", "zz"]), Err(UnknownSegment)),
        (segments.clone(), json!([null]), Err(WrongType)),
        (segments, json!("a104"), Err(WrongType)),
        (nested.clone(), json!({"y": {"z": 3}}), Ok(json!(3))),
        (nested.clone(), json!({"y": {}}), Ok(Value::Null)),
        (nested.clone(), json!({"y": null}), Ok(Value::Null)),
        (nested, json!({"y": 5}), Err(WrongType)),
    ];
    for (case, value, expected) in cases {
        let mapping = readings(vec![column("ts", ColumnKind::Time), case.clone()]);
        let mut decoder = Decoder::new(&[source("s", "t", mapping, &[])], &network());
        let payload = json!({"v": 1, "ts": "2008-11-11T07:20:30Z", "x": value});
        let outcome = match decode(&mut decoder, message("t", payload.to_string())) {
            (Fate::Row { .. }, rows) => Ok(cells(&rows[0].as_ref().unwrap().batch, 0).remove(1)),
            (Fate::Dead(refusal), _) => Err(refusal.reason),
            (other, _) => panic!("{other:?}"),
        };
        assert_eq!(outcome, expected, "{case:?} {value}");
    }
}

#[test]
fn sources_with_topics_in_common_share_an_extractor() {
    let filters = ["a/b", "c/d", "+/b", "e/f", "c/d/#", "#", "$SYS/x"].map(TopicFilter::new);
    assert_eq!(shared(&filters[..5]), [0, 1, 0, 3, 1]);
    assert_eq!(shared(&filters), [0, 0, 0, 0, 0, 0, 6]);
}

fn closure() -> Value {
    json!({"v": 1, "event_id": "incident-1", "state": "active", "kind": "road_closed",
           "ts": "2008-11-11T07:20:00.000Z", "edges": ["b3[1]"], "lanes_closed": 3,
           "start": "2008-11-11T07:20:00.000Z", "planned_end": null})
}

#[test]
fn a_closure_is_read_by_the_names_of_its_fields() {
    let (fate, rows) = decode(&mut site(), message("w/event/incident-1", closure().to_string()));
    assert_eq!(rows, [None, None, None]);
    let Fate::Closure { source: 2, closure } = fate else { panic!("{fate:?}") };
    assert_eq!(closure.event_id, "incident-1");
    assert_eq!((closure.state, closure.kind), (ClosureState::Active, ClosureKind::RoadClosed));
    assert_eq!((closure.edges, closure.lanes_closed), (vec!["b3[1]".to_owned()], Some(3)));
    assert_eq!(closure.start, Some(closure.ts));
    assert_eq!(closure.planned_end, None);
    assert_eq!(closure.reason, None);
}

#[test]
fn a_closure_may_say_why() {
    let given = |reason: Value| {
        let mut payload = closure();
        payload["reason"] = reason;
        match decode(&mut site(), message("w/event/incident-1", payload.to_string())).0 {
            Fate::Closure { closure, .. } => Ok(closure.reason),
            Fate::Dead(refusal) => Err(refusal.reason),
            row @ Fate::Row { .. } => panic!("{row:?}"),
        }
    };
    for reason in Reason::ALL {
        assert_eq!(given(json!(reason.word())), Ok(Some(reason)));
    }
    assert_eq!(given(Value::Null), Ok(None));
    // Not said, but closed.
    assert_eq!(given(json!("drunk driver")), Ok(None));
    assert_eq!(given(json!(7)), Err(DeadReason::WrongType));
}

#[test]
fn a_closure_that_closes_nothing_is_refused() {
    for (member, value, reason) in [
        ("edges", json!([]), DeadReason::MissingField),
        ("lanes_closed", json!(-1), DeadReason::OutOfRange),
        ("kind", json!("party"), DeadReason::UnknownValue),
        ("edges", json!(["nowhere"]), DeadReason::UnknownSegment),
    ] {
        let mut payload = closure();
        payload[member] = value;
        let refusal = dead(message("w/event/1", payload.to_string()));
        assert_eq!(refusal.reason, reason, "{member}");
    }
    let mut cleared = closure();
    cleared["state"] = json!("cleared");
    cleared["edges"] = json!([]);
    let (fate, _) = decode(&mut site(), message("w/event/1", cleared.to_string()));
    assert!(matches!(fate, Fate::Closure { .. }), "{fate:?}");
}

#[test]
fn texts_with_escapes_arrive_without_them() {
    let payload = r#"{"v":1,"sensor_id":"l\u00f6\"op","k\u0069nd":"l\u006fop","edge_id":"\u0061104",
        "ts":"2008-11-11T07:20:30.000\u005a","count":7,"note":"\ud83d\ude97"}"#;
    let (fate, rows) = decode(&mut site(), message("w/sensor/x/reading", payload));
    assert_eq!(fate, Fate::Row { source: 0, row: 0 });
    let row = cells(&rows[0].as_ref().unwrap().batch, 0);
    assert_eq!(row[..2], [json!("l\u{f6}\"op"), json!("a104")]);
}

/// Good and bad messages of all sources, in some order.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let one = (0..8, 0_i64..100).prop_map(|(what, count)| {
        let mut payload = reading();
        payload["count"] = json!(count);
        match what {
            0 => payload["kind"] = json!("camera"),
            // Refused by the last column, after the cells of the others.
            1 => payload["speed_kmh"] = json!(999),
            2 => payload["speed_kmh"] = json!(-99),
            3 => payload["kind"] = json!("radar"),
            4 => payload["sensor_id"] = json!(format!("l\n{count}")),
            _ => {}
        }
        match what {
            5 => message("w/event/1", closure().to_string()),
            6 => message("elsewhere", "{}"),
            _ => message("w/sensor/x/reading", payload.to_string()),
        }
    });
    proptest::collection::vec(one, 1..40)
}

/// A fate, with a row's cells, event time and message in place of its number.
#[derive(Debug, PartialEq)]
enum Told {
    Row { source: usize, cells: Vec<Value>, event_time: i64, message: usize },
    Other(Fate),
}

/// Decodes in calls of at most `most` messages, reusing what it decodes into.
fn told(messages: &[Message], most: usize) -> Vec<Told> {
    let (mut decoder, mut out) = (site(), DecodedBatch::default());
    let mut told = Vec::new();
    for call in messages.chunks(most) {
        let before = told.len();
        decoder.decode_batch(call, &mut out);
        let rows: usize = out.rows.iter().flatten().map(|rows| rows.batch.num_rows()).sum();
        let fates = out.fates.iter();
        assert_eq!(rows, fates.filter(|fate| matches!(fate, Fate::Row { .. })).count());
        told.extend(out.fates.iter().map(|fate| match fate {
            Fate::Row { source, row } => {
                let (rows, row) = (out.rows[*source].as_ref().unwrap(), *row as usize);
                Told::Row {
                    source: *source,
                    cells: cells(&rows.batch, row),
                    event_time: rows.event_times[row],
                    message: before + rows.messages[row] as usize,
                }
            }
            other => Told::Other(other.clone()),
        }));
    }
    told
}

proptest! {
    /// Whatever bytes arrive on a source's topic, the decoder answers.
    #[test]
    fn no_payload_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0_usize..200,
    ) {
        let mut decoder = site();
        decode(&mut decoder, message("w/sensor/x/reading", bytes));
        let mut text = reading().to_string().into_bytes();
        text.truncate(cut);
        decode(&mut decoder, message("w/sensor/x/reading", text));
    }

    #[test]
    fn calls_may_be_cut_anywhere(messages in messages(), most in 1_usize..20) {
        let whole = told(&messages, messages.len());
        for (index, fate) in whole.iter().enumerate() {
            if let Told::Row { message, .. } = fate {
                prop_assert_eq!(*message, index);
            }
        }
        prop_assert_eq!(told(&messages, most), whole);
    }
}

//! Payloads, good and bad, each with its fate.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::closure::{ClosureKind, ClosureState};
use crate::domain::network::{Segment, SegmentId};
use crate::plan::{Column, ColumnKind, EventTime, Mapping};

fn network() -> Arc<Network> {
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
    Arc::new(Network {
        city: "test".to_owned(),
        hash: String::new(),
        segments: vec![segment("a104"), segment("b3[1]")],
        detectors: Vec::new(),
        signs: Vec::new(),
        places: Vec::new(),
        outgoing: vec![Vec::new(); 2],
        incoming: vec![Vec::new(); 2],
        by_name: [("a104".to_owned(), SegmentId(0)), ("b3[1]".to_owned(), SegmentId(1))].into(),
    })
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
        name: name.to_owned(),
        path: name.split('.').map(str::to_owned).collect(),
        kind,
        nullable: false,
        missing: Vec::new(),
        scale: 1.0,
        offset: 0.0,
        min: None,
        max: None,
        is_segment: false,
        one_of: Vec::new(),
    }
}

fn optional(name: &str, kind: ColumnKind) -> Column {
    Column { nullable: true, ..column(name, kind) }
}

fn source(name: &str, topic: &str, mapping: Mapping, claims: &[(&str, &str)]) -> Source {
    let readings = mapping.produces == Produces::Readings;
    Source {
        name: name.to_owned(),
        topic: topic.to_owned(),
        qos: 1,
        mapping: Arc::new(mapping),
        claims: claims.iter().map(|(m, v)| ((*m).to_owned(), json!(v))).collect(),
        event_time: readings.then(|| EventTime {
            column: "ts".to_owned(),
            lateness: Duration::from_secs(10),
            idle_after: Duration::from_secs(90),
            max_future: Duration::from_mins(5),
            group: Some("sensor_id".to_owned()),
            interval_end: true,
        }),
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
        network(),
    )
}

fn message(topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: payload.into(),
        received_at: Timestamp::parse("2008-11-11T07:20:31.000Z").unwrap(),
        receipt: 0,
    }
}

fn reading() -> serde_json::Value {
    json!({"v": 1, "sensor_id": "loop_012", "kind": "loop", "edge_id": "a104", "lane": 0,
           "ts": "2008-11-11T07:20:30.000Z", "count": 7, "speed_kmh": 31.2})
}

fn dead(decoded: Decoded) -> Refusal {
    match decoded {
        Decoded::Dead(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_reading_becomes_a_row_of_its_source() {
    for (kind, index) in [("loop", 0), ("camera", 1)] {
        let mut payload = reading();
        payload["kind"] = json!(kind);
        let decoded = site().decode(&message("w/sensor/x/reading", payload.to_string()));
        let Decoded::Reading(reading) = decoded else { panic!("{decoded:?}") };
        assert_eq!(reading.source, index);
        assert_eq!(reading.event_time.to_string(), "2008-11-11T07:20:30.000Z");
        assert_eq!(reading.row.get(0), Value::Text("loop_012"));
        assert_eq!(reading.row.get(1), Value::Text("a104"));
        assert_eq!(reading.row.get(3), Value::Integer(7));
        assert_eq!(reading.row.get(4), Value::Number(31.2));
    }
}

#[test]
fn every_refusal_has_its_most_telling_reason() {
    use DeadReason::{
        BadTime, Future, MissingField, NotAnObject, NotJson, NotUtf8, OutOfRange, TooDeep,
        TooLarge, Unclaimed, UnknownSegment, UnknownValue, UnknownVersion, WrongType,
    };
    let with = |member: &str, value: serde_json::Value| {
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
        let refusal = dead(site().decode(&message("w/sensor/x/reading", payload)));
        assert_eq!((refusal.reason, refusal.source.as_deref()), (reason, source), "{shown}");
        assert!(!refusal.detail.is_empty() && refusal.detail.len() < 400, "{}", refusal.detail);
    }
    assert_eq!(dead(site().decode(&message("elsewhere", "{}"))).reason, Unclaimed);
    assert_eq!(dead(site().decode(&message("$SYS/x", "{}"))).reason, Unclaimed);

    let mut event = closure();
    event["state"] = json!("ended");
    let refusal = dead(site().decode(&message("w/event/1", event.to_string())));
    assert_eq!((refusal.reason, refusal.source.as_deref()), (UnknownValue, Some("closures")));
    let refusal = dead(site().decode(&message("w/event/1", "{")));
    assert_eq!((refusal.reason, refusal.source.as_deref()), (NotJson, Some("closures")));
}

#[test]
fn the_largest_event_time_that_is_allowed_is_allowed() {
    let mut payload = reading();
    payload["ts"] = json!("2008-11-11T07:25:31.000Z");
    let decoded = site().decode(&message("w/sensor/x/reading", payload.to_string()));
    assert!(matches!(decoded, Decoded::Reading(_)), "{decoded:?}");
}

#[test]
fn the_first_source_in_plan_order_wins() {
    let any = || readings(vec![column("ts", ColumnKind::Time)]);
    let decoder = Decoder::new(
        &[
            source("first", "w/#", any(), &[("kind", "camera")]),
            source("second", "w/sensor/+/reading", any(), &[]),
            source("third", "w/#", any(), &[]),
        ],
        network(),
    );
    for (topic, kind, index) in [
        ("w/sensor/x/reading", "camera", 0),
        ("w/sensor/x/reading", "loop", 1),
        ("w/other", "loop", 2),
    ] {
        let payload = json!({"v": 1, "kind": kind, "ts": "2008-11-11T07:20:30Z"});
        let outcome = decoder.decode(&message(topic, payload.to_string()));
        assert!(matches!(&outcome, Decoded::Reading(r) if r.source == index), "{outcome:?}");
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
    let texts = ["a104".to_owned()];
    let cases: Vec<(Column, serde_json::Value, Result<Value<'_>, DeadReason>)> = vec![
        (scaled.clone(), json!(20), Ok(Value::Number(3.0))),
        (scaled, json!(1e308), Ok(Value::Number(1e308 * 0.1 + 1.0))),
        (Column { scale: 10.0, ..column("x", ColumnKind::Number) }, json!(1e308), Err(OutOfRange)),
        // The code is compared with the raw value, and a required value must not be missing.
        (
            Column { nullable: true, max: Some(100.0), ..coded.clone() },
            json!(65535),
            Ok(Value::Null),
        ),
        (Column { nullable: true, ..coded.clone() }, json!(-99.0), Ok(Value::Null)),
        (coded, json!(65535), Err(MissingField)),
        (column("x", ColumnKind::Integer), json!(7.0), Ok(Value::Integer(7))),
        (column("x", ColumnKind::Integer), json!(-0.0), Ok(Value::Integer(0))),
        (column("x", ColumnKind::Integer), json!(7.000_000_1), Err(WrongType)),
        (column("x", ColumnKind::Integer), json!(i64::MIN), Ok(Value::Integer(i64::MIN))),
        (column("x", ColumnKind::Integer), json!(1e300), Err(OutOfRange)),
        (tenths.clone(), json!(70), Ok(Value::Integer(7))),
        (tenths, json!(75), Err(WrongType)),
        (column("x", ColumnKind::Boolean), json!(false), Ok(Value::Boolean(false))),
        (column("x", ColumnKind::Boolean), json!(0), Err(WrongType)),
        (limited.clone(), json!("b"), Ok(Value::Text("b"))),
        (limited, json!("c"), Err(UnknownValue)),
        (segments.clone(), json!(["a104"]), Ok(Value::Texts(&texts))),
        (segments.clone(), json!(["a104", "zz"]), Err(UnknownSegment)),
        (segments.clone(), json!([null]), Err(WrongType)),
        (segments, json!("a104"), Err(WrongType)),
        (nested.clone(), json!({"y": {"z": 3}}), Ok(Value::Integer(3))),
        (nested.clone(), json!({"y": {}}), Ok(Value::Null)),
        (nested.clone(), json!({"y": null}), Ok(Value::Null)),
        (nested, json!({"y": 5}), Err(WrongType)),
    ];
    for (case, value, expected) in cases {
        let mapping = readings(vec![column("ts", ColumnKind::Time), case.clone()]);
        let decoder = Decoder::new(&[source("s", "t", mapping, &[])], network());
        let payload = json!({"v": 1, "ts": "2008-11-11T07:20:30Z", "x": value});
        let outcome = decoder.decode(&message("t", payload.to_string()));
        match &outcome {
            Decoded::Reading(reading) => {
                assert_eq!(Ok(reading.row.get(1)), expected, "{case:?} {value}");
            }
            Decoded::Dead(refusal) => {
                assert_eq!(Err(refusal.reason), expected, "{case:?} {value}");
            }
            Decoded::Closure { .. } => panic!("{outcome:?}"),
        }
    }
}

fn closure() -> serde_json::Value {
    json!({"v": 1, "event_id": "incident-1", "state": "active", "kind": "road_closed",
           "ts": "2008-11-11T07:20:00.000Z", "edges": ["b3[1]"], "lanes_closed": 3,
           "start": "2008-11-11T07:20:00.000Z", "planned_end": null})
}

#[test]
fn a_closure_is_read_by_the_names_of_its_fields() {
    let decoded = site().decode(&message("w/event/incident-1", closure().to_string()));
    let Decoded::Closure { source: 2, closure } = decoded else { panic!("{decoded:?}") };
    assert_eq!(closure.event_id, "incident-1");
    assert_eq!((closure.state, closure.kind), (ClosureState::Active, ClosureKind::RoadClosed));
    assert_eq!((closure.edges, closure.lanes_closed), (vec!["b3[1]".to_owned()], Some(3)));
    assert_eq!(closure.start, Some(closure.ts));
    assert_eq!(closure.planned_end, None);
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
        let refusal = dead(site().decode(&message("w/event/1", payload.to_string())));
        assert_eq!(refusal.reason, reason, "{member}");
    }
    let mut cleared = closure();
    cleared["state"] = json!("cleared");
    cleared["edges"] = json!([]);
    let decoded = site().decode(&message("w/event/1", cleared.to_string()));
    assert!(matches!(decoded, Decoded::Closure { .. }), "{decoded:?}");
}

proptest::proptest! {
    /// Whatever bytes arrive on a source's topic, the decoder answers.
    #[test]
    fn no_payload_panics(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        cut in 0_usize..200,
    ) {
        let decoder = site();
        decoder.decode(&message("w/sensor/x/reading", bytes));
        let mut text = reading().to_string().into_bytes();
        text.truncate(cut);
        decoder.decode(&message("w/sensor/x/reading", text));
    }
}

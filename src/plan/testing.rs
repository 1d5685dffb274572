//! Parts of plans for tests.

use std::sync::Arc;
use std::time::Duration;

use super::{Column, ColumnKind, EventTime, Mapping, Produces, Shape, Source, Window};

/// A column named as its member, that may not be missing.
pub fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
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
    }
}

pub fn mapping(columns: Vec<Column>) -> Mapping {
    Mapping { name: "loop".to_owned(), produces: Produces::Readings, version: Some(1), columns }
}

/// A watermark for each `sensor_id` by `ts`: 10 s of lateness, idle after 90 s.
pub fn event_time(interval_end: bool) -> EventTime {
    EventTime {
        column: "ts".to_owned(),
        lateness: Duration::from_secs(10),
        idle_after: Duration::from_secs(90),
        max_future: Duration::from_mins(5),
        group: Some("sensor_id".to_owned()),
        interval_end,
    }
}

/// Readings with `sensor_id`, `ts` and `count`.
pub fn source(name: &str, interval_end: bool, unique: &[&str]) -> Source {
    Source {
        name: name.to_owned(),
        topic: "t".to_owned(),
        qos: 1,
        mapping: Arc::new(mapping(vec![
            column("sensor_id", ColumnKind::Text),
            column("ts", ColumnKind::Time),
            column("count", ColumnKind::Integer),
        ])),
        claims: Vec::new(),
        event_time: Some(event_time(interval_end)),
        unique: unique.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A window over the first source.
pub fn window(size_s: u64, every_s: u64) -> Window {
    let (size, every) = (Duration::from_secs(size_s), Duration::from_secs(every_s));
    Window {
        name: format!("w{size_s}"),
        sources: vec![0],
        shape: Shape::Slots { size, every, zone: None },
        accept_for: Duration::ZERO,
        tables: Vec::new(),
        sql: String::new(),
    }
}

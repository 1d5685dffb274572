//! What goes out to the broker because of an event: directions as they are, and, where the pipeline
//! has an output for them, results of windows.
//!
//! Windows are put into words for the wire here and not in the engine: a replay has nobody to tell.

use std::borrow::Cow;

use serde::Serialize;

use super::engine::Event;
use super::error::RunError;
use crate::batch::{JsonColumns, WindowBatch};
use crate::domain::time::Timestamp;
use crate::plan::{OutputKind, Plan};
use crate::ports::{Payload, Publication};

/// The publications of a few events, in order.
pub(super) fn publications<'e>(
    plan: &'e Plan,
    events: &'e [Event],
) -> impl Iterator<Item = Result<Cow<'e, Publication>, RunError>> {
    events.iter().flat_map(move |event| publications_of(plan, event))
}

fn publications_of<'e>(
    plan: &'e Plan,
    event: &'e Event,
) -> Vec<Result<Cow<'e, Publication>, RunError>> {
    match event {
        Event::Publish(publication) => vec![Ok(Cow::Borrowed(publication))],
        Event::Window { name, result } => plan
            .outputs
            .iter()
            .filter_map(|output| match &output.kind {
                OutputKind::Windows { topic, qos, retain } => Some((topic, *qos, *retain)),
                _ => None,
            })
            .map(|(topic, qos, retain)| {
                let payload = window(name, result).map_err(|error| RunError::Result {
                    window: name.clone(),
                    what: format!("it cannot be sent: {error}"),
                })?;
                Ok(Cow::Owned(Publication {
                    ts: result.end,
                    topic: topic.replace("{window}", name),
                    payload,
                    qos,
                    retain,
                    expiry: None,
                }))
            })
            .collect(),
        Event::Dead(_) | Event::Late(_) => Vec::new(),
    }
}

/// wire.md, "Out": a window's result. Columns rather than rows: it is a third of the bytes, and what
/// a table of any kind is made of.
fn window(name: &str, result: &WindowBatch) -> Result<Payload, String> {
    #[derive(Serialize)]
    struct Told<'a> {
        v: u8,
        window: &'a str,
        start: Timestamp,
        end: Timestamp,
        revision: u32,
        rows: usize,
        columns: JsonColumns<'a>,
    }
    let told = Told {
        v: 1,
        window: name,
        start: result.start,
        end: result.end,
        revision: result.revision,
        rows: result.rows.num_rows(),
        columns: JsonColumns::of(&result.rows, |_| true).map_err(|error| error.to_string())?,
    };
    Payload::of(&told).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
    use arrow::record_batch::RecordBatch;

    use super::*;

    #[test]
    fn a_result_is_its_columns() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("segment", Arc::new(StringArray::from(vec!["a#1", "b"]))),
            ("vehicles", Arc::new(Int64Array::from(vec![3, -1]))),
            ("speed_kmh", Arc::new(Float64Array::from(vec![Some(31.25), None]))),
            ("jam", Arc::new(BooleanArray::from(vec![true, false]))),
        ];
        let start = Timestamp::parse("2008-11-11T07:20:00.000Z").unwrap();
        let result = WindowBatch {
            window: 0,
            start,
            end: Timestamp::parse("2008-11-11T07:21:00.000Z").unwrap(),
            revision: 2,
            rows: RecordBatch::try_from_iter(columns).unwrap(),
        };
        assert_eq!(
            window("minute", &result).unwrap().as_str(),
            r#"{"v":1,"window":"minute","start":"2008-11-11T07:20:00.000Z","end":"2008-11-11T07:21:00.000Z","revision":2,"rows":2,"columns":{"segment":["a#1","b"],"vehicles":[3,-1],"speed_kmh":[31.25,null],"jam":[true,false]}}"#
        );
    }
}

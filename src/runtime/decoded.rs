//! Messages to rows, a batch at a time.

use crate::batch::{Row, SourceRows, batch_of, schema_of};
use crate::domain::closure::Closure;
use crate::domain::refusal::Refusal;
use crate::plan::Source;
use crate::ports::Message;
use crate::stage::decode::{Decoded, Decoder};

pub(super) struct Batch {
    pub fates: Vec<Fate>,
    pub rows: Vec<Option<SourceRows>>,
}

pub(super) enum Fate {
    Row { source: usize, row: u32 },
    Closure { source: usize, closure: Box<Closure> },
    Dead(Refusal),
}

#[expect(clippy::expect_used, reason = "replaced with the decoder's own batches")]
pub(super) fn decode(decoder: &Decoder, sources: &[Source], messages: &[Message]) -> Batch {
    let mut rows: Vec<(Vec<Row>, Vec<i64>, Vec<u32>)> = vec![Default::default(); sources.len()];
    let mut fates = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        fates.push(match decoder.decode(message) {
            Decoded::Dead(refusal) => Fate::Dead(refusal),
            Decoded::Closure { source, closure } => {
                Fate::Closure { source, closure: Box::new(closure) }
            }
            Decoded::Reading(reading) => {
                let source = &mut rows[reading.source];
                source.0.push(reading.row);
                source.1.push(reading.event_time.millis());
                source.2.push(at as u32);
                Fate::Row { source: reading.source, row: source.0.len() as u32 - 1 }
            }
        });
    }
    let rows = rows
        .into_iter()
        .zip(sources)
        .map(|((rows, event_times, messages), source)| {
            let schema = schema_of(&source.mapping);
            let rows: Vec<&Row> = rows.iter().collect();
            let batch = batch_of(&source.mapping, &schema, &rows).expect("rows fit");
            (!rows.is_empty()).then_some(SourceRows { batch, event_times, messages })
        })
        .collect();
    Batch { fates, rows }
}

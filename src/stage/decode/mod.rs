//! Payload bytes to Arrow rows of a source, by its mapping, a batch of messages at a time.
//!
//! A message belongs to the first source, in the plan's order, whose topic filter passes its topic
//! and whose claims hold. What fits nowhere is refused with the reason that tells most. Knows
//! nothing of windows; remembers topics and nothing else, so that how messages are cut into calls
//! changes no row and no fate.

mod closure;
mod column;
mod extract;
mod rows;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::HashSet;

use arrow::datatypes::SchemaRef;
use foldhash::fast::RandomState;
use serde_json::Value;

use crate::batch::{SourceRows, schema_of};
use crate::domain::closure::Closure;
use crate::domain::network::Network;
use crate::domain::refusal::{DeadReason, Refusal};
use crate::domain::time::Timestamp;
use crate::plan::{Produces, Source};
use crate::ports::Message;
use column::{Cell, ColumnReader};
use extract::{Extractor, Found, Refused, Store};
use rows::Rows;
use topic::Topics;

pub use extract::{MAX_DEPTH, MAX_PAYLOAD_BYTES};
pub use topic::TopicFilter;

/// The most messages a call takes: so many of the largest payloads still fit the 32-bit offsets of
/// one Arrow text column.
pub const MAX_MESSAGES: usize = i32::MAX as usize / MAX_PAYLOAD_BYTES;

/// What became of one message.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Row {
        /// Index into `Plan::sources`.
        source: usize,
        /// Index into the source's rows of this call.
        row: u32,
    },
    Closure {
        /// Index into `Plan::sources`.
        source: usize,
        closure: Box<Closure>,
    },
    Dead(Refusal),
}

/// What became of the messages of one call, and the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodedBatch {
    /// One a message, in order.
    pub fates: Vec<Fate>,
    /// By index into `Plan::sources`; `None` where no message of the call became a row of it.
    pub rows: Vec<Option<SourceRows>>,
}

/// The network's segments, under a hash that costs a fifth of the standard one: every reading asks.
type SegmentNames = HashSet<Box<str>, RandomState>;

/// Turns messages into rows and closures.
#[derive(Debug)]
pub struct Decoder {
    segments: SegmentNames,
    sources: Vec<Listener>,
    topics: Topics,
    /// Sources that may hear the same topic share the first one's.
    extractors: Vec<Extractor>,
}

/// A source with what is looked up once.
#[derive(Debug)]
struct Listener {
    source: Source,
    schema: SchemaRef,
    /// Index into `Decoder::extractors`.
    extractor: usize,
    /// The slot of each claim's member.
    claims: Vec<usize>,
    /// The slot of the member `v`, and what it must hold.
    version: Option<(usize, Value)>,
    columns: Vec<ColumnReader>,
    /// Index of the event-time column in the mapping.
    time_column: Option<usize>,
}

impl Decoder {
    pub fn new(sources: &[Source], network: &Network) -> Self {
        let filters: Vec<TopicFilter> =
            sources.iter().map(|source| TopicFilter::new(&source.topic)).collect();
        let mut extractors: Vec<Extractor> = sources.iter().map(|_| Extractor::new()).collect();
        let sources = sources
            .iter()
            .zip(shared(&filters))
            .map(|(source, extractor)| Listener::new(source, extractor, &mut extractors[extractor]))
            .collect();
        let segments = network.segments.iter().map(|segment| segment.name.as_str().into());
        let segments = segments.collect();
        Self { segments, sources, topics: Topics::new(filters), extractors }
    }

    /// Decodes messages in order. `out` is reused from call to call.
    ///
    /// Until a source has claimed a message, its refusal names the source only where the topic
    /// leaves no other one. A member that a source of the topic reads, or one of a topic that
    /// overlaps with it, must not stand twice; among the others a repeat is harmless.
    ///
    /// # Panics
    /// Over more than `MAX_MESSAGES` messages.
    pub fn decode_batch(&mut self, messages: &[Message], out: &mut DecodedBatch) {
        assert!(messages.len() <= MAX_MESSAGES, "a call takes at most {MAX_MESSAGES} messages");
        let mut before = std::mem::take(&mut out.rows).into_iter();
        let mut call = Call {
            found: Vec::new(),
            store: Store::default(),
            rows: self.sources.iter().map(|_| Rows::reusing(before.next().flatten())).collect(),
        };
        out.fates.clear();
        out.fates.extend(messages.iter().zip(0..).map(|(message, index)| {
            let stored = call.store.mark();
            let fate = self.fate(message, index, &mut call).unwrap_or_else(Fate::Dead);
            if !matches!(fate, Fate::Row { .. }) {
                call.store.truncate(stored);
            }
            fate
        }));
        let Call { store, rows, .. } = call;
        out.rows = rows
            .into_iter()
            .zip(&self.sources)
            .map(|(rows, of)| rows.finish(&of.schema, &of.source.mapping.columns, &store))
            .collect();
    }

    fn fate<'m>(
        &mut self,
        message: &'m Message,
        index: u32,
        call: &mut Call<'m>,
    ) -> Result<Fate, Refusal> {
        let Self { segments, sources, topics, extractors, .. } = self;
        let candidates = topics.passed(&message.topic);
        let Some(first) = candidates.first() else {
            let detail = "no source listens to this topic".to_owned();
            return Err(Refusal { reason: DeadReason::Unclaimed, source: None, detail });
        };
        let Call { found, store, rows } = call;
        let extractor = &mut extractors[sources[*first].extractor];
        extractor.extract(&message.payload, found, store).map_err(|(reason, detail)| {
            let only = (candidates.len() == 1 && sources[*first].claims.is_empty())
                .then(|| sources[*first].source.name.clone());
            Refusal { reason, source: only, detail }
        })?;
        let Some(claimant) = candidates.iter().find(|index| sources[**index].claims(found, store))
        else {
            let candidates: Vec<&Listener> = candidates.iter().map(|i| &sources[*i]).collect();
            return Err(nobodys(&candidates, found, store));
        };
        let (source, rows) = (&sources[*claimant], &mut rows[*claimant]);
        let row_start = rows.cells.len();
        let fate = source.judge(segments, found, store, message.received_at, rows).map(|judged| {
            match judged {
                Judged::Row(event_time) => {
                    Fate::Row { source: *claimant, row: rows.accept(event_time, index) }
                }
                Judged::Closure(closure) => {
                    rows.cells.truncate(row_start);
                    Fate::Closure { source: *claimant, closure }
                }
            }
        });
        fate.map_err(|(reason, detail)| {
            rows.cells.truncate(row_start);
            Refusal { reason, source: Some(source.source.name.clone()), detail }
        })
    }
}

/// What one call works with. All of it borrows from the call's messages.
struct Call<'m> {
    /// By slot: what the message at hand holds.
    found: Vec<Found<'m>>,
    store: Store<'m>,
    /// By source.
    rows: Vec<Rows<'m>>,
}

/// For each source the first one that shares its extractor with it: filters that overlap do,
/// directly or by others between them.
fn shared(filters: &[TopicFilter]) -> Vec<usize> {
    let mut shared: Vec<usize> = (0..filters.len()).collect();
    for (later, filter) in filters.iter().enumerate() {
        for earlier in 0..later {
            if filters[earlier].overlaps(filter) {
                let (a, b) = (shared[earlier], shared[later]);
                shared.iter_mut().filter(|s| **s == a.max(b)).for_each(|s| *s = a.min(b));
            }
        }
    }
    shared
}

/// What a claimed message turned out to be.
enum Judged {
    /// The row's cells stand last among the cells.
    Row(Timestamp),
    Closure(Box<Closure>),
}

impl Listener {
    fn new(source: &Source, index: usize, extractor: &mut Extractor) -> Self {
        let Source { mapping, claims, event_time, .. } = source;
        let mut top = |name: &str| extractor.member(name);
        Self {
            schema: schema_of(mapping),
            extractor: index,
            claims: claims.iter().map(|(member, _)| top(member)).collect(),
            version: mapping.version.map(|version| (top("v"), version.into())),
            columns: mapping.columns.iter().map(|c| ColumnReader::new(c, extractor)).collect(),
            time_column: event_time.as_ref().and_then(|time| {
                mapping.columns.iter().position(|column| column.name == time.column)
            }),
            source: source.clone(),
        }
    }

    /// The members that tell whose message it is: name, what this source wants, what was found.
    fn claimed<'l, 'p>(
        &'l self,
        found: &'l [Found<'p>],
    ) -> impl Iterator<Item = (&'l str, &'l Value, Found<'p>)> {
        let wanted = self.source.claims.iter().zip(&self.claims);
        wanted.map(|((member, value), slot)| (member.as_str(), value, found[*slot]))
    }

    fn claims(&self, found: &[Found<'_>], store: &Store<'_>) -> bool {
        self.claimed(found).all(|(_, value, found)| found.equals(value, store))
    }

    /// Judges a message that this source has claimed; appends the cells of its row as far as it
    /// comes.
    fn judge<'p>(
        &self,
        segments: &SegmentNames,
        found: &[Found<'p>],
        store: &Store<'p>,
        received_at: Timestamp,
        rows: &mut Rows<'p>,
    ) -> Result<Judged, Refused> {
        self.check_version(found, store)?;
        let row_start = rows.cells.len();
        for column in &self.columns {
            rows.cells.push(column.read(segments, found, store)?);
        }
        let cells = &rows.cells[row_start..];
        if self.source.mapping.produces == Produces::Closures {
            let closure = closure::of_cells(&self.source.mapping, cells, store)?;
            return Ok(Judged::Closure(Box::new(closure)));
        }
        self.event_time(cells, received_at).map(Judged::Row)
    }

    fn check_version(&self, found: &[Found<'_>], store: &Store<'_>) -> Result<(), Refused> {
        let Some((slot, version)) = &self.version else { return Ok(()) };
        if found[*slot].equals(version, store) {
            return Ok(());
        }
        let found = found[*slot].describe(store);
        Err((DeadReason::UnknownVersion, format!("`v` is {found}; version {version} is read")))
    }

    fn event_time(&self, cells: &[Cell<'_>], received_at: Timestamp) -> Result<Timestamp, Refused> {
        let (Some(rules), Some(column)) = (&self.source.event_time, self.time_column) else {
            let detail = "the source has no column for event time".to_owned();
            return Err((DeadReason::BadTime, detail));
        };
        let Some(Cell::Time(event_time)) = cells.get(column).copied() else {
            let detail = format!("`{}`, the event time, is missing", rules.column);
            return Err((DeadReason::MissingField, detail));
        };
        if event_time > received_at + rules.max_future {
            let ahead_s = event_time.since(received_at).as_secs_f64();
            let detail = format!(
                "`{}` is {event_time}, {ahead_s} s ahead of its receipt; at most {} s are allowed",
                rules.column,
                rules.max_future.as_secs_f64()
            );
            return Err((DeadReason::Future, detail));
        }
        Ok(event_time)
    }
}

/// Why a message on a source's topic is no source's. Under another version nobody knows what the
/// members mean, so that comes first; then a member that every claim needs; else it is simply
/// somebody else's message.
fn nobodys(candidates: &[&Listener], found: &[Found<'_>], store: &Store<'_>) -> Refusal {
    let refusal = |reason, detail| Refusal { reason, source: None, detail };
    let versions: Option<Vec<Refused>> =
        candidates.iter().map(|listener| listener.check_version(found, store).err()).collect();
    if let Some((reason, detail)) = versions.and_then(|refused| refused.into_iter().next()) {
        return refusal(reason, detail);
    }
    let missing: Option<Vec<&str>> = candidates
        .iter()
        .map(|listener| {
            let absent = listener.claimed(found).find(|(_, _, found)| *found == Found::Absent);
            absent.map(|(member, _, _)| member)
        })
        .collect();
    if let Some(member) = missing.as_deref().and_then(<[&str]>::first) {
        let detail = format!("`{member}` is absent: it tells whose message this is");
        return refusal(DeadReason::MissingField, detail);
    }
    let wanted: Vec<String> = candidates
        .iter()
        .flat_map(|listener| {
            let name = &listener.source.name;
            listener.claimed(found).filter_map(move |(member, value, found)| {
                if found == Found::Absent || found.equals(value, store) {
                    return None;
                }
                let found = found.describe(store);
                Some(format!("`{member}` is {found} where `{name}` wants {value}"))
            })
        })
        .take(4)
        .collect();
    refusal(DeadReason::Unclaimed, wanted.join("; "))
}

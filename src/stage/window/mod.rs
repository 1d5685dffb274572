//! Event-time windows: watermarks, idle groups, late rows and repeats.
//!
//! Windows are `[start, end)`, aligned to the epoch in whole milliseconds. A source's open rows are
//! kept once, by time, and every window over the source is cut out of them when the watermark has
//! passed its end; so hopping windows hold no row twice. Where `EventTime::interval_end` is set, a
//! reading belongs to the windows of the millisecond before its event time, since it speaks for the
//! interval that ends there.
//!
//! Every reading that is pushed gets exactly one `Admission`. An accepted one is in the batch of each
//! window over its source that holds its time and was open when it came; late is what no window
//! could take any more. Rows of a batch stand in an order of their content, so that it does not
//! matter in which order they came. Knows nothing of SQL.

mod store;
mod watermark;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::batch::{Reading, Row, Value, WindowBatch, batch_of, schema_of};
use crate::domain::refusal::{DeadReason, LateReading, Refusal};
use crate::domain::time::{Timestamp, millis_of};
use crate::plan::{Mapping, Source, Window};
use crate::ports::Message;
use store::Store;
use watermark::Watermark;

/// What became of one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// In all of its windows that are still open; held nowhere if no window reads the source.
    Accepted,
    /// A row with the same unique key is in a window that is still open.
    Duplicate,
    /// All of its windows have closed.
    Late(LateReading),
    Dead(Refusal),
}

/// After this many windows without a reading in a row a source is known to be silent; no further
/// empty batches are handed out until it speaks again. It bounds the work after a jump in time.
const MAX_EMPTY_RUN: u32 = 60;

/// Puts readings into windows, and hands out the windows that have closed.
#[derive(Debug)]
pub struct Windower {
    sources: Vec<Inlet>,
}

/// The windows of one source.
#[derive(Debug)]
struct Inlet {
    name: String,
    mapping: Arc<Mapping>,
    schema: SchemaRef,
    /// Index of the group's column; `None`: one group for all.
    group: Option<usize>,
    /// Taken off an event time before it looks for its windows, ms.
    shift: i64,
    /// Absent without event time; nothing can be windowed then.
    watermark: Option<Watermark>,
    windows: Vec<Pane>,
    store: Store,
    /// Closed between two calls of `advance`, so that a reading which comes after the watermark has
    /// passed a window's end is never in it, however seldom anybody looks.
    closed: Vec<WindowBatch>,
}

/// One window definition, and how far it has been closed.
#[derive(Debug)]
struct Pane {
    /// Index into `Plan::windows`.
    index: usize,
    size: i64,
    every: i64,
    /// Start of the earliest window that has not been closed.
    next_start: i64,
    /// How many windows without a row came last. Full at first: before the first row there is
    /// nothing to be silent about.
    empty_run: u32,
}

impl Pane {
    /// Start of the latest window that holds this moment.
    fn last_start(&self, time: i64) -> i64 {
        time - time.rem_euclid(self.every)
    }

    /// Start of the earliest window that holds this moment: after `time - size`.
    fn first_start(&self, time: i64) -> i64 {
        self.last_start(time - self.size) + self.every
    }

    /// Start of the earliest window that is open at this watermark: the first that ends after it.
    fn first_open(&self, watermark: i64) -> i64 {
        self.first_start(watermark)
    }

    fn takes(&self, time: i64, watermark: i64) -> bool {
        self.last_start(time) >= self.first_open(watermark)
    }

    /// The next window to close: the one at `next_start`, or, after too many empty ones in a row,
    /// the first from there on that holds a row.
    fn next_window(&self, store: &Store) -> Option<i64> {
        if self.empty_run < MAX_EMPTY_RUN {
            return Some(self.next_start);
        }
        let row = store.first_time_from(self.next_start)?;
        Some(self.first_start(row).max(self.next_start))
    }
}

impl Windower {
    pub fn new(sources: &[Source], windows: &[Window]) -> Self {
        let sources = sources
            .iter()
            .enumerate()
            .map(|(index, source)| Inlet::new(index, source, windows))
            .collect();
        Self { sources }
    }

    /// Puts a reading into its windows. `message` is what it came from: its receipt time moves the
    /// watermark, and a late reading keeps its bytes.
    pub fn push(&mut self, reading: Reading, message: &Message) -> Admission {
        match self.sources.get_mut(reading.source) {
            Some(source) => source.push(reading, message),
            None => Admission::Dead(Refusal {
                reason: DeadReason::Unclaimed,
                source: None,
                detail: format!("source {} is not in the plan", reading.source),
            }),
        }
    }

    /// Receipt time has come to `now`: the windows that have closed by then, by end and then by
    /// index.
    pub fn advance(&mut self, now: Timestamp) -> Vec<WindowBatch> {
        for source in &mut self.sources {
            if let Some(watermark) = &mut source.watermark {
                watermark.advance(now);
                source.close();
            }
        }
        self.take_closed()
    }

    /// Closes every window that holds a row. What comes afterwards is late.
    pub fn finish(&mut self) -> Vec<WindowBatch> {
        for source in &mut self.sources {
            source.finish();
        }
        self.take_closed()
    }

    /// The watermark of a source as of the last push or advance, in event time; absent before the
    /// first, and after `finish`.
    pub fn watermark(&self, source: usize) -> Option<Timestamp> {
        let watermark = self.sources.get(source)?.watermark.as_ref()?;
        Timestamp::from_millis(watermark.millis()?)
    }

    fn take_closed(&mut self) -> Vec<WindowBatch> {
        let mut closed: Vec<WindowBatch> =
            self.sources.iter_mut().flat_map(|source| source.closed.drain(..)).collect();
        closed.sort_by_key(|batch| (batch.end, batch.window));
        closed
    }
}

impl Inlet {
    fn new(index: usize, source: &Source, windows: &[Window]) -> Self {
        let column = |name: &String| source.mapping.columns.iter().position(|c| &c.name == name);
        let event_time = source.event_time.as_ref();
        let windows: Vec<Pane> = windows
            .iter()
            .enumerate()
            .filter(|(_, window)| window.source == index && event_time.is_some())
            .map(|(index, window)| Pane {
                index,
                size: millis_of(window.size).max(1),
                every: millis_of(window.every).max(1),
                next_start: i64::MIN,
                empty_run: MAX_EMPTY_RUN,
            })
            .collect();
        Self {
            name: source.name.clone(),
            schema: schema_of(&source.mapping),
            mapping: Arc::clone(&source.mapping),
            group: event_time.and_then(|rules| rules.group.as_ref()).and_then(column),
            shift: i64::from(event_time.is_some_and(|rules| rules.interval_end)),
            watermark: event_time.map(Watermark::new),
            windows,
            store: Store::new(source.unique.iter().filter_map(column).collect()),
            closed: Vec::new(),
        }
    }

    fn push(&mut self, reading: Reading, message: &Message) -> Admission {
        if let Err(detail) = self.check(&reading.row) {
            return self.dead(DeadReason::WrongType, detail);
        }
        let time = reading.event_time.millis() - self.shift;
        if !self.windows.iter().all(|pane| representable(pane, time)) {
            let detail = format!("{} has no window within the years 1 to 9999", reading.event_time);
            return self.dead(DeadReason::OutOfRange, detail);
        }
        let Some(clock) = &mut self.watermark else { return Admission::Accepted };
        clock.advance(message.received_at);
        let watermark = clock.millis();
        match self.group.map(|column| reading.row.get(column)) {
            Some(Value::Text(group)) => clock.observe(group, reading.event_time),
            Some(Value::Integer(group)) => clock.observe(&group.to_string(), reading.event_time),
            _ => clock.observe("", reading.event_time),
        }
        if self.windows.is_empty() {
            return Admission::Accepted;
        }
        self.close();
        let windows = &self.windows;
        let open =
            |time| watermark.is_none_or(|mark| windows.iter().any(|pane| pane.takes(time, mark)));
        if !open(time) {
            return Admission::Late(LateReading {
                received_at: message.received_at,
                event_time: reading.event_time,
                watermark: watermark.and_then(Timestamp::from_millis).unwrap_or(reading.event_time),
                topic: message.topic.clone(),
                payload: message.payload.clone(),
            });
        }
        if self.store.insert(time, reading.row, open) {
            Admission::Accepted
        } else {
            Admission::Duplicate
        }
    }

    /// Whether the row has this source's columns: then it can be no trouble at closing time.
    fn check(&self, row: &Row) -> Result<(), String> {
        let columns = &self.mapping.columns;
        if row.len() != columns.len() {
            return Err(format!("{} cells for {} columns", row.len(), columns.len()));
        }
        match columns.iter().enumerate().find(|(index, column)| !row.get(*index).fits(column)) {
            Some((_, column)) => Err(format!("`{}` holds a value of another kind", column.name)),
            None => Ok(()),
        }
    }

    fn dead(&self, reason: DeadReason, detail: String) -> Admission {
        Admission::Dead(Refusal { reason, source: Some(self.name.clone()), detail })
    }

    /// Cuts out the windows whose end the watermark has reached.
    fn close(&mut self) {
        let Some(watermark) = self.watermark.as_ref().and_then(Watermark::millis) else { return };
        let due = |pane: &Pane| pane.next_start < pane.first_open(watermark);
        if self.windows.iter().any(due) {
            self.cut(|pane| pane.first_open(watermark));
        }
    }

    /// Cuts out the windows up to the last row, and is late for everything from here on.
    fn finish(&mut self) {
        if let Some(watermark) = &mut self.watermark {
            watermark.finish();
        }
        if let Some(last) = self.store.last_time() {
            self.cut(|pane| pane.last_start(last) + pane.every);
        }
        for pane in &mut self.windows {
            pane.next_start = i64::MAX;
        }
        self.store.forget_before(i64::MAX);
    }

    /// Cuts the windows that start before `until` out of the store.
    fn cut(&mut self, until: impl Fn(&Pane) -> i64) {
        for pane in &mut self.windows {
            let until = until(pane);
            while let Some(start) = pane.next_window(&self.store).filter(|start| *start < until) {
                pane.next_start = start + pane.every;
                let bounds = (start, start + pane.size);
                let rows = self.store.rows(bounds.0, bounds.1);
                pane.empty_run = if rows.is_empty() { pane.empty_run + 1 } else { 0 };
                let bounds = (Timestamp::from_millis(bounds.0), Timestamp::from_millis(bounds.1));
                let (Some(start), Some(end)) = bounds else { break };
                self.closed.push(WindowBatch {
                    window: pane.index,
                    start,
                    end,
                    revision: 1,
                    rows: batch(&self.mapping, &self.schema, &rows),
                });
            }
            pane.next_start = pane.next_start.max(until);
        }
        if let Some(needed) = self.windows.iter().map(|pane| pane.next_start).min() {
            self.store.forget_before(needed);
        }
    }
}

/// All windows that hold this moment can be written down.
fn representable(pane: &Pane, time: i64) -> bool {
    Timestamp::from_millis(pane.first_start(time)).is_some()
        && Timestamp::from_millis(pane.last_start(time) + pane.size).is_some()
}

#[expect(clippy::expect_used, reason = "every row was checked against the mapping when pushed")]
fn batch(mapping: &Mapping, schema: &SchemaRef, rows: &[&Row]) -> RecordBatch {
    batch_of(mapping, schema, rows).expect("rows fit their mapping")
}

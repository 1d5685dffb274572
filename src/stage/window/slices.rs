//! Tumbling and hopping windows: panes of one slot each, shared by all windows over them.
//!
//! A window closes when the mark has reached its end, is handed out again where later rows revise
//! it within `accept_for`, and is gone after that. Knows rows by their time only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::pane::Pending;
use super::runs::{Runs, Sheet, Stream};
use crate::batch::{Closing, Step};
use crate::domain::time::Timestamp;

/// After this many windows without a reading in a row the streams are known to be silent; no
/// further empty windows are handed out until they speak again. It bounds the work after a jump in
/// time.
const MAX_EMPTY_RUN: u32 = 60;

#[derive(Debug)]
pub(super) struct Slices {
    /// Index into `Plan::windows`.
    index: usize,
    grid: Grid,
    /// Slots in a window.
    slots: i64,
    /// How long after its end a window may be revised, ms.
    accept_for: i64,
    /// The slot that was asked for last, since the next row is mostly of the same.
    slot: Slot,
    runs: Runs,
    /// The mark at which something happens next.
    due_at: i64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: i64,
    end: i64,
    /// Start of the earliest window over it.
    first: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// Start of the earliest window that has not been closed.
    next_start: i64,
    /// How many windows without a row came last. Full at first: before the first row there is
    /// nothing to be silent about.
    empty_run: u32,
    /// The earliest moment that a window still takes.
    open_from: i64,
    /// The rows of each slot, one entry a stream.
    panes: BTreeMap<i64, Vec<Pending>>,
    /// Closed windows that may still be revised, by their start.
    closed: BTreeMap<i64, Closed>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Closed {
    /// Of the last time it was handed out; 0: never, since it was empty and the streams silent.
    revision: u32,
    /// Rows have come since.
    dirty: bool,
}

impl Slices {
    pub(super) fn new(index: usize, grid: Grid, slots: i64, accept_for: i64) -> Self {
        let state = State {
            next_start: i64::MIN,
            empty_run: MAX_EMPTY_RUN,
            open_from: i64::MIN,
            panes: BTreeMap::new(),
            closed: BTreeMap::new(),
        };
        let (slots, slot) = (slots.max(1), Slot { start: 0, end: 0, first: 0 });
        let (runs, due_at) = (Runs::default(), i64::MIN);
        Self { index, grid, slots, accept_for, slot, runs, due_at, state }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn restore(&mut self, state: State) {
        self.state = state;
        self.plan_ahead();
    }

    /// The earliest moment whose rows are still taken; rows before it are late.
    pub(super) fn open_from(&self) -> i64 {
        self.state.open_from
    }

    /// Takes a row that is not late. True if it falls into a window that has been closed.
    pub(super) fn take(&mut self, time: i64, stream: usize, row: u32) -> bool {
        if time < self.slot.start || time >= self.slot.end {
            let start = self.grid.floor(time);
            let first = self.grid.before(start, self.slots - 1);
            self.slot = Slot { start, end: self.grid.after(start, 1), first };
        }
        let pane = self.slot.start;
        self.runs.add(pane, stream, row);
        if self.accept_for == 0 {
            return false;
        }
        // Of the windows over this slot only the earliest can have been closed.
        let mut revised = false;
        let mut start = self.slot.first.max(self.state.open_from);
        while start <= pane && start < self.state.next_start {
            let never = Closed { revision: 0, dirty: true };
            self.state.closed.entry(start).or_insert(never).dirty = true;
            revised = true;
            start = self.grid.after(start, 1);
        }
        revised
    }

    /// Puts the rows of this batch into their panes; what is full is folded.
    pub(super) fn gather(
        &mut self,
        sheets: &[Option<Sheet<'_>>],
        streams: &[Stream],
        steps: &mut Vec<Step>,
    ) {
        let (window, panes) = (self.index, &mut self.state.panes);
        self.runs.drain(sheets, streams, |pane, stream, rows| {
            let none = || vec![Pending::default(); streams.len()];
            let pending = panes.entry(pane).or_insert_with(none);
            pending[stream]
                .push(rows, |rows| steps.push(Step::Fold { window, pane, stream, rows }));
        });
    }

    /// Whether a mark that has come this far closes a window or ends its revisions.
    pub(super) fn is_due(&self, mark: i64) -> bool {
        mark >= self.due_at
    }

    /// Closed windows whose rows have changed and whose revisions this mark ends, in order.
    pub(super) fn expiring(&mut self, mark: i64) -> Vec<Closing> {
        let open_from = self.first_start(mark.saturating_sub(self.accept_for));
        self.revise(|start| start < open_from)
    }

    /// The windows that a mark closes, in order. They have to be `close`d before the next row.
    pub(super) fn due(&mut self, mark: i64) -> Vec<Closing> {
        self.close_until(self.first_start(mark))
    }

    /// The same for the end of the stream: up to the last row.
    pub(super) fn rest(&mut self) -> Vec<Closing> {
        let last = self.state.panes.last_key_value().map(|(pane, _)| *pane);
        let closings =
            last.map_or_else(Vec::new, |last| self.close_until(self.grid.after(last, 1)));
        self.state.next_start = i64::MAX;
        self.state.open_from = i64::MAX;
        closings
    }

    fn close_until(&mut self, until: i64) -> Vec<Closing> {
        let mut closings = Vec::new();
        while let Some(start) = self.next_window().filter(|start| *start < until) {
            let end = self.end(start);
            self.state.next_start = self.grid.after(start, 1);
            let empty = self.state.panes.range(start..end).next().is_none();
            self.state.empty_run = if empty { self.state.empty_run + 1 } else { 0 };
            closings.extend(self.closing(start, 1));
            if self.accept_for > 0 {
                self.state.closed.insert(start, Closed { revision: 1, dirty: false });
            }
        }
        self.state.next_start = self.state.next_start.max(until);
        closings
    }

    /// The closed windows whose rows have changed, in order.
    pub(super) fn revised(&mut self) -> Vec<Closing> {
        self.revise(|_| true)
    }

    fn revise(&mut self, wanted: impl Fn(i64) -> bool) -> Vec<Closing> {
        let mut revised = Vec::new();
        for (start, closed) in &mut self.state.closed {
            if wanted(*start) && std::mem::take(&mut closed.dirty) {
                closed.revision += 1;
                revised.push((*start, closed.revision));
            }
        }
        revised.into_iter().filter_map(|(start, revision)| self.closing(start, revision)).collect()
    }

    /// Ends the revisions that a mark leaves behind, and lets go of the rows that nobody needs any
    /// more. Every change has been handed out before.
    pub(super) fn forget(&mut self, mark: i64, steps: &mut Vec<Step>) {
        self.state.open_from =
            self.state.open_from.max(self.first_start(mark.saturating_sub(self.accept_for)));
        let open_from = self.state.open_from;
        self.state.closed.retain(|start, _| *start >= open_from);
        let needed = open_from.min(self.state.next_start);
        let kept = self.state.panes.split_off(&needed);
        let gone = std::mem::replace(&mut self.state.panes, kept);
        steps.extend(gone.into_keys().map(|pane| Step::Forget { window: self.index, pane }));
        self.plan_ahead();
    }

    fn plan_ahead(&mut self) {
        let State { next_start, open_from, .. } = self.state;
        let closes = if next_start == i64::MIN { next_start } else { self.end(next_start) };
        let expires = if open_from == i64::MIN { open_from } else { self.end(open_from) };
        self.due_at = closes.min(expires.saturating_add(self.accept_for));
    }

    /// What closing a window takes: its panes folded, then the window itself.
    pub(super) fn close(&mut self, closing: Closing, steps: &mut Vec<Step>) {
        let window = self.index;
        let (start, end) = (closing.start.millis(), closing.end.millis());
        for (pane, streams) in self.state.panes.range_mut(start..end) {
            for (stream, pending) in streams.iter_mut().enumerate() {
                if let Some(rows) = pending.take() {
                    steps.push(Step::Fold { window, pane: *pane, stream, rows });
                }
            }
        }
        let panes = self.state.panes.range(start..end).map(|(pane, _)| *pane).collect();
        steps.push(Step::Close { closing, panes });
    }

    fn closing(&self, start: i64, revision: u32) -> Option<Closing> {
        Some(Closing {
            window: self.index,
            start: Timestamp::from_millis(start)?,
            end: Timestamp::from_millis(self.end(start))?,
            revision,
        })
    }

    /// The next window to close: the one at `next_start`, or, after too many empty ones in a row,
    /// the first from there on that holds a row.
    fn next_window(&self) -> Option<i64> {
        if self.state.empty_run < MAX_EMPTY_RUN {
            return Some(self.state.next_start);
        }
        let (pane, _) = self.state.panes.range(self.state.next_start..).next()?;
        Some(self.first_start(*pane).max(self.state.next_start))
    }

    /// Start of the earliest window that holds this moment, and so of the first that ends after it.
    fn first_start(&self, time: i64) -> i64 {
        if matches!(time, i64::MIN | i64::MAX) {
            return time;
        }
        self.grid.before(self.grid.floor(time), self.slots - 1)
    }

    fn end(&self, start: i64) -> i64 {
        if start == i64::MAX {
            return start;
        }
        self.grid.after(start, self.slots)
    }
}

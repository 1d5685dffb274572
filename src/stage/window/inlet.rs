//! What the window stage knows of one source: where its rows go, and how far it has come.

use super::keys::{KeyColumns, Keys};
use super::runs::{Labels, Sheet};
use super::watermark::Watermark;
use crate::batch::SourceRows;
use crate::domain::time::{Timestamp, millis_of};
use crate::plan::{Shape, Source, Window};

/// Local days begin up to this long before or after their UTC days, with room to spare.
const MARGIN_MS: i64 = 3 * 86_400_000;

/// A window over a source: its index, which of the window's streams the source is, and the index of the
/// column that its sessions go by.
pub(super) type Over = (usize, usize, Option<usize>);

/// One source.
#[derive(Debug)]
pub(super) struct Inlet {
    /// Index of the column whose values have a watermark each; `None`: one for all.
    pub(super) group: Option<usize>,
    /// Columns of the unique key; empty: repeats are not looked for.
    pub(super) unique: Vec<usize>,
    /// Taken off an event time before it looks for its windows, ms.
    pub(super) shift: i64,
    pub(super) windows: Vec<Over>,
    /// The sources whose windows wait for one another, this one among them; empty for one alone.
    pub(super) linked: Vec<usize>,
    /// Event times whose windows can be written down, ms.
    pub(super) range: std::ops::RangeInclusive<i64>,
    /// Rows before this moment are in no window of slots; the windower looks it up.
    pub(super) open_from: i64,
    /// Absent without event time; nothing can be windowed then.
    pub(super) watermark: Option<Watermark>,
    pub(super) keys: Keys,
}

impl Inlet {
    pub(super) fn new(index: usize, source: &Source, windows: &[Window]) -> Self {
        let column = |name: &String| source.mapping.columns.iter().position(|c| &c.name == name);
        let event_time = source.event_time.as_ref();
        let over = windows.iter().enumerate().filter(|_| event_time.is_some());
        let over: Vec<_> = over
            .flat_map(|(at, window)| {
                let by = match &window.shape {
                    Shape::Slots { .. } => None,
                    Shape::Session { by, .. } => column(by),
                };
                let streams = window.sources.iter().enumerate();
                let own = streams.filter(move |(_, source)| **source == index);
                own.map(move |(stream, _)| (at, stream, by))
            })
            .collect();
        let longest =
            over.iter().map(|(window, ..)| millis_of(windows[*window].shape.longest())).max();
        Self {
            group: event_time.and_then(|rules| rules.group.as_ref()).and_then(column),
            unique: source.unique.iter().filter_map(column).collect(),
            shift: i64::from(event_time.is_some_and(|rules| rules.interval_end)),
            open_from: i64::MIN,
            watermark: event_time.map(Watermark::new),
            keys: Keys::new(over.iter().map(|(at, ..)| key_span(&windows[*at])).max().unwrap_or(1)),
            range: Timestamp::within(longest.unwrap_or(0).saturating_add(MARGIN_MS)),
            linked: linked(index, windows),
            windows: over,
        }
    }

    pub(super) fn sheet<'b>(&self, rows: &'b SourceRows) -> Sheet<'b> {
        Sheet {
            rows,
            keys: KeyColumns::of(&rows.batch, &self.unique),
            group: Labels::of(&rows.batch, self.group),
            by: self.windows.iter().map(|(.., by)| Labels::of(&rows.batch, *by)).collect(),
        }
    }
}

/// The span of time whose unique keys a window forgets together, ms: whole steps of it, so that a span
/// goes when the window moves on, and few of them in the time for which it needs them.
fn key_span(window: &Window) -> i64 {
    let every = millis_of(window.shape.every()).max(1);
    match window.shape {
        Shape::Slots { size, .. } => {
            let needed = millis_of(size.saturating_add(window.accept_for));
            every.saturating_mul((needed / every / 3).max(1))
        }
        // Mostly a few gaps are needed; what a long session needs is in few tables all the same.
        Shape::Session { longest, .. } => (millis_of(longest) / 12).clamp(every, every * 4),
    }
}

/// The sources that are joined to this one by windows over two of them, directly or not.
fn linked(source: usize, windows: &[Window]) -> Vec<usize> {
    let mut linked = vec![source];
    let mut next = 0;
    while let Some(&at) = linked.get(next) {
        next += 1;
        for window in windows.iter().filter(|window| window.sources.contains(&at)) {
            let new = window.sources.iter().filter(|source| !linked.contains(source));
            let new: Vec<usize> = new.copied().collect();
            linked.extend(new);
        }
    }
    linked.sort_unstable();
    if linked.len() > 1 { linked } else { Vec::new() }
}

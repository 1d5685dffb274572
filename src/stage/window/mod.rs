//! Event-time windows: watermarks, idle groups, late rows, revisions and repeats.
//!
//! Windows are `[start, end)`, in whole milliseconds. Rows come in batches and are judged one by
//! one in the order of their messages; what follows is a list of steps for the aggregate stage:
//! fold these rows into that pane, close this window over those panes. Panes are shared by all
//! windows over them, so hopping windows fold no row twice. Where `EventTime::interval_end` is set,
//! a reading belongs to the windows of the millisecond before its event time, since it speaks for
//! the interval that ends there.
//!
//! A window's mark is the lowest watermark of its sources that have spoken. It closes when the mark
//! reaches its end; a row that comes later revises it within `accept_for`, and is late after that.
//! Every row gets exactly one `Admission`, and neither admissions nor steps depend on how rows come
//! in batches or how often anybody looks. Knows nothing of SQL.

mod grid;
mod inlet;
mod keys;
mod pane;
mod runs;
mod sessions;
mod slices;
mod state;
mod watermark;

#[cfg(test)]
mod tests;

use crate::batch::{Columns, SourceRows, Step};
use crate::domain::time::{Timestamp, millis_of};
use crate::plan::{Shape, Source, Window};
use grid::Grid;
use inlet::{Inlet, Over};
use keys::Look;
use runs::{Labels, Sheet, Stream};
use sessions::Sessions;
use slices::Slices;
use watermark::Watermark;

pub use state::WindowerState;

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// In all of its windows that are still open; held nowhere if no window reads the source.
    Accepted {
        /// At least one of its windows had been closed and will be handed out again.
        revised: bool,
        /// False: there was no room for its unique key, and a repeat of it would be accepted too.
        remembered: bool,
    },
    /// A row with the same unique key is in a window that is still open.
    Duplicate,
    /// No window could take it any more.
    Late { event_time: Timestamp, watermark: Timestamp },
    /// Its windows lie outside the years 1 to 9999.
    OutOfRange,
}

/// One row on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Index into `Plan::sources`.
    pub source: usize,
    /// Index into the rows of that source.
    pub row: u32,
    /// Of the message it came with: it moves the watermark.
    pub received_at: Timestamp,
}

/// Puts rows into windows, and says which windows have closed.
#[derive(Debug)]
pub struct Windower {
    inlets: Vec<Inlet>,
    windows: Vec<Opening>,
    steps: Vec<Step>,
    /// The key of the row at hand.
    key: Vec<u8>,
}

/// One window definition.
#[derive(Debug)]
struct Opening {
    streams: Vec<Stream>,
    mark: Option<i64>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Slices(Box<Slices>),
    Sessions(Box<Sessions>),
}

impl Windower {
    pub fn new(sources: &[Source], windows: &[Window]) -> Self {
        let inlet = |(index, source)| Inlet::new(index, source, windows);
        let mut windower = Self {
            inlets: sources.iter().enumerate().map(inlet).collect(),
            windows: windows.iter().enumerate().map(|(i, w)| Opening::new(i, w)).collect(),
            steps: Vec::new(),
            key: Vec::new(),
        };
        windower.look_up_open();
        windower
    }

    /// Of the rows of each window and stream only these columns are kept and handed on.
    #[must_use]
    pub fn keeping(mut self, columns: Vec<Vec<Columns>>) -> Self {
        for (window, columns) in self.windows.iter_mut().zip(columns) {
            for (stream, columns) in window.streams.iter_mut().zip(columns) {
                stream.columns = Some(columns);
            }
        }
        self
    }

    /// Puts rows into their windows, in the order of `arrivals`. `rows` are those of each source, by
    /// index. `admit` hears of every row, in the same order.
    pub fn push(
        &mut self,
        rows: &[Option<SourceRows>],
        arrivals: impl IntoIterator<Item = Arrival>,
        mut admit: impl FnMut(Arrival, Admission),
    ) {
        let sheets: Vec<Option<Sheet<'_>>> = rows
            .iter()
            .zip(&self.inlets)
            .map(|(rows, inlet)| Some(inlet.sheet(rows.as_ref()?)))
            .collect();
        for arrival in arrivals {
            if let Some(Some(sheet)) = sheets.get(arrival.source) {
                let admission = self.admit(&sheets, sheet, arrival);
                admit(arrival, admission);
            }
        }
        self.gather(&sheets);
    }

    /// Receipt time has come to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        for source in 0..self.inlets.len() {
            self.receive(source, now, &[]);
        }
        for index in 0..self.windows.len() {
            if let Kind::Slices(slices) = &mut self.windows[index].kind {
                for closing in slices.revised() {
                    slices.close(closing, &mut self.steps);
                }
            }
        }
    }

    /// Closes every window that holds a row. What comes afterwards is late.
    pub fn finish(&mut self) {
        for inlet in &mut self.inlets {
            inlet.open_from = i64::MAX;
            if let Some(watermark) = &mut inlet.watermark {
                watermark.finish();
            }
        }
        let mut due = Vec::new();
        for (index, window) in self.windows.iter_mut().enumerate() {
            window.mark = Some(i64::MAX);
            // No session begins any more.
            window.is_due(i64::MAX);
            due.extend(window.due(i64::MAX, true).into_iter().map(|due| (index, due)));
        }
        self.close(due);
        for window in &mut self.windows {
            window.forget(i64::MAX, &mut self.steps);
        }
    }

    /// The receipt clock has been set: all receipt times count as `by` ms later.
    pub fn step(&mut self, by: i64) {
        for inlet in &mut self.inlets {
            if let Some(watermark) = &mut inlet.watermark {
                watermark.step(by);
            }
        }
    }

    /// What is to be done by now, in order. Nothing depends on how often it is asked for.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Rows of a source since the last call whose group is not followed for lack of room: they are judged
    /// like any other, and do not move the watermark. To be asked before the state is taken.
    pub fn take_unfollowed(&mut self, source: usize) -> u64 {
        let watermark = self.inlets.get_mut(source).and_then(|inlet| inlet.watermark.as_mut());
        watermark.map_or(0, Watermark::take_unfollowed)
    }

    /// The watermark of a source as of the last push or advance, in event time; absent before the
    /// first, and after `finish`.
    pub fn watermark(&self, source: usize) -> Option<Timestamp> {
        let watermark = self.inlets.get(source)?.watermark.as_ref()?;
        Timestamp::from_millis(watermark.millis()?)
    }

    /// What the sensors' clocks show, as of the last push or advance: the newest of all sources.
    /// Absent before the first reading.
    pub fn sensors_now(&self) -> Option<Timestamp> {
        let clocks = self.inlets.iter().filter_map(|inlet| inlet.watermark.as_ref()?.clock());
        clocks.max().and_then(Timestamp::from_millis)
    }

    fn admit(
        &mut self,
        sheets: &[Option<Sheet<'_>>],
        sheet: &Sheet<'_>,
        Arrival { source, row, received_at }: Arrival,
    ) -> Admission {
        let at = row as usize;
        let inlet = &mut self.inlets[source];
        let event_time = sheet.rows.event_times[at];
        let time = event_time - inlet.shift;
        if !inlet.range.contains(&time) {
            return Admission::OutOfRange;
        }
        if inlet.watermark.is_none() {
            return Admission::Accepted { revised: false, remembered: true };
        }
        self.receive(source, received_at, sheets);
        let admission = self.judge(sheet, source, row);
        let mut moved = false;
        if let Some(clock) = &mut self.inlets[source].watermark {
            sheet.group.with(at, |group| moved = clock.observe(group, event_time));
        }
        if moved {
            self.moved(source, sheets);
        }
        admission
    }

    /// Takes a row into its windows by the marks as they are: it moves them afterwards.
    fn judge(&mut self, sheet: &Sheet<'_>, source: usize, row: u32) -> Admission {
        let at = row as usize;
        let inlet = &mut self.inlets[source];
        let event_time = sheet.rows.event_times[at];
        let time = event_time - inlet.shift;
        let windows = &mut self.windows;
        let takes = |(&(window, ..), by): (&Over, &Labels<'_>)| windows[window].takes(by, at, time);
        if time < inlet.open_from
            && !inlet.windows.is_empty()
            && !inlet.windows.iter().zip(&sheet.by).any(takes)
        {
            // Its windows can be written down, and so can it.
            let event_time = Timestamp::from_millis(event_time).unwrap_or_default();
            let watermark = inlet.watermark.as_ref().and_then(Watermark::millis);
            let watermark = watermark.and_then(Timestamp::from_millis).unwrap_or(event_time);
            return Admission::Late { event_time, watermark };
        }
        let mut remembered = true;
        if !sheet.keys.is_empty() && !inlet.windows.is_empty() {
            sheet.keys.write(at, &mut self.key);
            match inlet.keys.insert(&self.key, time) {
                Look::New => {}
                Look::Known => return Admission::Duplicate,
                Look::Full => remembered = false,
            }
        }
        let mut revised = false;
        for ((window, stream, _), by) in inlet.windows.iter().zip(&sheet.by) {
            if windows[*window].takes(by, at, time) {
                revised |= windows[*window].take(by, at, time, *stream, row);
            }
        }
        Admission::Accepted { revised, remembered }
    }

    /// Receipt time has come to `now`, for a source and all that share windows with it.
    fn receive(&mut self, source: usize, now: Timestamp, sheets: &[Option<Sheet<'_>>]) {
        // Mostly alone, and then there is no list to go through.
        if self.inlets[source].linked.is_empty() {
            if self.inlets[source].watermark.as_mut().is_some_and(|w| w.advance(now)) {
                self.moved(source, sheets);
            }
            return;
        }
        let linked = std::mem::take(&mut self.inlets[source].linked);
        let mut moved = Vec::new();
        for &source in &linked {
            if self.inlets[source].watermark.as_mut().is_some_and(|w| w.advance(now)) {
                moved.push(source);
            }
        }
        self.inlets[source].linked = linked;
        for source in moved {
            self.moved(source, sheets);
        }
    }

    /// A source's watermark has moved on: closes what its windows' marks have reached.
    fn moved(&mut self, source: usize, sheets: &[Option<Sheet<'_>>]) {
        let mut due = Vec::new();
        let mut changed = false;
        for at in 0..self.inlets[source].windows.len() {
            let index = self.inlets[source].windows[at].0;
            let Some(mark) = self.mark(index) else { continue };
            let window = &mut self.windows[index];
            if window.mark.is_some_and(|held| held >= mark) {
                continue;
            }
            window.mark = Some(mark);
            if window.is_due(mark) {
                window.gather(sheets, &mut self.steps);
                due.extend(window.due(mark, false).into_iter().map(|due| (index, due)));
                changed = true;
            }
        }
        self.close(due);
        if !changed {
            return;
        }
        for at in 0..self.inlets[source].windows.len() {
            let index = self.inlets[source].windows[at].0;
            if let Some(mark) = self.windows[index].mark {
                self.windows[index].forget(mark, &mut self.steps);
            }
            for stream in 0..self.windows[index].streams.len() {
                let source = self.windows[index].streams[stream].source;
                self.inlets[source].open_from = self.open_from(source);
                let forgotten = self.forgotten_before(source);
                self.inlets[source].keys.forget_before(forgotten);
            }
        }
    }

    /// The lowest watermark of a window's sources. Nobody waits for a source that has never spoken;
    /// one that has just begun to holds the window until it has a watermark.
    fn mark(&self, window: usize) -> Option<i64> {
        let mut lowest = None::<i64>;
        for stream in &self.windows[window].streams {
            let Some(watermark) = self.inlets.get(stream.source)?.watermark.as_ref() else {
                continue;
            };
            if watermark.has_spoken() {
                let mark = watermark.millis()?;
                lowest = Some(lowest.map_or(mark, |lowest| lowest.min(mark)));
            }
        }
        lowest
    }

    /// Closes windows by end, and then by index.
    fn close(&mut self, mut due: Vec<(usize, Due)>) {
        due.sort_by_key(|(index, due)| (due.end(), *index));
        for (index, due) in due {
            match (&mut self.windows[index].kind, due) {
                (Kind::Slices(slices), Due::Slice(closing)) => {
                    slices.close(closing, &mut self.steps);
                }
                (Kind::Sessions(sessions), Due::Session(ended)) => {
                    sessions.close(ended, &mut self.steps);
                }
                _ => {}
            }
        }
    }

    fn gather(&mut self, sheets: &[Option<Sheet<'_>>]) {
        for window in &mut self.windows {
            window.gather(sheets, &mut self.steps);
        }
    }

    /// What a row is asked first, of every source.
    fn look_up_open(&mut self) {
        for source in 0..self.inlets.len() {
            self.inlets[source].open_from = self.open_from(source);
        }
    }

    /// Rows before this moment are in no window of slots over the source: sessions are asked.
    fn open_from(&self, source: usize) -> i64 {
        let windows = self.inlets[source].windows.iter();
        let open = windows.map(|(window, ..)| match &self.windows[*window].kind {
            Kind::Slices(slices) => slices.open_from(),
            Kind::Sessions(_) => i64::MAX,
        });
        open.min().unwrap_or(i64::MIN)
    }

    /// Rows before this moment are in no window over the source at all.
    fn forgotten_before(&self, source: usize) -> i64 {
        let windows = self.inlets[source].windows.iter();
        let open = windows.map(|(window, ..)| match &self.windows[*window].kind {
            Kind::Slices(slices) => slices.open_from(),
            Kind::Sessions(sessions) => sessions.open_from(),
        });
        open.min().unwrap_or(i64::MIN)
    }
}

/// A window that has come to its end.
#[derive(Debug)]
enum Due {
    Slice(crate::batch::Closing),
    Session(sessions::Ended),
}

impl Due {
    fn end(&self) -> Timestamp {
        match self {
            Self::Slice(closing) => closing.end,
            Self::Session(ended) => ended.closing.end,
        }
    }
}

impl Opening {
    fn new(index: usize, window: &Window) -> Self {
        let kind = match &window.shape {
            Shape::Slots { size, every, zone } => {
                let (size, every) = (millis_of(*size).max(1), millis_of(*every).max(1));
                let grid = Grid::new(every, *zone);
                let accept_for = millis_of(window.accept_for);
                let slices = Slices::new(index, grid, size / every, accept_for);
                Kind::Slices(Box::new(slices))
            }
            Shape::Session { gap, longest, .. } => {
                let sessions = Sessions::new(index, millis_of(*gap), millis_of(*longest));
                Kind::Sessions(Box::new(sessions))
            }
        };
        let stream = |source: &usize| Stream { source: *source, columns: None };
        Self { streams: window.sources.iter().map(stream).collect(), mark: None, kind }
    }

    fn gather(&mut self, sheets: &[Option<Sheet<'_>>], steps: &mut Vec<Step>) {
        match &mut self.kind {
            Kind::Slices(slices) => slices.gather(sheets, &self.streams, steps),
            Kind::Sessions(sessions) => sessions.gather(sheets, &self.streams, steps),
        }
    }

    /// Whether a row of this time is in a window that is still open.
    fn takes(&self, by: &Labels<'_>, at: usize, time: i64) -> bool {
        match &self.kind {
            Kind::Slices(slices) => time >= slices.open_from(),
            Kind::Sessions(sessions) => by.with(at, |label| sessions.takes(label, time)),
        }
    }

    /// Takes a row for which `takes` holds. True if it is in a window that has been closed.
    fn take(&mut self, by: &Labels<'_>, at: usize, time: i64, stream: usize, row: u32) -> bool {
        match &mut self.kind {
            Kind::Slices(slices) => slices.take(time, stream, row),
            Kind::Sessions(sessions) => {
                by.with(at, |label| sessions.take(label, time, row));
                false
            }
        }
    }

    fn is_due(&mut self, mark: i64) -> bool {
        match &mut self.kind {
            Kind::Slices(slices) => slices.is_due(mark),
            Kind::Sessions(sessions) => {
                sessions.moved(mark);
                sessions.is_due(mark)
            }
        }
    }

    /// `all`: the stream is over.
    fn due(&mut self, mark: i64, all: bool) -> Vec<Due> {
        match &mut self.kind {
            Kind::Slices(slices) => {
                let mut due = slices.expiring(mark);
                due.extend(if all { slices.rest() } else { slices.due(mark) });
                due.into_iter().map(Due::Slice).collect()
            }
            Kind::Sessions(sessions) => sessions.due(mark).into_iter().map(Due::Session).collect(),
        }
    }

    fn forget(&mut self, mark: i64, steps: &mut Vec<Step>) {
        if let Kind::Slices(slices) = &mut self.kind {
            slices.forget(mark, steps);
        }
    }
}

//! Session windows: the rows of one sensor (or whatever the column `by` holds) as long as it does
//! not fall silent.
//!
//! A session goes from its first row to `gap` after its last one; a row that is `gap` or more away
//! from it begins another. Rows that come late may join two sessions into one. One that lasts
//! `longest` is closed then, so that no sensor fills the memory.
//!
//! A row with which no session could begin any more may be within an open one, but not lengthen it. So
//! what is late stays late, and the key of a row that has been in a closed session is still known
//! wherever an open one (which can overlap it where one was cut) would take the row again: each may be
//! sent once more at any time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pane::Pending;
use super::runs::{Runs, Sheet, Stream};
use crate::batch::{Closing, Step};
use crate::domain::time::Timestamp;

#[derive(Debug)]
pub(super) struct Sessions {
    /// Index into `Plan::windows`.
    index: usize,
    /// ms
    gap: i64,
    longest: i64,
    runs: Runs,
    state: State,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    mark: Option<i64>,
    /// By label, then by first row.
    open: BTreeMap<Box<str>, Vec<Session>>,
    /// The rows of each pane; a session has one, or several after it has been joined.
    panes: BTreeMap<i64, Pending>,
    next_pane: i64,
    /// No session ends before this.
    soonest: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    /// Time of the first and of the last row, ms.
    first: i64,
    last: i64,
    panes: Vec<i64>,
}

impl Session {
    /// Exclusive.
    fn end(&self, gap: i64, longest: i64) -> i64 {
        (self.last + gap).min(self.first + longest)
    }
}

/// A session that has come to its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) closing: Closing,
    panes: Vec<i64>,
}

impl Sessions {
    pub(super) fn new(index: usize, gap: i64, longest: i64) -> Self {
        let (gap, longest) = (gap.max(1), longest.max(1));
        Self { index, gap, longest, runs: Runs::default(), state: State::default() }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn restore(&mut self, state: State) {
        self.state = state;
    }

    /// Rows before this moment are in no open session.
    pub(super) fn open_from(&self) -> i64 {
        let first = self.state.open.values().filter_map(|s| Some(s.first()?.first)).min();
        let new = self.state.mark.map_or(i64::MIN, |mark| mark.saturating_sub(self.gap));
        first.map_or(new, |first| first.min(new))
    }

    /// Whether a session could still begin with a row of this label, or it is within an open one. Once
    /// it is not, it never is again: a session that has its first row before `time`, and ends after a
    /// mark that `time + gap` does not reach, has rows after it as well.
    pub(super) fn takes(&self, label: &str, time: i64) -> bool {
        let begins = self.state.mark.is_none_or(|mark| time + self.gap > mark);
        let within = |session: &Session| session.first <= time && time <= session.last;
        begins || self.state.open.get(label).is_some_and(|open| open.iter().any(within))
    }

    fn joins(&self, session: &Session, time: i64) -> bool {
        time - session.last < self.gap
            && session.first - time < self.gap
            && session.last.max(time) - session.first.min(time) < self.longest
    }

    /// Takes a row for which `takes` holds.
    pub(super) fn take(&mut self, label: &str, time: i64, row: u32) {
        if !self.state.open.contains_key(label) {
            self.state.open.insert(label.into(), Vec::new());
        }
        let (gap, longest) = (self.gap, self.longest);
        let touching = {
            let sessions = self.state.open.get(label).map_or(&[][..], Vec::as_slice);
            sessions.iter().position(|session| self.joins(session, time))
        };
        let Some(sessions) = self.state.open.get_mut(label) else { return };
        let at = if let Some(at) = touching {
            let session = &mut sessions[at];
            session.first = session.first.min(time);
            session.last = session.last.max(time);
            // The row may be what was missing between this session and the next one.
            let next = sessions.get(at + 1).filter(|next| {
                next.first - sessions[at].last < gap && next.last - sessions[at].first < longest
            });
            if next.is_some() {
                let next = sessions.remove(at + 1);
                sessions[at].last = sessions[at].last.max(next.last);
                sessions[at].panes.extend(next.panes);
            }
            at
        } else {
            let pane = self.state.next_pane;
            self.state.next_pane += 1;
            let at = sessions.partition_point(|session| session.first <= time);
            sessions.insert(at, Session { first: time, last: time, panes: vec![pane] });
            at
        };
        let end = sessions[at].end(gap, longest);
        self.state.soonest = Some(self.state.soonest.map_or(end, |soonest| soonest.min(end)));
        let pane = sessions[at].panes[0];
        self.runs.add(pane, 0, row);
    }

    pub(super) fn gather(
        &mut self,
        sheets: &[Option<Sheet<'_>>],
        streams: &[Stream],
        steps: &mut Vec<Step>,
    ) {
        let (window, panes) = (self.index, &mut self.state.panes);
        self.runs.drain(sheets, streams, |pane, stream, rows| {
            let pending = panes.entry(pane).or_default();
            pending.push(rows, |rows| steps.push(Step::Fold { window, pane, stream, rows }));
        });
    }

    pub(super) fn is_due(&self, mark: i64) -> bool {
        self.state.soonest.is_some_and(|soonest| soonest <= mark)
    }

    pub(super) fn moved(&mut self, mark: i64) {
        self.state.mark = Some(mark);
    }

    /// The sessions that end at or before this mark, by end and label. They have to be `close`d
    /// before the next row.
    pub(super) fn due(&mut self, mark: i64) -> Vec<Ended> {
        let (gap, longest) = (self.gap, self.longest);
        let mut ended = Vec::new();
        let mut soonest = None::<i64>;
        self.state.open.retain(|_, sessions| {
            sessions.retain(|session| {
                let end = session.end(gap, longest);
                if end > mark {
                    soonest = Some(soonest.map_or(end, |soonest| soonest.min(end)));
                    return true;
                }
                ended.push((end, session.clone()));
                false
            });
            !sessions.is_empty()
        });
        self.state.soonest = soonest;
        // Stable: of equal ends the labels are in order.
        ended.sort_by_key(|(end, _)| *end);
        let window = self.index;
        let closing = |(end, session): (i64, Session)| {
            let start = Timestamp::from_millis(session.first)?;
            let end = Timestamp::from_millis(end)?;
            let closing = Closing { window, start, end, revision: 1 };
            Some(Ended { closing, panes: session.panes })
        };
        ended.into_iter().filter_map(closing).collect()
    }

    pub(super) fn close(&mut self, ended: Ended, steps: &mut Vec<Step>) {
        let window = self.index;
        for pane in &ended.panes {
            if let Some(rows) = self.state.panes.remove(pane).and_then(|mut pending| pending.take())
            {
                steps.push(Step::Fold { window, pane: *pane, stream: 0, rows });
            }
        }
        let gone = ended.panes.clone();
        steps.push(Step::Close { closing: ended.closing, panes: ended.panes });
        steps.extend(gone.into_iter().map(|pane| Step::Forget { window, pane }));
    }
}

//! What has to become of each reading, worked out the long way from what ARCHITECTURE.md says: every
//! row is kept, every sensor is looked at each time, and sessions are joined anew. Nothing in here asks
//! the engine for a mark.

use std::collections::{BTreeMap, BTreeSet};

/// ms
const LATENESS: i64 = 10_000;
const IDLE_AFTER: i64 = 90_000;

/// How a window of the pipeline lies in time, ms.
#[derive(Clone, Copy, Debug)]
pub enum Lies {
    Slots { size: i64, every: i64, accept_for: i64 },
    Session { gap: i64 },
}

#[derive(Clone, Debug)]
pub struct Definition {
    pub name: &'static str,
    pub sources: &'static [usize],
    pub lies: Lies,
}

/// What is to become of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Accepted { revised: bool },
    Duplicate,
    Late,
}

#[derive(Clone, Debug)]
pub struct Reading {
    pub source: usize,
    pub sensor: String,
    /// ms
    pub ts: i64,
    /// Tells readings apart; a repeat has that of the first.
    pub n: i64,
    /// ms
    pub received: i64,
}

/// The sensors of a source, and how far its time has come.
#[derive(Default)]
struct Sensors {
    /// Newest event time, and when it was received.
    newest: BTreeMap<String, (i64, i64)>,
    first_receipt: Option<i64>,
    now: i64,
    watermark: Option<i64>,
}

impl Sensors {
    /// Clock: receipt plus the lower median of what the sensors' times are off by. The oldest sensor
    /// within `idle_after` of it counts; with none, the clock alone.
    fn settle(&mut self, now: i64) {
        self.now = self.now.max(now);
        if self.first_receipt.is_none_or(|first| self.now < first + LATENESS) {
            return;
        }
        let mut off: Vec<i64> = self.newest.values().map(|(newest, at)| newest - at).collect();
        off.sort_unstable();
        let floor = self.now + off[(off.len() - 1) / 2] - IDLE_AFTER;
        let counting = self.newest.values().map(|(newest, _)| *newest).filter(|n| *n >= floor);
        let reached = counting.min().unwrap_or(floor) - LATENESS;
        self.watermark = Some(self.watermark.map_or(reached, |before| before.max(reached)));
    }

    fn observe(&mut self, reading: &Reading) {
        let now = self.now;
        self.first_receipt.get_or_insert(now);
        let newest = self.newest.entry(reading.sensor.clone()).or_insert((i64::MIN, now));
        if reading.ts > newest.0 {
            *newest = (reading.ts, now);
        }
        self.settle(now);
    }
}

/// The rows of a window of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// When it first closed.
    pub in_time: Vec<i64>,
    /// After its last revision.
    pub all: Vec<i64>,
}

pub struct Reference {
    definitions: Vec<Definition>,
    sensors: Vec<Sensors>,
    /// Of each window.
    marks: Vec<i64>,
    seen: BTreeSet<(usize, String, i64, i64)>,
    /// By window and start.
    pub slots: BTreeMap<(usize, i64), Slot>,
    /// Rows of sessions that are open, by window and sensor: time and `n`.
    open: BTreeMap<(usize, String), Vec<(i64, i64)>>,
    /// Window, start, end, rows.
    pub sessions: BTreeSet<(usize, i64, i64, Vec<i64>)>,
}

impl Reference {
    pub fn new(definitions: &[Definition], sources: usize) -> Self {
        Self {
            definitions: definitions.to_vec(),
            sensors: (0..sources).map(|_| Sensors::default()).collect(),
            marks: vec![i64::MIN; definitions.len()],
            seen: BTreeSet::new(),
            slots: BTreeMap::new(),
            open: BTreeMap::new(),
            sessions: BTreeSet::new(),
        }
    }

    /// Receipt time has come to `now`, ms.
    pub fn tick(&mut self, now: i64) {
        for sensors in &mut self.sensors {
            sensors.settle(now);
        }
        self.close();
    }

    /// A reading of this time, less a millisecond where it speaks for what was before.
    pub fn read(&mut self, reading: &Reading, time: i64) -> Fate {
        self.tick(reading.received);
        let fate = self.judge(reading, time);
        self.sensors[reading.source].observe(reading);
        self.close();
        fate
    }

    fn judge(&mut self, reading: &Reading, time: i64) -> Fate {
        let over = |d: &&(usize, Definition)| d.1.sources.contains(&reading.source);
        let definitions: Vec<_> = self.definitions.iter().cloned().enumerate().collect();
        let (mut slots, mut sessions) = (Vec::new(), Vec::new());
        for (window, definition) in definitions.iter().filter(over) {
            let (window, mark) = (*window, self.marks[*window]);
            match definition.lies {
                Lies::Slots { size, every, accept_for } => {
                    let last = time.div_euclid(every) * every;
                    let starts = (0..size / every).map(|back| last - back * every);
                    let open = starts.filter(|start| start + size + accept_for > mark);
                    slots.extend(open.map(|start| (window, start, start + size <= mark)));
                }
                Lies::Session { gap } => {
                    let key = (window, reading.sensor.clone());
                    let mut rows = self.open.get(&key).cloned().unwrap_or_default();
                    rows.sort_unstable();
                    let within = rows.chunk_by(|row, next| next.0 - row.0 < gap).any(|session| {
                        (session[0].0..=session[session.len() - 1].0).contains(&time)
                    });
                    if time + gap > mark || within {
                        sessions.push(key);
                    }
                }
            }
        }
        if slots.is_empty() && sessions.is_empty() {
            return Fate::Late;
        }
        let key = (reading.source, reading.sensor.clone(), reading.ts, reading.n);
        if !self.seen.insert(key) {
            return Fate::Duplicate;
        }
        let revised = slots.iter().any(|(.., closed)| *closed);
        for (window, start, closed) in slots {
            let slot = self.slots.entry((window, start)).or_default();
            slot.all.push(reading.n);
            slot.in_time.extend((!closed).then_some(reading.n));
        }
        for key in sessions {
            self.open.entry(key).or_default().push((time, reading.n));
        }
        Fate::Accepted { revised }
    }

    /// A window's mark is the lowest watermark of its sources that have spoken, and never goes back. A
    /// source that has just begun to speak holds it.
    fn close(&mut self) {
        for (window, definition) in self.definitions.iter().enumerate() {
            let sensors = definition.sources.iter().map(|source| &self.sensors[*source]);
            let spoken = sensors.filter(|sensors| sensors.first_receipt.is_some());
            let lowest = spoken.map(|sensors| sensors.watermark).min().flatten();
            self.marks[window] = self.marks[window].max(lowest.unwrap_or(i64::MIN));
        }
        self.close_sessions();
    }

    fn close_sessions(&mut self) {
        for ((window, sensor), mut rows) in std::mem::take(&mut self.open) {
            let Lies::Session { gap } = self.definitions[window].lies else { continue };
            rows.sort_unstable();
            for session in rows.chunk_by(|row, next| next.0 - row.0 < gap) {
                let (start, end) = (session[0].0, session[session.len() - 1].0 + gap);
                if end > self.marks[window] {
                    let still = self.open.entry((window, sensor.clone())).or_default();
                    still.extend(session);
                } else {
                    let mut rows: Vec<i64> = session.iter().map(|(_, n)| *n).collect();
                    rows.sort_unstable();
                    self.sessions.insert((window, start, end, rows));
                }
            }
        }
    }

    pub fn finish(&mut self) {
        self.marks.fill(i64::MAX);
        self.close_sessions();
    }
}

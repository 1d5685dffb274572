//! The readings of a run, in the order in which they are sent, and what has to become of each.
//!
//! Every sensor reports once an interval, one after the other, so the stream is in order but for
//! the faults that are put in: 2 % come up to 15 s of event time late, 0.1 % four minutes late,
//! 0.1 % twice; one sensor falls silent after its first reading, and one has a clock that is a day
//! ahead. All that follows from the seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Size of the windows, ms.
pub const WINDOW_MS: i64 = 60_000;
/// What the pipeline waits for stragglers, ms.
pub const LATENESS_MS: i64 = 10_000;

const OUT_OF_ORDER: f64 = 0.02;
const OUT_OF_ORDER_MS: i64 = 15_000;
const LATE: f64 = 0.001;
const LATE_MS: i64 = 240_000;
const TWICE: f64 = 0.001;
const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Accepted,
    Duplicate,
    Late,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    pub sensor: u32,
    /// Event time, ms: the end of the interval.
    pub ts: i64,
    pub fate: Fate,
}

/// What must come out, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub received: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub late: u64,
    pub dead: u64,
}

impl Counts {
    pub fn add(&mut self, fate: Fate) {
        self.received += 1;
        match fate {
            Fate::Accepted => self.accepted += 1,
            Fate::Duplicate => self.duplicate += 1,
            Fate::Late => self.late += 1,
            Fate::Dead => self.dead += 1,
        }
    }
}

/// The readings of one segment in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub accepted: u32,
    /// Repeats and late ones, which some count and some do not.
    pub others: u32,
}

/// A window that a reading closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Index of the reading in its stretch.
    pub at: usize,
    /// The window's end, ms.
    pub end: i64,
}

/// Some readings in a row.
#[derive(Debug, Default)]
pub struct Stretch {
    pub readings: Vec<Reading>,
    pub closings: Vec<Closing>,
}

pub struct Stream {
    rng: SmallRng,
    sensors: u32,
    interval_ms: i64,
    start_ms: i64,
    /// Where the wrong clock begins: a day ahead of where the stream ends.
    future_ms: i64,
    slot: u64,
    /// Readings that were held back, by the slot at which they come.
    held: BinaryHeap<Reverse<(u64, Reading)>>,
    /// Newest event time of each sensor that counts.
    newest: Vec<i64>,
    /// The end of the window that closes next, and how many sensors it still waits for.
    next_end: i64,
    waits_for: usize,
    pub sent: Counts,
    /// What each window has of each segment, by the window's end; nothing of the wrong clock.
    pub cells: BTreeMap<i64, Vec<Cell>>,
}

impl Stream {
    /// A stream of `most` readings at most that ends before `now_ms`.
    pub fn new(sensors: u32, interval_ms: i64, most: u64, now_ms: i64) -> Self {
        let rounds = i64::try_from(most / u64::from(sensors)).unwrap_or(i64::MAX / DAY_MS) + 2;
        let start_ms = (now_ms - rounds * interval_ms).div_euclid(WINDOW_MS) * WINDOW_MS;
        let mut stream = Self {
            rng: SmallRng::seed_from_u64(7),
            sensors,
            interval_ms,
            start_ms,
            future_ms: now_ms + DAY_MS,
            slot: 0,
            held: BinaryHeap::new(),
            newest: vec![i64::MIN; sensors as usize],
            next_end: start_ms + WINDOW_MS,
            waits_for: 0,
            sent: Counts::default(),
            cells: BTreeMap::new(),
        };
        for silent in [stream.idle_sensor(), stream.wrong_sensor()] {
            stream.newest[silent as usize] = i64::MAX;
        }
        stream.wait_for(stream.next_end);
        stream
    }

    fn idle_sensor(&self) -> u32 {
        self.sensors / 3
    }

    fn wrong_sensor(&self) -> u32 {
        self.sensors / 2
    }

    /// Every sensor once, in order.
    pub fn first_round(&mut self) -> Stretch {
        self.stretch(self.sensors as usize)
    }

    /// So many readings, and on to a little behind the next one that closes a window.
    pub fn up_to_a_closing(&mut self, least: usize) -> Stretch {
        let mut stretch = self.stretch(least);
        let closed = stretch.closings.len();
        while stretch.closings.len() == closed {
            self.next(&mut stretch);
        }
        for _ in 0..100 {
            self.next(&mut stretch);
        }
        stretch
    }

    /// A long run need not hold what nobody compares.
    pub fn forget_cells(&mut self) {
        self.cells.clear();
    }

    fn stretch(&mut self, readings: usize) -> Stretch {
        let mut stretch = Stretch::default();
        stretch.readings.reserve(readings + 1_000);
        for _ in 0..readings {
            self.next(&mut stretch);
        }
        stretch
    }

    fn next(&mut self, stretch: &mut Stretch) {
        let reading = self.reading();
        self.sent.add(reading.fate);
        if reading.fate != Fate::Dead {
            let end = (reading.ts - 1).div_euclid(WINDOW_MS) * WINDOW_MS + WINDOW_MS;
            let sensors = self.sensors as usize;
            let cells = self.cells.entry(end).or_insert_with(|| vec![Cell::default(); sensors]);
            let cell = &mut cells[reading.sensor as usize];
            match reading.fate {
                Fate::Accepted => cell.accepted += 1,
                _ => cell.others += 1,
            }
            if self.closes(reading) {
                stretch.closings.push(Closing { at: stretch.readings.len(), end: self.next_end });
                self.wait_for(self.next_end + WINDOW_MS);
            }
        }
        stretch.readings.push(reading);
    }

    /// The pipeline's watermark: the oldest of the sensors' newest event times, less lateness.
    fn closes(&mut self, reading: Reading) -> bool {
        let newest = &mut self.newest[reading.sensor as usize];
        if reading.ts <= *newest {
            return false;
        }
        let needed = self.next_end + LATENESS_MS;
        let arrived = *newest < needed && reading.ts >= needed;
        *newest = reading.ts;
        if arrived {
            self.waits_for -= 1;
        }
        arrived && self.waits_for == 0
    }

    fn wait_for(&mut self, end: i64) {
        self.next_end = end;
        self.waits_for = self.newest.iter().filter(|&&ts| ts < end + LATENESS_MS).count();
    }

    fn reading(&mut self) -> Reading {
        loop {
            if let Some(Reverse((due, reading))) = self.held.peek().copied()
                && due <= self.slot
            {
                self.held.pop();
                return reading;
            }
            let (slot, sensors) = (self.slot, u64::from(self.sensors));
            self.slot += 1;
            let sensor = u32::try_from(slot % sensors).unwrap_or_default();
            let round = i64::try_from(slot / sensors).unwrap_or_default();
            let phase = self.interval_ms * i64::from(sensor) / i64::from(self.sensors);
            let since_start = round * self.interval_ms + phase + 1;
            let ts = self.start_ms + since_start;
            if sensor == self.wrong_sensor() {
                return Reading { sensor, ts: self.future_ms + since_start, fate: Fate::Dead };
            }
            let reading = Reading { sensor, ts, fate: Fate::Accepted };
            if round == 0 {
                return reading;
            }
            if sensor == self.idle_sensor() {
                continue;
            }
            let dice: f64 = self.rng.random();
            if dice < TWICE {
                let again = Reading { fate: Fate::Duplicate, ..reading };
                self.held.push(Reverse((self.slot, again)));
                return reading;
            }
            let (behind_ms, fate) = if dice < TWICE + LATE {
                (LATE_MS, Fate::Late)
            } else if dice < TWICE + LATE + OUT_OF_ORDER {
                (self.rng.random_range(1..=OUT_OF_ORDER_MS), Fate::Accepted)
            } else {
                return reading;
            };
            let slots = behind_ms * i64::from(self.sensors) / self.interval_ms;
            let due = self.slot + u64::try_from(slots).unwrap_or_default().max(1);
            self.held.push(Reverse((due, Reading { fate, ..reading })));
        }
    }
}

//! The only place that asks the machine for the time; and a clock that is set by hand, for replay
//! and tests.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::time::{Timestamp, millis_of};
use crate::ports::Clock;

/// The machine's clocks: UTC for `now`, the monotonic one for `elapsed`.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
    /// UTC then.
    started_at: Timestamp,
}

impl SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that the rule protects")]
    pub fn new() -> Self {
        Self { started: Instant::now(), started_at: utc() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        utc()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn set_by_ms(&self) -> i64 {
        utc().millis() - self.started_at.millis() - millis_of(self.started.elapsed())
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the clock that the rule protects")]
fn utc() -> Timestamp {
    // A machine set to the year 10000 gets the epoch; every reading is then refused as future.
    Timestamp::from_millis(chrono::Utc::now().timestamp_millis()).unwrap_or_default()
}

/// A clock whose UTC begins at a given moment and runs faster than the world's, for showing a
/// recording. `elapsed` stays the machine's: what a deadline measures is work, not traffic.
#[derive(Clone, Copy, Debug)]
pub struct ScaledClock {
    start: Timestamp,
    speed: f64,
    machine: SystemClock,
}

impl ScaledClock {
    /// Shows `start` now and goes `speed` times as fast as time does.
    pub fn new(start: Timestamp, speed: f64) -> Self {
        Self { start, speed, machine: SystemClock::new() }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        self.start + self.machine.elapsed().mul_f64(self.speed)
    }

    fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }
}

/// A clock that stands still until it is set. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    reading: Arc<Mutex<(Timestamp, Duration)>>,
    set_by_ms: Arc<AtomicI64>,
}

impl ManualClock {
    pub fn new(now: Timestamp) -> Self {
        Self { reading: Arc::new(Mutex::new((now, Duration::ZERO))), ..Self::default() }
    }

    /// Sets UTC. The monotonic time follows it forward and never goes back.
    pub fn set(&self, now: Timestamp) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let forward = now.since(reading.0);
        reading.0 = now;
        reading.1 = reading.1.saturating_add(forward);
    }

    /// Sets UTC by so many milliseconds, either way; no time passes.
    pub fn step(&self, by: i64) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.0 = reading.0.moved(by);
        self.set_by_ms.fetch_add(by, Ordering::SeqCst);
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn elapsed(&self) -> Duration {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn set_by_ms(&self) -> i64 {
        self.set_by_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_set_back_does_not_turn_elapsed_back() {
        let clock = ManualClock::new(Timestamp::parse("2008-11-11T07:00:00Z").unwrap());
        let twin = clock.clone();
        clock.advance(Duration::from_secs(5));
        clock.set(Timestamp::parse("2008-11-11T06:00:00Z").unwrap());
        assert_eq!(twin.now().to_string(), "2008-11-11T06:00:00.000Z");
        assert_eq!(twin.elapsed(), Duration::from_secs(5));
    }

    #[test]
    fn the_system_clock_goes_forward() {
        let clock = SystemClock::new();
        let first = clock.elapsed();
        assert!(clock.elapsed() >= first);
        assert!(clock.now() > Timestamp::parse("2024-01-01T00:00:00Z").unwrap());
    }
}

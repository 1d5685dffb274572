//! Readings that cannot be true: of one window by itself, or of several in a row.
//!
//! Knows the values of one segment only. Compares nothing with its neighbours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::CongestionLevel;
use crate::domain::time::Timestamp;

use super::columns::Observation;

/// Faster than any car in a network with streets (DESIGN: impossible readings).
const MAX_SPEED_KMH: f64 = 200.0;

/// Windows' worth of time for which vehicles may be counted while occupancy is exactly zero. A car
/// that crosses a loop covers it for half a second, so even one window of this is odd.
const NO_OCCUPANCY_WINDOWS: u32 = 3;

/// Windows' worth of time for which speed, count and occupancy may all stay the same to the last
/// digit. Measured in time, since windows that overlap repeat themselves.
const STUCK_WINDOWS: u32 = 5;

/// Jumps between free flow and standing traffic, from one window to the next ...
const FLAPPING_JUMPS: u32 = 6;
/// ... among this many changes of window. A signal makes speeds swing, but not from one end of the
/// scale to the other in nearly every window.
const FLAPPING_AMONG: u32 = 8;

/// A segment that was faulty is believed again after this many plausible windows in a row.
const TRUST_AFTER: u32 = 3;

/// Why a segment's detectors are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    ImpossibleSpeed,
    ImpossibleOccupancy,
    ImpossibleCount,
    FlowWithoutOccupancy,
    Stuck,
    Flapping,
}

impl Fault {
    pub fn word(self) -> &'static str {
        match self {
            Self::ImpossibleSpeed => "impossible_speed",
            Self::ImpossibleOccupancy => "impossible_occupancy",
            Self::ImpossibleCount => "impossible_count",
            Self::FlowWithoutOccupancy => "flow_without_occupancy",
            Self::Stuck => "stuck",
            Self::Flapping => "flapping",
        }
    }
}

/// What the screen remembers of one segment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Screen {
    last: Option<Observation>,
    same_since: Option<Timestamp>,
    no_occupancy_since: Option<Timestamp>,
    last_level: Option<CongestionLevel>,
    /// One bit a change of window, newest lowest: whether it was a jump.
    jumps: u8,
    fault: Option<Fault>,
    /// Plausible windows since the fault.
    plausible: u32,
}

impl Screen {
    /// The fault that keeps this window from being believed, if any: its own, or an earlier one
    /// that is not yet forgotten.
    pub(super) fn check(
        &mut self,
        observation: Observation,
        level: Option<CongestionLevel>,
        start: Timestamp,
        end: Timestamp,
        size: Duration,
    ) -> Option<Fault> {
        let repeated = self.repeated(observation, start);
        let stuck = repeated.is_some_and(|since| lasted(since, end, size, STUCK_WINDOWS));
        let no_occupancy = self.without_occupancy(observation, start);
        let no_occupancy =
            no_occupancy.is_some_and(|since| lasted(since, end, size, NO_OCCUPANCY_WINDOWS));
        let flapping = self.flaps(level);
        let fault = impossible(observation)
            .or(stuck.then_some(Fault::Stuck))
            .or(no_occupancy.then_some(Fault::FlowWithoutOccupancy))
            .or(flapping.then_some(Fault::Flapping));
        if fault.is_some() {
            self.fault = fault;
            self.plausible = 0;
        } else if self.fault.is_some() {
            self.plausible += 1;
            if self.plausible >= TRUST_AFTER {
                self.fault = None;
            }
        }
        self.fault
    }

    /// Since when the same values have come again and again. Only traffic can be stuck: an empty
    /// road at night is the same for hours.
    fn repeated(&mut self, observation: Observation, start: Timestamp) -> Option<Timestamp> {
        let traffic = observation.speed().is_some() && observation.vehicles.is_some();
        if !traffic || self.last != Some(observation) {
            self.same_since = traffic.then_some(start);
        }
        self.last = Some(observation);
        self.same_since
    }

    fn without_occupancy(
        &mut self,
        observation: Observation,
        start: Timestamp,
    ) -> Option<Timestamp> {
        let odd =
            observation.vehicles.is_some_and(|v| v > 0.0) && observation.occupancy_pct == Some(0.0);
        self.no_occupancy_since = odd.then_some(self.no_occupancy_since.unwrap_or(start));
        self.no_occupancy_since
    }

    fn flaps(&mut self, level: Option<CongestionLevel>) -> bool {
        if let Some(level) = level {
            use CongestionLevel::{FreeFlow, Stationary};
            let jump = matches!(
                (self.last_level, level),
                (Some(FreeFlow), Stationary) | (Some(Stationary), FreeFlow)
            );
            // Eight bits are the memory: `FLAPPING_AMONG`.
            self.jumps = self.jumps << 1 | u8::from(jump);
            self.last_level = Some(level);
        }
        debug_assert_eq!(u8::BITS, FLAPPING_AMONG);
        self.jumps.count_ones() >= FLAPPING_JUMPS
    }
}

/// Values that no traffic can give.
fn impossible(observation: Observation) -> Option<Fault> {
    let outside = |value: Option<f64>, max: f64| value.is_some_and(|v| !(0.0..=max).contains(&v));
    if outside(observation.speed_kmh, MAX_SPEED_KMH) {
        Some(Fault::ImpossibleSpeed)
    } else if outside(observation.occupancy_pct, 100.0) {
        Some(Fault::ImpossibleOccupancy)
    } else if outside(observation.vehicles, f64::MAX) {
        Some(Fault::ImpossibleCount)
    } else {
        None
    }
}

fn lasted(since: Timestamp, end: Timestamp, size: Duration, windows: u32) -> bool {
    end.since(since) >= size.saturating_mul(windows)
}

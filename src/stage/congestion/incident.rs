//! A road that has fallen empty while drivers wait before it: an incident that nobody announced.
//!
//! After the idea of the California algorithm (Payne and Tignor 1978): a contrast between up- and
//! downstream that persists. Behind signals occupancy and counts swing with every cycle, so each
//! detector is compared with its own recent past instead of its neighbour's value: fewer vehicles
//! than at any time in a quarter of an hour here, and slower ones than usual upstream. A detector
//! that has died shows the first without the second. When the rush hour ends all roads empty, some
//! of them while the last queues dissolve: so the missing vehicles are counted by the day's traffic,
//! and who waits upstream must still be many.
//!
//! Knows nothing of levels or of what was announced.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::columns::Observation;
use super::nearby::{Look, before, near, visit_before};
use crate::domain::network::{Network, SegmentId};
use crate::domain::time::Timestamp;

/// Windows that are remembered: a quarter of an hour of minutes.
const MEMORY: usize = 16;

/// Fewer remembered windows say nothing.
const ENOUGH: usize = 6;

/// So many windows in a row must agree (persistence).
const PERSISTENCE: usize = 2;

/// A window is nearly empty with this share of the usual vehicles, or with one: a bus may still pass ...
const EMPTY_SHARE: f64 = 0.1;

/// ... and two neighbouring windows are emptier than ever with this share of the least two that are
/// remembered: cycles longer than a window make one window in two nearly empty.
const LEAST_SHARE: f64 = 0.25;

/// Streets with fewer vehicles a window are not judged.
const LEAST_USUAL: f64 = 5.0;

/// So many vehicles must be missing. By chance alone a tenth of them would come once in a hundred
/// million times (Poisson), but signals and platoons make chance far more common; of ordinary days
/// in the closed loop this value and the two before leave one false alarm in two hours.
const LEAST_MISSING: f64 = 30.0;

/// Where drivers usually queue (DATEX: below this share of free-flow speed), a road that empties has
/// been released.
const QUEUING_SHARE: f64 = 0.25;

/// The road is believed to be open again with this share of the usual vehicles.
const FLOWING_SHARE: f64 = 0.25;

/// Drivers upstream wait when they drive this share of their usual speed, or less ...
const WAITING_SPEED_SHARE: f64 = 0.7;

/// ... while no fewer than this share of the usual vehicles are there ...
const WAITING_TRAFFIC_SHARE: f64 = 0.75;

/// ... or cover the detector so many times as long as usual, and this percentage of time at least.
const WAITING_OCCUPANCY_RISE: f64 = 2.0;
const WAITING_OCCUPANCY_PCT: f64 = 15.0;

/// When nobody waits upstream any more after this time, the road may be open and avoided by all for
/// our own words: the incident is given up. If it is not over, drivers will wait again. A flow of which
/// nothing is heard says nothing more so long after its segment is unknown: who fell silent while they
/// waited do not wait for ever, and a few windows that are missing change nothing.
const PROBE_AFTER: Duration = Duration::from_mins(10);

/// For so long drivers who wait for a blocked road are compared with what was usual before it was found:
/// with what they have come to, nobody would be seen to wait after a quarter of an hour. Not for ever: a
/// detector that died as a rush hour began looks like a blocked road. Most incidents are cleared within
/// the hour.
const USUAL_KEPT: Duration = Duration::from_hours(1);

/// What one feed's windows say of the flow on one segment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flow {
    /// Ordinary windows, newest last.
    past: VecDeque<Told>,
    /// The newest nearly empty windows in a row, newest last.
    low: VecDeque<Told>,
    /// Vehicles in the newest window.
    newest: f64,
    /// Vehicles in a window of `past`; absent where too little is known or too little passes to
    /// judge.
    usual: Option<f64>,
    /// From here on all this is out of date; absent before the first window.
    #[serde(default)]
    until: Option<Timestamp>,
    /// Windows that end before this take each other's place at the end of `past`, where the rest stays.
    #[serde(default)]
    usual_until: Option<Timestamp>,
}

/// One window. There are some hundred thousand of them in a unit: no figure here needs more digits, and
/// what was not measured is no number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Told {
    vehicles: f32,
    speed_kmh: f32,
    occupancy_pct: f32,
}

impl Told {
    fn speed_kmh(&self) -> Option<f64> {
        measured(self.speed_kmh)
    }

    fn occupancy_pct(&self) -> Option<f64> {
        measured(self.occupancy_pct)
    }
}

fn measured(figure: f32) -> Option<f64> {
    (!figure.is_nan()).then(|| f64::from(figure))
}

impl Flow {
    /// What was usual no longer is.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Keeps what is usual until then, whatever comes.
    pub(super) fn keep_usual(&mut self, until: Option<Timestamp>) {
        self.usual_until = until;
    }

    /// What it says is not out of date.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Takes the next window that counted; after `silence` the segment would be unknown.
    pub(super) fn push(&mut self, observation: Observation, end: Timestamp, silence: Duration) {
        let Some(vehicles) = observation.vehicles else { return };
        if self.until.is_some_and(|until| until <= end) {
            self.forget();
        }
        self.until = Some(end + silence.saturating_add(PROBE_AFTER));
        let told = Told {
            vehicles: vehicles as f32,
            speed_kmh: observation.speed().map_or(f32::NAN, |speed| speed as f32),
            occupancy_pct: observation.occupancy_pct.map_or(f32::NAN, |percent| percent as f32),
        };
        self.newest = vehicles;
        if self.usual.is_some_and(|usual| vehicles <= (EMPTY_SHARE * usual).max(1.0)) {
            remember(&mut self.low, told);
            return;
        }
        // A few empty windows between ordinary ones are ordinary; a long emptiness is not to become
        // the measure of the next one.
        if self.low.len() < 2 * PERSISTENCE {
            for low in std::mem::take(&mut self.low) {
                remember(&mut self.past, low);
            }
        }
        self.low.clear();
        let kept = self.usual_until.is_some_and(|until| end < until);
        if kept && self.past.len() >= ENOUGH + PERSISTENCE {
            self.past.remove(self.past.len() - PERSISTENCE);
        }
        remember(&mut self.past, told);
        let enough = self.past.len() >= ENOUGH;
        let usual = enough.then(|| mean(self.past.iter().map(self::vehicles))).flatten();
        self.usual = usual.filter(|usual| *usual >= LEAST_USUAL);
    }

    /// Vehicles in the newest window and in a usual one.
    fn newest_and_usual(&self) -> Option<(f64, f64)> {
        Some((self.newest, self.usual?))
    }

    /// Persistently emptier than ever, where all roads have `day` of their usual traffic, 0 to 1.
    fn is_empty(&self, day: f64, limit_kmh: impl Fn() -> f64) -> bool {
        let Some(usual) = self.usual.filter(|_| self.low.len() >= PERSISTENCE) else {
            return false;
        };
        let speeds = self.past.iter().filter_map(Told::speed_kmh);
        if mean(speeds).is_some_and(|speed| speed < QUEUING_SHARE * limit_kmh()) {
            return false;
        }
        let expected = usual * self.low.len() as f64;
        let came: f64 = self.low.iter().map(vehicles).sum();
        if expected * day < LEAST_MISSING || came > EMPTY_SHARE * expected + 0.5 {
            return false;
        }
        let newest: f64 = self.low.iter().rev().take(PERSISTENCE).map(vehicles).sum();
        let past: Vec<f64> = self.past.iter().map(vehicles).collect();
        let least = past.windows(PERSISTENCE).map(|pair| pair.iter().sum::<f64>());
        least.min_by(f64::total_cmp).is_some_and(|least| newest <= LEAST_SHARE * least)
    }

    /// The newest window had vehicles.
    fn is_flowing(&self) -> bool {
        self.low.is_empty() && self.usual.is_some_and(|usual| self.newest >= FLOWING_SHARE * usual)
    }

    /// Whether drivers wait here more than they use to; absent where that cannot be told.
    fn is_waiting(&self) -> Option<bool> {
        let split = self.past.len().checked_sub(PERSISTENCE).filter(|usual| *usual >= ENOUGH)?;
        let many = contrast(&self.past, split, |told| Some(vehicles(told)))
            .is_some_and(|(usual, newest)| newest >= WAITING_TRAFFIC_SHARE * usual);
        let slower = contrast(&self.past, split, Told::speed_kmh)
            .is_some_and(|(usual, newest)| newest <= WAITING_SPEED_SHARE * usual);
        let fuller =
            contrast(&self.past, split, Told::occupancy_pct).is_some_and(|(usual, newest)| {
                newest >= WAITING_OCCUPANCY_PCT && newest >= WAITING_OCCUPANCY_RISE * usual
            });
        Some(self.low.is_empty() && (slower && many || fuller))
    }
}

fn remember(windows: &mut VecDeque<Told>, told: Told) {
    if windows.len() == MEMORY {
        windows.pop_front();
    }
    windows.push_back(told);
}

fn vehicles(told: &Told) -> f64 {
    f64::from(told.vehicles)
}

/// Means before and after the split, where both sides have values.
fn contrast(
    windows: &VecDeque<Told>,
    split: usize,
    value: impl Fn(&Told) -> Option<f64>,
) -> Option<(f64, f64)> {
    let usual = mean(windows.iter().take(split).filter_map(&value))?;
    let newest = mean(windows.iter().skip(split).filter_map(&value))?;
    Some((usual, newest))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// The incidents that were detected and are not over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Detected {
    /// Since when.
    since: BTreeMap<SegmentId, Timestamp>,
    found: u64,
}

impl Detected {
    pub(super) fn segments(&self) -> impl Iterator<Item = (SegmentId, Timestamp)> + '_ {
        self.since.iter().map(|(id, since)| (*id, *since))
    }

    /// Until when the segments before them keep what was usual.
    pub(super) fn usual_until(&self, network: &Network) -> BTreeMap<SegmentId, Timestamp> {
        let mut until = BTreeMap::new();
        for (id, since) in self.segments() {
            for before in before(network, id) {
                let until = until.entry(before).or_insert(since);
                *until = (*until).max(since + USUAL_KEPT);
            }
        }
        until
    }

    /// How many were found so far.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// Looks for new ones at the end of a window; `flows` gives those of all feeds for a segment. Roads
    /// that are known to be shut are nobody's discovery. True if something has changed.
    pub(super) fn find<'f, F: Iterator<Item = &'f Flow>>(
        &mut self,
        now: Timestamp,
        network: &Network,
        shut: impl Fn(SegmentId) -> bool,
        flows: impl Fn(SegmentId) -> F,
    ) -> bool {
        let before = self.found;
        let known = near(network, self.since.keys().copied());
        let all = network.segment_ids().flat_map(&flows).filter_map(Flow::newest_and_usual);
        let (newest, usual) = all.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let day = if usual > 0.0 { f64::min(newest / usual, 1.0) } else { 1.0 };
        for id in network.segment_ids().filter(|id| !shut(*id) && !known.contains(id)) {
            let limit_kmh = || network.segment(id).speed_limit_kmh;
            let empty = || flows(id).any(|flow| flow.is_empty(day, limit_kmh));
            let flowing = || flows(id).any(Flow::is_flowing);
            if empty() && !flowing() && waits_before(id, network, &flows) {
                tracing::info!(
                    segment = network.segment(id).name,
                    "empty while drivers wait before it: an incident"
                );
                self.since.insert(id, now);
                self.found += 1;
            }
        }
        self.found > before
    }

    /// Ends those that are over by now. True if something has changed.
    pub(super) fn end<'f, F: Iterator<Item = &'f Flow>>(
        &mut self,
        now: Timestamp,
        network: &Network,
        shut: impl Fn(SegmentId) -> bool,
        flows: impl Fn(SegmentId) -> F,
    ) -> bool {
        let before = self.since.len();
        self.since.retain(|&id, since| {
            let flowing = flows(id).any(Flow::is_flowing);
            let young = now.since(*since) < PROBE_AFTER;
            !shut(id) && !flowing && (young || waits_before(id, network, &flows))
        });
        self.since.len() < before
    }
}

/// Whether drivers wait on a segment before this one: the nearest ones upstream that can tell.
fn waits_before<'f, F: Iterator<Item = &'f Flow>>(
    id: SegmentId,
    network: &Network,
    flows: &impl Fn(SegmentId) -> F,
) -> bool {
    let mut waits = false;
    visit_before(network, id, |before| {
        let told: Vec<bool> = flows(before).filter_map(Flow::is_waiting).collect();
        waits |= told.contains(&true);
        if told.is_empty() { Look::Beyond } else { Look::NoFarther }
    });
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Flow {
        fn take(&mut self, observation: Observation) {
            self.push(observation, Timestamp::default(), Duration::from_mins(3));
        }
    }

    fn window(vehicles: f64, speed_kmh: f64) -> Observation {
        Observation {
            vehicles: Some(vehicles),
            speed_kmh: (vehicles > 0.0).then_some(speed_kmh),
            occupancy_pct: Some(5.0),
        }
    }

    fn flow(counts: &[f64]) -> Flow {
        let mut flow = Flow::default();
        for &count in counts {
            flow.take(window(count, 40.0));
        }
        flow
    }

    const USUAL: [f64; 8] = [23.0, 12.0, 24.0, 11.0, 20.0, 22.0, 18.0, 17.0];

    #[test]
    fn two_empty_windows_after_traffic_are_empty() {
        let mut flow = flow(&USUAL);
        assert!(flow.is_flowing() && !flow.is_empty(1.0, || 50.0));
        flow.take(window(0.0, 0.0));
        assert!(!flow.is_empty(1.0, || 50.0), "one red light is no incident");
        flow.take(window(0.0, 0.0));
        assert!(flow.is_empty(1.0, || 50.0) && !flow.is_flowing());
        for _ in 0..60 {
            flow.take(window(0.0, 0.0));
            assert!(flow.is_empty(1.0, || 50.0), "what is long empty does not become usual");
        }
        flow.take(window(9.0, 40.0));
        assert!(flow.is_flowing() && !flow.is_empty(1.0, || 50.0));
    }

    #[test]
    fn a_signal_that_empties_every_other_window_is_no_incident() {
        let mut flow = flow(&[35.0, 1.0, 35.0, 1.0, 34.0, 0.0, 36.0, 1.0, 35.0, 1.0]);
        assert!(!flow.is_empty(1.0, || 50.0));
        flow.take(window(0.0, 0.0));
        assert!(flow.is_empty(1.0, || 50.0), "two in a row never happened");
    }

    #[test]
    fn the_end_of_the_rush_hour_is_no_incident() {
        let mut flow = flow(&USUAL);
        flow.take(window(0.0, 0.0));
        flow.take(window(0.0, 0.0));
        assert!(
            flow.is_empty(0.9, || 50.0) && !flow.is_empty(0.6, || 50.0),
            "half of the town has gone home"
        );
        flow.take(window(0.0, 0.0));
        assert!(flow.is_empty(0.6, || 50.0), "but this is too long");
        assert_eq!(flow.newest_and_usual().map(|(newest, _)| newest), Some(0.0));
    }

    #[test]
    fn a_queue_that_is_released_is_no_incident() {
        let mut flow = Flow::default();
        for _ in 0..8 {
            flow.take(window(20.0, 9.0));
        }
        for _ in 0..3 {
            flow.take(window(0.0, 0.0));
        }
        assert!(flow.is_empty(1.0, || 30.0) && !flow.is_empty(1.0, || 50.0));
    }

    #[test]
    fn a_quiet_street_is_judged_later() {
        let mut flow = flow(&[6.0; 8]);
        for _ in 0..4 {
            flow.take(window(0.0, 0.0));
            assert!(!flow.is_empty(1.0, || 50.0));
        }
        flow.take(window(0.0, 0.0));
        assert!(flow.is_empty(1.0, || 50.0));
    }

    #[test]
    fn little_traffic_proves_nothing() {
        let mut flow = flow(&[4.0, 5.0, 3.0, 4.0, 6.0, 2.0, 3.0, 4.0]);
        for _ in 0..10 {
            flow.take(window(0.0, 0.0));
            assert!(!flow.is_empty(1.0, || 50.0));
        }
        let mut young = Flow::default();
        for count in [20.0, 20.0, 20.0, 0.0, 0.0] {
            young.take(window(count, 40.0));
        }
        assert!(!young.is_empty(1.0, || 50.0));
    }

    #[test]
    fn who_drives_slower_than_usual_or_stands_on_the_detector_waits() {
        let mut slower = flow(&USUAL);
        assert_eq!(slower.is_waiting(), Some(false));
        slower.take(window(20.0, 25.0));
        slower.take(window(20.0, 20.0));
        assert_eq!(slower.is_waiting(), Some(true));
        let mut fewer = flow(&USUAL);
        fewer.take(window(9.0, 25.0));
        fewer.take(window(7.0, 20.0));
        assert_eq!(fewer.is_waiting(), Some(false), "the last of a queue");
        let mut fuller = flow(&USUAL);
        for _ in 0..2 {
            fuller.take(Observation { occupancy_pct: Some(40.0), ..window(20.0, 40.0) });
        }
        assert_eq!(fuller.is_waiting(), Some(true));
        assert_eq!(flow(&[20.0; 3]).is_waiting(), None);
    }

    #[test]
    fn what_was_usual_before_a_long_silence_no_longer_is() {
        let mut flow = flow(&USUAL);
        let at = |minutes| Timestamp::default() + Duration::from_mins(minutes);
        assert!(flow.holds(at(12)) && !flow.holds(at(13)));
        flow.push(window(9.0, 40.0), at(12), Duration::from_mins(3));
        assert!(flow.is_flowing(), "a silence that is not long");
        flow.push(Observation { vehicles: None, ..window(9.0, 40.0) }, at(24), Duration::ZERO);
        assert!(!flow.holds(at(25)), "nobody was counted");
        flow.push(window(9.0, 40.0), at(25), Duration::from_mins(3));
        assert!(flow.holds(at(25)) && flow.usual.is_none() && flow.past.len() == 1);
    }
}

//! What the guidance has done so far: how restless it was, what it promised, and what came of it.
//!
//! When a direction begins, an imagined vehicle sets out on the told way and, where that can still be
//! driven, another one on the usual way. They move by the times that are measured while they are
//! under way, so that what they need is what a driver would have needed, not what was believed when
//! the direction was made. Knows nothing of how a way is chosen, and changes nothing about it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::congestion::{CongestionLevel, View};
use crate::domain::direction::Audience;
use crate::domain::network::{Costs, SegmentId};
use crate::domain::time::Timestamp;

use super::Shown;
use super::flips::Flips;
use super::load::{Load, Roads};
use super::times::Times;

/// Imagined vehicles on the road at a time: enough for a town, and no burden.
const MOST_UNDER_WAY: usize = 400;

/// Who has not arrived after so many times the promised seconds, and this many more, is counted as
/// he stands: a jam must not hide by lasting.
const GIVES_UP: f64 = 4.0;
const GIVES_UP_S: f64 = 600.0;

/// The effect of the guidance since the unit has begun. Times in seconds, traffic in vehicles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Effect {
    began: Option<Timestamp>,
    at: Option<Timestamp>,
    stood: Mean,
    least_stood_s: Option<f64>,
    told: Pair,
    saved: Pair,
    trips: Vec<Trip>,
    /// A second, headed since the last look for the troubles that are spoken of.
    headed_veh_s: f64,
    headed_veh: f64,
    told_veh: f64,
    /// Of those told, who should have passed a detector on the first road of the told way, and how
    /// many more than usual did.
    watched_veh: f64,
    seen_more_veh: f64,
    told_road_s: f64,
    overloaded_road_s: f64,
}

/// How the guidance fares (wire.md, status).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GuidanceReport {
    /// Changes of what a sign advises, appearing and vanishing included.
    pub flips: u64,
    pub flips_per_sign_hour: f64,
    /// Of any sign in any hour.
    pub flips_worst_hour: u64,
    /// For how long signs kept a way.
    pub dwell_s: Option<Spread>,
    /// Seconds on the told way: as reckoned when it was told, and as measured along it.
    pub told_way_s: Option<Promise>,
    /// Seconds saved over the usual way, where that could still be driven.
    pub saving_s: Option<Promise>,
    pub diverted: Diverted,
    /// Road-minutes of told ways, and of these in queuing traffic or worse.
    pub told_road_min: f64,
    pub overloaded_road_min: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub least: f64,
    pub of: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Promise {
    pub predicted: f64,
    pub realised: f64,
    /// Imagined vehicles.
    pub of: u64,
}

/// Shares of the traffic that would have come upon the troubles, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Diverted {
    /// Was told another way and is reckoned to follow.
    pub reckoned: Option<f64>,
    /// Passed the first roads of the told ways beyond their usual traffic, as far as those have
    /// detectors.
    pub measured: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    sum: f64,
    of: u64,
}

/// Predicted and realised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pair {
    predicted: Mean,
    realised: Mean,
}

/// Two imagined vehicles that set out at the same place and time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trip {
    told: Vehicle,
    usual: Option<Vehicle>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Vehicle {
    predicted_s: f64,
    /// Roads that are left, in order.
    way: Vec<SegmentId>,
    /// Of the first of them, the share that is passed.
    passed: f64,
    driven_s: f64,
}

impl Effect {
    pub(super) fn step(&mut self, by: i64) {
        self.began = self.began.map(|at| at.moved(by));
        self.at = self.at.map(|at| at.moved(by));
    }

    /// Time has gone on to `now` under what was shown until now.
    pub(super) fn pass(
        &mut self,
        now: Timestamp,
        view: &View<'_>,
        times: &Times,
        shown: &BTreeMap<Audience, Shown>,
        full_from: CongestionLevel,
    ) {
        let passed = self.at.map_or(Duration::ZERO, |at| now.since(at)).as_secs_f64();
        self.began.get_or_insert(now);
        self.at = Some(now);
        if passed <= 0.0 {
            return;
        }
        let mut trips = std::mem::take(&mut self.trips);
        trips.retain_mut(|trip| !self.drive(trip, passed, &times.now));
        self.trips = trips;

        self.headed_veh += self.headed_veh_s * passed;
        let mut told: BTreeSet<SegmentId> = BTreeSet::new();
        // By first road of the told ways: the vehicles a second that are sent there.
        let mut first: BTreeMap<SegmentId, f64> = BTreeMap::new();
        for advice in shown.values().map(|shown| &shown.said.advice) {
            self.told_veh += advice.veh_s * passed;
            told.extend(advice.stem.iter().skip(1));
            if let Some(&next) = advice.stem.get(1) {
                *first.entry(next).or_default() += advice.veh_s;
            }
        }
        self.told_road_s += passed * told.len() as f64;
        let full = told.iter().filter(|id| view.state(**id).level >= Some(full_from)).count();
        self.overloaded_road_s += passed * full as f64;
        for (id, sent_veh_s) in first {
            if let Some(more) = times.more_veh_s(id) {
                self.watched_veh += sent_veh_s * passed;
                self.seen_more_veh += more.clamp(0.0, sent_veh_s.max(0.0)) * passed;
            }
        }
    }

    /// So many vehicles a second are headed from now on for the troubles that are spoken of.
    pub(super) fn headed(&mut self, veh_s: f64) {
        self.headed_veh_s = veh_s;
    }

    /// A way is told from now on.
    pub(super) fn begins(&mut self, shown: &Shown, roads: Roads<'_>, load: &Load) {
        let advice = &shown.said.advice;
        if self.trips.len() >= MOST_UNDER_WAY {
            return;
        }
        let costs = load.costs(roads);
        let Some(told) = Vehicle::on(&advice.way, &costs) else { return };
        let usual = Vehicle::on(&advice.usual, &costs);
        self.trips.push(Trip { told, usual });
    }

    /// A way has been told until now.
    pub(super) fn ends(&mut self, shown: &Shown, now: Timestamp) {
        if matches!(shown.said.audience, Audience::Sign(_)) {
            let stood_s = now.since(shown.since).as_secs_f64();
            self.stood.add(stood_s);
            self.least_stood_s = Some(self.least_stood_s.map_or(stood_s, |s| s.min(stood_s)));
        }
    }

    /// Moves both vehicles on; true once they are counted.
    fn drive(&mut self, trip: &mut Trip, seconds: f64, costs: &Costs) -> bool {
        let told = trip.told.drive(seconds, costs);
        // Where the usual way is shut by now, nothing can be said of it.
        let usual = trip.usual.as_mut().map(|vehicle| vehicle.drive(seconds, costs));
        if matches!(usual, Some(Progress::Shut)) {
            trip.usual = None;
        }
        match (told, usual) {
            (Progress::Shut, _) => true,
            (Progress::UnderWay, _) | (_, Some(Progress::UnderWay)) => false,
            (Progress::Over, _) => {
                let told = &trip.told;
                self.told.add(told.predicted_s, told.driven_s);
                if let Some(usual) = &trip.usual {
                    self.saved
                        .add(usual.predicted_s - told.predicted_s, usual.driven_s - told.driven_s);
                }
                true
            }
        }
    }

    /// `signs`: how many the unit may use.
    pub(super) fn report(&self, signs: usize, flips: &Flips) -> GuidanceReport {
        let hours = match (self.began, self.at) {
            (Some(began), Some(at)) => at.since(began).as_secs_f64() / 3_600.0,
            _ => 0.0,
        };
        let sign_hours = signs as f64 * hours;
        let share = |part: f64, of: f64| (of > 0.0).then(|| rounded(part / of, 1_000.0));
        let told_veh = self.told_veh.min(self.headed_veh);
        GuidanceReport {
            flips: flips.total(),
            flips_per_sign_hour: rounded(flips.total() as f64 / sign_hours.max(1e-9), 100.0),
            flips_worst_hour: flips.most_in_an_hour(),
            dwell_s: self.stood.get().zip(self.least_stood_s).map(|(mean, least)| Spread {
                mean: tenths(mean),
                least: tenths(least),
                of: self.stood.of,
            }),
            told_way_s: self.told.report(),
            saving_s: self.saved.report(),
            diverted: Diverted {
                reckoned: share(told_veh, self.headed_veh),
                measured: share(self.seen_more_veh * told_veh, self.watched_veh * self.headed_veh),
            },
            told_road_min: tenths(self.told_road_s / 60.0),
            overloaded_road_min: tenths(self.overloaded_road_s / 60.0),
        }
    }
}

/// How far a vehicle has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Progress {
    UnderWay,
    Over,
    Shut,
}

impl Vehicle {
    /// From the end of the way's first road; `None` where the way cannot be driven.
    fn on(way: &[SegmentId], costs: &Costs) -> Option<Self> {
        let way = way.get(1..).filter(|way| !way.is_empty())?;
        let moves_s = way.windows(2).map(|pair| costs.move_s(pair[0], pair[1]));
        let predicted_s = way.iter().map(|&id| costs.get(id)).chain(moves_s).sum::<f64>();
        predicted_s.is_finite().then(|| Self {
            predicted_s,
            way: way.to_vec(),
            passed: 0.0,
            driven_s: 0.0,
        })
    }

    fn drive(&mut self, seconds: f64, costs: &Costs) -> Progress {
        let mut left_s = seconds;
        while let Some(&road) = self.way.first() {
            let whole_s = costs.get(road);
            if !whole_s.is_finite() {
                return Progress::Shut;
            }
            let rest_s = whole_s * (1.0 - self.passed);
            if rest_s > left_s {
                self.passed += left_s / whole_s;
                self.driven_s += left_s;
                let gives_up = self.driven_s > GIVES_UP * self.predicted_s + GIVES_UP_S;
                return if gives_up { Progress::Over } else { Progress::UnderWay };
            }
            left_s -= rest_s;
            self.driven_s += rest_s;
            self.passed = 0.0;
            self.way.remove(0);
        }
        Progress::Over
    }
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.of += 1;
    }

    fn get(&self) -> Option<f64> {
        (self.of > 0).then(|| self.sum / self.of as f64)
    }
}

impl Pair {
    fn add(&mut self, predicted: f64, realised: f64) {
        self.predicted.add(predicted);
        self.realised.add(realised);
    }

    fn report(&self) -> Option<Promise> {
        let (predicted, realised) = self.predicted.get().zip(self.realised.get())?;
        Some(Promise {
            predicted: tenths(predicted),
            realised: tenths(realised),
            of: self.predicted.of,
        })
    }
}

fn tenths(value: f64) -> f64 {
    rounded(value, 10.0)
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

//! The pipeline, valid: nothing left to check. `config` makes it, `runtime` reads it.
//!
//! Knows nothing of YAML, of places in files, of sockets or tensors.

#[cfg(test)]
pub mod testing;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::domain::network::{Network, SegmentId, SignId};
use crate::domain::wording::Language;

#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    /// SHA-256 over the pipeline file and its schema files, in hex: part of every `why`.
    pub hash: String,
    /// The name that fills `{site}` in topics.
    pub site: String,
    pub network: Arc<Network>,
    /// Absent: given on the command line, or not needed (replay).
    pub broker: Option<Broker>,
    pub sources: Vec<Source>,
    pub windows: Vec<Window>,
    pub congestion: Congestion,
    pub directions: Option<Directions>,
    pub writer: Writer,
    pub outputs: Vec<Output>,
    /// `None`: nothing outlives a crash.
    pub journal: Option<Journal>,
    /// Where birth, health and last will go: `wayside/v1/{site}/status` unless said otherwise.
    pub status_topic: String,
}

impl Plan {
    /// The topic filters of all sources, each once with the highest QoS asked for it, in order:
    /// sources that share a topic share a subscription, and a filter that another one covers goes
    /// without its own. Where two overlap in part, a broker may deliver a message for each.
    pub fn subscriptions(&self) -> Vec<(String, u8)> {
        fewest(self.sources.iter().map(|source| (source.topic.as_str(), source.qos)))
    }
}

fn fewest<'a>(asked: impl Iterator<Item = (&'a str, u8)>) -> Vec<(String, u8)> {
    let mut filters = BTreeMap::new();
    for (filter, asked) in asked {
        let qos = filters.entry(filter).or_insert(asked);
        *qos = asked.max(*qos);
    }
    let widest = |filter: &str| !filters.keys().any(|wide| *wide != filter && covers(wide, filter));
    let highest = |wide: &str| {
        let covered = filters.iter().filter(|(filter, _)| covers(wide, filter));
        covered.map(|(_, qos)| *qos).max().unwrap_or(0)
    };
    let kept = filters.keys().filter(|filter| widest(filter));
    kept.map(|wide| ((*wide).to_owned(), highest(wide))).collect()
}

/// Whether a topic filter lets through every topic that another one does (MQTT 5, section 4.7). One
/// of `$share` covers none and is covered by none but itself: its group divides the messages.
fn covers(wide: &str, narrow: &str) -> bool {
    if wide == narrow {
        return true;
    }
    // A wildcard in first place does not reach the topics that begin with `$`.
    if wide.starts_with("$share/") || narrow.starts_with('$') && wide.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = narrow.split('/');
    for level in wide.split('/') {
        match (level, levels.next()) {
            ("#", _) => return true,
            ("+", Some(one)) if one != "#" => {}
            (name, Some(same)) if name == same => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    V5,
    V311,
}

/// How to reach the broker. Secrets are named, never held: where they lie is in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub version: MqttVersion,
    pub client_id: String,
    pub keep_alive: Duration,
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    pub user: Option<Secret>,
    pub password: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities to trust.
    pub ca: PathBuf,
    /// PEM files of the certificate and key that this unit shows, both or none.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Where a secret is read from, at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    Env(String),
    File(PathBuf),
    /// A file whose path holds a variable that had no value when the pipeline was read.
    FileOfUnset {
        variable: String,
    },
}

#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    /// MQTT topic filter.
    pub topic: String,
    pub qos: u8,
    pub mapping: Arc<Mapping>,
    /// Top-level payload members that must have these values for this source to claim a message.
    pub claims: Vec<(String, Value)>,
    /// `None` for closures, which act at once.
    pub event_time: Option<EventTime>,
    /// Columns that make a row unique; empty: no check for repeats.
    pub unique: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// A timestamp column of the mapping.
    pub column: String,
    pub lateness: Duration,
    pub idle_after: Duration,
    pub max_future: Duration,
    /// Column whose values have a watermark each (the sensor); `None`: one for all.
    pub group: Option<String>,
    /// The time is the end of the interval `[ts - period, ts)` that a reading speaks for, not the
    /// moment it speaks of: a reading at 07:21:00.000 belongs to the minute that ends then.
    pub interval_end: bool,
}

/// A schema file: how a payload becomes a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub name: String,
    pub produces: Produces,
    /// Required value of the member `v`, if the format has versions.
    pub version: Option<i64>,
    pub columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Produces {
    /// Rows for windows.
    Readings,
    /// `domain::closure::Closure`, by columns of its field names.
    Closures,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Members to follow from the payload's top: `["data", "speed"]`.
    pub path: Vec<String>,
    pub kind: ColumnKind,
    /// Null and absent are allowed.
    pub nullable: bool,
    /// Raw values (before scaling) that mean "missing": -99, 65535, "n/a".
    pub missing: Vec<Value>,
    /// Stored value = raw value x `scale` + `offset`; 1 and 0 when no unit is converted.
    pub scale: f64,
    pub offset: f64,
    /// Inclusive bounds on the stored value; what lies outside is a dead letter (`out_of_range`).
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The text is the name of a segment; one that the network lacks is a dead letter
    /// (`unknown_segment`).
    pub is_segment: bool,
    /// Allowed texts, if limited.
    pub one_of: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Utf8
    Text,
    /// Int64
    Integer,
    /// Float64
    Number,
    /// Boolean
    Boolean,
    /// Timestamp(Millisecond, "UTC")
    Time,
    /// `List<Utf8>`
    TextList,
}

#[derive(Clone, Debug)]
pub struct Window {
    pub name: String,
    /// Indices into `Plan::sources`: the streams that its SQL reads. Never empty; one for sessions.
    pub sources: Vec<usize>,
    pub shape: Shape,
    /// How long after its close a window may be revised. Zero: every row behind the watermark is late.
    pub accept_for: Duration,
    /// Tables that do not change, which its SQL may join.
    pub tables: Vec<StaticTable>,
    pub sql: String,
}

/// How windows lie in event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Tumbling and hopping windows on a grid.
    Slots {
        size: Duration,
        /// Equal to `size` for tumbling windows; divides it for hopping ones.
        every: Duration,
        /// The grid follows this zone's local days; `None`: the UTC epoch. Then `every` divides a
        /// day.
        zone: Option<chrono_tz::Tz>,
    },
    /// From the first row of a label to `gap` after its last one.
    Session {
        gap: Duration,
        /// The column whose values have sessions each.
        by: String,
        /// A session is closed when it has lasted this long.
        longest: Duration,
    },
}

impl Shape {
    /// The longest that a window can be; a day on which clocks are set is an hour longer.
    pub fn longest(&self) -> Duration {
        match self {
            Self::Slots { size, .. } => *size,
            Self::Session { gap, longest, .. } => longest.saturating_add(*gap),
        }
    }

    /// How often a window ends.
    pub fn every(&self) -> Duration {
        match self {
            Self::Slots { every, .. } => *every,
            Self::Session { gap, .. } => *gap,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticTable {
    /// The road network's segments with their attributes.
    Segments,
}

/// By default nothing but closures is known of.
#[derive(Clone, Debug, Default)]
pub struct Congestion {
    /// Indices into `Plan::windows`; where two speak of one segment, the first one listed wins.
    pub windows: Vec<usize>,
    /// A level must hold in this many consecutive windows to be entered (worse) ...
    pub enter_after: u32,
    /// ... or left (better).
    pub leave_after: u32,
    /// Look for incidents that nobody announced.
    pub detect_incidents: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    pub min_saving: Duration,
    /// How long a sign keeps a direction at least, unless its cause ends.
    pub dwell: Duration,
    /// The same for vehicles, which are told once: another way is news only to those that come after.
    pub area_dwell: Duration,
    pub expiry: Duration,
    /// Largest share of a jam's traffic to send one way, 0 to 1.
    pub diversion_cap: f64,
    /// Levels at least this bad are a cause by themselves.
    pub speak_from: crate::domain::congestion::CongestionLevel,
    /// How far upstream of the trouble drivers are addressed, metres of road.
    pub reach_m: f64,
    /// The same for vehicles.
    pub area_reach_m: f64,
    /// Whether vehicles can be told at all.
    pub areas: bool,
    /// Another way replaces one that is said if that takes longer by this part of it.
    pub switch_gain: f64,
    /// Share of drivers that advice reckons with, 0 to 1.
    pub compliance: f64,
    /// For how long traffic sent one way is reckoned with after it is no longer sent there.
    pub advice_decay: Duration,
    /// Signs that may be used; all of the network's when empty.
    pub signs: Vec<SignId>,
    /// Segments no advised way may use.
    pub never_via: Vec<SegmentId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Writer {
    /// Folder of the model (weights, vocabulary, card); `None`: templates alone.
    pub model: Option<PathBuf>,
    /// In order of preference; the first is the site's own. Never empty.
    pub languages: Vec<Language>,
    /// The clock that texts go by; without one they give no time of day.
    pub zone: Option<chrono_tz::Tz>,
    pub deadline: Duration,
    pub backend: Backend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// wgpu where there is an adapter that passes the self-test, else the CPU.
    Auto,
    Cpu,
    Wgpu,
}

#[derive(Clone, Debug)]
pub struct Output {
    pub name: String,
    pub kind: OutputKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    /// Topic with `{sign}`.
    Signs { topic: String, qos: u8, retain: bool },
    /// Topic with `{tile}` and `{part}`.
    Vehicles { topic: String, qos: u8, retain: bool, max_chars: u16, voice: bool },
    /// Each closed window's result as a message. Topic with `{window}`.
    Windows { topic: String, qos: u8, retain: bool },
    /// Windows and directions in files of this folder. A live run keeps so many days of each kind.
    Archive { dir: PathBuf, keep_days: NonZeroUsize },
}

/// Where everything received is kept until it has become directions, and longer as recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    pub dir: PathBuf,
    /// Over segments, snapshots and recordings; what a recovery needs is kept all the same.
    pub max_bytes: u64,
    /// Of recordings.
    pub max_age: Duration,
    pub snapshot_every: Duration,
    /// Older segments become recordings; else they are dropped.
    pub record: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_lets_through_no_more() {
        for (wide, narrow, covered) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/b", "a/+", false),
            ("a/+", "+/b", false),
            ("a/+", "a/#", false),
            ("a/+", "a/b/c", false),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/+/c", true),
            ("a/#", "ab", false),
            ("a/b/#", "a/#", false),
            ("#", "+/#", true),
            ("+/#", "#", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("#", "$share/g/a", false),
            ("$share/g/#", "$share/g/a", false),
        ] {
            assert_eq!(covers(wide, narrow), covered, "{wide} {narrow}");
        }
    }

    #[test]
    fn a_covered_filter_gives_its_qos_to_the_one_that_covers_it() {
        let asked = [("s/a/r", 1), ("s/+/r", 0), ("s/+/r", 0), ("e/+", 0), ("+/x", 1), ("e/x", 0)];
        let expected = [("+/x", 1), ("e/+", 0), ("s/+/r", 1)];
        assert_eq!(fewest(asked.into_iter()), expected.map(|(f, qos)| (f.to_owned(), qos)));
    }
}

//! The pipeline file as it is written: its groups of keys, their types and their defaults.
//!
//! The doc comments become the descriptions in `schemas/pipeline.schema.json`. Says nothing of how
//! the keys fit together: that is `check`'s affair.

pub(super) mod broker;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

pub(super) use broker::{Broker, MqttVersion, SecretRef, Tls};

use super::read::{
    At, Interval, List, Literal, Named, Needed, OneOrMany, PathText, Read, Size, Tried, group,
    words,
};
use super::report::Findings;
use super::tree::{Content, Node};
use crate::domain::wording::MIN_VEHICLE_CHARS;

/// What an absent key means, in the words of the file.
pub(super) mod default {
    pub const QOS: u8 = 1;
    pub const LATENESS: &str = "10s";
    pub const IDLE_AFTER: &str = "90s";
    pub const MAX_FUTURE: &str = "5m";
    pub const ACCEPT_FOR: &str = "0s";
    pub const LONGEST: &str = "1h";
    pub const ENTER_AFTER: u32 = 2;
    pub const LEAVE_AFTER: u32 = 3;
    pub const MIN_SAVING: &str = "30s";
    pub const DWELL: &str = "5m";
    pub const EXPIRY: &str = "5m";
    pub const DIVERSION_CAP: f64 = 1.0;
    pub const AREA_DWELL: &str = "1m";
    pub const REACH_M: f64 = 2000.0;
    pub const AREA_REACH_M: f64 = 1000.0;
    pub const SWITCH_GAIN: f64 = 0.15;
    pub const COMPLIANCE: f64 = 1.0;
    pub const ADVICE_DECAY: &str = "3m";
    pub const DEADLINE: &str = "250ms";
    pub const KEEP_ALIVE: &str = "30s";
    pub const PORT: u32 = 1883;
    pub const PORT_TLS: u32 = 8883;
    pub const RETAIN: bool = true;
    pub const RETAIN_WINDOWS: bool = false;
    pub const VOICE: bool = false;
    pub const MAX_CHARS: u32 = 160;
    pub const DETECT_INCIDENTS: bool = true;
    pub const KEEP_DAYS: u32 = 366;
    pub const MAX_SIZE: &str = "2GB";
    pub const MAX_AGE: &str = "7d";
    pub const SNAPSHOT_EVERY: &str = "30s";
    pub const RECORD: bool = true;
    pub const STATUS_TOPIC: &str = "wayside/v1/{site}/status";
}

group! {
    /// A Wayside pipeline: which sensor messages come in, what is computed from them, and where
    /// the directions go. Paths are relative to the pipeline file; `${VARIABLES}` are replaced in
    /// paths and in the broker's address, nowhere else. Durations are written `250ms`, `10s`, `5m`, `1h`, `7d`;
    /// sizes `500MB`, `2GB`.
    Pipeline {
        /// The format of this file: 1.
        version: Needed<FormatVersion>,
        /// The pipeline's name, in logs and in every direction's `why`.
        name: Needed<String>,
        /// What stands for `{site}` in topics. Default: the pipeline's name.
        site: Option<At<String>>,
        /// Folder of the road network: network.geojson(.gz), connections.csv, sensors.csv, signs.csv,
        /// and where there are any names.csv and places.csv.
        network: Needed<PathText>,
        /// The MQTT broker. Not needed for a replay; the command line may name another one.
        broker: Option<At<Broker>>,
        /// Where messages come from, by a name of your own (small letters, digits, `_`): the name
        /// is the table that a window's SQL reads.
        sources: Needed<Named<Source>>,
        /// What is computed over each stretch of time, by a name of your own.
        windows: Option<At<Named<Window>>>,
        /// How windows become congestion levels. Without it only closures are spoken of.
        congestion: Option<At<Congestion>>,
        /// When drivers are told something, and when not. Without it nothing is said.
        directions: Option<At<Directions>>,
        /// Who words the directions.
        writer: Option<At<Writer>>,
        /// Where directions and windows go.
        outputs: Option<At<Outputs>>,
        /// What outlives a crash. Without it a restart begins anew, and nothing is recorded.
        journal: Option<At<Journal>>,
        /// Topic for birth, health and last will; `{site}` may stand in it.
        #[schemars(extend("default" = default::STATUS_TOPIC))]
        status_topic: Option<At<String>>,
    }
}

/// The one format version there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FormatVersion;

impl Read for FormatVersion {
    const EXAMPLE: &str = "1";

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Content::Scalar(scalar) = &node.content
            && scalar.text == "1"
        {
            return Some(Self);
        }
        findings
            .error(&node.span, format!("unknown version of the file format: {}", node.what()))
            .label("did you mean `1`?")
            .help("this program reads version 1");
        None
    }
}

impl JsonSchema for FormatVersion {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "FormatVersion".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": 1 })
    }
}

group! {
    /// One kind of message.
    Source {
        /// The MQTT subscription.
        mqtt: Needed<Subscription>,
        /// How a payload becomes a row: the name of a file in schemas/ (`loop` is schemas/loop.yaml),
        /// or a path with a `/`.
        schema: Needed<PathText>,
        /// Members of the payload that must have these values for this source to claim a message.
        /// Several sources may share a topic; what no source claims is a dead letter.
        r#where: Option<At<Named<Literal>>>,
        /// Needed for readings; closures act at once and have none.
        event_time: Option<At<EventTime>>,
        /// Columns that make a row unique. Repeats within the open windows are counted and dropped.
        /// Default: no row counts as a repeat.
        unique: Option<At<List<String>>>,
    }
}

group! {
    /// An MQTT subscription.
    Subscription {
        /// Topic filter: `+` stands for one level, `#` at the end for all that follow; `{site}` is replaced.
        topic: Needed<String>,
        /// Quality of service: 0 (at most once) or 1 (at least once).
        #[schemars(range(max = 1), extend("default" = default::QOS))]
        qos: Option<At<u32>>,
    }
}

group! {
    /// When a reading belongs, and how long to wait for stragglers.
    EventTime {
        /// The column (of type time) that holds the event time.
        field: Needed<String>,
        /// How far behind the newest reading one may come and still be in time.
        #[schemars(extend("default" = default::LATENESS))]
        lateness: Option<At<Interval>>,
        /// A sensor that is silent for this long no longer holds the windows open.
        #[schemars(extend("default" = default::IDLE_AFTER))]
        idle_after: Option<At<Interval>>,
        /// Readings further ahead of their receipt than this are dead letters: a wrong clock.
        #[schemars(extend("default" = default::MAX_FUTURE))]
        max_future: Option<At<Interval>>,
        /// The column whose values have a watermark each. Default: `sensor_id` where there is one,
        /// else one watermark for all.
        group: Option<At<String>>,
        /// What the event time is of an interval's reading. Default: `interval_end`.
        ts_is: Option<At<TsIs>>,
    }
}

words! {
    /// What the event time is of a reading over an interval.
    TsIs {
        /// The end of the interval, exclusive: a reading of 07:20:00 belongs to the minute before.
        IntervalEnd = "interval_end",
        /// The moment itself (or the interval's start): a reading of 07:20:00 belongs to the
        /// minute that begins then.
        Instant = "instant",
    }
}

group! {
    /// One computation, repeated over event time: tumbling or hopping windows by `size` and `every`,
    /// or sessions. Windows of a size are aligned to the UTC epoch, so to the full hour and the UTC
    /// day, or to the local days of a `zone`.
    Window {
        /// The source it reads, or two: each is a table of the SQL, and the window closes when both
        /// have come so far.
        from: Needed<OneOrMany<String>>,
        /// How long a window is. Needed unless there is a `session`.
        size: Option<At<Tried<Interval>>>,
        /// How often a window begins; must divide `size`, into 3600 parts at most. Default: `size`, one
        /// after the other.
        every: Option<At<Interval>>,
        /// The time zone (IANA, `Europe/Rome`) whose local days the windows follow; `every` must divide
        /// a day. A window that holds a change of clocks is longer or shorter. Default: UTC.
        zone: Option<At<String>>,
        /// Windows that last as long as a sensor does not fall silent, in place of `size`.
        session: Option<At<Tried<Session>>>,
        /// What happens to readings that come after their window has closed.
        late: Option<At<Late>>,
        /// Tables that do not change, for the SQL to join: `segments` has the network's road edges.
        tables: Option<At<List<TableName>>>,
        /// SELECT over the tables named as the sources, once for each window. Congestion reads the
        /// columns `segment`, `speed_kmh`, `vehicles` and `occupancy_pct` of the result.
        sql: Needed<String>,
    }
}

group! {
    /// Windows that last as long as readings keep coming.
    Session {
        /// A sensor that is silent for this long begins another session.
        gap: Needed<Interval>,
        /// The column whose values have sessions each. Default: the `group` of the source's event time.
        by: Option<At<String>>,
        /// A session that has lasted this long is closed, and another begins.
        #[schemars(extend("default" = default::LONGEST))]
        longest: Option<At<Interval>>,
    }
}

words! {
    /// A table that does not change.
    TableName {
        /// The network's road edges: id, name, length, lanes, speed limit.
        Segments = "segments",
    }
}

group! {
    /// Readings that come after their window has closed.
    Late {
        /// So long they revise the window: its result comes again, with a higher revision. Later
        /// ones go to the late output.
        #[schemars(extend("default" = default::ACCEPT_FOR))]
        accept_for: Option<At<Interval>>,
    }
}

group! {
    /// From windows to congestion levels.
    Congestion {
        /// The window or windows to read; where two speak of one segment, the first one listed wins.
        from: Needed<OneOrMany<String>>,
        /// Which share of free-flow speed is which level.
        thresholds: Option<At<Thresholds>>,
        /// So many consecutive windows must agree before a worse level is believed.
        #[schemars(range(min = 1, max = 60), extend("default" = default::ENTER_AFTER))]
        enter_after: Option<At<u32>>,
        /// So many consecutive windows must agree before a better level is believed.
        #[schemars(range(min = 1, max = 60), extend("default" = default::LEAVE_AFTER))]
        leave_after: Option<At<u32>>,
        /// Look for incidents that nobody announced: roads that fall empty while drivers wait before
        /// them.
        #[schemars(extend("default" = default::DETECT_INCIDENTS))]
        detect_incidents: Option<At<bool>>,
    }
}

words! {
    /// Which share of free-flow speed is which level.
    Thresholds {
        /// DATEX II: stationary below 10 %, queuing below 25 %, slow below 75 %, heavy below 90 %.
        Datex = "datex",
    }
}

group! {
    /// When drivers are told something.
    Directions {
        /// A way round a jam must save at least this to be told in vehicles; twice as much on a sign, four
        /// times where vehicles are told nothing.
        #[schemars(extend("default" = default::MIN_SAVING))]
        min_saving: Option<At<Interval>>,
        /// How long a sign keeps a direction at least, unless its cause ends.
        #[schemars(extend("default" = default::DWELL))]
        dwell: Option<At<Interval>>,
        /// The same for vehicles: each is told once, so another way is news only to those after it.
        #[schemars(extend("default" = default::AREA_DWELL))]
        area_dwell: Option<At<Interval>>,
        /// A direction that is not renewed vanishes after this.
        #[schemars(extend("default" = default::EXPIRY))]
        expiry: Option<At<Interval>>,
        /// Largest share of a jam's traffic to send one way, above 0, at most 1. How full that way gets by it
        /// is reckoned with in any case.
        #[schemars(extend("default" = default::DIVERSION_CAP, "exclusiveMinimum" = 0, "maximum" = 1))]
        diversion_cap: Option<At<f64>>,
        /// Levels at least this bad are a reason by themselves. Default: `queuing`.
        speak_from: Option<At<LevelWord>>,
        /// How far upstream of the trouble drivers are told, metres of road.
        #[schemars(extend("default" = default::REACH_M, "exclusiveMinimum" = 0, "maximum" = 50000))]
        reach_m: Option<At<f64>>,
        /// The same for vehicles.
        #[schemars(extend("default" = default::AREA_REACH_M, "exclusiveMinimum" = 0, "maximum" = 50000))]
        area_reach_m: Option<At<f64>>,
        /// A way that is said is left for one that is faster by this part, above 0, at most 1.
        #[schemars(extend("default" = default::SWITCH_GAIN, "exclusiveMinimum" = 0, "maximum" = 1))]
        switch_gain: Option<At<f64>>,
        /// Share of drivers that advice reckons with, above 0, at most 1. Less than 1 sends more of them
        /// one way; who is surprised by a full road loses more than who drives a little further.
        #[schemars(extend("default" = default::COMPLIANCE, "exclusiveMinimum" = 0, "maximum" = 1))]
        compliance: Option<At<f64>>,
        /// Traffic that was sent one way counts there for about this long, before detectors see it.
        #[schemars(extend("default" = default::ADVICE_DECAY))]
        advice_decay: Option<At<Interval>>,
        /// Signs that may be used, by id. Default: all of the network's.
        signs: Option<At<List<String>>>,
        /// Road edges that no advised way may use, by id: a residential street, a bus lane.
        never_via: Option<At<List<String>>>,
    }
}

words! {
    /// A congestion level of DATEX II that is a reason to speak.
    LevelWord {
        /// Below 90 % of free-flow speed.
        Heavy = "heavy",
        /// Below 75 %.
        Slow = "slow",
        /// Below 25 %.
        Queuing = "queuing",
        /// Below 10 %.
        Stationary = "stationary",
    }
}

group! {
    /// Who words the directions.
    Writer {
        /// The language model: a folder in models/ by name, or a path with a `/`; `none`
        /// (default) for templates alone. Templates also answer when the model is late or refused.
        model: Option<At<PathText>>,
        /// Languages in order of preference; the first is the site's own. Default: `[en]`.
        languages: Option<At<List<LanguageWord>>>,
        /// The time zone (IANA, `Europe/Rome`) whose clock texts go by. Without one they do not say when
        /// a closed road is planned to open again.
        zone: Option<At<String>>,
        /// When the model has written nothing acceptable by then, the template goes out.
        #[schemars(extend("default" = default::DEADLINE))]
        deadline: Option<At<Interval>>,
        /// Where the model runs. Default: `auto`.
        backend: Option<At<BackendWord>>,
    }
}

words! {
    /// A language (ISO 639-1).
    LanguageWord {
        /// English.
        En = "en",
        /// Italian.
        It = "it",
        /// German.
        De = "de",
        /// French.
        Fr = "fr",
        /// Spanish.
        Es = "es",
    }
}

words! {
    /// Where the model runs.
    BackendWord {
        /// The graphics processor where one passes the self-test, else the CPU.
        Auto = "auto",
        /// Always the CPU.
        Cpu = "cpu",
        /// The graphics processor, or templates.
        Wgpu = "wgpu",
    }
}

group! {
    /// Where directions and windows go.
    Outputs {
        /// Variable message signs, one topic each.
        signs: Option<At<SignsOutput>>,
        /// Vehicles, by map tile.
        vehicles: Option<At<VehiclesOutput>>,
        /// Results of closed windows, as they close.
        windows: Option<At<WindowsOutput>>,
        /// Windows and directions, kept as files.
        archive: Option<At<ArchiveOutput>>,
    }
}

group! {
    /// Directions to signs.
    SignsOutput {
        /// The MQTT topic.
        mqtt: Needed<SignsTopic>,
    }
}

group! {
    /// One topic a sign.
    SignsTopic {
        /// `{sign}` stands for the sign's id and must be there; `{site}` is replaced.
        topic: Needed<String>,
        /// Quality of service: 0 or 1.
        #[schemars(range(max = 1), extend("default" = default::QOS))]
        qos: Option<At<u32>>,
        /// The broker keeps the newest message for signs that connect later.
        #[schemars(extend("default" = default::RETAIN))]
        retain: Option<At<bool>>,
    }
}

group! {
    /// Directions to vehicles.
    VehiclesOutput {
        /// The MQTT topic.
        mqtt: Needed<VehiclesTopic>,
        /// Longest text for a vehicle, in characters.
        #[schemars(range(min = MIN_VEHICLE_CHARS, max = 500), extend("default" = default::MAX_CHARS))]
        max_chars: Option<At<u32>>,
        /// Each text also as it is spoken: with units as words (`say`), and as SSML (`ssml`).
        #[schemars(extend("default" = default::VOICE))]
        voice: Option<At<bool>>,
    }
}

group! {
    /// One topic a direction and tile.
    VehiclesTopic {
        /// `{tile}` stands for the quadkey of a map tile (zoom 16), `{part}` tells several
        /// directions of one tile apart: both must be there; `{site}` is replaced.
        topic: Needed<String>,
        /// Quality of service: 0 or 1.
        #[schemars(range(max = 1), extend("default" = default::QOS))]
        qos: Option<At<u32>>,
        /// The broker keeps the newest message for vehicles that connect later.
        #[schemars(extend("default" = default::RETAIN))]
        retain: Option<At<bool>>,
    }
}

group! {
    /// Results of windows to whoever wants to see them at once: dashboards, other systems.
    WindowsOutput {
        /// The MQTT topic.
        mqtt: Needed<WindowsTopic>,
    }
}

group! {
    /// One topic a window of the pipeline, one message a result, its rows as columns.
    WindowsTopic {
        /// `{window}` stands for the window's name and must be there; `{site}` is replaced.
        topic: Needed<String>,
        /// Quality of service: 0 or 1.
        #[schemars(range(max = 1), extend("default" = default::QOS))]
        qos: Option<At<u32>>,
        /// The broker keeps the newest result for those that connect later. While the broker is
        /// away a newer result then takes the place of one that waits.
        #[schemars(extend("default" = default::RETAIN_WINDOWS))]
        retain: Option<At<bool>>,
    }
}

group! {
    /// Files of windows and directions.
    ArchiveOutput {
        /// Parquet files.
        parquet: Needed<ParquetDir>,
    }
}

group! {
    /// A folder of Parquet files.
    ParquetDir {
        /// The folder; made when it is not there.
        dir: Needed<PathText>,
        /// A live run keeps so many days of each kind of files, the newest ones; of dead letters and of late
        /// readings 256 MiB each at most.
        #[schemars(range(min = 1, max = 36_500), extend("default" = default::KEEP_DAYS))]
        keep_days: Option<At<u32>>,
    }
}

group! {
    /// Every message is kept on the disk before it is acknowledged, and longer as a recording.
    Journal {
        /// The folder; made when it is not there. Only one unit may use it.
        dir: Needed<PathText>,
        /// What it may take in all. What a restart needs is kept even so.
        #[schemars(extend("default" = default::MAX_SIZE))]
        max_size: Option<At<Size>>,
        /// Recordings older than this are dropped: hours that have any are counted, so that a clock that
        /// is wrong ages none.
        #[schemars(extend("default" = default::MAX_AGE))]
        max_age: Option<At<Interval>>,
        /// How often the state is kept: a restart reads no more than was received since.
        #[schemars(extend("default" = default::SNAPSHOT_EVERY))]
        snapshot_every: Option<At<Interval>>,
        /// Keep what is no longer needed for a restart as recordings (Parquet files by day and hour).
        #[schemars(extend("default" = default::RECORD))]
        record: Option<At<bool>>,
    }
}

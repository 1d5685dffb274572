//! A program and its counterpart on the broker, for tests of live runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::io::mqtt::{MqttSession, MqttSink, MqttSource};
use wayside::plan::MqttVersion;
use wayside::ports::{Message, Publication, Sink, Source};

use super::mosquitto::Mosquitto;
use super::support::{demo_of_two_sources, messages, root, window_rows};

pub const SITE: &str = "wayside/v1/demo";

/// mosquitto keeps what it holds for a unit that is away, without a limit.
pub const KEEPING: &str = "listener PORT 127.0.0.1\nallow_anonymous true\npersistence true\n\
    persistence_location DIR/\nmax_queued_messages 0\nmax_inflight_messages 0";

/// Of event time, between beats.
pub const BEAT: Duration = Duration::from_secs(10);

/// The program, ended by pid if the test fails before it ends by itself.
pub struct Unit(pub Child);

impl Drop for Unit {
    fn drop(&mut self) {
        // Already over is what a passed test leaves.
        let _over = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Unit {
    /// The program with a pipeline on a broker's port, moved by beats; its summary goes to a file, its
    /// log to one beside it.
    pub fn start(pipeline: &Path, port: u16, summary: &Path) -> Self {
        let log = summary.with_extension("log");
        let log = fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wayside"))
            .arg("run")
            .arg(pipeline)
            .args(["--clock", "driven", "--output", "json"])
            .args(["--broker", &format!("127.0.0.1:{port}")])
            .stdout(fs::File::create(summary).unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The demo's pipeline with templates, windows over two sources, and a journal and an archive in
/// `folder`.
pub fn pipeline(folder: &Path, snapshot_every: &str) -> PathBuf {
    let (head, outputs) = demo_of_two_sources();
    let outputs = outputs.lines().filter(|line| !line.starts_with("  archive:"));
    let text = format!(
        "{head}\njournal: {{ dir: journal, snapshot_every: {snapshot_every}, record: true }}\n{}\n  \
         archive: {{ parquet: {{ dir: archive }} }}\n",
        outputs.collect::<Vec<_>>().join("\n").trim_end()
    );
    let path = folder.join("demo.yaml");
    fs::write(&path, text).unwrap();
    path
}

/// What of the demo's recording sensors and operators sent within this time from its beginning.
pub fn played(span: Duration) -> Vec<Message> {
    let mut messages = messages(&root().join("pipelines/demo/recording.ndjson.gz"));
    let first = messages[0].received_at;
    messages.retain(|message| {
        message.received_at.since(first) <= span && !message.topic.ends_with("/clock")
    });
    messages
}

/// Every row of the windows in a unit's archive, in order.
pub fn windows(folder: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for day in fs::read_dir(folder.join("archive/windows")).unwrap() {
        for part in fs::read_dir(day.unwrap().path()).unwrap() {
            parts.push(part.unwrap().path());
        }
    }
    parts.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    parts.iter().flat_map(|part| window_rows(part)).collect()
}

/// Every line of the directions in a unit's archive, in order.
pub fn directions(folder: &Path) -> Vec<String> {
    let mut days: Vec<PathBuf> = fs::read_dir(folder.join("archive/directions"))
        .unwrap()
        .map(|day| day.unwrap().path())
        .collect();
    days.sort();
    let text: String = days.iter().map(|day| fs::read_to_string(day).unwrap()).collect();
    text.lines().map(ToOwned::to_owned).collect()
}

/// Plays sensors, with the beats of a driven clock between them, and hears what the unit says.
pub struct Player {
    pub session: MqttSession,
    heard: MqttSource,
    sink: MqttSink,
    seq: u64,
    pub directions: Vec<(String, Value)>,
}

impl Player {
    pub async fn new(broker: &Mosquitto) -> Self {
        let filters = [format!("{SITE}/direction/#"), format!("{SITE}/clock/ack")];
        let options =
            broker.options(MqttVersion::V5, "player", &filters.each_ref().map(String::as_str));
        let session = MqttSession::start(options, Arc::new(SystemClock::new())).unwrap();
        session.ready().await.unwrap();
        let (heard, sink) = (session.source(), session.sink());
        Self { session, heard, sink, seq: 0, directions: Vec::new() }
    }

    pub async fn send(&mut self, topic: String, payload: Value) {
        let publication = Publication {
            ts: Timestamp::default(),
            topic,
            payload: payload.into(),
            qos: 1,
            retain: false,
            expiry: None,
        };
        self.sink.send(&publication).await.unwrap();
    }

    /// One beat, sent again until the unit has answered it.
    pub async fn beat(&mut self, ts: Timestamp, last: bool) {
        self.seq += 1;
        for _ in 0..120 {
            let beat = json!({"v": 1, "seq": self.seq, "ts": ts, "final": last});
            self.send(format!("{SITE}/clock"), beat).await;
            if tokio::time::timeout(Duration::from_secs(1), self.answer()).await.is_ok() {
                return;
            }
        }
        panic!("beat {} was never answered", self.seq);
    }

    /// One beat that nobody is there to answer.
    pub async fn beat_unheard(&mut self, ts: Timestamp) {
        self.seq += 1;
        let beat = json!({"v": 1, "seq": self.seq, "ts": ts, "final": false});
        self.send(format!("{SITE}/clock"), beat).await;
    }

    async fn answer(&mut self) {
        loop {
            let message = self.heard.next().await.unwrap().unwrap();
            self.heard.acknowledge(message.receipt).await.unwrap();
            let payload: Value = serde_json::from_slice(&message.payload).unwrap();
            if message.topic.ends_with("/clock/ack") {
                if payload["seq"] == self.seq {
                    return;
                }
            } else {
                self.directions.push((message.topic, payload));
            }
        }
    }
}

//! A program and its counterpart on the broker, for tests of live runs.

use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::io::mqtt::{MqttSession, MqttSink, MqttSource};
use wayside::plan::MqttVersion;
use wayside::ports::{Publication, Sink, Source};

use super::mosquitto::Mosquitto;

pub const SITE: &str = "wayside/v1/demo";

/// The program, ended by pid if the test fails before it ends by itself.
pub struct Unit(pub Child);

impl Drop for Unit {
    fn drop(&mut self) {
        // Already over is what a passed test leaves.
        let _over = self.0.kill();
        let _reaped = self.0.wait();
    }
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

//! `wayside run` as a unit runs it: against mosquitto, with a broker that goes away in the middle.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::io::mqtt::{MqttSession, MqttSink};
use wayside::io::recording::RecordingSource;
use wayside::plan::MqttVersion;
use wayside::ports::{Publication, Sink, Source};

use super::mosquitto::{Mosquitto, OPEN, have};
use super::player::{Player, SITE, Unit};
use super::support::root;

fn unit(port: u16) -> Unit {
    let child = Command::new(env!("CARGO_BIN_EXE_wayside"))
        .args(["run", "pipelines/demo.yaml", "--clock", "driven", "--output", "json"])
        .args(["--broker", &format!("127.0.0.1:{port}")])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    Unit(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_serves_signs_through_a_broker_restart() {
    let test = "a_unit_serves_signs_through_a_broker_restart";
    if !have(test, &["mosquitto", "mosquitto_sub"]) {
        return;
    }
    // Saving at every change would slow the playing down to a hundred messages a second.
    let conf = OPEN.replace("autosave_interval 1", "autosave_interval 1000");
    let mut broker = Mosquitto::start(&conf);
    let mut unit = unit(broker.port);
    let birth = broker.subscribe(&["-C", "1", "-t", &format!("{SITE}/status")]);
    let birth: Value = serde_json::from_str(&birth).unwrap();
    assert_eq!(birth["state"], "online", "{birth}");

    let mut player = Player::new(&broker).await;

    let mut recording =
        RecordingSource::open(&root().join("pipelines/demo/recording.ndjson.gz")).unwrap();
    let restart = Timestamp::parse("2026-05-12T06:12:00Z").unwrap();
    let (mut now, mut sent, mut restarted) = (None, 0_u64, false);
    while let Some(message) = recording.next().await {
        let message = message.unwrap();
        if message.topic.ends_with("/clock") {
            continue;
        }
        if let Some(before) = now.filter(|before| *before < message.received_at) {
            player.beat(before, false).await;
            if !restarted && before >= restart {
                restarted = true;
                let seen = broker.subscribe(&[
                    "-C",
                    "1",
                    "-t",
                    &format!("{SITE}/direction/sign/+"),
                    "-F",
                    "%r %E %p",
                ]);
                let mut words = seen.splitn(3, ' ');
                assert_eq!(words.next(), Some("1"), "not retained: {seen}");
                let expiry: u64 = words.next().unwrap().parse().unwrap();
                assert!((1..=300).contains(&expiry), "expiry {expiry}");
                broker.stop();
                tokio::time::sleep(Duration::from_secs(2)).await;
                broker.up();
            }
        }
        now = Some(message.received_at);
        let payload = serde_json::from_slice(&message.payload).unwrap();
        player.send(message.topic, payload).await;
        sent += 1;
    }
    assert!(restarted);
    player.beat(now.unwrap(), true).await;

    let status = unit.0.wait().unwrap();
    let mut summary = String::new();
    unit.0.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
    assert!(status.success(), "{summary}");
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let count = |key: &str| summary[key].as_u64().unwrap();
    let fates = count("accepted")
        + count("duplicate")
        + count("late")
        + summary["dead"]["total"].as_u64().unwrap();
    assert_eq!(count("received"), fates, "{summary}");
    // At least once, over a restart: some may come twice, none may be missing.
    assert!(count("received") >= sent, "{sent} sent, {summary}");
    let after =
        player.directions.iter().filter(|(_, p)| p["ts"].as_str() > Some("2026-05-12T06:12:30Z"));
    assert!(after.count() > 0, "no direction after the restart");
    player.session.stop().await;
}

fn recorder(port: u16, messages: u64, file: &Path) -> Unit {
    Unit(
        Command::new(env!("CARGO_BIN_EXE_wayside"))
            .args(["record", "pipelines/demo.yaml", "--seconds", "60"])
            .args(["--messages", &messages.to_string()])
            .args(["--broker", &format!("127.0.0.1:{port}")])
            .arg("--out")
            .arg(file)
            .current_dir(root())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

fn reading(n: u64) -> Publication {
    Publication {
        ts: Timestamp::default(),
        topic: format!("{SITE}/sensor/loop_{n}/reading"),
        payload: json!({"v": 1, "n": n}).into(),
        qos: 1,
        retain: false,
        expiry: None,
    }
}

/// Sends numbered readings, from `first` on, until the recorder has enough: before it has
/// subscribed, nobody hears them. The numbers that it recorded.
async fn recorded(mut recorder: Unit, file: &Path, sink: &mut MqttSink, first: u64) -> Vec<u64> {
    for n in first..first + 600 {
        if recorder.0.try_wait().unwrap().is_some() {
            break;
        }
        sink.send(&reading(n)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(recorder.0.wait().unwrap().success());
    let mut heard = RecordingSource::open(file).unwrap();
    let mut numbers = Vec::new();
    while let Some(message) = heard.next().await {
        let payload: Value = serde_json::from_slice(&message.unwrap().payload).unwrap();
        numbers.push(payload["n"].as_u64().unwrap());
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_can_be_replayed() {
    let test = "what_is_recorded_can_be_replayed";
    if !have(test, &["mosquitto"]) {
        return;
    }
    let broker = Mosquitto::start("listener PORT 127.0.0.1\nallow_anonymous true");
    let dir = tempfile::tempdir().unwrap();
    let options = broker.options(MqttVersion::V5, "sensor", &[]);
    let session = MqttSession::start(options, Arc::new(SystemClock::new())).unwrap();
    session.ready().await.unwrap();
    let mut sink = session.sink();
    let file = dir.path().join("heard.ndjson.gz");
    let heard = recorded(recorder(broker.port, 5, &file), &file, &mut sink, 0).await;
    assert_eq!(heard.len(), 5);
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");

    // What comes between two recordings is in neither.
    sink.send(&reading(1000)).await.unwrap();
    sink.flush().await.unwrap();
    let file = dir.path().join("heard-later.ndjson.gz");
    let heard = recorded(recorder(broker.port, 2, &file), &file, &mut sink, 2000).await;
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|n| *n >= 2000), "{heard:?}");
    session.stop().await;
}

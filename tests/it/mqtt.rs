//! The MQTT session against mosquitto, the broker of production, with the files of `deploy/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use wayside::domain::time::Timestamp;
use wayside::io::clock::SystemClock;
use wayside::io::mqtt::{LastWill, MqttSession, MqttSource, SessionOptions};
use wayside::plan::{MqttVersion, Secret, Tls};
use wayside::ports::{Message, PortError, Publication, Sink, Source};

use super::mosquitto::{Mosquitto, OPEN, have, run};

const BOTH: [MqttVersion; 2] = [MqttVersion::V5, MqttVersion::V311];

async fn start(options: SessionOptions) -> MqttSession {
    let session = MqttSession::start(options, Arc::new(SystemClock::new())).unwrap();
    within(session.ready()).await.unwrap();
    session
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("took too long")
}

/// The next message, acknowledged.
async fn next(source: &mut MqttSource) -> Message {
    let message = within(source.next()).await.unwrap().unwrap();
    source.acknowledge(message.receipt).await.unwrap();
    message
}

fn publication(topic: &str, payload: Value) -> Publication {
    let (ts, qos, retain, expiry) = (Timestamp::default(), 1, false, None);
    Publication { ts, topic: topic.into(), payload: payload.into(), qos, retain, expiry }
}

async fn refusal(options: SessionOptions) -> (String, String) {
    let session = MqttSession::start(options, Arc::new(SystemClock::new())).unwrap();
    match within(session.ready()).await {
        Err(PortError::Fatal { what, help }) => (what, help.unwrap_or_default()),
        Ok(()) => panic!("the broker took the connection"),
    }
}

#[tokio::test]
async fn messages_go_round_in_both_versions() {
    if !have("messages_go_round_in_both_versions", &["mosquitto"]) {
        return;
    }
    // Without persistence, which writes a file at every change.
    let broker = Mosquitto::start("listener PORT 127.0.0.1\nallow_anonymous true");
    for version in BOTH {
        let session = start(broker.options(version, "unit", &["a/+/b"])).await;
        let (mut source, mut sink) = (session.source(), session.sink());
        for n in 0..500 {
            sink.send(&publication("a/x/b", json!(n))).await.unwrap();
        }
        within(sink.flush()).await.unwrap();
        for n in 0..500 {
            assert_eq!(next(&mut source).await.payload, n.to_string().into_bytes());
        }
        sink.send(&publication("a/big/b", "x".repeat(1_000_000).into())).await.unwrap();
        assert_eq!(next(&mut source).await.payload.len(), 1_000_002);
        session.stop().await;
    }
}

#[tokio::test]
async fn a_retained_direction_carries_its_expiry() {
    if !have("a_retained_direction_carries_its_expiry", &["mosquitto", "mosquitto_sub"]) {
        return;
    }
    let broker = Mosquitto::start(OPEN);
    let session = start(broker.options(MqttVersion::V5, "unit", &[])).await;
    let mut sink = session.sink();
    let direction = Publication {
        retain: true,
        expiry: Some(Duration::from_mins(5)),
        ..publication("d/sign/s1", json!({"state": "show"}))
    };
    sink.send(&direction).await.unwrap();
    within(sink.flush()).await.unwrap();
    let seen = broker.subscribe(&["-C", "1", "-t", "d/#", "-F", "%t %r %q %E %p"]);
    let words: Vec<_> = seen.split_whitespace().collect();
    let [topic, retained, _, expiry, payload] = words[..] else { panic!("{seen}") };
    assert_eq!((topic, retained, payload), ("d/sign/s1", "1", "{\"state\":\"show\"}"));
    let expiry: u64 = expiry.parse().unwrap();
    assert!((200..=300).contains(&expiry), "{expiry}");
    session.stop().await;
}

#[tokio::test]
async fn a_broker_that_goes_and_comes_back_loses_nothing() {
    if !have("a_broker_that_goes_and_comes_back_loses_nothing", &["mosquitto"]) {
        return;
    }
    for version in BOTH {
        let mut broker = Mosquitto::start(OPEN);
        let unit = start(broker.options(version, "unit", &["in/+"])).await;
        let peer = start(broker.options(version, "peer", &["out/+"])).await;
        let (mut unit_in, mut unit_out) = (unit.source(), unit.sink());
        let (mut peer_in, mut peer_out) = (peer.source(), peer.sink());
        peer_out.send(&publication("in/1", json!("before"))).await.unwrap();
        assert_eq!(next(&mut unit_in).await.payload, b"\"before\"");
        // This one is received and not acknowledged.
        peer_out.send(&publication("in/1", json!("open"))).await.unwrap();
        let open = within(unit_in.next()).await.unwrap().unwrap();
        assert_eq!(open.payload, b"\"open\"");
        within(peer_out.flush()).await.unwrap();

        broker.stop();
        for n in 0..20 {
            unit_out.send(&publication("out/1", json!(n))).await.unwrap();
        }
        while unit.stats().connected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unit_in.acknowledge(open.receipt).await.unwrap();
        broker.up();

        within(unit_out.flush()).await.unwrap();
        let mut seen = Vec::new();
        while seen.last() != Some(&19) {
            let payload: i64 = serde_json::from_slice(&next(&mut peer_in).await.payload).unwrap();
            if !seen.contains(&payload) {
                seen.push(payload);
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>(), "{version:?}");
        peer_out.send(&publication("in/1", json!("after"))).await.unwrap();
        let mut later = Vec::new();
        while later.last().map(Vec::as_slice) != Some(b"\"after\"") {
            later.push(next(&mut unit_in).await.payload);
        }
        // The broker kept the session on disk, so the open one came again.
        assert_eq!(later, [b"\"open\"".to_vec(), b"\"after\"".to_vec()], "{version:?}");
        assert_eq!(unit.stats().reconnects, 1);
        unit.stop().await;
        peer.stop().await;
    }
}

#[tokio::test]
async fn a_session_that_is_not_persistent_leaves_nothing_behind() {
    let test = "a_session_that_is_not_persistent_leaves_nothing_behind";
    if !have(test, &["mosquitto"]) {
        return;
    }
    let broker = Mosquitto::start("listener PORT 127.0.0.1\nallow_anonymous true");
    for version in BOTH {
        let peer = start(broker.options(version, "peer", &[])).await;
        let mut peer_out = peer.sink();
        for (persistent, heard) in [(true, "between"), (false, "after")] {
            let client_id = format!("watcher-{persistent}-{version:?}");
            let options =
                SessionOptions { persistent, ..broker.options(version, &client_id, &["in"]) };
            start(options.clone()).await.stop().await;
            peer_out.send(&publication("in", json!("between"))).await.unwrap();
            within(peer_out.flush()).await.unwrap();
            let watcher = start(options).await;
            peer_out.send(&publication("in", json!("after"))).await.unwrap();
            let first = next(&mut watcher.source()).await;
            assert_eq!(first.payload, format!("\"{heard}\"").into_bytes(), "{version:?}");
            watcher.stop().await;
        }
        peer.stop().await;
    }
}

#[tokio::test]
async fn the_last_will_speaks_for_a_unit_that_vanished_and_not_for_one_that_left() {
    let test = "the_last_will_speaks_for_a_unit_that_vanished_and_not_for_one_that_left";
    if !have(test, &["mosquitto", "mosquitto_sub"]) {
        return;
    }
    let broker = Mosquitto::start(OPEN);
    for version in BOTH {
        let mut options = broker.options(version, "unit", &[]);
        let payload = json!({"state": "offline"});
        options.last_will = Some(LastWill { topic: "status".into(), payload });
        let birth =
            Publication { retain: true, ..publication("status", json!({"state": "online"})) };
        let status = || broker.subscribe(&["-C", "1", "-t", "status"]);

        let session = start(options.clone()).await;
        let mut sink = session.sink();
        sink.send(&birth).await.unwrap();
        within(sink.flush()).await.unwrap();
        session.stop().await;
        assert_eq!(status(), "{\"state\":\"online\"}\n");

        let session = start(options).await;
        let watcher_id = format!("watcher-{version:?}");
        let watcher = start(broker.options(version, &watcher_id, &["status"])).await;
        let mut seen_status = watcher.source();
        assert_eq!(next(&mut seen_status).await.payload, b"{\"state\":\"online\"}");
        drop(session);
        assert_eq!(next(&mut seen_status).await.payload, b"{\"state\":\"offline\"}");
        watcher.stop().await;
        assert_eq!(status(), "{\"state\":\"offline\"}\n");
    }
}

/// The configuration of `deploy/`, with its paths and port turned to this test's.
fn deployed() -> Mosquitto {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let folder = TempDir::new().unwrap();
    for (number, user) in ["unit", "sensors", "signs", "operators"].into_iter().enumerate() {
        let create: &[&str] = if number == 0 { &["-c", "-b"] } else { &["-b"] };
        run(
            "mosquitto_passwd",
            &[create, &["passwd", user, &format!("{user}-secret")]].concat(),
            folder.path(),
        );
        fs::write(folder.path().join(user), format!("{user}\n")).unwrap();
        fs::write(folder.path().join(format!("{user}-secret")), format!("{user}-secret\n"))
            .unwrap();
    }
    fs::copy(deploy.join("acl"), folder.path().join("acl")).unwrap();
    let text: String = fs::read_to_string(deploy.join("mosquitto.conf"))
        .unwrap()
        .lines()
        .map(|line| match line.split(' ').next() {
            Some("listener") => "listener PORT 127.0.0.1\n".to_owned(),
            Some("password_file") => "password_file DIR/passwd\n".to_owned(),
            Some("acl_file") => "acl_file DIR/acl\n".to_owned(),
            Some("persistence_location") => "persistence_location DIR/\n".to_owned(),
            Some("include_dir") => String::new(),
            _ => format!("{line}\n"),
        })
        .collect();
    Mosquitto::start_in(folder, &text)
}

#[tokio::test]
async fn the_deployed_broker_keeps_each_user_to_its_topics() {
    let test = "the_deployed_broker_keeps_each_user_to_its_topics";
    if !have(test, &["mosquitto", "mosquitto_passwd"]) {
        return;
    }
    let broker = deployed();
    let root = "wayside/v1/test";
    let login = |user: &str, password: &str, filters: &[&str], version| {
        let mut options = broker.options(version, user, filters);
        options.broker.user = Some(Secret::File(broker.folder.path().join(user)));
        options.broker.password = Some(Secret::File(broker.folder.path().join(password)));
        options
    };
    for version in BOTH {
        let (what, help) = refusal(login("unit", "signs-secret", &[], version)).await;
        assert!(what.contains("refused user name or password"), "{what}");
        assert!(help.contains("signs-secret") && !help.contains("signs-secret\n"), "{help}");
        let (what, help) = refusal(broker.options(version, "nobody", &[])).await;
        assert!(what.contains("refused") && help.contains("user name: not given"), "{help}");
    }

    let filters = ["wayside/v1/test/sensor/+/reading", "wayside/v1/test/event/+"];
    let v5 = MqttVersion::V5;
    let unit = start(login("unit", "unit-secret", &filters, v5)).await;
    let signs = format!("{root}/direction/sign/+");
    let sign = start(login("signs", "signs-secret", &[&signs], MqttVersion::V311)).await;
    let sensors = start(login("sensors", "sensors-secret", &[], v5)).await;
    let operators = start(login("operators", "operators-secret", &["wayside/v1/#"], v5)).await;

    let topic = |rest: &str| format!("{root}/{rest}");
    let mut from_sensor = sensors.sink();
    from_sensor.send(&publication(&topic("sensor/s1/reading"), json!(1))).await.unwrap();
    // A sensor that would direct traffic is refused, and told so.
    from_sensor.send(&publication(&topic("direction/sign/s1"), json!(2))).await.unwrap();
    within(from_sensor.flush()).await.unwrap();
    assert_eq!((sensors.stats().sent, sensors.stats().refused), (1, 1));
    operators.sink().send(&publication(&topic("event/e1"), json!(3))).await.unwrap();
    let mut unit_in = unit.source();
    assert_eq!(next(&mut unit_in).await.payload, b"1");
    assert_eq!(next(&mut unit_in).await.payload, b"3");
    let mut unit_out = unit.sink();
    for rest in
        ["direction/sign/s1", "direction/area/t/0", "status", "clock/ack", "window/segment_minute"]
    {
        unit_out.send(&publication(&topic(rest), json!(4))).await.unwrap();
    }
    within(unit_out.flush()).await.unwrap();
    assert_eq!((unit.stats().sent, unit.stats().refused), (5, 0));
    let seen = next(&mut sign.source()).await;
    assert_eq!((seen.topic, seen.payload), (topic("direction/sign/s1"), b"4".to_vec()));
    let mut operators_in = operators.source();
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(next(&mut operators_in).await.payload);
    }
    assert_eq!(
        seen,
        [&b"1"[..], b"3", b"4", b"4", b"4", b"4", b"4"],
        "everything but the refused one"
    );
    for session in [unit, sign, sensors, operators] {
        session.stop().await;
    }
}

/// A certificate authority, and what it signed: `ca.pem`, `broker.*`, `client.*`, `other.pem`.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        run("openssl", &arguments.split(' ').collect::<Vec<_>>(), folder);
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for authority in ["ca", "other"] {
        openssl(&format!(
            "req -x509 {new} -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority}"
        ));
    }
    fs::write(
        folder.join("ext"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )
    .unwrap();
    for name in ["broker", "client"] {
        openssl(&format!("req {new} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
        ));
    }
}

#[tokio::test]
async fn tls_takes_only_whom_both_sides_trust() {
    if !have("tls_takes_only_whom_both_sides_trust", &["mosquitto", "openssl"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    certificates(folder.path());
    // The listener of the deployed file, with its paths and port turned to this test's.
    let deployed =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/mosquitto-tls.conf"))
            .unwrap()
            .replace("/etc/mosquitto/certs", "DIR")
            .replace("listener 8883", "listener PORT 127.0.0.1");
    let broker = Mosquitto::start_in(folder, &format!("{deployed}\nallow_anonymous true\n"));
    let file = |name: &str| broker.folder.path().join(name);
    for version in BOTH {
        let mut options = broker.options(version, "unit", &["a"]);
        let client = Some((file("client.pem"), file("client.key")));
        options.broker.tls = Some(Tls { ca: file("ca.pem"), client: client.clone() });
        let session = start(options.clone()).await;
        session.sink().send(&publication("a", json!(1))).await.unwrap();
        assert_eq!(next(&mut session.source()).await.payload, b"1");
        session.stop().await;

        options.broker.tls = Some(Tls { ca: file("other.pem"), client });
        let (what, help) = refusal(options.clone()).await;
        assert!(what.contains("certificate") && help.contains("CA file"), "{what}");

        options.broker.tls = Some(Tls { ca: file("ca.pem"), client: None });
        let session = MqttSession::start(options, Arc::new(SystemClock::new())).unwrap();
        let outcome = tokio::time::timeout(Duration::from_millis(500), session.ready()).await;
        assert!(outcome.is_err(), "the broker took a client without a certificate");
    }
}

//! The session against a scripted broker.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::domain::time::Timestamp;
use crate::io::broker::EmbeddedBroker;
use crate::io::clock::{ManualClock, SystemClock};
use crate::plan::{MqttVersion, Secret, Tls};

const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;

fn broker(address: SocketAddr, version: MqttVersion) -> Broker {
    Broker {
        host: address.ip().to_string(),
        port: address.port(),
        version,
        client_id: "unit-1".into(),
        keep_alive: Duration::from_secs(30),
        tls: None,
        user: None,
        password: None,
    }
}

fn options(address: SocketAddr, version: MqttVersion, filters: &[&str]) -> SessionOptions {
    SessionOptions {
        subscriptions: filters.iter().map(|filter| ((*filter).to_owned(), 1)).collect(),
        retry: Retry { first: Duration::from_millis(20), cap: Duration::from_millis(100) },
        ..SessionOptions::new(broker(address, version))
    }
}

fn start(options: SessionOptions) -> MqttSession {
    MqttSession::start(options, Arc::new(SystemClock::new())).unwrap()
}

fn publication(topic: &str, n: i64, retain: bool) -> Publication {
    Publication {
        ts: Timestamp::default(),
        topic: topic.into(),
        payload: json!({ "n": n }).into(),
        qos: 1,
        retain,
        expiry: None,
    }
}

fn fatal<T>(outcome: Result<T, PortError>) -> (String, String) {
    match outcome {
        Err(PortError::Fatal { what, help }) => (what, help.unwrap_or_default()),
        Ok(_) => panic!("no error"),
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("took too long")
}

/// A broker of a few lines, to say what a well-bred one never would.
struct Rigged(TcpListener);

impl Rigged {
    async fn new() -> (Self, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self(listener), address)
    }

    /// Takes a connection and answers CONNECT.
    async fn accept(&self, connack: &[u8]) -> TcpStream {
        let (mut stream, _) = within(self.0.accept()).await.unwrap();
        read(&mut stream).await;
        stream.write_all(connack).await.unwrap();
        stream
    }
}

const CONNACK_5: [u8; 5] = [0x20, 3, 0, 0, 0];

/// The next packet that is no ping: its kind and what follows the fixed header.
async fn read(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    loop {
        let head = within(stream.read_u8()).await.unwrap();
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = stream.read_u8().await.unwrap();
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        if head >> 4 != 12 {
            return (head >> 4, body);
        }
    }
}

/// Topic, packet id and payload of a version 5 PUBLISH with QoS 1.
fn parts(body: &[u8]) -> (String, [u8; 2], Value) {
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let (topic, rest) = body[2..].split_at(length);
    let properties = usize::from(rest[2]);
    let payload = serde_json::from_slice(&rest[3 + properties..]).unwrap();
    (String::from_utf8(topic.to_vec()).unwrap(), [rest[0], rest[1]], payload)
}

#[tokio::test]
async fn messages_go_round_through_the_embedded_broker_in_both_versions() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = EmbeddedBroker::start().await.unwrap();
        let session = start(options(broker.address(), version, &["a/+", "big"]));
        within(session.ready()).await.unwrap();
        let (mut source, mut sink) = (session.source(), session.sink());
        for n in 0..100 {
            sink.send(&publication("a/b", n, false)).await.unwrap();
        }
        let mut big = publication("big", 0, false);
        big.payload = Value::from("x".repeat(1 << 20)).into();
        sink.send(&big).await.unwrap();
        within(sink.flush()).await.unwrap();
        for n in 0..100 {
            let message = within(source.next()).await.unwrap().unwrap();
            assert_eq!(message.payload, format!("{{\"n\":{n}}}").into_bytes());
            source.acknowledge(message.receipt).await.unwrap();
        }
        let message = within(source.next()).await.unwrap().unwrap();
        assert_eq!(message.payload.len(), (1 << 20) + 2, "{version:?}");
        let stats = session.stats();
        assert_eq!((stats.received, stats.sent, stats.waiting), (101, 101, 0));
        session.stop().await;
        assert!(within(source.next()).await.is_none());
        let (what, _) = fatal(sink.send(&publication("a/b", 0, false)).await);
        assert!(what.contains("ended"), "{what}");
        broker.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_login_ends_the_start_and_says_where_the_secret_came_from() {
    let folder = tempfile::TempDir::new().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "hunter2\n").unwrap();
    for (version, connack) in
        [(MqttVersion::V5, &[0x20, 3, 0, 0x86, 0][..]), (MqttVersion::V311, &[0x20, 2, 0, 5][..])]
    {
        let (rigged, address) = Rigged::new().await;
        let mut options = options(address, version, &["a"]);
        options.broker.user = Some(Secret::File(secret.clone()));
        options.broker.password = Some(Secret::File(secret.clone()));
        assert!(!format!("{options:?}").contains("hunter2"));
        let session = start(options);
        assert!(!format!("{session:?}").contains("hunter2"));
        let _stream = rigged.accept(connack).await;
        let (what, help) = fatal(within(session.ready()).await);
        assert!(what.contains("refused user name or password"), "{what}");
        assert!(help.contains(&secret.display().to_string()), "{help}");
        assert!(!help.contains("hunter2"));
        let mut source = session.source();
        assert_eq!(fatal(within(source.next()).await.unwrap()).0, what);
        assert!(source.next().await.is_none(), "told once");
    }
}

#[tokio::test]
async fn a_refused_subscription_ends_the_start_and_names_the_topic() {
    for (version, connack, suback) in [
        (MqttVersion::V5, &CONNACK_5[..], &[0x90, 5, 0, 1, 0, 1, 0x87][..]),
        (MqttVersion::V311, &[0x20, 2, 0, 0][..], &[0x90, 4, 0, 1, 1, 0x80][..]),
    ] {
        let (rigged, address) = Rigged::new().await;
        let session = start(options(address, version, &["open/+", "secret/#"]));
        let mut stream = rigged.accept(connack).await;
        assert_eq!(read(&mut stream).await.0, SUBSCRIBE);
        stream.write_all(suback).await.unwrap();
        let (what, help) = fatal(within(session.ready()).await);
        assert!(what.contains("`secret/#`") && !what.contains("open"), "{what}");
        assert!(help.contains("access list"), "{help}");
        assert_eq!(session.stats().refused, 1);
    }
}

#[tokio::test]
async fn a_subscription_refused_at_a_reconnect_is_asked_for_until_it_is_granted() {
    for (version, connack, suback, no, message) in [
        (
            MqttVersion::V5,
            &CONNACK_5[..],
            &[0x90, 4, 0, 1, 0][..],
            0x87,
            &b"\x32\x08\x00\x02ev\x00\x09\x00x"[..],
        ),
        (
            MqttVersion::V311,
            &[0x20, 2, 0, 0][..],
            &[0x90, 3, 0, 1][..],
            0x80,
            &b"\x32\x07\x00\x02ev\x00\x09x"[..],
        ),
    ] {
        // An answer to the request of this packet id, with a code for each filter.
        let answer = |id: u8, codes: &[u8]| {
            let mut packet = [suback, codes].concat();
            packet[1] = packet.len() as u8 - 2;
            packet[3] = id;
            packet
        };
        let (rigged, address) = Rigged::new().await;
        let session = start(options(address, version, &["ev", "in"]));
        let mut stream = rigged.accept(connack).await;
        assert_eq!(read(&mut stream).await.0, SUBSCRIBE);
        stream.write_all(&answer(1, &[1, 1])).await.unwrap();
        within(session.ready()).await.unwrap();
        drop(stream);

        let mut stream = rigged.accept(connack).await;
        assert_eq!(read(&mut stream).await.0, SUBSCRIBE);
        stream.write_all(&answer(1, &[no, 1])).await.unwrap();
        for id in [2, 3] {
            let (kind, body) = read(&mut stream).await;
            assert_eq!((kind, &body[..2]), (SUBSCRIBE, &[0, id][..]));
            assert!(body.ends_with(b"\0\x02ev\x01"), "{body:?}");
            assert!(!body.windows(2).any(|word| word == b"in"), "what is granted stays: {body:?}");
            let stats = session.stats();
            assert!(stats.connected && stats.subscriptions_refused == 1, "{stats:?}");
            let code = if id == 2 { no } else { 1 };
            stream.write_all(&answer(id, &[code])).await.unwrap();
        }
        stream.write_all(message).await.unwrap();
        let heard = within(session.source().next()).await.unwrap().unwrap();
        assert_eq!((heard.topic.as_str(), &heard.payload[..]), ("ev", &b"x"[..]));
        let stats = session.stats();
        assert_eq!((stats.subscriptions_refused, stats.refused, stats.reconnects), (0, 2, 1));
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_on_the_next_connection() {
    let (rigged, address) = Rigged::new().await;
    let session = start(options(address, MqttVersion::V5, &["in"]));
    let mut sink = session.sink();
    let suback = [0x90, 4, 0, 1, 0, 1];
    let mut stream = rigged.accept(&CONNACK_5).await;
    assert_eq!(read(&mut stream).await.0, SUBSCRIBE);
    stream.write_all(&suback).await.unwrap();
    for n in 0..3 {
        sink.send(&publication("out", n, false)).await.unwrap();
    }
    let mut ids = Vec::new();
    for n in 0..3 {
        let (kind, body) = read(&mut stream).await;
        let (topic, id, payload) = parts(&body);
        assert_eq!((kind, topic.as_str(), payload), (PUBLISH, "out", json!({ "n": n })));
        ids.push(id);
    }
    // The second one alone is acknowledged. A message comes in and stays unacknowledged.
    stream.write_all(&[0x40, 2, ids[1][0], ids[1][1]]).await.unwrap();
    stream.write_all(b"\x32\x08\x00\x02in\x00\x09\x00x").await.unwrap();
    let message = within(session.source().next()).await.unwrap().unwrap();
    assert_eq!(message.payload, b"x");
    drop(stream);

    let mut stream = rigged.accept(&CONNACK_5).await;
    session.source().acknowledge(message.receipt).await.unwrap();
    assert_eq!(read(&mut stream).await.0, SUBSCRIBE, "subscribed anew, no stale acknowledgement");
    stream.write_all(&suback).await.unwrap();
    for n in [0, 2] {
        let (kind, body) = read(&mut stream).await;
        let (_, id, payload) = parts(&body);
        assert_eq!((kind, payload), (PUBLISH, json!({ "n": n })));
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
    }
    within(sink.flush()).await.unwrap();
    let stats = session.stats();
    assert_eq!((stats.sent, stats.resent, stats.reconnects), (3, 2, 1));
}

#[tokio::test]
async fn a_refused_publication_is_counted_and_not_repeated() {
    let (rigged, address) = Rigged::new().await;
    let session = start(options(address, MqttVersion::V5, &[]));
    let mut sink = session.sink();
    let mut stream = rigged.accept(&CONNACK_5).await;
    sink.send(&publication("out", 1, false)).await.unwrap();
    let (_, id, _) = parts(&read(&mut stream).await.1);
    stream.write_all(&[0x40, 3, id[0], id[1], 0x87]).await.unwrap();
    within(sink.flush()).await.unwrap();
    assert_eq!((session.stats().refused, session.stats().sent), (1, 0));
}

#[tokio::test]
async fn while_the_broker_is_away_only_what_still_counts_is_kept() {
    let (rigged, address) = Rigged::new().await;
    let clock = ManualClock::default();
    // The first attempt finds a broker that hangs up.
    let session =
        MqttSession::start(options(address, MqttVersion::V5, &[]), Arc::new(clock.clone()))
            .unwrap();
    let mut sink = session.sink();
    let mut short = publication("short", 1, true);
    short.expiry = Some(Duration::from_mins(1));
    sink.send(&short).await.unwrap();
    sink.send(&publication("sign", 1, true)).await.unwrap();
    sink.send(&publication("log", 1, false)).await.unwrap();
    sink.send(&publication("sign", 2, true)).await.unwrap();
    let mut clear = publication("gone", 0, true);
    clear.payload = crate::ports::Payload::nothing();
    clear.expiry = Some(Duration::from_secs(100));
    sink.send(&clear).await.unwrap();
    clock.advance(Duration::from_secs(61));
    drop(within(rigged.0.accept()).await.unwrap());
    let mut stream = rigged.accept(&CONNACK_5).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (kind, body) = read(&mut stream).await;
        assert_eq!(kind, PUBLISH);
        let length = usize::from(body[1]);
        let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
        seen.push((topic, body[4 + length..].to_vec()));
        let id = &body[2 + length..4 + length];
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
    }
    // Properties (none, or an expiry of 39 s, property 2), then the payload.
    assert_eq!(
        seen,
        [
            ("log".to_owned(), b"\0{\"n\":1}".to_vec()),
            ("sign".to_owned(), b"\0{\"n\":2}".to_vec()),
            ("gone".to_owned(), vec![5, 2, 0, 0, 0, 39]),
        ]
    );
    within(sink.flush()).await.unwrap();
    let stats = session.stats();
    assert_eq!((stats.sent, stats.superseded, stats.dropped_expired), (3, 1, 1));
}

#[tokio::test]
async fn a_broker_that_never_answers_lets_flush_fail_and_stop_end() {
    let (_listener, address) = Rigged::new().await;
    let mut options = options(address, MqttVersion::V5, &[]);
    options.flush_limit = Duration::from_millis(30);
    let session = start(options);
    let mut sink = session.sink();
    sink.send(&publication("out", 1, false)).await.unwrap();
    let (what, _) = fatal(within(sink.flush()).await);
    assert!(what.starts_with("1 publications"), "{what}");
    within(session.stop()).await;
}

#[tokio::test]
async fn topics_that_nobody_can_publish_on_are_refused() {
    let (_listener, address) = Rigged::new().await;
    let session = start(options(address, MqttVersion::V5, &[]));
    for topic in ["", "a/#", "a/+/b", "a\0b"] {
        let (what, _) = fatal(session.sink().send(&publication(topic, 1, false)).await);
        assert!(what.contains("cannot") || what.contains("nothing can"), "{what}");
    }
}

#[tokio::test]
async fn a_wrong_filter_ends_the_start() {
    let (rigged, address) = Rigged::new().await;
    let session = start(options(address, MqttVersion::V5, &["a/#/b"]));
    let _stream = rigged.accept(&CONNACK_5).await;
    let (what, _) = fatal(within(session.ready()).await);
    assert!(what.contains("a/#/b"), "{what}");
}

#[tokio::test]
async fn missing_secrets_and_certificates_are_said_before_anything_is_sent() {
    let folder = tempfile::TempDir::new().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let attempt = |change: &dyn Fn(&mut Broker)| {
        let mut options = options(address, MqttVersion::V5, &[]);
        change(&mut options.broker);
        fatal(MqttSession::start(options, Arc::new(SystemClock::new()))).0
    };
    let user = Some(Secret::Env("WAYSIDE_TEST_NO_SUCH_VARIABLE".into()));
    let what = attempt(&|broker| broker.user.clone_from(&user));
    assert!(what.contains("WAYSIDE_TEST_NO_SUCH_VARIABLE is not set"), "{what}");
    let unset = Secret::FileOfUnset { variable: "CREDENTIALS_DIRECTORY".into() };
    let what = attempt(&|broker| broker.user = Some(unset.clone()));
    assert!(what.contains("needs the environment variable CREDENTIALS_DIRECTORY"), "{what}");
    let what = attempt(&|broker| broker.user = Some(Secret::File(empty.clone())));
    assert!(what.contains("is empty"), "{what}");
    let what = attempt(&|broker| broker.user = Some(Secret::File(PathBuf::from("/no/such"))));
    assert!(what.contains("/no/such cannot be read"), "{what}");
    let what = attempt(&|broker| broker.client_id.clear());
    assert!(what.contains("client id"), "{what}");
    let what = attempt(&|broker| broker.tls = Some(Tls { ca: empty.clone(), client: None }));
    assert!(what.contains("holds no certificate"), "{what}");
}

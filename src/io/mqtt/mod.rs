//! Source and sink on an MQTT broker: versions 5 and 3.1.1, QoS 0 and 1, TLS.
//!
//! One [`MqttSession`] is one connection, kept by a thread of its own. What it promises:
//!
//! - **In**: a message is acknowledged only when its receipt is; after a reconnect the broker sends
//!   again what was not, and what came meanwhile, unless the session is not `persistent`.
//!   Subscriptions are made anew on every connection.
//! - **Out**: a publication is kept until the broker has acknowledged it, over any number of
//!   reconnects, and goes out in order. While it waits, a newer retained one on its topic replaces
//!   it, and one past its expiry is dropped. Both are counted.
//! - **Away**: a broker that cannot be reached is tried again, ever more slowly, for ever. What
//!   waiting cannot mend at the start (wrong password, refused topic, unreadable certificate) ends
//!   the session with an error; after a good start such a refusal is logged and tried again. A
//!   subscription is, on the connection that there is, until it is granted.
//!
//! Knows nothing of what messages mean.

mod dial;
mod link;
mod outbox;
mod packets;
mod session;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use self::dial::Dial;
use self::outbox::Outgoing;
use self::session::{Phase, Session};
use self::shared::Shared;
use crate::plan::Broker;
use crate::ports::{Message, PortError, Publication, SharedClock, Sink, Source};

/// Largest packet that is taken in. A payload of 1 MB arrives and can be judged; a broker of
/// version 5 is told to keep back larger ones.
pub const MAX_PACKET_BYTES: u32 = 1_572_864;

/// How long `stop` waits for the farewell before it cuts the connection.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What the broker publishes for us when we vanish: retained, QoS 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LastWill {
    pub topic: String,
    pub payload: Value,
}

/// How long to wait between attempts to connect: doubled each time, with a jitter of up to half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub first: Duration,
    pub cap: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), cap: Duration::from_secs(30) }
    }
}

/// What a session is started with.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    pub broker: Broker,
    /// Topic filters and their QoS; may be empty for a session that only publishes.
    pub subscriptions: Vec<(String, u8)>,
    pub last_will: Option<LastWill>,
    /// Whether the broker keeps, for a day, the subscriptions and what comes for them while we are
    /// away. Not for one that only looks on: what it missed would come as if it were new.
    pub persistent: bool,
    pub retry: Retry,
    /// How long `flush` waits for the broker's acknowledgements.
    pub flush_limit: Duration,
}

impl SessionOptions {
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            subscriptions: Vec::new(),
            last_will: None,
            persistent: true,
            retry: Retry::default(),
            flush_limit: Duration::from_secs(10),
        }
    }
}

/// Counts since the start of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MqttStats {
    pub connected: bool,
    /// Subscriptions that the broker refuses now, on this connection: above 0, the unit does not
    /// hear all it should. They are tried again.
    pub subscriptions_refused: u64,
    /// Connections after the first one.
    pub reconnects: u64,
    /// Messages taken in.
    pub received: u64,
    /// Publications the broker has acknowledged (QoS 1) or that went onto the wire (QoS 0).
    pub sent: u64,
    /// Publications sent once more since their acknowledgement did not come.
    pub resent: u64,
    /// Publications that a newer retained one on the same topic replaced before they went out.
    pub superseded: u64,
    /// Publications whose expiry passed before they went out.
    pub dropped_expired: u64,
    /// Publications that found the queue full while the broker was away.
    pub dropped_overflow: u64,
    /// Publications larger than the broker takes.
    pub dropped_too_large: u64,
    /// Publications and subscriptions that the broker refused, each time.
    pub refused: u64,
    /// Publications that wait or are on their way now.
    pub waiting: u64,
}

/// A connection to a broker. Take its source and sinks, then keep it until the end: when it is
/// dropped without [`stop`](Self::stop), the connection breaks and the broker publishes the will.
#[derive(Debug)]
pub struct MqttSession {
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    /// Ends the thread wherever it is.
    cut: Arc<Notify>,
    flush_limit: Duration,
}

impl MqttSession {
    /// Reads secrets and certificates, and begins to connect.
    pub fn start(options: SessionOptions, clock: SharedClock) -> Result<Self, PortError> {
        let flush_limit = options.flush_limit;
        let dial = Dial::new(&options.broker, options.last_will.as_ref(), options.persistent)?;
        let shared = Arc::new(Shared::new(clock));
        let (phase_sender, phase) = watch::channel(Phase::Starting);
        let session = Session::new(
            Arc::clone(&shared),
            dial,
            options.subscriptions,
            options.retry,
            phase_sender,
        );
        let cut = Arc::new(Notify::new());
        let until_cut = Arc::clone(&cut);
        let no_thread = |error: std::io::Error| PortError::Fatal {
            what: format!("no thread for the MQTT connection: {error}"),
            help: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        std::thread::Builder::new()
            .name("mqtt".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = session.run() => {}
                        () = until_cut.notified() => {}
                    }
                });
            })
            .map_err(no_thread)?;
        Ok(Self { shared, phase, cut, flush_limit })
    }

    /// Waits until the broker has taken connection and subscriptions, or refused them for good. As
    /// long as the broker is away, this waits. Cancel-safe.
    pub async fn ready(&self) -> Result<(), PortError> {
        let mut phase = self.phase.clone();
        match phase.wait_for(|phase| *phase != Phase::Starting).await.map(|phase| *phase) {
            Ok(Phase::Ready) => Ok(()),
            Ok(Phase::Starting | Phase::Ended) | Err(_) => Err(self.shared.ended_error()),
        }
    }

    /// The messages of the subscriptions. There is one stream of them; a second source shares it.
    pub fn source(&self) -> MqttSource {
        MqttSource { shared: Arc::clone(&self.shared), told: false }
    }

    /// A way out. All sinks share one queue.
    pub fn sink(&self) -> MqttSink {
        MqttSink { shared: Arc::clone(&self.shared), flush_limit: self.flush_limit }
    }

    pub fn stats(&self) -> MqttStats {
        self.shared.stats()
    }

    /// Says goodbye to the broker, which then does not publish the will. What is still queued is
    /// lost: `flush` first.
    pub async fn stop(mut self) {
        self.shared.ask_to_stop();
        let ended = self.phase.wait_for(|phase| *phase == Phase::Ended);
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("the MQTT broker took no farewell; the connection is cut");
        }
    }
}

impl Drop for MqttSession {
    fn drop(&mut self) {
        self.cut.notify_one();
        self.shared.end(None);
    }
}

/// The incoming side of a session.
#[derive(Debug)]
pub struct MqttSource {
    shared: Arc<Shared>,
    /// The error that ended the session has been given out.
    told: bool,
}

#[async_trait]
impl Source for MqttSource {
    async fn next(&mut self) -> Option<Result<Message, PortError>> {
        if self.told {
            return None;
        }
        let next = self.shared.next_messages(1).await;
        self.told = matches!(next, Some(Err(_)));
        Some(next?.map(|mut messages| messages.swap_remove(0)))
    }

    async fn next_batch(&mut self, most: usize) -> Option<Result<Vec<Message>, PortError>> {
        if self.told {
            return None;
        }
        let next = self.shared.next_messages(most).await;
        self.told = matches!(next, Some(Err(_)));
        next
    }

    /// Receipts of a connection that is gone are no trouble: the broker sends those messages again
    /// where the session is `persistent`.
    async fn acknowledge(&mut self, receipt: u64) -> Result<(), PortError> {
        self.shared.acknowledge(receipt);
        Ok(())
    }
}

/// The outgoing side of a session. Clones share its queue.
#[derive(Clone, Debug)]
pub struct MqttSink {
    shared: Arc<Shared>,
    flush_limit: Duration,
}

#[async_trait]
impl Sink for MqttSink {
    /// Queues the publication; waits only while the broker is there and the queue is full. A
    /// payload that is nothing clears a retained message. The expiry runs from
    /// this call on: a publication is sent when it is made, and its `ts` may be the time of a
    /// recording. QoS 2 goes out as 1.
    async fn send(&mut self, publication: &Publication) -> Result<u64, PortError> {
        let topic = publication.topic.as_str();
        if topic.is_empty() || topic.contains(['+', '#', '\0']) || topic.len() > 65_535 {
            return Err(PortError::Fatal {
                what: format!("nothing can be published on the MQTT topic `{topic}`"),
                help: Some("a topic is not empty and has no `+`, `#` or null character".to_owned()),
            });
        }
        self.shared
            .send(Outgoing {
                topic: topic.to_owned(),
                payload: publication.payload.as_str().into(),
                confirmed: publication.qos > 0,
                retain: publication.retain,
                expires_at: publication
                    .expiry
                    .map(|expiry| self.shared.elapsed().saturating_add(expiry)),
            })
            .await
    }

    fn done(&self) -> u64 {
        self.shared.done()
    }

    /// Waits until everything has been acknowledged; an error says how much has not in time.
    async fn flush(&mut self) -> Result<(), PortError> {
        match tokio::time::timeout(self.flush_limit, self.shared.emptied()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PortError::Fatal {
                what: format!(
                    "{} publications have not reached the MQTT broker within {} s",
                    self.shared.stats().waiting,
                    self.flush_limit.as_secs()
                ),
                help: Some("is the broker running and does it acknowledge?".to_owned()),
            }),
        }
    }
}

#[cfg(test)]
mod tests;

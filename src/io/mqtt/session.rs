//! The task that keeps a connection: connects, polls, hands over, starts again.
//!
//! It never waits for anything but the connection: requests are handed over without waiting, so
//! polling goes on, and pings with it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Retry;
use super::dial::{Dial, WINDOW};
use super::link::{self, Events, Heard, LinkError, Refused, Requests};
use super::shared::{Cause, EndGuard, Shared};

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    Ended,
}

pub(super) struct Session {
    shared: Arc<Shared>,
    dial: Dial,
    subscriptions: Vec<(String, u8)>,
    retry: Retry,
    jitter: ChaCha8Rng,
    phase: watch::Sender<Phase>,
}

/// How a connection ended.
enum Outcome {
    Stopped,
    Fatal(Cause),
    /// Why, and how long it had held.
    Lost(String, Duration),
}

/// A connection that is being made or is up.
struct Connection {
    requests: Requests,
    /// When it came up, on the port clock.
    since: Option<Duration>,
    /// Open publications that the broker allows.
    window: u64,
    /// Silence after which it is held to be dead.
    patience: Duration,
    leaving: bool,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        dial: Dial,
        subscriptions: Vec<(String, u8)>,
        retry: Retry,
        phase: watch::Sender<Phase>,
    ) -> Self {
        // Each unit has a jitter of its own, the same at every start.
        let jitter = ChaCha8Rng::from_seed(Sha256::digest(&dial.broker.client_id).into());
        Self { shared, dial, subscriptions, retry, jitter, phase }
    }

    pub(super) async fn run(mut self) {
        let _end = EndGuard(Arc::clone(&self.shared));
        let mut delay = self.retry.first;
        loop {
            let outcome = self.connection().await;
            self.shared.disconnected();
            let why = match outcome {
                Outcome::Stopped => break,
                Outcome::Fatal(cause) => {
                    self.shared.end(Some(cause));
                    break;
                }
                Outcome::Lost(why, held) => {
                    // A connection that breaks at once, again and again, is no reason to hurry.
                    if held > delay {
                        delay = self.retry.first;
                    }
                    why
                }
            };
            if self.shared.stopping() {
                break;
            }
            let pause = delay.mul_f64(self.jitter.random_range(0.5..=1.0));
            tracing::warn!(
                "MQTT broker {}: {why}; next attempt in {:.1} s",
                self.dial.address(),
                pause.as_secs_f64()
            );
            delay = (delay * 2).min(self.retry.cap);
            if self.stopped_within(pause).await {
                break;
            }
        }
        self.phase.send_replace(Phase::Ended);
    }

    /// Waits; true when a stop was asked for meanwhile.
    async fn stopped_within(&self, pause: Duration) -> bool {
        let stop = async {
            while !self.shared.stopping() {
                self.shared.work.notified().await;
            }
        };
        timeout(pause, stop).await.is_ok()
    }

    /// One connection, from the first packet to its end.
    async fn connection(&mut self) -> Outcome {
        let (requests, mut events) = link::open(&self.dial);
        let mut connection = Connection {
            requests,
            since: None,
            window: u64::from(WINDOW),
            patience: self.dial.keep_alive() * 2,
            leaving: false,
        };
        loop {
            let heard = match self.listen(&mut connection, &mut events).await {
                Some(Ok(heard)) => heard,
                Some(Err(error)) => return self.broken(&connection, error),
                None => return Outcome::Stopped,
            };
            match heard {
                Heard::Connected { receive_maximum, max_packet_bytes, keep_alive } => {
                    connection.since = Some(self.shared.elapsed());
                    connection.window =
                        u64::from(receive_maximum.unwrap_or(WINDOW).clamp(1, WINDOW));
                    connection.patience =
                        keep_alive.map_or(connection.patience, |interval| interval * 2);
                    self.shared.connected(max_packet_bytes);
                    tracing::info!("MQTT broker {}: connected", self.dial.address());
                    if self.subscriptions.is_empty() {
                        self.phase.send_replace(Phase::Ready);
                    } else if !connection.requests.subscribe(&self.subscriptions) {
                        return Outcome::Fatal((
                            format!("not a valid MQTT topic filter among {:?}", self.filters()),
                            Some(
                                "`+` stands alone between slashes, `#` alone at the end".to_owned(),
                            ),
                        ));
                    }
                }
                Heard::Subscribed(answers) => {
                    if let Some(cause) = self.subscribed(&answers) {
                        return Outcome::Fatal(cause);
                    }
                }
                Heard::Message { topic, payload, packet_id } => {
                    self.shared.arrived(topic, payload, packet_id);
                }
                Heard::Transmitted(packet_id) => self.shared.transmitted(packet_id),
                Heard::Answered { packet_id, refusal } => {
                    self.shared.answered(packet_id, refusal.as_deref());
                }
                Heard::Left => return Outcome::Stopped,
                Heard::Nothing => {}
            }
        }
    }

    /// The next event, while handing over what there is to hand over. `None`: stop without
    /// farewell, there is nobody to say it to.
    async fn listen(
        &self,
        connection: &mut Connection,
        events: &mut Events,
    ) -> Option<Result<Heard, LinkError>> {
        // Where the pipeline cannot follow, the socket is left unread and the broker holds back. If
        // it waits for room in our own queue meanwhile, losing the connection sets it free.
        let room = async {
            while self.shared.inbox_is_full() && !self.shared.stopping() {
                self.shared.work.notified().await;
            }
        };
        if timeout(connection.patience, room).await.is_err() {
            let why = "the pipeline has not kept up with the messages";
            return Some(Err(LinkError::Lost(why.to_owned())));
        }
        let mut silence = pin!(sleep(connection.patience));
        // The future is kept over the turns of the loop: breaking it off could lose a packet.
        let mut poll = pin!(events.poll());
        loop {
            if connection.since.is_some() {
                self.hand_over(connection);
            } else if self.shared.stopping() {
                return None;
            }
            tokio::select! {
                heard = &mut poll => return Some(heard),
                () = self.shared.work.notified() => {}
                () = &mut silence => {
                    let seconds = connection.patience.as_secs();
                    return Some(Err(LinkError::Lost(format!("no sign of life for {seconds} s"))));
                }
            }
        }
    }

    fn hand_over(&self, connection: &mut Connection) {
        let Connection { requests, window, leaving, .. } = connection;
        if *leaving {
            return;
        }
        self.shared.give_acknowledgements(|packet_id| requests.acknowledge(packet_id));
        if self.shared.stopping() {
            *leaving = requests.leave();
            return;
        }
        self.shared
            .give_publications(*window, |publication, left| requests.publish(publication, left));
    }

    /// Takes the broker's answer to our subscriptions; a cause if it ends the start.
    fn subscribed(&self, answers: &[Option<String>]) -> Option<Cause> {
        let mut refused = Vec::new();
        for ((filter, _), answer) in self.subscriptions.iter().zip(answers) {
            if let Some(reason) = answer {
                self.shared.subscription_refused();
                tracing::error!("{filter}: the MQTT broker refused the subscription: {reason}");
                refused.push(format!("`{filter}` ({reason})"));
            }
        }
        if !refused.is_empty() && *self.phase.borrow() == Phase::Starting {
            return Some((
                format!(
                    "the MQTT broker {} refused the subscription to {}",
                    self.dial.address(),
                    refused.join(", ")
                ),
                Some("allow this user to read the topic in the broker's access list".to_owned()),
            ));
        }
        self.phase.send_replace(Phase::Ready);
        None
    }

    fn broken(&self, connection: &Connection, error: LinkError) -> Outcome {
        let address = self.dial.address();
        let (what, help) = match error {
            LinkError::Refused(Refused::Login) => (
                format!("the MQTT broker {address} refused user name or password"),
                self.dial.login_help(),
            ),
            LinkError::Refused(Refused::ClientId) => (
                format!(
                    "the MQTT broker {address} refused the client id `{}`",
                    self.dial.broker.client_id
                ),
                "choose another client id".to_owned(),
            ),
            LinkError::Refused(Refused::Version) => (
                format!("the MQTT broker {address} does not speak this version of MQTT"),
                "set the version to the other one (5 or 3.1.1)".to_owned(),
            ),
            LinkError::Refused(Refused::Banned) => (
                format!("the MQTT broker {address} has banned this unit"),
                "ask who runs the broker".to_owned(),
            ),
            LinkError::Certificate(why) => (
                format!("the certificate of the MQTT broker {address} does not hold: {why}"),
                "the CA file must be of the authority that signed it, and the host name the one \
                 in the certificate"
                    .to_owned(),
            ),
            LinkError::Refused(Refused::Passing(why)) => {
                return Outcome::Lost(format!("refused the connection: {why}"), Duration::ZERO);
            }
            LinkError::Lost(why) => {
                let held = connection
                    .since
                    .map(|since| self.shared.elapsed().saturating_sub(since))
                    .unwrap_or_default();
                return Outcome::Lost(why, held);
            }
        };
        if *self.phase.borrow() == Phase::Starting {
            Outcome::Fatal((what, Some(help)))
        } else {
            // It worked before: somebody is changing the broker, and may change it back.
            tracing::error!("{what}; {help}");
            Outcome::Lost(what, Duration::ZERO)
        }
    }

    fn filters(&self) -> Vec<&str> {
        self.subscriptions.iter().map(|(filter, _)| filter.as_str()).collect()
    }
}

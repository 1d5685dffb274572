//! What keeps a connection, on a thread of its own: connects, reads, hands over, starts again.
//!
//! It never waits for anything but the connection: what goes out is handed over without waiting, so
//! reading goes on, and pings with it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, Sleep, interval, sleep, timeout};

use super::Retry;
use super::dial::{Dial, WINDOW};
use super::link::{Heard, Link, LinkError, Moved, Refused};
use super::shared::{Cause, EndGuard, Shared};

/// After a read the socket is left alone for so long. A broker writes every message by itself: under
/// load, waking for each of them is a third of the work. One that comes alone is not held up. The thread
/// itself sleeps, since a runtime that waits for its sockets wakes for each packet, wanted or not.
const GATHER: Duration = Duration::from_millis(1);

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

/// A connection that is up.
struct Connection {
    link: Link,
    /// When it came up, on the port clock.
    since: Duration,
    /// Open publications that the broker allows.
    window: u64,
    /// Half of the silence after which it is held to be dead.
    keep_alive: Duration,
    /// How often in a row `keep_alive` has passed without a byte from the broker ...
    silent: u32,
    /// ... and without room for one.
    full: u32,
    /// Topic filters and QoS that the broker has not granted yet.
    wanted: Vec<(String, u8)>,
    /// Until they are asked for again; `None` unless the broker has refused them.
    ask_pause: Option<Pin<Box<Sleep>>>,
    /// How long that is the next time.
    ask_delay: Duration,
}

impl Connection {
    /// `keep_alive` has passed: asks the broker for a sign of life, unless two have not come.
    fn beat(&mut self, room: bool) -> Result<Moved, LinkError> {
        let seconds = self.keep_alive.as_secs() * 2;
        // Nobody reads while there is no room. If the pipeline waits for room in our own queue
        // meanwhile, losing the connection sets it free.
        if room {
            self.silent += 1;
        } else {
            self.full += 1;
        }
        if self.full >= 2 {
            let why = "the pipeline has not kept up with the messages";
            return Err(LinkError::Lost(why.to_owned()));
        }
        if self.silent >= 2 {
            return Err(LinkError::Lost(format!("no sign of life for {seconds} s")));
        }
        self.link.ping();
        Ok(Moved::Other)
    }

    /// Asks for the subscriptions that are wanting. False where a filter is none.
    fn ask(&mut self) -> bool {
        self.ask_pause = None;
        self.link.subscribe(&self.wanted)
    }
}

/// Returns when a pause is over; never where there is none.
async fn over(pause: &mut Option<Pin<Box<Sleep>>>) {
    match pause {
        Some(pause) => pause.as_mut().await,
        None => std::future::pending().await,
    }
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
            let pause = self.pause(&mut delay);
            tracing::warn!(
                "MQTT broker {}: {why}; next attempt in {:.1} s",
                self.dial.address(),
                pause.as_secs_f64()
            );
            if self.stopped_within(pause).await {
                break;
            }
        }
        self.phase.send_replace(Phase::Ended);
    }

    /// How long to wait this time, with a delay that is longer the next.
    fn pause(&mut self, delay: &mut Duration) -> Duration {
        let pause = delay.mul_f64(self.jitter.random_range(0.5..=1.0));
        *delay = (*delay * 2).min(self.retry.cap);
        pause
    }

    /// Waits; true when a stop was asked for meanwhile.
    async fn stopped_within(&self, pause: Duration) -> bool {
        timeout(pause, self.asked_to_stop()).await.is_ok()
    }

    /// One connection, from the first packet to its end.
    async fn connection(&mut self) -> Outcome {
        let mut heard = Vec::new();
        let opened = tokio::select! {
            opened = Link::open(&self.dial, &mut heard) => opened,
            () = self.asked_to_stop() => return Outcome::Stopped,
        };
        let (link, welcome) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.broken(None, error),
        };
        let mut connection = Connection {
            link,
            since: self.shared.elapsed(),
            window: u64::from(welcome.receive_maximum.unwrap_or(WINDOW).clamp(1, WINDOW)),
            keep_alive: welcome.keep_alive.unwrap_or(self.dial.keep_alive()),
            silent: 0,
            full: 0,
            wanted: self.subscriptions.clone(),
            ask_pause: None,
            ask_delay: self.retry.first,
        };
        self.shared.connected(welcome.max_packet_bytes);
        tracing::info!("MQTT broker {}: connected", self.dial.address());
        if self.subscriptions.is_empty() {
            self.phase.send_replace(Phase::Ready);
        } else if !connection.ask() {
            return Outcome::Fatal((
                format!("not a valid MQTT topic filter among {:?}", self.filters()),
                Some("`+` stands alone between slashes, `#` alone at the end".to_owned()),
            ));
        }
        let mut beat = interval(connection.keep_alive);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let mut gather = false;
        loop {
            if let Some(outcome) = self.understand(&mut connection, &mut heard) {
                return outcome;
            }
            self.hand_over(&mut connection);
            if std::mem::take(&mut gather) {
                std::thread::sleep(GATHER);
            }
            if self.shared.stopping() {
                // What was acknowledged before the stop was asked for must not come again.
                self.hand_over(&mut connection);
                connection.link.leave().await;
                return Outcome::Stopped;
            }
            // Where the pipeline cannot follow, the socket is left unread and the broker holds back.
            let room = !self.shared.inbox_is_full();
            let outcome = tokio::select! {
                moved = connection.link.moved(room, &mut heard) => moved,
                () = self.shared.work.notified() => Ok(Moved::Other),
                _ = beat.tick() => connection.beat(room),
                () = over(&mut connection.ask_pause) => {
                    connection.ask();
                    Ok(Moved::Other)
                }
            };
            if !heard.is_empty() {
                connection.silent = 0;
            }
            if room {
                connection.full = 0;
            }
            gather = matches!(outcome, Ok(Moved::AllThereWas));
            if let Err(error) = outcome {
                // What came before the end counts.
                return self
                    .understand(&mut connection, &mut heard)
                    .unwrap_or_else(|| self.broken(Some(&connection), error));
            }
        }
    }

    async fn asked_to_stop(&self) {
        while !self.shared.stopping() {
            self.shared.work.notified().await;
        }
    }

    /// Takes in what came; an outcome if it ends the connection.
    fn understand(
        &mut self,
        connection: &mut Connection,
        heard: &mut Vec<Heard>,
    ) -> Option<Outcome> {
        let mut messages = Vec::with_capacity(heard.len());
        let mut outcome = None;
        for heard in heard.drain(..) {
            match heard {
                Heard::Message { topic, payload, packet_id } => {
                    messages.push((topic, payload, packet_id));
                }
                Heard::Subscribed(answers) => {
                    let cause = self.subscribed(connection, answers);
                    outcome = outcome.or(cause.map(Outcome::Fatal));
                }
                Heard::Transmitted(packet_id) => self.shared.transmitted(packet_id),
                Heard::Answered { packet_id, refusal } => {
                    self.shared.answered(packet_id, refusal.as_deref());
                }
                Heard::Connected(_) | Heard::Nothing => {}
            }
        }
        if !messages.is_empty() {
            self.shared.arrived(messages.into_iter());
        }
        outcome
    }

    fn hand_over(&self, connection: &mut Connection) {
        let Connection { link, window, .. } = connection;
        self.shared.give_acknowledgements(|packet_id| link.acknowledge(packet_id));
        if !self.shared.stopping() {
            self.shared
                .give_publications(*window, |publication, left| link.publish(publication, left));
        }
    }

    /// Takes the broker's answer to our subscriptions; a cause if it ends the start. Later, what was
    /// refused is asked for again on the same connection, which goes on carrying everything else.
    fn subscribed(
        &mut self,
        connection: &mut Connection,
        answers: Vec<Option<String>>,
    ) -> Option<Cause> {
        let mut refused = Vec::new();
        for ((filter, qos), answer) in
            std::mem::take(&mut connection.wanted).into_iter().zip(answers)
        {
            if let Some(reason) = answer {
                tracing::error!("{filter}: the MQTT broker refused the subscription: {reason}");
                refused.push(format!("`{filter}` ({reason})"));
                connection.wanted.push((filter, qos));
            }
        }
        self.shared.subscriptions_refused(refused.len() as u64);
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
        if !refused.is_empty() {
            let pause = self.pause(&mut connection.ask_delay);
            tracing::warn!(
                "MQTT broker {}: nothing is heard of {}; asked again in {:.1} s",
                self.dial.address(),
                refused.join(", "),
                pause.as_secs_f64()
            );
            connection.ask_pause = Some(Box::pin(sleep(pause)));
        }
        None
    }

    fn broken(&self, connection: Option<&Connection>, error: LinkError) -> Outcome {
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
                    .map(|connection| self.shared.elapsed().saturating_sub(connection.since))
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

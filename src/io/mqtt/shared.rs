//! What the session's task, its source and its sinks have in common, behind one short lock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::MqttStats;
use super::outbox::{Outbox, Outgoing};
use crate::ports::{Message, PortError, SharedClock};

/// Messages and bytes that may wait for the pipeline before the socket is left alone, so that the
/// broker holds the rest back.
const MAX_INBOX: usize = 10_000;
const MAX_INBOX_BYTES: usize = 64 << 20;

/// What ended a session against our wish: what, and what to do.
pub(super) type Cause = (String, Option<String>);

#[derive(Clone)]
enum Ending {
    Wished,
    Fatal(Cause),
}

pub(super) struct Shared {
    clock: SharedClock,
    state: Mutex<State>,
    /// Something for the session's task to do.
    pub(super) work: Notify,
    /// Something for the source: a message, or the end.
    arrival: Notify,
    /// Something for the sinks: room, an acknowledgement, or the end.
    departure: Notify,
}

#[derive(Default)]
struct State {
    outbox: Outbox,
    inbox: VecDeque<Message>,
    inbox_bytes: usize,
    last_receipt: u64,
    /// Receipts given out in this connection and the packets they stand for.
    unacknowledged: VecDeque<(u64, u16)>,
    /// Packets to acknowledge to the broker.
    acknowledgements: VecDeque<u16>,
    stopping: bool,
    ended: Option<Ending>,
    /// Largest packet that the broker takes.
    max_packet_bytes: Option<u32>,
    stats: MqttStats,
    was_connected: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            work: Notify::new(),
            arrival: Notify::new(),
            departure: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(super) fn stats(&self) -> MqttStats {
        let state = self.state();
        MqttStats { waiting: state.outbox.len() as u64, ..state.stats }
    }

    // For the source.

    /// At least one message, and `most` at most.
    pub(super) async fn next_messages(
        &self,
        most: usize,
    ) -> Option<Result<Vec<Message>, PortError>> {
        loop {
            {
                let mut state = self.state();
                if !state.inbox.is_empty() {
                    let many = state.inbox.len().min(most.max(1));
                    let messages: Vec<Message> = state.inbox.drain(..many).collect();
                    let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
                    state.inbox_bytes -= bytes;
                    // The task may be waiting for room.
                    self.work.notify_one();
                    return Some(Ok(messages));
                }
                if let Some(ending) = state.ended.clone() {
                    // Another source, if there is one, has to hear it too.
                    self.arrival.notify_one();
                    return match ending {
                        Ending::Wished => None,
                        Ending::Fatal((what, help)) => Some(Err(PortError::Fatal { what, help })),
                    };
                }
            }
            self.arrival.notified().await;
        }
    }

    pub(super) fn acknowledge(&self, receipt: u64) {
        let mut state = self.state();
        while let Some((oldest, packet_id)) = state.unacknowledged.front().copied() {
            if oldest > receipt {
                break;
            }
            state.unacknowledged.pop_front();
            state.acknowledgements.push_back(packet_id);
        }
        if !state.acknowledgements.is_empty() {
            self.work.notify_one();
        }
    }

    // For the sinks.

    /// Which one it is of all that were sent.
    pub(super) async fn send(&self, publication: Outgoing) -> Result<u64, PortError> {
        loop {
            let changed = self.departure.notified();
            {
                let mut guard = self.state();
                let state = &mut *guard;
                if state.ended.is_some() {
                    drop(guard);
                    return Err(self.ended_error());
                }
                while !state.stats.connected && !state.outbox.has_room_for(&publication) {
                    match state.outbox.drop_oldest(&mut state.stats) {
                        Some(dropped) => tracing::error!(
                            "{}: dropped, the queue is full and the MQTT broker is away",
                            dropped.topic
                        ),
                        None => break,
                    }
                }
                if state.outbox.has_room_for(&publication) {
                    let nth = state.outbox.push(publication, &mut state.stats);
                    self.work.notify_one();
                    return Ok(nth);
                }
            }
            changed.await;
        }
    }

    /// How many publications, from the first on, neither wait nor are on their way.
    pub(super) fn done(&self) -> u64 {
        self.state().outbox.done()
    }

    /// Returns when nothing waits and nothing is on its way.
    pub(super) async fn emptied(&self) -> Result<(), PortError> {
        loop {
            let changed = self.departure.notified();
            {
                let state = self.state();
                if state.outbox.len() == 0 {
                    return Ok(());
                }
                if state.ended.is_some() {
                    drop(state);
                    return Err(self.ended_error());
                }
            }
            changed.await;
        }
    }

    // For everybody.

    /// Ends the session, unless it has ended: the first word stands. No cause: as wished.
    pub(super) fn end(&self, cause: Option<Cause>) {
        let mut state = self.state();
        state.stats.connected = false;
        state.ended.get_or_insert(cause.map_or(Ending::Wished, Ending::Fatal));
        self.arrival.notify_one();
        self.departure.notify_waiters();
    }

    pub(super) fn ended_error(&self) -> PortError {
        match self.state().ended.clone() {
            Some(Ending::Fatal((what, help))) => PortError::Fatal { what, help },
            Some(Ending::Wished) | None => {
                PortError::Fatal { what: "the MQTT session has ended".to_owned(), help: None }
            }
        }
    }

    pub(super) fn ask_to_stop(&self) {
        self.state().stopping = true;
        self.work.notify_one();
    }

    // For the session's task.

    pub(super) fn stopping(&self) -> bool {
        self.state().stopping
    }

    pub(super) fn inbox_is_full(&self) -> bool {
        let state = self.state();
        state.inbox.len() >= MAX_INBOX || state.inbox_bytes >= MAX_INBOX_BYTES
    }

    /// Hands `give` every packet to acknowledge.
    pub(super) fn give_acknowledgements(&self, give: impl FnMut(u16)) {
        self.state().acknowledgements.drain(..).for_each(give);
    }

    /// Hands `give` one publication after another, with the time it has left, until it takes no
    /// more.
    pub(super) fn give_publications(
        &self,
        window: u64,
        mut give: impl FnMut(&Outgoing, Option<Duration>) -> bool,
    ) {
        let now = self.elapsed();
        let mut guard = self.state();
        let state = &mut *guard;
        let limit = state.max_packet_bytes.map_or(usize::MAX, |limit| limit as usize);
        while let Some(next) = state.outbox.next(now, window, &mut state.stats) {
            // A packet's head with its properties stays below 64 bytes.
            if next.topic.len() + next.payload.len() + 64 > limit {
                if let Some(dropped) = state.outbox.discard_next() {
                    state.stats.dropped_too_large += 1;
                    tracing::error!(
                        "{}: dropped, {} bytes are more than the MQTT broker takes ({limit})",
                        dropped.topic,
                        dropped.payload.len()
                    );
                }
                continue;
            }
            let left = next.expires_at.map(|end| end.saturating_sub(now));
            if !give(next, left) {
                break;
            }
            state.outbox.handed_over(&mut state.stats);
        }
        self.departure.notify_waiters();
    }

    pub(super) fn connected(&self, max_packet_bytes: Option<u32>) {
        let mut state = self.state();
        state.stats.connected = true;
        state.stats.reconnects += u64::from(state.was_connected);
        state.was_connected = true;
        state.max_packet_bytes = max_packet_bytes;
    }

    /// Forgets the receipts of this connection; the broker sends those messages again.
    pub(super) fn disconnected(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.stats.connected = false;
        state.stats.subscriptions_refused = 0;
        state.unacknowledged.clear();
        state.acknowledgements.clear();
        state.outbox.link_lost(&mut state.stats);
        self.departure.notify_waiters();
    }

    /// Messages that came together: topic, payload, and packet id, which is 0 for QoS 0 and then
    /// needs no acknowledgement.
    pub(super) fn arrived(&self, messages: impl Iterator<Item = (String, Vec<u8>, u16)>) {
        let received_at = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        for (topic, payload, packet_id) in messages {
            state.last_receipt += 1;
            let receipt = state.last_receipt;
            if packet_id != 0 {
                state.unacknowledged.push_back((receipt, packet_id));
            }
            state.stats.received += 1;
            state.inbox_bytes += payload.len();
            state.inbox.push_back(Message { topic, payload, received_at, receipt });
        }
        self.arrival.notify_one();
    }

    pub(super) fn transmitted(&self, packet_id: u16) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.outbox.transmitted(packet_id, &mut state.stats);
        self.departure.notify_waiters();
    }

    /// The broker's answer to a publication; `refusal` if it did not take it.
    pub(super) fn answered(&self, packet_id: u16, refusal: Option<&str>) {
        let mut state = self.state();
        if let Some(publication) = state.outbox.answered(packet_id) {
            match refusal {
                None => state.stats.sent += 1,
                Some(reason) => {
                    state.stats.refused += 1;
                    tracing::error!(
                        "{}: the MQTT broker refused the publication: {reason}",
                        publication.topic
                    );
                }
            }
        }
        self.departure.notify_waiters();
    }

    /// The broker has answered: it refuses so many subscriptions, and has granted all others.
    pub(super) fn subscriptions_refused(&self, refused: u64) {
        let mut state = self.state();
        state.stats.refused += refused;
        state.stats.subscriptions_refused = refused;
    }
}

/// Ends the session when its task goes away, however that happens.
pub(super) struct EndGuard(pub(super) Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

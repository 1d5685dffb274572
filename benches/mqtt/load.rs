//! Sends a stretch of readings, as fast as the broker takes them or at a rate, and listens: as an
//! idle subscriber that counts, or for the results of windows.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use wayside::domain::time::Timestamp;
use wayside::ports::SharedClock;

use super::stream::Stretch;
use super::wire::{self, Packets, Template, published};

/// Bytes in one write at full speed.
const WRITE: usize = 1 << 16;
/// How often readings go out at a rate.
const PACE: Duration = Duration::from_millis(1);
/// Readings on their way to the broker that it has not acknowledged: its ids must not come round.
const MOST_OPEN: u64 = 20_000;

pub struct Publisher {
    stream: TcpStream,
    template: Template,
    clock: SharedClock,
    qos: u8,
    sent: u64,
    acknowledged: Arc<AtomicU64>,
    buffer: Vec<u8>,
}

/// When a stretch went out.
pub struct Sent {
    pub began: Duration,
    /// Of each closing, in order: just before the write that its reading was in.
    pub closings: Vec<Duration>,
}

impl Publisher {
    pub fn new(port: u16, qos: u8, clock: SharedClock) -> io::Result<Self> {
        let stream = wire::connect(port, "bench-load", None)?;
        let acknowledged = Arc::new(AtomicU64::new(0));
        if qos > 0 {
            let (mut stream, counter) = (stream.try_clone()?, Arc::clone(&acknowledged));
            // Nothing but PUBACKs comes in, of four bytes each.
            thread::spawn(move || {
                let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    bytes += read as u64;
                    counter.store(bytes / 4, Ordering::Release);
                    thread::sleep(PACE);
                }
            });
        }
        let template = Template::new(qos);
        Ok(Self { stream, template, clock, qos, sent: 0, acknowledged, buffer: Vec::new() })
    }

    pub fn as_fast_as_taken(&mut self, stretch: &Stretch) -> io::Result<Sent> {
        let began = self.clock.elapsed();
        let mut closings = Vec::new();
        let (mut from, mut next) = (0, stretch.closings.iter().peekable());
        for (at, reading) in stretch.readings.iter().enumerate() {
            self.template.write(*reading, &mut self.buffer);
            if self.buffer.len() < WRITE && at + 1 < stretch.readings.len() {
                continue;
            }
            let now = self.clock.elapsed();
            while next.next_if(|closing| closing.at <= at).is_some() {
                closings.push(now);
            }
            self.write((at + 1 - from) as u64)?;
            from = at + 1;
        }
        Ok(Sent { began, closings })
    }

    /// So many a second, evenly.
    pub fn at_rate(&mut self, stretch: &Stretch, rate: f64) -> io::Result<Sent> {
        let began = self.clock.elapsed();
        let mut closings = Vec::new();
        let (mut from, mut next) = (0, stretch.closings.iter().peekable());
        while from < stretch.readings.len() {
            let now = self.clock.elapsed();
            let due = (now.saturating_sub(began).as_secs_f64() * rate) as usize;
            let to = due.min(stretch.readings.len());
            for reading in &stretch.readings[from..to] {
                self.template.write(*reading, &mut self.buffer);
            }
            while next.next_if(|closing| closing.at < to).is_some() {
                closings.push(now);
            }
            if to > from {
                self.write((to - from) as u64)?;
            }
            from = to;
            thread::sleep(PACE);
        }
        Ok(Sent { began, closings })
    }

    /// Tells the other engines that nothing follows.
    pub fn end(&mut self) -> io::Result<()> {
        wire::publish(&mut self.stream, wire::END, b"{}")
    }

    fn write(&mut self, messages: u64) -> io::Result<()> {
        self.stream.write_all(&self.buffer)?;
        self.buffer.clear();
        self.sent += messages;
        while self.qos > 0
            && self.sent.saturating_sub(self.acknowledged.load(Ordering::Acquire)) > MOST_OPEN
        {
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

/// Reads, counts and acknowledges at once; does nothing else.
pub struct Idle {
    received: Arc<AtomicU64>,
}

impl Idle {
    pub fn new(port: u16, qos: u8) -> io::Result<Self> {
        let mut stream = wire::connect(port, "bench-idle", Some((wire::FILTER, qos)))?;
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        thread::spawn(move || -> io::Result<()> {
            let (mut packets, mut answers, mut count) = (Packets::default(), Vec::new(), 0);
            while packets.fill(&mut stream)? {
                while let Some((kind, body)) = packets.next() {
                    if kind & 0xf0 == 0x30 {
                        count += 1;
                        let (id, _) = published(kind, body);
                        if id > 0 {
                            let [high, low] = id.to_be_bytes();
                            answers.extend_from_slice(&[0x40, 2, high, low]);
                        }
                    }
                }
                stream.write_all(&answers)?;
                answers.clear();
                counter.store(count, Ordering::Release);
                // The broker writes every message by itself: waking for each would be much of the
                // work, and the mark is the least that a subscriber can cost.
                thread::sleep(PACE);
            }
            Ok(())
        });
        Ok(Self { received })
    }

    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }
}

/// A window's result as it came.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub at: Duration,
    /// The window's end, ms.
    pub end: i64,
}

/// Hears the unit's results of windows.
pub struct Results {
    arrivals: Receiver<Arrived>,
    /// Readings that the results count, by the window's end.
    pub payloads: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Results {
    pub fn new(port: u16, filter: &str, clock: SharedClock) -> io::Result<Self> {
        let mut stream = wire::connect(port, "bench-results", Some((filter, 0)))?;
        let (sender, arrivals): (Sender<Arrived>, _) = channel();
        let payloads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&payloads);
        thread::spawn(move || -> io::Result<()> {
            let mut packets = Packets::default();
            while packets.fill(&mut stream)? {
                let at = clock.elapsed();
                while let Some((kind, body)) = packets.next() {
                    if kind & 0xf0 != 0x30 {
                        continue;
                    }
                    let (_, payload) = published(kind, body);
                    let Some(end) = end_of(payload) else { continue };
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(payload.to_vec());
                    if sender.send(Arrived { at, end: end.millis() }).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        Ok(Self { arrivals, payloads })
    }

    /// Waits for the result of this window; all that came up to it, or `None` when nothing has come
    /// for so long.
    pub fn until(&self, end: i64, patience: Duration) -> Option<Vec<Arrived>> {
        let mut arrived = Vec::new();
        loop {
            let next = self.arrivals.recv_timeout(patience).ok()?;
            let last = next.end == end;
            arrived.push(next);
            if last {
                return Some(arrived);
            }
        }
    }
}

/// The end of the window, from its text: near the front, so that nothing big is read in the midst of
/// a measurement.
fn end_of(payload: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(payload.get(..200.min(payload.len()))?).ok()?;
    let (_, rest) = text.split_once("\"end\":\"")?;
    Timestamp::parse(rest.get(..24)?).ok()
}

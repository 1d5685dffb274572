//! The little of MQTT 3.1.1 that a load generator and an idle subscriber need, by hand: they must cost
//! next to nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use wayside::domain::time::Timestamp;

use super::stream::Reading;

/// The topic of a sensor, and the filter of all.
pub const FILTER: &str = "wayside/v1/bench/sensor/+/reading";
/// Says that no reading follows.
pub const END: &str = "wayside/v1/bench/end";

/// A connection that was let in. `receiving`: a filter and its QoS.
pub fn connect(port: u16, client: &str, receiving: Option<(&str, u8)>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0];
    text(&mut body, client);
    stream.write_all(&packet(0x10, &body))?;
    expect(&mut stream, 0x20)?;
    if let Some((filter, qos)) = receiving {
        let mut body = vec![0, 1];
        text(&mut body, filter);
        body.push(qos);
        stream.write_all(&packet(0x82, &body))?;
        expect(&mut stream, 0x90)?;
    }
    stream.set_read_timeout(None)?;
    Ok(stream)
}

/// One message at QoS 0, now and then.
pub fn publish(stream: &mut TcpStream, topic: &str, payload: &[u8]) -> io::Result<()> {
    let mut body = Vec::new();
    text(&mut body, topic);
    body.extend_from_slice(payload);
    stream.write_all(&packet(0x30, &body))
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        packet.push((length % 128) as u8 | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(&(text.len() as u16).to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}

fn expect(stream: &mut TcpStream, kind: u8) -> io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body)?;
    let refused = body.last().is_some_and(|code| *code >= 0x80) || (kind == 0x20 && body[1] != 0);
    if head[0] != kind || refused {
        return Err(io::Error::other(format!("the broker answered {head:?} {body:?}")));
    }
    Ok(())
}

/// Cuts packets out of what comes in.
#[derive(Default)]
pub struct Packets {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Packets {
    /// Waits for more bytes; false at the end.
    pub fn fill(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        if self.buffer.len() - self.to < 1 << 17 {
            self.buffer.resize(self.to + (1 << 18), 0);
        }
        let read = stream.read(&mut self.buffer[self.to..])?;
        self.to += read;
        Ok(read > 0)
    }

    /// The next whole packet: its first byte and what follows its length.
    pub fn next(&mut self) -> Option<(u8, &[u8])> {
        let bytes = &self.buffer[self.from..self.to];
        let kind = *bytes.first()?;
        let (mut length, mut head) = (0, 1);
        loop {
            let byte = *bytes.get(head)?;
            length |= usize::from(byte & 0x7f) << (7 * (head - 1));
            head += 1;
            if byte < 0x80 {
                break;
            }
        }
        let body = bytes.get(head..head + length)?;
        self.from += head + length;
        Some((kind, body))
    }
}

/// What a PUBLISH packet holds: packet id (0 at QoS 0) and payload.
pub fn published(kind: u8, body: &[u8]) -> (u16, &[u8]) {
    let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    if kind & 0b110 == 0 {
        return (0, &body[topic..]);
    }
    (u16::from_be_bytes([body[topic], body[topic + 1]]), &body[topic + 2..])
}

/// A PUBLISH packet of a loop reading (wire.md) in which digits are put in place.
pub struct Template {
    packet: Vec<u8>,
    qos: u8,
    next_id: u16,
    id: usize,
    /// Where the sensor's number stands.
    numbers: [usize; 3],
    ts: usize,
    count: usize,
    speed: usize,
    /// The minute of the newest time, and its text up to the seconds.
    minute: (i64, [u8; 17]),
}

const SENSOR: &str = "loop_00000";
const TS: &str = "2008-11-11T07:20:30.000Z";

impl Template {
    pub fn new(qos: u8) -> Self {
        let mut body = Vec::new();
        text(&mut body, &FILTER.replace('+', SENSOR));
        let id = body.len();
        if qos > 0 {
            body.extend_from_slice(&[0, 0]);
        }
        body.extend_from_slice(
            format!(
                "{{\"v\":1,\"sensor_id\":\"{SENSOR}\",\"kind\":\"loop\",\"edge_id\":\"edge_00000\",\
                 \"lane\":0,\"ts\":\"{TS}\",\"period_s\":10,\"count\":7,\"speed_kmh\":31.2,\
                 \"occupancy_pct\":12.35}}"
            )
            .as_bytes(),
        );
        let kind = 0x30 | (qos << 1);
        let whole = packet(kind, &body);
        let id = id + whole.len() - body.len();
        let find = |what: &str, skip: usize| {
            let places = whole.windows(what.len()).enumerate();
            let place = places.filter(|(_, w)| *w == what.as_bytes()).nth(skip);
            place.map_or_else(|| unreachable!("{what}"), |(at, _)| at + what.len())
        };
        Self {
            qos,
            next_id: 1,
            id,
            numbers: [find("/loop_", 0), find("\"loop_", 0), find("edge_", 1)],
            ts: find("\"ts\":\"", 0),
            count: find("\"count\":", 0),
            speed: find("\"speed_kmh\":", 0),
            minute: (i64::MIN, [0; 17]),
            packet: whole,
        }
    }

    pub fn bytes(&self) -> usize {
        self.packet.len()
    }

    pub fn payload_bytes(&self) -> usize {
        self.packet.len() - self.id - 2 * usize::from(self.qos > 0)
    }

    /// Appends the packet of a reading.
    pub fn write(&mut self, reading: Reading, out: &mut Vec<u8>) {
        let packet = &mut self.packet;
        if self.qos > 0 {
            packet[self.id..self.id + 2].copy_from_slice(&self.next_id.to_be_bytes());
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        }
        for at in self.numbers {
            digits(&mut packet[at..at + 5], i64::from(reading.sensor));
        }
        let minute = reading.ts.div_euclid(60_000);
        if self.minute.0 != minute {
            let text = Timestamp::from_millis(minute * 60_000).unwrap_or_default().to_string();
            self.minute = (minute, [0; 17]);
            self.minute.1.copy_from_slice(&text.as_bytes()[..17]);
        }
        packet[self.ts..self.ts + 17].copy_from_slice(&self.minute.1);
        let within = reading.ts.rem_euclid(60_000);
        digits(&mut packet[self.ts + 17..self.ts + 19], within / 1_000);
        digits(&mut packet[self.ts + 20..self.ts + 23], within % 1_000);
        let figure = i64::from(reading.sensor) + reading.ts / 1_000;
        digits(&mut packet[self.count..=self.count], 1 + figure % 9);
        digits(&mut packet[self.speed..self.speed + 2], 45 + figure % 11);
        out.extend_from_slice(packet);
    }
}

fn digits(place: &mut [u8], mut number: i64) {
    for byte in place.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

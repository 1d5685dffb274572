//! One connection, the same for both protocol versions: a socket, and what waits to go through it.
//!
//! The client library's own event loop hands out one packet a turn and writes one acknowledgement a
//! system call, which is dear at a city's rates. So bytes move here in large pieces: what one read
//! brings is handed out together, and what waits goes out in one write. Packets are the library's
//! affair (`packets`), and what has to outlive a connection is the outbox's.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::dial::Dial;
use super::outbox::Outgoing;
use super::packets;
use crate::plan::MqttVersion;

/// How long the way to an open connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a broker may take to hang up after our farewell.
const FAREWELL_LIMIT: Duration = Duration::from_millis(500);
/// Bytes that one read may bring.
const READ_BYTES: usize = 1 << 16;
/// Bytes that wait for the socket, above which no publication is taken.
const MOST_UNSENT: usize = 1 << 20;

/// What the session has to know of what happened.
#[derive(Debug)]
pub(super) enum Heard {
    Connected(Welcome),
    /// An answer a filter, in the order of the request: why it was refused, if it was.
    Subscribed(Vec<Option<String>>),
    Message {
        topic: String,
        payload: Vec<u8>,
        packet_id: u16,
    },
    /// A publication has gone out under this id; 0 at QoS 0.
    Transmitted(u16),
    Answered {
        packet_id: u16,
        refusal: Option<String>,
    },
    Nothing,
}

/// What the broker asks for when it lets us in.
#[derive(Debug, Default)]
pub(super) struct Welcome {
    pub(super) receive_maximum: Option<u16>,
    pub(super) max_packet_bytes: Option<u32>,
    pub(super) keep_alive: Option<Duration>,
}

/// Which bytes have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// A read has brought all that was there.
    AllThereWas,
    /// Out, or in and there may be more.
    Other,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum LinkError {
    Refused(Refused),
    /// The broker's certificate does not hold.
    Certificate(String),
    Lost(String),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Why the broker says no.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Login,
    ClientId,
    Version,
    Banned,
    /// Busy, over quota, and the like: may pass.
    Passing(String),
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

pub(super) struct Link {
    socket: Box<dyn Socket>,
    version: MqttVersion,
    /// What has come in and is no whole packet yet.
    incoming: BytesMut,
    /// Room for one read.
    room: Vec<u8>,
    outgoing: BytesMut,
    /// Written, and perhaps held back by TLS.
    unflushed: bool,
    /// Bytes written since the start.
    written: u64,
    /// Publications in `outgoing`: where they end, counted like `written`, and their packet ids.
    leaving: VecDeque<(u64, u16)>,
    last_id: u16,
}

impl Link {
    /// Connects and waits until the broker lets us in. What it says right after goes to `heard`.
    pub(super) async fn open(
        dial: &Dial,
        heard: &mut Vec<Heard>,
    ) -> Result<(Self, Welcome), LinkError> {
        timeout(CONNECT_LIMIT, Self::opened(dial, heard)).await.unwrap_or_else(|_| {
            let seconds = CONNECT_LIMIT.as_secs();
            Err(LinkError::Lost(format!("no connection within {seconds} s")))
        })
    }

    async fn opened(dial: &Dial, heard: &mut Vec<Heard>) -> Result<(Self, Welcome), LinkError> {
        let host = dial.broker.host.as_str();
        let tcp = TcpStream::connect((host, dial.broker.port)).await?;
        tcp.set_nodelay(true)?;
        let socket: Box<dyn Socket> = match &dial.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| LinkError::Certificate(error.to_string()))?;
                let tls =
                    TlsConnector::from(std::sync::Arc::clone(config)).connect(name, tcp).await;
                Box::new(tls.map_err(|error| tls_error(&error))?)
            }
        };
        let mut link = Self {
            socket,
            version: dial.broker.version,
            incoming: BytesMut::new(),
            room: vec![0; READ_BYTES],
            outgoing: BytesMut::new(),
            unflushed: false,
            written: 0,
            leaving: VecDeque::new(),
            last_id: 0,
        };
        packets::connect(dial, &mut link.outgoing).map_err(LinkError::Lost)?;
        loop {
            link.moved(true, heard).await?;
            match heard.first() {
                None => {}
                Some(Heard::Connected(_)) => {
                    if let Heard::Connected(welcome) = heard.remove(0) {
                        return Ok((link, welcome));
                    }
                }
                Some(other) => {
                    return Err(LinkError::Lost(format!("the broker began with {other:?}")));
                }
            }
        }
    }

    /// False where a filter is none.
    pub(super) fn subscribe(&mut self, filters: &[(String, u8)]) -> bool {
        let id = self.next_id();
        packets::subscribe(self.version, id, filters, &mut self.outgoing).is_ok()
    }

    /// Takes a publication unless too much waits for the socket. `left`: how long the broker may
    /// keep it, in version 5 alone.
    pub(super) fn publish(&mut self, publication: &Outgoing, left: Option<Duration>) -> bool {
        if self.outgoing.len() > MOST_UNSENT {
            return false;
        }
        let id = if publication.confirmed { self.next_id() } else { 0 };
        let out = &mut self.outgoing;
        let before = out.len();
        if let Err(error) = packets::publish(self.version, id, publication, left, out) {
            // Too long for the protocol, which `MqttSink::send` and the broker's limit rule out.
            tracing::error!(%error, "{}: cannot be sent", publication.topic);
            out.truncate(before);
        }
        self.leaving.push_back((self.written + self.outgoing.len() as u64, id));
        true
    }

    pub(super) fn acknowledge(&mut self, packet_id: u16) {
        packets::acknowledge(packet_id, &mut self.outgoing);
    }

    pub(super) fn ping(&mut self) {
        packets::ping(&mut self.outgoing);
    }

    /// Says goodbye behind everything that waits.
    pub(super) async fn leave(mut self) {
        packets::leave(&mut self.outgoing);
        let farewell = async {
            while !self.outgoing.is_empty() || self.unflushed {
                self.moved(false, &mut Vec::new()).await?;
            }
            std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await?;
            // A socket that is closed with bytes unread takes back what it sent: the broker has to
            // hang up first.
            loop {
                self.moved(true, &mut Vec::new()).await?;
            }
        };
        let _hung_up: Result<Result<(), LinkError>, _> = timeout(FAREWELL_LIMIT, farewell).await;
    }

    /// Waits until bytes have moved, one way or the other, and says what came of it. Without
    /// `reading` the broker's bytes are left where they are. Cancel-safe.
    pub(super) async fn moved(
        &mut self,
        reading: bool,
        heard: &mut Vec<Heard>,
    ) -> Result<Moved, LinkError> {
        let moved = std::future::poll_fn(|cx| self.poll_moved(cx, reading)).await;
        // What came before the end counts.
        while let Some((end, packet_id)) = self.leaving.front().copied() {
            if end > self.written {
                break;
            }
            self.leaving.pop_front();
            heard.push(Heard::Transmitted(packet_id));
        }
        while let Some(packet) = packets::next(self.version, &mut self.incoming)? {
            heard.push(packet);
        }
        Ok(moved?)
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<io::Result<Moved>> {
        let mut moved = None;
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.outgoing)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(bytes) => {
                    self.outgoing.advance(bytes);
                    self.written += bytes as u64;
                    self.unflushed = true;
                    moved = Some(Moved::Other);
                }
                Poll::Pending => break,
            }
        }
        if self.unflushed && Pin::new(&mut self.socket).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
            moved = Some(Moved::Other);
        }
        if reading {
            let mut room = ReadBuf::new(&mut self.room);
            if Pin::new(&mut self.socket).poll_read(cx, &mut room)?.is_ready() {
                if room.filled().is_empty() {
                    let what = "the broker has closed the connection";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
                }
                self.incoming.extend_from_slice(room.filled());
                let all = room.remaining() > 0;
                moved = Some(if all { Moved::AllThereWas } else { Moved::Other });
            }
        }
        moved.map_or(Poll::Pending, |moved| Poll::Ready(Ok(moved)))
    }

    /// Round robin, so that none is used twice at a time: the outbox's window is far smaller.
    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }
}

/// A certificate from nobody we trust, or for another host, stays so. One that is not valid yet or
/// any more may be our clock's fault, which is set after the start of many a unit: that may pass.
fn tls_error(error: &io::Error) -> LinkError {
    use rustls::CertificateError as Fault;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let lasting = matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(
            Fault::UnknownIssuer
                | Fault::BadSignature
                | Fault::NotValidForName
                | Fault::NotValidForNameContext { .. }
                | Fault::Revoked
        ))
    );
    if lasting {
        LinkError::Certificate(error.to_string())
    } else {
        LinkError::Lost(error.to_string())
    }
}

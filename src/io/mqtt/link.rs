//! One connection, the same for both protocol versions. A new one is made for every attempt: the
//! client library carries packets and packet ids over into the next connection, and what has to
//! be carried over is the outbox's affair.

use std::io;
use std::time::Duration;

use rumqttc::v5;
use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5 as packet5;
use rumqttc::{self as v4, QoS};

use super::dial::Dial;
use super::outbox::Outgoing;
use crate::plan::MqttVersion;

/// Requests that the library may hold before it takes them up.
const REQUESTS: usize = 64;

/// What the session has to know of what happened.
#[derive(Debug)]
pub(super) enum Heard {
    Connected {
        receive_maximum: Option<u16>,
        max_packet_bytes: Option<u32>,
        keep_alive: Option<Duration>,
    },
    /// An answer a filter, in the order of the request: why it was refused, if it was.
    Subscribed(Vec<Option<String>>),
    Message {
        topic: String,
        payload: Vec<u8>,
        packet_id: u16,
    },
    Transmitted(u16),
    Answered {
        packet_id: u16,
        refusal: Option<String>,
    },
    /// Our farewell is on the wire.
    Left,
    Nothing,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum LinkError {
    Refused(Refused),
    /// The broker's certificate does not hold.
    Certificate(String),
    Lost(String),
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

/// The side that requests go into.
pub(super) enum Requests {
    V5(v5::AsyncClient),
    V311(v4::AsyncClient),
}

/// The side that events come out of.
pub(super) enum Events {
    V5(Box<v5::EventLoop>),
    V311(Box<v4::EventLoop>),
}

/// Opens nothing yet: the first `poll` connects.
pub(super) fn open(dial: &Dial) -> (Requests, Events) {
    match dial.version() {
        MqttVersion::V5 => {
            let (client, events) = v5::AsyncClient::new(dial.options_5(), REQUESTS);
            (Requests::V5(client), Events::V5(Box::new(events)))
        }
        MqttVersion::V311 => {
            let (options, network) = dial.options_311();
            let (client, mut events) = v4::AsyncClient::new(options, REQUESTS);
            events.set_network_options(network);
            (Requests::V311(client), Events::V311(Box::new(events)))
        }
    }
}

/// Each of these takes a request without waiting; false when there is no room for it now.
impl Requests {
    pub(super) fn subscribe(&self, filters: &[(String, u8)]) -> bool {
        match self {
            Self::V5(client) => client
                .try_subscribe_many(filters.iter().map(|(topic, qos)| {
                    let qos = if *qos == 0 { QoS5::AtMostOnce } else { QoS5::AtLeastOnce };
                    packet5::Filter::new(topic, qos)
                }))
                .is_ok(),
            Self::V311(client) => client
                .try_subscribe_many(filters.iter().map(|(topic, qos)| {
                    let qos = if *qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
                    v4::SubscribeFilter::new(topic.clone(), qos)
                }))
                .is_ok(),
        }
    }

    /// `left`: how long the broker may keep it, in version 5 alone.
    pub(super) fn publish(&self, publication: &Outgoing, left: Option<Duration>) -> bool {
        let Outgoing { topic, payload, confirmed, retain, .. } = publication;
        match self {
            Self::V5(client) => {
                let qos = if *confirmed { QoS5::AtLeastOnce } else { QoS5::AtMostOnce };
                let properties = packet5::PublishProperties {
                    // A part of a second still counts as one; 0 would mean "at once".
                    message_expiry_interval: left
                        .map(|left| left.as_secs_f64().ceil().max(1.0) as u32),
                    ..packet5::PublishProperties::default()
                };
                let payload = payload.clone();
                client.try_publish_with_properties(topic, qos, *retain, payload, properties).is_ok()
            }
            Self::V311(client) => {
                let qos = if *confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                client.try_publish(topic, qos, *retain, payload.clone()).is_ok()
            }
        }
    }

    pub(super) fn acknowledge(&self, packet_id: u16) -> bool {
        match self {
            Self::V5(client) => {
                let mut packet = packet5::Publish::new("", QoS5::AtLeastOnce, Vec::new(), None);
                packet.pkid = packet_id;
                client.try_ack(&packet).is_ok()
            }
            Self::V311(client) => {
                let mut packet = v4::Publish::new("", QoS::AtLeastOnce, Vec::new());
                packet.pkid = packet_id;
                client.try_ack(&packet).is_ok()
            }
        }
    }

    pub(super) fn leave(&self) -> bool {
        match self {
            Self::V5(client) => client.try_disconnect().is_ok(),
            Self::V311(client) => client.try_disconnect().is_ok(),
        }
    }
}

impl Events {
    /// Waits for what happens next, and does the work of the connection meanwhile.
    pub(super) async fn poll(&mut self) -> Result<Heard, LinkError> {
        match self {
            Self::V5(events) => events.poll().await.map(heard_5).map_err(|error| error_5(&error)),
            Self::V311(events) => {
                events.poll().await.map(heard_311).map_err(|error| error_311(&error))
            }
        }
    }
}

fn heard_outgoing(outgoing: &v4::Outgoing) -> Heard {
    match outgoing {
        v4::Outgoing::Publish(packet_id) => Heard::Transmitted(*packet_id),
        v4::Outgoing::Disconnect => Heard::Left,
        _ => Heard::Nothing,
    }
}

fn heard_5(event: v5::Event) -> Heard {
    use packet5::{Packet, PubAckReason, SubscribeReasonCode};
    match event {
        v5::Event::Outgoing(outgoing) => heard_outgoing(&outgoing),
        v5::Event::Incoming(Packet::ConnAck(answer)) => {
            let properties = answer.properties;
            let properties = properties.as_ref();
            Heard::Connected {
                receive_maximum: properties.and_then(|p| p.receive_max),
                max_packet_bytes: properties.and_then(|p| p.max_packet_size),
                keep_alive: properties
                    .and_then(|p| p.server_keep_alive)
                    .map(|seconds| Duration::from_secs(u64::from(seconds))),
            }
        }
        v5::Event::Incoming(Packet::SubAck(answer)) => Heard::Subscribed(
            answer
                .return_codes
                .iter()
                .map(|code| match code {
                    SubscribeReasonCode::Success(_) => None,
                    refusal => Some(format!("{refusal:?}")),
                })
                .collect(),
        ),
        v5::Event::Incoming(Packet::Publish(publish)) => Heard::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            packet_id: publish.pkid,
        },
        v5::Event::Incoming(Packet::PubAck(answer)) => Heard::Answered {
            packet_id: answer.pkid,
            refusal: match answer.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
                PubAckReason::NotAuthorized => {
                    Some("this user may not publish there (NotAuthorized)".to_owned())
                }
                reason => Some(format!("{reason:?}")),
            },
        },
        v5::Event::Incoming(_) => Heard::Nothing,
    }
}

fn heard_311(event: v4::Event) -> Heard {
    use v4::{Packet, SubscribeReasonCode};
    match event {
        v4::Event::Outgoing(outgoing) => heard_outgoing(&outgoing),
        v4::Event::Incoming(Packet::ConnAck(_)) => {
            Heard::Connected { receive_maximum: None, max_packet_bytes: None, keep_alive: None }
        }
        v4::Event::Incoming(Packet::SubAck(answer)) => Heard::Subscribed(
            answer
                .return_codes
                .iter()
                .map(|code| match code {
                    SubscribeReasonCode::Success(_) => None,
                    SubscribeReasonCode::Failure => Some("Failure".to_owned()),
                })
                .collect(),
        ),
        v4::Event::Incoming(Packet::Publish(publish)) => Heard::Message {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            packet_id: publish.pkid,
        },
        v4::Event::Incoming(Packet::PubAck(answer)) => {
            Heard::Answered { packet_id: answer.pkid, refusal: None }
        }
        v4::Event::Incoming(_) => Heard::Nothing,
    }
}

fn error_5(error: &v5::ConnectionError) -> LinkError {
    use packet5::ConnectReturnCode as Code;
    match error {
        v5::ConnectionError::ConnectionRefused(code) => LinkError::Refused(match code {
            Code::BadUserNamePassword | Code::NotAuthorized | Code::BadAuthenticationMethod => {
                Refused::Login
            }
            Code::BadClientId | Code::ClientIdentifierNotValid => Refused::ClientId,
            Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => Refused::Version,
            Code::Banned => Refused::Banned,
            passing => Refused::Passing(format!("{passing:?}")),
        }),
        v5::ConnectionError::Tls(error) => tls_error(error),
        v5::ConnectionError::MqttState(v5::StateError::ServerDisconnect {
            reason_code: packet5::DisconnectReasonCode::SessionTakenOver,
            ..
        }) => LinkError::Lost(
            "another client with the same client id has connected; every unit needs its own"
                .to_owned(),
        ),
        other => LinkError::Lost(other.to_string()),
    }
}

fn error_311(error: &v4::ConnectionError) -> LinkError {
    use v4::ConnectReturnCode as Code;
    match error {
        v4::ConnectionError::ConnectionRefused(code) => LinkError::Refused(match code {
            Code::BadUserNamePassword | Code::NotAuthorized => Refused::Login,
            Code::BadClientId => Refused::ClientId,
            Code::RefusedProtocolVersion => Refused::Version,
            Code::ServiceUnavailable | Code::Success => Refused::Passing(format!("{code:?}")),
        }),
        v4::ConnectionError::Tls(error) => tls_error(error),
        other => LinkError::Lost(other.to_string()),
    }
}

/// A certificate from nobody we trust, or for another host, stays so. One that is not valid yet or
/// any more may be our clock's fault, which is set after the start of many a unit: that may pass.
fn tls_error(error: &v4::TlsError) -> LinkError {
    use rustls::CertificateError as Fault;
    let lasting = match error {
        v4::TlsError::Io(inner) => rustls_error(inner).is_some_and(|error| {
            matches!(
                error,
                rustls::Error::InvalidCertificate(
                    Fault::UnknownIssuer
                        | Fault::BadSignature
                        | Fault::NotValidForName
                        | Fault::NotValidForNameContext { .. }
                        | Fault::Revoked
                )
            )
        }),
        v4::TlsError::DNSName(_) => true,
        _ => false,
    };
    if lasting {
        LinkError::Certificate(error.to_string())
    } else {
        LinkError::Lost(error.to_string())
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

//! Packets of both protocol versions to bytes and back, by the client library's codecs. Where a version
//! does not matter, nobody behind this file sees it.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use rumqttc::v5::mqttbytes as five;
use rumqttc::v5::mqttbytes::v5 as packet5;
use rumqttc::{self as v4, mqttbytes as four};

use super::dial::Dial;
use super::link::{Heard, LinkError, Refused, Welcome};
use super::outbox::Outgoing;
use super::{LastWill, MAX_PACKET_BYTES};
use crate::plan::MqttVersion;

/// How long the broker keeps a persistent session: subscriptions and what it could not deliver.
const SESSION_EXPIRY: Duration = Duration::from_hours(24);
/// Unacknowledged messages that a broker of version 5 may send ahead: with a journal an
/// acknowledgement takes as long as the disk does.
const RECEIVE_MAXIMUM: u16 = 10_000;
/// A version 3.1.1 broker cannot be told a limit. Cutting the connection over a large message would
/// bring the same message again, so up to here it is taken.
const MAX_PACKET_BYTES_311: usize = 16 << 20;

/// What a codec says of a packet that it cannot write.
type Unwritable = String;

pub(super) fn connect(dial: &Dial, out: &mut BytesMut) -> Result<(), Unwritable> {
    let keep_alive = dial.keep_alive().as_secs() as u16;
    let client_id = dial.broker.client_id.clone();
    let payload = |will: &LastWill| will.payload.to_string();
    match dial.broker.version {
        MqttVersion::V5 => {
            let kept = if dial.persistent { SESSION_EXPIRY } else { Duration::ZERO };
            let expiry = u32::try_from(kept.as_secs()).unwrap_or(u32::MAX);
            let properties = packet5::ConnectProperties {
                session_expiry_interval: Some(expiry),
                receive_maximum: Some(RECEIVE_MAXIMUM),
                max_packet_size: Some(MAX_PACKET_BYTES),
                ..packet5::ConnectProperties::new()
            };
            let connect = packet5::Connect {
                keep_alive,
                client_id,
                clean_start: !dial.persistent,
                properties: Some(properties),
            };
            let will = dial.will.as_ref().map(|will| {
                let qos = five::QoS::AtLeastOnce;
                packet5::LastWill::new(&will.topic, payload(will), qos, true, None)
            });
            let login = dial.login.as_ref().map(|(user, key)| packet5::Login::new(user, key));
            packet5::Packet::Connect(connect, will, login).write(out, None).map_err(text)?;
        }
        MqttVersion::V311 => {
            let mut connect = v4::Connect::new(client_id);
            connect.keep_alive = keep_alive;
            connect.clean_session = !dial.persistent;
            connect.last_will = dial.will.as_ref().map(|will| {
                v4::LastWill::new(&will.topic, payload(will), v4::QoS::AtLeastOnce, true)
            });
            connect.login = dial.login.as_ref().map(|(user, key)| v4::Login::new(user, key));
            v4::Packet::Connect(connect).write(out, usize::MAX).map_err(text)?;
        }
    }
    Ok(())
}

pub(super) fn subscribe(
    version: MqttVersion,
    packet_id: u16,
    filters: &[(String, u8)],
    out: &mut BytesMut,
) -> Result<(), Unwritable> {
    if filters.iter().any(|(filter, _)| !v4::valid_filter(filter)) {
        return Err("not a valid filter".to_owned());
    }
    match version {
        MqttVersion::V5 => {
            let filters = filters.iter().map(|(topic, qos)| {
                let qos = if *qos == 0 { five::QoS::AtMostOnce } else { five::QoS::AtLeastOnce };
                packet5::Filter::new(topic, qos)
            });
            let mut subscribe = packet5::Subscribe::new_many(filters, None);
            subscribe.pkid = packet_id;
            packet5::Packet::Subscribe(subscribe).write(out, None).map_err(text)?;
        }
        MqttVersion::V311 => {
            let filters = filters.iter().map(|(topic, qos)| {
                let qos = if *qos == 0 { v4::QoS::AtMostOnce } else { v4::QoS::AtLeastOnce };
                v4::SubscribeFilter::new(topic.clone(), qos)
            });
            let mut subscribe = v4::Subscribe::new_many(filters);
            subscribe.pkid = packet_id;
            v4::Packet::Subscribe(subscribe).write(out, usize::MAX).map_err(text)?;
        }
    }
    Ok(())
}

/// `left`: how long the broker may keep it, in version 5 alone. `packet_id` is 0 at QoS 0.
pub(super) fn publish(
    version: MqttVersion,
    packet_id: u16,
    publication: &Outgoing,
    left: Option<Duration>,
    out: &mut BytesMut,
) -> Result<(), Unwritable> {
    let Outgoing { topic, payload, retain, .. } = publication;
    let confirmed = packet_id != 0;
    match version {
        MqttVersion::V5 => {
            let qos = if confirmed { five::QoS::AtLeastOnce } else { five::QoS::AtMostOnce };
            let properties = packet5::PublishProperties {
                // A part of a second still counts as one; 0 would mean "at once".
                message_expiry_interval: left.map(|left| left.as_secs_f64().ceil().max(1.0) as u32),
                ..packet5::PublishProperties::default()
            };
            let mut packet = packet5::Publish::new(topic, qos, payload.clone(), Some(properties));
            (packet.pkid, packet.retain) = (packet_id, *retain);
            packet5::Packet::Publish(packet).write(out, None).map_err(text)?;
        }
        MqttVersion::V311 => {
            let qos = if confirmed { v4::QoS::AtLeastOnce } else { v4::QoS::AtMostOnce };
            let mut packet = v4::Publish::new(topic, qos, payload.clone());
            (packet.pkid, packet.retain) = (packet_id, *retain);
            v4::Packet::Publish(packet).write(out, usize::MAX).map_err(text)?;
        }
    }
    Ok(())
}

/// The same in both versions.
pub(super) fn acknowledge(packet_id: u16, out: &mut BytesMut) {
    out.put_slice(&[0x40, 2]);
    out.put_u16(packet_id);
}

pub(super) fn ping(out: &mut BytesMut) {
    out.put_slice(&[0xc0, 0]);
}

/// A disconnection as wished; the broker then keeps the will to itself.
pub(super) fn leave(out: &mut BytesMut) {
    out.put_slice(&[0xe0, 0]);
}

/// The next whole packet, taken off the front; `None` when more bytes are needed.
pub(super) fn next(
    version: MqttVersion,
    incoming: &mut BytesMut,
) -> Result<Option<Heard>, LinkError> {
    match version {
        MqttVersion::V5 => match packet5::Packet::read(incoming, Some(MAX_PACKET_BYTES)) {
            Ok(packet) => heard_5(packet).map(Some),
            Err(five::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(LinkError::Lost(error.to_string())),
        },
        MqttVersion::V311 => match v4::Packet::read(incoming, MAX_PACKET_BYTES_311) {
            Ok(packet) => heard_311(packet).map(Some),
            Err(four::Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(LinkError::Lost(error.to_string())),
        },
    }
}

fn heard_5(packet: packet5::Packet) -> Result<Heard, LinkError> {
    use packet5::{ConnectReturnCode as Code, DisconnectReasonCode, Packet};
    use packet5::{PubAckReason, SubscribeReasonCode};
    Ok(match packet {
        Packet::ConnAck(answer) => {
            let refused = match answer.code {
                Code::Success => None,
                Code::BadUserNamePassword | Code::NotAuthorized | Code::BadAuthenticationMethod => {
                    Some(Refused::Login)
                }
                Code::BadClientId | Code::ClientIdentifierNotValid => Some(Refused::ClientId),
                Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => {
                    Some(Refused::Version)
                }
                Code::Banned => Some(Refused::Banned),
                passing => Some(Refused::Passing(format!("{passing:?}"))),
            };
            if let Some(refused) = refused {
                return Err(LinkError::Refused(refused));
            }
            let properties = answer.properties.as_ref();
            Heard::Connected(Welcome {
                receive_maximum: properties.and_then(|p| p.receive_max),
                max_packet_bytes: properties.and_then(|p| p.max_packet_size),
                // 0: the broker does not ask for any, and ours will do.
                keep_alive: properties
                    .and_then(|p| p.server_keep_alive)
                    .filter(|seconds| *seconds > 0)
                    .map(|seconds| Duration::from_secs(u64::from(seconds))),
            })
        }
        Packet::SubAck(answer) => {
            let refusal = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(_) => None,
                refusal => Some(format!("{refusal:?}")),
            };
            Heard::Subscribed(answer.return_codes.iter().map(refusal).collect())
        }
        Packet::Publish(publish) => Heard::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            packet_id: publish.pkid,
        },
        Packet::PubAck(answer) => Heard::Answered {
            packet_id: answer.pkid,
            refusal: match answer.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
                PubAckReason::NotAuthorized => {
                    Some("this user may not publish there (NotAuthorized)".to_owned())
                }
                reason => Some(format!("{reason:?}")),
            },
        },
        Packet::Disconnect(farewell) => {
            return Err(LinkError::Lost(match farewell.reason_code {
                DisconnectReasonCode::SessionTakenOver => "another client with the same client id \
                    has connected; every unit needs its own"
                    .to_owned(),
                reason => format!("the broker ended the connection: {reason:?}"),
            }));
        }
        _ => Heard::Nothing,
    })
}

fn heard_311(packet: v4::Packet) -> Result<Heard, LinkError> {
    use v4::{ConnectReturnCode as Code, Packet, SubscribeReasonCode};
    Ok(match packet {
        Packet::ConnAck(answer) => {
            let refused = match answer.code {
                Code::Success => return Ok(Heard::Connected(Welcome::default())),
                Code::BadUserNamePassword | Code::NotAuthorized => Refused::Login,
                Code::BadClientId => Refused::ClientId,
                Code::RefusedProtocolVersion => Refused::Version,
                Code::ServiceUnavailable => Refused::Passing(format!("{:?}", answer.code)),
            };
            return Err(LinkError::Refused(refused));
        }
        Packet::SubAck(answer) => {
            let refusal = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(_) => None,
                SubscribeReasonCode::Failure => Some("Failure".to_owned()),
            };
            Heard::Subscribed(answer.return_codes.iter().map(refusal).collect())
        }
        Packet::Publish(publish) => Heard::Message {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            packet_id: publish.pkid,
        },
        Packet::PubAck(answer) => Heard::Answered { packet_id: answer.pkid, refusal: None },
        _ => Heard::Nothing,
    })
}

fn text(error: impl std::fmt::Display) -> Unwritable {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a connection of version 5, with a keep-alive in seconds.
    fn welcome(keep_alive: u8) -> Welcome {
        const SERVER_KEEP_ALIVE: u8 = 0x13;
        let mut bytes = BytesMut::from(&[0x20, 6, 0, 0, 3, SERVER_KEEP_ALIVE, 0, keep_alive][..]);
        match next(MqttVersion::V5, &mut bytes).unwrap() {
            Some(Heard::Connected(welcome)) => welcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_broker_may_do_without_signs_of_life() {
        assert_eq!(welcome(20).keep_alive, Some(Duration::from_secs(20)));
        assert_eq!(welcome(0).keep_alive, None);
    }
}

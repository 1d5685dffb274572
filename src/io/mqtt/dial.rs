//! What a connection is opened with: address, certificates, secrets, last will.
//!
//! Secrets are read once, at the start, and never shown.

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5::LastWill as LastWill5;
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::{LastWill, MAX_PACKET_BYTES};
use crate::plan::{Broker, MqttVersion, Secret, Tls};
use crate::ports::PortError;

/// How long the broker keeps our subscriptions and what it could not deliver.
const SESSION_EXPIRY: Duration = Duration::from_hours(24);
/// Unacknowledged messages that a broker of version 5 may send ahead.
const RECEIVE_MAXIMUM: u16 = 1_000;
/// Unacknowledged publications of ours; a broker may allow less.
pub(super) const WINDOW: u16 = 16;
/// A version 3.1.1 broker cannot be told a limit. Cutting the connection over a large message would
/// bring the same message again, so up to here it is taken.
const MAX_PACKET_BYTES_311: usize = 16 << 20;
/// Seconds for the way to an open connection.
const CONNECT_SECONDS: u64 = 10;

/// All that is needed to open connections, again and again.
pub(super) struct Dial {
    pub(super) broker: Broker,
    login: Option<(String, String)>,
    transport: Transport,
    will: Option<LastWill>,
}

impl Dial {
    pub(super) fn new(broker: &Broker, will: Option<&LastWill>) -> Result<Self, PortError> {
        if broker.client_id.is_empty() {
            return Err(PortError::Fatal {
                what: "the MQTT client id is empty".to_owned(),
                help: Some("give each unit a client id of its own".to_owned()),
            });
        }
        let read = |secret: &Option<Secret>, what| {
            secret.as_ref().map(|secret| read_secret(secret, what)).transpose()
        };
        let user = read(&broker.user, "user name")?;
        let password = read(&broker.password, "password")?;
        let login = match (user, password) {
            (Some(user), password) => Some((user, password.unwrap_or_default())),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(PortError::Fatal {
                    what: "the MQTT broker has a password but no user name".to_owned(),
                    help: Some("give both or none".to_owned()),
                });
            }
        };
        let transport = match &broker.tls {
            None => Transport::tcp(),
            Some(tls) => {
                Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls_config(tls)?)))
            }
        };
        Ok(Self { broker: broker.clone(), login, transport, will: will.cloned() })
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.broker.host, self.broker.port)
    }

    pub(super) fn version(&self) -> MqttVersion {
        self.broker.version
    }

    /// What to look at when the broker refuses user or password.
    pub(super) fn login_help(&self) -> String {
        let place = |secret: &Option<Secret>| match secret {
            Some(Secret::Env(name)) => format!("from the environment variable {name}"),
            Some(Secret::File(path)) => format!("from {}", path.display()),
            None => "not given".to_owned(),
        };
        format!(
            "user name: {}; password: {}; compare them with the broker's users",
            place(&self.broker.user),
            place(&self.broker.password)
        )
    }

    /// The interval of pings; the protocol holds whole seconds in 16 bits, and less than 5 s only
    /// makes load.
    pub(super) fn keep_alive(&self) -> Duration {
        self.broker.keep_alive.clamp(Duration::from_secs(5), Duration::from_secs(65_535))
    }

    /// An IPv6 address needs brackets beside a port, except in certificates.
    fn host(&self) -> String {
        let host = &self.broker.host;
        if host.contains(':') && self.broker.tls.is_none() {
            format!("[{host}]")
        } else {
            host.clone()
        }
    }

    pub(super) fn options_5(&self) -> rumqttc::v5::MqttOptions {
        let mut options =
            rumqttc::v5::MqttOptions::new(&self.broker.client_id, self.host(), self.broker.port);
        options
            .set_keep_alive(self.keep_alive())
            .set_clean_start(false)
            .set_transport(self.transport.clone())
            .set_manual_acks(true)
            .set_outgoing_inflight_upper_limit(WINDOW * 2)
            .set_connection_timeout(CONNECT_SECONDS);
        let expiry = u32::try_from(SESSION_EXPIRY.as_secs()).unwrap_or(u32::MAX);
        options
            .set_session_expiry_interval(Some(expiry))
            .set_receive_maximum(Some(RECEIVE_MAXIMUM))
            .set_max_packet_size(Some(MAX_PACKET_BYTES));
        let mut network = options.network_options();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password);
        }
        if let Some(will) = &self.will {
            let payload = will.payload.to_string();
            options.set_last_will(LastWill5::new(
                &will.topic,
                payload,
                QoS5::AtLeastOnce,
                true,
                None,
            ));
        }
        options
    }

    pub(super) fn options_311(&self) -> (rumqttc::MqttOptions, rumqttc::NetworkOptions) {
        let mut options =
            rumqttc::MqttOptions::new(&self.broker.client_id, self.host(), self.broker.port);
        options
            .set_keep_alive(self.keep_alive())
            .set_clean_session(false)
            .set_transport(self.transport.clone())
            .set_manual_acks(true)
            .set_inflight(WINDOW * 2)
            .set_max_packet_size(MAX_PACKET_BYTES_311, MAX_PACKET_BYTES_311);
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password);
        }
        if let Some(will) = &self.will {
            let (payload, qos) = (will.payload.to_string(), rumqttc::QoS::AtLeastOnce);
            options.set_last_will(rumqttc::LastWill::new(&will.topic, payload, qos, true));
        }
        let mut network = rumqttc::NetworkOptions::new();
        network.set_connection_timeout(CONNECT_SECONDS);
        network.set_tcp_nodelay(true);
        (options, network)
    }
}

fn read_secret(secret: &Secret, what: &str) -> Result<String, PortError> {
    let (text, place) = match secret {
        Secret::Env(name) => {
            let place = format!("the environment variable {name}");
            let text = std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("{place} is not set"),
                std::env::VarError::NotUnicode(_) => format!("{place} is not UTF-8"),
            });
            (text, place)
        }
        Secret::File(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()));
            (text, path.display().to_string())
        }
    };
    let fatal = |why: String| PortError::Fatal {
        what: format!("the MQTT {what} is missing: {why}"),
        help: Some(format!(
            "put the {what} there before the start; it never stands in the pipeline file"
        )),
    };
    let text = text.map_err(fatal)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(fatal(format!("{place} is empty")));
    }
    Ok(text.to_owned())
}

fn tls_config(tls: &Tls) -> Result<ClientConfig, PortError> {
    let fatal = |path: &Path, why: &str| PortError::Fatal {
        what: format!("{}: {why}", path.display()),
        help: Some("certificates and keys are PEM files".to_owned()),
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.ca).map_err(|why| fatal(&tls.ca, &why))? {
        roots
            .add(certificate)
            .map_err(|error| fatal(&tls.ca, &format!("no certificate of an authority: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fatal(&tls.ca, &format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots);
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate).map_err(|why| fatal(certificate, &why))?;
            let secret = private_key(key).map_err(|why| fatal(key, &why))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| fatal(key, &format!("does not fit its certificate: {error}")))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let found = rustls_pemfile::certs(&mut BufReader::new(file))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("is no PEM file: {error}"))?;
    if found.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    rustls_pemfile::private_key(&mut BufReader::new(file))
        .map_err(|error| format!("is no PEM file: {error}"))?
        .ok_or_else(|| "holds no private key".to_owned())
}

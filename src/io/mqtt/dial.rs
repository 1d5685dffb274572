//! What a connection is opened with: address, certificates, secrets, last will.
//!
//! Secrets are read once, at the start, and never shown.

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::LastWill;
use crate::plan::{Broker, Secret, Tls};
use crate::ports::PortError;

/// Unacknowledged publications of ours; a broker may allow less.
pub(super) const WINDOW: u16 = 16;
/// All that is needed to open connections, again and again.
pub(super) struct Dial {
    pub(super) broker: Broker,
    /// User and password.
    pub(super) login: Option<(String, String)>,
    /// `None`: plain TCP.
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) will: Option<LastWill>,
    /// The broker keeps the session while we are away.
    pub(super) persistent: bool,
}

impl Dial {
    pub(super) fn new(
        broker: &Broker,
        will: Option<&LastWill>,
        persistent: bool,
    ) -> Result<Self, PortError> {
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
        let tls = broker.tls.as_ref().map(tls_config).transpose()?.map(Arc::new);
        Ok(Self { broker: broker.clone(), login, tls, will: will.cloned(), persistent })
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.broker.host, self.broker.port)
    }

    /// What to look at when the broker refuses user or password.
    pub(super) fn login_help(&self) -> String {
        let place = |secret: &Option<Secret>| match secret {
            Some(Secret::Env(name)) => format!("from the environment variable {name}"),
            Some(Secret::File(path)) => format!("from {}", path.display()),
            Some(Secret::FileOfUnset { variable }) => format!("in a folder of {variable}"),
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
        Secret::FileOfUnset { variable } => {
            let place = format!("the environment variable {variable}");
            (Err(format!("its file's path needs {place}, which is not set")), place)
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

//! The broker: address, certificates, and where its secrets are kept.

use crate::plan::{Broker, MqttVersion, Secret, Tls};

use super::super::files::BadVariable;
use super::super::raw::{self, default};
use super::super::read::{Address, At, PathText};
use super::{Bounds, Checker};

/// MQTT sends it as 16 bits of seconds; under 5 s a slow link looks like a dead one.
const KEEP_ALIVE: Bounds = Bounds("5s", "18h");

impl Checker<'_> {
    pub(super) fn broker(&mut self, raw: &At<raw::Broker>) -> Option<Broker> {
        let host = raw.host.0.as_ref().and_then(|host| self.host(host));
        let tls = raw.tls.as_ref().map(|tls| self.tls(tls));
        let port = self.count(
            raw.port.as_ref(),
            if tls.is_some() { default::PORT_TLS } else { default::PORT },
            1,
            u32::from(u16::MAX),
        );
        let version = match raw.version.as_ref().map(|at| at.value) {
            Some(raw::MqttVersion::V311) => MqttVersion::V311,
            Some(raw::MqttVersion::V5) | None => MqttVersion::V5,
        };
        let client_id = match &raw.client_id {
            Some(id) => self.topic_word(id, "a client id"),
            None => Some(format!("wayside-{}", self.site)),
        };
        let keep_alive = self.interval(raw.keep_alive.as_ref(), default::KEEP_ALIVE, &KEEP_ALIVE);
        let user = raw.user.as_ref().map(|user| self.secret(user));
        let password = raw.password.as_ref().map(|password| self.secret(password));
        if let (Some(password), None) = (&raw.password, &raw.user) {
            self.findings
                .error(&password.span, "a password without a user")
                .help("add `user: { env: NAME }` or `user: { file: path }`");
        }
        Some(Broker {
            host: host?,
            port: u16::try_from(port).ok()?,
            version,
            client_id: client_id?,
            keep_alive,
            // Where one of these is in doubt there is an error, and the plan is dropped.
            tls: tls.flatten(),
            user: user.flatten(),
            password: password.flatten(),
        })
    }

    fn host(&mut self, at: &At<Address>) -> Option<String> {
        let host = self.variables.replace(&at.0);
        let host = self.replaced(at, host)?;
        // An IPv6 address holds colons; a name with one colon holds a port.
        let ported = host.rsplit_once(':').filter(|(name, _)| !name.contains(':'));
        let meant = match (host.split_once("://"), ported) {
            (Some((_, rest)), _) => {
                Some(rest.split([':', '/']).next().unwrap_or_default().to_owned())
            }
            (None, Some((name, _))) => Some(name.to_owned()),
            (None, None) => None,
        };
        if meant.is_none() && !host.is_empty() && !host.contains(char::is_whitespace) {
            return Some(host);
        }
        self.findings
            .error(&at.span, "this is no host name or address")
            .did_you_mean(meant.as_deref().filter(|meant| !meant.is_empty()))
            .help("the name alone: the port has a key of its own, and `tls` turns encryption on");
        None
    }

    fn tls(&mut self, raw: &At<raw::Tls>) -> Option<Tls> {
        let ca = raw.ca.0.as_ref().map(|ca| self.certificate(ca));
        let cert = raw.cert.as_ref().map(|cert| self.certificate(cert));
        let key = raw.key.as_ref().map(|key| self.certificate(key));
        let alone = match (&raw.cert, &raw.key) {
            (Some(cert), None) => Some((&cert.span, "a certificate without its key", "`key`")),
            (None, Some(key)) => Some((&key.span, "a key without its certificate", "`cert`")),
            _ => None,
        };
        if let Some((span, what, other)) = alone {
            self.findings.error(span, what).help(format!("add {other}, or take this away"));
        }
        Some(Tls { ca: ca??, client: cert.flatten().zip(key.flatten()) })
    }

    /// Certificates may be missing where a pipeline is merely checked.
    fn certificate(&mut self, at: &At<PathText>) -> Option<std::path::PathBuf> {
        let path = self.path(at)?;
        if !path.is_file() {
            let what = format!("no file {} here", path.display());
            self.findings.warning(&at.span, what).help("it must be there when the pipeline starts");
        }
        Some(path)
    }

    fn secret(&mut self, at: &At<raw::SecretRef>) -> Option<Secret> {
        match (&at.0.env, &at.0.file) {
            (Some(env), None) => Some(Secret::Env(env.value.clone())),
            (None, Some(file)) => self.secret_file(file),
            (both, _) => {
                let what = if both.is_some() {
                    "two places for one secret"
                } else {
                    "no place for the secret"
                };
                self.findings.error(&at.span, what).help("`{ env: NAME }` or `{ file: path }`");
                None
            }
        }
    }

    /// A service has variables of its own, which a shell that checks its file does not have: without
    /// a value there is a warning here, and the start is refused where the secret is read.
    fn secret_file(&mut self, at: &At<PathText>) -> Option<Secret> {
        match self.variables.path(&at.0) {
            Err(BadVariable { part, what, meant, unset: Some(variable) }) => {
                let span = at.part(self.findings.text(), part);
                self.findings.warning(&span, format!("{what} here")).did_you_mean(meant).help(
                    "`run` does not start without it: a service must have it (systemd sets CREDENTIALS_DIRECTORY by LoadCredential)",
                );
                Some(Secret::FileOfUnset { variable })
            }
            path => self.replaced(at, path).map(Secret::File),
        }
    }
}

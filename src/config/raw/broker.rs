//! The broker as it is written; its secrets are named, never held.

use std::borrow::Cow;

use schemars::json_schema;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::super::read::{Address, At, Interval, Needed, PathText, Read, group, word};
use super::super::report::Findings;
use super::super::tree::{Content, Node};
use super::default;

group! {
    /// How to reach the MQTT broker.
    Broker {
        /// Host name or address, without `mqtt://` and without a port.
        host: Needed<Address>,
        /// Default: 1883, with `tls` 8883.
        #[schemars(range(min = 1, max = 65535))]
        port: Option<At<u32>>,
        /// Version of MQTT: "5" (default) or "3.1.1", which has no message expiry.
        version: Option<At<MqttVersion>>,
        /// Must be this unit's own: a second client with the same id throws the first one out.
        /// Default: `wayside-` and the site.
        client_id: Option<At<String>>,
        /// The broker declares the unit dead after one and a half times this without a sign of life.
        #[schemars(extend("default" = default::KEEP_ALIVE))]
        keep_alive: Option<At<Interval>>,
        /// Encrypt the connection and check the broker's certificate.
        tls: Option<At<Tls>>,
        /// Where the user name is read from at start.
        user: Option<At<SecretRef>>,
        /// Where the password is read from at start.
        password: Option<At<SecretRef>>,
    }
}

group! {
    /// Certificates, as PEM files.
    Tls {
        /// The authorities that may have signed the broker's certificate.
        ca: Needed<PathText>,
        /// This unit's own certificate; goes with `key`.
        cert: Option<At<PathText>>,
        /// The key of this unit's certificate.
        key: Option<At<PathText>>,
    }
}

group! {
    /// Where a secret is read from, at start: exactly one of the two. Never the secret itself.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    SecretPlace {
        /// Name of an environment variable.
        env: Option<At<String>>,
        /// Path of a file that holds nothing else (a line break at the end is left out).
        file: Option<At<PathText>>,
    }
}

/// A `SecretPlace`; a secret written in clear is struck out of every report.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct SecretRef(pub SecretPlace);

impl Read for SecretRef {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Content::Scalar(_) = &node.content {
            let key = findings.text().get(node.head.clone()).unwrap_or("password").to_owned();
            findings.strike_out(&node.span);
            findings
                .error(&node.span, format!("`{key}` stands here in clear"))
                .label("not in a file that is copied and shown")
                .help(format!(
                    "name where it is kept: `{key}: {{ env: WAYSIDE_{upper} }}` or `{key}: {{ file: /etc/wayside/{key} }}`",
                    upper = key.to_uppercase()
                ));
            return None;
        }
        SecretPlace::read(node, findings).map(Self)
    }
}

impl JsonSchema for SecretRef {
    fn inline_schema() -> bool {
        SecretPlace::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        SecretPlace::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        SecretPlace::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        SecretPlace::json_schema(generator)
    }
}

/// `5` may stand without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum MqttVersion {
    V5,
    V311,
}

impl Read for MqttVersion {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match word(node, &["5", "3.1.1"], findings)? {
            "5" => Some(Self::V5),
            _ => Some(Self::V311),
        }
    }
}

impl JsonSchema for MqttVersion {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "MqttVersion".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["5", "3.1.1", 5] })
    }
}

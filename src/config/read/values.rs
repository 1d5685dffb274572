//! The kinds of single values: text, paths, addresses, numbers, durations.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::super::places;
use super::super::report::Findings;
use super::super::tree::{Atom, Content, Node};
use super::{Read, inside, wrong_type};

impl Read for String {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Content::Scalar(scalar) = &node.content else {
            wrong_type(node, "text", findings);
            return None;
        };
        match scalar.atom() {
            Atom::Text(text) => {
                if let Some(at) = text.find("${") {
                    let end = text[at..].find('}').map_or(text.len(), |length| at + length + 1);
                    let span =
                        places::locate(findings.text(), &node.span, scalar.style, text, at..end);
                    findings
                        .error(&span, "a variable stands where none is replaced")
                        .help("variables are replaced in paths and broker addresses only: write the value itself");
                    return None;
                }
                Some(text.to_owned())
            }
            Atom::Null => {
                wrong_type(node, "text", findings).help("write a value, or take the key away");
                None
            }
            _ => {
                let help = format!("in quotes it is text: \"{}\"", scalar.text);
                wrong_type(node, "text", findings).help(help);
                None
            }
        }
    }
}

/// Declares a kind of text in which variables are replaced later.
macro_rules! variable_text {
    ($(#[$meta:meta])* $name:ident, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(in crate::config) struct $name(pub String);

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Read for $name {
            fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
                match &node.content {
                    Content::Scalar(scalar) if scalar.atom() != Atom::Null => {
                        Some(Self(scalar.text.clone()))
                    }
                    _ => {
                        wrong_type(node, $expected, findings);
                        None
                    }
                }
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1 })
            }
        }
    };
}
variable_text!(
    /// A path, relative to the file it stands in; `${VARIABLES}` are replaced.
    PathText, "a path"
);
variable_text!(
    /// A host name or address; `${VARIABLES}` are replaced.
    Address, "a host name or address"
);

impl Read for bool {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Content::Scalar(scalar) = &node.content {
            if let Atom::Bool(value) = scalar.atom() {
                return Some(value);
            }
            let meant = match scalar.text.to_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("true"),
                "no" | "off" | "n" | "false" => Some("false"),
                _ => None,
            };
            wrong_type(node, "true or false", findings).did_you_mean(meant);
        } else {
            wrong_type(node, "true or false", findings);
        }
        None
    }
}

impl Read for u32 {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Content::Scalar(scalar) = &node.content
            && let Atom::Integer(value) = scalar.atom()
            && let Ok(value) = Self::try_from(value)
        {
            return Some(value);
        }
        wrong_type(node, "a whole number, not negative", findings);
        None
    }
}

impl Read for f64 {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Content::Scalar(scalar) = &node.content {
            match scalar.atom() {
                Atom::Integer(value) => return Some(value as Self),
                Atom::Number(value) => return Some(value),
                _ => {}
            }
        }
        wrong_type(node, "a number", findings);
        None
    }
}

/// Any scalar, as JSON has them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct Literal(pub Value);

impl Read for Literal {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if let Content::Scalar(scalar) = &node.content {
            return Some(Self(match scalar.atom() {
                Atom::Null => Value::Null,
                Atom::Bool(value) => value.into(),
                Atom::Integer(value) => value.into(),
                Atom::Number(value) => value.into(),
                Atom::Text(text) => text.into(),
            }));
        }
        wrong_type(node, "a text, a number, true or false", findings);
        None
    }
}

impl JsonSchema for Literal {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Literal".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "null"] })
    }
}

/// A span of time: a whole number and its unit, `250ms`, `10s`, `5m`, `1h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Interval(pub Duration);

impl Interval {
    const HELP: &str = "a whole number and a unit (ms, s, m, h, d): `250ms`, `10s`, `5m`, `1h`";

    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            "d" => number.checked_mul(86_400_000),
            _ => None,
        };
        millis.map(|millis| Self(Duration::from_millis(millis)))
    }

    /// What somebody may have meant by a text that is no interval.
    fn meant(text: &str) -> Option<String> {
        let text = text.trim().to_lowercase();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().ok()?;
        let millis = match unit.trim() {
            "ms" | "msec" | "millis" | "milliseconds" => number,
            "" | "s" | "sec" | "secs" | "second" | "seconds" => number * 1e3,
            "m" | "min" | "mins" | "minute" | "minutes" => number * 6e4,
            "h" | "hr" | "hrs" | "hour" | "hours" => number * 3.6e6,
            "d" | "day" | "days" => number * 8.64e7,
            _ => return None,
        };
        (millis < 1e15).then(|| Self(Duration::from_millis(millis.round() as u64)).to_string())
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            ms if ms % 86_400_000 == 0 => write!(f, "{}d", ms / 86_400_000),
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Read for Interval {
    const EXAMPLE: &str = "60s";

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Content::Scalar(scalar) = &node.content else {
            wrong_type(node, "a duration", findings).help(Self::HELP);
            return None;
        };
        if let Some(interval) = Self::parse(&scalar.text) {
            return Some(interval);
        }
        if scalar.text.trim_start().starts_with('-') {
            let place = inside(node, findings);
            findings
                .error(&node.span, format!("a duration cannot be negative{place}"))
                .help(Self::HELP);
        } else {
            let meant = Self::meant(&scalar.text);
            wrong_type(node, "a duration", findings)
                .did_you_mean(meant.as_deref())
                .help(Self::HELP);
        }
        None
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A span of time: a whole number and its unit, 250ms, 10s, 5m, 1h, 7d.",
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        for (text, ms) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            let interval = Interval::parse(text).unwrap();
            assert_eq!(interval.0, Duration::from_millis(ms));
            assert_eq!(interval.to_string(), text);
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "1w",
            "99999999999999999999s",
            "5000000000000000h",
        ] {
            assert_eq!(Interval::parse(text), None, "{text}");
        }
    }

    #[test]
    fn intervals_that_were_meant() {
        for (text, meant) in [
            ("10", Some("10s")),
            ("10 s", Some("10s")),
            ("10sec", Some("10s")),
            ("5 minutes", Some("5m")),
            ("1.5s", Some("1500ms")),
            ("1D", Some("1d")),
            ("90sec", Some("90s")),
            ("soon", None),
            ("1.2.3", None),
            ("10 parsecs", None),
        ] {
            assert_eq!(Interval::meant(text).as_deref(), meant, "{text}");
        }
    }
}

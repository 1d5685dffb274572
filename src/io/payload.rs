//! Payload bytes as members of a JSON line, and back, without loss.
//!
//! A payload is written as `"payload"`, a string, when it is UTF-8, else as `"payload_hex"`, two
//! lower-case digits a byte. Recordings also let a JSON object stand as it is.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::domain::time::Timestamp;

/// The name of the member that holds bytes that are no UTF-8 text.
pub(super) const HEX: &str = "payload_hex";
pub(super) const PAYLOAD: &str = "payload";

/// Member name and value for a payload as text, else hex.
pub(super) fn text_member(payload: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(payload) {
        // A control character takes six bytes in JSON; hex keeps the line within its limit.
        Ok(text) if text.bytes().filter(u8::is_ascii_control).count() * 5 <= text.len() => {
            (PAYLOAD, text.into())
        }
        _ => (HEX, to_hex(payload).into()),
    }
}

/// The payload as it stands, if it is a JSON object on one line.
pub(super) fn as_object(payload: &[u8]) -> Option<(&str, Value)> {
    let text = std::str::from_utf8(payload).ok()?;
    if !(text.starts_with('{') && text.ends_with('}')) || text.contains(['\n', '\r']) {
        return None;
    }
    // A whole parse: a recording must be readable by every JSON reader, also inside its payloads.
    let value = serde_json::from_str::<Value>(text).ok()?;
    Some((text, value))
}

/// The time in the member `ts` of a JSON object on one line, without making the rest of it.
pub(super) fn time(payload: &[u8]) -> Option<Timestamp> {
    let is_object = payload.starts_with(b"{") && payload.ends_with(b"}");
    if !is_object || payload.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return None;
    }
    let Stamp(text) = serde_json::from_slice(payload).ok()?;
    Timestamp::parse(&text?).ok()
}

/// The text of the last member `ts`.
struct Stamp(Option<String>);

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Stamp;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Stamp, A::Error> {
                let mut found = None;
                while let Some(IsTs(is_ts)) = members.next_key()? {
                    if is_ts {
                        let value: Value = members.next_value()?;
                        found = value.as_str().map(str::to_owned);
                    } else {
                        members.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Stamp(found))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, compared and not kept.
struct IsTs(bool);

impl<'de> Deserialize<'de> for IsTs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = IsTs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E>(self, name: &str) -> Result<IsTs, E> {
                Ok(IsTs(name == "ts"))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| DIGITS.get(usize::from(half)))
        .map(|digit| char::from(*digit))
        .collect()
}

/// `None` when the text is no even row of hex digits.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_stays_text_and_bytes_become_hex() {
        assert_eq!(text_member(b"{\"v\": 1,"), (PAYLOAD, "{\"v\": 1,".into()));
        assert_eq!(text_member(b"\xff\x00"), (HEX, "ff00".into()));
        assert_eq!(text_member(&[0; 100]).0, HEX, "control characters would grow sixfold");
        assert_eq!(from_hex("ff0"), None);
        assert_eq!(from_hex("zz"), None);
    }

    #[test]
    fn only_whole_objects_stand_as_they_are() {
        assert!(as_object(br#"{"a": 1.50, "a": 2}"#).is_some());
        assert!(as_object(b"[1]").is_none());
        assert!(as_object(b"{\"a\":\n1}").is_none());
        assert!(as_object(br#"{"a":"\ud800"}"#).is_none());
        assert!(as_object(br#" {"a":1}"#).is_none());
    }

    #[test]
    fn the_time_is_the_last_member_of_that_name() {
        let noon = Timestamp::parse("2008-11-11T12:00:00Z").unwrap();
        for (payload, found) in [
            (r#"{"v":1,"ts":"2008-11-11T12:00:00Z","a":{"ts":"x"}}"#, Some(noon)),
            (r#"{"ts":"x","\u0074s":"2008-11-11T12:00:00Z"}"#, Some(noon)),
            (r#"{"ts":"2008-11-11T12:00:00Z","ts":1}"#, None),
            (r#"{"ts":1226404800}"#, None),
            (r#"{"ts":"2008-11-11T12:00:00Z""#, None),
            (r#"[{"ts":"2008-11-11T12:00:00Z"}]"#, None),
            ("{\"ts\":\n\"2008-11-11T12:00:00Z\"}", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(time(payload.as_bytes()), found, "{payload}");
        }
    }

    proptest! {
        #[test]
        fn hex_comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        }
    }
}

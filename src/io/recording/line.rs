//! One line of NDJSON and the record that it holds.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, Visitor};
use serde_json::Value;

use super::super::payload::{self, HEX, PAYLOAD};
use super::Record;
use crate::domain::time::Timestamp;

/// The record of a line, or why it is none.
pub(super) fn parse(line: &[u8]) -> Result<Record, String> {
    let (mut ts, mut published, mut topic, mut payload) = (None, None, None, None);
    let mut members = Members { line, at: 0, first: true };
    members.open()?;
    while let Some((key, value)) = members.next()? {
        match key.as_str() {
            "ts" => ts = Some(time(value, "ts")?),
            "pub" => published = Some(time(value, "pub")?),
            "topic" => {
                let text: String = serde_json::from_slice(value)
                    .map_err(|error| format!("`topic` is no text: {error}"))?;
                topic = Some(text);
            }
            PAYLOAD => payload = Some(payload_bytes(value)?),
            HEX => {
                let bytes = serde_json::from_slice::<String>(value)
                    .ok()
                    .and_then(|text| payload::from_hex(&text))
                    .ok_or_else(|| format!("`{HEX}` is no row of hex digits"))?;
                payload = Some(bytes);
            }
            _ => {}
        }
    }
    Ok(Record {
        ts: ts.ok_or("`ts` is missing")?,
        published,
        topic: topic.ok_or("`topic` is missing")?,
        payload: payload.ok_or("`payload` is missing")?,
    })
}

/// The line of a record, without its end.
pub(super) fn write(record: &Record) -> String {
    let published =
        record.published.map(|published| format!("\"pub\":\"{published}\",")).unwrap_or_default();
    let (name, payload) = if let Some((object, _)) = payload::as_object(&record.payload) {
        (PAYLOAD, object.to_owned())
    } else {
        let (name, value) = payload::text_member(&record.payload);
        (name, value.to_string())
    };
    let topic = Value::from(record.topic.as_str());
    format!("{{\"ts\":\"{}\",{published}\"topic\":{topic},\"{name}\":{payload}}}", record.ts)
}

fn time(value: &[u8], name: &str) -> Result<Timestamp, String> {
    let text: String = serde_json::from_slice(value).map_err(|_| format!("`{name}` is no text"))?;
    Timestamp::parse(&text).map_err(|error| format!("`{name}`: {error}"))
}

/// A string stands for its bytes, anything else for its own text.
fn payload_bytes(value: &[u8]) -> Result<Vec<u8>, String> {
    if value.first() != Some(&b'"') {
        return Ok(value.to_vec());
    }
    if let Ok(text) = serde_json::from_slice::<String>(value) {
        return Ok(text.into_bytes());
    }
    serde_json::from_slice::<Escaped>(value)
        .map(|Escaped(bytes)| bytes)
        .map_err(|error| format!("`{PAYLOAD}` is no string: {error}"))
}

/// A JSON string with lone surrogates, as the bytes that it was made from.
struct Escaped(Vec<u8>);

impl<'de> Deserialize<'de> for Escaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Escaped;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Escaped, E> {
                Ok(Escaped(unescape(bytes)))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// U+DC80 to U+DCFF stand for the bytes 80 to FF ("surrogateescape", PEP 383). They come here in
/// three bytes each, by the rule of UTF-8 that forbids them.
fn unescape(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    loop {
        bytes = match bytes {
            [0xED, 0xB2, low @ 0x80..=0xBF, rest @ ..] => {
                out.push(*low);
                rest
            }
            [0xED, 0xB3, low @ 0x80..=0xBF, rest @ ..] => {
                out.push(low | 0x40);
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
            [] => return out,
        }
    }
}

/// The members of a JSON object, each value as the bytes that stand there: a payload must come out
/// as it went in, also one that is nested too deep or holds numbers that no float can hold.
struct Members<'a> {
    line: &'a [u8],
    at: usize,
    first: bool,
}

impl<'a> Members<'a> {
    fn open(&mut self) -> Result<(), String> {
        self.expect(b'{')
    }

    fn next(&mut self) -> Result<Option<(String, &'a [u8])>, String> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.skip_space();
            return match self.peek() {
                None => Ok(None),
                Some(_) => Err(format!("something follows the object at byte {}", self.at + 1)),
            };
        }
        if !self.first {
            self.expect(b',')?;
        }
        self.first = false;
        let (key, _) = self.value::<String>()?;
        self.expect(b':')?;
        let (_, bytes) = self.value::<IgnoredAny>()?;
        Ok(Some((key, bytes)))
    }

    /// The next JSON value and its bytes.
    fn value<T: DeserializeOwned>(&mut self) -> Result<(T, &'a [u8]), String> {
        self.skip_space();
        let rest = self.line.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(format!("no JSON from byte {}: {error}", self.at + 1)),
            None => return Err("the line ends inside the object".to_owned()),
        };
        let end = values.byte_offset();
        self.at += end;
        Ok((value, rest.get(..end).unwrap_or_default()))
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(format!("`{}` expected at byte {}", char::from(wanted), self.at + 1)),
            None => Err(format!("the line ends before `{}`", char::from(wanted))),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#"{"ts":"2008-11-11T07:00:30Z","topic":"a/b","#;

    fn payload_of(member: &str) -> Result<Vec<u8>, String> {
        parse(format!("{HEAD}{member}}}").as_bytes()).map(|record| record.payload)
    }

    #[test]
    fn objects_keep_every_byte() {
        let odd = r#"{ "n": 1.50e3, "n":12345678901234567890123 }"#;
        assert_eq!(payload_of(&format!("\"payload\": {odd} ")).unwrap(), odd.as_bytes());
        let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(payload_of(&format!("\"payload\":{deep}")).unwrap(), deep.as_bytes());
    }

    #[test]
    fn strings_stand_for_their_bytes() {
        assert_eq!(payload_of(r#""payload":"{\"v\": 1,""#).unwrap(), b"{\"v\": 1,");
        assert_eq!(payload_of(r#""payload":"a\udcffb\udc80""#).unwrap(), b"a\xffb\x80");
        assert_eq!(payload_of(r#""payload_hex":"00ff""#).unwrap(), b"\x00\xff");
        assert_eq!(payload_of(r#""payload":null"#).unwrap(), b"null");
    }

    #[test]
    fn says_what_is_wrong_with_a_line() {
        for (line, part) in [
            (&b"hello"[..], "`{` expected"),
            (b"", "the line ends before"),
            (b"{\"ts\":\"2008-11-11T07:00:30Z\"", "the line ends"),
            (b"{\"ts\":3}", "`ts` is no text"),
            (b"{\"ts\":\"yesterday\"}", "yesterday"),
            (b"{\"topic\":\"a\",\"payload\":{}}", "`ts` is missing"),
            (b"{\"ts\":\"2008-11-11T07:00:30Z\",\"payload\":{}}", "`topic` is missing"),
            (b"{\"ts\":\"2008-11-11T07:00:30Z\",\"topic\":\"a\"}", "`payload` is missing"),
            (b"{} {}", "something follows"),
            (b"{\"a\" 1}", "`:` expected"),
            (b"{\"a\":1 \"b\":2}", "`,` expected"),
            (b"{\"topic\":\"\xff\"}", "`topic` is no text"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(line: Vec<u8>) {
            let parsed = parse(&line);
            prop_assert!(parsed.is_ok() || parsed.is_err());
        }

        #[test]
        fn what_is_written_reads_back(
            payload in prop_oneof![
                any::<Vec<u8>>(),
                any::<String>().prop_map(String::into_bytes),
                "\\{\"[a-z]{1,5}\": ?(1\\.50|null|\"[^\"\\\\]*\")\\}".prop_map(String::into_bytes),
            ],
            topic: String,
            millis in -1_000_000_000_000_i64..4_000_000_000_000,
            delay in proptest::option::of(0_i64..100_000),
        ) {
            let record = Record {
                ts: Timestamp::from_millis(millis).unwrap(),
                published: delay.and_then(|delay| Timestamp::from_millis(millis + delay)),
                topic,
                payload,
            };
            let line = write(&record);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(parse(line.as_bytes()), Ok(record));
        }
    }
}

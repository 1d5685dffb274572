//! JSON payloads as trees that borrow their texts, with the limits that payloads from outside need.
//!
//! Stricter than a general reader: a member that stands twice is refused, since readers disagree
//! on which one counts. Knows nothing of columns.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::super::extract::{MAX_DEPTH, MAX_PAYLOAD_BYTES};
use crate::domain::refusal::DeadReason;

#[derive(Clone, Debug, PartialEq)]
pub enum Node<'p> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Whole, above `i64::MAX`.
    Large(u64),
    Number(f64),
    Text(Cow<'p, str>),
    List(Vec<Node<'p>>),
    Object(Vec<(Cow<'p, str>, Node<'p>)>),
}

impl Node<'_> {
    /// A member of an object; `None` where it is absent or this is no object.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(key, _)| key == name).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// Equality with a value from a configuration; numbers compare by value, so 1 equals 1.0.
    pub fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Boolean(a), Value::Bool(b)) => a == b,
            (Self::Text(a), Value::String(b)) => a == b,
            (_, Value::Number(number)) => match (self, number.as_i64(), number.as_f64()) {
                (Self::Integer(a), Some(b), _) => *a == b,
                (_, _, Some(b)) => self.as_f64() == Some(b),
                _ => false,
            },
            (Self::List(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Self::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, node)| {
                        b.get(key.as_ref()).is_some_and(|value| node.equals(value))
                    })
            }
            _ => false,
        }
    }

    /// Any number as a float; whole ones above 2^53 lose their last digits.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Large(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// What it is, in words for a report: ``the text `abc` ``, `a list`, `null`.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => format!("the number {value}"),
            Self::Large(value) => format!("the number {value}"),
            Self::Number(value) => format!("the number {value}"),
            Self::Text(text) => format!("the text `{}`", shorten(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// The first 48 characters of a text, without control characters.
pub fn shorten(text: &str) -> String {
    let mut short: String =
        text.chars().take(48).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(48).is_some() {
        short.push('…');
    }
    short
}

/// Reads a payload: size, encoding, grammar, depth, and an object on top, in this order.
pub fn read(payload: &[u8]) -> Result<Node<'_>, (DeadReason, String)> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        let detail = format!("{} bytes, at most {MAX_PAYLOAD_BYTES} are read", payload.len());
        return Err((DeadReason::TooLarge, detail));
    }
    let text = std::str::from_utf8(payload).map_err(|error| {
        (DeadReason::NotUtf8, format!("byte {} is no UTF-8", error.valid_up_to()))
    })?;
    if text.trim_ascii().is_empty() {
        return Err((DeadReason::NotJson, "the payload is empty".to_owned()));
    }
    let limits = Limits::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let node = Seed { depth: 0, limits: &limits }
        .deserialize(&mut reader)
        .and_then(|node| reader.end().map(|()| node));
    match node {
        Ok(node @ Node::Object(_)) => Ok(node),
        Ok(node) => Err((DeadReason::NotAnObject, format!("the payload is {}", node.describe()))),
        Err(error) => Err(limits.0.into_inner().unwrap_or_else(|| {
            let detail = error.to_string();
            // 1e999 is good JSON that no f64 can hold.
            if detail.starts_with("number out of range") {
                (DeadReason::OutOfRange, detail)
            } else {
                (DeadReason::NotJson, detail)
            }
        })),
    }
}

/// The limit that was broken, if one was: the error type of the reader has no room for it.
#[derive(Default)]
struct Limits(RefCell<Option<(DeadReason, String)>>);

impl Limits {
    fn broken<E: Error>(&self, reason: DeadReason, detail: String) -> E {
        self.0.replace(Some((reason, detail)));
        E::custom("refused")
    }
}

#[derive(Clone, Copy)]
struct Seed<'l> {
    depth: usize,
    limits: &'l Limits,
}

impl Seed<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            let detail = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(self.limits.broken(DeadReason::TooDeep, detail));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Boolean(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(value).map_or(Node::Large(value), Node::Integer))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(inner)? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut members = Vec::with_capacity(12);
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(inner)?));
        }
        if let Some(name) = repeated(&members) {
            let detail = format!("the member `{}` stands twice", shorten(name));
            return Err(self.limits.broken(DeadReason::NotJson, detail));
        }
        Ok(Node::Object(members))
    }
}

/// The name of a member that stands twice. Small objects are compared pair by pair, large ones
/// sorted, so that a payload made of members takes no quadratic time.
fn repeated<'n>(members: &'n [(Cow<'_, str>, Node<'_>)]) -> Option<&'n str> {
    if members.len() <= 24 {
        let mut rest = members;
        while let Some(((name, _), after)) = rest.split_first() {
            if after.iter().any(|(other, _)| other == name) {
                return Some(name);
            }
            rest = after;
        }
        return None;
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }
    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(payload: &[u8]) -> DeadReason {
        read(payload).unwrap_err().0
    }

    #[test]
    fn refuses_by_the_first_thing_wrong() {
        assert_eq!(reason(&vec![b' '; 1_000_000]), DeadReason::TooLarge);
        assert_eq!(reason(b"{\"a\":\"\xff\"}"), DeadReason::NotUtf8);
        for broken in ["", "  ", "{", "{\"v\": 1,", "nul", "{} {}", "{\"a\":NaN}", "\u{feff}{}"] {
            assert_eq!(reason(broken.as_bytes()), DeadReason::NotJson, "{broken}");
        }
        for other in ["[]", "3", "\"x\"", "null", "true"] {
            assert_eq!(reason(other.as_bytes()), DeadReason::NotAnObject, "{other}");
        }
        assert_eq!(reason(b"{\"a\":1e999}"), DeadReason::OutOfRange);
    }

    #[test]
    fn depth_is_capped_wherever_it_lies() {
        let nested = |depth: usize| {
            format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
        };
        assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(reason(&nested(MAX_DEPTH)), DeadReason::TooDeep);
        assert_eq!(reason(&nested(30_000)), DeadReason::TooDeep);
        assert_eq!(reason("{\"a\":".repeat(9_000).as_bytes()), DeadReason::TooDeep);
    }

    #[test]
    fn a_member_may_stand_once() {
        assert_eq!(reason(b"{\"a\":1,\"b\":2,\"a\":3}"), DeadReason::NotJson);
        assert_eq!(reason(b"{\"x\":{\"a\":1,\"\\u0061\":3}}"), DeadReason::NotJson);
        let many: Vec<String> = (0..3_000).map(|i| format!("\"m{i}\":0")).collect();
        assert!(read(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        let twice = format!("{{{},\"m7\":0}}", many.join(","));
        assert_eq!(reason(twice.as_bytes()), DeadReason::NotJson);
    }

    #[test]
    fn values_compare_by_worth() {
        let node = read(br#"{"a":1.0,"b":1,"c":"x","d":[1],"e":18446744073709551615}"#).unwrap();
        let member = |name| node.member(name).unwrap();
        assert!(member("a").equals(&1.into()) && member("b").equals(&1.0.into()));
        assert!(member("c").equals(&"x".into()) && !member("c").equals(&1.into()));
        assert!(member("d").equals(&vec![1].into()));
        assert!(member("e").equals(&u64::MAX.into()));
        assert_eq!(node.member("z"), None);
    }
}

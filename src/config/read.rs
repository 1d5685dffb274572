//! From the tree to typed values that know their places: the kinds of value a file may hold, and
//! the macros that declare groups of keys.
//!
//! A declaration is the one source of a group's keys: reading, the nearest-key search and the JSON
//! Schema all come from it. Reading never stops at a finding; what could not be read is `None`.

use std::borrow::Cow;
use std::ops::{Deref, Range};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use serde_saphyr::granit_parser::ScalarStyle;

use super::places;
use super::report::{Findings, Span};
use super::tree::{Atom, Content, Entry, Node, excerpt};

/// A value that can be read from a node, or gives findings.
pub(super) trait Read: Sized {
    /// Something to write, for when it is missing.
    const EXAMPLE: &str = "…";

    fn read(node: &Node, findings: &mut Findings) -> Option<Self>;
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
    style: Option<ScalarStyle>,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Read> Read for At<T> {
    const EXAMPLE: &str = T::EXAMPLE;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let style = match &node.content {
            Content::Scalar(scalar) => Some(scalar.style),
            _ => None,
        };
        T::read(node, findings).map(|value| Self { value, span: node.span.clone(), style })
    }
}

impl<T: AsRef<str>> At<T> {
    /// Where in the file a part of this text stands, however it is written there.
    pub fn part(&self, source: &str, part: Range<usize>) -> Span {
        match self.style {
            Some(style) => places::locate(source, &self.span, style, self.value.as_ref(), part),
            None => self.span.clone(),
        }
    }
}

/// Says that `$outer<T>` looks to JSON Schema just like `T`.
macro_rules! schema_of_inner {
    ($outer:ident) => {
        impl<T: JsonSchema> JsonSchema for $outer<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }
            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }
            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    };
}
schema_of_inner!(At);
schema_of_inner!(Needed);

/// The value of a key that must be there; `None` once its absence or its mistake is reported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Needed<T>(pub Option<At<T>>);

/// How a key of a group is filled.
pub(super) trait Field: Sized {
    /// `strays` are the group's keys that are not known.
    fn fill(key: &str, strays: &[&str], group: &Node, findings: &mut Findings) -> Self;
}

impl<T: Read> Field for Option<At<T>> {
    fn fill(key: &str, _: &[&str], group: &Node, findings: &mut Findings) -> Self {
        At::read(&entry(group, key)?.value, findings)
    }
}

impl<T: Read> Field for Needed<T> {
    fn fill(key: &str, strays: &[&str], group: &Node, findings: &mut Findings) -> Self {
        if let Some(entry) = entry(group, key) {
            return Self(At::read(&entry.value, findings));
        }
        // One that is merely misspelt is reported once, where it stands.
        if !strays.iter().any(|stray| nearest(stray, [key]).is_some()) {
            let missing = format!("the key `{key}` is missing{}", inside(group, findings));
            findings
                .error(&group.head, missing)
                .label(format!("has no `{key}`"))
                .help(format!("add `{key}: {}`", T::EXAMPLE));
        }
        Self(None)
    }
}

fn entry<'n>(group: &'n Node, key: &str) -> Option<&'n Entry> {
    match &group.content {
        Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
        _ => None,
    }
}

/// " in `name`", for a group that is the value of a key.
fn inside(group: &Node, findings: &Findings) -> String {
    match findings.text().get(group.head.clone()) {
        Some(name) if group.head != group.span && !name.contains(['{', '\n']) => {
            format!(" in `{}`", name.trim_matches(['"', '\'']))
        }
        _ => String::new(),
    }
}

/// The keys of a group that `keys` does not know, each reported; `None` when it is no group.
pub(super) fn strays<'n>(
    node: &'n Node,
    keys: &[&str],
    findings: &mut Findings,
) -> Option<Vec<&'n str>> {
    let place = inside(node, findings);
    let Content::Map(entries) = &node.content else {
        let found = format!("expected a group of keys{place}, found {}", node.what());
        findings.error(&node.span, found).help(format!("its keys are {}", listed(keys)));
        return None;
    };
    let mut strays = Vec::new();
    for entry in entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
        findings
            .error(&entry.key_span, format!("unknown key `{}`{place}", excerpt(&entry.key)))
            .did_you_mean(nearest(&entry.key, keys.iter().copied()))
            .help(format!("known here: {}", listed(keys)));
        strays.push(entry.key.as_str());
    }
    Some(strays)
}

/// Declares a group of keys. Field types: `Needed<T>`, or `Option<At<T>>` for what may be absent.
macro_rules! group {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* }) => {
        #[derive(Clone, Debug, PartialEq, schemars::JsonSchema)]
        $(#[$meta])*
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name { $($(#[$field_meta])* pub $field: $ty,)* }

        impl $name {
            pub const KEYS: &[&str] = &[$($crate::config::read::key(stringify!($field)),)*];
        }

        impl $crate::config::read::Read for $name {
            const EXAMPLE: &str = "{ … }";

            fn read(
                node: &$crate::config::tree::Node,
                findings: &mut $crate::config::report::Findings,
            ) -> Option<Self> {
                let strays = $crate::config::read::strays(node, Self::KEYS, findings)?;
                Some(Self { $($field: $crate::config::read::Field::fill(
                    $crate::config::read::key(stringify!($field)),
                    &strays,
                    node,
                    findings,
                ),)* })
            }
        }
    };
}
pub(super) use group;

/// A field's name as a key: without the mark that Rust's own words need.
pub(super) const fn key(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Declares a closed list of words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $variant:ident = $word:literal,)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema)]
        $(#[$meta])*
        pub(super) enum $name { $($(#[$word_meta])* #[schemars(rename = $word)] $variant,)* }

        impl $name {
            pub const WORDS: &[&str] = &[$($word,)*];
        }

        impl $crate::config::read::Read for $name {
            const EXAMPLE: &str = Self::WORDS[0];

            fn read(
                node: &$crate::config::tree::Node,
                findings: &mut $crate::config::report::Findings,
            ) -> Option<Self> {
                match $crate::config::read::word(node, Self::WORDS, findings)? {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use words;

/// The scalar's letters, if they are one of the known words.
pub(super) fn word<'n>(node: &'n Node, known: &[&str], findings: &mut Findings) -> Option<&'n str> {
    if let Content::Scalar(scalar) = &node.content
        && known.contains(&scalar.text.as_str())
    {
        return Some(&scalar.text);
    }
    let near = match &node.content {
        Content::Scalar(scalar) => nearest(&scalar.text, known.iter().copied()),
        _ => None,
    };
    let place = inside(node, findings);
    findings
        .error(&node.span, format!("unknown word{place}: {}", node.what()))
        .did_you_mean(near)
        .help(format!("one of {}", listed(known)));
    None
}

/// Reports that something else was expected.
pub(super) fn wrong_type<'f>(
    node: &Node,
    expected: &str,
    findings: &'f mut Findings,
) -> &'f mut super::report::Finding {
    let place = inside(node, findings);
    findings.error(&node.span, format!("expected {expected}{place}, found {}", node.what()))
}

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
        pub(super) struct $name(pub String);

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
pub(super) struct Literal(pub Value);

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

/// A span of time: a whole number and its unit, `250ms`, `10s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(pub Duration);

impl Interval {
    const HELP: &str = "a whole number and a unit (ms, s, m, h): `250ms`, `10s`, `5m`, `1h`";

    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
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
            "description": "A span of time: a whole number and its unit, 250ms, 10s, 5m, 1h.",
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h)$"
        })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OneOrMany<T>(pub Vec<At<T>>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.content {
            Content::List(_) => List::read(node, findings).map(|list| Self(list.0)),
            _ => At::read(node, findings).map(|one| Self(vec![one])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T>(pub Vec<At<T>>);

impl<T: Read> Read for List<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Content::List(items) = &node.content else {
            wrong_type(node, "a list", findings).help("a list stands in brackets: [one, two]");
            return None;
        };
        let read: Vec<_> = items.iter().filter_map(|item| At::read(item, findings)).collect();
        // A list whose every item is wrong is not an empty one.
        (items.is_empty() || !read.is_empty()).then_some(Self(read))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("List_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "items": item })
    }
}

/// Values under names of the operator's choice, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named<T>(pub Vec<(At<String>, Option<T>)>);

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            wrong_type(node, "names with a value each", findings);
            return None;
        };
        let named = entries.iter().map(|entry| {
            let span = entry.key_span.clone();
            let name = At { value: entry.key.clone(), span, style: None };
            (name, T::read(&entry.value, findings))
        });
        Some(Self(named.collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// The known word that is most like `word`, if any is like it at all. The first of equals.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = word.to_lowercase();
    // A third of the letters may differ: `latenes` is lateness, `color` is not `colliding`.
    let most = (word.chars().count() / 3).max(1);
    let distance = |k: &str| strsim::damerau_levenshtein(&lower, &k.to_lowercase());
    known
        .into_iter()
        .map(|k| (distance(k), k))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// `a`, `b`, `c`
pub(super) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let most = 20;
    let mut text =
        words.iter().take(most).map(|w| format!("`{}`", w.as_ref())).collect::<Vec<_>>().join(", ");
    if words.len() > most {
        text += &format!(" and {} more", words.len() - most);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        for (text, ms) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000)] {
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
            "1d",
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
            ("1D", Some("24h")),
            ("90sec", Some("90s")),
            ("soon", None),
            ("1.2.3", None),
            ("10 parsecs", None),
        ] {
            assert_eq!(Interval::meant(text).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn nearest_words() {
        let known = ["lateness", "idle_after", "field", "every"];
        assert_eq!(nearest("latenes", known), Some("lateness"));
        assert_eq!(nearest("Lateness", known), Some("lateness"));
        assert_eq!(nearest("idle-after", known), Some("idle_after"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn keys_lose_the_raw_mark() {
        assert_eq!((key("r#where"), key("r"), key("sql")), ("where", "r", "sql"));
    }
}

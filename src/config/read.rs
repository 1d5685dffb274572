//! From the tree to typed values that know their places: the kinds of value a file may hold, and
//! the macros that declare groups of keys.
//!
//! A declaration is the one source of a group's keys: reading, the nearest-key search and the JSON
//! Schema all come from it. Reading never stops at a finding; what could not be read is `None`.

mod collections;
mod near;
mod size;
mod values;

use std::borrow::Cow;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_saphyr::granit_parser::ScalarStyle;

pub(super) use collections::{List, Named, OneOrMany};
pub(super) use near::{listed, nearest};
pub(super) use size::Size;
pub(super) use values::{Address, Interval, Literal, PathText};

use super::places;
use super::report::{Finding, Findings, Span};
use super::tree::{Content, Entry, Node, excerpt};

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

impl<T: Clone> At<Tried<T>> {
    /// The value with its place, where it could be read.
    pub(super) fn readable(&self) -> Option<At<T>> {
        let value = self.value.0.clone()?;
        Some(At { value, span: self.span.clone(), style: self.style })
    }
}

impl<T> At<T> {
    /// Whether one value stands here by itself: no list, no group.
    pub fn is_scalar(&self) -> bool {
        self.style.is_some()
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
schema_of_inner!(Tried);

/// A value that may be unreadable and is there all the same, for keys of which one must be there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tried<T>(pub Option<T>);

impl<T: Read> Read for Tried<T> {
    const EXAMPLE: &str = T::EXAMPLE;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        Some(Self(T::read(node, findings)))
    }
}

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
        // A secret under a misspelt key is a secret all the same.
        let secret = nearest(&entry.key, ["password", "passwd", "secret", "token"]).is_some();
        if secret && let Content::Scalar(_) = &entry.value.content {
            findings.strike_out(&entry.value.span);
        }
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
        pub(in crate::config) struct $name { $($(#[$field_meta])* pub $field: $ty,)* }

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
        pub(in crate::config) enum $name { $($(#[$word_meta])* #[schemars(rename = $word)] $variant,)* }

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
) -> &'f mut Finding {
    let place = inside(node, findings);
    findings.error(&node.span, format!("expected {expected}{place}, found {}", node.what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lose_the_raw_mark() {
        assert_eq!((key("r#where"), key("r"), key("sql")), ("where", "r", "sql"));
    }
}

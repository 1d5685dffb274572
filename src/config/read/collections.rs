//! Values in numbers: lists, one or many, and values under names.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::report::Findings;
use super::super::tree::{Content, Node};
use super::{At, Read, wrong_type};

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct OneOrMany<T>(pub Vec<At<T>>);

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
pub(in crate::config) struct List<T>(pub Vec<At<T>>);

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
pub(in crate::config) struct Named<T>(pub Vec<(At<String>, Option<T>)>);

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

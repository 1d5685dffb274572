//! The JSON Schemas and the reader know the same keys.

use std::collections::BTreeMap;

use super::super::{mapping, raw};
use super::*;

/// The keys of every group of a schema, by the group's name.
fn groups(schema: &Value) -> BTreeMap<String, Vec<String>> {
    let keys = |group: &Value| -> Option<Vec<String>> {
        Some(group.get("properties")?.as_object()?.keys().cloned().collect())
    };
    let definitions = schema["definitions"].as_object().unwrap();
    let mut groups: BTreeMap<_, _> =
        definitions.iter().filter_map(|(name, group)| Some((name.clone(), keys(group)?))).collect();
    groups.insert(String::new(), keys(schema).unwrap());
    groups
}

fn known(groups: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    groups.iter().map(|(name, keys)| ((*name).to_owned(), owned(keys))).collect()
}

#[test]
fn the_pipeline_schema_has_the_keys_that_are_read() {
    let read = known(&[
        ("", Pipeline::KEYS),
        ("Broker", raw::Broker::KEYS),
        ("Tls", raw::Tls::KEYS),
        ("SecretPlace", raw::broker::SecretPlace::KEYS),
        ("Source", raw::Source::KEYS),
        ("Subscription", raw::Subscription::KEYS),
        ("EventTime", raw::EventTime::KEYS),
        ("Window", raw::Window::KEYS),
        ("Session", raw::Session::KEYS),
        ("Late", raw::Late::KEYS),
        ("Congestion", raw::Congestion::KEYS),
        ("Directions", raw::Directions::KEYS),
        ("Writer", raw::Writer::KEYS),
        ("Outputs", raw::Outputs::KEYS),
        ("SignsOutput", raw::SignsOutput::KEYS),
        ("SignsTopic", raw::SignsTopic::KEYS),
        ("VehiclesOutput", raw::VehiclesOutput::KEYS),
        ("VehiclesTopic", raw::VehiclesTopic::KEYS),
        ("WindowsOutput", raw::WindowsOutput::KEYS),
        ("WindowsTopic", raw::WindowsTopic::KEYS),
        ("ArchiveOutput", raw::ArchiveOutput::KEYS),
        ("ParquetDir", raw::ParquetDir::KEYS),
        ("Journal", raw::Journal::KEYS),
    ]);
    assert_eq!(groups(&json_schema()), read);
}

#[test]
fn the_mapping_schema_has_the_keys_that_are_read() {
    let read = known(&[
        ("", MappingFile::KEYS),
        ("ColumnGroup", mapping::ColumnGroup::KEYS),
        ("Unit", mapping::Unit::KEYS),
    ]);
    assert_eq!(groups(&mapping_json_schema()), read);
}

#[test]
fn every_key_is_described_and_no_group_is_open() {
    for schema in [json_schema(), mapping_json_schema()] {
        let definitions = schema["definitions"].as_object().unwrap().values();
        for group in definitions.chain([&schema]).filter(|group| group.get("properties").is_some())
        {
            assert_eq!(group["additionalProperties"], false, "{group}");
            for (key, value) in group["properties"].as_object().unwrap() {
                assert!(value["description"].is_string(), "{key}: {value}");
            }
        }
    }
}

#[test]
fn absent_keys_are_not_null() {
    for schema in [json_schema(), mapping_json_schema()] {
        let text = schema.to_string();
        // The one null that may stand in a file is the literal's, beside three other types.
        let literal = r#"["string","number","boolean","null"]"#;
        assert_eq!(text.matches(r#""null""#).count(), text.matches(literal).count(), "{text}");
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
}

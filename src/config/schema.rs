//! The JSON Schemas (draft-07) of pipeline and schema files, from the same declarations that read
//! them: editors complete and check with these while a file is being written.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::mapping::MappingFile;
use super::raw::Pipeline;

/// The schema of pipeline files.
pub fn json_schema() -> Value {
    generate::<Pipeline>("A Wayside pipeline file")
}

/// The schema of schema files (`schemas/*.yaml`).
pub fn mapping_json_schema() -> Value {
    generate::<MappingFile>("A Wayside schema file")
}

fn generate<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.transforms.insert(0, Box::new(RecursiveTransform(absent_is_not_null)));
        settings.transforms.push(Box::new(RecursiveTransform(one_line)));
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut ordered = serde_json::Map::new();
    if let Some(object) = schema.as_object() {
        // What says what the file is comes first.
        let dialect = object.get("$schema").cloned();
        ordered.insert("$schema".into(), dialect.unwrap_or_default());
        ordered.insert("title".into(), title.into());
        for (key, value) in object {
            ordered.entry(key).or_insert_with(|| value.clone());
        }
    }
    Value::Object(ordered)
}

/// Where a doc comment breaks its lines is of no use to who reads the schema.
fn one_line(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

/// An optional key may be left out; it may not be null. The generator knows only the latter.
fn absent_is_not_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let null = Value::from("null");
    // The one value that may really be null names all four scalar types.
    if let Some(Value::Array(types)) = object.get_mut("type")
        && types.len() == 2
    {
        types.retain(|kind| *kind != null);
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&null));
        if let [Value::Object(one)] = choices.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            for (key, value) in one {
                object.entry(key).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! JSON Schemas (2020-12) of every statement type, generated from the types themselves.
//!
//! `schemas/` holds them as golden files, and the server serves them; they describe payloads. What a
//! schema cannot say (canonical bytes, signatures, references) is in `docs/PROTOCOL.md`.

use schemars::JsonSchema as _;
use serde_json::{Value, json};

use super::VERSION;
use super::kinds::Statement;
use crate::time;
use crate::tlog::checkpoint::Origin;

/// Every statement type with the schema of its payload, in the protocol's order.
pub fn all() -> Vec<(&'static str, Value)> {
    Statement::member_schemas()
        .into_iter()
        .map(|(name, schema)| (name, with_head(name, schema.to_value())))
        .collect()
}

/// Adds the members that every statement has to the schema of a type's own.
#[allow(
    clippy::indexing_slicing,
    reason = "assigning to a member of a JSON object adds it, and a schema is an object made here"
)]
fn with_head(name: &str, mut schema: Value) -> Value {
    tighten(&mut schema);
    let mut generator = schemars::SchemaGenerator::default();
    let minute = time::to_the_minute(&mut generator).to_value();
    let hour = time::to_the_hour(&mut generator).to_value();
    let head = [
        ("issued_at", told("When it was said.", minute)),
        (
            "issuer",
            told(
                "The party that speaks, if it is one.",
                json!({ "$ref": "#/$defs/PartyId" }),
            ),
        ),
        (
            "issuer_key",
            told(
                "The one-time key of the resident who speaks: another for each request.",
                json!({ "$ref": "#/$defs/PublicKey" }),
            ),
        ),
        (
            "parties",
            json!({
                "type": "array",
                "items": { "$ref": "#/$defs/PartyId" },
                "minItems": 2,
                "uniqueItems": true,
                "description": "The parties that speak together: ascending, each signs."
            }),
        ),
        (
            "log",
            told(
                "The origin of the one log this is for.",
                Origin::json_schema(&mut generator).to_value(),
            ),
        ),
        (
            "type",
            told("The type of the statement.", json!({ "const": name })),
        ),
        (
            "version",
            told("The version of the type.", json!({ "const": VERSION })),
        ),
    ];
    for (member, value) in head {
        schema["properties"][member] = value;
    }
    generator.subschema_for::<super::words::PartyId>();
    generator.subschema_for::<super::key::PublicKey>();
    for (name, definition) in generator.definitions() {
        schema["$defs"][name] = definition.clone();
    }
    let required = schema["required"].as_array_mut();
    let head_required = ["issued_at", "log", "type", "version"].map(Value::from);
    match required {
        Some(required) => required.extend(head_required),
        None => schema["required"] = Value::from(head_required.to_vec()),
    }
    schema["oneOf"] = json!([
        { "required": ["issuer"] },
        { "required": ["issuer_key"], "properties": { "issued_at": told("When it was said.", hour) } },
        { "required": ["parties"] },
    ]);
    schema["title"] = json!(name);
    schema
}

/// A member with its description.
#[allow(
    clippy::indexing_slicing,
    reason = "assigning to a member of a JSON object adds it, and a schema is an object made here"
)]
fn told(description: &str, mut schema: Value) -> Value {
    schema["description"] = match schema["description"].as_str() {
        Some(form) => json!(format!("{description} {form}")),
        None => json!(description),
    };
    schema
}

/// Says what the generated schemas leave open: an absent member is left out, never `null`; integers
/// have their types' bounds; the member that tells variants apart is described like its variant.
fn tighten(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(tighten);
    }
    let Value::Object(object) = schema else {
        return;
    };
    object.values_mut().for_each(tighten);
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({ "type": "null" }));
        if let [Value::Object(only)] = choices.as_mut_slice() {
            let only = std::mem::take(only);
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    let most = match object.get("format").and_then(Value::as_str) {
        Some("uint8") => Some(u64::from(u8::MAX)),
        Some("uint32") => Some(u64::from(u32::MAX)),
        _ => None,
    };
    if let Some(most) = most {
        object.entry("maximum").or_insert(json!(most));
    }
    let description = object.get("description").cloned();
    if let (Some(description), Some(Value::Object(members))) =
        (description, object.get_mut("properties"))
    {
        for member in members.values_mut() {
            if member.get("const").is_some() && member.get("description").is_none() {
                member["description"] = description.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Author, Head, payload};

    fn head() -> Head {
        Head {
            log: "ledger.example/log".into(),
            issued_at: "2019-07-31T14:00:00Z".parse().unwrap(),
            author: Author::Issuer("lakelandgov.example".parse().unwrap()),
        }
    }

    #[test]
    fn examples_fit_their_schemas_and_strangers_do_not() {
        for (statement, (name, schema)) in Statement::examples().iter().zip(all()) {
            assert_eq!(statement.name(), name);
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let payload: Value = serde_json::from_slice(&payload(&head(), statement)).unwrap();
            if let Err(error) = validator.validate(&payload) {
                panic!("{name}: {error}");
            }
            for (member, value) in [
                ("surplus", json!(1)),
                ("log", json!(7)),
                ("issuer", json!("x")),
            ] {
                let mut altered = payload.clone();
                altered[member] = value;
                assert!(!validator.is_valid(&altered), "{name} with {member}");
            }
        }
    }

    #[test]
    fn examples_read_back_as_they_were_written() {
        for statement in Statement::examples() {
            let bytes = payload(&head(), &statement);
            assert_eq!(
                crate::statement::parse_payload(&bytes).unwrap(),
                (head(), statement)
            );
        }
    }

    /// `WHOSAW_BLESS=1 cargo test schemas_are_fresh` writes them anew.
    #[test]
    fn schemas_are_fresh() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let bless = std::env::var_os("WHOSAW_BLESS").is_some();
        for (name, schema) in all() {
            let path = folder.join(format!("{name}.json"));
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            if bless {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                text,
                "{name} is stale"
            );
        }
        let files = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(
            files,
            Statement::NAMES.len(),
            "a schema of no type lies there"
        );
    }
}

//! The JSON Schema of the language.

use std::borrow::Cow;

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::parts::{Body, Condition, PathShape};

/// What the schema is called. It is a name and no address: nothing is fetched.
const ID: &str = "urn:provost:policy:1";

/// The schema (draft 2020-12) of a policy document.
pub(super) fn schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with_transform(NoNulls);
    let mut schema = settings.into_generator().into_root_schema_for::<Body>();
    schema.insert("$id".to_owned(), ID.into());
    schema.to_value()
}

/// A field that may be left out may still not be `null`.
#[derive(Clone)]
struct NoNulls;

impl Transform for NoNulls {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(cases)) = schema.get_mut("anyOf") {
            cases.retain(|case| case.get("type").is_none_or(|name| name != "null"));
        }
        if let Some(Value::Array(words)) = schema.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
        transform_subschemas(self, schema);
    }
}

// By hand: which values fit depends on the operator.
impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let path = generator.subschema_for::<PathShape>();
        let texts = json_schema!({ "type": "array", "items": { "type": "string" } });
        let commands = json_schema!({
            "type": "array",
            "items": { "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } },
            ] },
        });
        let case = |operators: &[&str], description: &str, value: Schema| {
            json_schema!({
                "type": "object",
                "description": description,
                "required": ["path", "op", "value"],
                "additionalProperties": false,
                "properties": {
                    "path": path,
                    "op": { "type": "string", "enum": operators },
                    "value": value,
                },
            })
        };
        json_schema!({
            "description": "What is asked about one argument.",
            "oneOf": [
                case(&["eq", "neq", "contains"], "Equal by value; part of a text or of a list.", json_schema!(true)),
                case(&["in", "not_in"], "One of a list.", json_schema!({ "type": "array" })),
                case(&["lt", "lte", "gt", "gte"], "Compared as exact decimals.", json_schema!({ "type": "number" })),
                case(&["regex"], "A pattern found anywhere in a text.", json_schema!({ "type": "string" })),
                case(&["exists"], "Present and not null.", json_schema!({ "type": "boolean" })),
                case(&["under", "host_in"], "A path inside a directory; a URL of a host.", texts),
                case(&["argv_in"], "A command that begins with these words.", commands),
            ],
        })
    }
}

//! The JSON Schema of the language.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::parts::{Body, Condition, PathShape};

/// The schema (draft 2020-12) of a policy document.
pub(super) fn schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    settings
        .into_generator()
        .into_root_schema_for::<Body>()
        .to_value()
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

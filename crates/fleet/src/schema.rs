//! JSON Schemas of results: whoever gives a task may say what its result looks like.

use std::error::Error;

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;

/// Where the schema is, as far as the validator is concerned.
const HERE: &str = "urn:provost:result";

/// Schemas come from agents: nothing is fetched or opened for them.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("`{url}` is not part of the schema").into())
    }
}

/// Most bytes of a schema, and of a result.
const MOST_SCHEMA: usize = 16 * 1024;
const MOST_RESULT: usize = 1 << 20;
/// Most pairs of a part of the schema and a part of the result: how often one is held
/// against the other, about, and how many complaints there can be.
const MOST_WORK: usize = 5_000_000;
/// Most characters of a complaint.
const LONGEST: usize = 1_000;
/// Words that have one part of a schema checked many times: with them a short schema can
/// take for ever.
const REPEATING: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Whether this is a schema that can be checked; says what is wrong with it.
pub(crate) fn check(schema: &Value) -> Result<(), String> {
    if schema.to_string().len() > MOST_SCHEMA {
        return Err(format!("it has more than {MOST_SCHEMA} bytes"));
    }
    sound(schema)?;
    compile(schema.clone()).map(drop)
}

/// Whether a result can be taken: it is not too long, and fits its schema, JSON, where
/// there is one. Says what is wrong with it. Takes up to a second.
pub(crate) fn fits(schema: Option<&str>, result: &Value) -> Result<(), String> {
    if result.to_string().len() > MOST_RESULT {
        return Err(format!(
            "it has more than {MOST_RESULT} bytes; put it into a file and report the path"
        ));
    }
    let Some(schema) = schema else { return Ok(()) };
    // It was read when the task was given.
    let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    check(&schema)?;
    if parts(&schema).saturating_mul(parts(result)) > MOST_WORK {
        return Err("it has too many parts to be held against its schema".to_owned());
    }
    let (schemas, index) = compile(schema)?;
    let checked = schemas.validate(result, index);
    checked.map_err(|error| {
        let whole = error.to_string();
        let mut brief: String = whole.chars().take(LONGEST).collect();
        if brief.len() < whole.len() {
            brief.push('…');
        }
        brief
    })
}

/// No part of it is used twice, and its patterns can be compiled.
fn sound(schema: &Value) -> Result<(), String> {
    match schema {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            if REPEATING.contains(&name.as_str()) {
                return Err(format!(
                    "`{name}` is not taken here: write out what it stands for"
                ));
            }
            let patterns: Vec<&str> = match (name.as_str(), value) {
                ("pattern", Value::String(pattern)) => vec![pattern],
                ("patternProperties", Value::Object(all)) => {
                    all.keys().map(String::as_str).collect()
                }
                _ => Vec::new(),
            };
            for pattern in patterns {
                regex::Regex::new(pattern)
                    .map_err(|_| "a pattern in it cannot be used".to_owned())?;
            }
            sound(value)
        }),
        Value::Array(elements) => elements.iter().try_for_each(sound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// How many values a value is made of, itself included.
fn parts(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.values().map(parts).sum(),
        Value::Array(elements) => elements.iter().map(parts).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn compile(schema: Value) -> Result<(Schemas, SchemaIndex), String> {
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(Nothing));
    let added = compiler.add_resource(HERE, schema);
    added.map_err(|error| error.to_string())?;
    let mut schemas = Schemas::new();
    let index = compiler.compile(HERE, &mut schemas);
    let index = index.map_err(|error| error.to_string())?;
    Ok((schemas, index))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_fits_or_it_is_said_why_not() {
        let schema = json!({"type": "object", "required": ["files"]});
        assert_eq!(check(&schema), Ok(()));
        let fits = |result| fits(Some(&schema.to_string()), &result);
        assert_eq!(fits(json!({"files": []})), Ok(()));
        assert!(fits(json!({})).unwrap_err().contains("files"));
    }

    /// A reference to another part would have it checked again and again: twice as often
    /// with each step, for ever with a few.
    #[test]
    fn a_short_schema_cannot_take_for_ever() {
        let mut schema = json!({"$ref": "#/$defs/a45", "$defs": {"a0": {"type": "string"}}});
        for step in 1..=45 {
            let below = json!({"$ref": format!("#/$defs/a{}", step - 1)});
            schema["$defs"][format!("a{step}")] = json!({"allOf": [below, below]});
        }
        let refused = "`$ref` is not taken here: write out what it stands for";
        assert_eq!(check(&schema), Err(refused.to_owned()));
        assert_eq!(
            fits(Some(&schema.to_string()), &json!("x")),
            Err(refused.to_owned())
        );
        let many = json!({"items": {"anyOf": vec![json!({"type": "string"}); 500]}});
        assert_eq!(check(&many), Ok(()));
        let result = json!(vec![1; 20_000]);
        let refused = "it has too many parts to be held against its schema";
        assert_eq!(
            fits(Some(&many.to_string()), &result),
            Err(refused.to_owned())
        );
        let long = json!({"anyOf": vec![json!({"type": "string"}); 500]});
        assert!(
            fits(Some(&long.to_string()), &json!(1))
                .unwrap_err()
                .chars()
                .count()
                <= LONGEST + 1
        );
    }

    #[test]
    fn what_is_too_long_or_no_pattern_is_refused() {
        let long = json!({"description": "x".repeat(MOST_SCHEMA)});
        assert_eq!(check(&long), Err("it has more than 16384 bytes".to_owned()));
        let pattern = json!({"properties": {"a": {"pattern": "(?:(?:(?:a{1000}){1000}){1000})"}}});
        assert_eq!(
            check(&pattern),
            Err("a pattern in it cannot be used".to_owned())
        );
        assert!(fits(None, &json!("x".repeat(MOST_RESULT))).is_err());
        assert_eq!(fits(None, &json!({"ok": true})), Ok(()));
    }

    #[test]
    fn a_schema_opens_no_file() {
        assert!(check(&json!({"$ref": "file:///etc/passwd"})).is_err());
        let elsewhere = json!({"$schema": "file:///etc/passwd"});
        assert!(
            check(&elsewhere)
                .unwrap_err()
                .contains("file:///etc/passwd")
        );
        assert!(check(&json!({"type": "nothing"})).is_err());
    }
}

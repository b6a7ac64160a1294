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

/// Whether this is a schema; says what is wrong with it.
pub(crate) fn check(schema: &Value) -> Result<(), String> {
    compile(schema.clone()).map(drop)
}

/// Whether a result fits a schema, which is JSON; says what is wrong with it.
pub(crate) fn fits(schema: &str, result: &Value) -> Result<(), String> {
    // It was read when the task was given.
    let schema = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    let (schemas, index) = compile(schema)?;
    let checked = schemas.validate(result, index);
    checked.map_err(|error| error.to_string())
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
        let fits = |result| fits(&schema.to_string(), &result);
        assert_eq!(fits(json!({"files": []})), Ok(()));
        assert!(fits(json!({})).unwrap_err().contains("files"));
    }

    #[test]
    fn a_schema_opens_no_file() {
        let elsewhere = json!({"$ref": "file:///etc/passwd"});
        let refused = check(&elsewhere).unwrap_err();
        assert!(refused.contains("file:///etc/passwd"), "{refused}");
        assert!(check(&json!({"type": "nothing"})).is_err());
    }
}

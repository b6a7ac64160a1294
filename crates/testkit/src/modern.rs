//! The modern era (2026-07-28) as both sides of a test see it: names of `_meta` members, codes, and the headers that
//! repeat what stands in a body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The protocol revision.
pub const VERSION: &str = "2026-07-28";

/// Names of members of `_meta`.
pub mod meta {
    /// The protocol revision of a request.
    pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// What the client of a request can do.
    pub const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// What the client of a request calls itself.
    pub const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
    /// Which log messages a request asks for; without it, none.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// What the server of a result calls itself.
    pub const SERVER: &str = "io.modelcontextprotocol/serverInfo";
    /// The id of the request that a message on a subscription belongs to.
    pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
}

/// Error codes of this era.
pub mod code {
    /// Headers and body disagree (HTTP 400).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client did not declare what the request needs (HTTP 400).
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// A revision that the server does not speak (HTTP 400).
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// The name of the extension that knows tasks.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The member of `params` that the header `Mcp-Name` repeats.
pub fn name_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The `_meta` of a request.
pub fn envelope(capabilities: Value) -> Value {
    json!({
        meta::VERSION: VERSION,
        meta::CAPABILITIES: capabilities,
        meta::CLIENT: {"name": "provost-testkit", "version": "1.0.0"},
    })
}

/// What a server has to know to answer a client's capabilities: what is missing for a question, if anything is.
pub fn missing_capability(question: &Value, capabilities: &Value) -> Option<Value> {
    let has = |path: &str| capabilities.pointer(path).is_some();
    let params = &question["params"];
    match question["method"].as_str().unwrap_or_default() {
        "elicitation/create" if params["mode"] == "url" => {
            (!has("/elicitation/url")).then(|| json!({"elicitation": {"url": {}}}))
        }
        "elicitation/create" => {
            let bare = capabilities["elicitation"] == json!({});
            (!bare && !has("/elicitation/form")).then(|| json!({"elicitation": {"form": {}}}))
        }
        "sampling/createMessage" if params.get("tools").is_some() => {
            (!has("/sampling/tools")).then(|| json!({"sampling": {"tools": {}}}))
        }
        "sampling/createMessage" => (!has("/sampling")).then(|| json!({"sampling": {}})),
        "roots/list" => (!has("/roots")).then(|| json!({"roots": {}})),
        _ => None,
    }
}

// === header values ===

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// A value as the header that repeats it carries it.
pub fn encode(value: &str) -> String {
    let plain = value.chars().all(|c| c == '\t' || (' '..='~').contains(&c));
    let padded = value.trim() != value;
    if !plain || padded || value.is_empty() || is_encoded(value) {
        return encode_always(value);
    }
    value.to_owned()
}

/// The same, encoded even where nothing asks for it.
pub fn encode_always(value: &str) -> String {
    format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(value))
}

/// The value that a header carries; nothing when it is encoded wrongly.
pub fn decode(header: &str) -> Option<String> {
    let header = header.trim_matches([' ', '\t']);
    if !is_encoded(header) {
        return Some(header.to_owned());
    }
    let inner = &header[PREFIX.len()..header.len() - SUFFIX.len()];
    String::from_utf8(STANDARD.decode(inner).ok()?).ok()
}

fn is_encoded(value: &str) -> bool {
    value.len() >= PREFIX.len() + SUFFIX.len()
        && value.starts_with(PREFIX)
        && value.ends_with(SUFFIX)
}

// === annotations ===

/// An argument that a header repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// What follows `Mcp-Param-`.
    pub name: String,
    /// Where the argument stands.
    pub path: Vec<String>,
    /// `string`, `integer` or `boolean`.
    pub kind: String,
}

/// What an input schema says about headers, or why a client must drop the tool.
pub fn annotations(schema: &Value) -> Result<Vec<Annotation>, String> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    scan(schema, &mut path, Some(&mut found))?;
    for (n, one) in found.iter().enumerate() {
        if found[..n]
            .iter()
            .any(|other| other.name.eq_ignore_ascii_case(&one.name))
        {
            return Err(format!("`{}` stands there twice", one.name));
        }
    }
    Ok(found)
}

/// Walks down properties; what cannot be reached that way (`found` is nothing) must carry no annotation.
fn scan(
    schema: &Value,
    path: &mut Vec<String>,
    mut found: Option<&mut Vec<Annotation>>,
) -> Result<(), String> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Array(items) => return items.iter().try_for_each(|item| scan(item, path, None)),
        _ => return Ok(()),
    };
    if let Some(name) = members.get("x-mcp-header") {
        let kind = members.get("type").and_then(Value::as_str);
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let name = name.as_str().ok_or("the annotation is not text")?;
        let (Some(found), false) = (found.as_deref_mut(), path.is_empty()) else {
            return Err(format!("`{name}` cannot be reached"));
        };
        match kind {
            Some(kind @ ("string" | "integer" | "boolean"))
                if !name.is_empty() && name.chars().all(token) =>
            {
                found.push(Annotation {
                    name: name.to_owned(),
                    path: path.clone(),
                    kind: kind.to_owned(),
                });
            }
            _ => return Err(format!("`{name}` is no header or of a wrong type")),
        }
    }
    for (key, value) in members {
        if key != "properties" {
            // What carries schemas is walked, data (`const`, `default`, `enum`, `examples`) is not.
            if !["const", "default", "enum", "examples", "x-mcp-header"].contains(&key.as_str()) {
                scan(value, path, None)?;
            }
            continue;
        }
        for (name, property) in value.as_object().into_iter().flatten() {
            path.push(name.clone());
            let walked = scan(property, path, found.as_deref_mut());
            path.pop();
            walked?;
        }
    }
    Ok(())
}

/// An argument as text in a header; nothing when it has no header.
pub fn header_text(argument: &Value) -> Option<String> {
    match argument {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => {
            let number = number.as_f64().filter(|n| n.is_finite())?;
            let whole = number.fract() == 0.0;
            if whole && number.abs() > 9_007_199_254_740_991.0 {
                return None;
            }
            // Adding zero turns a negative zero into a positive one.
            Some((number + 0.0).to_string())
        }
        _ => None,
    }
}

/// The value at a path of arguments; null counts as absent.
pub fn argument<'a>(arguments: &'a Value, path: &[String]) -> Option<&'a Value> {
    let found = path.iter().try_fold(arguments, |at, key| at.get(key))?;
    (!found.is_null()).then_some(found)
}

/// The headers `Mcp-Param-…` of a call.
pub fn param_headers(annotations: &[Annotation], arguments: &Value) -> Vec<(String, String)> {
    let header = |one: &Annotation| {
        let text = header_text(argument(arguments, &one.path)?)?;
        Some((format!("Mcp-Param-{}", one.name), encode(&text)))
    };
    annotations.iter().filter_map(header).collect()
}

/// The headers that repeat what stands in a request: version, method, name.
pub fn standard_headers(message: &Value) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut header = |name: &str, value: String| headers.push((name.to_owned(), value));
    let version = message["params"]["_meta"][meta::VERSION].as_str();
    header(
        "MCP-Protocol-Version",
        version.unwrap_or(VERSION).to_owned(),
    );
    if message.get("id").is_none() {
        return headers;
    }
    let method = message["method"].as_str().unwrap_or_default();
    header("Mcp-Method", method.to_owned());
    let member = name_member(method).unwrap_or_default();
    if let Some(name) = message["params"][member].as_str() {
        header("Mcp-Name", encode(name));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_carry_any_text() {
        for (text, header) in [
            ("us-west1", "us-west1"),
            ("us west 1", "us west 1"),
            ("", "=?base64??="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("é", "=?base64?w6k=?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
            ("=?base64?YQ==", "=?base64?YQ=="),
        ] {
            assert_eq!(encode(text), header);
            assert_eq!(decode(header).as_deref(), Some(text));
        }
        assert_eq!(decode("  echo\t").as_deref(), Some("echo"));
        for wrong in [
            "=?base64?SGVsbG8?=",
            "=?base64?SGVs!!!bG8=?=",
            "=?base64?/w==?=",
        ] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_and_booleans_are_written_the_short_way() {
        for (value, text) in [
            ("42", Some("42")),
            ("-0", Some("0")),
            ("1e2", Some("100")),
            ("true", Some("true")),
            ("9007199254740993", None),
            ("[1]", None),
        ] {
            let value = serde_json::from_str(value).unwrap();
            assert_eq!(header_text(&value).as_deref(), text, "{value}");
        }
    }

    #[test]
    fn annotations_are_found_or_refused() {
        let good = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "place": {"type": "object", "properties": {"floor": {"type": "integer", "x-mcp-header": "Floor"}}},
        }});
        let found = annotations(&good).unwrap();
        assert_eq!(found[1].path, ["place", "floor"]);
        let arguments = json!({"region": "ü", "place": {"floor": 3}});
        assert_eq!(
            param_headers(&found, &arguments),
            [
                ("Mcp-Param-Region".to_owned(), "=?base64?w7w=?=".to_owned()),
                ("Mcp-Param-Floor".to_owned(), "3".to_owned())
            ]
        );
        let one = |property: Value| json!({"type": "object", "properties": {"a": property}});
        for bad in [
            one(json!({"type": "string", "x-mcp-header": ""})),
            one(json!({"type": "string", "x-mcp-header": 1})),
            one(json!({"type": "string", "x-mcp-header": "a b"})),
            one(json!({"type": "number", "x-mcp-header": "A"})),
            one(json!({"type": ["string"], "x-mcp-header": "A"})),
            one(json!({"x-mcp-header": "A"})),
            one(json!({"type": "array", "items": {"type": "string", "x-mcp-header": "A"}})),
            json!({"x-mcp-header": "A", "type": "string"}),
            json!({"$defs": {"x": {"type": "string", "x-mcp-header": "A"}}}),
            json!({"allOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]}),
            json!({"properties": {
                "a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"},
            }}),
        ] {
            assert!(annotations(&bad).is_err(), "{bad}");
        }
    }
}

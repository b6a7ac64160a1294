//! What a scenario asks of a client.

use anyhow::{Context, Result};
use rmcp::ClientLifecycleMode;
use rmcp::model::{CallToolRequestParams, JsonObject, ProtocolVersion, Tool};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the harness asks for, beside the server's URL.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The version of the protocol that it is about.
    pub version: ProtocolVersion,
    /// What a person would have configured.
    pub context: Configured,
}

/// What a person would have configured.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configured {
    /// Calls to make, instead of one of each tool.
    #[serde(default, alias = "toolCalls")]
    tool_calls: Vec<Call>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Call {
    name: String,
    arguments: Option<JsonObject>,
}

// === impl Scenario ===

impl Scenario {
    /// What the harness says in the environment.
    ///
    /// # Errors
    /// When it names no scenario, or says what cannot be read.
    pub fn from_environment() -> Result<Self> {
        let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION");
        let version: Option<ProtocolVersion> = match version {
            Ok(version) => Some(serde_json::from_value(Value::String(version))?),
            Err(_) => None,
        };
        let context = std::env::var("MCP_CONFORMANCE_CONTEXT");
        Ok(Self {
            name: std::env::var("MCP_CONFORMANCE_SCENARIO").context("no scenario was named")?,
            version: version.unwrap_or(ProtocolVersion::V_2025_11_25),
            context: match context {
                Ok(context) => serde_json::from_str(&context)?,
                Err(_) => Configured::default(),
            },
        })
    }

    pub(super) fn lifecycle(&self) -> ClientLifecycleMode {
        // The server of this one announces the modern era and then speaks the legacy one.
        let pretends = self.name == "json-schema-ref-no-deref";
        if pretends || self.version.as_str() < ProtocolVersion::V_2026_07_28.as_str() {
            ClientLifecycleMode::Initialize
        } else {
            ClientLifecycleMode::Discover {
                preferred_versions: vec![self.version.clone()],
            }
        }
    }

    /// The calls that were configured, or else one of each tool.
    pub(super) fn calls(&self, tools: &[Tool]) -> Vec<CallToolRequestParams> {
        if self.context.tool_calls.is_empty() {
            return tools
                .iter()
                .map(|tool| {
                    let arguments = echo(tool, tools).unwrap_or_else(|| required(tool));
                    CallToolRequestParams::new(tool.name.clone()).with_arguments(arguments)
                })
                .collect();
        }
        let configured = self.context.tool_calls.iter().cloned();
        configured
            .map(|call| {
                CallToolRequestParams::new(call.name)
                    .with_arguments(call.arguments.unwrap_or_default())
            })
            .collect()
    }
}

/// For the one tool that wants to hear what the client understood of another tool's schema.
fn echo(tool: &Tool, tools: &[Tool]) -> Option<JsonObject> {
    let other = tools.iter().find(|other| other.name != tool.name)?;
    let schema = Value::Object((*other.input_schema).clone());
    let wants = tool.name == "json_schema_echo";
    wants.then(|| JsonObject::from_iter([("schema".to_owned(), schema)]))
}

/// A value for every argument that a tool requires.
fn required(tool: &Tool) -> JsonObject {
    let names = tool.input_schema.get("required").and_then(Value::as_array);
    let properties = tool.input_schema.get("properties").cloned();
    let properties = properties.unwrap_or_default();
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| (name.to_owned(), a_value_for(&properties[name])))
        .collect()
}

/// A value that fits a schema: its default if it has one.
pub(super) fn a_value_for(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    match schema["type"].as_str() {
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => schema["enum"].get(0).cloned().unwrap_or(json!("test")),
    }
}

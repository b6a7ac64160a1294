//! The sample server: files of one folder, and three harmless stand-ins for an orchestrator's tools.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use provost_admin::{Failure, Outcome};
use rmcp::ServerHandler;
use rmcp::ServiceExt;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

/// Name, description and string arguments of each tool.
const TOOLS: [(&str, &str, &[&str]); 9] = [
    ("list_directory", "List a folder", &["path"]),
    ("read_text_file", "Read a text file", &["path"]),
    ("write_file", "Write a file", &["path", "content"]),
    (
        "edit_file",
        "Replace text in a file",
        &["path", "old", "new"],
    ),
    ("move_file", "Move a file", &["source", "destination"]),
    ("create_directory", "Make a folder", &["path"]),
    (
        "spawn",
        "Spawn a new instance with role and context",
        &["role", "context"],
    ),
    (
        "distributeWork",
        "Distribute tasks across multiple managers",
        &["task"],
    ),
    (
        "executeParallel",
        "Execute multiple tasks in parallel",
        &["task"],
    ),
];

struct Sample {
    root: PathBuf,
}

/// Serves a folder on stdin and stdout until stdin ends.
///
/// # Errors
///
/// There is no such folder, or the streams broke.
pub async fn serve(root: &Path) -> Outcome {
    let fail = |error: &dyn std::fmt::Display| {
        Failure::internal("the sample server stopped").because(error)
    };
    let root = std::fs::canonicalize(root).map_err(|error| {
        Failure::not_found(format!("there is no folder `{}`", root.display())).because(error)
    })?;
    let transport = (tokio::io::stdin(), tokio::io::stdout());
    let running = Sample { root }
        .serve(transport)
        .await
        .map_err(|error| fail(&error))?;
    running.waiting().await.map_err(|error| fail(&error))?;
    Ok(())
}

// === impl Sample ===

impl ServerHandler for Sample {
    fn get_info(&self) -> ServerConfig {
        let name = Implementation::new("provost-sample-server", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(name)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            TOOLS
                .iter()
                .map(|(name, description, arguments)| tool(name, description, arguments))
                .collect(),
        ))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = |result: Result<String, String>| match result {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(text) => CallToolResult::error(vec![ContentBlock::text(text)]),
        };
        Ok(text(self.answer(&call.name, &call.arguments.unwrap_or_default())).into())
    }
}

impl Sample {
    fn answer(&self, tool: &str, arguments: &JsonObject) -> Result<String, String> {
        let argument = |name: &str| {
            arguments
                .get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| format!("argument {name} is missing"))
        };
        let words = |error: std::io::Error| error.to_string();
        match tool {
            "list_directory" => {
                let entries = std::fs::read_dir(self.inside(argument("path")?)?).map_err(words)?;
                let mut names: Vec<_> = entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect();
                names.sort();
                Ok(names.join("\n"))
            }
            "read_text_file" => {
                std::fs::read_to_string(self.inside(argument("path")?)?).map_err(words)
            }
            "write_file" => {
                let path = argument("path")?;
                std::fs::write(self.inside(path)?, argument("content")?).map_err(words)?;
                Ok(format!("wrote {path}"))
            }
            "edit_file" => {
                let path = self.inside(argument("path")?)?;
                let text = std::fs::read_to_string(&path).map_err(words)?;
                std::fs::write(path, text.replace(argument("old")?, argument("new")?))
                    .map_err(words)?;
                Ok("edited".into())
            }
            "move_file" => {
                let (from, to) = (
                    self.inside(argument("source")?)?,
                    self.inside(argument("destination")?)?,
                );
                std::fs::rename(from, to).map_err(words)?;
                Ok("moved".into())
            }
            "create_directory" => {
                std::fs::create_dir_all(self.inside(argument("path")?)?).map_err(words)?;
                Ok("made".into())
            }
            "spawn" => Ok("an instance would have been started".into()),
            "distributeWork" | "executeParallel" => {
                Ok("the tasks would have been handed out".into())
            }
            other => Err(format!("there is no tool {other}")),
        }
    }

    /// A path inside the folder; the server has a border of its own, as every server should.
    fn inside(&self, path: &str) -> Result<PathBuf, String> {
        let full = self.root.join(path);
        let climbs = Path::new(path)
            .components()
            .any(|part| matches!(part, Component::ParentDir));
        if climbs || !full.starts_with(&self.root) {
            return Err(format!("{path} is outside of the folder"));
        }
        Ok(full)
    }
}

fn tool(name: &'static str, description: &'static str, arguments: &[&str]) -> Tool {
    let properties: JsonObject = arguments
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    let mut schema = JsonObject::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), Value::Object(properties));
    schema.insert("required".into(), json!(arguments));
    Tool::new(name, description, Arc::new(schema))
}

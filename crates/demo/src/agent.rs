//! The agent of the demonstration: a real MCP client library over a child process.

use std::process::Stdio;
use std::time::Duration;

use provost_admin::{Failure, Outcome};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, JsonObject};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::TokioChildProcess;
use serde_json::Value;
use tokio::process::Command;

/// How long the server behind a bridge may take to start, and a call to be answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connected agent.
pub(super) struct Agent(RunningService<RoleClient, ()>);

/// What came of a call.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    /// Present when Provost refused.
    pub(super) refusal: Option<Refused>,
}

/// Why Provost refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) rule: String,
    pub(super) retry_after_ms: Option<u64>,
}

// === impl Agent ===

impl Agent {
    /// Starts a bridge and initialises.
    pub(super) async fn start(command: Command) -> Outcome<Self> {
        let fail = |error: &dyn std::fmt::Display| {
            Failure::unavailable("the agent could not connect").because(error)
        };
        let (process, _) = TokioChildProcess::builder(command)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| fail(&error))?;
        let begun = tokio::time::timeout(PATIENCE, ().serve(process))
            .await
            .map_err(|error| fail(&error))?;
        Ok(Agent(begun.map_err(|error| fail(&error))?))
    }

    /// The names of the tools the agent sees.
    pub(super) async fn tools(&self) -> Outcome<Vec<String>> {
        let tools = self.0.list_all_tools().await.map_err(|error| {
            Failure::unavailable("the tools could not be listed").because(error)
        })?;
        Ok(tools
            .into_iter()
            .map(|tool| tool.name.into_owned())
            .collect())
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Outcome<Answer> {
        let fail = |error: &dyn std::fmt::Display| {
            Failure::unavailable(format!("calling `{tool}` failed")).because(error)
        };
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            _ => JsonObject::new(),
        };
        let call = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let answered = tokio::time::timeout(PATIENCE, self.0.call_tool(call))
            .await
            .map_err(|error| fail(&error))?;
        Ok(answer(answered.map_err(|error| fail(&error))?))
    }

    /// Ends the bridge and waits for it.
    pub(super) async fn end(self) {
        // The demonstration goes on; a bridge that does not end is killed by its transport.
        drop(self.0.cancel().await);
    }
}

fn answer(result: CallToolResult) -> Answer {
    let text: Vec<_> = result
        .content
        .iter()
        .filter_map(ContentBlock::as_text)
        .map(|text| text.text.as_str())
        .collect();
    let text = text.join("\n");
    let decision = result
        .meta
        .as_ref()
        .and_then(|meta| meta.0.get("dev.provost/decision"));
    let refusal = decision.map(|decision| Refused {
        message: text.trim_start_matches("[POLICY DENIED] ").to_owned(),
        rule: decision
            .get("rule")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        retry_after_ms: decision.get("retryAfterMs").and_then(Value::as_u64),
    });
    Answer { text, refusal }
}

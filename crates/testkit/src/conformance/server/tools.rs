//! Tools: what each of them does.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use super::answers::{failed, said, typed};
use super::resources::PIXEL;
use super::{Change, ConformanceServer, is_modern, questions, rounds, tasks};

/// A WAV file of no length.
const SILENCE: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// The pause that the scenarios want between two notifications.
const PAUSE: Duration = Duration::from_millis(50);

impl ConformanceServer {
    /// Calls a tool.
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(answer) = rounds::call(&request, &context, &self.seal) {
            return answer;
        }
        if let Some(answer) = tasks::call(&request, &context, &self.tasks).await {
            return answer;
        }
        let argument = |name: &str| {
            let arguments = request.arguments.as_ref();
            arguments
                .and_then(|all| all.get(name)?.as_str())
                .unwrap_or_default()
        };
        Ok(match request.name.as_ref() {
            "test_simple_text" => said("This is a simple text response for testing."),
            "test_image_content" => content(vec![image()]),
            "test_audio_content" => content(vec![
                json!({"type": "audio", "data": SILENCE, "mimeType": "audio/wav"}),
            ]),
            "test_embedded_resource" => content(vec![resource(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content.",
            )]),
            "test_multiple_content_types" => content(vec![
                json!({"type": "text", "text": "Multiple content types test:"}),
                image(),
                resource(
                    "test://mixed-content-resource",
                    "application/json",
                    r#"{"test":"data","value":123}"#,
                ),
            ]),
            "test_error_handling" => failed("This tool intentionally returns an error for testing"),
            "test_tool_with_logging" => self.log_thrice(&context).await,
            "test_tool_with_progress" => report_progress(&context).await,
            "test_reconnection" => {
                tokio::time::sleep(PAUSE * 2).await;
                said("Reconnection test completed successfully.")
            }
            "test_sampling" => questions::sample(&context.peer, argument("prompt")).await,
            "test_elicitation" => questions::elicit(&context.peer, argument("message")).await,
            "test_elicitation_sep1034_defaults" => {
                questions::elicit_with_defaults(&context.peer).await
            }
            "test_elicitation_sep1330_enums" => questions::elicit_choices(&context.peer).await,
            "json_schema_2020_12_tool" => said(&format!("Hello, {}!", argument("name"))),
            "test_custom_headers" => said(&format!("The region is {}.", argument("region"))),
            "test_missing_capability" => return sampling_or_nothing(&context),
            "test_logging_tool" => {
                self.log("A word of the logging tool", &context).await;
                said("Done.")
            }
            "test_streaming_elicitation" => {
                let question = rounds::form("What is your name?", "name");
                match rounds::field(request.input_responses.as_ref(), "user_name", "name") {
                    Some(name) => said(&format!("Hello, {name}!")),
                    None => rounds::ask(json!({"user_name": question}), None).into(),
                }
            }
            "test_trigger_tool_change" => self.announce(Change::Tools, &context).await,
            "test_trigger_prompt_change" => self.announce(Change::Prompts, &context).await,
            unknown => {
                let message = format!("unknown tool `{unknown}`");
                return Err(ErrorData::invalid_params(message, None));
            }
        })
    }

    async fn log_thrice(&self, context: &RequestContext<RoleServer>) -> CallToolResponse {
        self.log("Tool execution started", context).await;
        tokio::time::sleep(PAUSE).await;
        self.log("Tool processing data", context).await;
        tokio::time::sleep(PAUSE).await;
        self.log("Tool execution completed", context).await;
        said("Logged three times.")
    }

    async fn log(&self, message: &str, context: &RequestContext<RoleServer>) {
        if self.wants(LoggingLevel::Info, context) {
            let entry = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message));
            // A client that left is no reason to stop.
            drop(context.peer.notify_logging_message(entry).await);
        }
    }

    /// Says that a list has changed: to those who listen, and in the legacy era to the session.
    async fn announce(
        &self,
        change: Change,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResponse {
        // Nobody may be listening.
        drop(self.changes.send(change));
        if !is_modern(context) {
            drop(match change {
                Change::Tools => context.peer.notify_tool_list_changed().await,
                Change::Prompts => context.peer.notify_prompt_list_changed().await,
            });
        }
        said("Announced.")
    }
}

async fn report_progress(context: &RequestContext<RoleServer>) -> CallToolResponse {
    for progress in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let report = ProgressNotificationParam::new(token, progress).with_total(100.0);
            drop(context.peer.notify_progress(report).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
    said("Reported progress.")
}

fn sampling_or_nothing(
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let capabilities = context.client_capabilities().unwrap_or_default();
    if capabilities.sampling.is_some() {
        return Ok(said("This client can sample."));
    }
    let needed = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(needed))
}

fn image() -> Value {
    json!({"type": "image", "data": PIXEL, "mimeType": "image/png"})
}

fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": text}})
}

fn content(blocks: Vec<Value>) -> CallToolResponse {
    CallToolResponse::Complete(typed(json!({"resultType": "complete", "content": blocks})))
}

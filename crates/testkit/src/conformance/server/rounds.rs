//! Multi round-trips of the modern era: the server answers with questions, and the client calls again with answers.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, InputRequiredResult,
    InputResponses, RequestStateCodec, SealOptions,
};
use rmcp::{ErrorData, RoleServer, service::RequestContext};
use serde_json::{Value, json};

use super::answers::{said, typed};

/// Answers a call of one of the tools named `test_input_required_result_…`; none when it is another tool.
pub(super) fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    seal: &RequestStateCodec,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let answers = request.input_responses.as_ref();
    let tool = request.name.strip_prefix("test_input_required_result_")?;
    let stateful = Stateful { request, seal };
    Some(match tool {
        "elicitation" => Ok(match field(answers, "user_name", "name") {
            Some(name) => said(&format!("Hello, {name}!")),
            None => ask(
                json!({"user_name": form("What is your name?", "name")}),
                None,
            )
            .into(),
        }),
        "sampling" => Ok(match answer(answers, "capital_question") {
            Some(answer) => said(&format!("The model said: {}", answer["content"]["text"])),
            None => {
                let question = sampling("What is the capital of France?", 100);
                ask(json!({"capital_question": question}), None).into()
            }
        }),
        "list_roots" => Ok(match answer(answers, "client_roots") {
            Some(answer) => said(&format!("The roots are: {}", answer["roots"])),
            None => ask(json!({"client_roots": roots()}), None).into(),
        }),
        "request_state" | "tampered_state" => stateful.confirm(),
        "multiple_inputs" => stateful.three_at_once(),
        "multi_round" => stateful.two_in_turn(),
        "capabilities" => Ok(within(
            &context.client_capabilities().unwrap_or_default(),
            answers,
        )),
        _ => return None,
    })
}

/// Only questions that the client can answer.
fn within(capabilities: &ClientCapabilities, answers: Option<&InputResponses>) -> CallToolResponse {
    if answers.is_some_and(|answers| !answers.is_empty()) {
        return said("Thank you.");
    }
    let mut questions = json!({});
    if capabilities.sampling.is_some() {
        questions["model"] = sampling("Say a word", 10);
    }
    if capabilities.elicitation.is_some() {
        questions["person"] = form("Say a word", "word");
    }
    ask(questions, None).into()
}

// === impl Stateful ===

/// Tools that keep their state with the client, sealed and bound to the tool.
struct Stateful<'a> {
    request: &'a CallToolRequestParams,
    seal: &'a RequestStateCodec,
}

impl Stateful<'_> {
    fn confirm(&self) -> Result<CallToolResponse, ErrorData> {
        Ok(match self.opened()?.as_deref() {
            Some(_) if self.answered("confirm") => said("state-ok"),
            Some(_) | None => {
                let question = json!({
                    "method": "elicitation/create",
                    "params": {"message": "Please confirm", "requestedSchema": {
                        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}}
                });
                self.ask(json!({"confirm": question}), "asked")
            }
        })
    }

    fn three_at_once(&self) -> Result<CallToolResponse, ErrorData> {
        let complete = ["user_name", "greeting", "client_roots"]
            .into_iter()
            .all(|key| self.answered(key));
        Ok(match self.opened()? {
            Some(_) if complete => said("All three questions were answered."),
            Some(_) | None => self.ask(
                json!({
                    "user_name": form("What is your name?", "name"),
                    "greeting": sampling("Generate a greeting", 50),
                    "client_roots": roots(),
                }),
                "asked",
            ),
        })
    }

    fn two_in_turn(&self) -> Result<CallToolResponse, ErrorData> {
        Ok(match self.opened()?.as_deref() {
            Some("first") if self.answered("step1") => {
                let question = form("Step 2: What is your favorite color?", "color");
                self.ask(json!({"step2": question}), "second")
            }
            Some("second") if self.answered("step2") => said("Both questions were answered."),
            Some(_) | None => self.ask(
                json!({"step1": form("Step 1: What is your name?", "name")}),
                "first",
            ),
        })
    }

    fn answered(&self, key: &str) -> bool {
        answer(self.request.input_responses.as_ref(), key).is_some()
    }

    /// The state that came back; an error when somebody changed it.
    fn opened(&self) -> Result<Option<String>, ErrorData> {
        let Some(state) = &self.request.request_state else {
            return Ok(None);
        };
        let tool = self.request.name.as_bytes();
        match self.seal.open_with(state, tool) {
            Ok(payload) => Ok(Some(String::from_utf8_lossy(&payload).into_owned())),
            Err(_) => Err(ErrorData::invalid_params(
                "the request state is not ours",
                None,
            )),
        }
    }

    fn ask(&self, questions: Value, state: &str) -> CallToolResponse {
        let bound = SealOptions::new().associated_data(self.request.name.as_bytes());
        let sealed = self.seal.seal_with(state.as_bytes(), &bound);
        ask(questions, Some(sealed)).into()
    }
}

// === questions and answers ===

/// A result that asks.
pub(super) fn ask(questions: Value, state: Option<String>) -> InputRequiredResult {
    let mut result = json!({"resultType": "input_required", "inputRequests": questions});
    if let Some(state) = state {
        result["requestState"] = Value::String(state);
    }
    typed(result)
}

/// Asks a person for one text.
pub(super) fn form(message: &str, field: &str) -> Value {
    json!({
        "method": "elicitation/create",
        "params": {"message": message, "requestedSchema": {
            "type": "object", "properties": {field: {"type": "string"}}, "required": [field]}}
    })
}

/// Asks the client's model.
pub(super) fn sampling(text: &str, tokens: u32) -> Value {
    json!({
        "method": "sampling/createMessage",
        "params": {"maxTokens": tokens, "messages": [
            {"role": "user", "content": {"type": "text", "text": text}}]}
    })
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

/// The text that a person gave for a field of a form.
pub(super) fn field(answers: Option<&InputResponses>, key: &str, field: &str) -> Option<String> {
    let answer = answer(answers, key)?;
    Some(answer["content"][field].as_str()?.to_owned())
}

/// The answer to a question, if it looks like one.
fn answer<'a>(answers: Option<&'a InputResponses>, key: &str) -> Option<&'a Value> {
    answers?.get(key).filter(|answer| answer.is_object())
}

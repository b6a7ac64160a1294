//! Questions of the legacy era: requests that the server sends while it works on a call.

use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, ElicitResult};
use rmcp::service::{Peer, ServiceError};
use serde_json::{Value, json};

use super::answers::{failed, said, typed};

/// Asks the client's model.
pub(super) async fn sample(peer: &Peer<RoleServer>, prompt: &str) -> CallToolResponse {
    let request = json!({
        "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
        "maxTokens": 100,
    });
    match peer.create_message(typed(request)).await {
        Ok(result) => {
            let text = result
                .message
                .content
                .first()
                .and_then(|block| block.as_text());
            let text = text.map(|text| text.text.as_str()).unwrap_or_default();
            said(&format!("LLM response: {text}"))
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// Asks the person behind the client for a name and an address.
pub(super) async fn elicit(peer: &Peer<RoleServer>, message: &str) -> CallToolResponse {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    });
    told("User response", ask(peer, message, schema).await)
}

/// Asks with a default for every kind of value.
pub(super) async fn elicit_with_defaults(peer: &Peer<RoleServer>) -> CallToolResponse {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true},
        },
    });
    let answer = ask(peer, "Please look at these values", schema).await;
    told("Elicitation completed", answer)
}

/// Asks for choices, in every way that a choice is written.
pub(super) async fn elicit_choices(peer: &Peer<RoleServer>) -> CallToolResponse {
    let options = json!(["option1", "option2", "option3"]);
    let titled = |word: &str| {
        let numbered = ["First", "Second", "Third"].into_iter().zip(1..);
        let choice =
            |(nth, n)| json!({"const": format!("value{n}"), "title": format!("{nth} {word}")});
        Value::Array(numbered.map(choice).collect())
    };
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {"type": "string", "oneOf": titled("Option")},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
        },
    });
    told(
        "Elicitation completed",
        ask(peer, "Please choose", schema).await,
    )
}

async fn ask(
    peer: &Peer<RoleServer>,
    message: &str,
    schema: Value,
) -> Result<ElicitResult, ServiceError> {
    let request = json!({"mode": "form", "message": message, "requestedSchema": schema});
    peer.create_elicitation(typed(request)).await
}

fn told(what: &str, answer: Result<ElicitResult, ServiceError>) -> CallToolResponse {
    match answer {
        Ok(answer) => {
            let answer = serde_json::to_value(answer).unwrap_or_default();
            said(&format!(
                "{what}: action={}, content={}",
                answer["action"], answer["content"]
            ))
        }
        Err(error) => failed(&error.to_string()),
    }
}

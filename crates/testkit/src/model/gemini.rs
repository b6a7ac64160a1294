//! The Gemini API.

use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, Said, Tool, events};

/// The model and the way of the answer stand in the path.
pub(super) fn read(body: &Value, path: &str) -> Conversation {
    let (model, action) = path.rsplit_once(':').unwrap_or((path, ""));
    let contents = body["contents"].as_array().into_iter().flatten();
    let users = contents.filter(|content| content["role"] != "model");
    let tools = body["tools"].as_array().into_iter().flatten();
    let functions = tools.flat_map(|tool| tool["functionDeclarations"].as_array());
    Conversation {
        model: model.rsplit('/').next().unwrap_or_default().to_owned(),
        streamed: action == "streamGenerateContent",
        said: users
            .flat_map(|content| content["parts"].as_array())
            .flatten()
            .filter_map(said)
            .collect(),
        offered: functions
            .flatten()
            .filter_map(|function| Tool::named(&function["name"]))
            .collect(),
    }
}

fn said(part: &Value) -> Option<Said> {
    if let Some(text) = part["text"].as_str() {
        return Some(Said::User(text.to_owned()));
    }
    let response = part.get("functionResponse")?.get("response")?;
    let text = match &response["output"] {
        Value::String(text) => text.clone(),
        _ => response.to_string(),
    };
    Some(Said::Tool(text))
}

pub(super) fn write(answer: &Answer, conversation: &Conversation) -> String {
    let mut parts = Vec::new();
    if !answer.text.is_empty() || answer.call.is_none() {
        parts.push(json!({"text": answer.text}));
    }
    if let Some(call) = &answer.call {
        let id = format!("call_{}", answer.number);
        let (name, arguments) = (&call.tool.name, &call.arguments);
        parts.push(json!({"functionCall": {"id": id, "name": name, "args": arguments}}));
    }
    let response = json!({
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": parts}}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": conversation.model,
    });
    if conversation.streamed {
        return events(&[response]);
    }
    response.to_string()
}

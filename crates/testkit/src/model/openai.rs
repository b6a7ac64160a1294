//! The OpenAI Responses API.

use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, Said, Tool, events, text, texts};

pub(super) fn read(body: &Value) -> Conversation {
    let said = match &body["input"] {
        Value::Array(items) => items.iter().flat_map(said).collect(),
        other => vec![Said::User(text(other))],
    };
    let tools = body["tools"].as_array().into_iter().flatten();
    Conversation {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        streamed: body["stream"] == true,
        said,
        offered: tools.flat_map(offered).collect(),
    }
}

fn said(item: &Value) -> Vec<Said> {
    let kind = item["type"].as_str().unwrap_or("message");
    if kind.ends_with("_call_output") {
        return vec![Said::Tool(text(&item["output"]))];
    }
    if kind != "message" || item["role"] != "user" {
        return Vec::new();
    }
    texts(&item["content"])
        .into_iter()
        .map(Said::User)
        .collect()
}

/// A function, or all functions of a namespace.
fn offered(tool: &Value) -> Vec<Tool> {
    if tool["type"] != "namespace" {
        return Tool::named(&tool["name"]).into_iter().collect();
    }
    let namespace = tool["name"].as_str().map(str::to_owned);
    let inside = tool["tools"].as_array().into_iter().flatten();
    inside
        .filter_map(|tool| {
            Some(Tool {
                namespace: namespace.clone(),
                ..Tool::named(&tool["name"])?
            })
        })
        .collect()
}

pub(super) fn write(answer: &Answer, conversation: &Conversation) -> String {
    let number = answer.number;
    let mut items = Vec::new();
    if !answer.text.is_empty() || answer.call.is_none() {
        let content = json!([{"type": "output_text", "text": answer.text, "annotations": []}]);
        items.push(
            json!({"type": "message", "id": format!("msg_{number}"), "role": "assistant",
            "status": "completed", "content": content}),
        );
    }
    if let Some(call) = &answer.call {
        let mut item = json!({"type": "function_call", "id": format!("fc_{number}"),
            "call_id": format!("call_{number}"), "name": call.tool.name,
            "arguments": call.arguments.to_string(), "status": "completed"});
        if let Some(namespace) = &call.tool.namespace {
            item["namespace"] = json!(namespace);
        }
        items.push(item);
    }
    let mut response = json!({
        "id": format!("resp_{number}"), "object": "response", "status": "completed",
        "model": conversation.model, "output": items,
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15},
    });
    if !conversation.streamed {
        return response.to_string();
    }
    let completed = json!({"type": "response.completed", "response": response});
    response["status"] = json!("in_progress");
    response["output"] = json!([]);
    let mut all = vec![json!({"type": "response.created", "response": response})];
    for (index, item) in items.into_iter().enumerate() {
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        if item["type"] == "message" {
            begun["content"] = json!([]);
        }
        all.push(
            json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
        );
        if item["type"] == "message" {
            all.push(
                json!({"type": "response.output_text.delta", "output_index": index,
                "item_id": item["id"], "content_index": 0, "delta": answer.text}),
            );
        }
        all.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    all.push(completed);
    events(&all)
}

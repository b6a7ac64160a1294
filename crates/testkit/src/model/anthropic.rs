//! The Anthropic Messages API.

use serde_json::{Value, json};

use super::conversation::{Answer, Conversation, Said, Tool, events, text};

pub(super) fn read(body: &Value) -> Conversation {
    let messages = body["messages"].as_array().into_iter().flatten();
    let users = messages.filter(|message| message["role"] == "user");
    let tools = body["tools"].as_array().into_iter().flatten();
    Conversation {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        streamed: body["stream"] == true,
        said: users
            .flat_map(|message| said(&message["content"]))
            .collect(),
        offered: tools
            .filter_map(|tool| Tool::named(&tool["name"]))
            .collect(),
    }
}

fn said(content: &Value) -> Vec<Said> {
    let Value::Array(blocks) = content else {
        return vec![Said::User(text(content))];
    };
    let blocks = blocks
        .iter()
        .filter_map(|block| match block["type"].as_str()? {
            "text" => Some(Said::User(block["text"].as_str()?.to_owned())),
            "tool_result" => Some(Said::Tool(text(&block["content"]))),
            _ => None,
        });
    blocks.collect()
}

pub(super) fn write(answer: &Answer, conversation: &Conversation) -> String {
    let mut blocks = Vec::new();
    if !answer.text.is_empty() {
        blocks.push(json!({"type": "text", "text": answer.text}));
    }
    if let Some(call) = &answer.call {
        let id = format!("toolu_{}", answer.number);
        let (name, input) = (&call.tool.name, &call.arguments);
        blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    let stop = match &answer.call {
        Some(_) => "tool_use",
        None => "end_turn",
    };
    let mut message = json!({
        "id": format!("msg_{}", answer.number), "type": "message", "role": "assistant",
        "model": conversation.model, "content": blocks, "stop_reason": stop, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    });
    if !conversation.streamed {
        return message.to_string();
    }
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    let mut all = vec![json!({"type": "message_start", "message": message})];
    for (index, mut block) in blocks.into_iter().enumerate() {
        let delta = if block["type"] == "text" {
            json!({"type": "text_delta", "text": block["text"].take()})
        } else {
            let input = block["input"].take().to_string();
            block["input"] = json!({});
            json!({"type": "input_json_delta", "partial_json": input})
        };
        if block["type"] == "text" {
            block["text"] = json!("");
        }
        all.extend([
            json!({"type": "content_block_start", "index": index, "content_block": block}),
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
            json!({"type": "content_block_stop", "index": index}),
        ]);
    }
    all.extend([
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
            "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ]);
    events(&all)
}

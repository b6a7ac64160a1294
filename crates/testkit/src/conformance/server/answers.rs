//! Answers, written as the protocol says them.

use rmcp::model::CallToolResponse;

/// What the JSON means to rmcp.
pub(super) fn typed<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).expect("JSON that the protocol allows")
}

pub(super) fn said(text: &str) -> CallToolResponse {
    let content = serde_json::json!([{"type": "text", "text": text}]);
    let result = serde_json::json!({"resultType": "complete", "content": content});
    CallToolResponse::Complete(typed(result))
}

pub(super) fn failed(text: &str) -> CallToolResponse {
    let content = serde_json::json!([{"type": "text", "text": text}]);
    let result = serde_json::json!({"resultType": "complete", "content": content, "isError": true});
    CallToolResponse::Complete(typed(result))
}

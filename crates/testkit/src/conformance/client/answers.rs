//! What the client answers when a server asks: a person who accepts, a model that says one thing, one root.

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ElicitationAction, Implementation, ListRootsResult,
    ProtocolVersion,
};
use rmcp::service::RequestContext;
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};

use super::scenario::a_value_for;

/// The person and the model behind the client.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    /// The revision that a handshake of the legacy era asks for.
    version: ProtocolVersion,
}

impl Answers {
    /// For a scenario about that revision.
    pub(super) fn to(version: &ProtocolVersion) -> Self {
        let latest = ProtocolVersion::V_2025_11_25;
        let legacy = version.as_str() <= latest.as_str();
        Self {
            version: if legacy { version.clone() } else { latest },
        }
    }
}

impl ClientHandler for Answers {
    fn get_info(&self) -> ClientConfig {
        let capabilities: ClientCapabilities = typed(json!({
            "elicitation": {"form": {}},
            "sampling": {},
            "roots": {},
        }));
        let name = Implementation::new("provost-conformance-client", "1.0.0");
        ClientConfig::new(capabilities, name).with_protocol_version(self.version.clone())
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let schema = serde_json::to_value(request).unwrap_or_default();
        let fields = schema["requestedSchema"]["properties"].as_object();
        let content: serde_json::Map<String, Value> = fields
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), a_value_for(schema)))
            .collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(typed(json!({
            "role": "assistant",
            "content": {"type": "text", "text": "Paris."},
            "model": "none",
            "stopReason": "endTurn",
        })))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(typed(
            json!({"roots": [{"uri": "file:///srv", "name": "srv"}]}),
        ))
    }
}

fn typed<T: serde::de::DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("JSON that the protocol allows")
}

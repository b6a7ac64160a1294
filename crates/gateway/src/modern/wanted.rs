//! What a subscription asked to hear of: nothing else reaches it, whatever the
//! server sends.

use provost_policy::json::Value;

/// The changes that one `subscriptions/listen` asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: Vec<String>,
}

// === impl Wanted ===

impl Wanted {
    /// Reads the params of a request; others than subscriptions want nothing.
    pub(crate) fn of(params: Option<Value<'_>>) -> Self {
        let asked = params.and_then(|params| params.get("notifications"));
        let flag = |name: &str| asked.and_then(|asked| asked.get(name)?.as_bool()) == Some(true);
        let uris = asked.and_then(|asked| asked.get("resourceSubscriptions"));
        let uris = uris.iter().flat_map(|uris| uris.elements());
        Self {
            tools: flag("toolsListChanged"),
            prompts: flag("promptsListChanged"),
            resources: flag("resourcesListChanged"),
            uris: uris
                .filter_map(|uri| uri.as_str().map(|uri| uri.into_owned()))
                .collect(),
        }
    }

    /// Whether a notification was asked for. Others than of changes are sorted
    /// out elsewhere.
    pub(crate) fn hears(&self, method: &str, params: Option<Value<'_>>) -> bool {
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            "notifications/resources/updated" => {
                let uri = params.and_then(|params| params.get("uri")?.as_str());
                // Servers may name a part of what was subscribed to.
                uri.is_some_and(|uri| self.uris.iter().any(|known| is_part(&uri, known)))
            }
            _ => true,
        }
    }
}

/// Whether a resource is the one that was subscribed to, or below it.
pub(crate) fn is_part(uri: &str, known: &str) -> bool {
    let rest = uri.strip_prefix(known);
    let below =
        |rest: &str| rest.is_empty() || rest.starts_with(['/', '#', '?']) || known.ends_with('/');
    !known.is_empty() && rest.is_some_and(below)
}

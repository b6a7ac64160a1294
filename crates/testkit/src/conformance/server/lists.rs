//! What the server lists, written down as the protocol says it.

use rmcp::model::{Prompt, Resource, ResourceTemplate, Tool};
use serde::Deserialize;
use std::sync::LazyLock;

/// `lists.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    tools: Vec<Tool>,
    resources: Vec<Resource>,
    templates: Vec<ResourceTemplate>,
    prompts: Vec<Prompt>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    serde_json::from_str(include_str!("lists.json")).expect("lists that the protocol allows")
});

pub(super) fn tools() -> Vec<Tool> {
    LISTS.tools.clone()
}

pub(super) fn resources() -> Vec<Resource> {
    LISTS.resources.clone()
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    LISTS.templates.clone()
}

pub(super) fn prompts() -> Vec<Prompt> {
    LISTS.prompts.clone()
}

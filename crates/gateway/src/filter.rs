//! What a grant sees of a result: lists without what is hidden from it.

use provost_policy::json::Value;

use crate::directory::Holding;
use crate::relay::Transform;
use crate::session::Session;
use crate::splice::Splice;
use crate::worker::Worker;

/// Tool names remembered for a session; enough for any honest server.
const MOST_TOOLS: usize = 10_000;

/// The replacements that turn an upstream's result into what this grant sees.
pub(crate) fn result(
    worker: &Worker,
    session: &Session,
    holding: &Holding,
    transform: Transform,
    result: Value<'_>,
) -> Vec<Splice> {
    match transform {
        Transform::Plain => Vec::new(),
        Transform::Call => {
            let task = result.get("task").and_then(|task| task.get("taskId"));
            if let Some(task) = task.and_then(Value::as_str) {
                worker.shared.tasks.add(&holding.grant.id.0, &task);
            }
            Vec::new()
        }
        Transform::Initialize => {
            let version = result.get("protocolVersion").and_then(Value::as_str);
            session.state().version = version.map(|version| version.into_owned());
            announces_changes(result).into_iter().collect()
        }
        Transform::Tools => {
            remember_tools(session, result);
            let visible = |tool: Value<'_>| {
                tool.get("name")
                    .and_then(Value::as_str)
                    .is_some_and(|name| holding.lists_tool(&name))
            };
            only(result.get("tools"), visible).into_iter().collect()
        }
        Transform::List(method, member) => {
            let visible = holding.lists_method(method);
            only(result.get(member), |_| visible).into_iter().collect()
        }
        Transform::Tasks => {
            let grant = &holding.grant.id.0;
            let own = |task: Value<'_>| {
                let id = task.get("taskId").and_then(Value::as_str);
                id.is_some_and(|id| worker.shared.tasks.owns(grant, &id))
            };
            only(result.get("tasks"), own).into_iter().collect()
        }
    }
}

/// Keeps the elements for which `stays` holds, each byte for byte.
fn only(list: Option<Value<'_>>, stays: impl Fn(Value<'_>) -> bool) -> Option<Splice> {
    let list = list?;
    let kept: Vec<&str> = list
        .elements()
        .filter(|item| stays(*item))
        .map(Value::raw)
        .collect();
    if kept.len() == list.len() {
        return None;
    }
    Some(Splice {
        at: list.span(),
        with: format!("[{}]", kept.join(",")),
    })
}

fn remember_tools(session: &Session, result: Value<'_>) {
    let Some(tools) = result.get("tools") else {
        return;
    };
    let mut state = session.state();
    let known = state.tools.get_or_insert_default();
    for tool in tools.elements() {
        if let Some(name) = tool.get("name").and_then(Value::as_str)
            && known.len() < MOST_TOOLS
            && !known.contains(name.as_ref())
        {
            known.insert(name.into_owned());
        }
    }
}

/// A policy may change what a list holds, so the agent is told that the list of
/// tools can change, whether or not the upstream ever changes it.
fn announces_changes(result: Value<'_>) -> Option<Splice> {
    let tools = result.get("capabilities")?.get("tools")?;
    match tools.get("listChanged") {
        Some(value) if value.as_bool() == Some(true) => None,
        Some(value) => Some(Splice {
            at: value.span(),
            with: "true".to_owned(),
        }),
        None => {
            let inner = tools.raw().strip_suffix('}')?.trim_end();
            let comma = if tools.is_empty() { "" } else { "," };
            Some(Splice {
                at: tools.span(),
                with: format!("{inner}{comma}\"listChanged\":true}}"),
            })
        }
    }
}

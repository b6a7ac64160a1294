//! What a grant sees of a result: lists without what is hidden from it.

use provost_policy::json::{Folder, Value};
use provost_policy::lengths;
use tracing::warn;

use crate::agent::pending::{Pending, Transform};
use crate::agent::session::Session;
use crate::state::rights::Rights;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::era::Era;
use crate::text::splice::Splice;
use crate::text::{asking, protocol};

/// How long a client may keep a filtered list, in milliseconds.
const LONGEST_KEPT_MS: u64 = 60_000;

/// Tools of one list that are looked at, and tool names remembered for a session;
/// enough for any honest server.
const MOST_TOOLS: usize = 10_000;

/// The replacements that turn an upstream's result into what this grant sees.
pub(crate) fn result(
    worker: &Worker,
    route: &Route,
    rights: &Rights,
    pending: &Pending,
    result: Value<'_>,
) -> Vec<Splice> {
    let session = &route.session;
    let modern = pending.modern.is_some();
    match pending.transform {
        Transform::Plain | Transform::Listen => Vec::new(),
        Transform::Read => kept_private(modern, result),
        Transform::Discover => {
            session.decide(Era::Modern);
            let spoken = |version: Value<'_>| {
                version
                    .as_str()
                    .is_some_and(|version| protocol::is_spoken(&version))
            };
            only(result.get("supportedVersions"), spoken)
                .into_iter()
                .collect()
        }
        Transform::Call => {
            let task = match modern {
                true => asking::created_task(result),
                false => result.get("task"),
            };
            let task = task.and_then(|task| task.get("taskId"));
            if let Some(task) = task.and_then(Value::as_str)
                && !worker.shared.tasks.add(
                    &rights.principal.grant.0,
                    &rights.principal.account,
                    &task,
                )
            {
                let server = &rights.principal.server_name;
                warn!(server.name = %server, bytes = task.len(),
                    "Server `{server}` named a task with an id that is too long; no agent can ask for that task");
            }
            Vec::new()
        }
        Transform::Initialize => {
            let version = result.get("protocolVersion").and_then(Value::as_str);
            if let Some(version) = version {
                session.state().version = Some(version.into_owned());
                session.decide(Era::Legacy);
                route.backend.eras.opened();
            }
            announces_changes(result).into_iter().collect()
        }
        Transform::Tools => {
            // One for the whole list: a name that is too much for it is not shown.
            let mut folder = Folder::default();
            if modern {
                route.backend.eras.learn(result, &mut folder);
            } else {
                remember_tools(session, result, &mut folder);
            }
            // Nobody can call a modern tool whose annotations are invalid.
            let callable = |name: &str| !modern || route.backend.eras.headers(name).is_ok();
            let mut visible = |tool: Value<'_>| {
                tool.get("name")
                    .and_then(Value::as_str)
                    .is_some_and(|name| {
                        lengths::is_tool_name(&name)
                            && rights.lists_tool(&name, &mut folder)
                            && callable(&name)
                    })
            };
            let mut looked_at = 0;
            let visible = |tool: Value<'_>| {
                looked_at += 1;
                looked_at <= MOST_TOOLS && visible(tool)
            };
            let mut splices = kept_private(modern, result);
            splices.extend(only(result.get("tools"), visible));
            splices
        }
        Transform::List(method, member) => {
            let visible = rights.lists_method(method);
            let mut splices = kept_private(modern, result);
            splices.extend(only(result.get(member), |_| visible));
            splices
        }
        Transform::Tasks => {
            let grant = &rights.principal.grant.0;
            let own = |task: Value<'_>| {
                let id = task.get("taskId").and_then(Value::as_str);
                id.is_some_and(|id| worker.shared.tasks.owns(grant, &id))
            };
            only(result.get("tasks"), own).into_iter().collect()
        }
    }
}

/// What one grant may see is nobody else's to keep, and not for long: its policy
/// may change. Only the modern era speaks of caches.
fn kept_private(modern: bool, result: Value<'_>) -> Vec<Splice> {
    let mut splices = Vec::new();
    let complete = |kind: Value<'_>| kind.as_str().as_deref() == Some("complete");
    if !modern || !result.get("resultType").is_none_or(complete) {
        return splices;
    }
    if let Some(scope) = result.get("cacheScope")
        && scope.as_str().as_deref() != Some("private")
    {
        splices.push(Splice::new(scope.span(), "\"private\""));
    }
    if let Some(ttl) = result.get("ttlMs")
        && !ttl
            .raw()
            .parse::<u64>()
            .is_ok_and(|ttl| ttl <= LONGEST_KEPT_MS)
    {
        splices.push(Splice::new(ttl.span(), LONGEST_KEPT_MS.to_string()));
    }
    // Without a word of the server, it is stale at once.
    let missing: String = [("ttlMs", "0"), ("cacheScope", "\"private\"")]
        .into_iter()
        .filter(|(key, _)| result.get(key).is_none())
        .map(|(key, value)| format!("\"{key}\":{value},"))
        .collect();
    if !missing.is_empty() {
        let missing = match result.is_empty() {
            true => missing.trim_end_matches(',').to_owned(),
            false => missing,
        };
        let inside = result.span().start + 1;
        splices.push(Splice::new(inside..inside, missing));
    }
    splices
}

/// Keeps the elements for which `stays` holds, each byte for byte.
fn only(list: Option<Value<'_>>, mut stays: impl FnMut(Value<'_>) -> bool) -> Option<Splice> {
    let list = list?;
    let kept: Vec<&str> = list
        .elements()
        .filter(|item| stays(*item))
        .map(Value::raw)
        .collect();
    if kept.len() == list.len() {
        return None;
    }
    Some(Splice::new(list.span(), format!("[{}]", kept.join(","))))
}

fn remember_tools(session: &Session, result: Value<'_>, folder: &mut Folder) {
    let Some(tools) = result.get("tools") else {
        return;
    };
    let mut state = session.state();
    let known = state.tools.get_or_insert_default();
    for tool in tools.elements().take(MOST_TOOLS) {
        if let Some(name) = tool.get("name").and_then(Value::as_str)
            && known.len() < MOST_TOOLS
            && lengths::is_tool_name(&name)
            && known.insert(&name, folder).is_err()
        {
            return;
        }
    }
}

/// A policy may change what a list holds, so the agent is told that the list of
/// tools can change, whether or not the upstream ever changes it.
fn announces_changes(result: Value<'_>) -> Option<Splice> {
    let tools = result.get("capabilities")?.get("tools")?;
    match tools.get("listChanged") {
        Some(value) if value.as_bool() == Some(true) => None,
        Some(value) => Some(Splice::new(value.span(), "true")),
        None => {
            let inner = tools.raw().strip_suffix('}')?.trim_end();
            let comma = if tools.is_empty() { "" } else { "," };
            Some(Splice::new(
                tools.span(),
                format!("{inner}{comma}\"listChanged\":true}}"),
            ))
        }
    }
}

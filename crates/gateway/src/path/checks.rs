//! What is checked of a request before a policy is asked, because no rule may allow it.

use provost_policy::json::{Folder, Value};
use provost_policy::lengths;
use provost_policy::method::{MethodKind, method_kind};
use provost_policy::{Call, Caller, RuleId};

use super::request::{Agent, Request};
use crate::agent::session::Session;
use crate::message::answer::Failure;
use crate::message::continuation::Continued;
use crate::message::outgoing::Modern;
use crate::stage::Stop;
use crate::state::present::Present;
use crate::state::worker::Worker;
use crate::text::asking::STATE;
use crate::text::brief::brief;
use crate::text::era::Era;
use crate::text::protocol::{self, RequestKind, TaskMethod};
use crate::upstream::Upstream;

/// What no policy allows, where the server is a part of the daemon.
pub(super) fn built_in(
    present: &Present<'_>,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<(), Stop> {
    let Some(Upstream::Builtin(builtin)) = &present.backend.upstream else {
        return Ok(());
    };
    match builtin.refuses(call, caller) {
        None => Ok(()),
        Some((rule, message)) => Err(Stop::denied(rule, message)),
    }
}

/// Two requests with one id cannot be told apart, and a name that only looks
/// like one of the server's tools must not be taken for it anywhere.
pub(super) fn in_order(
    worker: &Worker,
    present: &Present<'_>,
    session: &Session,
    request: &Request<'_>,
    call: &Call<'_>,
) -> Result<(), Stop> {
    if worker.shared.stopping.is_cancelled() {
        return Err(Stop::Failed(Failure::stopping()));
    }
    if session.ended.is_cancelled() {
        return Err(Stop::Failed(Failure::unknown_session()));
    }
    let state = session.state();
    if state.in_flight.contains_key(&request.id.key()) {
        return Err(Stop::Malformed(Failure::id_in_use()));
    }
    if let Some(name) = call.tool.filter(|name| !lengths::is_tool_name(name)) {
        let name = brief(name, lengths::TOOL_NAME);
        let problem = format!("`{}` is not the name of a tool", name.escape_debug());
        return Err(Stop::denied(RuleId::ENVELOPE, problem));
    }
    let twin = match (call.tool, &state.tools) {
        (Some(name), _) if session.era() == Some(Era::Modern) => present.backend.eras.twin(name),
        (Some(name), Some(tools)) => tools
            .twin(name, &mut Folder::default())
            // What cannot be folded may look like anything.
            .unwrap_or(Some(name))
            .map(str::to_owned),
        (Some(_), None) | (None, _) => None,
    };
    let Some(twin) = twin else { return Ok(()) };
    let name = call.tool.unwrap_or_default().escape_debug();
    let problem = format!("`{name}` is not a tool; it only looks like `{twin}`");
    Err(Stop::denied(RuleId::ENVELOPE, problem))
}

/// A method that only looks like a known one might be taken for it by a server,
/// so no rule allows it.
pub(super) fn is_itself(request: &Request<'_>, kind: RequestKind) -> Result<(), Stop> {
    let known = match kind {
        RequestKind::Unknown => protocol::lookalike(&request.method),
        RequestKind::Housekeeping(_)
        | RequestKind::CallTool
        | RequestKind::Task(_)
        | RequestKind::Subscribe
        | RequestKind::Method => None,
    };
    let Some(known) = known else { return Ok(()) };
    let method = request.method.escape_debug();
    let problem = format!("`{method}` is not a method; it only looks like `{known}`");
    Err(Stop::denied(RuleId::METHOD, problem))
}

/// Requests about tasks are for agents that know tasks; in the legacy era the
/// server knows from `initialize`.
pub(super) fn knows_tasks(kind: RequestKind, modern: Option<&Modern>) -> Result<(), Stop> {
    let undeclared = |modern: &Modern| !modern.declared.takes_tasks();
    match kind {
        RequestKind::Task(_) if modern.is_some_and(undeclared) => {
            Err(Stop::Malformed(Failure::tasks_undeclared()))
        }
        RequestKind::Task(_)
        | RequestKind::Housekeeping(_)
        | RequestKind::CallTool
        | RequestKind::Subscribe
        | RequestKind::Method
        | RequestKind::Unknown => Ok(()),
    }
}

/// A method of another era has no meaning in this one: what a policy says of it
/// there allows nothing here.
pub(super) fn of_this_era(request: &Request<'_>, kind: RequestKind) -> Result<(), Stop> {
    if kind != RequestKind::Unknown || method_kind(&request.method) == MethodKind::Unknown {
        return Ok(());
    }
    let problem = "agents do not send this method in this version of the protocol";
    Err(Stop::denied(RuleId::METHOD, problem))
}

/// `tasks/get`, `tasks/result` and `tasks/cancel` reach only the caller's own.
pub(super) fn own_task(
    worker: &Worker,
    present: &Present<'_>,
    request: &Request<'_>,
    kind: RequestKind,
) -> Result<(), Stop> {
    if kind != RequestKind::Task(TaskMethod::One) {
        return Ok(());
    }
    let task = request
        .params
        .and_then(|params| params.get("taskId"))
        .and_then(Value::as_str);
    let grant = &present.principal.grant.0;
    if task.is_some_and(|task| worker.shared.tasks.owns(grant, &task)) {
        return Ok(());
    }
    Err(Stop::denied(RuleId::METHOD, "this grant has no such task"))
}

/// Checks the arguments of a tool that its calls repeat in headers.
pub(super) fn repeats(
    present: &Present<'_>,
    agent: &Agent,
    session: &Session,
    call: &Call<'_>,
) -> Result<(), Stop> {
    let (Some(tool), Some(Era::Modern)) = (call.tool, session.era()) else {
        return Ok(());
    };
    let Ok(headers) = present.backend.eras.headers(tool) else {
        let problem = "the definition of this tool is invalid, so it cannot be called";
        return Err(Stop::denied(RuleId::ENVELOPE, problem));
    };
    match (&agent.claims, headers) {
        (Some(claims), Some(headers)) => claims
            .repeat(&headers, call.arguments)
            .map_err(Stop::Malformed),
        (Some(_) | None, _) => Ok(()),
    }
}

/// A state that is not the seal of this very call continues nothing: a server
/// must not take it for one of its own.
pub(super) fn resumes(request: &Request<'_>, continued: Option<&Continued>) -> Result<(), Stop> {
    let state = request.params.and_then(|params| params.get(STATE));
    if state.is_none() || continued.is_some() {
        return Ok(());
    }
    let problem = "`params.requestState` does not continue this call: it was changed, used before, has expired, or is from another request";
    Err(Stop::Malformed(Failure::invalid_params(problem)))
}

//! A request of the modern era: it stands alone and says what it is, so all of
//! that is checked before anybody judges it.

use std::sync::Arc;

use provost_policy::json::Value;
use provost_policy::judge::{Refusal, Verdict};
use provost_policy::{Call, RuleId};

use super::refusal::record_request;
use super::request::{Agent, Request, judged_as, tool_call};
use crate::agent::session::{Coming, Session};
use crate::exchange::responder::Responder;
use crate::message::answer::Failure;
use crate::message::continuation;
use crate::message::fault::Fault;
use crate::message::modern::claims::Header;
use crate::message::modern::{self, Declared, ToolHeaders, declared};
use crate::message::outgoing::Modern;
use crate::stage::{Stop, judge};
use crate::state::present::Present;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::asking::{self, STATE, Wanted, answers, subscribe};
use crate::text::client::client;
use crate::text::era::Era;
use crate::text::protocol::{self, Housekeeping, LEGACY, MODERN, RequestKind};
use crate::text::{envelope, meta};

/// Whether a request is of the modern era: it says so, its headers do, or the
/// connection it came on was opened so.
pub(super) fn is(agent: &Agent, request: &Request<'_>) -> bool {
    let opened_so = |session: &Arc<Session>| session.era() == Some(Era::Modern);
    agent.claims.is_some()
        || agent.session.as_ref().is_some_and(opened_so)
        || meta::version(request.params).is_some()
}

/// A request that was admitted, and what it says of itself.
pub(super) struct Admitted {
    pub(super) kind: RequestKind,
    pub(super) session: Arc<Session>,
    declared: Declared,
    wanted: Wanted,
}

/// Checks what a request says of itself.
pub(super) fn admitted(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
) -> Result<Admitted, Failure> {
    let declared = admit(agent, request)?;
    let wanted = wanted(worker, agent, request, &declared)?;
    Ok(Admitted {
        kind: kind(request, &wanted),
        session: session(agent, request),
        declared,
        wanted,
    })
}

/// Finds out what has to be known of the server first, unless the request is called
/// off meanwhile: then it is judged all the same, so that there is a record, and
/// does not go out.
pub(super) async fn prepared(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    admitted: &Admitted,
    responder: &mut Responder,
) -> Result<Prepared, Stop> {
    let (session, kind) = (&admitted.session, admitted.kind);
    // Over HTTP nothing but the end of its stream cancels it.
    let coming = session.is_stdio().then(|| session.expect(request.id.key()));
    let asked = tokio::select! {
        biased;
        asked = prepare(worker, agent, session, request, kind) => asked?,
        () = cancelled(coming.as_ref()) => None,
        () = responder.gone() => None,
        () = session.ended.cancelled() => None,
    };
    Ok(Prepared {
        asked,
        _coming: coming,
    })
}

/// What was found out for a request, which can be cancelled until it is judged.
pub(super) struct Prepared {
    /// The server that was asked, if one was.
    asked: Option<Route>,
    _coming: Option<Coming>,
}

/// Ends when the agent cancels what is coming.
async fn cancelled(coming: Option<&Coming>) {
    match coming {
        Some(coming) => coming.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Checks that a request says what it has to say of itself, and that whatever
/// travels beside it says the same.
fn admit(agent: &Agent, request: &Request<'_>) -> Result<Declared, Failure> {
    let stdio = agent.session.as_ref().filter(|session| session.is_stdio());
    if stdio.is_some_and(|session| session.era() == Some(Era::Legacy)) {
        return Err(opened_legacy());
    }
    if meta::version(request.params).is_none() {
        return Err(unclaimed(agent, request, stdio.is_some()));
    }
    let declared = declared::read(request.params)?;
    let version = meta::version(request.params).and_then(Value::as_str);
    let version = version.unwrap_or_default();
    if stdio.is_none() {
        let Some(claims) = &agent.claims else {
            let problem = "header `MCP-Protocol-Version` is missing or differs from the body";
            return Err(Failure::header_mismatch(problem));
        };
        claims.names(&version)?;
    }
    if version != MODERN {
        return Err(Failure::unsupported_version(&version, &[MODERN]));
    }
    if let (None, Some(claims)) = (stdio, &agent.claims) {
        claims.agree(&request.method, request.params)?;
    }
    let placed = answers::placed(Era::Modern, &request.method, request.params);
    let token = envelope::token_problem(request.params).map_or(Ok(()), Err);
    placed.and(token).map_err(Failure::invalid_params)?;
    Ok(declared)
}

fn opened_legacy() -> Failure {
    let problem = "this connection was opened with `initialize`, so requests of protocol 2026-07-28 are not possible on it";
    Failure::invalid_request(problem)
}

/// What is wrong with a request that names no revision although its headers, or
/// its connection, are of the modern era.
fn unclaimed(agent: &Agent, request: &Request<'_>, stdio: bool) -> Failure {
    let missing = || Failure::bad_meta("`params._meta` names no protocol version");
    let initialize = request.method == "initialize";
    match agent.claims.as_ref().map(|claims| &claims.version) {
        Some(Header::Once(version)) if version != MODERN => {
            let mut spoken = vec![MODERN];
            spoken.extend(LEGACY);
            Failure::unsupported_version(version, &spoken)
        }
        Some(Header::Once(_)) if initialize => Failure::header_mismatch(
            "header `MCP-Protocol-Version` names a revision that has no `initialize`",
        ),
        Some(Header::Unclear) => Failure::header_mismatch(
            "header `MCP-Protocol-Version` cannot be read, or is there twice",
        ),
        None if stdio && initialize => {
            let asked = request
                .params
                .and_then(|params| params.get("protocolVersion"));
            let asked = asked.and_then(Value::as_str).unwrap_or_default();
            Failure::unsupported_version(&asked, &[MODERN])
        }
        Some(Header::Once(_) | Header::Absent) | None => missing(),
    }
}

/// What a request subscribes to. Tasks are followed by those whose they are.
fn wanted(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    declared: &Declared,
) -> Result<Wanted, Failure> {
    let wanted = subscribe::wanted(Era::Modern, &request.method, request.params);
    let wanted = wanted.map_err(Failure::invalid_params)?;
    if !wanted.tasks.is_empty() && !declared.takes_tasks() {
        return Err(Failure::tasks_undeclared());
    }
    let grant = &agent.claim.principal.grant.0;
    let own = |task: &String| worker.shared.tasks.owns(grant, task);
    match wanted.tasks.iter().all(own) {
        true => Ok(wanted),
        false => Err(Failure::invalid_params("this grant has no such task")),
    }
}

fn kind(request: &Request<'_>, wanted: &Wanted) -> RequestKind {
    match protocol::request_kind(Era::Modern, &request.method) {
        RequestKind::Housekeeping(Housekeeping::Listen) if !wanted.uris.is_empty() => {
            RequestKind::Subscribe
        }
        kind => kind,
    }
}

/// Over stdio the connection; over HTTP each request is by itself.
fn session(agent: &Agent, request: &Request<'_>) -> Arc<Session> {
    let session = match agent.session.as_ref().filter(|session| session.is_stdio()) {
        Some(session) => Arc::clone(session),
        None => Arc::new(Session::for_one_request(&agent.claim.principal)),
    };
    // A connection is one client's, so its first request says it for all.
    let mut state = session.state();
    if state.client.is_none() {
        state.client = client(&request.method, request.params);
    }
    drop(state);
    session
}

/// Finds out what has to be known of the server first, and says which it asked.
/// What a policy refuses anyway is not worth a question to the server.
async fn prepare(
    worker: &Worker,
    agent: &Agent,
    session: &Arc<Session>,
    request: &Request<'_>,
    kind: RequestKind,
) -> Result<Option<Route>, Stop> {
    let governed = !matches!(kind, RequestKind::Housekeeping(_));
    let (tool, arguments) = match tool_call(request, kind) {
        Ok(read) => read,
        // Refused by name in the governed part.
        Err(_) => return Ok(None),
    };
    let call = Call {
        method: judged_as(request, kind),
        tool: tool.as_deref(),
        arguments,
    };
    let route = worker.shared.judging(&agent.claim, |present| {
        let caller = present.caller(session);
        let worth = !governed || matches!(judge::judge(present, &caller, &call), Verdict::Allow(_));
        worth.then(|| present.route(session))
    });
    // Refused by name, too.
    let Ok(Some(route)) = route else {
        return Ok(None);
    };
    let server = &route.backend.server.name;
    let discovers = kind == RequestKind::Housekeeping(Housekeeping::Discover);
    let found = if discovers {
        route.is_modern_in_haste(worker).await
    } else {
        route.is_modern(worker).await
    };
    let failure = match found {
        Ok(true) => {
            // Only now: before a server that speaks the other era only, an agent
            // is told so and may still open its connection as that one does. A
            // `server/discover` opens nothing before it is answered.
            if !discovers && !session.decide(Era::Modern) {
                return Err(Stop::Failed(opened_legacy()));
            }
            let known = match &tool {
                None => Ok(()),
                Some(tool) => route.know_tool(worker, tool).await,
            };
            match known {
                Ok(()) => return Ok(Some(route)),
                Err(fault) => fault.ending(server).1,
            }
        }
        Ok(false) if discovers => Failure::no_discovery(server),
        Ok(false) => Failure::other_era(server, Era::Modern),
        // Some legacy servers end when they are asked; the agent may still choose.
        Err(fault) if discovers && fault == Fault::broken() => Failure::no_discovery(server),
        Err(fault) => fault.ending(server).1,
    };
    // A grant that ended, or a server that changed meanwhile, has words of its own.
    let stays = |present: &Present<'_>| Arc::ptr_eq(&present.backend, &route.backend);
    if session.lost_its_grant() || worker.shared.judging(&agent.claim, stays) != Ok(true) {
        return Ok(Some(route));
    }
    Err(of_the_server(worker, agent, request, kind, failure))
}

/// A request that its server cannot take; a governed one leaves a record.
fn of_the_server(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    kind: RequestKind,
    failure: Failure,
) -> Stop {
    if matches!(kind, RequestKind::Housekeeping(_)) {
        return Stop::Failed(failure);
    }
    let refusal = Refusal::by(RuleId::UPSTREAM, failure.message());
    let recorded = record_request(worker, agent, request, kind, &refusal);
    recorded.err().unwrap_or(Stop::Failed(failure))
}

/// What was found out about a server says nothing about another one that took
/// its place meanwhile.
pub(super) fn same_server(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    kind: RequestKind,
    present: &Present<'_>,
    prepared: &Prepared,
) -> Result<(), Stop> {
    let asked = prepared.asked.as_ref();
    if asked.is_none_or(|asked| Arc::ptr_eq(&asked.backend, &present.backend)) {
        return Ok(());
    }
    let failure =
        Failure::busy("the settings of the server changed in the meantime; send the request again");
    Err(of_the_server(worker, agent, request, kind, failure))
}

/// What goes along with the request.
pub(super) fn along(
    worker: &Worker,
    present: &Present<'_>,
    request: &Request<'_>,
    admitted: Admitted,
) -> Modern {
    let print = continuation::fingerprint(&request.method, request.params);
    let state = request
        .params
        .and_then(|params| params.get(STATE)?.as_str());
    let continued = state.and_then(|state| {
        let seals = &worker.shared.seals;
        let (grant, wall) = (&present.principal.grant.0, present.now.wall);
        seals.open(&state, grant, &print, wall)
    });
    let name = request
        .params
        .and_then(|params| params.get("name"))
        .and_then(Value::as_str);
    let tool: Option<Arc<ToolHeaders>> = match name {
        Some(name) if request.method == "tools/call" => {
            present.backend.eras.headers(&name).ok().flatten()
        }
        Some(_) | None => None,
    };
    Modern {
        headers: modern::headers(&request.method, request.params, tool.as_deref()),
        declared: admitted.declared,
        print,
        continued,
        wanted: admitted.wanted,
        carries: asking::carried_by(&request.method),
    }
}

//! Streamable HTTP at `/mcp/{server}`: who is there, is the request in order,
//! and then the walk of `path.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use provost_store::hash_token;
use tokio::sync::oneshot::{self, error::RecvError};

use super::body::Out;
use super::guard::Guard;
use super::response::{
    challenging, event_stream, explained, failed, json, no_room, not_allowed, plain, refused,
    unauthorized,
};
use super::{recorded, stream};
use crate::agent::session::Session;
use crate::exchange::responder::{Reply, Responder};
use crate::host::budget::Account;
use crate::host::budget::gather::{BodyBounds, DoesNotFit, Gathered};
use crate::host::deadline;
use crate::host::unidentified::Reason;
use crate::message::answer::{self, Failure};
use crate::message::modern::Claims;
use crate::message::modern::claims::Header;
use crate::message::principal::Principal;
use crate::path::{self, Agent};
use crate::state::present::{Claim, Present};
use crate::state::worker::Worker;
use crate::text::brief::{NAME, brief};
use crate::text::headers::{LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID};
use crate::text::native::{HookedAgent, NATIVE, NativeVerdict};
use crate::text::protocol;

/// So much of a hook that is too long is read to its end.
const MOST_DRAINED: usize = 256 << 20;

/// What is served at a path: nothing else looks at paths.
enum Place<'p> {
    /// A server, by its name or id; for whoever has a grant for it.
    Server(&'p str),
    /// An agent's hook asks before it uses a tool of its own.
    Native,
    /// Nothing.
    Nowhere,
}

// === impl Place ===

impl<'p> Place<'p> {
    fn of(path: &'p str) -> Self {
        if path == "/native" {
            return Self::Native;
        }
        let name = path.strip_prefix("/mcp/").unwrap_or_default();
        match name.is_empty() || name.contains('/') {
            true => Self::Nowhere,
            false => Self::Server(name),
        }
    }
}

/// Answers one request of the agent listener.
pub(crate) async fn serve(
    worker: Worker,
    guard: &Guard,
    request: Request<Incoming>,
) -> Response<Out> {
    match answer(&worker, guard, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn answer(
    worker: &Worker,
    guard: &Guard,
    request: Request<Incoming>,
) -> Result<Response<Out>, Response<Out>> {
    let counts = &worker.shared.metrics.unidentified;
    guard
        .check(request.uri(), request.headers())
        .map_err(|(status, why)| {
            let named = named(why, request.headers()).map(|named| brief(named, NAME));
            counts.add(why, named.as_deref());
            refused(status, why.answer())
        })?;
    let name = match Place::of(request.uri().path()) {
        Place::Server(name) => name,
        Place::Native => return Ok(hooked(worker, request).await),
        Place::Nowhere => {
            counts.add(Reason::Path, None);
            return Err(refused(StatusCode::NOT_FOUND, Reason::Path.answer()));
        }
    };
    let claim = identify(worker, request.headers())?;
    let agent = Agent {
        claim: claim.clone(),
        session: None,
        claims: None,
    };
    let method = request.method().clone();
    let admitted = match opens(&claim, name) {
        Ok(()) => admitted(worker, claim, request).await,
        Err(refusal) => Err(refusal),
    };
    admitted.map_err(|refusal| recorded::recorded(worker, &agent, &method, refusal))
}

/// A token opens its own server. One that does not exist looks the same as one that is
/// somebody else's.
fn opens(claim: &Claim, name: &str) -> Result<(), Response<Out>> {
    let principal = &claim.principal;
    if name == principal.server_name.as_str() || name == principal.server.as_str() {
        return Ok(());
    }
    let refusal = refused(StatusCode::FORBIDDEN, "this token is for another server");
    Err(explained(
        refusal,
        format!(
            "its token is for server `{}`, and the request is for server `{}`",
            principal.server_name,
            brief(name, NAME)
        ),
    ))
}

/// A request of a known grant for its own server.
async fn admitted(
    worker: &Worker,
    claim: Claim,
    request: Request<Incoming>,
) -> Result<Response<Out>, Response<Out>> {
    match *request.method() {
        Method::POST => post(worker, claim, request).await,
        Method::GET => {
            version(request.headers())?;
            let session = known_session(worker, &claim.principal, request.headers())?;
            let last_event = last_event(request.headers())?;
            stream::open(worker, &claim, session, last_event).await
        }
        Method::DELETE => {
            version(request.headers())?;
            let session = known_session(worker, &claim.principal, request.headers())?;
            worker.shared.sessions.remove(&session.id);
            worker.end(&session);
            Ok(plain(StatusCode::OK))
        }
        _ => Err(not_allowed("GET, POST, DELETE")),
    }
}

/// Identify: the grant that the bearer token opens. It is presented again when
/// the message is judged, because its body may come slowly.
fn identify(worker: &Worker, headers: &HeaderMap) -> Result<Claim, Response<Out>> {
    let shared = &worker.shared;
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let token = values
        .next()
        .filter(|_| values.next().is_none())
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let claim = token.map(hash_token).and_then(|token| {
        let who = |present: &Present<'_>| Arc::clone(&present.principal);
        Some(Claim {
            principal: shared.presented(&token, who).ok()?,
            token: Some(token),
        })
    });
    claim.ok_or_else(|| {
        shared.metrics.unidentified.add(Reason::Grant, None);
        unauthorized()
    })
}

/// The revision named in the header of a request without a body must be one
/// that has such requests.
fn version(headers: &HeaderMap) -> Result<(), Response<Out>> {
    match Claims::of(headers).version {
        Header::Absent => Ok(()),
        Header::Once(named) if protocol::LEGACY.contains(&named.as_str()) => Ok(()),
        Header::Once(named) if named == protocol::MODERN => Err(not_allowed("POST")),
        Header::Once(named) => {
            let failure = Failure::unsupported_version(&named, &protocol::LEGACY);
            let refusal = failed(&failure);
            let named = brief(&named, NAME);
            let why =
                format!("header `MCP-Protocol-Version` names `{named}`, which is not supported");
            Err(explained(refusal, why))
        }
        Header::Unclear => Err(refused(
            StatusCode::BAD_REQUEST,
            "header `MCP-Protocol-Version` is there twice, or is not text",
        )),
    }
}

/// What the headers of a POST claim; none when they name a revision of the
/// legacy era, or none, which say nothing that the body does not.
fn claims(headers: &HeaderMap) -> Option<Arc<Claims>> {
    let mut values = headers.get_all(&PROTOCOL_VERSION).iter();
    let only = values.next()?;
    let legacy = only
        .to_str()
        .is_ok_and(|named| protocol::LEGACY.contains(&named));
    (!legacy || values.next().is_some()).then(|| Arc::new(Claims::of(headers)))
}

/// `POST /native?agent=NAME`: the hook of an agent that is about to use a tool of its own.
/// Answered in that agent's words and with 200, whatever they say: agents take another
/// status for a yes.
async fn hooked(worker: &Worker, request: Request<Incoming>) -> Response<Out> {
    if *request.method() != Method::POST {
        return not_allowed("POST");
    }
    let (head, mut body) = request.into_parts();
    let agent = head.uri.query().and_then(|it| it.strip_prefix("agent="));
    let Some(agent) = agent.and_then(HookedAgent::named) else {
        let known = HookedAgent::ALL.map(HookedAgent::name).join(", ");
        let why = format!("the address must end with `?agent=` and one of: {known}");
        return refused(StatusCode::BAD_REQUEST, why);
    };
    let answer = match heard(worker, &head.headers, &mut body).await {
        Ok((claim, hook)) => path::native::asked(worker, claim, agent, hook).await,
        Err(refusal) => {
            let why = words(refusal);
            drain(worker, body).await;
            agent.answer(&NativeVerdict::Denied(why))
        }
    };
    json(answer::OK, Bytes::from(answer))
}

/// A hook, and whose it is.
async fn heard(
    worker: &Worker,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<(Claim, Bytes), Response<Out>> {
    let claim = identify(worker, headers)?;
    let read = async {
        opens(&claim, NATIVE)?;
        takes(worker, headers)?;
        read(worker, &claim.principal.account, body).await
    };
    let hook = read.await.map_err(|refusal| {
        let agent = Agent {
            claim: claim.clone(),
            session: None,
            claims: None,
        };
        recorded::recorded(worker, &agent, &Method::POST, refusal)
    })?;
    Ok((claim, hook))
}

/// What a refusal says.
fn words(refusal: Response<Out>) -> String {
    match refusal.into_body() {
        Out::Whole(Some(text)) => String::from_utf8_lossy(&text).trim().to_owned(),
        Out::Whole(None) | Out::Events(_) => String::new(),
    }
}

/// Reads on and keeps nothing: whoever still sends hears no answer.
async fn drain(worker: &Worker, mut body: Incoming) {
    let rest = async {
        let mut left = MOST_DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    drop(deadline::within(worker.shared.settings.request_timeout, rest).await);
}

async fn post(
    worker: &Worker,
    claim: Claim,
    request: Request<Incoming>,
) -> Result<Response<Out>, Response<Out>> {
    let (head, mut body) = request.into_parts();
    let headers = &head.headers;
    takes(worker, headers)?;
    let claims = claims(headers);
    let session = match text(headers, &SESSION_ID) {
        // The modern era has no sessions; a header that names one says nothing.
        Some(_) if claims.is_none() => Some(known_session(worker, &claim.principal, headers)?),
        Some(_) | None => None,
    };
    let body = read(worker, &claim.principal.account, &mut body).await?;
    if let Some(session) = &session {
        session.touch();
    }
    let agent = Agent {
        claim,
        session,
        claims,
    };
    let account = Arc::clone(&agent.claim.principal.account);
    let reply = launch(worker, agent, body).await;
    Ok(respond(reply, account))
}

/// Only JSON is read, and only while messages are taken.
fn takes(worker: &Worker, headers: &HeaderMap) -> Result<(), Response<Out>> {
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let coded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity");
    if !kind.eq_ignore_ascii_case("application/json") || coded {
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be `application/json`, and not compressed",
        ));
    }
    match worker.shared.stopping.is_cancelled() {
        true => Err(failed(&Failure::stopping())),
        false => Ok(()),
    }
}

/// What the walk of a message came to, as a response.
fn respond(reply: Result<Reply, RecvError>, account: Arc<Account>) -> Response<Out> {
    match reply {
        Ok(Reply::Accepted) => plain(StatusCode::ACCEPTED),
        Ok(Reply::Message {
            http,
            body,
            session,
        }) => {
            let mut response = challenging(json(http, body));
            if let Some(id) = session.and_then(|id| HeaderValue::from_str(&id).ok()) {
                response.headers_mut().insert(SESSION_ID, id);
            }
            response
        }
        Ok(Reply::Stream(events)) => event_stream(Out::events(events, account, None)),
        // The task is gone without an answer: a fault of ours, and no permission.
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Starts the walk on a task of its own: a call does not end because a
/// connection does. Boxed and apart from `post`, because the task is large and
/// would be moved several times.
fn launch(worker: &Worker, agent: Agent, body: Bytes) -> oneshot::Receiver<Reply> {
    let (reply_to, reply) = oneshot::channel();
    let task = {
        let worker = worker.clone();
        async move { path::message(&worker, &agent, body, Responder::Http(reply_to)).await }
    };
    worker.shared.calls.spawn(Box::pin(task));
    reply
}

/// Reads a body of bounded size in bounded time, on the account of its grant.
async fn read(
    worker: &Worker,
    account: &Arc<Account>,
    body: &mut Incoming,
) -> Result<Bytes, Response<Out>> {
    let limit = worker.shared.settings.body_limit;
    let too_large = || {
        let why = format!("the body is larger than the limit of {limit} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let allowed = BodyBounds {
        bytes: limit,
        expected: body.size_hint().exact(),
        wait: None,
    };
    let whole = async {
        let mut whole = Gathered::new(account, allowed);
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            let frame =
                frame.map_err(|_| refused(StatusCode::BAD_REQUEST, "the body ended too early"))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            whole.take(piece).await.map_err(|why| match why {
                DoesNotFit::TooLarge => too_large(),
                DoesNotFit::NoRoom(full) => no_room(Failure::no_memory(full)),
            })?;
        }
        Ok(whole.done())
    };
    match deadline::within(worker.shared.settings.request_timeout, whole).await {
        Ok(read) => read,
        Err(_) => Err(refused(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
        )),
    }
}

/// The session a request names, if it is this grant's.
fn known_session(
    worker: &Worker,
    principal: &Principal,
    headers: &HeaderMap,
) -> Result<Arc<Session>, Response<Out>> {
    let id = text(headers, &SESSION_ID).ok_or_else(|| {
        let why = "the request needs one header `Mcp-Session-Id`, with the id from the answer to `initialize`";
        refused(StatusCode::BAD_REQUEST, why)
    })?;
    worker
        .shared
        .sessions
        .get(id, &principal.grant.0, &principal.server.0)
        .ok_or_else(|| {
            let refusal = failed(&Failure::unknown_session());
            let why = "its session has ended, or is from before a restart; the agent has to send `initialize` again";
            explained(refusal, why)
        })
}

/// Longest event id that anybody may have got from us.
const LONGEST_EVENT: usize = 1024;

/// The id of the last event an agent saw: one, of the kind we hand out.
fn last_event(headers: &HeaderMap) -> Result<Option<&str>, Response<Out>> {
    let mut values = headers.get_all(&LAST_EVENT_ID).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let plain_text = |id: &&str| id.len() <= LONGEST_EVENT && !id.contains('\t');
    let id = value.to_str().ok().filter(plain_text);
    match (id, values.next()) {
        (Some(""), None) => Ok(None),
        (Some(id), None) => Ok(Some(id)),
        (_, _) => Err(refused(
            StatusCode::BAD_REQUEST,
            "`Last-Event-ID` is not an event id from here",
        )),
    }
}

/// A header that is plain text and there once.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// What a request names that is refused for it, for the log.
fn named(why: Reason, headers: &HeaderMap) -> Option<&str> {
    let name = match why {
        Reason::Host => header::HOST,
        Reason::Origin => header::ORIGIN,
        Reason::Path | Reason::Grant => return None,
    };
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;

//! Looks at a server from our side: does it answer, and with which tools?

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::Text;
use provost_policy::json::Value;
use serde::Serialize;

use crate::agent::session::{Outbound, Session};
use crate::message::cleared::Cleared;
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::state::directory::Directory;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::era::Era;
use crate::text::{envelope, meta, protocol};
use crate::upstream::{Exchange, LONGEST_PAUSE};

/// Pages of a list that are followed; an honest server has fewer.
const MOST_PAGES: usize = 100;
/// How long the whole look may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a look at a server found.
#[derive(Debug, Clone, Serialize)]
pub struct ServerReport {
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The revisions of the protocol it speaks: the one it chose for a session,
    /// and the one without sessions.
    pub protocols: Vec<String>,
    /// The eras these belong to: `legacy`, `modern`.
    pub eras: Vec<&'static str>,
    /// The names of the capabilities it declares.
    pub capabilities: Vec<String>,
    /// Its tools, in its own order.
    pub tools: Vec<ToolReport>,
    /// How long it took until it was open, in milliseconds.
    pub opened_ms: u64,
    /// How long the list of tools took, in milliseconds.
    pub listed_ms: u64,
}

/// A tool of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolReport {
    /// Its name.
    pub name: String,
    /// The arguments its schema names, in the schema's order.
    pub arguments: Vec<ArgumentReport>,
    /// All that the server says of it, in JSON.
    pub definition: String,
}

/// An argument of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArgumentReport {
    /// Its name.
    pub name: String,
    /// Whether the tool cannot be called without it.
    pub required: bool,
}

/// A look at a server failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{fault}")]
pub struct ServerFailed {
    /// Why.
    pub fault: ServerFault,
    /// What was seen of it, most telling first: how its program ended, the last
    /// lines it wrote, the system's words, the beginning of what was no message.
    pub evidence: Vec<String>,
}

/// Why a look at a server failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServerFault {
    /// No server of that name.
    #[error("there is no server `{0}`")]
    Unknown(String),
    /// Its settings cannot be used.
    #[error("the settings of the server cannot be used; the log says why")]
    Unusable,
    /// It cannot be reached or started.
    #[error("it cannot be reached or started")]
    Down,
    /// It ended again and again.
    #[error("it ended several times right after it was started; it is started again after a pause")]
    Pausing,
    /// As many server processes run as may.
    #[error("too many server processes are running already (setting `max_children`)")]
    NoProcess,
    /// Its process is used by somebody else.
    #[error(
        "its shared process is in use by a client with another protocol version or other capabilities"
    )]
    InUse,
    /// It broke the exchange off.
    #[error("it ended, or closed the connection, before it had answered")]
    Broken,
    /// It did not answer in time.
    #[error("it did not answer within {} seconds", PROBE_TIMEOUT.as_secs())]
    Slow,
    /// It answered with an HTTP status that is no answer.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// It refused, in its own words.
    #[error("it refused: {0}")]
    Refused(String),
    /// What it sent is no MCP.
    #[error("it sent something that is not an MCP answer")]
    NotMcp,
}

// === impl ServerFailed ===

impl From<ServerFault> for ServerFailed {
    fn from(fault: ServerFault) -> Self {
        Self {
            fault,
            evidence: Vec::new(),
        }
    }
}

/// Opens the server, lists its tools, and closes it again.
pub(crate) async fn run(worker: &Worker, name: &str) -> Result<ServerReport, ServerFailed> {
    let find = |directory: &Directory| {
        let server = directory.source.server_named(name)?;
        directory.backend(&server.id).cloned()
    };
    let found = worker.shared.directory.read(find);
    let backend = found.ok_or_else(|| ServerFault::Unknown(name.to_owned()))?;
    if backend.upstream.is_none() {
        return Err(ServerFault::Unusable.into());
    }
    let started = Instant::now();
    let grant = Text::from(format!("probe-{}", crate::host::random::hex()));
    let server = backend.server.id.0.clone();
    let session = Session::new(
        grant,
        server,
        backend.account.nothing(),
        None,
        Outbound::Http,
    );
    let route = Route {
        backend,
        session: Arc::new(session),
    };
    let looked = tokio::time::timeout(PROBE_TIMEOUT, look(worker, &route)).await;
    let looked = match looked.unwrap_or(Err(ServerFault::Slow)) {
        Ok(report) => Ok(report),
        Err(fault) => {
            let evidence = evidence(worker, &route, &fault, started).await;
            Err(ServerFailed { fault, evidence })
        }
    };
    route.close(worker).await;
    for era in [Era::Legacy, Era::Modern] {
        route.release_process(worker, era);
    }
    looked
}

/// What was seen of a failure.
async fn evidence(
    worker: &Worker,
    route: &Route,
    fault: &ServerFault,
    started: Instant,
) -> Vec<String> {
    let Some(witness) = route.witness(worker) else {
        return Vec::new();
    };
    match fault {
        ServerFault::Down | ServerFault::Broken => witness.to_the_end(started).await,
        // What it did before is what it is given a pause for.
        ServerFault::Pausing => {
            let before = started.checked_sub(LONGEST_PAUSE);
            witness.since(before.unwrap_or(started))
        }
        ServerFault::Slow | ServerFault::NotMcp | ServerFault::Status(_) => witness.since(started),
        ServerFault::Unknown(_)
        | ServerFault::Unusable
        | ServerFault::NoProcess
        | ServerFault::InUse
        | ServerFault::Refused(_) => Vec::new(),
    }
}

async fn look(worker: &Worker, route: &Route) -> Result<ServerReport, ServerFault> {
    let started = Instant::now();
    // A server that cannot be reached says so to `initialize`, too.
    let modern = route.is_modern(worker).await.unwrap_or(false);
    let opened = match open(worker, route).await {
        Err(_) if modern => discover(worker, route).await.map(|who| (Era::Modern, who)),
        opened => opened.map(|who| (Era::Legacy, who)),
    };
    let (era, who) = opened?;
    if era == Era::Legacy {
        route.backend.eras.opened();
    }
    let (mut protocols, mut eras) = (vec![who.protocol], vec![era.word()]);
    if modern && era == Era::Legacy {
        protocols.push(protocol::MODERN.to_owned());
        eras.push(Era::Modern.word());
    }
    let opened_ms = millis(started);
    let listing = Instant::now();
    let tools = list(worker, route, era).await?;
    Ok(ServerReport {
        name: who.name,
        version: who.version,
        protocols,
        eras,
        capabilities: who.capabilities,
        tools,
        opened_ms,
        listed_ms: millis(listing),
    })
}

/// What a server says of itself.
struct Who {
    name: String,
    version: String,
    protocol: String,
    capabilities: Vec<String>,
}

/// Opens a session of the legacy era.
async fn open(worker: &Worker, route: &Route) -> Result<Who, ServerFault> {
    let newest = protocol::LEGACY.first().copied().unwrap_or_default();
    let params = format!(
        r#"{{"protocolVersion":"{newest}","capabilities":{{}},"clientInfo":{{"name":"provost","version":"{}"}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    let opening = Outgoing::own("1", "initialize", &params).ok_or(ServerFault::NotMcp)?;
    route.session.state().opening = Some(opening.clone());
    let opened = route.open(worker, ours(opening)).await.map_err(fault)?;
    let who = read_answer(worker, route, opened, |result| {
        let info = |member| text(result.get("serverInfo").and_then(|info| info.get(member)));
        Who {
            name: info("name"),
            version: info("version"),
            protocol: text(result.get("protocolVersion")),
            capabilities: capabilities(result),
        }
    })
    .await?;
    route.session.state().version = Some(who.protocol.clone());
    let initialized = Bytes::from_static(protocol::INITIALIZED);
    let announced = route.announce(worker, ours(initialized));
    announced.await.map_err(fault)?;
    Ok(who)
}

/// Asks a server of the modern era who it is.
async fn discover(worker: &Worker, route: &Route) -> Result<Who, ServerFault> {
    let message = Outgoing::own_modern("1", "server/discover", "").ok_or(ServerFault::NotMcp)?;
    let sent = route.request(worker, ours(message)).await;
    read_answer(worker, route, sent.map_err(fault)?, |result| {
        let info = |member| {
            let meta = result.get("_meta");
            let info = meta.and_then(|meta| meta.get(meta::SERVER));
            text(info.and_then(|info| info.get(member)))
        };
        Who {
            name: info("name"),
            version: info("version"),
            protocol: protocol::MODERN.to_owned(),
            capabilities: capabilities(result),
        }
    })
    .await
}

/// All tools.
async fn list(worker: &Worker, route: &Route, era: Era) -> Result<Vec<ToolReport>, ServerFault> {
    let mut tools = Vec::new();
    let mut cursor: Option<String> = None;
    let mut seen = HashSet::new();
    for page in 0..MOST_PAGES {
        let id = (page + 2).to_string();
        let cursor_is = |cursor: &String| serde_json::json!({ "cursor": cursor }).to_string();
        let message = match era {
            Era::Legacy => {
                let params = cursor.as_ref().map_or_else(|| "{}".to_owned(), cursor_is);
                Outgoing::own(&id, "tools/list", &params)
            }
            Era::Modern => {
                let quoted = |cursor: &String| serde_json::json!(cursor).to_string();
                let rest = cursor.as_ref().map(quoted);
                let rest = rest.map(|cursor| format!(r#","cursor":{cursor}"#));
                Outgoing::own_modern(&id, "tools/list", &rest.unwrap_or_default())
            }
        };
        let message = message.ok_or(ServerFault::NotMcp)?;
        let listed = route.request(worker, ours(message)).await;
        let (page, next) = read_answer(worker, route, listed.map_err(fault)?, |result| {
            let tools = result.get("tools");
            let tools = tools.iter().flat_map(|tools| tools.elements());
            let next = result.get("nextCursor").and_then(Value::as_str);
            (
                tools.filter_map(tool).collect::<Vec<_>>(),
                next.map(|next| next.into_owned()),
            )
        })
        .await?;
        tools.extend(page);
        // A list that comes back to a page of before has no end.
        match next {
            Some(next) if seen.insert(next.clone()) => cursor = Some(next),
            Some(_) | None => break,
        }
    }
    Ok(tools)
}

/// A tool as its server describes it.
fn tool(tool: Value<'_>) -> Option<ToolReport> {
    let schema = tool.get("inputSchema");
    let required = schema.and_then(|schema| schema.get("required"));
    let is_required = |name: &str| {
        let required = required.iter().flat_map(|required| required.elements());
        required.into_iter().any(|required| required.is_str(name))
    };
    let properties = schema.and_then(|schema| schema.get("properties"));
    let properties = properties
        .iter()
        .flat_map(|properties| properties.members());
    let arguments = properties.map(|property| {
        let name = property.name().into_owned();
        let required = is_required(&name);
        ArgumentReport { name, required }
    });
    Some(ToolReport {
        name: tool.get("name")?.as_str()?.into_owned(),
        arguments: arguments.collect(),
        definition: tool.raw().to_owned(),
    })
}

fn capabilities(result: Value<'_>) -> Vec<String> {
    let declared = result.get("capabilities");
    let members = declared.iter().flat_map(|declared| declared.members());
    members.map(|member| member.name().into_owned()).collect()
}

fn ours<M>(message: M) -> Cleared<M> {
    Cleared::own("the operator tests a server", message)
}

fn text(value: Option<Value<'_>>) -> String {
    let text = value.and_then(Value::as_str);
    text.map(|text| text.into_owned()).unwrap_or_default()
}

/// Reads the answer out of an exchange, whatever else is in it.
async fn read_answer<T>(
    worker: &Worker,
    route: &Route,
    exchange: Exchange,
    take: impl Fn(Value<'_>) -> T,
) -> Result<T, ServerFault> {
    let answer = exchange.answer(worker.shared.settings.result_limit, route.session.account());
    let answer = answer.await.map_err(fault)?;
    let no_mcp = || {
        if let Some(witness) = route.witness(worker) {
            witness.sent(&answer);
        }
        ServerFault::NotMcp
    };
    let parsed = envelope::parse_upstream(&answer).map_err(|_| no_mcp())?;
    match (parsed.root().get("result"), parsed.root().get("error")) {
        (Some(result), None) => Ok(take(result)),
        (None, Some(error)) => Err(ServerFault::Refused(text(error.get("message")))),
        (Some(_), Some(_)) | (None, None) => Err(no_mcp()),
    }
}

fn fault(fault: Fault) -> ServerFault {
    match fault.kind {
        FaultKind::Unusable | FaultKind::Absent => ServerFault::Unusable,
        FaultKind::NoProcess(_) => ServerFault::NoProcess,
        FaultKind::OpenedOtherwise => ServerFault::InUse,
        FaultKind::Pausing => ServerFault::Pausing,
        FaultKind::Outdated => ServerFault::Down,
        _ if !fault.sent => ServerFault::Down,
        FaultKind::Down | FaultKind::SessionLost | FaultKind::NoRoom(_) => ServerFault::Broken,
        FaultKind::Slow => ServerFault::Slow,
        FaultKind::BadAnswer => ServerFault::NotMcp,
        FaultKind::Status(status) => ServerFault::Status(status),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

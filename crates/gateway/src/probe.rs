//! Looks at a server from our side: does it answer, and with which tools?

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::Text;
use provost_policy::json::Value;
use serde::Serialize;

use crate::envelope::{self, Answer, Message};
use crate::outgoing::Outgoing;
use crate::permit::Permit;
use crate::protocol;
use crate::route::Route;
use crate::session::{Outbound, Session};
use crate::sse::Reader;
use crate::upstream::{Exchange, Fault, FaultKind};
use crate::worker::Worker;

/// Pages of a list that are followed; an honest server has fewer.
const MOST_PAGES: usize = 100;
/// How long the whole look may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a look at a server found.
#[derive(Debug, Clone, Serialize)]
pub struct ServerReport {
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The revision of the protocol it chose.
    pub protocol: String,
    /// The names of its tools, in its own order.
    pub tools: Vec<String>,
    /// How long it took until it was open, in milliseconds.
    pub opened_ms: u64,
    /// How long the list of tools took, in milliseconds.
    pub listed_ms: u64,
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
    /// It broke the exchange off.
    #[error("it broke off the exchange")]
    Broken,
    /// It did not answer in time.
    #[error("it did not answer within {} seconds", PATIENCE.as_secs())]
    Slow,
    /// It answered with an HTTP status that is no answer.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// It refused, in its own words.
    #[error("it refused: {0}")]
    Refused(String),
    /// What it sent is no MCP.
    #[error("it sent something that is no answer of this protocol")]
    NotMcp,
}

/// Opens the server, lists its tools, and closes it again.
pub(crate) async fn run(worker: &Worker, name: &str) -> Result<ServerReport, ServerFault> {
    let directory = worker.shared.directory.load_full();
    let site = directory
        .source
        .server_named(name)
        .and_then(|server| directory.site(&server.id))
        .ok_or_else(|| ServerFault::Unknown(name.to_owned()))?;
    if site.upstream.is_none() {
        return Err(ServerFault::Unusable);
    }
    let grant = Text::from(format!("probe-{}", crate::random::hex()));
    let session = Session::new(grant, site.server.id.0.clone(), None, Outbound::Http);
    let route = Route {
        site: Arc::clone(site),
        session: Arc::new(session),
    };
    let looked = tokio::time::timeout(PATIENCE, look(worker, &route)).await;
    route.close(worker).await;
    looked.unwrap_or(Err(ServerFault::Slow))
}

async fn look(worker: &Worker, route: &Route) -> Result<ServerReport, ServerFault> {
    let permit = Permit::own("the operator tests a server");
    let started = Instant::now();
    let newest = protocol::LEGACY.first().copied().unwrap_or_default();
    let params = format!(
        r#"{{"protocolVersion":"{newest}","capabilities":{{}},"clientInfo":{{"name":"provost","version":"{}"}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    let opening = outgoing(1, "initialize", &params)?;
    route.session.state().opening = Some(opening.clone());
    let opened = route.open(worker, &permit, &opening).await.map_err(fault)?;
    let mut report = read_answer(worker, opened, |result| {
        let text = |value: Option<Value<'_>>| {
            value
                .and_then(Value::as_str)
                .map(|text| text.into_owned())
                .unwrap_or_default()
        };
        let info = |member| text(result.get("serverInfo").and_then(|info| info.get(member)));
        ServerReport {
            name: info("name"),
            version: info("version"),
            protocol: text(result.get("protocolVersion")),
            tools: Vec::new(),
            opened_ms: 0,
            listed_ms: 0,
        }
    })
    .await?;
    report.opened_ms = millis(started);
    route.session.state().version = Some(report.protocol.clone());
    let initialized = Bytes::from_static(protocol::INITIALIZED);
    route
        .announce(worker, &permit, initialized)
        .await
        .map_err(fault)?;
    let listing = Instant::now();
    let mut cursor: Option<String> = None;
    for page in 0..MOST_PAGES {
        let params = match &cursor {
            Some(cursor) => serde_json::json!({ "cursor": cursor }).to_string(),
            None => "{}".to_owned(),
        };
        let message = outgoing(page + 2, "tools/list", &params)?;
        let listed = route
            .request(worker, &permit, &message)
            .await
            .map_err(fault)?;
        let (names, next) = read_answer(worker, listed, |result| {
            let tools = result.get("tools");
            let names = tools.iter().flat_map(|tools| tools.elements());
            let names = names.filter_map(|tool| tool.get("name")?.as_str().map(|n| n.into_owned()));
            let next = result.get("nextCursor").and_then(Value::as_str);
            (
                names.collect::<Vec<_>>(),
                next.map(|next| next.into_owned()),
            )
        })
        .await?;
        report.tools.extend(names);
        if next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    report.listed_ms = millis(listing);
    Ok(report)
}

fn outgoing(id: usize, method: &str, params: &str) -> Result<Outgoing, ServerFault> {
    let text = Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
    ));
    let parsed = envelope::parse_upstream(&text).map_err(|_| ServerFault::NotMcp)?;
    match envelope::read(&parsed) {
        Ok(Message::Request { id, params, .. }) => Ok(Outgoing::new(&text, id, params)),
        _ => Err(ServerFault::NotMcp),
    }
}

/// Reads the answer out of an exchange, whatever else is in it.
async fn read_answer<T>(
    worker: &Worker,
    exchange: Exchange,
    take: impl Fn(Value<'_>) -> T,
) -> Result<T, ServerFault> {
    let read = |text: &Bytes| -> Option<Result<T, ServerFault>> {
        let parsed = envelope::parse_upstream(text).ok()?;
        match envelope::read(&parsed).ok()? {
            Message::Response {
                answer: Answer::Result(result),
                ..
            } => Some(Ok(take(result))),
            Message::Response {
                answer: Answer::Error(error),
                ..
            } => {
                let message = error
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                Some(Err(ServerFault::Refused(message.into_owned())))
            }
            Message::Request { .. } | Message::Notification { .. } => None,
        }
    };
    match exchange {
        Exchange::Message(text) => read(&text).unwrap_or(Err(ServerFault::NotMcp)),
        Exchange::Lines(mut lines) => {
            while let Some(text) = lines.recv().await {
                if let Some(answer) = read(&text) {
                    return answer;
                }
            }
            Err(ServerFault::Broken)
        }
        Exchange::Events(mut answer) => {
            let mut reader = Reader::new(worker.shared.settings.result_limit);
            while let Some(chunk) = answer.next().await.map_err(fault)? {
                let events = reader.feed(&chunk).map_err(|_| ServerFault::NotMcp)?;
                for text in events.into_iter().filter_map(|event| event.message) {
                    if let Some(answer) = read(&text) {
                        return answer;
                    }
                }
            }
            Err(ServerFault::Broken)
        }
    }
}

fn fault(fault: Fault) -> ServerFault {
    match fault.kind {
        _ if !fault.sent => ServerFault::Down,
        FaultKind::Down | FaultKind::SessionLost => ServerFault::Broken,
        FaultKind::Slow => ServerFault::Slow,
        FaultKind::Lies => ServerFault::NotMcp,
        FaultKind::Status(status) => ServerFault::Status(status),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

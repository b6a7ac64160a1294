//! One server and the way to it, as the operator set it up.

use std::ffi::OsString;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use provost_store::{Secret, Server, Transport};
use tokio_rustls::TlsConnector;
use tracing::{debug, error};

use crate::host::budget::{Account, Budget};
use crate::host::metrics::{Counts, Metrics};
use crate::host::settings::Settings;
use crate::state::eras::Eras;
use crate::upstream::builtin::Builtins;
use crate::upstream::connections::Timeouts;
use crate::upstream::http::HttpUpstream;

use crate::upstream::process::Program;
use crate::upstream::{ChildSpec, Upstream};

/// How long a connection to a server is kept that nobody uses, at most.
const IDLE_UPSTREAM: Duration = Duration::from_secs(30);

/// One server and the way to it.
pub(crate) struct Backend {
    pub(crate) server: Arc<Server>,
    /// None when its settings cannot be used; each call is then refused.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) eras: Eras,
    /// What it sends to nobody in particular, and calls on their way to it.
    pub(crate) account: Arc<Account>,
}

/// What is needed to make the way to a server, and accounts for all.
pub(crate) struct Means<'m> {
    pub(crate) settings: &'m Settings,
    pub(crate) metrics: &'m Metrics,
    pub(crate) budget: &'m Budget,
    pub(crate) tls: &'m dyn Fn() -> Option<TlsConnector>,
    pub(crate) builtins: &'m Builtins,
}

// === impl Backend ===

impl Backend {
    pub(super) fn new(server: Arc<Server>, means: &Means<'_>) -> Self {
        Self {
            upstream: upstream(&server, means),
            counts: means.metrics.server(&server.name),
            eras: Eras::default(),
            account: means.budget.server(&server.id.0),
            server,
        }
    }

    /// Whether it is the one of these settings.
    pub(super) fn is_of(&self, server: &Server) -> bool {
        let own = &self.server;
        own.name == server.name
            && own.transport == server.transport
            && own.headers == server.headers
            && own.query == server.query
            && own.env == server.env
            && own.unreadable == server.unreadable
    }
}

fn upstream(server: &Server, means: &Means<'_>) -> Option<Upstream> {
    let Means { settings, tls, .. } = means;
    for what in &server.unreadable {
        error!(server.name = %server.name, "Server `{}` cannot be used: {what}", server.name);
    }
    if !server.unreadable.is_empty() {
        return None;
    }
    match server.transport.as_ref()? {
        Transport::Http { url } => {
            let url = with_query(url, &server.query);
            let headers = match headers(server) {
                Ok(headers) => headers,
                Err(name) => {
                    error!(server.name = %server.name, header = %name, "A header cannot be sent");
                    return None;
                }
            };
            let timeouts = Timeouts {
                connect: settings.connect_timeout,
                answer: settings.call_timeout,
                idle: settings.idle_connection.min(IDLE_UPSTREAM),
                dead_peer: settings.dead_peer,
            };
            match HttpUpstream::new(&url, headers, settings.workers + 1, timeouts, tls) {
                Ok(upstream) => Some(Upstream::Http(Arc::new(upstream))),
                Err(error) => {
                    error!(server.name = %server.name, %error, "A server cannot be used");
                    None
                }
            }
        }
        Transport::Stdio {
            command,
            args,
            cwd,
            processes,
        } => {
            let mut environment = settings.base_environment.clone();
            let own = server.env.iter();
            environment.extend(own.map(|(k, v)| (OsString::from(k), v.expose().into())));
            Some(Upstream::Stdio(Arc::new(ChildSpec {
                server: server.id.0.clone(),
                name: server.name.clone(),
                program: Program {
                    command: command.into(),
                    args: args.iter().map(OsString::from).collect(),
                    directory: cwd.clone(),
                    environment,
                },
                processes: *processes,
            })))
        }
        Transport::Builtin => {
            let builtin = means.builtins.get(&*server.name);
            if builtin.is_none() {
                debug!(server.name = %server.name, "This daemon has no such part");
            }
            builtin.cloned().map(Upstream::Builtin)
        }
    }
}

/// The URL with what the operator sealed for its query behind what it says in
/// clear text. Characters that could mean something there are encoded.
fn with_query(url: &str, query: &[(String, Secret)]) -> String {
    let mut whole = url.to_owned();
    for (name, value) in query {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        encode(&mut whole, name);
        whole.push('=');
        encode(&mut whole, value.expose());
    }
    whole
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

fn headers(server: &Server) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, secret) in &server.headers {
        let key: HeaderName = name.parse().map_err(|_| name.clone())?;
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| name.clone())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

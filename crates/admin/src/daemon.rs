//! What only a running daemon can answer, and how it is asked: the border is the trait [`Daemon`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Failure, Outcome, Restore, Restored, Time, Trouble};

/// A running daemon. Its methods may block.
pub trait Daemon: Send + Sync {
    /// How it is.
    fn status(&self) -> DaemonStatus;
    /// The servers in force, and which eras each is known to speak.
    fn eras(&self) -> Vec<(String, Vec<&'static str>)>;
    /// Metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// Makes sure that what the store holds is in force.
    ///
    /// # Errors
    ///
    /// It is stored, and not in force.
    fn take_over_changes(&self) -> Outcome;
    /// Connects to a server, initialises, lists its tools.
    ///
    /// # Errors
    ///
    /// It does not work; the failure says what was seen.
    fn test_server(&self, name: &str) -> Outcome<Upstream>;
    /// Opens the agents' listener and records that; from here on the daemon stays without clients.
    ///
    /// # Errors
    ///
    /// It cannot be opened or recorded, one is open, or the limits are not those it was started with.
    fn listen(&self, who: &provost_store::Actor, wish: &Listen) -> Outcome;
    /// Records that it is told to end, and begins with it.
    fn stop(&self, who: &provost_store::Actor, why: &str);
    /// Stops, restores, answers, and starts again.
    ///
    /// # Errors
    ///
    /// Nothing was restored.
    fn restore(&self, who: &provost_store::Actor, how: &Restore) -> Outcome<Restored>;
}

/// How the daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// How the daemon is, and what it looks after.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overview {}

/// The daemon's metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {}

/// Finish the calls in flight and end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {}

/// Connect to a server, initialise, list its tools.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestServer {
    /// The server's name.
    pub name: String,
}

/// Open the agents' listener and stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where, and how.
    pub listener: Listener,
    /// What must be so already: a running daemon changes no limits.
    pub limits: Box<Limits>,
}

/// Where agents are served over TCP.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address and port; port 0 is any free one.
    pub address: SocketAddr,
    /// Certificate chain and private key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether a proxy in front terminates TLS.
    pub behind_proxy: bool,
    /// Host names agents may use besides the address itself.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call.
    pub allowed_origins: Vec<String>,
}

/// Limits of the gateway, by their keys in the configuration file; `None` leaves the gateway's own
/// default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the configuration file says what each key means"
)]
pub struct Limits {
    pub body_limit: Option<usize>,
    pub result_limit: Option<usize>,
    pub call_timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub idle_child: Option<Duration>,
    pub idle_session: Option<Duration>,
    pub max_children: Option<usize>,
    pub max_children_per_grant: Option<usize>,
    pub max_connections: Option<usize>,
    pub memory_limit: Option<usize>,
    pub max_calls_per_grant: Option<usize>,
    pub max_calls_per_server: Option<usize>,
    pub upstream_ca: Option<PathBuf>,
    pub workers: Option<usize>,
    pub stop_deadline: Option<Duration>,
    pub retention: Option<Duration>,
}

/// How a daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The agents' address, when the listener is open.
    pub listen: Option<String>,
    /// Whether agents use TLS.
    pub tls: bool,
    /// Whether it has a fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fleet: bool,
    /// Whether `run` or `connect` started it, and it ends with its last client.
    pub self_started: bool,
    /// Agents on the agent socket now.
    pub clients: usize,
    /// `None` when it works, otherwise why not.
    pub trouble: Option<String>,
    /// What else deserves a look, such as a policy file of a run that cannot be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Trouble>,
    /// What is held and on its way; an older daemon does not say.
    #[serde(default)]
    pub load: Option<Load>,
    /// Requests since it started whose token is unknown, expired or revoked: they have no records.
    #[serde(default)]
    pub without_grant: u64,
    /// Since when it runs: a call of before that has no outcome will never have one.
    #[serde(default)]
    pub started: Option<Time>,
}

/// What a daemon holds for others, and calls on their way, with their bounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Load {
    /// In bytes.
    pub memory_held: usize,
    /// In bytes.
    pub memory_limit: usize,
    /// On their way now.
    pub calls: usize,
    /// At most.
    pub most_calls: usize,
    /// What found no room since the daemon started.
    pub no_room: u64,
}

/// How a daemon is, and what it looks after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OverviewView {
    /// The daemon itself.
    #[serde(flatten)]
    pub daemon: DaemonStatus,
    /// The data directory.
    pub data: PathBuf,
    /// The configuration directory, where the key is.
    pub config: PathBuf,
    /// The servers there are.
    pub servers: Vec<ServerStanding>,
    /// Those that work now.
    pub grants: usize,
    /// What was called lately.
    pub last_minute: LastMinute,
    /// The journal.
    pub journal: JournalStanding,
}

/// A server as `status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerStanding {
    /// Its name.
    pub name: String,
    /// `http`, `stdio`, or nothing when that cannot be read.
    pub kind: Option<String>,
    /// `legacy`, `modern`; empty until somebody has used or tested it since the daemon started.
    pub eras: Vec<String>,
    /// Whether its settings can be used.
    pub usable: bool,
}

/// What was recorded within the last minute.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LastMinute {
    /// All calls.
    pub calls: u64,
    /// Those that did not go on.
    pub denied: u64,
}

/// The journal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct JournalStanding {
    /// Its size.
    pub bytes: u64,
    /// The number of its last entry.
    pub entries: u64,
    /// Whether no damage was found when the daemon started.
    pub intact_at_start: bool,
}

/// What a server said when it was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upstream {
    /// Its name here.
    pub server: String,
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The protocol's versions it speaks.
    pub protocols: Vec<String>,
    /// `legacy`, `modern`.
    pub eras: Vec<String>,
    /// Its tools.
    pub tools: Vec<ToolView>,
    /// The names of the capabilities it declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Its tools as it describes them; not shown, for whoever writes or checks a policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub definitions: Vec<serde_json::Value>,
    /// Until it was open, in milliseconds.
    pub opened_ms: u64,
    /// The list of tools, in milliseconds.
    pub listed_ms: u64,
}

/// A tool of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToolView {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub arguments: Vec<ArgumentView>,
}

/// An argument that a tool's schema names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArgumentView {
    /// Its name.
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
}

// === impl Limits ===

impl Limits {
    /// The keys of the settings given here that `running` does not have.
    #[must_use]
    pub fn missing_in(&self, running: &Limits) -> Vec<String> {
        let wish = serde_json::to_value(self).unwrap_or_default();
        let has = serde_json::to_value(running).unwrap_or_default();
        let wish = wish.as_object().into_iter().flatten();
        wish.filter(|(key, value)| !value.is_null() && has.get(key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

// === impl Listener ===

impl Listener {
    /// Refuses an address that others can reach without TLS.
    ///
    /// # Errors
    ///
    /// Others can reach it.
    pub fn check(&self) -> Outcome {
        if self.address.ip().is_loopback() || self.tls.is_some() || self.behind_proxy {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "`{}` can be reached from other machines",
            self.address
        ))
        .because("tokens and arguments would cross the network unencrypted")
        .hint(
            "use `--tls-cert FILE --tls-key FILE`, or `--behind-proxy` when a proxy in front terminates TLS",
        ))
    }

    /// How agents' tokens are kept from others on the way, in the record of its opening.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match (&self.tls, self.behind_proxy) {
            (Some(_), _) => "TLS",
            (None, true) => "behind a proxy",
            (None, false) => "loopback",
        }
    }

    /// The URL of this listener, with the address it really has.
    #[must_use]
    pub fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        if !address.ip().is_unspecified() {
            return format!("{scheme}://{address}");
        }
        // Nobody can connect to 0.0.0.0; the first name agents may use is the best guess.
        let host = self
            .allowed_hosts
            .first()
            .map_or("127.0.0.1", String::as_str);
        format!("{scheme}://{host}:{}", address.port())
    }
}

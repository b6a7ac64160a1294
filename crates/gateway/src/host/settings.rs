//! What the process decides about the gateway, once, at its start.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing::warn;

use crate::host::budget::{self, Bounds};
use crate::host::machine;

/// Bounds and times of the gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Largest message of an agent, in bytes. Default: 4 MiB.
    pub body_limit: usize,
    /// Largest answer of an upstream, in bytes. Default: 32 MiB.
    pub result_limit: usize,
    /// How long an upstream may be silent while an answer is due. Default: 5 minutes.
    pub call_timeout: Duration,
    /// How long connecting to an upstream may take. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// How long an agent may take to send a request. Default: 30 seconds.
    pub request_timeout: Duration,
    /// How long a server process is kept that nobody uses: one that several share
    /// without any of them, one of a session over HTTP without a message or an open
    /// stream. Default: 5 minutes.
    pub idle_child: Duration,
    /// Server processes at a time. Default: 256, and never more than one for 16 open
    /// files, or 4 if that is more.
    pub max_children: usize,
    /// Server processes at a time for one grant. Default: 32.
    pub max_children_per_grant: usize,
    /// What server processes run under. Default: none; then what detaches itself
    /// from a server's process group outlives it.
    pub wrapper: Option<Wrapper>,
    /// How long a session without any traffic is kept. Default: 1 hour.
    pub idle_session: Duration,
    /// Connections of agents at a time. When there are more, the oldest that
    /// brought no request in order makes room, then the one idle longest; when all are
    /// in use the new one is closed. Default: 4096,
    /// and never more than the system has open files for, or a quarter of
    /// `memory_limit` has room for.
    pub max_connections: usize,
    /// Memory for what others send and nobody has taken yet, in bytes: messages on
    /// their way, sessions, what waits for agents that do not read. Each grant and
    /// each server may use an eighth of it. Default: a quarter of the machine's
    /// memory or the control group's, at most 512 MiB.
    pub memory_limit: usize,
    /// Calls of one grant that may be on their way at a time. Default: 1024, and
    /// never more than half of what there are open files for.
    pub max_calls_per_grant: usize,
    /// Calls to one server that may be on their way at a time. Default: 2048, and
    /// never more than there are open files for.
    pub max_calls_per_server: usize,
    /// How long a connection without any request is kept; one to a server for 30
    /// seconds at most. Default: 5 minutes.
    pub idle_connection: Duration,
    /// How long a peer that acknowledges nothing counts as alive. Default: 2 minutes.
    pub dead_peer: Duration,
    /// Certificates that vouch for upstreams besides the machine's own, in PEM.
    /// Default: none.
    pub upstream_ca: Option<PathBuf>,
    /// Worker threads. Default: one per core.
    pub workers: usize,
    /// How long calls in flight may take when the gateway stops. Default: 10 seconds.
    pub stop_deadline: Duration,
    /// The environment every registered server starts with; its own variables
    /// are added. Default: empty.
    pub base_environment: Vec<(OsString, OsString)>,
}

/// The program that server processes run under: it takes down with them whatever
/// they started. It is called with `args`, the number of the process that wants
/// the server, and the server's own command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// The program.
    pub program: PathBuf,
    /// Its own arguments.
    pub args: Vec<OsString>,
}

/// Where agents connect over HTTP.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificate and key, for TLS.
    pub tls: Option<TlsFiles>,
    /// A proxy in front of the gateway does TLS.
    pub behind_proxy: bool,
    /// Host names agents may use, besides the loopback names and the address itself.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may connect. Default: none.
    pub allowed_origins: Vec<String>,
}

/// PEM files of the listener's certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

// === impl Settings ===

impl Settings {
    /// The same settings with messages no larger than one account has room for.
    pub(crate) fn within_memory(mut self) -> Self {
        let share = budget::share(self.memory_limit);
        for (limit, most, name) in [
            (&mut self.body_limit, share / 2, "body_limit"),
            (&mut self.result_limit, share, "result_limit"),
        ] {
            if *limit > most {
                warn!(
                    bytes = most,
                    "`{name}` is lowered to {most} bytes: one grant or server may use {share} bytes of `memory_limit`"
                );
                *limit = most;
            }
        }
        self
    }

    /// What there is to share out among grants and servers.
    pub(crate) fn bounds(&self) -> Bounds {
        let calls = machine::files(self.max_children).connections;
        Bounds {
            memory: self.memory_limit,
            calls,
            grant_calls: self.max_calls_per_grant.min(calls / 2),
            server_calls: self.max_calls_per_server.min(calls),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 4 << 20,
            result_limit: 32 << 20,
            call_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            idle_child: Duration::from_secs(300),
            max_children: 256,
            max_children_per_grant: 32,
            wrapper: None,
            idle_session: Duration::from_secs(3600),
            max_connections: 4096,
            memory_limit: machine::memory_to_use(),
            max_calls_per_grant: 1024,
            max_calls_per_server: 2048,
            idle_connection: Duration::from_secs(300),
            dead_peer: Duration::from_secs(120),
            upstream_ca: None,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            stop_deadline: Duration::from_secs(10),
            base_environment: Vec::new(),
        }
    }
}

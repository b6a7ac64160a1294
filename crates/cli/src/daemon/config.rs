//! Settings of the daemon process: flag, then variable, then file, then default.
//!
//! Servers, policies and grants are not here: they live in the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provost_admin::{Failure, Limits, Listener, Outcome};
use serde::Deserialize;

use crate::environment::Environment;
use crate::text_file::unread;

/// Where agents are served when nothing else is said.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:7300";

/// The file given with `--config`: TOML, unknown keys are refused. Every key can be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The agents' address. Default: `127.0.0.1:7300`. Variable: `PROVOST_LISTEN`.
    listen: Option<String>,
    /// A proxy in front ends TLS, so another address than loopback is fine.
    /// Default: `false`. Variable: `PROVOST_BEHIND_PROXY`.
    behind_proxy: Option<bool>,
    /// Certificate chain in PEM. Default: none. Variable: `PROVOST_TLS_CERT`.
    tls_cert: Option<PathBuf>,
    /// Private key in PEM. Default: none. Variable: `PROVOST_TLS_KEY`.
    tls_key: Option<PathBuf>,
    /// Host names agents may use besides the address itself.
    /// Default: none. Variable: `PROVOST_ALLOWED_HOSTS`, comma-separated.
    allowed_hosts: Option<Vec<String>>,
    /// Origins of web pages that may call. Default: none. Variable: `PROVOST_ALLOWED_ORIGINS`, comma-separated.
    allowed_origins: Option<Vec<String>>,
    /// The largest request. Default: `4MiB`. Variable: `PROVOST_BODY_LIMIT`.
    body_limit: Option<String>,
    /// The largest result. Default: `32MiB`. Variable: `PROVOST_RESULT_LIMIT`.
    result_limit: Option<String>,
    /// How long an upstream may take for a call. Default: `5m`. Variable: `PROVOST_CALL_TIMEOUT`.
    call_timeout: Option<String>,
    /// How long connecting to an upstream may take. Default: `10s`. Variable: `PROVOST_CONNECT_TIMEOUT`.
    connect_timeout: Option<String>,
    /// How long a child process lives that nobody uses. Default: `5m`. Variable: `PROVOST_IDLE_CHILD`.
    idle_child: Option<String>,
    /// How long a session without any traffic is kept. Default: `1h`. Variable: `PROVOST_IDLE_SESSION`.
    idle_session: Option<String>,
    /// How many child processes may run at once. Default: `256`. Variable: `PROVOST_MAX_CHILDREN`.
    max_children: Option<usize>,
    /// How many child processes one grant may have at once. Default: `32`.
    /// Variable: `PROVOST_MAX_CHILDREN_PER_GRANT`.
    max_children_per_grant: Option<usize>,
    /// How many connections of agents may be open at once. When there are more, the oldest one that
    /// brought no request in order makes room, then the one idle longest, or else the new one is closed.
    /// Default: `4096`, and never more than there are open files for or a quarter of `memory_limit` has
    /// room for. Variable: `PROVOST_MAX_CONNECTIONS`.
    max_connections: Option<usize>,
    /// Memory for what agents and servers send and nobody has taken yet. Each grant and each server may
    /// use an eighth of it. Default: a quarter of the machine's memory or of the control group's, at
    /// most `512MiB`. Variable: `PROVOST_MEMORY_LIMIT`.
    memory_limit: Option<String>,
    /// How many calls of one grant may be on their way at once.
    /// Default: `1024`, and never more than half of what there are open files for.
    /// Variable: `PROVOST_MAX_CALLS_PER_GRANT`.
    max_calls_per_grant: Option<usize>,
    /// How many calls to one server may be on their way at once.
    /// Default: `2048`, and never more than there are open files for. Variable: `PROVOST_MAX_CALLS_PER_SERVER`.
    max_calls_per_server: Option<usize>,
    /// Certificates in PEM that vouch for upstreams besides the machine's own.
    /// Default: none. Variable: `PROVOST_UPSTREAM_CA`.
    upstream_ca: Option<PathBuf>,
    /// Worker threads. Default: one per core. Variable: `PROVOST_WORKERS`.
    workers: Option<usize>,
    /// How long calls in flight may take when the daemon stops. Default: `10s`. Variable: `PROVOST_STOP_DEADLINE`.
    stop_deadline: Option<String>,
    /// Records older than this are removed, whole segments at a time.
    /// Default: none, everything is kept. Variable: `PROVOST_RETENTION`.
    retention: Option<String>,
    /// The fleet. Default: none, no agents are started.
    fleet: Option<FleetTable>,
}

/// The table `fleet` of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetTable {
    /// Directories that agents may work in or below.
    pub(super) roots: Vec<PathBuf>,
    /// Which agent is started where none is asked for. Default: the only one there is.
    pub(super) agent: Option<String>,
    /// The agents, by the names they are asked for with.
    pub(super) agents: BTreeMap<String, AgentTable>,
    /// How many agents there may be. Default: as each key says.
    #[serde(default)]
    pub(super) limits: LimitsTable,
}

/// The table `fleet.limits` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    /// Levels below a person. Default: 3.
    pub(super) depth: Option<u64>,
    /// Living agents that one leads directly. Default: 32.
    pub(super) width: Option<u64>,
    /// In the whole tree of a person. Default: 100 living, 60 a minute, 1,000 ever, any tokens.
    #[serde(default)]
    pub(super) tree: SubtreeTable,
    /// Below any one agent. Default: 50 living, 30 a minute, 500 ever, any tokens.
    #[serde(default)]
    pub(super) below: SubtreeTable,
}

/// A table `fleet.limits.tree` or `fleet.limits.below` of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubtreeTable {
    /// Agents that live at a time.
    pub(super) living: Option<u64>,
    /// Agents made within a minute.
    pub(super) per_minute: Option<u64>,
    /// Agents ever made.
    pub(super) ever: Option<u64>,
    /// Tokens they may use.
    pub(super) tokens: Option<u64>,
}

/// A table `fleet.agents.NAME` of the file: a program that reads lines from its terminal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentTable {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
}

/// What the command line of `up` says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// `--listen`.
    pub(crate) listen: Option<String>,
    /// `--behind-proxy`.
    pub(crate) behind_proxy: bool,
    /// `--tls-cert`.
    pub(crate) tls_cert: Option<PathBuf>,
    /// `--tls-key`.
    pub(crate) tls_key: Option<PathBuf>,
}

/// How a setting is looked up in the environment; tests pass their own.
type Lookup<'l> = &'l dyn Fn(&str) -> Outcome<Option<String>>;

// === impl File ===

impl File {
    /// Reads the file, or stands for an empty one.
    pub(crate) fn read(path: Option<&Path>) -> Outcome<Self> {
        let Some(path) = path else {
            return Ok(File::default());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| unread("configuration file", path, &error))?;
        File::parse(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Failure::usage(format!("configuration file `{}` was refused", path.display()))
                .because(format!("line {line}: {}", error.message().replace('\n', ", ")))
                .hint("`provost up --help` lists the keys; servers, policies and grants are not configured here")
        })
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Where agents are served: flags, then variables, then this file, then the default.
    pub(crate) fn listen(&self, flags: &Flags, variable: Lookup<'_>) -> Outcome<Listener> {
        let text = flags
            .listen
            .clone()
            .or(variable("PROVOST_LISTEN")?)
            .or_else(|| self.listen.clone());
        let text = text.as_deref().unwrap_or(DEFAULT_LISTEN);
        let address = text.parse().map_err(|error| {
            Failure::usage(format!("`{text}` is not an address to listen on"))
                .because(error)
                .hint("address and port, for example `127.0.0.1:7300` or `[::1]:7300`")
        })?;
        let behind_proxy = match variable("PROVOST_BEHIND_PROXY")? {
            _ if flags.behind_proxy => true,
            Some(text) => yes_or_no("PROVOST_BEHIND_PROXY", &text)?,
            None => self.behind_proxy.unwrap_or(false),
        };
        let path = |flag: &Option<PathBuf>,
                    name: &str,
                    file: &Option<PathBuf>|
         -> Outcome<Option<PathBuf>> {
            Ok(flag
                .clone()
                .or(variable(name)?.map(PathBuf::from))
                .or_else(|| file.clone()))
        };
        let cert = path(&flags.tls_cert, "PROVOST_TLS_CERT", &self.tls_cert)?;
        let key = path(&flags.tls_key, "PROVOST_TLS_KEY", &self.tls_key)?;
        let tls = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                return Err(Failure::usage("TLS needs both a certificate and a key")
                    .hint("use `--tls-cert FILE --tls-key FILE`"));
            }
        };
        let list = |name: &str, file: &Option<Vec<String>>| -> Outcome<Vec<String>> {
            let given = variable(name)?.map(|text| {
                text.split(',')
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty())
                    .collect()
            });
            Ok(given.or_else(|| file.clone()).unwrap_or_default())
        };
        let listener = Listener {
            address,
            tls,
            behind_proxy,
            allowed_hosts: list("PROVOST_ALLOWED_HOSTS", &self.allowed_hosts)?,
            allowed_origins: list("PROVOST_ALLOWED_ORIGINS", &self.allowed_origins)?,
        };
        listener.check()?;
        Ok(listener)
    }

    /// The fleet, where there is to be one.
    pub(crate) fn fleet(&self) -> Option<FleetTable> {
        self.fleet.clone()
    }

    /// The limits: variables, then this file.
    pub(crate) fn limits(&self, variable: Lookup<'_>) -> Outcome<Limits> {
        let text = |name: &str, file: &Option<String>| -> Outcome<Option<String>> {
            Ok(variable(name)?.or_else(|| file.clone()))
        };
        let size = |name: &str, file: &Option<String>| {
            text(name, file)?
                .map(|text| parse_size(name, &text))
                .transpose()
        };
        let length = |name: &str, file: &Option<String>| {
            text(name, file)?
                .map(|text| parse_length(name, &text))
                .transpose()
        };
        let count = |name: &str, file: Option<usize>| -> Outcome<Option<usize>> {
            text(name, &file.map(|number| number.to_string()))?
                .map(|text| match text.parse() {
                    Ok(0) | Err(_) => {
                        Err(Failure::usage(format!("`{text}` is not a number above 0"))
                            .because(format!("it is the value of `{name}`")))
                    }
                    Ok(number) => Ok(number),
                })
                .transpose()
        };
        Ok(Limits {
            body_limit: size("PROVOST_BODY_LIMIT", &self.body_limit)?,
            result_limit: size("PROVOST_RESULT_LIMIT", &self.result_limit)?,
            call_timeout: length("PROVOST_CALL_TIMEOUT", &self.call_timeout)?,
            connect_timeout: length("PROVOST_CONNECT_TIMEOUT", &self.connect_timeout)?,
            idle_child: length("PROVOST_IDLE_CHILD", &self.idle_child)?,
            idle_session: length("PROVOST_IDLE_SESSION", &self.idle_session)?,
            max_children: count("PROVOST_MAX_CHILDREN", self.max_children)?,
            max_children_per_grant: count(
                "PROVOST_MAX_CHILDREN_PER_GRANT",
                self.max_children_per_grant,
            )?,
            max_connections: count("PROVOST_MAX_CONNECTIONS", self.max_connections)?,
            memory_limit: size("PROVOST_MEMORY_LIMIT", &self.memory_limit)?,
            max_calls_per_grant: count("PROVOST_MAX_CALLS_PER_GRANT", self.max_calls_per_grant)?,
            max_calls_per_server: count("PROVOST_MAX_CALLS_PER_SERVER", self.max_calls_per_server)?,
            upstream_ca: variable("PROVOST_UPSTREAM_CA")?
                .map(PathBuf::from)
                .or_else(|| self.upstream_ca.clone()),
            workers: count("PROVOST_WORKERS", self.workers)?,
            stop_deadline: length("PROVOST_STOP_DEADLINE", &self.stop_deadline)?,
            retention: length("PROVOST_RETENTION", &self.retention)?,
        })
    }
}

/// The lookup in the real environment.
pub(crate) fn variable(name: &str) -> Outcome<Option<String>> {
    Environment::setting(name)
}

fn yes_or_no(name: &str, text: &str) -> Outcome<bool> {
    match text {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(
            Failure::usage(format!("`{text}` is neither `true` nor `false`"))
                .because(format!("it is the value of `{name}`")),
        ),
    }
}

fn parse_size(name: &str, text: &str) -> Outcome<usize> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" | "B" => Some(1_usize),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let size = factor
        .and_then(|factor| digits.parse::<usize>().ok()?.checked_mul(factor))
        .filter(|size| *size > 0);
    size.ok_or_else(|| {
        Failure::usage(format!("`{text}` is not a size"))
            .because(format!("it is the value of `{}`", key(name)))
            .hint("for example `4MiB` or `65536`")
    })
}

fn parse_length(name: &str, text: &str) -> Outcome<Duration> {
    crate::when::parse_lifetime(text)
        .map(Duration::from_micros)
        .map_err(|problem| {
            Failure::usage(format!("`{text}` is not a length of time"))
                .because(format!("it is the value of `{}`", key(name)))
                .because(problem)
        })
}

/// Names a setting by its key in the file, which its variable repeats.
fn key(variable: &str) -> String {
    variable.trim_start_matches("PROVOST_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests;

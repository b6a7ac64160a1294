//! The few calls to the gateway. Everything else of the daemon knows only [`Engine`].

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use provost_admin::{
    ArgumentView, Failure, Limits, Listener, Load, Outcome, ToolView, Upstream, WireSecret,
};
use provost_gateway::{
    ArgumentReport, Builtin, Builtins, Gateway, HookedAgent, ListenError, NATIVE, Native,
    ServerFailed, ServerFault, Settings, StdioAgent, TlsFiles, ToolReport,
};
use provost_store::{GrantId, Locations, Store};
use tokio::io::{AsyncRead, AsyncWrite};

use super::config;
use crate::environment::Environment;

/// The metric that counts requests without a live grant.
const WITHOUT_GRANT: &str = "provost_unidentified_total{reason=\"grant\"} ";

/// The gateway as the daemon uses it.
#[derive(Clone)]
pub(crate) struct Engine(Gateway);

// === impl Engine ===

impl Engine {
    /// Starts the gateway's workers, without a listener.
    pub(crate) fn start(
        store: Store,
        limits: &Limits,
        fleet: Option<Arc<dyn Builtin>>,
    ) -> Outcome<Self> {
        let Locations { data, config } = store.locations();
        let settings = settings(limits);
        let mut variables = settings.base_environment.iter();
        let home = variables.find(|(name, _)| name == "HOME");
        let home = home.map(|(_, value)| Path::new(value));
        let native = Native::guarding(vec![data.clone(), config.clone()], home);
        let mut builtins = Builtins::from([(NATIVE, Arc::new(native) as Arc<dyn Builtin>)]);
        builtins.extend(fleet.map(|fleet| (provost_fleet::SERVER, fleet)));
        let gateway = Gateway::start(store, settings, builtins);
        gateway
            .map(Engine)
            .map_err(|error| Failure::unavailable("the gateway cannot start").because_of(&error))
    }

    /// The gateway of a command that looks at servers while no daemon runs: as the variables say.
    pub(crate) fn of_this_command(store: Store) -> Outcome<Self> {
        let limits = config::File::default().limits(&config::variable)?;
        Engine::start(store, &limits, None)
    }

    /// Opens the agents' listener.
    pub(crate) fn listen(&self, listen: &Listener) -> Outcome<SocketAddr> {
        let wish = provost_gateway::Listen {
            address: listen.address,
            tls: listen.tls.clone().map(|(cert, key)| TlsFiles { cert, key }),
            behind_proxy: listen.behind_proxy,
            allowed_hosts: listen.allowed_hosts.clone(),
            allowed_origins: listen.allowed_origins.clone(),
        };
        self.0.listen(&wish).map_err(|error| listen_failure(&error))
    }

    /// Takes the store's present servers, policies and grants for the next message on.
    pub(crate) fn reload(&self) -> Outcome {
        self.0.reload().map_err(|error| {
            Failure::unavailable("the change is stored but not in force").because_of(&error)
        })
    }

    /// Who brings this token, if it opens the server. Nothing is read for it.
    pub(crate) fn authenticate(&self, server: &str, token: &WireSecret) -> Option<StdioAgent> {
        let (grant, server) = self.0.authenticate(server, token.0.expose())?;
        Some(StdioAgent {
            grant,
            server,
            child: None,
        })
    }

    /// What an agent's hook is to say to it, about a tool of its own.
    pub(crate) async fn ask_native(
        &self,
        agent: &str,
        token: &WireSecret,
        hook: String,
    ) -> Outcome<String> {
        let agent = HookedAgent::named(agent)
            .ok_or_else(|| Failure::usage(format!("hooks of `{agent}` are not known here")))?;
        let answer = self.0.ask_native(token.0.expose(), agent, hook.into());
        answer.await.ok_or_else(|| {
            Failure::refused(format!("the grant does not open server `{NATIVE}`"))
                .because("the token is unknown, expired, revoked, or for another server")
                .hint("`provost grant mint native --label NAME --policy NAME` makes one")
        })
    }

    /// Serves one agent until its stream ends.
    pub(crate) async fn serve_stdio<S>(&self, stream: S, agent: StdioAgent)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        self.0.serve_stdio(stream, agent).await;
    }

    /// Connects to a server, initialises, lists its tools.
    pub(crate) async fn test_server(&self, name: &str) -> Outcome<Upstream> {
        let report = self
            .0
            .test_server(name)
            .await
            .map_err(|failed| server_failure(name, &failed))?;
        let argument = |argument: ArgumentReport| ArgumentView {
            name: argument.name,
            required: argument.required,
        };
        let tool = |tool: ToolReport| ToolView {
            name: tool.name,
            arguments: tool.arguments.into_iter().map(argument).collect(),
        };
        let definition = |tool: &ToolReport| serde_json::from_str(&tool.definition).ok();
        Ok(Upstream {
            definitions: report.tools.iter().filter_map(definition).collect(),
            capabilities: report.capabilities,
            server: name.to_owned(),
            name: report.name,
            version: report.version,
            protocols: report.protocols,
            eras: report.eras.into_iter().map(str::to_owned).collect(),
            tools: report.tools.into_iter().map(tool).collect(),
            opened_ms: report.opened_ms,
            listed_ms: report.listed_ms,
        })
    }

    /// The tools that a grant's server has listed so far.
    pub(crate) fn listed_tools(&self, grant: &GrantId) -> Vec<String> {
        self.0.listed_tools(grant)
    }

    /// What went wrong since then with the server of a grant's agents on stdio.
    pub(crate) async fn trouble(&self, grant: &GrantId, since: std::time::Instant) -> Vec<String> {
        self.0.trouble(grant, since).await
    }

    /// The servers in force, and which eras each is known to speak.
    pub(crate) fn eras(&self) -> Vec<(String, Vec<&'static str>)> {
        self.0.eras()
    }

    /// Metrics in Prometheus' text format.
    pub(crate) fn metrics(&self) -> String {
        self.0.metrics()
    }

    /// Requests that brought no live grant. Nobody is known who could have a record, so they are
    /// only counted.
    pub(crate) fn without_grant(&self) -> u64 {
        let metrics = self.metrics();
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix(WITHOUT_GRANT));
        count
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Memory held for others and calls on their way, with their bounds.
    pub(crate) fn load(&self) -> Load {
        let usage = self.0.usage();
        Load {
            memory_held: usage.held,
            memory_limit: usage.limit,
            calls: usage.calls,
            most_calls: usage.most_calls,
            no_room: usage.refused,
        }
    }

    /// Whether calls can be served now.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.0.ready()
    }

    /// Finishes the calls in flight, ends child processes, closes the journal.
    pub(crate) async fn stop(&self) {
        self.0.stop().await;
    }
}

fn settings(limits: &Limits) -> Settings {
    let default = Settings::default();
    let os = |(name, value): (String, String)| (OsString::from(name), OsString::from(value));
    Settings {
        body_limit: limits.body_limit.unwrap_or(default.body_limit),
        result_limit: limits.result_limit.unwrap_or(default.result_limit),
        call_timeout: limits.call_timeout.unwrap_or(default.call_timeout),
        connect_timeout: limits.connect_timeout.unwrap_or(default.connect_timeout),
        idle_child: limits.idle_child.unwrap_or(default.idle_child),
        idle_session: limits.idle_session.unwrap_or(default.idle_session),
        max_children: limits.max_children.unwrap_or(default.max_children),
        max_children_per_grant: limits
            .max_children_per_grant
            .unwrap_or(default.max_children_per_grant),
        wrapper: crate::command::wrap::of_this_program(),
        max_connections: limits.max_connections.unwrap_or(default.max_connections),
        memory_limit: limits.memory_limit.unwrap_or(default.memory_limit),
        max_calls_per_grant: limits
            .max_calls_per_grant
            .unwrap_or(default.max_calls_per_grant),
        max_calls_per_server: limits
            .max_calls_per_server
            .unwrap_or(default.max_calls_per_server),
        upstream_ca: limits.upstream_ca.clone(),
        workers: limits.workers.unwrap_or(default.workers),
        stop_deadline: limits.stop_deadline.unwrap_or(default.stop_deadline),
        base_environment: Environment::base_for_children()
            .into_iter()
            .map(os)
            .collect(),
        ..default
    }
}

fn listen_failure(error: &ListenError) -> Failure {
    match error {
        ListenError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            Failure::conflict(error.to_string())
                .because(source)
                .hint("another program has that port; choose another with `--listen`")
        }
        ListenError::Bind { source, .. } => Failure::unavailable(error.to_string()).because(source),
        ListenError::Unprotected(_) | ListenError::Certificate { .. } => {
            Failure::usage(error.to_string())
        }
    }
}

fn server_failure(name: &str, failed: &ServerFailed) -> Failure {
    let show = format!("`provost server show {name}` shows its URL or command");
    let hint = match &failed.fault {
        ServerFault::Unknown(_) => {
            return Failure::not_found(failed.fault.to_string())
                .hint("`provost server list` shows the servers");
        }
        ServerFault::Down => format!("is the address or the command right? {show}"),
        ServerFault::Status(401 | 403) => format!(
            "the server wants credentials: `provost server set {name} --header Authorization=@FILE`"
        ),
        ServerFault::NotMcp | ServerFault::Status(_) => {
            format!("is that its MCP endpoint, or the program its MCP server? {show}")
        }
        ServerFault::Pausing => {
            "fix what makes it end, wait half a minute, then try again".to_owned()
        }
        ServerFault::NoProcess => {
            "end agents that are not needed, or raise `max_children`".to_owned()
        }
        ServerFault::InUse => {
            format!(
                "try again when its clients are gone, or `provost server set {name} --processes session`"
            )
        }
        ServerFault::Slow => {
            "does it wait for something: a login, a download, another server?".to_owned()
        }
        ServerFault::Unusable => "`provost doctor` names the value that cannot be read".to_owned(),
        ServerFault::Broken | ServerFault::Refused(_) => {
            format!("does it start without Provost? {show}")
        }
    };
    let failure = Failure::unavailable(format!("server `{name}` does not work"));
    let failure = failure.because(&failed.fault).hint(hint);
    failed.evidence.iter().fold(failure, Failure::because)
}

//! `provost up`.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use http_body_util::BodyExt;
use provost_admin::{
    Daemon as _, DaemonStatus, FailureKind, Limits, Listen, Listener, PATIENCE, Status, Stop,
    open_now,
};
use provost_store::Store;

use crate::admin::{ask, connect_admin, send};
use crate::context::Context;
use crate::daemon::{self, Beginning, Signals, config};
use crate::failure::{Failure, Outcome};
use crate::locations::{Places, absolute};
use crate::runtime::{block_on, blocking};
use crate::terminal::style;

/// How long a running daemon may take to say how it is.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two looks at a data directory that somebody else has open.
const BREATH: Duration = Duration::from_millis(30);

/// Run the gateway as a service, in the foreground
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost up
  provost --data /srv/provost up --listen 127.0.0.1:7400 --config provost.toml
  provost up --listen 0.0.0.0:7300 --tls-cert chain.pem --tls-key key.pem

SIGTERM and Ctrl-C stop it once the calls in flight are done; a second one
stops it at once.

If `provost run` or `provost connect` has already started a daemon for this
data directory, that daemon opens the listener and keeps running, and this
command waits for it: Ctrl-C stops it as usual.", after_long_help = LONG_HELP)]
pub(crate) struct Up {
    /// Address and port for agents [env: PROVOST_LISTEN] [default: 127.0.0.1:7300]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Settings of this process, in TOML; the keys are at the end of `provost help up`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A proxy in front terminates TLS: allow addresses other than loopback [env: PROVOST_BEHIND_PROXY]
    #[arg(long)]
    behind_proxy: bool,
    /// Certificate chain, PEM [env: PROVOST_TLS_CERT]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key, PEM [env: PROVOST_TLS_KEY]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

pub(super) const LONG_HELP: &str = "\
Examples:
  provost up
  provost --data /srv/provost up --listen 127.0.0.1:7400 --config provost.toml
  provost up --listen 0.0.0.0:7300 --tls-cert chain.pem --tls-key key.pem

SIGTERM and Ctrl-C stop it once the calls in flight are done; a second one
stops it at once.

If `provost run` or `provost connect` has already started a daemon for this
data directory, that daemon opens the listener and keeps running, and this
command waits for it: Ctrl-C stops it as usual. Limits that it was not started
with are refused.

Keys of the configuration file, with default and variable (flags win, then
variables):
  listen                \"127.0.0.1:7300\"  PROVOST_LISTEN
      address for agents
  behind_proxy          false             PROVOST_BEHIND_PROXY
      a proxy in front terminates TLS
  tls_cert              none              PROVOST_TLS_CERT
      certificate chain, PEM
  tls_key               none              PROVOST_TLS_KEY
      private key, PEM
  allowed_hosts         []                PROVOST_ALLOWED_HOSTS
      more host names agents may use
  allowed_origins       []                PROVOST_ALLOWED_ORIGINS
      origins of web pages that may call
  body_limit            \"4MiB\"            PROVOST_BODY_LIMIT
      largest request
  result_limit          \"32MiB\"           PROVOST_RESULT_LIMIT
      largest result
  call_timeout          \"5m\"              PROVOST_CALL_TIMEOUT
      how long a server may be silent while its answer is due
  connect_timeout       \"10s\"             PROVOST_CONNECT_TIMEOUT
      how long connecting to a server may take
  idle_child            \"5m\"              PROVOST_IDLE_CHILD
      how long a child process that nobody uses is kept
  idle_session          \"1h\"              PROVOST_IDLE_SESSION
      how long a session without a message is kept
  max_children          256               PROVOST_MAX_CHILDREN
      child processes at once
  max_children_per_grant  32                PROVOST_MAX_CHILDREN_PER_GRANT
      child processes of a grant at once
  max_connections       4096              PROVOST_MAX_CONNECTIONS
      connections of agents at once
  memory_limit          see below         PROVOST_MEMORY_LIMIT
      memory for messages that were not read or sent yet
  max_calls_per_grant   1024              PROVOST_MAX_CALLS_PER_GRANT
      calls of a grant at once
  max_calls_per_server  2048              PROVOST_MAX_CALLS_PER_SERVER
      calls to a server at once
  upstream_ca           none              PROVOST_UPSTREAM_CA
      more CA certificates to trust for servers, PEM
  workers               one per core      PROVOST_WORKERS
      threads that carry calls
  stop_deadline         \"10s\"             PROVOST_STOP_DEADLINE
      how long calls in flight may go on when the daemon stops
  retention             none              PROVOST_RETENTION
      age at which records are removed, such as \"90d\"

Tables of the configuration file, for a fleet of agents in tmux; without them
there is none:
  [fleet]
      roots: directories that agents may work in or below, [\"/srv/work\"]
      agent: which agent is started where none is asked for, \"NAME\"
  [fleet.agents.NAME]
      command: a program that reads lines, and arguments, [\"prog\", \"arg\"]
  [fleet.limits]
      depth: levels below a person, 3
      width: living agents that one leads directly, 32
      tree: of all below a person,
        { living = 100, per_minute = 60, ever = 1000, tokens = none }
      below: of all below any one agent,
        { living = 50, per_minute = 30, ever = 500, tokens = none }

The memory limit is a quarter of the machine's memory or of the control
group's, at most 512 MiB, and never less than 64 MiB, unless it is set here.
Each grant and each server may use an eighth of it; a quarter is set aside for
connections. `body_limit` is never more than a sixteenth of it and
`result_limit` never more than an eighth.

Servers, policies and grants are not configured here: they live in the data
directory.";

// === impl Up ===

impl Up {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        let places = context.places()?;
        let file = config::File::read(self.config.as_deref())?;
        let flags = config::Flags {
            listen: self.listen,
            behind_proxy: self.behind_proxy,
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
        };
        let listen = file.listen(&flags, &config::variable)?;
        let limits = file.limits(&config::variable)?;
        let fleet = file.fleet();
        daemon::start_logging(context.environment.log.as_deref(), context.global.verbose)?;
        block_on(async move {
            match begin(&places).await? {
                Start::Follow(status) if fleet.is_some() && !status.fleet => {
                    Err(fleet_needs_a_start(&status))
                }
                Start::Follow(status) => take_over(&places, &status, listen, limits).await,
                Start::Serve(store) => {
                    daemon::run(Beginning {
                        places,
                        store,
                        limits,
                        fleet,
                        listen: Some(listen),
                        ready: Box::new(|daemon| banner(&daemon.places, &daemon.status())),
                    })
                    .await
                }
            }
        })
    }
}

/// What this process is to do.
enum Start {
    /// Be the daemon.
    Serve(Store),
    /// Follow the daemon there is.
    Follow(DaemonStatus),
}

/// Looks for a daemon, or becomes it; one that is just starting or leaving is waited for.
async fn begin(places: &Places) -> Outcome<Start> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = running(places).await? {
            return Ok(Start::Follow(status));
        }
        let at = places.clone();
        match blocking(move || open_now(&at.store())).await {
            Ok(store) => return Ok(Start::Serve(store)),
            Err(failure) if failure.kind == FailureKind::Conflict && Instant::now() < deadline => {
                tokio::time::sleep(BREATH).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// A daemon that runs already gets no fleet.
fn fleet_needs_a_start(status: &DaemonStatus) -> Failure {
    let pid = status.pid;
    Failure::conflict(format!(
        "the daemon that runs here (process {pid}) was started without a fleet"
    ))
    .because("a fleet is set up when a daemon starts")
    .hint("`provost stop` ends it; start `up` before its agents come back")
}

async fn running(places: &Places) -> Outcome<Option<DaemonStatus>> {
    let Some(stream) = connect_admin(places).await? else {
        return Ok(None);
    };
    let asked = ask(stream, Status {});
    let Ok(status) = tokio::time::timeout(ANSWER, asked).await else {
        return Err(
            Failure::unavailable("the daemon that is running here does not answer")
                .hint("`provost doctor` says which process it is; end that one"),
        );
    };
    match status {
        Ok(status) => Ok(Some(status)),
        // It was just leaving; opening the store waits for it.
        Err(failure) if failure.kind == FailureKind::Unavailable => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A daemon that started itself opens the listener and stays; this process follows it to its end.
async fn take_over(
    places: &Places,
    status: &DaemonStatus,
    listener: Listener,
    limits: Limits,
) -> Outcome {
    if let Some(url) = &status.listen {
        return Err(daemon::already_up(places, status.pid, url));
    }
    let mut signals = Signals::listen()?;
    let gone = || {
        Failure::unavailable("the daemon that was running here has just ended").hint("try again")
    };
    let wish = Listen {
        listener: Listener {
            // The other process has another directory, so paths must not depend on it.
            tls: listener
                .tls
                .map(|(cert, key)| Ok::<_, Failure>((absolute(&cert)?, absolute(&key)?)))
                .transpose()?,
            ..listener
        },
        limits: Box::new(limits),
    };
    let stream = connect_admin(places).await?.ok_or_else(gone)?;
    let mut attached = send(stream, "/v1/attached", &()).await?.into_body();
    let stream = connect_admin(places).await?.ok_or_else(gone)?;
    let status = ask(stream, wish).await?;
    note(&format!(
        "a daemon that `provost run` or `connect` started (process {}) is running here already; it now listens for agents, too, and keeps running",
        status.pid
    ));
    banner(places, &status);
    loop {
        tokio::select! {
            frame = attached.frame() => match frame {
                Some(Ok(_)) => {}
                // The body is ended in order only when the daemon stopped in order.
                None => return Ok(()),
                Some(Err(_)) => return Err(Failure::unavailable("the daemon ended unexpectedly").hint(format!("its log is `{}`", places.daemon_log().display()))),
            },
            signal = signals.next() => {
                if let Some(stream) = connect_admin(places).await? {
                    note(&format!("stopping the daemon on signal {signal}; a second one ends only this command"));
                    ask(stream, Stop {}).await?;
                    tokio::select! {
                        _ = async { while attached.frame().await.is_some_and(|frame| frame.is_ok()) {} } => return Ok(()),
                        signal = signals.next() => daemon::end_at_once(signal),
                    }
                }
            }
        }
    }
}

/// Says where everything is, on stderr.
fn banner(places: &Places, status: &DaemonStatus) {
    let mut stream = anstream::stderr().lock();
    let (strong, faint, good, reset) = (style::STRONG, style::FAINT, style::GOOD, anstyle::Reset);
    let url = status.listen.as_deref().unwrap_or("none");
    let mut lines = || -> std::io::Result<()> {
        writeln!(stream, "{strong}provost {}{reset}", status.version)?;
        writeln!(stream, "  {faint}agents{reset}  {url}/mcp/<server>")?;
        writeln!(stream, "  {faint}data{reset}    {}", places.data.display())?;
        writeln!(
            stream,
            "  {faint}key{reset}     {}",
            places.config.display()
        )?;
        writeln!(
            stream,
            "  {faint}admin{reset}   {}",
            places.admin_socket().display()
        )?;
        writeln!(stream, "{good}ready{reset}")?;
        stream.flush()
    };
    // Nothing can be done about a closed stderr.
    drop(lines());
}

fn note(text: &str) {
    drop(writeln!(
        anstream::stderr().lock(),
        "{}note{}: {text}",
        style::HINT,
        anstyle::Reset
    ));
}

//! `agent.sock`: agents behind `run` and `connect`. Never administration.

use std::sync::Arc;
use std::time::Duration;

use provost_admin::{Reply, WireSecret};
use provost_gateway::StdioAgent;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

use super::local_run;
use super::peer::is_own_user;
use super::running::{Client, Daemon, reload};
use super::serve::Engine;
use crate::bridge::{Hello, MAX_LINE, RunHello, Welcome, read_line};
use crate::failure::{Failure, Outcome};
use crate::runtime::blocking;

/// How long a client may take for its first line.
const HELLO: Duration = Duration::from_secs(10);
/// After an accept that failed (no file descriptors left, usually).
const BREATH: Duration = Duration::from_millis(100);

/// Accepts agents until the task is aborted.
pub(super) async fn serve(listener: UnixListener, daemon: Arc<Daemon>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let client = Client::new(&daemon.clients);
                tokio::spawn(one(stream, Arc::clone(&daemon), client));
            }
            Err(error) => {
                warn!("Accepting an agent failed: {error}");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn one(stream: UnixStream, daemon: Arc<Daemon>, _client: Client) {
    if !is_own_user(&stream) {
        return;
    }
    let mut stream = BufReader::new(stream);
    let hello = tokio::time::timeout(HELLO, read_line(&mut stream, MAX_LINE)).await;
    let result = match hello {
        Ok(Ok(Some(line))) => greet(&daemon, &line).await,
        Ok(Ok(None)) | Err(_) => {
            return debug!("A client disconnected before it said what it wants");
        }
        Ok(Err(failure)) => Err(failure),
    };
    if daemon.stop.is_cancelled() {
        // No answer at all: the client sees that this daemon is leaving, and finds the next one.
        if let Ok(Greeted { run: Some(run), .. }) = result {
            forget(&daemon, run).await;
        }
        return;
    }
    let (reply, agent, run) = match result {
        Ok(Greeted {
            welcome,
            agent,
            run,
        }) => (Reply::Ok(welcome), agent, run),
        Err(failure) => (Reply::Error(failure), None, None),
    };
    let mut line = serde_json::to_vec(&reply).unwrap_or_default();
    line.push(b'\n');
    if stream.write_all(&line).await.is_ok()
        && let Some(agent) = agent
    {
        daemon.engine.serve_stdio(stream, agent).await;
    }
    if let Some(run) = run {
        forget(&daemon, run).await;
    }
}

/// A run has ended.
async fn forget(daemon: &Arc<Daemon>, run: String) {
    let at = Arc::clone(daemon);
    let forgotten = blocking(move || {
        at.runs.forget(&at.store, &run);
        Ok(())
    });
    if let Err(failure) = forgotten.await {
        warn!("A run could not be forgotten: {}", failure.message);
    }
}

/// What a hello leads to.
#[derive(Default)]
struct Greeted {
    welcome: Welcome,
    /// The agent to serve on this connection, if it is not over with the answer.
    agent: Option<StdioAgent>,
    /// The run to forget when the connection ends.
    run: Option<String>,
}

async fn greet(daemon: &Arc<Daemon>, line: &[u8]) -> Outcome<Greeted> {
    let hello: Hello = serde_json::from_slice(line).map_err(|error| {
        // The text of the error could quote a secret; its place is enough.
        Failure::usage("the first line of the connection cannot be read")
            .because(format!("line 1, column {}", error.column()))
            .hint("this command and the daemon may be of different versions; restart the daemon")
    })?;
    match hello {
        Hello::Run(hello) => begin_run(daemon, hello).await,
        Hello::Connect { server, token } => {
            let agent = connect(&daemon.engine, &server, &token)?;
            Ok(Greeted {
                agent: Some(agent),
                ..Greeted::default()
            })
        }
        Hello::Policy { run, text } => {
            let at = Arc::clone(daemon);
            let version =
                blocking(move || at.runs.change_policy(&at.store, run.0.expose(), &text)).await?;
            reload(daemon).await?;
            Ok(Greeted::over(Welcome {
                version: Some(version),
                ..Welcome::default()
            }))
        }
        Hello::Refused { run, why } => {
            daemon.runs.policy_refused(run.0.expose(), why)?;
            Ok(Greeted::default())
        }
        Hello::Tools { run } => {
            let (grant, _) = daemon.runs.grant(run.0.expose())?;
            Ok(Greeted::over(Welcome {
                tools: daemon.engine.listed_tools(&grant),
                ..Welcome::default()
            }))
        }
        Hello::Native { agent, token, hook } => {
            let answer = daemon.engine.ask_native(&agent, &token, hook).await?;
            Ok(Greeted {
                welcome: Welcome {
                    answer: Some(answer),
                    ..Welcome::default()
                },
                agent: None,
                run: None,
            })
        }
        Hello::Trouble { run } => {
            let (grant, since) = daemon.runs.grant(run.0.expose())?;
            Ok(Greeted::over(Welcome {
                trouble: daemon.engine.trouble(&grant, since).await,
                ..Welcome::default()
            }))
        }
    }
}

// === impl Greeted ===

impl Greeted {
    /// The connection is over with the answer.
    fn over(welcome: Welcome) -> Self {
        Greeted {
            welcome,
            ..Greeted::default()
        }
    }
}

async fn begin_run(daemon: &Arc<Daemon>, hello: RunHello) -> Outcome<Greeted> {
    let at = Arc::clone(daemon);
    let begun = blocking(move || local_run::begin(&at.store, &at.runs, hello)).await?;
    reload(daemon).await?;
    let run = WireSecret(provost_store::Secret::new(begun.run.clone()));
    let welcome = Welcome {
        run: Some(run),
        version: Some(begun.version),
        ..Welcome::default()
    };
    Ok(Greeted {
        welcome,
        agent: Some(begun.agent),
        run: Some(begun.run),
    })
}

/// Who brings a token may use the server it is for; both mistakes get the same words.
fn connect(engine: &Engine, server: &str, token: &WireSecret) -> Outcome<StdioAgent> {
    engine.authenticate(server, token).ok_or_else(|| {
        Failure::refused(format!("the token is not valid for server `{server}`"))
            .because("it is unknown, expired, revoked, or for another server")
            .hint("`provost grant list` shows the grants; `provost grant mint` creates one")
    })
}

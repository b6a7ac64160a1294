//! Opening a session with the daemon, which may just be starting or just be leaving, and opening
//! it again when the daemon is gone.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use provost_admin::{FailureKind, Reply, WireSecret};
use provost_store::Secret;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{Notify, watch};

use super::hello::{Hello, MAX_LINE, Welcome, read_line};
use crate::admin::connect;
use crate::daemon::{Signals, connect_or_start, end_at_once};
use crate::failure::{Failure, Outcome};
use crate::locations::Places;

/// How long a daemon may take to answer a hello; it may have a policy to compile and a disk to wait for.
const ANSWER: Duration = Duration::from_secs(30);
/// How long to try again when a daemon leaves at the very moment it is asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the daemon on which the agent's messages are expected.
pub(crate) type Session = BufReader<UnixStream>;

/// Where the token of a grant comes from.
pub(crate) enum TokenSource {
    Variable(&'static str),
    File(PathBuf),
}

/// Opens the sessions of one agent, one after another.
pub(crate) struct Sessions {
    pub(crate) places: Places,
    /// Who the agent is; the policy of a run is the one that was saved last. A std mutex: never
    /// held across an await.
    hello: Mutex<Hello>,
    /// Where the token of a grant comes from.
    token: Option<TokenSource>,
    /// The version of a run's policy that is in force.
    version: Mutex<Option<u32>>,
    /// What allows to send a changed policy to the daemon that serves now.
    run: watch::Sender<Option<WireSecret>>,
    /// The agent has a new list of tools, or the policy is another one.
    pub(super) listed: Notify,
}

// === impl Sessions ===

impl Sessions {
    pub(crate) fn new(places: Places, hello: Hello) -> Self {
        Sessions {
            places,
            hello: Mutex::new(hello),
            token: None,
            version: Mutex::default(),
            run: watch::Sender::new(None),
            listed: Notify::new(),
        }
    }

    /// The same for a grant, whose token comes from there.
    pub(crate) fn with_token_from(self, source: TokenSource) -> Self {
        Sessions {
            token: Some(source),
            ..self
        }
    }

    /// Whether a grant that is refused may get another token while the agent waits for nothing.
    pub(super) fn may_get_a_token(&self) -> bool {
        matches!(self.token, Some(TokenSource::File(_)))
    }

    /// The version of a run's policy that is in force, as far as it is known.
    pub(crate) fn version(&self) -> Option<u32> {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_version(&self, version: Option<u32>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    /// The first session. A signal ends the process, as it would without us.
    pub(crate) async fn first(&self, signals: &mut Signals) -> Outcome<Session> {
        tokio::select! {
            opened = self.open(tokio::time::Instant::now()) => opened,
            signal = signals.next() => end_at_once(signal),
        }
    }

    /// Connects to the daemon of these places, which is started when there is none, and says hello.
    pub(super) async fn open(&self, not_before: tokio::time::Instant) -> Outcome<Session> {
        tokio::time::sleep_until(not_before).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stream = connect_or_start(&self.places, deadline).await?;
            if let Some(session) = self.greet(stream).await? {
                return Ok(session);
            }
            if Instant::now() >= deadline {
                return Err(went_away(&self.places));
            }
        }
    }

    /// The same, if there is a daemon.
    pub(super) async fn open_if_there(
        &self,
        not_before: tokio::time::Instant,
    ) -> Outcome<Option<Session>> {
        tokio::time::sleep_until(not_before).await;
        match connect(&self.places.agent_socket()).await? {
            Some(stream) => self.greet(stream).await,
            None => Ok(None),
        }
    }

    async fn greet(&self, stream: UnixStream) -> Outcome<Option<Session>> {
        let line = {
            let mut hello = self.hello.lock().unwrap_or_else(PoisonError::into_inner);
            // A grant that got another token goes on with the one that stands there now.
            if let (Hello::Connect { token, .. }, Some(TokenSource::File(path))) =
                (&mut *hello, &self.token)
                && let Ok(text) = std::fs::read_to_string(path)
            {
                *token = WireSecret(Secret::new(text.trim()));
            }
            line(&hello)?
        };
        let greeted = greet(stream, &line).await;
        let greeted = greeted.map_err(|failure| match &self.token {
            Some(source) if failure.kind == FailureKind::Refused => failure.because(source),
            _ => failure,
        });
        let Some((session, welcome)) = greeted? else {
            return Ok(None);
        };
        self.set_version(welcome.version);
        self.run.send_replace(welcome.run);
        Ok(Some(session))
    }

    /// A changed policy of a run: it goes to the daemon that serves the run, and to all that come
    /// after it. Returns its version.
    pub(crate) async fn change_policy(&self, text: String) -> Outcome<u32> {
        if let Hello::Run(hello) = &mut *self.hello.lock().unwrap_or_else(PoisonError::into_inner) {
            hello.policy.clone_from(&text);
            hello.refused = None;
        }
        let gone = || {
            Failure::unavailable("there is no daemon at the moment")
                .because("the changed policy takes effect as soon as there is one")
        };
        let run = self.run.borrow().clone().ok_or_else(gone)?;
        let welcome = self.ask(&Hello::Policy { run, text }).await?;
        self.listed.notify_one();
        let version = welcome.ok_or_else(gone)?.version;
        self.set_version(version);
        Ok(version.unwrap_or_default())
    }

    /// Why the policy file of a run cannot be used as it is now: for the daemon that serves the run,
    /// and for all that come after it.
    pub(crate) async fn policy_refused(&self, why: String) {
        if let Hello::Run(hello) = &mut *self.hello.lock().unwrap_or_else(PoisonError::into_inner) {
            hello.refused = Some(why.clone());
        }
        let run = self.run.borrow().clone();
        if let Some(run) = run {
            // A daemon that is just leaving need not know.
            drop(self.ask(&Hello::Refused { run, why }).await);
        }
    }

    /// Once there is something new to compare: the policy of a run that was saved last, and all
    /// tools that its server has.
    pub(crate) async fn compared(&self) -> (String, Vec<String>) {
        loop {
            self.listed.notified().await;
            let run = self.run.borrow().clone();
            let policy = match &*self.hello.lock().unwrap_or_else(PoisonError::into_inner) {
                Hello::Run(hello) => Some(hello.policy.clone()),
                Hello::Connect { .. }
                | Hello::Policy { .. }
                | Hello::Refused { .. }
                | Hello::Tools { .. }
                | Hello::Trouble { .. }
                | Hello::Native { .. } => None,
            };
            let (Some(run), Some(policy)) = (run, policy) else {
                continue;
            };
            // Whoever cannot say it now is asked after the next list.
            if let Ok(Some(welcome)) = self.ask(&Hello::Tools { run }).await
                && !welcome.tools.is_empty()
            {
                return (policy, welcome.tools);
            }
        }
    }

    /// What the daemon saw go wrong with the server of a run.
    pub(super) async fn trouble(&self) -> Vec<String> {
        let run = self.run.borrow().clone();
        let Some(run) = run else {
            return Vec::new();
        };
        // An agent is told that it has no session whether anybody knows why or not.
        match self.ask(&Hello::Trouble { run }).await {
            Ok(Some(welcome)) => welcome.trouble,
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// Asks the daemon on a connection of its own. `None` when there is none.
    async fn ask(&self, hello: &Hello) -> Outcome<Option<Welcome>> {
        let Some(stream) = connect(&self.places.agent_socket()).await? else {
            return Ok(None);
        };
        let answer = greet(stream, &line(hello)?).await?;
        Ok(answer.map(|(_, welcome)| welcome))
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the token is that of the variable `{name}`"),
            Self::File(path) => write!(f, "the token is that of the file `{}`", path.display()),
        }
    }
}

/// Asks the daemon of these places one thing. It is started when there is none.
pub(crate) async fn ask(places: &Places, hello: &Hello) -> Outcome<Welcome> {
    let (line, deadline) = (line(hello)?, Instant::now() + PATIENCE);
    loop {
        let stream = connect_or_start(places, deadline).await?;
        if let Some((_, welcome)) = greet(stream, &line).await? {
            return Ok(welcome);
        }
        if Instant::now() >= deadline {
            return Err(went_away(places));
        }
    }
}

fn went_away(places: &Places) -> Failure {
    Failure::unavailable("the daemon ended several times in a row")
        .hint(format!("its log is `{}`", places.daemon_log().display()))
}

fn line(hello: &Hello) -> Outcome<Vec<u8>> {
    let mut line = serde_json::to_vec(hello).map_err(|error| {
        Failure::internal("cannot write the first line of the connection").because(error)
    })?;
    line.push(b'\n');
    Ok(line)
}

/// `None` when the daemon closed the connection without an answer: it was just leaving.
async fn greet(stream: UnixStream, line: &[u8]) -> Outcome<Option<(Session, Welcome)>> {
    let mut stream = BufReader::new(stream);
    if stream.write_all(line).await.is_err() {
        return Ok(None);
    }
    let answer = tokio::time::timeout(ANSWER, read_line(&mut stream, MAX_LINE)).await;
    let Some(answer) = answer.map_err(|_| Failure::unavailable("the daemon does not answer"))??
    else {
        return Ok(None);
    };
    let reply: Reply<Welcome> = serde_json::from_slice(&answer).map_err(|error| {
        Failure::internal("the daemon's answer cannot be read")
            .because(error)
            .hint("restart the daemon; it may be of another version")
    })?;
    Ok(Some((stream, reply.into_result()?)))
}

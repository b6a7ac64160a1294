//! Carries lines between this process's stdin and stdout and the daemon, and outlives the daemon:
//! an agent whose session is lost gets it back with the next thing it says.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provost_admin::FailureKind;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::conversation::{Conversation, Heard, asks};
use super::lines::Lines;
use super::session::{Session, Sessions};
use crate::daemon::Signals;
use crate::failure::{Failure, Outcome, report};
use crate::watched::Arrival;

/// How long answers may still come after stdin has ended, or after a signal.
const AFTER_STDIN: Duration = Duration::from_secs(30);
const AFTER_SIGNAL: Duration = Duration::from_secs(5);

/// Between two attempts to get the session back, growing from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After a session that lasted so long the next attempt comes at once.
const LASTED: Duration = Duration::from_secs(10);
/// Bytes an agent may say while there is no daemon; then it is not read until there is one.
const MOST_WAITING: usize = 64 << 20;

/// Why the bridge stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The agent closed stdin, and everything was answered.
    StdinEnded,
    /// The agent closed stdout.
    StdoutClosed,
    /// A signal.
    Signal(i32),
}

/// What became of one connection to the daemon.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    Ended(Ending),
    /// The daemon is gone, or ended the session.
    Lost,
    /// The daemon is there, but the session cannot be opened again, and why.
    NotOpened(String),
}

/// An agent on one side, one daemon after another on the other.
struct Bridge<'s, I, O> {
    agent_in: Lines<I>,
    agent_out: BufWriter<O>,
    /// A std mutex: held for look-ups, never across an await.
    conversation: Mutex<Conversation>,
    signals: &'s mut Signals,
    /// Told when the agent has a list of tools, and asked why it has no session.
    sessions: &'s Sessions,
    /// What the agent said while there was no daemon.
    waiting: Vec<Vec<u8>>,
}

/// Carries lines until the agent ends, a signal comes, or the daemon refuses to go on. Dropping a
/// session tells the daemon, which ends the upstream.
///
/// # Errors
/// When the daemon refuses the session for good (the grant was revoked, the server removed), or the
/// server never opened one.
pub(crate) async fn pump(
    agent_in: impl AsyncRead + Unpin,
    agent_out: impl AsyncWrite + Unpin,
    mut session: Session,
    sessions: &Sessions,
    signals: &mut Signals,
) -> Outcome<Ending> {
    let mut bridge = Bridge {
        agent_in: Lines::new(agent_in),
        agent_out: BufWriter::new(agent_out),
        conversation: Mutex::default(),
        signals,
        sessions,
        waiting: Vec::new(),
    };
    let mut pause = Duration::ZERO;
    loop {
        let since = Instant::now();
        let link = bridge.carry(session).await;
        if since.elapsed() >= LASTED {
            pause = Duration::ZERO;
        }
        let told = bridge.tell_of_the_loss(&link).await;
        match (link, told) {
            (Link::Ended(ending), _) => return bridge.end(ending),
            (Link::Lost | Link::NotOpened(_), Err(_)) => return bridge.end(Ending::StdoutClosed),
            (Link::Lost | Link::NotOpened(_), Ok(())) => {}
        }
        session = match bridge.get_back(sessions, &mut pause).await? {
            Ok(session) => session,
            Err(ending) => return bridge.end(ending),
        };
    }
}

// === impl Bridge ===

impl<I: AsyncRead + Unpin, O: AsyncWrite + Unpin> Bridge<'_, I, O> {
    /// Carries lines over one connection until it, or the agent, ends.
    async fn carry(&mut self, session: Session) -> Link {
        let (daemon_out, daemon_in) = tokio::io::split(session);
        let mut daemon_in = BufWriter::new(daemon_in);
        let opened = Notify::new();
        let conversation = &self.conversation;
        let mut answers = std::pin::pin!(answers(
            Lines::new(daemon_out),
            &mut self.agent_out,
            conversation,
            &opened,
            self.sessions
        ));
        let ending = {
            let mut questions = std::pin::pin!(questions(
                &mut self.agent_in,
                &mut self.waiting,
                &mut daemon_in,
                conversation,
                &opened
            ));
            tokio::select! {
                // The end of the daemon is seen before the next question is sent after it.
                biased;
                link = &mut answers => return link,
                said = &mut questions => match said {
                    Ok(()) => Ending::StdinEnded,
                    Err(_) => return Link::Lost,
                },
                signal = self.signals.next() => Ending::Signal(signal),
            }
        };
        // The daemon sees the end of the agent; answers on their way still come through.
        drop(daemon_in.shutdown().await);
        let patience = match ending {
            Ending::StdinEnded => AFTER_STDIN,
            Ending::StdoutClosed | Ending::Signal(_) => AFTER_SIGNAL,
        };
        tokio::select! {
            _ = tokio::time::timeout(patience, &mut answers) => Link::Ended(ending),
            signal = self.signals.next() => Link::Ended(Ending::Signal(signal)),
        }
    }

    /// Answers for what was on its way: nobody else will.
    async fn tell_of_the_loss(&mut self, link: &Link) -> std::io::Result<()> {
        let lines = {
            let mut conversation = self.conversation();
            let mut lines = conversation.lost();
            match link {
                Link::Lost => {}
                Link::NotOpened(why) => lines.extend(conversation.refuse_all(why)),
                Link::Ended(_) => {
                    lines.extend(conversation.refuse_all("the Provost daemon ended"));
                }
            }
            lines
        };
        self.tell(lines).await
    }

    /// Waits until there is a reason to have a daemon, and has one: the agent says something, or
    /// somebody starts one. So a daemon that was stopped stays so until an agent needs it.
    ///
    /// # Errors
    /// When the daemon refuses the session for good.
    async fn get_back(
        &mut self,
        sessions: &Sessions,
        pause: &mut Duration,
    ) -> Outcome<Result<Session, Ending>> {
        let mut arrival = Arrival::watch(&sessions.places);
        let mut not_before = Instant::now() + *pause;
        // It may be there still: then it says why it ended the session.
        let mut attempt = Some(Box::pin(sessions.open_if_there(not_before)));
        let mut start = None;
        let mut told = false;
        // Answers and notifications have time.
        let mut asked = self.waiting.iter().any(|line| asks(line));
        loop {
            let needed = asked || self.conversation().waits();
            if needed && attempt.is_none() && start.is_none() {
                start = Some(Box::pin(sessions.open(not_before)));
            }
            let room = self.waiting.iter().map(Vec::len).sum::<usize>() < MOST_WAITING;
            let opened = tokio::select! {
                opened = poll(&mut attempt) => {
                    attempt = None;
                    opened
                }
                opened = poll(&mut start) => {
                    start = None;
                    opened.map(Some)
                }
                line = self.agent_in.next(), if room => match line {
                    Some(line) => {
                        asked |= asks(&line);
                        self.waiting.push(line);
                        continue;
                    }
                    None => return Ok(Err(Ending::StdinEnded)),
                },
                () = arrival.happened(), if attempt.is_none() && start.is_none() => {
                    // From nearer, where there was no directory yet.
                    arrival = Arrival::watch(&sessions.places);
                    attempt = Some(Box::pin(sessions.open_if_there(not_before)));
                    continue;
                }
                signal = self.signals.next() => return Ok(Err(Ending::Signal(signal))),
            };
            *pause = (*pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            not_before = Instant::now() + *pause;
            match opened {
                Ok(None) => {}
                Ok(Some(session)) => {
                    let changes = {
                        let conversation = self.conversation();
                        match conversation.is_open() {
                            // They are told once it is open again.
                            true => Vec::new(),
                            false => conversation.changes(),
                        }
                    };
                    return Ok(match self.tell(changes).await {
                        Ok(()) => Ok(session),
                        Err(_) => Err(Ending::StdoutClosed),
                    });
                }
                // Until the agent wants something, there is time to put a new token there.
                Err(failure)
                    if failure.kind == FailureKind::Refused
                        && sessions.may_get_a_token()
                        && !asked
                        && !self.conversation().waits() =>
                {
                    if !std::mem::replace(&mut told, true) {
                        report(&failure, false);
                    }
                }
                Err(failure) => {
                    if self.refuse(&failure).await.is_err() {
                        return Ok(Err(Ending::StdoutClosed));
                    }
                    asked = false;
                    if is_final(failure.kind) {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Answers everything that waits: there is no daemon, and why.
    async fn refuse(&mut self, failure: &Failure) -> std::io::Result<()> {
        let lines = {
            let mut conversation = lock(&self.conversation);
            for line in self.waiting.drain(..) {
                conversation.said(&line);
            }
            conversation.refuse_all(&in_a_line(failure))
        };
        self.tell(lines).await
    }

    async fn tell(&mut self, lines: Vec<Vec<u8>>) -> std::io::Result<()> {
        for line in lines {
            write_line(&mut self.agent_out, &line).await?;
        }
        self.agent_out.flush().await
    }

    fn conversation(&self) -> MutexGuard<'_, Conversation> {
        lock(&self.conversation)
    }

    /// That an agent never had a session is told by the exit code too.
    fn end(&self, ending: Ending) -> Outcome<Ending> {
        let conversation = self.conversation();
        let Some(why) = conversation.refusal() else {
            return Ok(ending);
        };
        let failure = Failure::unavailable("the server did not open a session for the agent");
        let mut failure = failure.because(why);
        let seen = conversation.seen();
        for seen in seen.iter().filter(|seen| !why.contains(*seen)) {
            failure = failure.because(seen);
        }
        let log = self.sessions.places.daemon_log();
        if !seen.is_empty() {
            failure = failure.hint(match log.exists() {
                true => format!(
                    "does the server start without Provost? The log of the daemon may say more: `{}`",
                    log.display()
                ),
                false => "does the server start without Provost?".to_owned(),
            });
        }
        match ending {
            Ending::StdinEnded | Ending::StdoutClosed => Err(failure),
            Ending::Signal(_) => {
                report(&failure, false);
                Ok(ending)
            }
        }
    }
}

/// What the agent says goes to the daemon, after what has to be said again. Ends when stdin does.
async fn questions(
    agent_in: &mut Lines<impl AsyncRead + Unpin>,
    waiting: &mut Vec<Vec<u8>>,
    daemon_in: &mut BufWriter<WriteHalf<Session>>,
    conversation: &Mutex<Conversation>,
    opened: &Notify,
) -> std::io::Result<()> {
    let opening = lock(conversation).opening_again();
    if let Some(opening) = opening {
        write_line(daemon_in, &opening).await?;
        daemon_in.flush().await?;
        opened.notified().await;
    }
    let again = lock(conversation).rest_again();
    for line in again {
        write_line(daemon_in, &line).await?;
    }
    for line in std::mem::take(waiting) {
        let goes = lock(conversation).said(&line);
        if goes {
            write_line(daemon_in, &line).await?;
        }
    }
    daemon_in.flush().await?;
    while let Some(line) = agent_in.next().await {
        let goes = lock(conversation).said(&line);
        if goes {
            write_line(daemon_in, &line).await?;
        }
        if !agent_in.has_next() {
            daemon_in.flush().await?;
        }
    }
    // Half a line: the daemon says what is wrong with it.
    daemon_in.write_all(&agent_in.rest()).await?;
    daemon_in.flush().await
}

/// What the daemon says goes to the agent, less what the agent has had already.
async fn answers(
    mut daemon_out: Lines<ReadHalf<Session>>,
    agent_out: &mut BufWriter<impl AsyncWrite + Unpin>,
    conversation: &Mutex<Conversation>,
    opened: &Notify,
    sessions: &Sessions,
) -> Link {
    let closed = Link::Ended(Ending::StdoutClosed);
    while let Some(line) = daemon_out.next().await {
        let heard = lock(conversation).heard(&line);
        let lines = match heard {
            Heard::Pass => vec![line],
            Heard::Listed => {
                sessions.listed.notify_one();
                vec![line]
            }
            Heard::Refused => {
                // First: with the answer the agent may end everything.
                let seen = sessions.trouble().await;
                lock(conversation).saw(seen);
                vec![line]
            }
            Heard::Drop => Vec::new(),
            Heard::NotOpened(why) => return Link::NotOpened(why),
            Heard::OpenedAgain => {
                opened.notify_one();
                lock(conversation).changes()
            }
        };
        for line in lines {
            if write_line(agent_out, &line).await.is_err() {
                return closed;
            }
        }
        if !daemon_out.has_next() && agent_out.flush().await.is_err() {
            return closed;
        }
    }
    Link::Lost
}

async fn write_line(out: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> std::io::Result<()> {
    out.write_all(line).await?;
    out.write_all(b"\n").await
}

/// Polls a future that may not be there.
async fn poll<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn lock(conversation: &Mutex<Conversation>) -> MutexGuard<'_, Conversation> {
    // A panic while it was held leaves at worst a stale entry behind.
    conversation.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether trying again later cannot help.
fn is_final(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Refused
        | FailureKind::Usage
        | FailureKind::NotFound
        | FailureKind::Internal => true,
        FailureKind::Conflict | FailureKind::Unavailable | FailureKind::Damaged => false,
    }
}

/// A failure as an agent reads it.
fn in_a_line(failure: &Failure) -> String {
    let causes = failure.causes.iter().map(|cause| format!(": {cause}"));
    let hint = failure.hint.iter().map(|hint| format!("; {hint}"));
    let rest: String = causes.chain(hint).collect();
    format!("Provost: {}{rest}", failure.message)
}

#[cfg(test)]
mod tests;

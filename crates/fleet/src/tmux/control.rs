//! One control client: tells tmux what to do, hands on its answers, and tells what
//! happens in windows.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::answers::{Answers, Asked, Fence, Line};
use super::command::Commands;
use super::notice::{Notice, PaneId, split, unescape, window_of};
use super::place::{SESSION, TmuxPlace};
use super::register::{FORMAT, Register, Said, WindowPlace};
use crate::terminal::{Event, TerminalError};
use provost_store::fleet::InstanceId;

/// Something that tmux is asked.
pub(super) struct Request {
    pub(super) commands: Commands,
    pub(super) purpose: Purpose,
    /// Where the answer goes. It is done all the same when nobody waits any more.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It says that something was done.
    Done,
    /// It says where the window of this instance is.
    Opened(InstanceId),
    /// Lines that an instance made come between what else the commands say.
    Quoted,
}

/// Lines, or why there are none.
pub(super) type Answer = Result<Vec<Vec<u8>>, TerminalError>;

/// A running client.
pub(super) struct Control {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    unread: Vec<u8>,
    answers: Answers<Asker>,
    /// Which looks are asked for and not answered.
    looking_at_windows: bool,
    looking_at_clients: bool,
    /// Bytes of one pane that were read together.
    printed: Option<(PaneId, Vec<u8>)>,
    stage: Stage,
    /// The process of the server.
    server: Option<u32>,
    register: Arc<Register>,
    events: mpsc::Sender<Event>,
}

/// How far a client has come.
#[derive(PartialEq, Eq)]
enum Stage {
    /// Its session may not be there.
    Starting,
    /// It may be told what to do. Output is not told yet: what came before was missed, too.
    Started,
    /// It knows which windows there are.
    Introduced,
}

/// Who asked.
enum Asker {
    Request(Purpose, oneshot::Sender<Answer>),
    /// We, for which server it is.
    Server,
    /// We, for all windows.
    Windows,
    /// We, for all clients.
    Clients,
    /// We, and nothing depends on the answer.
    Nobody,
}

/// A client that gives no answer for so long is of no use.
const PATIENCE: Duration = Duration::from_secs(10);
/// A pane whose output we are so many seconds behind with is left out until we ask again.
const BEHIND: u8 = 5;
/// So much is read at once.
const CHUNK: usize = 64 * 1024;

// === impl Control ===

impl Control {
    /// Starts a client, and with it server and session where they are absent. Takes over
    /// which windows there are before it returns. The server there was before, if any, is
    /// told to be gone when this is another one.
    ///
    /// # Errors
    /// When the process cannot be started, or tmux does not answer.
    pub(super) async fn start(
        place: &TmuxPlace,
        register: Arc<Register>,
        events: mpsc::Sender<Event>,
        before: Option<u32>,
    ) -> io::Result<Self> {
        let mut command = place.command();
        command
            .args(["-C", "new-session", "-A", "-s", SESSION, "--"])
            // The first window keeps the session. Its program ends at once and the window
            // stays, which costs nothing.
            .arg(&place.program)
            .arg("-V")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the client has no standard streams"));
        };
        let mut control = Self {
            child,
            stdin,
            stdout,
            unread: Vec::with_capacity(CHUNK),
            answers: Answers::new(),
            looking_at_windows: false,
            looking_at_clients: false,
            printed: None,
            stage: Stage::Starting,
            server: before,
            register,
            events,
        };
        // What is said before the session is there is done before it is there.
        while control.stage == Stage::Starting {
            control.hear().await?;
        }
        let pausing = Commands::new("refresh-client -f").word(format!("pause-after={BEHIND}"));
        control.say(pausing, Asker::Nobody, None).await?;
        let server = Commands::new("display-message -p").word("#{pid}");
        control.say(server, Asker::Server, None).await?;
        control.look_at_windows().await?;
        control.look_at_clients().await?;
        while !control.answers.is_empty() {
            control.hear().await?;
        }
        control.stage = Stage::Introduced;
        Ok(control)
    }

    /// Waits for the next lines.
    async fn hear(&mut self) -> io::Result<()> {
        let read = self.stdout.read_buf(&mut self.unread);
        let read = tokio::time::timeout(PATIENCE, read).await??;
        self.take_in(read).await
    }

    /// The process of the server.
    pub(super) fn server(&self) -> Option<u32> {
        self.server
    }

    /// Serves requests; returns when there will be no more.
    ///
    /// # Errors
    /// Why the client cannot be used any more.
    pub(super) async fn serve(&mut self, requests: &mut mpsc::Receiver<Request>) -> io::Result<()> {
        loop {
            let deadline = self.answers.deadline();
            tokio::select! {
                biased;
                // Whoever asks waits for the answer, so there is an end to this; to a flood
                // of output there may be none.
                request = requests.recv() => match request {
                    Some(request) => self.ask(request).await?,
                    None => return Ok(()),
                },
                read = self.stdout.read_buf(&mut self.unread) => self.take_in(read?).await?,
                () = at(deadline) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Ends the client, and nothing else. Nobody gets an answer any more; returns whose
    /// windows that leaves in doubt.
    pub(super) async fn end(mut self) -> Vec<InstanceId> {
        let mut doubtful = Vec::new();
        for asker in self.answers.abandon() {
            if let Asker::Request(purpose, answer) = asker {
                if let Purpose::Opened(instance) = purpose {
                    doubtful.push(instance);
                }
                // Whoever does not wait does not mind.
                let _ = answer.send(Err(TerminalError::NoAnswer));
            }
        }
        // One that has ended cannot be killed, which is as well.
        let _ = self.child.kill().await;
        doubtful
    }

    /// Asks for something; the answer comes while [`Control::serve`] runs.
    ///
    /// # Errors
    /// Why the client cannot be used any more.
    pub(super) async fn ask(&mut self, request: Request) -> io::Result<()> {
        let fence = match &request.purpose {
            Purpose::Quoted => Some(random_word()?),
            Purpose::Done | Purpose::Opened(_) => None,
        };
        let by = Asker::Request(request.purpose, request.answer);
        self.say(request.commands, by, fence).await
    }

    async fn say(
        &mut self,
        commands: Commands,
        by: Asker,
        fence: Option<String>,
    ) -> io::Result<()> {
        let commands = match &fence {
            Some(fence) => commands.then("display-message -p").word(fence),
            None => commands,
        };
        self.answers.expect(Asked {
            by,
            blocks: commands.count(),
            until: Instant::now() + PATIENCE,
            fence: fence.map(|fence| Fence(fence.into_bytes())),
        });
        let line = commands.into_line();
        // tmux reads whatever else it does: this waits for nothing that waits for us.
        let writing = self.stdin.write_all(&line);
        tokio::time::timeout(PATIENCE, writing).await?
    }

    async fn look_at_windows(&mut self) -> io::Result<()> {
        // A look that is not answered yet will see this too.
        if std::mem::replace(&mut self.looking_at_windows, true) {
            return Ok(());
        }
        let list = Commands::new("list-windows -t").word(format!("={SESSION}"));
        self.say(list.flag("-F").word(FORMAT), Asker::Windows, None)
            .await
    }

    async fn look_at_clients(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.looking_at_clients, true) {
            return Ok(());
        }
        let list = Commands::new("list-clients -F").word("#{client_control_mode} #{window_id}");
        self.say(list, Asker::Clients, None).await
    }

    /// Takes in what was read: its whole lines.
    async fn take_in(&mut self, read: usize) -> io::Result<()> {
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut unread = std::mem::take(&mut self.unread);
        let mut rest = unread.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            self.line(line).await?;
        }
        let done = unread.len() - rest.len();
        unread.drain(..done);
        unread.reserve(CHUNK);
        self.unread = unread;
        self.tell_printed().await?;
        Ok(())
    }

    async fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match self.answers.line(line) {
            Line::Inside => return Ok(()),
            Line::Answered(by, answer) => {
                // What was printed before is told before.
                self.tell_printed().await?;
                self.answered(by, answer).await;
                return Ok(());
            }
            Line::Started(started) => {
                started.map_err(io::Error::other)?;
                if self.stage == Stage::Starting {
                    self.stage = Stage::Started;
                }
                return Ok(());
            }
            Line::Notice => {}
        }
        match Notice::read(line) {
            Notice::Output { pane, escaped } => {
                let other = |printed: &(PaneId, _)| printed.0 != pane;
                if self.printed.as_ref().is_some_and(other) {
                    self.tell_printed().await?;
                }
                let (_, bytes) = self.printed.get_or_insert_with(|| (pane, Vec::new()));
                unescape(escaped, bytes);
            }
            Notice::Paused(pane) => {
                self.tell_printed().await?;
                if let Some(instance) = self.register.owner(pane) {
                    self.tell(Event::Missed(instance)).await;
                }
                let on = Commands::new("refresh-client -A").word(format!("{pane}:continue"));
                self.say(on, Asker::Nobody, None).await?;
            }
            Notice::WindowsChanged => self.look_at_windows().await?,
            Notice::ClientsChanged => self.look_at_clients().await?,
            Notice::Other => {}
        }
        Ok(())
    }

    async fn answered(&mut self, by: Asker, answer: Result<Vec<Vec<u8>>, String>) {
        match by {
            Asker::Nobody => {}
            Asker::Request(purpose, asker) => {
                // Before anybody hears of it: its output follows.
                if let (Purpose::Opened(instance), Ok(lines)) = (purpose, &answer) {
                    note_opened(&self.register, instance, lines);
                }
                // Whoever does not wait does not mind.
                let _ = asker.send(answer.map_err(TerminalError::Refused));
            }
            Asker::Server => {
                let server = answer.unwrap_or_default();
                let server = server
                    .first()
                    .and_then(|line| std::str::from_utf8(line).ok());
                let server = server.and_then(|line| line.parse().ok());
                if self.server.is_some_and(|before| server != Some(before)) {
                    self.tell(Event::ServerGone).await;
                }
                self.server = server;
            }
            Asker::Windows => {
                self.looking_at_windows = false;
                let windows = answer.unwrap_or_default();
                let windows: Vec<_> = windows
                    .iter()
                    .filter_map(|line| WindowPlace::read(line))
                    .filter_map(|(place, owner)| Some((place, owner?)))
                    .collect();
                for instance in self.register.replace(&windows) {
                    self.tell(Event::Closed(instance)).await;
                }
            }
            Asker::Clients => {
                self.looking_at_clients = false;
                let clients = answer.unwrap_or_default();
                let viewed: Vec<_> = clients
                    .iter()
                    .filter_map(|line| match split(line, b' ') {
                        (b"0", window) => window_of(window),
                        _ => None,
                    })
                    .collect();
                for (instance, attached) in self.register.looked_at(&viewed) {
                    self.tell(match attached {
                        true => Event::Attached(instance),
                        false => Event::Detached(instance),
                    })
                    .await;
                }
            }
        }
    }

    async fn tell_printed(&mut self) -> io::Result<()> {
        let Some((pane, bytes)) = self.printed.take() else {
            return Ok(());
        };
        let Some(Said { instance, ended }) = self.register.printed(pane, &bytes) else {
            return Ok(());
        };
        if self.stage == Stage::Introduced {
            self.tell(Event::Output { instance, bytes }).await;
        }
        if let Some(window) = ended {
            let close = Commands::new("kill-window -t").word(window);
            self.say(close, Asker::Nobody, None).await?;
        }
        Ok(())
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more when everything ends.
        let _ = self.events.send(event).await;
    }
}

/// Notes where the window of an instance was opened.
pub(super) fn note_opened(register: &Register, instance: InstanceId, lines: &[Vec<u8>]) {
    if let Some((place, _)) = lines.iter().find_map(|line| WindowPlace::read(line)) {
        register.opened(instance, place);
    }
}

/// A word that nobody can guess.
pub(super) fn random_word() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

//! The real terminal: tmux in control mode, on a socket and with settings of our own.
//!
//! One server, one session, a window for each instance, addressed by the numbers that tmux
//! gave them. The server outlives this process; its windows are adopted by the next one.

mod answers;
mod command;
mod control;
mod notice;
mod place;
mod process;
mod register;
mod supervisor;
mod version;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, oneshot};

pub use version::TmuxError;

use crate::place::Place;
use crate::terminal::{Event, Input, Key, Opening, Size, Terminal, TerminalError, Window};
use command::Commands;
use control::{Purpose, Request, random_word};
pub(crate) use place::SESSION;
use place::TmuxPlace;
use provost_store::fleet::InstanceId;
use register::{FORMAT, Register, WindowPlace};
use supervisor::Supervisor;

/// tmux, of which this process has a control client. When this is dropped the client goes;
/// the server and everything in its windows stay.
pub struct Tmux {
    place: Arc<TmuxPlace>,
    register: Arc<Register>,
    requests: mpsc::Sender<Request>,
}

/// Events that wait to be taken; then tmux waits, and at last leaves output out.
const EVENTS: usize = 64;
/// Requests that wait for their turn.
const REQUESTS: usize = 256;
/// A wrapper that is asked to end needs no longer, whatever its program does.
const END: Duration = Duration::from_secs(8);
/// A window that was taken away is gone after this long.
const LAST: Duration = Duration::from_secs(5);
/// The buffer of a paste, while it is pasted.
const BUFFER: &str = "provost";

// === impl Tmux ===

impl Tmux {
    /// Adopts the windows of a server that is there already. When there is none, the first
    /// window starts one.
    ///
    /// `program` is tmux itself, by its path or looked for in the `PATH` of `environment`,
    /// which is the whole environment of every tmux process. The receiver is told what
    /// happens in windows from now on.
    ///
    /// # Errors
    /// When tmux is absent or too old, or its settings cannot be written.
    pub async fn start(
        place: &Place,
        program: PathBuf,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<(Self, mpsc::Receiver<Event>), TmuxError> {
        let name = program.display().to_string();
        let place = Arc::new(TmuxPlace::prepare(place, program, environment)?);
        version::check(&name, place.command()).await?;
        let register = Arc::new(Register::new());
        let (events, told) = mpsc::channel(EVENTS);
        let (requests, asked) = mpsc::channel(REQUESTS);
        let supervisor = Supervisor {
            place: Arc::clone(&place),
            register: Arc::clone(&register),
            events,
            requests: asked,
            doubtful: Vec::new(),
        };
        let adopted = supervisor.adopt().await;
        tokio::spawn(supervisor.run(adopted));
        let tmux = Self {
            place,
            register,
            requests,
        };
        Ok((tmux, told))
    }

    fn window(&self, instance: &InstanceId) -> Result<WindowPlace, TerminalError> {
        let place = self.register.place(instance);
        place.ok_or_else(|| TerminalError::NoWindow(instance.clone()))
    }

    async fn ask(
        &self,
        commands: Commands,
        purpose: Purpose,
    ) -> Result<Vec<Vec<u8>>, TerminalError> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            commands,
            purpose,
            answer,
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| TerminalError::NoAnswer)?;
        // Whoever takes it has a time-out for it.
        answered.await.map_err(|_| TerminalError::NoAnswer)?
    }

    async fn tell(&self, commands: Commands) -> Result<(), TerminalError> {
        self.ask(commands, Purpose::Done).await.map(drop)
    }
}

impl Terminal for Tmux {
    async fn open(&self, opening: Opening<'_>) -> Result<(), TerminalError> {
        let Opening {
            instance,
            argv,
            size,
        } = opening;
        if self.register.place(instance).is_some() {
            return Err(TerminalError::HasWindow(instance.clone()));
        }
        // One word would be read by a shell.
        if argv.len() < 2 {
            let words = "a program without an argument".to_owned();
            return Err(TerminalError::Refused(words));
        }
        let session = format!("={SESSION}:");
        let mut commands = Commands::new("set-option -t")
            .word(&session)
            .flag("default-size")
            .word(format!("{}x{}", size.columns, size.rows))
            .then("new-window -P -F")
            .word(FORMAT)
            .flag("-t")
            .word(&session)
            .flag("-n")
            .word(instance)
            .flag("--");
        for word in argv {
            commands = commands.data(word);
        }
        // The new window is the session's current one, and nothing comes between these.
        let commands = commands
            .then("set-option -w -t")
            .word(&session)
            .flag("remain-on-exit off")
            .then("set-option -w -t")
            .word(&session)
            .flag("@provost-instance")
            .word(instance)
            .then("resize-window -t")
            .word(&session)
            .flag("-x")
            .word(size.columns)
            .flag("-y")
            .word(size.rows);
        let purpose = Purpose::Opened(instance.clone());
        self.ask(commands, purpose).await.map(drop)
    }

    async fn enter(&self, instance: &InstanceId, input: Input<'_>) -> Result<(), TerminalError> {
        let pane = self.window(instance)?.pane;
        // Somebody may have scrolled back: keys would move about there.
        let commands = Commands::new("copy-mode -q -t").word(pane);
        let commands = match input {
            Input::Text(text) | Input::Paste(text) if text.as_str().is_empty() => return Ok(()),
            Input::Text(text) => commands
                .then("send-keys -l -t")
                .word(pane)
                .flag("--")
                .word(text.as_str()),
            Input::Paste(text) => commands
                .then("set-buffer -b")
                .word(BUFFER)
                .flag("--")
                .data(OsStr::new(text.as_str()))
                // Ends of lines as they are, in brackets for programs that ask for them.
                .then("paste-buffer -d -p -r -b")
                .word(BUFFER)
                .flag("-t")
                .word(pane),
            Input::Key(key) => commands.then("send-keys -t").word(pane).word(name(key)?),
        };
        self.tell(commands).await
    }

    async fn resize(&self, instance: &InstanceId, size: Size) -> Result<(), TerminalError> {
        let window = self.window(instance)?.window;
        let commands = Commands::new("resize-window -t")
            .word(window)
            .flag("-x")
            .word(size.columns)
            .flag("-y")
            .word(size.rows);
        self.tell(commands).await
    }

    async fn screen(&self, instance: &InstanceId) -> Result<Vec<String>, TerminalError> {
        let pane = self.window(instance)?.pane;
        // The first says nothing, and fails when the pane is gone: quoted lines always come.
        let commands = Commands::new("show-options -pqv -t")
            .word(pane)
            .flag("@provost-none")
            .then("capture-pane -p -t")
            .word(pane);
        let lines = self.ask(commands, Purpose::Quoted).await?;
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        Ok(lines.iter().map(text).collect())
    }

    async fn close(&self, instance: &InstanceId) -> Result<(), TerminalError> {
        let place = self.window(instance)?;
        let process = i32::try_from(place.process).ok().and_then(Pid::from_raw);
        if let Some(process) = process {
            // tmux waits for its children, so the number is nobody else's while the window
            // is there. One that has ended takes its window with it.
            let _ = kill_process(process, Signal::TERM);
        }
        let gone = self.register.until_gone(instance, place);
        if tokio::time::timeout(END, gone).await.is_ok() {
            return Ok(());
        }
        self.tell(Commands::new("kill-window -t").word(place.window))
            .await?;
        let gone = self.register.until_gone(instance, place);
        let gone = tokio::time::timeout(LAST, gone).await;
        gone.map_err(|_| TerminalError::NoAnswer)
    }

    fn windows(&self) -> Vec<Window> {
        self.register.list()
    }

    fn attaching(&self, instance: &InstanceId) -> Result<Vec<OsString>, TerminalError> {
        let window = self.window(instance)?.window;
        // A session with nothing but this window, so that whoever types never finds
        // themselves at another one when it closes. It goes when it is left.
        let word = random_word().map_err(TerminalError::Unreachable)?;
        let name = format!("view-{word}");
        let first = ["new-session", "-d", "-s", &name, "--"].map(OsString::from);
        let then = format!(
            "-V ; link-window -k -s {window} -t ={name}:0 ; attach-session -t ={name} ; \
             set-option destroy-unattached on"
        );
        let tmux = || self.place.program.clone().into_os_string();
        let mut argv = vec![tmux()];
        argv.extend(self.place.addressing());
        argv.extend(first);
        argv.push(tmux());
        argv.extend(then.split_whitespace().map(OsString::from));
        Ok(argv)
    }
}

/// What tmux calls a key.
fn name(key: Key) -> Result<String, TerminalError> {
    let name = match key {
        Key::Enter => "Enter",
        Key::Escape => "Escape",
        Key::Tab => "Tab",
        Key::Backspace => "BSpace",
        Key::Up => "Up",
        Key::Down => "Down",
        Key::Left => "Left",
        Key::Right => "Right",
        Key::Control(letter) if letter.is_ascii_lowercase() => return Ok(format!("C-{letter}")),
        Key::Control(letter) => {
            let words = format!("there is no key Control with `{letter}`");
            return Err(TerminalError::Refused(words));
        }
    };
    Ok(name.to_owned())
}

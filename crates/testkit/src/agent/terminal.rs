//! An agent in a terminal, as a person has it before them: a private tmux, whose screen can be read and typed at.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::desk::Desk;
use super::settings;
use crate::model::Model;
use crate::wait::{PATIENCE, wait_until};

const COLUMNS: &str = "120";
const LINES: &str = "40";

/// How long a pressed key may go unnoticed before it is pressed again: agents swallow keys while they start.
const AGAIN: Duration = Duration::from_secs(1);

/// A running agent; it ends when this is dropped.
#[derive(Debug)]
pub struct Terminal<'desk> {
    desk: &'desk Desk,
    socket: PathBuf,
}

impl Desk {
    /// Starts the agent in a terminal of its own, where it runs until it is dropped.
    pub async fn sit(&self) -> Terminal<'_> {
        Terminal::start(self).await
    }
}

impl<'desk> Terminal<'desk> {
    async fn start(desk: &'desk Desk) -> Terminal<'desk> {
        let socket = desk.home().join("terminal");
        let terminal = Terminal { desk, socket };
        let program = desk.agent.name();
        // The first lines of an agent that ends at once shall stay on the screen.
        let keep = ["set-option", "-g", "remain-on-exit", "on", ";"];
        let open = ["new-session", "-d", "-x", COLUMNS, "-y", LINES, program];
        terminal.tmux(&[&keep[..], &open[..], settings::sit(desk.agent)].concat());
        terminal.shows(settings::ready(desk.agent)).await;
        terminal
    }

    /// What stands on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until these words stand on the screen.
    ///
    /// # Panics
    /// When they do not come; the message has the screen.
    pub async fn shows(&self, words: &str) {
        let seen = wait_until("", || self.screen().contains(words));
        // A little sooner than that would give up, so as to say more.
        let patience = PATIENCE.saturating_sub(AGAIN);
        if tokio::time::timeout(patience, seen).await.is_err() {
            panic!("`{words}` does not come:\n{}", self.screen());
        }
    }

    /// Presses a key, by the name that tmux has for it.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a prompt and sees to it that it reaches the model. A prompt is known by its words: say something else each
    /// time.
    ///
    /// # Panics
    /// When it does not; the message has the screen.
    pub async fn prompt(&self, model: &Model, text: &str) {
        self.paste(text);
        for _ in 0..10 {
            self.press("Enter");
            let heard = wait_until("", || model.heard(text));
            if tokio::time::timeout(AGAIN, heard).await.is_ok() {
                return;
            }
        }
        panic!("the prompt does not get through:\n{}", self.screen());
    }

    /// Lets the agent do what the prompt says, and returns what it says in the end.
    ///
    /// # Panics
    /// When it does not come to an end.
    pub async fn ask(&self, model: &Model, text: &str) -> String {
        self.prompt(model, text).await;
        let ended = wait_until("", || model.answer_to(text).is_some());
        let patience = PATIENCE.saturating_sub(AGAIN);
        if tokio::time::timeout(patience, ended).await.is_err() {
            panic!("no answer to `{text}`:\n{}", self.screen());
        }
        model.answer_to(text).unwrap_or_default()
    }

    /// Waits until the agent offers the model this tool of this MCP server. Agents begin before their servers do, and
    /// they offer nothing unless they are asked something.
    ///
    /// # Panics
    /// When it never does.
    pub async fn offers(&self, model: &Model, server: &str, tool: &str) {
        for number in 1..=50 {
            let prompt = format!("say hello {number} from {server}");
            self.ask(model, &prompt).await;
            if model.offered(&prompt, server, tool) {
                return;
            }
        }
        panic!("`{tool}` of `{server}` is not offered:\n{}", self.screen());
    }

    fn paste(&self, text: &str) {
        let mut command = self.command();
        command.args(["load-buffer", "-"]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("tmux is installed");
        let mut input = child.stdin.take().expect("stdin is piped");
        input.write_all(text.as_bytes()).expect("tmux reads");
        drop(input);
        assert!(child.wait().expect("tmux ends").success());
        self.tmux(&["paste-buffer", "-p", "-d"]);
    }

    fn command(&self) -> Command {
        let mut command = self.desk.command("tmux");
        command
            .arg("-S")
            .arg(&self.socket)
            .args(["-f", "/dev/null"]);
        command
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = self.command().args(args).output();
        let output = output.expect("tmux is installed");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {args:?}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // Gone already is as good.
        let pane = self
            .command()
            .args(["list-panes", "-a", "-F", "#{pane_pid}"])
            .output();
        drop(self.command().arg("kill-server").output());
        // What runs in it is hung up on, but not every agent takes notice. It leads a process group.
        let pane = pane.map(|pane| String::from_utf8_lossy(&pane.stdout).trim().to_owned());
        let Ok(leader) = pane else { return };
        if leader.parse::<u32>().is_ok() {
            let group = format!("-{leader}");
            drop(
                self.desk
                    .command("kill")
                    .args(["-KILL", "--", &group])
                    .output(),
            );
        }
    }
}

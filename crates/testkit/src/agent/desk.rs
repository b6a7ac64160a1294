//! Where an agent works: a home of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{Agent, settings};
use crate::model::Model;
use crate::real;

/// How long an agent may take for a whole run: three of them start at once on a small machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// An agent's home, with a project in it where the agent runs.
#[derive(Debug)]
pub struct Desk {
    pub(super) agent: Agent,
    home: TempDir,
    model: String,
    folders: Vec<PathBuf>,
    variables: Vec<(String, String)>,
}

// === impl Desk ===

impl Desk {
    /// A home with what the agent wants to be told once, and nothing else.
    ///
    /// # Panics
    /// When the agent is not installed.
    pub fn new(agent: Agent, model: &Model) -> Desk {
        let program = agent.program();
        assert!(
            program.exists(),
            "the agents are not installed; run `scripts/setup` (`make test` does it)"
        );
        let home = tempfile::tempdir().expect("a scratch directory");
        let desk = Desk {
            agent,
            home,
            model: model.url(),
            folders: Vec::new(),
            variables: Vec::new(),
        };
        std::fs::create_dir(desk.project()).expect("a fresh directory");
        std::fs::create_dir(desk.programs()).expect("a fresh directory");
        std::fs::create_dir(desk.scraps()).expect("a fresh directory");
        std::os::unix::fs::symlink(&program, desk.programs().join(agent.name()))
            .expect("a fresh directory");
        settings::write(agent, desk.home(), &desk.project(), &desk.model);
        desk
    }

    /// A variable that the agent, and what it starts, will have.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Desk {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A folder whose programs the agent can start by their names.
    #[must_use]
    pub fn with_programs(mut self, folder: &Path) -> Desk {
        self.folders.push(folder.to_owned());
        self
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the agent runs.
    pub fn project(&self) -> PathBuf {
        self.home().join("project")
    }

    fn scraps(&self) -> PathBuf {
        self.home().join("scraps")
    }

    fn programs(&self) -> PathBuf {
        self.home().join("programs")
    }

    /// A program at this desk: nothing of the test's own environment but the way to programs.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut folders = vec![self.programs()];
        folders.extend(self.folders.iter().cloned());
        folders.extend(real::node_program().parent().map(Path::to_owned));
        let path: OsString = std::env::var_os("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).expect("folders without colons");
        let mut command = Command::new(program);
        command
            .current_dir(self.project())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home())
            .env("TMPDIR", self.scraps())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .envs(settings::variables(self.agent, &self.model))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a line in a shell at this desk, such as `claude mcp add …`.
    ///
    /// # Panics
    /// When it fails, or takes too long.
    pub async fn shell(&self, line: &str) -> String {
        self.run("sh", &["-c", line]).await
    }

    /// Lets the agent do what the prompt says, without a terminal, and returns what it prints.
    ///
    /// # Panics
    /// When it fails, or takes too long.
    pub async fn ask(&self, prompt: &str) -> String {
        let args = settings::ask(self.agent, prompt);
        self.run(self.agent.name(), &args).await
    }

    async fn run(&self, program: &str, args: &[&str]) -> String {
        let mut command = self.command(program);
        command.args(args).stdin(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, output)
            .await
            .unwrap_or_else(|_| panic!("{program} {args:?} takes too long"))
            .expect("a program at this desk");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        assert!(
            status.success(),
            "{program} {args:?}: {status}\n{said}\n{told}"
        );
        said
    }
}

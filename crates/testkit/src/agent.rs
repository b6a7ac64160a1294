//! Real agents, `claude`, `codex` and `gemini`, as `scripts/setup` installs them: each in a home of its own, in which it
//! finds a [model that is a script](crate::model) and no way to anybody else.

mod settings;
mod terminal;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::model::Model;
use crate::real;

pub use terminal::Terminal;

/// How long an agent may take for a whole run: three of them start at once on a small machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program that people let a model work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
}

/// An agent's home, with a project in it where the agent runs.
#[derive(Debug)]
pub struct Desk {
    agent: Agent,
    home: TempDir,
    model: String,
    folders: Vec<PathBuf>,
    variables: Vec<(String, String)>,
}

// === impl Agent ===

impl Agent {
    /// All there are.
    pub const ALL: [Agent; 3] = [Agent::Claude, Agent::Codex, Agent::Gemini];

    /// Its command.
    pub fn name(self) -> &'static str {
        match self {
            Agent::Claude => "claude",
            Agent::Codex => "codex",
            Agent::Gemini => "gemini",
        }
    }

    /// What people call it, with the version that is installed.
    ///
    /// # Panics
    /// When none is.
    pub fn title(self) -> String {
        let (title, package) = match self {
            Agent::Claude => ("Claude Code", "@anthropic-ai/claude-code"),
            Agent::Codex => ("Codex", "@openai/codex"),
            Agent::Gemini => ("Gemini CLI", "@google/gemini-cli"),
        };
        let manifest = real::modules("agents").join(package).join("package.json");
        let text = std::fs::read_to_string(manifest).expect("the agent is installed");
        let manifest: Value = serde_json::from_str(&text).expect("a manifest is JSON");
        format!(
            "{title} {}",
            manifest["version"].as_str().expect("a version")
        )
    }

    fn program(self) -> PathBuf {
        let modules = real::modules("agents");
        match self {
            // What npm links is a stand-in that an install script would replace by this program.
            Agent::Claude => {
                let system = match std::env::consts::OS {
                    "macos" => "darwin",
                    other => other,
                };
                let processor = match std::env::consts::ARCH {
                    "x86_64" => "x64",
                    "aarch64" => "arm64",
                    other => other,
                };
                let package = format!("@anthropic-ai/claude-code-{system}-{processor}");
                modules.join(package).join("claude")
            }
            Agent::Codex | Agent::Gemini => modules.join(".bin").join(self.name()),
        }
    }
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
    fn command(&self, program: &str) -> Command {
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

    /// Starts the agent in a terminal of its own, where it runs until it is dropped.
    pub async fn sit(&self) -> Terminal<'_> {
        Terminal::start(self).await
    }
}

//! Real agents, `claude`, `codex` and `gemini`, as `scripts/setup` installs them: each in a home of its own, in which it
//! finds a [model that is a script](crate::model) and no way to anybody else.

mod desk;
mod settings;
mod terminal;

use std::path::PathBuf;

use serde_json::Value;

use crate::real;

pub use desk::Desk;
pub use terminal::Terminal;

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

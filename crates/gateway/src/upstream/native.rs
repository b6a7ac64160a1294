//! The server `native`: an agent asks it before it uses a tool of its own. It answers
//! that it may; whether it gets so far is for policies, as with any server.

use std::path::{Component, Path, PathBuf};

use provost_policy::json::Value;
use provost_policy::{Call, Caller, RuleId};
use serde_json::{Map, json};

use super::builtin::{Answering, Builtin, Progress, ToolAnswer, ToolCall};
use crate::text::native::{NativeTool, TOOLS, unknown};

/// Programs that no agent starts from its shell: they would lead past what judges it.
const PROGRAMS: [&str; 5] = ["provost", "tmux", "claude", "codex", "gemini"];
/// Programs whose arguments are a command again.
const WRAPPERS: [&str; 14] = [
    "sudo", "doas", "env", "exec", "nohup", "xargs", "time", "timeout", "command", "setsid",
    "nice", "stdbuf", "eval", "busybox",
];
/// What ends one command in a shell's text and begins another.
const BETWEEN: [char; 9] = [';', '|', '&', '(', ')', '{', '}', '`', '\n'];

/// Asked before native tools are used.
#[derive(Debug)]
pub struct Native {
    /// Directories that nothing of an agent touches.
    guarded: Vec<PathBuf>,
}

// === impl Native ===

impl Native {
    /// Nothing in these directories is read or written by a native tool, whatever a
    /// policy says: Provost's own, and what configures an agent.
    #[must_use]
    pub fn guarding(guarded: Vec<PathBuf>) -> Self {
        Self { guarded }
    }

    fn guards(&self, path: &str) -> Option<String> {
        let path = plain(Path::new(path));
        let guarded = self.guarded.iter().find(|it| path.starts_with(it))?;
        Some(format!(
            "`{}` is Provost's own, and no policy opens it to an agent",
            guarded.display()
        ))
    }

    /// What a command must not be. It is read as a shell would begin to read it: a
    /// program that sets out to hide what it starts is for strong mode.
    fn forbids(&self, command: &str) -> Option<String> {
        let named = |it: &&PathBuf| it.to_str().is_some_and(|it| command.contains(it));
        if let Some(guarded) = self.guarded.iter().find(named) {
            return self.guards(&guarded.to_string_lossy());
        }
        let program = command.split(BETWEEN).find_map(started)?;
        Some(format!(
            "an agent may not start `{program}` from its shell; no policy allows it"
        ))
    }
}

impl Builtin for Native {
    fn instructions(&self) -> &str {
        "Asked before an agent uses a tool of its own; a call that is allowed answers {\"allowed\": true} and does nothing else."
    }

    fn tools(&self, _: &Caller) -> serde_json::Value {
        let tool = |tool: &NativeTool| {
            let arguments = tool.arguments.iter();
            let properties: Map<_, _> = arguments
                .map(|(name, kind)| ((*name).to_owned(), json!({"type": kind})))
                .collect();
            json!({
                "name": tool.name, "title": tool.title,
                "annotations": {"readOnlyHint": tool.only_reads},
                "inputSchema": {"type": "object", "properties": properties},
                "outputSchema": {
                    "type": "object", "required": ["allowed"],
                    "properties": {"allowed": {"type": "boolean"}},
                },
            })
        };
        TOOLS.iter().map(tool).collect()
    }

    fn refuses(&self, call: &Call<'_>, _: &Caller) -> Option<(RuleId, String)> {
        let argument = |name: &str| call.arguments?.get(name).and_then(Value::as_str);
        let why = match call.tool? {
            tool if !TOOLS.iter().any(|known| known.name == tool) => Some(unknown(tool)),
            "shell" => argument("command")
                .and_then(|command| self.forbids(&command))
                .or_else(|| argument("cwd").and_then(|cwd| self.guards(&cwd))),
            _ => argument("path").and_then(|path| self.guards(&path)),
        };
        why.map(|why| (RuleId::BUILT_IN, why))
    }

    fn call(&self, _: ToolCall, _: Caller, _: Progress) -> Answering {
        Box::pin(std::future::ready(ToolAnswer::Result(
            json!({"allowed": true}),
        )))
    }
}

/// The forbidden program that one simple command starts, if it does.
fn started(command: &str) -> Option<&'static str> {
    let (mut begins, mut after_flag) = (true, false);
    for word in command.split_whitespace() {
        let bare = word.trim_matches(['"', '\'', '$', '\\', '<', '>']);
        let name = bare.rsplit('/').next().unwrap_or(bare);
        let found = PROGRAMS.into_iter().find(|program| *program == name);
        // A path to one is named for one reason; a bare word may be part of a text.
        if found.is_some() && (begins || bare.contains('/')) {
            return found;
        }
        let assigns = bare.contains('=') && !bare.starts_with('-');
        let passed_over = assigns || word.starts_with('-') || bare.parse::<f64>().is_ok();
        begins = begins && (passed_over || after_flag) || WRAPPERS.contains(&name) || word == "-c";
        // What follows an option may be its value.
        after_flag = word.starts_with('-');
    }
    None
}

/// The path without `.`, `..` and doubled slashes, by its text alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests;

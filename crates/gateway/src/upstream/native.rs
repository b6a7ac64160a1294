//! The server `native`: an agent asks it before it uses a tool of its own. It answers
//! that it may; whether it gets so far is for policies, as with any server.

use std::path::{Component, Path, PathBuf};

use provost_policy::{Call, Caller, RuleId};
use serde_json::{Map, json};

use super::builtin::{Answering, Builtin, Progress, ToolAnswer, ToolCall};
use crate::text::native::{NativeTool, TOOLS, unknown};

/// Programs that no agent starts from its shell: they would lead past what judges it.
const PROGRAMS: [&str; 5] = ["provost", "tmux", "claude", "codex", "gemini"];
/// Programs whose arguments are a command again.
const WRAPPERS: [&str; 28] = [
    "sudo", "doas", "env", "exec", "nohup", "xargs", "time", "timeout", "command", "setsid",
    "nice", "ionice", "stdbuf", "eval", "busybox", "chroot", "strace", "watch", "unshare", "npx",
    "coproc", "!", "if", "then", "else", "while", "until", "do",
];
/// Longest command: no shell is given a longer one (Linux, `MAX_ARG_STRLEN`), and what is
/// looked at here grows with it.
const LONGEST_COMMAND: usize = 128 * 1024;
/// What ends one command in a shell's text and begins another.
const BETWEEN: [char; 4] = [';', '|', '&', '\n'];

/// Asked before native tools are used.
#[derive(Debug)]
pub struct Native {
    /// Directories that nothing of an agent touches, as they were named and as they are.
    guarded: Vec<PathBuf>,
    /// What `~` stands for in a shell.
    home: Option<String>,
}

// === impl Native ===

impl Native {
    /// Nothing in these directories is read or written by a native tool, whatever a
    /// policy says. They are Provost's own. `home` is what `~` stands for in a shell.
    #[must_use]
    pub fn guarding(directories: Vec<PathBuf>, home: Option<&Path>) -> Self {
        let mut guarded = directories;
        let real: Vec<_> = guarded
            .iter()
            .filter_map(|it| it.canonicalize().ok())
            .collect();
        guarded.extend(real);
        let home = home.and_then(Path::to_str).map(str::to_owned);
        Self { guarded, home }
    }

    /// Why this path is not opened; `search` looks at everything below it, too.
    fn guards(&self, path: &str, search: bool) -> Option<String> {
        if !path.starts_with('/') {
            return Some("the path has to be absolute".to_owned());
        }
        let path = plain(Path::new(path));
        let ways = [real(&path), path];
        let touches = |guarded: &&PathBuf| {
            ways.iter()
                .any(|way| way.starts_with(guarded) || search && guarded.starts_with(way))
        };
        self.guarded.iter().find(touches).map(|it| owned(it))
    }

    /// What a command must not be. It is read as a shell would begin to read it: a
    /// program that sets out to hide what it starts is for strong mode.
    fn forbids(&self, command: &str) -> Option<String> {
        if command.len() > LONGEST_COMMAND {
            return Some(format!("a command has at most {LONGEST_COMMAND} bytes"));
        }
        let mut text = command.to_owned();
        if let Some(home) = &self.home {
            for spelt in ["~", "$HOME", "${HOME}"] {
                text = text.replace(spelt, home);
            }
        }
        while text.contains("//") || text.contains("/./") {
            text = text.replace("//", "/").replace("/./", "/");
        }
        let named = |it: &&PathBuf| it.to_str().is_some_and(|it| names(&text, it));
        if let Some(guarded) = self.guarded.iter().find(named) {
            return Some(owned(guarded));
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
        let tool = call.tool?;
        if !TOOLS.iter().any(|known| known.name == tool) {
            return Some((RuleId::BUILT_IN, unknown(tool)));
        }
        let argument = |name: &str| match call.arguments.and_then(|it| it.get(name)) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| format!("`{name}` has to be a text")),
        };
        let refused = || {
            Ok::<_, String>(match tool {
                "shell" => {
                    let by_command =
                        argument("command")?.and_then(|command| self.forbids(&command));
                    by_command.or(argument("cwd")?.and_then(|cwd| self.guards(&cwd, false)))
                }
                _ => argument("path")?.and_then(|path| self.guards(&path, tool == "search_files")),
            })
        };
        let why = refused().unwrap_or_else(Some)?;
        Some((RuleId::BUILT_IN, why))
    }

    fn call(&self, _: ToolCall, _: Caller, _: Progress) -> Answering {
        Box::pin(std::future::ready(ToolAnswer::Result(
            json!({"allowed": true}),
        )))
    }
}

/// The forbidden program that one simple command starts, if it does.
fn started(command: &str) -> Option<&'static str> {
    let (mut begins, mut after_option) = (true, false);
    for word in command.split_whitespace() {
        let substitutes = word.contains("$(") || word.contains('`');
        let bare = word.rsplit(['(', '`', '>']).next().unwrap_or(word);
        let bare = bare.trim_matches(['"', '\'', '\\', ')', '{', '}']);
        let name = bare.rsplit('/').next().unwrap_or(bare);
        let found = PROGRAMS.into_iter().find(|program| *program == name);
        if found.is_some() && (begins || substitutes) {
            return found;
        }
        let option = word.starts_with('-');
        let assigns = bare.contains('=') && !option;
        let redirects = word.contains('>');
        let passed_over = assigns || option || redirects || bare.parse::<f64>().is_ok();
        // `bash -lc`: a command follows.
        let runs = option && !word.starts_with("--") && word.ends_with('c');
        begins = begins && (passed_over || after_option)
            || WRAPPERS.contains(&name)
            || runs
            || matches!(word, "{" | "(");
        // What follows an option may be its value.
        after_option = option;
    }
    None
}

/// Whether a text has this path in it, and not only the beginning of another name.
fn names(text: &str, path: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || "-_.".contains(c));
    text.match_indices(path)
        .any(|(at, _)| !text.get(at + path.len()..).is_some_and(goes_on))
}

fn owned(guarded: &Path) -> String {
    format!(
        "`{}` is Provost's own, and no policy opens it to an agent",
        guarded.display()
    )
}

/// The path with the links followed of as much of it as there is.
fn real(path: &Path) -> PathBuf {
    let there = |above: &Path| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    };
    path.ancestors()
        .find_map(there)
        .unwrap_or_else(|| path.to_owned())
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

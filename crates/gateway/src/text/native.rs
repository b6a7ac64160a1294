//! What an agent's own tools are called and given here: the hooks of each agent, read
//! strictly, and their tools under one set of names that policies can speak of.

use std::borrow::Cow;

use provost_policy::json::{self, Bounds, Document, Kind, Value};

use crate::text::brief::{NAME, SENTENCE, brief};
use crate::text::meta;
use crate::text::protocol::MODERN;

/// The server that is asked before native tools are used.
pub const NATIVE: &str = "native";

/// An agent whose hooks are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookedAgent {
    /// Claude Code: `PreToolUse`, documented at code.claude.com under *Hooks*.
    Claude,
}

/// A native tool under its name here, and what it is used for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NativeTool {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Whether it changes nothing.
    pub(crate) only_reads: bool,
    /// Its arguments with their JSON types, as policies may speak of them; others an
    /// agent gives keep their own names.
    pub(crate) arguments: &'static [(&'static str, &'static str)],
}

/// What was decided about a native tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeVerdict {
    /// It may.
    Allowed,
    /// It may not, and why, in words for the agent.
    Denied(String),
    /// Its grant is only observed: the agent decides as it would without a hook.
    Observed,
}

/// One tool of an agent: its name there, its name here, and its arguments there and here.
struct Mapped(
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Every native tool that has a name here. Others are denied.
#[rustfmt::skip]
pub(crate) const TOOLS: &[NativeTool] = &[
    NativeTool { name: "shell", only_reads: false, title: "Run a command in a shell",
        arguments: &[("command", "string"), ("cwd", "string"), ("timeout_ms", "number"), ("background", "boolean")] },
    NativeTool { name: "shell_output", only_reads: false, title: "Read what a command in the background wrote, or end it",
        arguments: &[("id", "string")] },
    NativeTool { name: "read_file", only_reads: true, title: "Read a file", arguments: &[("path", "string")] },
    NativeTool { name: "write_file", only_reads: false, title: "Write or edit a file",
        arguments: &[("path", "string"), ("content", "string"), ("old", "string"), ("new", "string")] },
    NativeTool { name: "search_files", only_reads: true, title: "Search names or contents of files",
        arguments: &[("pattern", "string"), ("path", "string")] },
    NativeTool { name: "fetch", only_reads: true, title: "Fetch a URL", arguments: &[("url", "string")] },
    NativeTool { name: "web_search", only_reads: true, title: "Search the web", arguments: &[("query", "string")] },
    NativeTool { name: "plan", only_reads: true, title: "Plan, and ask: nothing that reaches beyond the agent", arguments: &[] },
    NativeTool { name: "spawn_agent", only_reads: false, title: "Start an agent inside the agent",
        arguments: &[("prompt", "string")] },
];

const PATH: (&str, &str) = ("file_path", "path");

/// The tools of Claude Code 2.1.
#[rustfmt::skip]
const CLAUDE: &[Mapped] = &[
    Mapped("Bash", "shell", &[("timeout", "timeout_ms"), ("run_in_background", "background")]),
    Mapped("BashOutput", "shell_output", &[("bash_id", "id")]),
    Mapped("KillShell", "shell_output", &[("shell_id", "id")]),
    Mapped("TaskOutput", "shell_output", &[("task_id", "id")]),
    Mapped("TaskStop", "shell_output", &[("task_id", "id")]),
    Mapped("Read", "read_file", &[PATH]),
    Mapped("Write", "write_file", &[PATH]),
    Mapped("Edit", "write_file", &[PATH, ("old_string", "old"), ("new_string", "new")]),
    Mapped("MultiEdit", "write_file", &[PATH]),
    Mapped("NotebookEdit", "write_file", &[("notebook_path", "path"), ("new_source", "new")]),
    Mapped("Glob", "search_files", &[]),
    Mapped("Grep", "search_files", &[]),
    Mapped("LS", "search_files", &[]),
    Mapped("WebFetch", "fetch", &[]),
    Mapped("WebSearch", "web_search", &[]),
    Mapped("TodoWrite", "plan", &[]),
    Mapped("TaskCreate", "plan", &[]),
    Mapped("TaskGet", "plan", &[]),
    Mapped("TaskList", "plan", &[]),
    Mapped("TaskUpdate", "plan", &[]),
    Mapped("ToolSearch", "plan", &[]),
    Mapped("AskUserQuestion", "plan", &[]),
    Mapped("EnterPlanMode", "plan", &[]),
    Mapped("ExitPlanMode", "plan", &[]),
    Mapped("Task", "spawn_agent", &[]),
    Mapped("Agent", "spawn_agent", &[]),
];

// === impl HookedAgent ===

impl HookedAgent {
    /// Every agent whose hooks are understood.
    pub const ALL: [Self; 1] = [Self::Claude];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
        }
    }

    /// The agent with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.name() == name)
    }

    fn tools(self) -> &'static [Mapped] {
        match self {
            Self::Claude => CLAUDE,
        }
    }

    /// What this agent's hook is about to do, as a `tools/call` on server `native`.
    ///
    /// # Errors
    /// Why it cannot be said, in words for the agent: it must not do it then.
    pub(crate) fn request(self, hook: &[u8]) -> Result<String, String> {
        let hook = json::read(hook, Bounds::default())
            .map_err(|problem| format!("the hook's input cannot be read: {problem}"))?;
        let (tool, arguments) = self.call(&hook)?;
        let meta = format!(
            r#"{{"{}":"{MODERN}","{}":{{}},"{}":{{"name":"{} native tools","version":"{}"}}}}"#,
            meta::VERSION,
            meta::CAPABILITIES,
            meta::CLIENT,
            self.name(),
            env!("CARGO_PKG_VERSION"),
        );
        let tool = serde_json::Value::from(tool);
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{tool},"arguments":{arguments},"_meta":{meta}}}}}"#
        );
        // On one line, for ways that are framed by lines; inside strings there are none.
        Ok(request.replace(['\n', '\r'], " "))
    }

    /// The tool's name here, and its arguments as a JSON object.
    fn call(self, hook: &Document<'_>) -> Result<(String, String), String> {
        let hook = hook.root();
        let text = |name: &str| hook.get(name).and_then(Value::as_str);
        let event = text("hook_event_name").unwrap_or_default();
        if event != "PreToolUse" {
            return Err(format!(
                "hook `{}` decides nothing here; `provost hook` belongs into `PreToolUse`",
                brief(&event, NAME).escape_debug()
            ));
        }
        let Some(name) = text("tool_name") else {
            return Err("the hook's input names no tool".to_owned());
        };
        let known = self.tools().iter().find(|it| it.0 == name);
        // What has no name here keeps its own, by which it is refused and recorded.
        if known.is_none() && TOOLS.iter().any(|tool| tool.name == name) {
            return Err(unknown(&name));
        }
        let (tool, renamed) = known.map_or((&*name, &[][..]), |it| (it.1, it.2));
        let input = hook
            .get("tool_input")
            .filter(|it| it.kind() == Kind::Object);
        let Some(input) = input else {
            let name = brief(&name, NAME);
            return Err(format!("the hook's input has no arguments for `{name}`"));
        };
        let pattern = input.get("pattern").and_then(Value::as_str);
        if name == "Glob" && pattern.is_some_and(|pattern| leads_elsewhere(&pattern)) {
            return Err("`Glob` looks where its pattern leads: give the directory as `path`, and a pattern below it".to_owned());
        }
        let cwd = hook.get("cwd").filter(|cwd| cwd.kind() == Kind::String);
        let mut arguments: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for member in input.members() {
            let there = member.name();
            let here = renamed.iter().find(|(name, _)| *name == there);
            let here = here.map_or(there, |(_, here)| Cow::Borrowed(*here));
            let value = match here.as_ref() {
                "path" => absolute(member.value, cwd),
                _ => Cow::Borrowed(member.value.raw()),
            };
            arguments.push((here, value));
        }
        let place = match tool {
            // A command runs where the agent is, whatever it says itself.
            "shell" => Some("cwd"),
            // So does a search that names no place.
            "search_files" if input.get("path").is_none() => Some("path"),
            _ => None,
        };
        if let (Some(place), Some(cwd)) = (place, cwd) {
            arguments.push((Cow::Borrowed(place), Cow::Borrowed(cwd.raw())));
        }
        Ok((tool.to_owned(), object(&arguments)))
    }

    /// What the hook says to its agent.
    #[must_use]
    pub fn answer(self, verdict: &NativeVerdict) -> String {
        let (decision, reason) = match verdict {
            NativeVerdict::Allowed => ("allow", Cow::Borrowed("allowed by policy")),
            NativeVerdict::Denied(reason) => ("deny", brief(reason, SENTENCE)),
            NativeVerdict::Observed => return "{}".to_owned(),
        };
        match self {
            Self::Claude => serde_json::json!({"hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": decision,
                "permissionDecisionReason": reason,
            }})
            .to_string(),
        }
    }
}

/// What the answer to such a request means: only a result that says so is a yes.
pub(crate) fn verdict(answer: &[u8]) -> NativeVerdict {
    match said(answer) {
        Ok(()) => NativeVerdict::Allowed,
        Err(why) => NativeVerdict::Denied(why),
    }
}

fn said(answer: &[u8]) -> Result<(), String> {
    let unread = |_| "the answer cannot be read".to_owned();
    let answer = json::read(answer, Bounds::default()).map_err(unread)?;
    let error = answer.root().get("error").and_then(|it| it.get("message"));
    if let Some(message) = error.and_then(Value::as_str) {
        return Err(message.into_owned());
    }
    let result = answer.root().get("result");
    let allowed = result.and_then(|it| it.get("structuredContent")?.get("allowed"));
    if allowed.and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let said = result.and_then(|it| it.get("content")?.elements().next()?.get("text"));
    let said = said.and_then(Value::as_str);
    Err(said.map_or_else(|| "nobody said that it may".to_owned(), Cow::into_owned))
}

/// Why a native tool that has no name here is denied, in words for the agent.
pub(crate) fn unknown(name: &str) -> String {
    let shown = brief(name, NAME);
    let shown = shown.escape_debug();
    match name.starts_with("mcp__") {
        true => format!(
            "`{shown}` is a tool of an MCP server: it is judged where its server stands behind Provost; leave `mcp__` tools out of the hook's matcher"
        ),
        false => format!("native tool `{shown}` is not known to Provost, so it is denied"),
    }
}

/// Whether a pattern can match outside of the directory it is looked for in.
fn leads_elsewhere(pattern: &str) -> bool {
    pattern.starts_with(['/', '~'])
        || pattern
            .split(['/', '\\', '{', ',', '}'])
            .any(|part| part == "..")
}

/// The path as JSON text. A relative one begins where the agent is.
fn absolute<'d>(path: Value<'d>, cwd: Option<Value<'d>>) -> Cow<'d, str> {
    let relative = path.as_str().filter(|path| !path.starts_with(['/', '~']));
    match relative.zip(cwd.and_then(Value::as_str)) {
        Some((path, cwd)) => {
            let whole = format!("{}/{path}", cwd.trim_end_matches('/'));
            Cow::Owned(serde_json::Value::from(whole).to_string())
        }
        None => Cow::Borrowed(path.raw()),
    }
}

/// A JSON object of these members. Two of one name stay two: whoever judges refuses that.
fn object(members: &[(Cow<'_, str>, Cow<'_, str>)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name.as_ref())))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests;

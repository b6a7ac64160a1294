//! A policy to begin with, from what a server says of itself.

use std::collections::HashSet;

use provost_policy::{Diagnostic, Policy, lengths};
use serde_json::{Map, Value, json};

use crate::{brief, to_json};

/// What a server offers.
#[derive(Debug, Clone, Default)]
pub struct Described<'s> {
    /// How it calls itself, with its version.
    pub server: &'s str,
    /// The names of its capabilities, such as `resources`.
    pub capabilities: &'s [String],
    /// Its tools, as `tools/list` answers them.
    pub tools: &'s [Value],
}

/// A policy that was written for people to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// The document.
    pub policy_json: String,
    /// Tools that are allowed without further rules.
    pub allowed: Vec<String>,
    /// Tools that are allowed so many times a minute.
    pub limited: Vec<String>,
    /// Tools that are refused until somebody has looked at them.
    pub denied: Vec<String>,
    /// What could not be taken over, and why.
    pub left_out: Vec<String>,
}

/// How a tool is treated, by what its server says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Allowed,
    Limited,
    Denied,
}

/// Characters of what a tool is for.
const SENTENCE: usize = 160;
/// Characters of the name of an argument or a tool in text.
const NAME: usize = 64;
/// Arguments that are named; more than these say nothing.
const ARGUMENTS: usize = 24;
/// Calls a minute of a tool of which its server says nothing.
const RATE: u32 = 30;
/// Shown to the agent.
const REASON: &str = "not allowed yet: the server does not rule out that this destroys something, so a person has to look at it first";

/// Writes the policy. Arguments that look like paths have to be inside of `roots`, if there are any.
///
/// # Errors
///
/// What is wrong with the roots.
pub fn scaffold(described: &Described<'_>, roots: &[String]) -> Result<Scaffold, Vec<Diagnostic>> {
    let mut written = Scaffold {
        policy_json: String::new(),
        allowed: Vec::new(),
        limited: Vec::new(),
        denied: Vec::new(),
        left_out: Vec::new(),
    };
    let mut tools = Map::new();
    let mut seen = HashSet::new();
    let called = |tool: &Value, name: &str| tool.get("name").and_then(Value::as_str) == Some(name);
    let is_clear = |tool: &Value, name: &str| {
        let mut listed = described.tools.iter().filter(|other| called(other, name));
        listed.all(|other| other == tool)
    };
    for tool in described.tools {
        let Some(name) = tool.get("name").and_then(Value::as_str) else {
            continue;
        };
        if !seen.insert(name) {
            continue;
        }
        if name.contains('*') || !lengths::is_tool_name(name) {
            let shown = brief::line(name, NAME);
            let why = format!("a policy cannot name the tool `{shown}`; it is refused");
            written.left_out.push(why);
            continue;
        }
        // Listed twice, in two ways: which of them a call would reach nobody knows.
        let treatment = match is_clear(tool, name) {
            true => treatment(tool),
            false => Treatment::Denied,
        };
        written.left_out.extend(unguarded(name, tool, roots));
        let list = match treatment {
            Treatment::Allowed => &mut written.allowed,
            Treatment::Limited => &mut written.limited,
            Treatment::Denied => &mut written.denied,
        };
        list.push(name.to_owned());
        tools.insert(name.to_owned(), block(tool, treatment, roots));
    }
    let server = brief::line(described.server, SENTENCE);
    let policy = json!({
        "version": "1",
        "description": format!(
            "Written by `provost policy init` from what `{server}` lists. That a tool only reads, or destroys nothing, \
             is the server's own claim: look at each. Tools that are not listed here are refused."
        ),
        "default": "deny",
        "methods": { "allow": methods(described.capabilities) },
        "tools": tools,
    });
    written.policy_json = to_json(&Policy::parse(&policy.to_string())?);
    Ok(written)
}

/// What a well-behaved client and server need beside calls of tools.
fn methods(capabilities: &[String]) -> Vec<&'static str> {
    let needed = [
        ("", "roots/list"),
        ("resources", "resources/read"),
        ("prompts", "prompts/get"),
        ("completions", "completion/complete"),
    ];
    let has = |capability: &str| {
        capability.is_empty() || capabilities.iter().any(|known| known == capability)
    };
    let needed = needed.into_iter().filter(|(capability, _)| has(capability));
    needed.map(|(_, method)| method).collect()
}

/// A server's word may make a policy more careful; it never makes one less so than silence does, but that a tool only
/// reads is believed here, and said.
fn treatment(tool: &Value) -> Treatment {
    let hint = |name: &str| tool.get("annotations")?.get(name)?.as_bool();
    match (hint("readOnlyHint"), hint("destructiveHint")) {
        (_, Some(true)) | (Some(false), None) => Treatment::Denied,
        (Some(true), None | Some(false)) => Treatment::Allowed,
        (Some(false) | None, Some(false)) | (None, None) => Treatment::Limited,
    }
}

fn block(tool: &Value, treatment: Treatment, roots: &[String]) -> Value {
    let mut block = Map::new();
    let arguments = arguments(tool);
    let description = description(tool, &arguments, treatment);
    block.insert("description".to_owned(), description.into());
    match treatment {
        Treatment::Denied => {
            block.insert("action".to_owned(), "deny".into());
            block.insert("reason".to_owned(), REASON.into());
            return block.into();
        }
        Treatment::Limited => {
            let limit = json!({ "max": RATE, "window": 60 });
            block.insert("rate_limit".to_owned(), limit);
        }
        Treatment::Allowed => {}
    }
    let inside = |argument: &Argument| {
        let path = argument.path_in_roots()?;
        Some(json!({
            "conditions": [{ "path": path, "op": "under", "value": roots }],
            "on_deny": format!("`{}` has to be inside of {}", brief::line(&argument.name, NAME), roots.join(", ")),
        }))
    };
    let require: Vec<Value> = match roots {
        [] => Vec::new(),
        _ => arguments.iter().filter_map(inside).collect(),
    };
    if !require.is_empty() {
        block.insert("require".to_owned(), require.into());
    }
    block.into()
}

/// Arguments that seem to name files, and that no rule keeps inside of the roots.
fn unguarded(name: &str, tool: &Value, roots: &[String]) -> Vec<String> {
    let arguments = arguments(tool).into_iter().filter(|_| !roots.is_empty());
    let free = arguments
        .filter(|argument| names_files(&argument.name) && argument.path_in_roots().is_none());
    free.map(|argument| {
        let argument = brief::line(&argument.name, NAME);
        format!("`{argument}` of `{name}` may name files, and no rule keeps it inside of the roots: look at it")
    })
    .collect()
}

fn description(tool: &Value, arguments: &[Argument], treatment: Treatment) -> String {
    let text = |name: &str| tool.get(name).and_then(Value::as_str);
    let annotated = tool.get("annotations").and_then(|all| all.get("title"));
    let titles = [
        text("description"),
        text("title"),
        annotated.and_then(Value::as_str),
    ];
    let mut titles = titles.into_iter().flatten();
    let title = titles
        .find(|title| !title.trim().is_empty())
        .map(|title| brief::sentence(title, SENTENCE))
        .filter(|title| !title.is_empty());
    let mut parts = Vec::from_iter(title);
    if !arguments.is_empty() {
        let mut named: Vec<String> = arguments
            .iter()
            .take(ARGUMENTS)
            .map(Argument::in_words)
            .collect();
        if arguments.len() > ARGUMENTS {
            named.push(format!("and {} more", arguments.len() - ARGUMENTS));
        }
        parts.push(format!("Arguments: {}.", named.join(", ")));
    }
    let claim = match treatment {
        Treatment::Allowed => "The server says that it only reads.",
        Treatment::Denied => "The server says, or does not rule out, that it destroys something.",
        Treatment::Limited => "The server does not say that it only reads.",
    };
    parts.push(claim.to_owned());
    parts.join(" ")
}

/// One argument of a tool.
struct Argument {
    name: String,
    /// Its type in the schema's words, where it says one.
    form: Option<String>,
    required: bool,
}

fn arguments(tool: &Value) -> Vec<Argument> {
    let schema = tool.get("inputSchema");
    let required = schema.and_then(|schema| schema.get("required"));
    let is_required = |name: &str| {
        let names = required.and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|known| known == name))
    };
    let properties = schema.and_then(|schema| schema.get("properties"));
    let properties = properties.and_then(Value::as_object);
    let argument = |(name, property): (&String, &Value)| Argument {
        name: name.clone(),
        form: form(property),
        required: is_required(name),
    };
    properties.into_iter().flatten().map(argument).collect()
}

/// The type of an argument; of one that may be null, what else it may be.
fn form(property: &Value) -> Option<String> {
    let named = |schema: &Value| match schema.get("type") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        }
        Some(_) | None => Vec::new(),
    };
    let parts = ["anyOf", "oneOf"].into_iter();
    let parts = parts.filter_map(|name| property.get(name)?.as_array());
    let mut forms = named(property);
    forms.extend(parts.flatten().flat_map(named));
    forms.retain(|form| form != "null");
    forms.dedup();
    (!forms.is_empty()).then(|| brief::line(&forms.join(" or "), NAME))
}

// === impl Argument ===

impl Argument {
    fn in_words(&self) -> String {
        let name = brief::line(&self.name, NAME);
        let form = self.form.as_deref();
        let required = self.required.then_some("required");
        let more: Vec<&str> = form.into_iter().chain(required).collect();
        match more.as_slice() {
            [] => format!("`{name}`"),
            more => format!("`{name}` ({})", more.join(", ")),
        }
    }

    /// The path of a condition on it, if it seems to name files. A list of `files` is often one of names inside of
    /// another argument; one of `paths` rarely is.
    fn path_in_roots(&self) -> Option<String> {
        let end = match self.form.as_deref() {
            Some("array") if last_word(&self.name) == "files" => return None,
            Some("array") => "[*]",
            // Whatever else it may be: what is not text is refused then.
            Some(_) | None => "",
        };
        let path = format!("args.{}{end}", self.name);
        (names_files(&self.name) && only_this(&path, &self.name)).then_some(path)
    }
}

/// Whether the last word of a name is one for files and folders.
fn names_files(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "path",
        "paths",
        "file",
        "files",
        "filename",
        "filepath",
        "directory",
        "directories",
        "dir",
        "dirs",
        "folder",
        "folders",
        "source",
        "destination",
        "cwd",
        "workdir",
        "root",
    ];
    WORDS.contains(&last_word(name).as_str())
}

/// The last word of `repo_path`, `repo-path` or `repoPath`.
fn last_word(name: &str) -> String {
    let capitals = name
        .char_indices()
        .filter(|(at, c)| *at > 0 && c.is_uppercase());
    let starts = capitals
        .map(|(at, _)| at)
        .chain(name.rfind(['_', '-']).map(|at| at + 1));
    let start = starts.max().unwrap_or(0);
    name.get(start..).unwrap_or_default().to_lowercase()
}

/// Whether a path leads to the argument of that name and nowhere else: one with a dot in its name cannot be written.
fn only_this(path: &str, name: &str) -> bool {
    use provost_policy::path::{Path, Step};
    let parsed = Path::parse(path);
    let is_first =
        |step: Option<&Step>| matches!(step, Some(Step::Key(key)) if key.as_str() == name);
    parsed.is_ok_and(|path| {
        let keys = path
            .steps()
            .iter()
            .filter(|step| matches!(step, Step::Key(_)));
        keys.count() == 1 && is_first(path.steps().first())
    })
}

/// Whether an argument of that name can be asked about.
pub(crate) fn can_be_named(name: &str) -> Option<String> {
    let path = format!("args.{name}");
    only_this(&path, name).then_some(path)
}

#[cfg(test)]
mod tests;

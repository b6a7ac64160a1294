//! The steps in a prompt, and which of them come next.

use std::path::PathBuf;

use serde_json::Value;

use super::conversation::{Call, Conversation, Said, Tool, is_tool_of};

/// The names that clients have for their shell, and for its command.
const SHELLS: [(&str, &str); 3] = [
    ("Bash", "command"),
    ("exec_command", "cmd"),
    ("run_shell_command", "command"),
];

/// One line of a script.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Call {
        server: String,
        tool: String,
        arguments: Value,
    },
    Use {
        tool: String,
        arguments: Value,
    },
    Shell(String),
    Wait(PathBuf),
    Say(String),
}

/// What is left of a script in a conversation.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// The steps up to the next call, with it.
    pub(super) steps: Vec<Step>,
    /// The prompt that it stands in.
    pub(super) prompt: String,
    /// What the calls before came to.
    pub(super) results: Vec<String>,
}

// === impl Next ===

impl Next {
    /// The latest prompt with a script counts, and what tools said since then.
    pub(super) fn of(conversation: &Conversation) -> Next {
        let mut script = Vec::new();
        let mut prompt = String::new();
        let mut results = Vec::new();
        for said in &conversation.said {
            match said {
                // In brackets stands what the client says in the name of the user.
                Said::User(text) if text.starts_with('<') => {}
                Said::User(text) => {
                    let steps: Vec<Step> = text.lines().filter_map(Step::read).collect();
                    if !steps.is_empty() {
                        script = steps;
                        prompt.clone_from(text);
                        results.clear();
                    }
                }
                Said::Tool(result) => results.push(result.clone()),
            }
        }
        let mut calls = 0;
        script.retain(|step| {
            let before = calls;
            calls += usize::from(step.is_call());
            before == results.len()
        });
        Next {
            steps: script,
            prompt,
            results,
        }
    }

    /// A text with the results in their places.
    pub(super) fn fill(&self, text: &str) -> String {
        let numbered = self.results.iter().enumerate();
        let text = numbered.fold(text.to_owned(), |text, (index, result)| {
            text.replace(&format!("{{{{{}}}}}", index + 1), result)
        });
        text.replace("{{last}}", self.results.last().map_or("", String::as_str))
    }

    /// The call of a step, where the client has such a tool.
    pub(super) fn call(&self, step: &Step, offered: &[Tool]) -> Result<Call, String> {
        let find = |what: String, wanted: &dyn Fn(&Tool) -> bool| {
            let tool = offered.iter().find(|tool| wanted(tool)).cloned();
            tool.ok_or_else(|| format!("there is no {what}"))
        };
        let (tool, arguments) = match step {
            Step::Call {
                server,
                tool,
                arguments,
            } => {
                let what = format!("tool `{tool}` of `{server}`");
                let tool = find(what, &|own| is_tool_of(&own.full(), server, tool))?;
                (tool, self.fill_all(arguments))
            }
            Step::Use { tool, arguments } => {
                let tool = find(format!("tool `{tool}`"), &|own| own.name == *tool)?;
                (tool, self.fill_all(arguments))
            }
            Step::Shell(command) => {
                let is_shell = |own: &Tool| SHELLS.iter().any(|(name, _)| *name == own.name);
                let tool = find("shell".to_owned(), &is_shell)?;
                let shell = SHELLS.iter().find(|(name, _)| *name == tool.name);
                let key = shell.map_or("command", |(_, key)| *key);
                let mut arguments = serde_json::Map::new();
                arguments.insert(key.to_owned(), Value::String(self.fill(command)));
                (tool, Value::Object(arguments))
            }
            Step::Wait(_) | Step::Say(_) => return Err("there is nothing to call".to_owned()),
        };
        Ok(Call { tool, arguments })
    }

    fn fill_all(&self, arguments: &Value) -> Value {
        match arguments {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_all(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| (name.clone(), self.fill_all(field)))
                .collect(),
            other => other.clone(),
        }
    }
}

// === impl Step ===

impl Step {
    fn read(line: &str) -> Option<Step> {
        let (verb, rest) = line.trim().split_once(' ')?;
        let rest = rest.trim();
        match verb {
            "call" => {
                let (server, rest) = rest.split_once(' ')?;
                let (tool, arguments) = with_arguments(rest)?;
                Some(Step::Call {
                    server: server.to_owned(),
                    tool,
                    arguments,
                })
            }
            "use" => {
                let (tool, arguments) = with_arguments(rest)?;
                Some(Step::Use { tool, arguments })
            }
            "shell" => Some(Step::Shell(rest.to_owned())),
            "wait" => Some(Step::Wait(PathBuf::from(rest))),
            "say" => Some(Step::Say(rest.to_owned())),
            _ => None,
        }
    }

    fn is_call(&self) -> bool {
        match self {
            Step::Call { .. } | Step::Use { .. } | Step::Shell(_) => true,
            Step::Wait(_) | Step::Say(_) => false,
        }
    }
}

/// A tool and its arguments; a sentence for people has none that can be read.
fn with_arguments(rest: &str) -> Option<(String, Value)> {
    let (tool, arguments) = rest.trim().split_once(' ').unwrap_or((rest.trim(), "{}"));
    let arguments = serde_json::from_str(arguments).ok()?;
    Some((tool.to_owned(), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steps(said: Vec<Said>) -> Vec<Step> {
        let conversation = Conversation {
            said,
            ..Conversation::default()
        };
        Next::of(&conversation).steps
    }

    fn user(text: &str) -> Said {
        Said::User(text.to_owned())
    }

    fn tool(text: &str) -> Said {
        Said::Tool(text.to_owned())
    }

    #[test]
    fn a_script_goes_on_after_each_result() {
        let prompt = "Do this:\nsay one\ncall s t {\"a\": \"{{1}}\"}\nwait /x\nshell ls\nsay two";
        let told = || vec![user("<note>\nsay no\n</note>"), user(prompt)];
        let call = Step::Call {
            server: "s".to_owned(),
            tool: "t".to_owned(),
            arguments: json!({"a": "{{1}}"}),
        };
        assert_eq!(steps(told()), [Step::Say("one".to_owned()), call]);
        let shell = Step::Shell("ls".to_owned());
        let mut said = told();
        said.push(tool("r"));
        assert_eq!(steps(said), [Step::Wait("/x".into()), shell]);
        let mut said = told();
        said.extend([tool("r"), tool("r")]);
        assert_eq!(steps(said), [Step::Say("two".to_owned())]);
        let mut said = told();
        said.extend([tool("r"), tool("r"), user("say three")]);
        assert_eq!(steps(said), [Step::Say("three".to_owned())]);
    }

    #[test]
    fn a_tool_is_found_by_its_server_and_its_name() {
        let tool = |namespace: Option<&str>, name: &str| Tool {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        for own in [
            tool(None, "mcp__notes__get-sum"),
            tool(None, "mcp_notes_get-sum"),
            tool(Some("mcp__notes"), "get_sum"),
        ] {
            let own = own.full();
            assert!(is_tool_of(&own, "notes", "get-sum"), "{own}");
            assert!(!is_tool_of(&own, "otes", "get-sum"), "{own}");
            assert!(!is_tool_of(&own, "notes", "sum"), "{own}");
        }
        let next = Next {
            steps: Vec::new(),
            prompt: String::new(),
            results: vec!["\"x\"".to_owned(), "y".to_owned()],
        };
        let step = Step::read(r#"use A {"a": ["{{1}} {{last}}"]}"#).unwrap();
        let call = next.call(&step, &[tool(None, "A")]).unwrap();
        assert_eq!(call.arguments, json!({"a": ["\"x\" y"]}));
        assert_eq!(next.call(&step, &[]).unwrap_err(), "there is no tool `A`");
    }
}

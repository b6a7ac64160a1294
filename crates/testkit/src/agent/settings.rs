//! What the agents have to be told so that they start without a question, ask no person, and leave the network alone.

use std::path::Path;

use serde_json::json;

use super::Agent;

/// No agent looks into it.
const KEY: &str = "a-key";

/// Nobody listens on port 9: what an agent still wants from the network is refused at once.
const NO_NETWORK: [(&str, &str); 2] = [
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NO_PROXY", "127.0.0.1,localhost"),
];

/// Writes the agent's own files.
pub(super) fn write(agent: Agent, home: &Path, project: &Path, model: &str) {
    let put = |name: &str, text: String| {
        let file = home.join(name);
        let folder = file.parent().expect("a file has a folder");
        std::fs::create_dir_all(folder).expect("a fresh directory");
        std::fs::write(file, text).expect("a fresh file");
    };
    match agent {
        Agent::Claude => {
            let project = project.to_str().expect("a path in UTF-8");
            let known = json!({
                "hasCompletedOnboarding": true,
                "bypassPermissionsModeAccepted": true,
                "projects": {project: {"hasTrustDialogAccepted": true}},
            });
            put(".claude.json", known.to_string());
            let settings = json!({
                "enableAllProjectMcpServers": true,
                "skipDangerousModePermissionPrompt": true,
            });
            put(".claude/settings.json", settings.to_string());
        }
        Agent::Codex => put(
            ".codex/config.toml",
            format!(
                r#"model = "script"
model_provider = "script"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
# Otherwise it asks the model without the tools of a server that takes longer than a second.
mcp_optional_startup_grace_ms = 0

[analytics]
enabled = false

[features]
apps = false
plugins = false

[model_providers.script]
name = "script"
base_url = "{model}/v1"
env_key = "SCRIPT_KEY"
wire_api = "responses"

[projects."{}"]
trust_level = "trusted"
"#,
                project.display()
            ),
        ),
        Agent::Gemini => {
            let settings = json!({
                "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
                "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
                "privacy": {"usageStatisticsEnabled": false},
                "telemetry": {"enabled": false},
            });
            put(".gemini/settings.json", settings.to_string());
        }
    }
}

/// The agent's own variables.
pub(super) fn variables(agent: Agent, model: &str) -> Vec<(&'static str, &str)> {
    let mut variables = match agent {
        Agent::Claude => vec![
            ("ANTHROPIC_BASE_URL", model),
            ("ANTHROPIC_AUTH_TOKEN", KEY),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("DISABLE_TELEMETRY", "1"),
            ("DISABLE_ERROR_REPORTING", "1"),
            // Tools of MCP servers are offered at once, instead of being searched for.
            ("ENABLE_TOOL_SEARCH", "false"),
            // Without a terminal it waits for its MCP servers before it asks.
            ("MCP_CONNECTION_NONBLOCKING", "0"),
            // Otherwise it does not work without questions for the administrator of a machine.
            ("IS_SANDBOX", "1"),
        ],
        Agent::Codex => vec![("SCRIPT_KEY", KEY)],
        Agent::Gemini => vec![
            ("GOOGLE_GEMINI_BASE_URL", model),
            ("GEMINI_API_KEY", KEY),
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
            // Otherwise it starts itself a second time, with more memory.
            ("GEMINI_CLI_NO_RELAUNCH", "true"),
        ],
    };
    variables.extend(NO_NETWORK);
    variables
}

/// How it is asked without a terminal.
pub(super) fn ask(agent: Agent, prompt: &str) -> Vec<&str> {
    match agent {
        Agent::Claude => vec!["--dangerously-skip-permissions", "-p", prompt],
        Agent::Codex => vec!["exec", "--skip-git-repo-check", prompt],
        Agent::Gemini => vec![
            "--approval-mode",
            "yolo",
            "-m",
            "gemini-2.5-flash",
            "-p",
            prompt,
        ],
    }
}

/// How it is started in a terminal.
pub(super) fn sit(agent: Agent) -> &'static [&'static str] {
    match agent {
        Agent::Claude => &["--dangerously-skip-permissions"],
        // Otherwise it leaves a server of its own behind.
        Agent::Codex => &["--no-daemon"],
        Agent::Gemini => &["--approval-mode", "yolo", "-m", "gemini-2.5-flash"],
    }
}

/// What stands on the screen once it takes a prompt.
pub(super) fn ready(agent: Agent) -> &'static str {
    match agent {
        Agent::Claude => "❯",
        Agent::Codex => "›",
        Agent::Gemini => "Type your message",
    }
}

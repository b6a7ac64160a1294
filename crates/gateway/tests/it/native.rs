//! An agent's own tools: its hook asks, the policy of its grant on server `native` decides, and the record says so.

use std::path::PathBuf;
use std::sync::Arc;

use provost_gateway::{Builtin, Builtins, HookedAgent, NATIVE, Native};
use provost_testkit::http;
use serde_json::{Value, json};

use crate::harness::*;
use provost_store::Attachment;

struct Stage {
    gate: TestGateway,
    pass: Pass,
}

impl Stage {
    fn new(policy: &Value) -> Self {
        let native = Native::guarding(vec![PathBuf::from("/var/lib/provost")], None);
        let builtins = Builtins::from([(NATIVE, Arc::new(native) as Arc<dyn Builtin>)]);
        let gate = TestGateway::with(gate::settings(), builtins);
        gate.put_policy(NATIVE, "rules", policy);
        let pass = gate.mint_on(NATIVE, "rules");
        Self { gate, pass }
    }

    /// What the agent is told over HTTP, and through the gateway's own door, which is the same.
    async fn told(&self, hook: impl Into<String>) -> (String, String) {
        let hook = hook.into();
        let url = format!("http://{}/native?agent=claude", self.gate.address);
        let token = format!("Bearer {}", self.pass.token);
        let headers = [("authorization", token.as_str())];
        let reply = http::post(&url, &headers, hook.clone()).await.unwrap();
        assert_eq!(reply.status, 200);
        let posted = decision(&reply.body);
        let asked = self
            .gate
            .gateway
            .ask_native(&self.pass.token, HookedAgent::Claude, hook.into())
            .await;
        assert_eq!(decision(asked.unwrap().as_bytes()), posted);
        posted
    }
}

fn decision(answer: &[u8]) -> (String, String) {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let said = |name: &str| {
        answer["hookSpecificOutput"][name]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(said("hookEventName"), "PreToolUse");
    (said("permissionDecision"), said("permissionDecisionReason"))
}

fn hook(tool: &str, input: Value) -> String {
    json!({"hook_event_name": "PreToolUse", "cwd": "/srv", "tool_name": tool, "tool_input": input})
        .to_string()
}

fn is(decision: &str, reason: &str) -> (String, String) {
    (decision.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn a_native_tool_is_judged_by_its_name_here_and_recorded() {
    let stage = Stage::new(&json!({"version": "1", "default": "deny", "tools": {
        "shell": {"require": [{"conditions": [{"path": "args.command", "op": "argv_in", "value": [["git", "status"]]}],
            "on_deny": "only git status"}]},
        "write_file": {"require": [{"conditions": [{"path": "args.path", "op": "under", "value": ["/srv"]}]}]},
    }}));
    let bash = |command: &str| hook("Bash", json!({"command": command}));
    assert_eq!(
        stage.told(bash("git status -s")).await,
        is("allow", "allowed by policy")
    );
    assert_eq!(
        stage.told(bash("git push")).await,
        is("deny", "[POLICY DENIED] only git status")
    );
    let write = |path: &str| hook("Write", json!({"file_path": path, "content": "x"}));
    assert_eq!(stage.told(write("/srv/a")).await.0, "allow");
    assert_eq!(stage.told(write("/etc/passwd")).await.0, "deny");
    assert_eq!(
        stage
            .told(hook("WebFetch", json!({"url": "https://a.example"})))
            .await
            .0,
        "deny"
    );
    let twice = |line: &str| [line.to_owned(), line.to_owned()];
    let expected = [
        twice("tools/call shell: allow, ok"),
        twice("tools/call shell: deny by /tools/shell/require/args.command-argv_in"),
        twice("tools/call write_file: allow, ok"),
        twice("tools/call write_file: deny by /tools/write_file/require/args.path-under"),
        twice("tools/call fetch: deny by (default deny)"),
    ];
    assert_eq!(stage.gate.history(), expected.concat());
    let record = stage.gate.records().remove(0);
    assert_eq!(record.keys, ["command", "cwd"]);
}

/// What no policy allows: Provost's own directories, the programs that lead past it, tools nobody knows.
#[tokio::test]
async fn what_no_policy_allows_is_denied_under_any() {
    let stage = Stage::new(&allow_all());
    for (hook, why) in [
        (
            hook(
                "Read",
                json!({"file_path": "/var/lib/provost/../provost/id"}),
            ),
            "`/var/lib/provost` is Provost's own, and no policy opens it to an agent",
        ),
        (
            hook("Bash", json!({"command": "cd / && provost grant list"})),
            "an agent may not start `provost` from its shell; no policy allows it",
        ),
        (
            hook("Teleport", json!({})),
            "native tool `Teleport` is not known to Provost, so it is denied",
        ),
    ] {
        assert_eq!(
            stage.told(hook).await,
            is("deny", &format!("[POLICY DENIED] {why}"))
        );
    }
    let by = |tool: &str| format!("tools/call {tool}: deny by (built-in)");
    let expected = [by("read_file"), by("shell"), by("Teleport")].map(|line| [line.clone(), line]);
    assert_eq!(stage.gate.history(), expected.concat());
}

#[tokio::test]
async fn a_hook_that_cannot_be_understood_in_one_way_is_a_no_and_recorded() {
    let stage = Stage::new(&allow_all());
    let twice = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls","command":"rm"}}"#;
    for (hook, why) in [
        ("", "the hook's input cannot be read: "),
        (twice, "the hook's input cannot be read: "),
        (
            r#"{"hook_event_name":"Stop"}"#,
            "hook `Stop` decides nothing here",
        ),
    ] {
        let (decision, reason) = stage.told(hook).await;
        assert_eq!(decision, "deny");
        assert!(reason.starts_with(why), "{reason}");
    }
    assert_eq!(stage.gate.history(), ["(hook): deny by (envelope)"; 6]);
}

/// Agents take another status than 200 for a yes, so each no is a 200.
#[tokio::test]
async fn whoever_has_no_live_grant_on_native_is_told_no() {
    let stage = Stage::new(&allow_all());
    let gateway = &stage.gate.gateway;
    let hook = hook("Bash", json!({"command": "ls"}));
    let url = format!("http://{}/native?agent=claude", stage.gate.address);
    stage.gate.http_server("other", "http://127.0.0.1:9/mcp");
    stage.gate.put_policy("other", "rules", &allow_all());
    let other = stage.gate.mint_on("other", "rules");
    for (token, why) in [
        (
            None,
            "a valid token is needed: `Authorization: Bearer <token>`",
        ),
        (
            Some(other.token.clone()),
            "this token is for another server",
        ),
    ] {
        let token = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = token
            .iter()
            .map(|it| ("authorization", it.as_str()))
            .collect();
        let reply = http::post(&url, &headers, hook.clone()).await.unwrap();
        assert_eq!(
            (reply.status, decision(&reply.body)),
            (200, is("deny", why))
        );
    }
    let asked = gateway.ask_native(&other.token, HookedAgent::Claude, hook.clone().into());
    assert_eq!(asked.await, None);
    let token = format!("Bearer {}", stage.pass.token);
    let own = [("authorization", token.as_str())];
    let unknown = url.replace("claude", "nobody");
    let reply = http::post(&unknown, &own, hook.clone()).await.unwrap();
    assert_eq!(reply.status, 400);
    stage.gate.revoke(&stage.pass);
    let reply = http::post(&url, &own, hook.clone()).await.unwrap();
    assert_eq!(
        (reply.status, decision(&reply.body).0),
        (200, "deny".to_owned())
    );
    let asked = gateway.ask_native(&stage.pass.token, HookedAgent::Claude, hook.into());
    assert_eq!(asked.await, None);
}

/// An agent must not make a yes of a no by saying too much.
#[tokio::test]
async fn a_hook_that_is_too_long_is_told_no_and_recorded() {
    let stage = Stage::new(&allow_all());
    let long = "x".repeat(6 << 20);
    let hook = hook("Write", json!({"file_path": "/srv/a", "content": long}));
    let url = format!("http://{}/native?agent=claude", stage.gate.address);
    let token = format!("Bearer {}", stage.pass.token);
    let reply = http::post(&url, &[("authorization", &token)], hook)
        .await
        .unwrap();
    let (decision, reason) = decision(&reply.body);
    assert_eq!((reply.status, decision.as_str()), (200, "deny"));
    assert!(
        reason.starts_with("the body is larger than the limit of "),
        "{reason}"
    );
    assert_eq!(stage.gate.history().len(), 1);
}

/// Nobody's policy said yes, so the agent asks its person as it would without a hook.
#[tokio::test]
async fn an_observed_grant_decides_nothing() {
    let stage = Stage::new(&json!({"version": "1", "default": "deny"}));
    let attachment = Attachment {
        policy: None,
        shadow: Some("rules".to_owned()),
    };
    stage.gate.attach(&stage.pass, attachment);
    let asked = |hook: String| {
        let gateway = stage.gate.gateway.clone();
        let token = stage.pass.token.clone();
        async move {
            gateway
                .ask_native(&token, HookedAgent::Claude, hook.into())
                .await
        }
    };
    let said = asked(hook("Bash", json!({"command": "ls"}))).await;
    assert_eq!(said.as_deref(), Some("{}"));
    let said = asked(hook("Bash", json!({"command": "provost stop"})))
        .await
        .unwrap();
    assert_eq!(decision(said.as_bytes()).0, "deny");
}

#[tokio::test]
async fn a_search_is_judged_by_where_it_looks() {
    let policy = json!({"version": "1", "default": "deny", "tools": {
        "search_files": {"require": [{"conditions": [{"path": "args.path", "op": "under", "value": ["/srv"]}]}]},
    }});
    let stage = Stage::new(&policy);
    for (tool, input, decision) in [
        ("Glob", json!({"pattern": "*.rs"}), "allow"),
        ("Glob", json!({"pattern": "*", "path": "src"}), "allow"),
        ("Glob", json!({"pattern": "/etc/*", "path": "/srv"}), "deny"),
        ("Glob", json!({"pattern": "../etc/*"}), "deny"),
        ("Glob", json!({"pattern": "~/*"}), "deny"),
        (
            "Grep",
            json!({"pattern": "root", "path": "/etc/passwd"}),
            "deny",
        ),
        ("Grep", json!({"pattern": "root", "path": "../etc"}), "deny"),
        ("Grep", json!({"pattern": "/etc"}), "allow"),
    ] {
        assert_eq!(
            stage.told(hook(tool, input.clone())).await.0,
            decision,
            "{tool} {input}"
        );
    }
    let stage = Stage::new(&allow_all());
    let above = stage
        .told(hook("Grep", json!({"pattern": "x", "path": "/var"})))
        .await;
    assert!(
        above.1.contains("`/var/lib/provost` is Provost's own"),
        "{above:?}"
    );
}

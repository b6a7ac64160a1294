use super::*;
use serde_json::{Value as Json, json};

fn hook(tool: &str, input: Json) -> Vec<u8> {
    json!({
        "session_id": "s", "transcript_path": "/t", "cwd": "/srv/work", "permission_mode": "default",
        "hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input, "tool_use_id": "u",
    })
    .to_string()
    .into_bytes()
}

fn asked(tool: &str, input: Json) -> (String, Json) {
    let request = HookedAgent::Claude.request(&hook(tool, input)).unwrap();
    let request: Json = serde_json::from_str(&request).unwrap();
    let params = &request["params"];
    (
        params["name"].as_str().unwrap().to_owned(),
        params["arguments"].clone(),
    )
}

#[test]
fn tools_of_an_agent_have_one_set_of_names() {
    let input = json!({"command": "ls", "timeout": 5, "description": "look"});
    let expected =
        json!({"command": "ls", "timeout_ms": 5, "description": "look", "cwd": "/srv/work"});
    assert_eq!(asked("Bash", input), ("shell".to_owned(), expected));
    let input = json!({"file_path": "/a", "old_string": "x", "new_string": "y"});
    let expected = json!({"path": "/a", "old": "x", "new": "y"});
    assert_eq!(asked("Edit", input), ("write_file".to_owned(), expected));
}

#[test]
fn every_tool_of_every_agent_is_one_that_has_a_name_here() {
    for agent in HookedAgent::ALL {
        assert_eq!(HookedAgent::named(agent.name()), Some(agent));
        for Mapped(there, here, renamed) in agent.tools() {
            let tool = TOOLS.iter().find(|tool| tool.name == *here);
            let tool = tool.unwrap_or_else(|| panic!("`{there}` is mapped to nothing"));
            for (_, argument) in *renamed {
                let known = tool.arguments.iter().any(|(name, _)| name == argument);
                assert!(known, "`{there}`: `{argument}` is no argument of `{here}`");
            }
        }
    }
}

/// What was judged is what will run: no escape is changed on the way.
#[test]
fn arguments_are_carried_as_they_were_written() {
    let text = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"é\u00e9\/ 1","n":1e400}}"#;
    let request = HookedAgent::Claude.request(text.as_bytes()).unwrap();
    assert!(
        request.contains(r#""arguments":{"command":"é\u00e9\/ 1","n":1e400}"#),
        "{request}"
    );
}

#[test]
fn what_is_not_understood_is_not_asked() {
    let refused = |hook: &[u8]| HookedAgent::Claude.request(hook).unwrap_err();
    assert_eq!(
        refused(&hook("Bash", json!("ls"))),
        "the hook's input has no arguments for `Bash`"
    );
    assert!(refused(b"{}").contains("belongs into `PreToolUse`"));
    assert!(refused(b"not json").starts_with("the hook's input cannot be read: "));
    let twice =
        r#"{"hook_event_name":"PreToolUse","tool_name":"Read","tool_name":"Bash","tool_input":{}}"#;
    assert!(refused(twice.as_bytes()).starts_with("the hook's input cannot be read: "));
}

/// An agent that brings an argument under the name that another one gets has two of them,
/// which no judge accepts.
#[test]
fn an_argument_cannot_hide_behind_a_name_of_ours() {
    let input = json!({"command": "rm", "cwd": "/elsewhere"});
    let request = HookedAgent::Claude.request(&hook("Bash", input)).unwrap();
    assert!(serde_json::from_str::<Json>(&request).is_ok());
    assert!(
        json::read(request.as_bytes(), Bounds::default()).is_err(),
        "{request}"
    );
}

#[test]
fn a_tool_without_a_name_here_keeps_its_own() {
    let input = json!({"where": "\"there"});
    assert_eq!(
        asked("Tele\"port", input.clone()),
        ("Tele\"port".to_owned(), input)
    );
    assert_eq!(
        unknown("Teleport"),
        "native tool `Teleport` is not known to Provost, so it is denied"
    );
    assert!(unknown("mcp__files__read").contains("leave `mcp__` tools out"));
}

#[test]
fn only_a_clear_yes_is_one() {
    let said = |answer: Json| verdict(answer.to_string().as_bytes());
    let denied = |why: &str| NativeVerdict::Denied(why.to_owned());
    assert_eq!(
        said(json!({"result": {"structuredContent": {"allowed": true}}})),
        NativeVerdict::Allowed
    );
    let refused = json!({"result": {"isError": true, "content": [{"type": "text", "text": "[POLICY DENIED] no"}]}});
    assert_eq!(said(refused), denied("[POLICY DENIED] no"));
    assert_eq!(
        said(json!({"error": {"message": "no record"}})),
        denied("no record")
    );
    for odd in [
        json!({}),
        json!({"result": {}}),
        json!({"result": {"structuredContent": {"allowed": "true"}}}),
    ] {
        assert_eq!(said(odd), denied("nobody said that it may"));
    }
    assert_eq!(verdict(b""), denied("the answer cannot be read"));
}

#[test]
fn the_agent_is_told_in_its_own_words() {
    let told: Json =
        serde_json::from_str(&HookedAgent::Claude.answer(&NativeVerdict::Denied("no".to_owned())))
            .unwrap();
    let expected = json!({"hookSpecificOutput": {
        "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "no",
    }});
    assert_eq!(told, expected);
    let told: Json =
        serde_json::from_str(&HookedAgent::Claude.answer(&NativeVerdict::Allowed)).unwrap();
    assert_eq!(told["hookSpecificOutput"]["permissionDecision"], "allow");
}

/// The names of ours are no tools of theirs.
#[test]
fn a_name_of_ours_is_no_tool_of_the_agent() {
    let refused = HookedAgent::Claude.request(&hook("shell", json!({"command": "ls"})));
    assert_eq!(refused.unwrap_err(), unknown("shell"));
}

#[test]
fn a_relative_path_begins_where_the_agent_is() {
    let path = |given: &str| asked("Read", json!({"file_path": given})).1["path"].clone();
    assert_eq!(path("src/a"), "/srv/work/src/a");
    assert_eq!(path("/etc/a"), "/etc/a");
    assert_eq!(path("~/a"), "~/a");
    assert_eq!(
        asked("Grep", json!({"pattern": "x"})).1["path"],
        "/srv/work"
    );
}

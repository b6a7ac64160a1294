//! What is built into the daemon stands behind the same walk as any server, and knows who calls from the grant alone.

use std::sync::{Arc, Mutex};

use provost_gateway::{Answering, Builtin, Builtins, Progress, ToolAnswer, ToolCall};
use provost_policy::{Call, Caller, RuleId};
use provost_store::{Attachment, NewGrant};
use provost_testkit::client::Client;
use provost_testkit::wait_until;
use serde_json::{Value, json};

use crate::harness::*;

/// What a part of the daemon was told, a line each.
type Heard = Arc<Mutex<Vec<String>>>;

/// Tools for tests. `whoami` tells who calls and with what, `wait` never ends, `fail` fails.
#[derive(Debug, Default)]
struct Tools(Heard);

/// Says that a call was dropped.
struct Dropped(Heard);

impl Drop for Dropped {
    fn drop(&mut self) {
        hear(&self.0, "dropped");
    }
}

fn hear(heard: &Heard, line: &str) {
    heard.lock().unwrap().push(line.to_owned());
}

impl Builtin for Tools {
    fn instructions(&self) -> &str {
        "For tests."
    }

    fn tools(&self, _: &Caller) -> Value {
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        json!([tool("whoami"), tool("wait"), tool("fail")])
    }

    fn refuses(&self, call: &Call<'_>, _: &Caller) -> Option<(RuleId, String)> {
        (call.tool? == "never").then(|| (RuleId::ROLE, "not for you; ask somebody else".to_owned()))
    }

    fn is_own_affair(&self, tool: &str) -> bool {
        tool == "whoami"
    }

    fn call(&self, call: ToolCall, caller: Caller, progress: Progress) -> Answering {
        let heard = Arc::clone(&self.0);
        Box::pin(async move {
            hear(&heard, &call.name);
            match call.name.as_str() {
                "whoami" => {
                    progress.say(1, Some(2), "half");
                    ToolAnswer::Result(json!({
                        "grant": &*caller.grant, "session": caller.session.as_deref(), "arguments": call.arguments,
                    }))
                }
                "wait" => {
                    let _dropped = Dropped(heard);
                    progress.say(1, None, "waiting");
                    std::future::pending().await
                }
                "fail" => ToolAnswer::Error("nothing there; make one first".to_owned()),
                _ => ToolAnswer::Unknown,
            }
        })
    }
}

struct Stage {
    gate: TestGateway,
    pass: Pass,
    heard: Heard,
}

impl Stage {
    fn new(policy: &Value) -> Self {
        let tools = Tools::default();
        let heard = Arc::clone(&tools.0);
        let builtins = Builtins::from([("fleet", Arc::new(tools) as Arc<dyn Builtin>)]);
        let gate = TestGateway::with(gate::settings(), builtins);
        gate.put_policy("fleet", "rules", policy);
        let pass = gate.mint_on("fleet", "rules");
        Self { gate, pass, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// An agent on each face, in each era, connected.
    async fn agents(&self) -> Vec<Client> {
        let gate = &self.gate;
        let agents = vec![
            gate.http_agent(&self.pass),
            gate.stdio_agent(&self.pass),
            gate.http_agent(&self.pass).modern(),
            gate.stdio_agent(&self.pass).modern(),
        ];
        for agent in &agents {
            agent.connect().await;
        }
        agents
    }
}

#[tokio::test]
async fn what_is_built_in_is_listed_called_and_recorded_like_a_server() {
    let stage = Stage::new(
        &json!({"version": "1", "default": "allow", "hide": ["wait"], "tools": {
            "fail": {"action": "deny", "reason": "not this one"},
        }}),
    );
    for agent in stage.agents().await {
        assert_eq!(agent.tools().await, ["whoami", "fail"]);
        let answer = agent
            .call("whoami", json!({"_callerRole": "executive", "n": 1}))
            .await;
        let told = &answer["result"]["structuredContent"];
        assert_eq!(told["grant"], stage.pass.grant.to_string(), "{answer}");
        assert_eq!(told["arguments"], r#"{"_callerRole":"executive","n":1}"#);
        assert_eq!(text(&answer), told.to_string());
        assert_eq!(rule(&agent.call("wait", json!({})).await), "(hidden)");
        assert_eq!(
            rule(&agent.call("fail", json!({})).await),
            "/tools/fail/action"
        );
    }
    assert_eq!(stage.heard(), ["whoami"; 4]);
    let told = "tools/call whoami: allow, ok";
    let round = [
        told,
        "tools/call wait: deny by (hidden)",
        "tools/call fail: deny by /tools/fail/action",
    ];
    assert_eq!(stage.gate.history(), round.repeat(4));
}

#[tokio::test]
async fn a_failure_says_what_to_do_and_an_unknown_tool_is_an_error() {
    let stage = Stage::new(&allow_all());
    for agent in stage.agents().await {
        let failed = agent.call("fail", json!({})).await;
        assert_eq!(failed["result"]["isError"], true);
        assert_eq!(text(&failed), "nothing there; make one first");
        let answer = agent
            .request("tools/call", json!({"name": "nothing", "arguments": {}}))
            .await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let answer = agent
            .request("prompts/get", json!({"name": "nothing"}))
            .await;
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
    }
    assert_eq!(
        stage.gate.history()[0],
        "tools/call fail: allow, tool_error"
    );
}

#[tokio::test]
async fn progress_reaches_the_agent_that_asks_for_it() {
    let stage = Stage::new(&allow_all());
    for agent in stage.agents().await {
        let params = json!({"name": "whoami", "arguments": {}, "_meta": {"progressToken": "t"}});
        agent.request("tools/call", params).await;
        let said = json!({"progressToken": "t", "progress": 1, "total": 2, "message": "half"});
        assert_eq!(agent.received("notifications/progress"), [said]);
    }
}

#[tokio::test]
async fn a_call_that_nobody_wants_any_more_is_dropped() {
    let stage = Stage::new(&allow_all());
    for (agent, round) in stage.agents().await.into_iter().zip(1..) {
        let (id, caller) = (agent.next_id(), agent.clone());
        let params = json!({"name": "wait", "arguments": {}});
        let waiting =
            tokio::spawn(async move { caller.request_as(id, "tools/call", params).await });
        wait_until("it waits", || stage.heard().len() == 2 * round - 1).await;
        agent.cancel(id).await;
        wait_until("it is dropped", || stage.heard().len() == 2 * round).await;
        waiting.abort();
    }
    assert_eq!(stage.heard(), ["wait", "dropped"].repeat(4));
}

#[tokio::test]
async fn what_is_built_in_can_be_neither_changed_nor_removed_nor_made() {
    let stage = Stage::new(&allow_all());
    let who = provost_store::Actor::new("test");
    let store = &stage.gate.store;
    let removed = store.remove_server(&who, "fleet").unwrap_err().to_string();
    assert_eq!(
        removed,
        "server `fleet` is built in: it can have grants and policies, and cannot be changed or removed"
    );
    let made = store
        .furnish_builtin(&who, "other")
        .unwrap_err()
        .to_string();
    assert_eq!(made, "there is no server `other`");
}

#[tokio::test]
async fn what_is_refused_before_any_policy_has_its_own_rule() {
    let stage = Stage::new(&json!({"version": "1", "default": "deny"}));
    let agent = stage.gate.http_agent(&stage.pass);
    agent.connect().await;
    let answer = agent.call("never", json!({})).await;
    assert_eq!(rule(&answer), "(role)");
    assert_eq!(
        text(&answer),
        "[POLICY DENIED] not for you; ask somebody else"
    );
    assert_eq!(stage.gate.history(), ["tools/call never: deny by (role)"]);
}

/// An agent can always say that it is done, if its own policy lets it.
#[tokio::test]
async fn what_is_ones_own_affair_is_judged_by_ones_own_policy() {
    let stage = Stage::new(&json!({"version": "1", "default": "deny"}));
    let gate = &stage.gate;
    gate.put_policy("fleet", "below", &allow_all());
    let below = |policy: &str, label: &str| NewGrant {
        server: "fleet".to_owned(),
        label: label.to_owned(),
        attachment: Attachment {
            policy: Some(policy.to_owned()),
            shadow: None,
        },
        parent: Some(stage.pass.grant.clone()),
        expires: None,
    };
    let pass = gate.mint(below("below", "one"));
    for agent in [gate.http_agent(&pass), gate.http_agent(&pass).modern()] {
        agent.connect().await;
        assert_eq!(agent.tools().await, ["whoami"]);
        let answer = agent.call("whoami", json!({})).await;
        let told = &answer["result"]["structuredContent"];
        assert_eq!(told["grant"], pass.grant.to_string(), "{answer}");
        assert_eq!(rule(&agent.call("fail", json!({})).await), "(default deny)");
    }
    let agent = gate.http_agent(&gate.mint(below("rules", "two")));
    agent.connect().await;
    assert_eq!(
        rule(&agent.call("whoami", json!({})).await),
        "(default deny)"
    );
}

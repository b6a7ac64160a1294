//! Who may ask whom: questions of servers in every place in which a message can
//! carry them, answers to them, and what starts a subscription.

mod answers;
mod methods;
mod openings;
mod pages;
mod places;
mod subscriptions;
mod tasks;

use crate::harness::*;
use provost_testkit::modern::TASKS;
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// A policy under which nobody may be asked anything.
fn nobody_asks() -> Value {
    json!({"version": "1", "default": "allow", "methods": {"deny":
        ["sampling/createMessage", "elicitation/create", "roots/list"]}})
}

/// Everything that an agent can declare.
fn everything() -> Value {
    json!({
        "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {},
        "extensions": {TASKS: {}},
    })
}

/// A question for a person.
fn person(message: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message,
        "requestedSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}})
}

impl Scene {
    /// From now on the server answers every request of that method so.
    async fn dictate(&self, method: &str, answer: Value) {
        let mut arguments = answer;
        arguments["on"] = json!(method);
        let told = self.agent.call("say", arguments).await;
        assert_eq!(text(&told), "from now on");
    }

    /// A call of the server's that became a task; its id.
    async fn job(&self, questions: Value) -> Value {
        let arguments = json!({"task": true, "ms": 0, "questions": questions});
        let answer = self.agent.call("job", arguments).await;
        assert_eq!(answer["result"]["resultType"], "task", "{answer}");
        answer["result"]["taskId"].clone()
    }

    /// How often this stands in the history.
    fn recorded(&self, line: &str) -> usize {
        let history = self.gate.history();
        history.iter().filter(|entry| *entry == line).count()
    }
}

/// Nothing of the question reached the agent, and it was told so.
#[track_caller]
fn not_asked(answer: &Value) {
    let text = answer.to_string();
    assert!(!text.contains("psst"), "the question passed: {answer}");
    let refused = answer["result"]["isError"] == true || answer.get("error").is_some();
    assert!(refused, "{answer}");
    assert!(
        text.len() < 2_000,
        "a refusal is short: {} bytes",
        text.len()
    );
}

//! The three published policies, enforced as they are.

use provost_testkit::client::Client;
use provost_testkit::fixture::{Fixture, Options};
use provost_testkit::process::{fixture_program, root};
use serde_json::{Value, json};

use super::world::World;

/// What each of the three allows, ten times a minute.
const SEEDS: [(&str, &str); 3] = [
    ("distribute-work", "distributeWork"),
    ("execute-parallel", "executeParallel"),
    ("spawn", "spawn"),
];

fn policy(name: &str) -> String {
    let file = root()
        .join("examples/policies")
        .join(name)
        .with_extension("json");
    std::fs::read_to_string(file).unwrap()
}

/// Ten calls pass, the eleventh is refused, and nothing else is there.
async fn ten_and_no_more(agent: &Client, tool: &str) {
    agent.connect().await;
    assert_eq!(agent.tools().await, [tool]);
    for _ in 0..10 {
        let answer = agent.call(tool, json!({"n": 1})).await;
        assert_ne!(answer["result"]["isError"], json!(true), "{answer}");
        assert!(answer.get("result").is_some(), "{answer}");
    }
    let refused = agent.call(tool, json!({"n": 1})).await;
    let result = &refused["result"];
    assert_eq!(result["isError"], json!(true), "{refused}");
    let decision = &result["_meta"]["dev.provost/decision"];
    assert_eq!(decision["decision"], "deny");
    let counter = tool.to_lowercase();
    assert_eq!(
        decision["rule"],
        format!("/tools/{tool}/limits/{counter}_rate")
    );
    let wait = decision["retryAfterMs"].as_u64().unwrap();
    assert!(wait > 0 && wait <= 60_000, "{wait}");
    for other in ["echo", "terminate", "vm_create"] {
        let refused = agent.call(other, json!({})).await;
        let text = refused["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("[POLICY DENIED] "), "{refused}");
        let rule = &refused["result"]["_meta"]["dev.provost/decision"]["rule"];
        assert_eq!(*rule, Value::from("(default deny)"));
    }
}

/// A server whose tools have the names of the published ones.
fn options() -> Options {
    Options {
        extra_tools: orchestration(),
        ..Options::default()
    }
}

fn orchestration() -> Vec<String> {
    ["spawn", "distributeWork", "executeParallel", "terminate"]
        .map(str::to_owned)
        .into()
}

#[tokio::test]
async fn the_published_policies_hold_over_http() {
    for (name, tool) in SEEDS {
        let upstream = Fixture::start(options());
        let mut world = World::new();
        world.up();
        world.add_url("fleet-of-tmux", &upstream.url());
        let token = world.grant("fleet-of-tmux", &policy(name));
        ten_and_no_more(&world.client("fleet-of-tmux", &token), tool).await;
        assert_eq!(upstream.recorder.calls(), vec![tool.to_owned(); 10]);
    }
}

#[tokio::test]
async fn the_published_policies_hold_over_stdio() {
    for (name, tool) in SEEDS {
        let world = World::new();
        let file = world.write("policy.json", &policy(name));
        let program = fixture_program();
        let extra = orchestration().join(",");
        let args = [
            "run",
            "--policy",
            file.to_str().unwrap(),
            "--",
            program.to_str().unwrap(),
            "stdio",
            "--extra-tools",
            &extra,
        ];
        ten_and_no_more(&Client::stdio(&world.start(&args)), tool).await;
    }
}

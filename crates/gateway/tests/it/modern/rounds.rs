//! Calls that take several rounds: what the server asks in a result is judged
//! like any question of a server, and what comes back is carried as it is.

use super::*;
use provost_testkit::fixture::{Hostility, Options};

const ALL: [(&str, &str, &str); 3] = [
    ("sample", "sampling/createMessage", "you said"),
    ("elicit", "elicitation/create", "fine"),
    ("roots", "roots/list", "file:///srv/project"),
];

async fn questions_come_as_results_and_answers_go_with_the_next_call(scene: Scene) {
    for (tool, method, expected) in ALL {
        for state in [false, true] {
            let arguments = json!({"message": "hm?", "state": state});
            let first = scene.agent.call(tool, arguments.clone()).await;
            assert_eq!(first["result"]["resultType"], "input_required", "{first}");
            let questions = first["result"]["inputRequests"].as_object().unwrap();
            assert_eq!(questions.len(), 1);
            assert_eq!(questions.values().next().unwrap()["method"], method);
            let sealed = first["result"]["requestState"].as_str().expect("a seal");
            assert!(
                !sealed.contains("état"),
                "the server's own state is not shown"
            );
            let answer = scene.agent.call_through(tool, arguments).await;
            assert!(text(&answer).contains(expected), "{answer}");
        }
    }
    let continued = |params: &Value| params.get("inputResponses").is_some();
    let mut requests = scene.upstream.requests("tools/call");
    requests.retain(continued);
    assert_eq!(requests.len(), 6);
    for params in requests {
        // The fixture refuses a state that is not its own, byte for byte.
        let wanted = params["arguments"]["state"] == true;
        assert_eq!(params.get("requestState").is_some(), wanted, "{params}");
    }
    assert!(scene.agent.inbox().is_empty(), "nobody asked directly");
}
everywhere!(
    questions_come_as_results_and_answers_go_with_the_next_call,
    open()
);

async fn several_rounds_and_several_questions_pass(scene: Scene) {
    for (tool, expected) in [
        ("two_rounds", "fine and \"you said"),
        ("ask_everything", "test-model"),
        ("come_again", "thank you"),
    ] {
        let answer = scene.agent.call_through(tool, json!({})).await;
        assert!(text(&answer).contains(expected), "{tool}: {answer}");
        assert_eq!(answer["result"]["resultType"], "complete");
    }
}
everywhere!(several_rounds_and_several_questions_pass, open());

async fn every_round_is_recorded(scene: Scene) {
    scene.agent.call_through("elicit", json!({})).await;
    let records = scene.gate.history();
    let calls: Vec<&String> = records
        .iter()
        .filter(|line| line.starts_with("tools/call elicit: allow, "))
        .collect();
    assert_eq!(calls.len(), 2, "{records:?}");
    let mut rounds = scene.gate.records();
    rounds.retain(|record| record.method == "tools/call");
    assert_eq!(rounds[0].call, rounds[1].call, "they are one call");
    assert!(
        records
            .iter()
            .any(|line| line.starts_with("elicitation/create: allow")),
        "{records:?}"
    );
}
everywhere!(every_round_is_recorded, open());

async fn prompts_and_resources_may_ask_too(scene: Scene) {
    for (method, params) in [
        ("resources/read", json!({"uri": "fixture://asking"})),
        ("prompts/get", json!({"name": "interview"})),
    ] {
        let asked = scene.agent.request(method, params.clone()).await;
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let mut again = params;
        let questions = asked["result"]["inputRequests"].as_object().unwrap();
        again["inputResponses"] = scene.agent.answers(questions);
        again["requestState"] = asked["result"]["requestState"].clone();
        let answer = scene.agent.request(method, again).await;
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        assert!(answer.to_string().contains("fine"), "{answer}");
    }
}
everywhere!(prompts_and_resources_may_ask_too, open());

/// A state continues the call it was given for, once, for whom it was given.
async fn s60_a_state_is_good_for_its_own_call_and_once(scene: Scene) {
    let arguments = json!({"state": true});
    let first = scene.agent.call("elicit", arguments.clone()).await;
    let state = first["result"]["requestState"].as_str().unwrap().to_owned();
    let answers = json!({"person": {"action": "accept", "content": {"answer": "fine"}}});
    let again = |tool: &str, arguments: &Value, state: &str| {
        json!({
            "name": tool, "arguments": arguments, "inputResponses": answers, "requestState": state,
        })
    };
    let calls = scene.upstream.calls().len();
    let tampered = state.replacen(
        &state[20..21],
        if &state[20..21] == "A" { "B" } else { "A" },
        1,
    );
    for params in [
        again("elicit", &arguments, &tampered),
        again("elicit", &arguments, "pv1."),
        again("elicit", &arguments, "état/one"),
        again("sample", &arguments, &state),
        again(
            "elicit",
            &json!({"state": true, "message": "another"}),
            &state,
        ),
    ] {
        let refused = scene.agent.request("tools/call", params.clone()).await;
        assert_eq!(code(&refused), -32602, "{params}: {refused}");
    }
    let thief = scene.another_agent(&scene.another_pass("thief")).await;
    let params = again("elicit", &arguments, &state);
    let refused = thief.request("tools/call", params.clone()).await;
    assert_eq!(code(&refused), -32602, "somebody else's: {refused}");
    assert_eq!(scene.upstream.calls().len(), calls, "nothing went on");
    let done = scene.agent.request("tools/call", params.clone()).await;
    assert!(text(&done).contains("fine"), "{done}");
    let twice = scene.agent.request("tools/call", params).await;
    assert_eq!(code(&twice), -32602, "{twice}");
    assert_eq!(scene.upstream.calls().len(), calls + 1);
    scene.honest_call_works().await;
}
everywhere!(s60_a_state_is_good_for_its_own_call_and_once, open());

/// It began as one call, and is one.
async fn a_continuation_is_not_charged_again(scene: Scene) {
    let answer = scene.agent.call_through("two_rounds", json!({})).await;
    assert!(text(&answer).contains("fine and"), "{answer}");
    let refused = scene.agent.call("two_rounds", json!({})).await;
    assert_eq!(rule(&refused), "/tools/two_rounds/limits/two_rounds_rate");
}
everywhere!(
    a_continuation_is_not_charged_again,
    Setup::modern(tools(
        json!({"two_rounds": {"rate_limit": {"max": 1, "window": 60}}})
    ))
);

/// What is carried on is judged again: it is a call.
async fn a_continuation_is_judged_again(scene: Scene) {
    let first = scene.agent.call("elicit", json!({"state": true})).await;
    let result = &first["result"];
    assert_eq!(result["resultType"], "input_required", "{first}");
    scene.policy(tools(json!({"elicit": {"action": "deny"}})));
    let questions = result["inputRequests"].as_object().unwrap();
    let again = json!({
        "name": "elicit", "arguments": {"state": true},
        "inputResponses": scene.agent.answers(questions), "requestState": result["requestState"],
    });
    let refused = scene.agent.request("tools/call", again).await;
    assert_eq!(rule(&refused), "/tools/elicit/action");
    assert_eq!(scene.upstream.calls().len(), 1);
}
everywhere!(a_continuation_is_judged_again, open());

/// No part of the question reaches the agent.
#[track_caller]
fn is_refused(answer: &Value) {
    assert!(answer["result"].get("inputRequests").is_none(), "{answer}");
    assert_ne!(answer["result"]["resultType"], "input_required");
    let refused = answer["result"]["isError"] == true || answer.get("error").is_some();
    assert!(refused, "{answer}");
}

async fn u93_questions_that_no_policy_allows_are_refused(scene: Scene) {
    for (tool, method, _) in ALL {
        let answer = scene.agent.call(tool, json!({"message": "psst"})).await;
        is_refused(&answer);
        assert_eq!(rule(&answer), "(method)", "{answer}");
        assert!(!answer.to_string().contains("psst"), "{answer}");
        let records = scene.gate.history();
        assert!(
            records.contains(&format!("{method}: deny by (method)")),
            "{records:?}"
        );
    }
}
everywhere!(
    u93_questions_that_no_policy_allows_are_refused,
    Setup::modern(
        json!({"version": "1", "default": "deny", "tools": {"sample": {}, "elicit": {}, "roots": {}}})
    )
);

async fn u93_questions_that_a_policy_forbids_are_refused(scene: Scene) {
    is_refused(&scene.agent.call("sample", json!({})).await);
    let answer = scene.agent.call("ask_everything", json!({})).await;
    is_refused(&answer);
    assert_eq!(rule(&answer), "(method)", "one of three is too many");
    let answer = scene.agent.call_through("elicit", json!({})).await;
    assert!(text(&answer).contains("fine"), "{answer}");
}
everywhere!(
    u93_questions_that_a_policy_forbids_are_refused,
    Setup::modern(
        json!({"version": "1", "default": "allow", "methods": {"deny": ["sampling/createMessage"]}})
    )
);

async fn questions_that_a_closed_policy_allows_pass(scene: Scene) {
    let answer = scene.agent.call_through("elicit", json!({})).await;
    assert!(text(&answer).contains("fine"), "{answer}");
    is_refused(&scene.agent.call("sample", json!({})).await);
}
everywhere!(
    questions_that_a_closed_policy_allows_pass,
    Setup::modern(json!({
        "version": "1", "default": "deny", "tools": {"sample": {}, "elicit": {}},
        "methods": {"allow": ["elicitation/create"]},
    }))
);

async fn u93_questions_that_the_agent_did_not_declare_are_refused(scene: Scene) {
    for capabilities in [
        json!({}),
        json!({"sampling": {}}),
        json!({"sampling": {}, "elicitation": {"url": {}}, "roots": {}}),
    ] {
        scene.agent.declare(capabilities);
        let answer = scene.agent.call("echo", json!({"text": "x"})).await;
        is_refused(&answer);
    }
    scene
        .agent
        .declare(json!({"sampling": {}, "elicitation": {}, "roots": {}}));
    let answer = scene.agent.call("echo", json!({"text": "x"})).await;
    assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
}
everywhere!(
    u93_questions_that_the_agent_did_not_declare_are_refused,
    open().options(Options {
        hostile: Some(Hostility::UndeclaredInput),
        ..Options::modern()
    })
);

/// An honest server says so itself.
async fn a_server_that_misses_a_capability_is_heard(scene: Scene) {
    scene.agent.declare(json!({"roots": {}}));
    let asked = json!({"name": "sample", "arguments": {}});
    let answer = scene.ask("tools/call", asked).await;
    status_is(&answer, 400);
    assert_eq!(code(&answer.message), -32021);
    assert_eq!(
        answer.message["error"]["data"]["requiredCapabilities"],
        json!({"sampling": {}})
    );
    let answer = scene.agent.call_through("roots", json!({})).await;
    assert!(text(&answer).contains("file:///srv/project"), "{answer}");
}
everywhere!(a_server_that_misses_a_capability_is_heard, open());

async fn questions_that_the_protocol_does_not_know_are_refused(scene: Scene) {
    let mode = json!({"mode": Hostility::UnknownInput.word()});
    let answer = scene.agent.call("hostile", mode).await;
    is_refused(&answer);
    assert!(!answer.to_string().contains("really?"), "{answer}");
    scene.honest_call_works().await;
}
everywhere!(
    questions_that_the_protocol_does_not_know_are_refused,
    open()
);

/// Only calls, prompts and resources may ask.
async fn lists_ask_nothing(scene: Scene) {
    let answer = scene.agent.request("tools/list", nothing()).await;
    assert!(answer["result"].get("inputRequests").is_none(), "{answer}");
    assert!(answer.get("error").is_some(), "{answer}");
}
everywhere!(
    lists_ask_nothing,
    open().options(Options {
        hostile: Some(Hostility::UndeclaredInput),
        on: "tools/list".to_owned(),
        ..Options::modern()
    })
);

//! D90: methods that only look like known ones, and names without end.

use super::*;

const ANY: &str = "*";

fn anything() -> Value {
    json!({"version": "1", "default": "allow", "tools": {"echo": {"action": "deny"}}, "methods": {"allow": [ANY]}})
}

/// No rule allows them: a server may take them for what they look like.
async fn d90_methods_that_only_look_like_known_ones_are_refused(scene: Scene) {
    for method in [
        "Tools/Call",
        "tools/call\u{200b}",
        "t\u{ff4f}ols/call",
        "tools/CALL",
        "Resources/Read",
        "\u{200d}sampling/createMessage",
        "Notifications/Initialized",
        "tasks/Update",
    ] {
        let (bytes, records) = (scene.upstream.bytes().len(), scene.gate.records().len());
        let params = json!({"name": "echo", "arguments": {"text": "x"}});
        let answer = scene.agent.request(method, params).await;
        if scene.face == Face::Http && scene.era == Era::Modern && !method.is_ascii() {
            // No header can repeat it.
            assert_eq!(answer["error"]["code"], -32020, "{method}: {answer}");
        } else {
            assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
            assert_eq!(rule(&answer), "(method)");
            let told = answer["error"]["message"].as_str().unwrap();
            assert!(told.contains("only looks like"), "{told}");
        }
        assert_eq!(scene.upstream.bytes().len(), bytes, "{method}");
        let recorded = || scene.gate.records().len() == records + 1;
        wait_until("it is recorded", recorded).await;
    }
    let answer = scene.agent.request("vendor/echo", json!({"a": 1})).await;
    assert_eq!(answer["result"]["vendor"]["a"], 1, "{answer}");
}
everywhere!(
    d90_methods_that_only_look_like_known_ones_are_refused,
    anything()
);

mod modern {
    use super::*;

    async fn d90_methods_that_only_look_like_known_ones_are_refused(scene: Scene) {
        scene.agent.declare(everything());
        super::d90_methods_that_only_look_like_known_ones_are_refused(scene).await;
    }
    everywhere!(
        d90_methods_that_only_look_like_known_ones_are_refused,
        Setup::modern(anything())
    );
}

/// A name has a length, in both directions.
async fn d90_the_name_of_a_method_has_a_length(scene: Scene) {
    let long = format!("vendor/{}", "x".repeat(200));
    let (bytes, records) = (scene.upstream.bytes().len(), scene.gate.records().len());
    let answer = scene.agent.request(&long, json!({})).await;
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    assert_eq!(scene.upstream.bytes().len(), bytes);
    let recorded = || scene.gate.records().len() == records + 1;
    wait_until("it is recorded", recorded).await;
    let answer = scene.agent.request("vendor/echo", json!({"a": 1})).await;
    assert_eq!(answer["result"]["vendor"]["a"], 1, "{answer}");
}
both_faces!(d90_the_name_of_a_method_has_a_length, anything());

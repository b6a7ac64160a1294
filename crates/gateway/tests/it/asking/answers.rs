//! Answers reach a server only where their question went through.

use super::*;

fn yes() -> Value {
    json!({"action": "accept", "content": {"answer": "psst"}})
}

/// Whoever is not asked has nothing to say: neither before a question, nor to
/// another one than was asked, nor where no policy let the question through.
async fn d80_answers_that_nobody_asked_for_are_taken_out(scene: Scene) {
    let early = json!({"name": "elicit", "arguments": {}, "inputResponses": {"person": yes()}});
    let asked = scene.agent.request("tools/call", early).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let state = &asked["result"]["requestState"];
    let again = json!({"name": "elicit", "arguments": {}, "requestState": state,
        "inputResponses": {"other": yes(), "person": {"action": "decline"}, "Person": yes()}});
    let answer = scene.agent.request("tools/call", again).await;
    assert!(text(&answer).contains("decline"), "{answer}");
    assert!(!scene.upstream.saw("psst"));
    let arrived = scene.upstream.requests("tools/call");
    let arrived: Vec<&Value> = arrived
        .iter()
        .map(|params| &params["inputResponses"])
        .collect();
    assert_eq!(
        json!(arrived),
        json!([{}, {"person": {"action": "decline"}}])
    );
    assert_eq!(scene.recorded("tools/call: deny by (envelope)"), 2);
    let records = scene.gate.records();
    let told: Vec<&str> = records
        .iter()
        .filter_map(|record| record.message.as_deref())
        .filter(|message| message.contains("not asked here"))
        .collect();
    assert!(
        told[0].ends_with("`person`") && told[1].ends_with("`other`, `Person`"),
        "{told:?}"
    );
    scene.honest_call_works().await;
}
everywhere!(
    d80_answers_that_nobody_asked_for_are_taken_out,
    Setup::modern(allow_all())
);

/// Requests that answer nothing carry no answers, and answers are an object.
async fn d80_answers_stand_where_the_protocol_has_them(scene: Scene) {
    let odd = [
        ("tools/list", json!({"inputResponses": {}})),
        (
            "completion/complete",
            json!({"inputResponses": {"q": yes()}}),
        ),
        ("vendor/echo", json!({"inputResponses": {"q": yes()}})),
        (
            "tools/call",
            json!({"name": "echo", "inputResponses": [yes()]}),
        ),
        (
            "prompts/get",
            json!({"name": "plain", "inputResponses": null}),
        ),
        (
            "tools/call",
            json!({"name": "echo", "InputResponses": {"q": yes()}}),
        ),
    ];
    for (method, params) in odd {
        let (before, records) = (scene.upstream.bytes().len(), scene.gate.records().len());
        let answer = scene.agent.request(method, params.clone()).await;
        let code = answer["error"]["code"].as_i64();
        assert!(
            matches!(code, Some(-32600 | -32602)),
            "{method} {params}: {answer}"
        );
        let arrived = &scene.upstream.bytes()[before..];
        assert!(
            !String::from_utf8_lossy(arrived).contains("psst"),
            "{method}"
        );
        let recorded = || scene.gate.records().len() == records + 1;
        wait_until("it is recorded", recorded).await;
        let last = scene.gate.records().pop().unwrap();
        assert_eq!(last.rule.as_deref(), Some("(envelope)"), "{method}");
    }
    scene.honest_call_works().await;
}
both_faces!(
    d80_answers_stand_where_the_protocol_has_them,
    Setup::modern(
        json!({"version": "1", "default": "allow", "methods": {"allow": ["vendor/echo"]}})
    )
);

mod legacy {
    use super::*;

    async fn d80_the_legacy_era_has_no_such_answers(scene: Scene) {
        let before = scene.upstream.bytes().len();
        let params = json!({"name": "echo", "arguments": {}, "inputResponses": {"q": yes()}});
        let answer = scene.agent.request("tools/call", params).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert_eq!(scene.upstream.bytes().len(), before);
        assert_eq!(scene.recorded("tools/call: deny by (envelope)"), 1);
        scene.honest_call_works().await;
    }
    both_faces!(d80_the_legacy_era_has_no_such_answers, allow_all());
}

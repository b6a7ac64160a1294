//! D85: pages that a person shall visit first, error -32042.

use super::*;

fn page(code: Value) -> Value {
    json!({"error": {"code": code, "message": "sign in first", "data": {"elicitations": [{
        "mode": "url", "elicitationId": "e1", "url": "https://psst.example/", "message": "psst",
    }]}}})
}

/// Asks in each way: in the answer to a call, and to other requests.
async fn refused_everywhere(scene: &Scene, error: Value, line: &str) {
    let before = scene.recorded(line);
    not_asked(&scene.agent.call("say", error.clone()).await);
    for (n, method) in ["tools/list", "prompts/get", "resources/read"]
        .into_iter()
        .enumerate()
    {
        scene.dictate(method, error.clone()).await;
        let params = json!({"name": "plain", "uri": "fixture://text"});
        not_asked(&scene.agent.request(method, params).await);
        assert_eq!(scene.recorded(line), before + n + 2, "{method}");
    }
}

async fn d85_a_page_that_no_policy_allows_does_not_pass(scene: Scene) {
    refused_everywhere(
        &scene,
        page(json!(-32042)),
        "elicitation/create: deny by (method)",
    )
    .await;
}

/// The policy allows it, the agent did not declare it.
async fn d85_a_page_that_nobody_declared_does_not_pass(scene: Scene) {
    refused_everywhere(
        &scene,
        page(json!(-32042)),
        "elicitation/create: deny by (method)",
    )
    .await;
    refused_everywhere(
        &scene,
        page(json!(-32001)),
        "(question): deny by (envelope)",
    )
    .await;
}

async fn d85_a_page_that_may_be_shown_passes(scene: Scene) {
    let answer = scene.agent.call("say", page(json!(-32042))).await;
    assert_eq!(answer["error"], page(json!(-32042))["error"], "{answer}");
    assert_eq!(scene.recorded("elicitation/create: allow, ok"), 1);
    assert_eq!(scene.recorded("tools/call say: allow, rpc_error"), 1);
}

mod modern {
    use super::*;

    async fn d85_a_page_that_no_policy_allows_does_not_pass(scene: Scene) {
        scene.agent.declare(everything());
        super::d85_a_page_that_no_policy_allows_does_not_pass(scene).await;
    }
    everywhere!(
        d85_a_page_that_no_policy_allows_does_not_pass,
        Setup::modern(nobody_asks())
    );

    async fn d85_a_page_that_nobody_declared_does_not_pass(scene: Scene) {
        scene.agent.declare(json!({"elicitation": {}}));
        super::d85_a_page_that_nobody_declared_does_not_pass(scene).await;
    }
    both_faces!(
        d85_a_page_that_nobody_declared_does_not_pass,
        Setup::modern(allow_all())
    );

    async fn d85_a_page_that_may_be_shown_passes(scene: Scene) {
        scene.agent.declare(everything());
        super::d85_a_page_that_may_be_shown_passes(scene).await;
    }
    both_faces!(
        d85_a_page_that_may_be_shown_passes,
        Setup::modern(allow_all())
    );
}

mod legacy {
    use super::*;

    /// A session whose agent can show pages.
    async fn shown(face: Face, kind: Kind, policy: Value) -> Scene {
        let scene = Scene::before_initialize(face, kind, policy);
        scene.agent.connect_with("2025-11-25", everything()).await;
        scene.upstream.wait_for("notification").await;
        scene
    }

    #[tokio::test]
    async fn d85_a_page_that_no_policy_allows_does_not_pass() {
        for (face, kind) in [(Face::Http, Kind::Http), (Face::Stdio, Kind::Stdio)] {
            let scene = shown(face, kind, nobody_asks()).await;
            super::d85_a_page_that_no_policy_allows_does_not_pass(scene).await;
        }
    }

    both_faces!(d85_a_page_that_nobody_declared_does_not_pass, allow_all());
    use super::d85_a_page_that_nobody_declared_does_not_pass;

    #[tokio::test]
    async fn d85_a_page_that_may_be_shown_passes() {
        for (face, kind) in [(Face::Http, Kind::Http), (Face::Stdio, Kind::Stdio)] {
            let scene = shown(face, kind, allow_all()).await;
            super::d85_a_page_that_may_be_shown_passes(scene).await;
        }
    }

    /// The same question as a request needs the same declaration.
    async fn d85_a_question_by_page_needs_that_mode(scene: Scene) {
        let ask = json!({"id": "q", "method": "elicitation/create", "params": {
            "mode": "url", "elicitationId": "e", "url": "https://psst.example/", "message": "psst"}});
        let arguments = json!({"ask": ask, "result": {"content": []}});
        scene.agent.call("say", arguments).await;
        assert!(scene.agent.received("elicitation/create").is_empty());
        assert_eq!(scene.recorded("elicitation/create: deny by (method)"), 1);
    }
    both_faces!(d85_a_question_by_page_needs_that_mode, allow_all());
}

//! The era of a connection over stdio is decided once, by what comes first.

use super::*;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

fn quiet(kind: Kind, eras: provost_testkit::fixture::Eras) -> Scene {
    let setup = Setup::from(allow_all()).eras(eras).agent(Era::Modern);
    Scene::before_initialize(Face::Stdio, kind, setup)
}

use provost_testkit::fixture::Eras;

#[tokio::test]
async fn v51_a_modern_connection_stays_modern_over_stdio() {
    for kind in Kind::ALL {
        for first in ["tools/call", "tools/list"] {
            let scene = quiet(kind, Eras::Both);
            let params = match first {
                "tools/call" => json!({"name": "echo", "arguments": {"text": "x"}}),
                _ => nothing(),
            };
            let answer = scene.ask(first, params).await;
            assert!(answer.message.get("result").is_some(), "{answer:?}");
            let refused = scene.answered(INITIALIZE).await;
            assert!([-32600, -32022].contains(&code(&refused)), "{refused}");
            let bare = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
            assert_eq!(code(&scene.answered(bare).await), -32602);
            assert!(!scene.upstream.saw("initialize"));
            scene.honest_call_works().await;
        }
    }
}

#[tokio::test]
async fn v51_a_legacy_connection_stays_legacy_over_stdio() {
    for kind in Kind::ALL {
        let scene = quiet(kind, Eras::Both);
        let opened = scene.answered(INITIALIZE).await;
        assert_eq!(
            opened["result"]["protocolVersion"], "2025-11-25",
            "{opened}"
        );
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        scene.agent.send(&done).await;
        for text in [
            call("1", "echo", "{}"),
            request("2", "tools/list", ""),
            request("3", "server/discover", ""),
        ] {
            let refused = scene.answered(&text).await;
            assert_eq!(code(&refused), -32600, "{text}: {refused}");
        }
        assert!(scene.upstream.calls().is_empty());
        let bare = r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"#;
        assert_eq!(text(&scene.answered(bare).await), "x");
    }
}

#[tokio::test]
async fn a_version_that_nobody_knows_decides_nothing() {
    let scene = quiet(Kind::Http, Eras::Both);
    let mut message = scene.agent.wrapped("v", "server/discover", nothing());
    message["params"]["_meta"][provost_testkit::modern::meta::VERSION] = json!("2099-01-01");
    let refused = scene.answered(&message.to_string()).await;
    assert_eq!(code(&refused), -32022, "{refused}");
    let opened = scene.answered(INITIALIZE).await;
    assert_eq!(
        opened["result"]["protocolVersion"], "2025-11-25",
        "{opened}"
    );
}

#[tokio::test]
async fn nonsense_decides_nothing() {
    for kind in Kind::ALL {
        let scene = quiet(kind, Eras::Modern);
        for nonsense in ["{", "[]", r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#] {
            let answer = scene.answered(nonsense).await;
            assert!([-32700, -32600].contains(&code(&answer)), "{answer}");
        }
        scene.agent.connect().await;
        scene.honest_call_works().await;
    }
}

/// Each connection decides for itself.
#[tokio::test]
async fn connections_of_a_grant_may_be_of_different_eras() {
    for kind in Kind::ALL {
        let scene = quiet(kind, Eras::Both);
        let legacy = scene.gate.stdio_agent(&scene.pass);
        scene.agent.connect().await;
        legacy.connect().await;
        assert_eq!(text(&legacy.call("echo", json!({"text": "l"})).await), "l");
        scene.honest_call_works().await;
    }
}

/// No message of one subscription or call is lost when many share the pipes.
#[tokio::test]
async fn ten_subscriptions_and_calls_share_a_connection() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Stdio, kind, open()).await;
        let mut all = Vec::new();
        for _ in 0..10 {
            let mut one = scene
                .agent
                .subscribe(json!({"toolsListChanged": true}))
                .await;
            one.acknowledged().await;
            all.push(one);
        }
        for _ in 0..5 {
            scene.agent.call("change_tools", json!({})).await;
        }
        for one in &mut all {
            for _ in 0..5 {
                let message = one.next().await.unwrap();
                assert_eq!(message["method"], "notifications/tools/list_changed");
            }
        }
    }
}

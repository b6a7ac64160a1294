//! What waits can be called off, and what is called off before it goes out does
//! not go out.

use super::*;

/// A modern call that is cancelled while its server is asked.
async fn d24_a_call_that_is_cancelled_before_it_goes_out_stays(face: Face) {
    for kind in Kind::ALL {
        for method in ["server/discover", "tools/list"] {
            let dam = Dam::new();
            let scene = held(face, kind, &dam, method, allow_all());
            let params = json!({"name": "echo", "arguments": {"text": "held"}});
            let message = scene.agent.wrapped("held", "tools/call", params);
            match face {
                Face::Http => {
                    let link = scene.agent.as_http().clone();
                    let sent = message.to_string();
                    let call = tokio::spawn(async move { link.post_raw(sent).await });
                    asked(&scene, method).await;
                    call.abort();
                    drop(call.await);
                }
                Face::Stdio => {
                    let link = scene.agent.as_stdio();
                    link.write(message.to_string()).unwrap();
                    asked(&scene, method).await;
                    let cancel = json!({"requestId": "held"});
                    scene.agent.notify("notifications/cancelled", cancel).await;
                }
            }
            // Nobody waits for the server any more: its answer is still held back.
            scene
                .records_become(&["tools/call echo: allow, not_sent"])
                .await;
            dam.open();
            scene.honest_call_works().await;
            assert_eq!(
                scene.upstream.calls(),
                ["echo"],
                "{face:?} {kind:?} {method}"
            );
        }
    }
}
on_each_face!(d24_a_call_that_is_cancelled_before_it_goes_out_stays);

#[tokio::test]
async fn d24_a_session_that_ends_while_its_server_is_asked_waits_for_nothing_over_stdio() {
    for kind in Kind::ALL {
        let dam = Dam::new();
        let scene = held(Face::Stdio, kind, &dam, "server/discover", allow_all());
        let params = json!({"name": "echo", "arguments": {}});
        let message = scene.agent.wrapped("held", "tools/call", params);
        let link = scene.agent.as_stdio();
        link.write(message.to_string()).unwrap();
        asked(&scene, "server/discover").await;
        scene.gate.revoke(&scene.pass);
        wait_until("the stream ends", || link.ended()).await;
        dam.open();
        assert!(scene.upstream.calls().is_empty());
    }
}

/// In the legacy era over HTTP a cancellation travels on a connection of its own,
/// and may overtake its call.
async fn d24_a_cancellation_that_comes_first_is_not_forgotten(scene: Scene) {
    let cancel = json!({"requestId": "early"});
    scene.agent.notify("notifications/cancelled", cancel).await;
    if scene.face == Face::Stdio {
        // Lines are taken one after another.
        let pong = scene.agent.request("ping", json!({})).await;
        assert_eq!(pong["result"], json!({}));
    }
    let params = json!({"name": "echo", "arguments": {"text": "early"}});
    let call = json!({"jsonrpc": "2.0", "id": "early", "method": "tools/call", "params": params});
    match scene.face {
        Face::Http => drop(scene.agent.as_http().post_raw(call.to_string()).await),
        Face::Stdio => scene.agent.as_stdio().write(call.to_string()).unwrap(),
    }
    scene
        .records_become(&["tools/call echo: allow, not_sent"])
        .await;
    assert!(scene.upstream.calls().is_empty());
    scene.honest_call_works().await;
    assert_eq!(scene.upstream.calls(), ["echo"]);
}
everywhere!(
    d24_a_cancellation_that_comes_first_is_not_forgotten,
    allow_all()
);

/// A server whose question is refused, and that does not take the refusal.
async fn d24_a_server_that_takes_no_refusal_holds_up_nobody(face: Face) {
    let dam = Dam::new();
    let options = dam.before("(response)", Options::default());
    let policy = json!({"version": "1", "default": "allow", "methods": {"deny": ["sampling/createMessage"]}});
    let scene = Scene::new(face, Kind::Http, Setup::from(policy).options(options)).await;
    let call = {
        let (agent, params) = (
            scene.agent.clone(),
            json!({"name": "sample", "arguments": {}}),
        );
        tokio::spawn(async move { agent.request_as(77, "tools/call", params).await })
    };
    let refused = || scene.upstream.saw("POLICY DENIED");
    wait_until("the refusal has arrived", refused).await;
    scene.agent.cancel(77).await;
    let cancelled = || scene.upstream.saw("notifications/cancelled");
    wait_until("the cancellation has arrived", cancelled).await;
    scene
        .records_become(&[
            "tools/call sample: allow, cancelled",
            "sampling/createMessage: deny by (method)",
        ])
        .await;
    scene.honest_call_works().await;
    dam.open();
    call.abort();
}
on_each_face!(d24_a_server_that_takes_no_refusal_holds_up_nobody);

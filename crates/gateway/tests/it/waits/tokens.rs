//! What is on its way over HTTP when its token ends, with its grant or by a
//! rotation: it ends at once, whether its server says anything or not.

use std::time::Duration;

use super::*;
use provost_testkit::wait::within;

/// How a token ends.
const ENDS: [fn(&Scene); 2] = [
    |scene| scene.gate.revoke(&scene.pass),
    |scene| drop(scene.gate.rotate(&scene.pass)),
];

/// Sends a message that its server holds back, lets its token end, and awaits what
/// its agent is told: the server says nothing before that.
async fn is_told(scene: &Scene, message: &Value, held: &str, end: fn(&Scene)) {
    let (link, sent) = (scene.agent.as_http().clone(), message.to_string());
    let answer = tokio::spawn(async move { link.post_raw(sent).await.unwrap() });
    asked(scene, held).await;
    end(scene);
    let answer = within("the end of what is on its way", answer)
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(rule(&answer.message()), "(revoked)");
}

/// Nothing of it is left, and others are served.
async fn leaves_nothing(scene: &Scene, dam: &Dam) {
    wait_until("its places are free", || {
        scene.gate.gateway.usage().calls == 0
    })
    .await;
    dam.open();
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let answer = other.call("echo", json!({"text": "honest"})).await;
    assert_eq!(text(&answer), "honest");
}

#[tokio::test]
async fn a_subscription_whose_server_has_not_answered_ends_with_its_token() {
    let method = "subscriptions/listen";
    for end in ENDS {
        let dam = Dam::new();
        let scene = held(Face::Http, Kind::Http, &dam, method, allow_all());
        let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["fixture://note"]});
        let params = json!({"notifications": wanted});
        let message = scene.agent.wrapped("listen", method, params);
        is_told(&scene, &message, method, end).await;
        scene
            .records_become(&["subscriptions/listen: allow, grant_ended"])
            .await;
        leaves_nothing(&scene, &dam).await;
        assert_eq!(scene.upstream.fixture().subscriptions(), 0);
    }
}

#[tokio::test]
async fn a_modern_call_ends_with_its_token() {
    for kind in Kind::ALL {
        for end in ENDS {
            let dam = Dam::new();
            let scene = Scene::new(Face::Http, kind, Setup::modern(allow_all())).await;
            let params = json!({"name": "slow", "arguments": dam.until()});
            let message = scene.agent.wrapped("away", "tools/call", params);
            is_told(&scene, &message, "tools/call", end).await;
            scene
                .records_become(&["tools/call slow: allow, grant_ended"])
                .await;
            // The process of a grant that is gone may be ended before it is told.
            let heard = |kind: &str| !scene.upstream.events_of(kind).is_empty();
            wait_until("its server knows", || {
                heard("hung up") || heard("cancelled") || heard("end of input")
            })
            .await;
            leaves_nothing(&scene, &dam).await;
        }
    }
}

#[tokio::test]
async fn what_opens_a_session_ends_with_its_token() {
    for kind in Kind::ALL {
        for end in ENDS {
            let dam = Dam::new();
            let options = dam.before("initialize", Options::default());
            let setup = Setup::from(allow_all()).options(options);
            let scene = Scene::before_initialize(Face::Http, kind, setup);
            let params = json!({
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "early", "version": "1"},
            });
            let message =
                json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
            is_told(&scene, &message, "initialize", end).await;
            assert_eq!(gauge(&scene, "provost_sessions "), 0);
            leaves_nothing(&scene, &dam).await;
        }
    }
}

/// A grant that had expired, and is given more time, is as good as new.
#[tokio::test]
async fn a_grant_that_comes_back_is_served() {
    let scene = Scene::new(Face::Http, Kind::Http, Setup::modern(allow_all())).await;
    let (soon, late) = (Duration::from_millis(50), Duration::from_secs(3600));
    scene.gate.expire_in(&scene.pass, soon);
    let clock = scene.gate.store.clock();
    let end = clock.now().wall + 50_000;
    wait_until("the grant has ended", || clock.now().wall > end).await;
    // Whatever changes meanwhile finds it at its end.
    scene.policy(allow_all());
    let refused = scene.agent.as_http().post_raw(call(1, "echo", "{}"));
    assert_eq!(refused.await.unwrap().status, 401);
    scene.gate.expire_in(&scene.pass, late);
    scene.honest_call_works().await;
}

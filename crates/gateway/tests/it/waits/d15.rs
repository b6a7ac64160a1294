//! A grant that ends while its call is away: the agent and the record hear of
//! the grant, the server is not blamed, and nothing is given back.

use std::time::Duration;

use super::*;

/// One call for everybody on the server together, given back when it fails.
fn once_for_all() -> Value {
    tools(json!({"slow": {"limits": [
        {"counter": "once", "window": "hour", "max": 1, "scope": "server", "refund": "failed"},
    ]}}))
}

/// Sends a call that stays away until the dam is open, lets `end` happen, and
/// returns what its agent is told, if it still can be.
async fn ended_meanwhile(scene: &Scene, dam: &Dam, end: impl AsyncFnOnce(&Scene)) -> Option<Value> {
    let params = json!({"name": "slow", "arguments": dam.until()});
    let message = match scene.era {
        Era::Legacy => {
            json!({"jsonrpc": "2.0", "id": "away", "method": "tools/call", "params": params})
        }
        Era::Modern => scene.agent.wrapped("away", "tools/call", params),
    };
    let message = message.to_string();
    match scene.face {
        Face::Http => {
            let link = scene.agent.as_http().clone();
            let answer = tokio::spawn(async move { link.post_raw(message).await.unwrap() });
            scene.upstream.wait_for_calls(1).await;
            end(scene).await;
            dam.open();
            Some(answer.await.unwrap().message())
        }
        Face::Stdio => {
            let link = scene.agent.as_stdio();
            link.write(message).unwrap();
            scene.upstream.wait_for_calls(1).await;
            end(scene).await;
            dam.open();
            let told = || link.strays().first().cloned();
            wait_until("an answer, or the end", || told().is_some() || link.ended()).await;
            told()
        }
    }
}

/// What its end looks like, whichever way it came.
async fn it_says_so(scene: &Scene, told: Option<Value>) {
    let told = told.expect("the agent is told before its stream ends");
    assert_eq!(rule(&told), "(revoked)", "{told}");
    assert_eq!(told["error"]["code"], 1403, "{told}");
    assert!(
        !told.to_string().contains("fixture"),
        "blames the server: {told}"
    );
    scene
        .records_become(&["tools/call slow: allow, grant_ended"])
        .await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let refused = other.call("slow", json!({"ms": 0})).await;
    assert_eq!(
        rule(&refused),
        "/tools/slow/limits/once",
        "nothing came back"
    );
    assert_eq!(scene.upstream.calls(), ["slow"]);
}

fn setup(era: Era) -> Setup {
    match era {
        Era::Legacy => Setup::from(once_for_all()),
        Era::Modern => Setup::modern(once_for_all()),
    }
}

async fn d15_a_call_of_a_grant_that_is_revoked_ends_in_its_own_words(face: Face) {
    for era in [Era::Legacy, Era::Modern] {
        for kind in Kind::ALL {
            let dam = Dam::new();
            let scene = Scene::new(face, kind, setup(era)).await;
            let told = ended_meanwhile(&scene, &dam, async |scene| {
                scene.gate.revoke(&scene.pass);
            });
            it_says_so(&scene, told.await).await;
        }
    }
}
on_each_face!(d15_a_call_of_a_grant_that_is_revoked_ends_in_its_own_words);

async fn d15_a_call_of_a_grant_that_expires_ends_in_its_own_words(face: Face) {
    for era in [Era::Legacy, Era::Modern] {
        for kind in Kind::ALL {
            let dam = Dam::new();
            let scene = Scene::new(face, kind, setup(era)).await;
            let told = ended_meanwhile(&scene, &dam, async |scene| {
                let length = Duration::from_millis(50);
                scene.gate.expire_in(&scene.pass, length);
                let clock = scene.gate.store.clock();
                let end = clock.now().wall + 50_000;
                wait_until("the grant has ended", || clock.now().wall > end).await;
            });
            it_says_so(&scene, told.await).await;
        }
    }
}
on_each_face!(d15_a_call_of_a_grant_that_expires_ends_in_its_own_words);

#[tokio::test]
async fn d15_a_server_that_fails_after_the_grant_ended_is_not_blamed_over_http() {
    let dam = Dam::new();
    let mut scene = Scene::new(Face::Http, Kind::Http, setup(Era::Modern)).await;
    let link = scene.agent.as_http().clone();
    let params = json!({"name": "slow", "arguments": dam.until()});
    let message = scene
        .agent
        .wrapped("away", "tools/call", params)
        .to_string();
    let answer = tokio::spawn(async move { link.post_raw(message).await.unwrap() });
    scene.upstream.wait_for_calls(1).await;
    scene.gate.revoke(&scene.pass);
    scene.stop_upstream();
    assert_eq!(rule(&answer.await.unwrap().message()), "(revoked)");
    scene
        .records_become(&["tools/call slow: allow, grant_ended"])
        .await;
}

//! A grant or a policy that ends while the server is asked, or while a body
//! comes slowly: judged is with what holds then.

use std::time::Duration;

use super::*;
use provost_store::Attachment;
use provost_testkit::tcp::statuses;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a modern call that waits behind the dam, lets `change` happen, and
/// returns what the agent was told, if it was.
pub(super) async fn changed_meanwhile(
    scene: &Scene,
    dam: &Dam,
    method: &str,
    change: impl FnOnce(&Scene),
) -> Option<Value> {
    let params = json!({"name": "echo", "arguments": {"text": "held"}});
    let message = scene.agent.wrapped("held", "tools/call", params);
    changed_while(scene, dam, method, &message, change).await
}

/// The same with another request.
pub(super) async fn changed_while(
    scene: &Scene,
    dam: &Dam,
    method: &str,
    message: &Value,
    change: impl FnOnce(&Scene),
) -> Option<Value> {
    match scene.face {
        Face::Http => {
            let link = scene.agent.as_http().clone();
            let sent = message.to_string();
            let answer = tokio::spawn(async move { link.post_raw(sent).await.unwrap() });
            asked(scene, method).await;
            change(scene);
            dam.open();
            Some(answer.await.unwrap().message())
        }
        Face::Stdio => {
            let link = scene.agent.as_stdio();
            link.write(message.to_string()).unwrap();
            asked(scene, method).await;
            change(scene);
            dam.open();
            let told = || link.strays().first().cloned();
            wait_until("an answer, or the end", || told().is_some() || link.ended()).await;
            told()
        }
    }
}

pub(super) const AWAITED: [&str; 2] = ["server/discover", "tools/list"];

async fn d81_a_grant_that_is_revoked_while_its_server_is_asked_calls_nothing(face: Face) {
    for kind in Kind::ALL {
        for method in AWAITED {
            let dam = Dam::new();
            let scene = held(face, kind, &dam, method, allow_all());
            let told = changed_meanwhile(&scene, &dam, method, |scene| {
                scene.gate.revoke(&scene.pass);
            });
            if let Some(told) = told.await {
                assert_eq!(rule(&told), "(revoked)", "{face:?} {kind:?} {method}");
                assert_eq!(told["error"]["code"], 1403, "{told}");
            } else {
                assert_eq!(face, Face::Stdio, "its stream ended with the grant");
            }
            scene
                .records_become(&["tools/call echo: deny by (revoked)"])
                .await;
            assert!(
                scene.upstream.calls().is_empty(),
                "{face:?} {kind:?} {method}"
            );
            let other = scene.another_agent(&scene.another_pass("other")).await;
            let answer = other.call("echo", json!({"text": "honest"})).await;
            assert_eq!(text(&answer), "honest");
        }
    }
}
on_each_face!(d81_a_grant_that_is_revoked_while_its_server_is_asked_calls_nothing);

async fn d81_a_policy_that_is_put_while_the_server_is_asked_decides(face: Face) {
    for kind in Kind::ALL {
        for method in AWAITED {
            let dam = Dam::new();
            let scene = held(face, kind, &dam, method, allow_all());
            let told = changed_meanwhile(&scene, &dam, method, |scene| {
                scene.policy(tools(json!({"echo": {"action": "deny"}})));
            });
            let told = told.await.unwrap();
            assert_eq!(rule(&told), "/tools/echo/action", "{told}");
            let records = scene.gate.records();
            assert_eq!((records.len(), records[0].version), (1, Some(2)));
            assert!(
                scene.upstream.calls().is_empty(),
                "{face:?} {kind:?} {method}"
            );
            let answer = scene.agent.call("add", json!({"a": 1, "b": 2})).await;
            assert_eq!(text(&answer), "3");
        }
    }
}
on_each_face!(d81_a_policy_that_is_put_while_the_server_is_asked_decides);

async fn d81_a_policy_that_is_taken_away_while_the_server_is_asked_allows_nothing(face: Face) {
    for kind in Kind::ALL {
        let dam = Dam::new();
        let scene = held(face, kind, &dam, "server/discover", allow_all());
        let told = changed_meanwhile(&scene, &dam, "server/discover", |scene| {
            scene.gate.attach(&scene.pass, Attachment::default());
        });
        assert_eq!(rule(&told.await.unwrap()), "(no policy)");
        scene
            .records_become(&["tools/call echo: deny by (no policy)"])
            .await;
        assert!(scene.upstream.calls().is_empty());
    }
}
on_each_face!(d81_a_policy_that_is_taken_away_while_the_server_is_asked_allows_nothing);

#[tokio::test]
async fn d81_a_server_that_moves_while_it_is_asked_is_not_taken_for_the_other_over_http() {
    let dam = Dam::new();
    let scene = held(Face::Http, Kind::Http, &dam, "tools/list", allow_all());
    let elsewhere = provost_testkit::fixture::Fixture::start(Options::modern());
    let url = elsewhere.url();
    let told = changed_meanwhile(&scene, &dam, "tools/list", |scene| {
        scene.gate.move_server("fixture", &url);
    });
    assert_eq!(told.await.unwrap()["error"]["code"], -32603);
    scene
        .records_become(&["tools/call echo: deny by (upstream)"])
        .await;
    assert!(scene.upstream.calls().is_empty() && elsewhere.recorder.calls().is_empty());
    scene.honest_call_works().await;
    assert_eq!(elsewhere.recorder.calls(), ["echo"]);
}

/// A call whose second half comes only after `change`.
async fn trickled(scene: &Scene, change: impl AsyncFnOnce(&Scene)) -> Vec<u8> {
    let message = json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": "trickled"}}});
    let message = match scene.era {
        Era::Legacy => message,
        Era::Modern => scene
            .agent
            .wrapped("slow", "tools/call", message["params"].clone()),
    };
    let body = message.to_string();
    let mut head = format!(
        "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\n",
        scene.gate.address
    );
    for (name, value) in scene.agent.as_http().headers_for(&message) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!(
        "content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    let (first, second) = body.split_at(body.len() / 2);
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket
        .write_all(format!("{head}{first}").as_bytes())
        .await
        .unwrap();
    let there = || open_connections(scene) > 0;
    wait_until("the head has arrived", there).await;
    change(scene).await;
    socket.write_all(second.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let whole = socket.read_to_end(&mut answer);
    drop(provost_testkit::wait::within("the answer", whole).await);
    answer
}

fn slowly(era: Era) -> Setup {
    match era {
        Era::Legacy => Setup::from(allow_all()),
        Era::Modern => Setup::modern(allow_all()),
    }
}

#[tokio::test]
async fn d81_a_body_that_is_read_when_the_grant_has_expired_calls_nothing_over_http() {
    for era in [Era::Legacy, Era::Modern] {
        let scene = Scene::new(Face::Http, Kind::Http, slowly(era)).await;
        let length = Duration::from_millis(1500);
        scene.gate.expire_in(&scene.pass, length);
        let clock = scene.gate.store.clock();
        let end = clock.now().wall + 1_500_000;
        let answer = trickled(&scene, async |_| {
            wait_until("the grant has ended", || clock.now().wall > end).await;
        });
        let answer = answer.await;
        assert_eq!(statuses(&answer), [401], "{era:?}");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("www-authenticate: Bearer"), "{text}");
        assert!(text.contains("(revoked)"), "{text}");
        scene
            .records_become(&["tools/call echo: deny by (revoked)"])
            .await;
        assert!(scene.upstream.calls().is_empty());
        let other = scene.another_agent(&scene.another_pass("other")).await;
        let answer = other.call("echo", json!({"text": "honest"})).await;
        assert_eq!(crate::harness::text(&answer), "honest");
    }
}

#[tokio::test]
async fn d81_a_body_is_judged_by_the_policy_that_holds_when_it_is_read_over_http() {
    for era in [Era::Legacy, Era::Modern] {
        let scene = Scene::new(Face::Http, Kind::Http, slowly(era)).await;
        let answer = trickled(&scene, async |scene| {
            scene.policy(tools(json!({"echo": {"action": "deny"}})));
        });
        assert_eq!(statuses(&answer.await), [200], "{era:?}");
        scene
            .records_become(&["tools/call echo: deny by /tools/echo/action"])
            .await;
        assert!(scene.upstream.calls().is_empty());
    }
}

#[tokio::test]
async fn d81_what_cannot_be_read_is_answered_to_nobody_whose_grant_has_ended_over_http() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let host = format!(
        "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\n",
        scene.gate.address
    );
    let token = &scene.pass.token;
    let head = format!(
        "{host}authorization: Bearer {token}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    );
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket
        .write_all(format!("{head}{{").as_bytes())
        .await
        .unwrap();
    let there = || open_connections(&scene) > 0;
    wait_until("the head has arrived", there).await;
    scene.gate.revoke(&scene.pass);
    drop(socket.write_all(b"{").await);
    let mut answer = Vec::new();
    let whole = socket.read_to_end(&mut answer);
    drop(provost_testkit::wait::within("the answer", whole).await);
    assert_eq!(statuses(&answer), [401]);
}

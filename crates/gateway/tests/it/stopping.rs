//! A graceful stop: calls in flight finish or are cancelled upstream, counters
//! are settled, the journal is whole.

use std::time::Duration;

use crate::harness::*;
use provost_testkit::fixture::{Fixture, Options};
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::{Value, json};

fn one_at_a_time() -> Value {
    json!({"version": "1", "default": "allow", "all_tools": {"limits": [{"counter": "one", "concurrent": 1}]}})
}

async fn a_call_in_flight_finishes(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 400})).await });
    scene.upstream.wait_for_calls(1).await;
    within("the stop", scene.gate.gateway.stop()).await;
    assert_eq!(text(&slow.await.unwrap()), "slept");
    let gate = scene.gate.restart(gate::settings()).await;
    assert_eq!(gate.history(), ["tools/call slow: allow, ok"]);
    assert!(gate.store.audit_verify(None).unwrap().intact());
}
everywhere!(a_call_in_flight_finishes, allow_all());

async fn a_call_that_takes_too_long_is_cancelled(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    within("the stop", scene.gate.gateway.stop()).await;
    scene.upstream.wait_for("cancelled").await;
    slow.abort();
    let gate = scene.gate.restart(gate::settings()).await;
    assert_eq!(gate.history(), ["tools/call slow: allow, cancelled"]);
    assert!(gate.store.audit_verify(None).unwrap().intact());
}
everywhere!(
    a_call_that_takes_too_long_is_cancelled,
    Setup::from(one_at_a_time())
        .settings(|settings| settings.stop_deadline = Duration::from_millis(1500))
);

async fn nothing_new_is_taken_while_it_stops(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 800})).await });
    scene.upstream.wait_for_calls(1).await;
    let gateway = scene.gate.gateway.clone();
    let stop = tokio::spawn(async move { gateway.stop().await });
    wait_until("it stops", || scene.gate.gateway.ready().is_err()).await;
    match scene.face {
        Face::Http => {
            let late = scene.agent.as_http().post_raw(call(90, "echo", "{}")).await;
            assert!(late.is_err() || late.unwrap().status == 503);
        }
        Face::Stdio => {
            scene
                .agent
                .as_stdio()
                .write(call(90, "echo", "{}"))
                .unwrap();
        }
    }
    assert_eq!(text(&slow.await.unwrap()), "slept");
    within("the stop", stop).await.unwrap();
    assert_eq!(scene.upstream.calls(), ["slow"]);
}
everywhere!(nothing_new_is_taken_while_it_stops, allow_all());

async fn open_streams_and_agents_are_let_go(scene: Scene) {
    let stream = match scene.face {
        Face::Http => Some(scene.agent.as_http().get(None).await.unwrap()),
        Face::Stdio => None,
    };
    within("the stop", scene.gate.gateway.stop()).await;
    match stream {
        Some(mut stream) => {
            while within("the end of the stream", stream.next())
                .await
                .is_some()
            {}
        }
        None => wait_until("the agent's stream ends", || scene.agent.as_stdio().ended()).await,
    }
}
everywhere!(open_streams_and_agents_are_let_go, allow_all());

async fn counters_come_back_after_a_restart(scene: Scene) {
    scene.honest_call_works().await;
    scene.honest_call_works().await;
    let (pass, face) = (scene.pass.clone(), scene.face);
    let gate = scene.gate.restart(gate::settings()).await;
    let agent = match face {
        Face::Http => gate.http_agent(&pass),
        Face::Stdio => gate.stdio_agent(&pass),
    };
    agent.connect().await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "third"})).await),
        "third"
    );
    let refused = agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/tools/echo/limits/echo_rate");
    assert!(decision(&refused)["retryAfterMs"].as_u64().unwrap() > 0);
}
both_faces!(
    counters_come_back_after_a_restart,
    tools(json!({"echo": {"rate_limit": {"max": 3, "window": 600}}}))
);

#[tokio::test]
async fn what_came_back_is_still_back_after_a_restart() {
    let limited = tools(json!({"echo": {"rate_limit": {"max": 1, "window": 600}}}));
    let mut scene = Scene::new(Face::Http, Kind::Http, limited).await;
    let port = scene.upstream.fixture().address().port();
    scene.stop_upstream();
    assert_eq!(scene.raw(call(1, "echo", "{}")).await.status, Some(502));
    let gate = scene.gate.restart(gate::settings()).await;
    let options = Options {
        port: Some(port),
        ..Options::default()
    };
    let again = Fixture::start(options);
    let agent = gate.http_agent(&scene.pass);
    agent.connect().await;
    assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(
        rule(&agent.call("echo", json!({})).await),
        "/tools/echo/limits/echo_rate"
    );
    assert_eq!(again.recorder.calls(), ["echo"]);
}

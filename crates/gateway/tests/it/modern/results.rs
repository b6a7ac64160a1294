//! Results and messages of a server that no agent may get to see.

use super::*;
use provost_testkit::fixture::{Hostility, Options};
use provost_testkit::wait_until;

fn hostile(habit: Hostility, on: &str) -> Setup {
    open().options(Options {
        hostile: Some(habit),
        on: on.to_owned(),
        ..Options::modern()
    })
}

/// The call fails with our words, and the next one works.
async fn is_refused(scene: &Scene, habit: Hostility) -> Value {
    let mode = format!(r#"{{"mode":"{}"}}"#, habit.word());
    let answer = scene.raw(call("1", "hostile", &mode)).await;
    assert_eq!(answer.status.unwrap_or(502), 502, "{habit:?}: {answer:?}");
    assert_eq!(code(&answer.message), -32603, "{habit:?}: {answer:?}");
    assert_eq!(answer.message["id"], 1);
    let records = scene.gate.history();
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(
        records[0].starts_with("tools/call hostile: allow, ") && !records[0].ends_with(", ok"),
        "{records:?}"
    );
    scene.honest_call_works().await;
    answer.message
}

async fn a_result_of_an_unknown_type_is_an_error(scene: Scene) {
    let answer = is_refused(&scene, Hostility::UnknownResultType).await;
    assert!(!answer.to_string().contains("strange"), "{answer}");
}
everywhere!(a_result_of_an_unknown_type_is_an_error, open());

async fn a_result_that_asks_for_nothing_is_an_error(scene: Scene) {
    is_refused(&scene, Hostility::EmptyInput).await;
}
everywhere!(a_result_that_asks_for_nothing_is_an_error, open());

/// In this era servers ask in results; a request is a violation.
async fn a_request_of_the_server_never_reaches_the_agent(scene: Scene) {
    is_refused(&scene, Hostility::AskDirectly).await;
    assert!(scene.agent.received("sampling/createMessage").is_empty());
    assert!(!scene.upstream.saw("4711"), "nobody answered it");
}
everywhere!(a_request_of_the_server_never_reaches_the_agent, open());

async fn a_notification_of_the_other_era_is_dropped(scene: Scene) {
    let mode = json!({"mode": Hostility::StrayNotification.word()});
    let answer = scene.agent.call("hostile", mode).await;
    assert_eq!(text(&answer), "not hostile on this face");
    let heard = scene.agent.inbox();
    assert!(heard.is_empty(), "{heard:?}");
    scene.honest_call_works().await;
}
everywhere!(a_notification_of_the_other_era_is_dropped, open());

async fn a_made_up_decision_is_removed(scene: Scene) {
    let mode = json!({"mode": Hostility::Decision.word()});
    let answer = scene.agent.call("hostile", mode).await;
    let meta = &answer["result"]["_meta"];
    assert_eq!(meta["dev.example/kept"], 1, "{answer}");
    assert!(meta.get(DECISION).is_none(), "{answer}");
}
everywhere!(a_made_up_decision_is_removed, open());

/// Nor does a refusal of ours carry somebody else's.
async fn a_made_up_decision_in_a_list_is_removed(scene: Scene) {
    let answer = scene.agent.request("tools/list", nothing()).await;
    assert!(
        answer["result"]["_meta"].get(DECISION).is_none(),
        "{answer}"
    );
    assert_eq!(answer["result"]["_meta"]["dev.example/kept"], 1);
}
everywhere!(
    a_made_up_decision_in_a_list_is_removed,
    hostile(Hostility::Decision, "tools/list")
);

#[tokio::test]
async fn broken_servers_are_bad_gateways_and_the_next_call_works() {
    for habit in [
        Hostility::WrongShape,
        Hostility::BadUtf8,
        Hostility::Html,
        Hostility::InternalError,
        Hostility::Redirect,
        Hostility::Unauthorized,
        Hostility::Cut,
        Hostility::EndStream,
        Hostility::Exit,
    ] {
        let scene = Scene::new(Face::Http, Kind::Http, open()).await;
        let answer = is_refused(&scene, habit).await;
        let told = answer.to_string();
        for internal in ["hunter2", "nginx", "realm", "elsewhere"] {
            assert!(!told.contains(internal), "{habit:?}: {told}");
        }
    }
}

#[tokio::test]
async fn broken_processes_are_bad_gateways_and_the_next_call_works() {
    for habit in [Hostility::Exit, Hostility::PartialExit] {
        let scene = Scene::new(Face::Http, Kind::Stdio, open()).await;
        is_refused(&scene, habit).await;
    }
}

/// A line that answers nothing leaves its request without an answer.
#[tokio::test]
async fn a_process_that_answers_nothing_is_too_slow() {
    for habit in [Hostility::WrongShape, Hostility::BadUtf8, Hostility::Silent] {
        let patient = open().settings(|settings| {
            settings.call_timeout = std::time::Duration::from_millis(500);
        });
        let scene = Scene::new(Face::Http, Kind::Stdio, patient).await;
        let mode = format!(r#"{{"mode":"{}"}}"#, habit.word());
        let answer = scene.raw(call("1", "hostile", &mode)).await;
        status_is(&answer, 504);
        assert_eq!(code(&answer.message), -32603, "{habit:?}: {answer:?}");
        scene.honest_call_works().await;
    }
}

/// Whoever was served by the process that went away asks the next one.
#[tokio::test]
async fn a_process_that_ends_is_started_again_in_its_era() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, open()).await;
        scene.honest_call_works().await;
        scene.kill_process().await;
        scene.honest_call_works().await;
        let started = scene.upstream.events_of("started").len();
        assert!(started >= 2, "{started}");
        assert!(!scene.upstream.saw("initialize"));
    }
}

/// The response comes under the id of another request first, or twice.
async fn answers_that_nobody_waits_for_are_dropped(scene: Scene) {
    for habit in [Hostility::UnknownId, Hostility::Twice] {
        let mode = json!({"mode": habit.word()});
        let answer = scene.agent.call("hostile", mode).await;
        assert_eq!(text(&answer), "not hostile on this face", "{habit:?}");
        scene.honest_call_works().await;
    }
    if scene.face == Face::Stdio {
        let strays = scene.agent.as_stdio().strays();
        assert!(strays.is_empty(), "{strays:?}");
    }
}
everywhere!(answers_that_nobody_waits_for_are_dropped, open());

#[tokio::test]
async fn headers_of_the_server_stay_here() {
    let scene = Scene::new(Face::Http, Kind::Http, open()).await;
    let mode = format!(r#"{{"mode":"{}"}}"#, Hostility::BadHeaders.word());
    let link = scene.agent.as_http();
    let reply = link.post_raw(call("1", "hostile", &mode)).await.unwrap();
    assert_eq!(reply.status, 200);
    for header in [
        "set-cookie",
        "www-authenticate",
        "location",
        "access-control-allow-origin",
    ] {
        assert_eq!(reply.header(header), None, "{header}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_a_bad_gateway() {
    let mut scene = Scene::new(Face::Http, Kind::Http, open()).await;
    scene.stop_upstream();
    let answer = scene.raw(call("1", "echo", "{}")).await;
    assert_eq!((answer.status, code(&answer.message)), (Some(502), -32603));
    wait_until("it is recorded", || scene.gate.records().len() == 1).await;
}

//! A: who may, and under whose name.

use super::*;
use crate::doors::{self, PING, post, said, statuses};
use provost_store::{ExportFormat, NewGrant};
use provost_testkit::fixture::{Fixture, Options};
use provost_testkit::http;
use serde_json::{Value, json};

fn logged() -> Setup {
    log::start();
    Setup::from(allow_all())
}

async fn a62_without_a_token_the_door_stays_shut(scene: Scene) {
    let token = scene.pass.token.as_str();
    for header in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        format!("Bearer {token}x"),
        format!("Bearer {}", &token[1..]),
        token.to_owned(),
    ] {
        let watch = Watch::on(&scene, "somebody without a token");
        let reply = post(
            &scene,
            "/mcp/fixture",
            &[("authorization", header.as_str())],
        )
        .await;
        let told = (reply.status, reply.header("www-authenticate"), said(&reply));
        let words = doors::told("grant");
        assert_eq!(told, (401, Some("Bearer"), words), "{header}");
        watch.stranger("grant").await;
    }
    let twice = format!("authorization: Bearer {token}\r\n").repeat(2);
    let request = format!(
        "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{twice}content-length: {}\r\nconnection: close\r\n\r\n{PING}",
        scene.gate.address,
        PING.len()
    );
    let watch = Watch::on(&scene, "two tokens");
    assert_eq!(statuses(&scene, request.as_bytes()).await, [401]);
    watch.stranger("grant").await;
}
over_http!(a62_without_a_token_the_door_stays_shut, logged());

/// Signed by nobody, by somebody else, for another audience: none is a grant.
async fn a63_tokens_of_others_open_nothing(scene: Scene) {
    for token in [
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZ2VudCIsImF1ZCI6InByb3Zvc3QifQ.",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZ2VudCIsImV4cCI6MX0.c2lnbmVk",
        "pv_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let watch = Watch::on(&scene, token);
        let header = format!("Bearer {token}");
        let reply = post(
            &scene,
            "/mcp/fixture",
            &[("authorization", header.as_str())],
        )
        .await;
        assert_eq!(
            (reply.status, reply.header("www-authenticate")),
            (401, Some("Bearer")),
            "{token}"
        );
        watch.stranger("grant").await;
    }
    let ended = scene.another_pass("ended");
    scene.gate.revoke(&ended);
    let watch = Watch::on(&scene, "a revoked grant");
    let header = format!("Bearer {}", ended.token);
    assert_eq!(
        post(
            &scene,
            "/mcp/fixture",
            &[("authorization", header.as_str())]
        )
        .await
        .status,
        401
    );
    watch.stranger("grant").await;
}
over_http!(a63_tokens_of_others_open_nothing, logged());

async fn a64_a_token_in_the_address_is_none(scene: Scene) {
    let token = &scene.pass.token;
    for query in [
        format!("token={token}"),
        format!("access_token={token}"),
        format!("authorization=Bearer%20{token}"),
    ] {
        let watch = Watch::on(&scene, "a token in the query");
        let url = format!("{}?{query}", scene.gate.url("fixture"));
        assert_eq!(http::post(&url, &[], PING).await.unwrap().status, 401);
        watch.stranger("grant").await;
    }
    let log = log::start().text();
    assert!(!log.contains(token.as_str()), "the query was logged");
}
over_http!(a64_a_token_in_the_address_is_none, logged());

/// Everything the gateway leaves behind or sends on, after calls that work, that
/// are refused, that fail, and that cannot be read.
async fn a66_the_agents_token_ends_here(scene: Scene) {
    let token = scene.pass.token.clone();
    let mut said = String::new();
    for (tool, arguments) in [
        ("identity", json!({})),
        ("add", json!({})),
        ("rpc_error", json!({})),
        ("nowhere", json!({})),
    ] {
        said += &scene.agent.call(tool, arguments).await.to_string();
    }
    said += &scene.raw("{").await.message.to_string();
    said += &post(&scene, "/mcp/fixture", &[("mcp-protocol-version", "x")])
        .await
        .text();
    said += &post(&scene, "/mcp/nowhere", &[]).await.text();
    if scene.kind == Kind::Http {
        scene.upstream.fixture().set_habit(Some((
            provost_testkit::fixture::Hostility::Unauthorized,
            "tools/call",
        )));
        said += &scene.agent.call("echo", json!({})).await.to_string();
        scene.upstream.fixture().set_habit(None);
    }
    assert!(said.contains("variables"), "the environment was looked at");
    let mut export = Vec::new();
    for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
        scene
            .gate
            .store
            .audit_export(format, &provost_store::Filter::default(), &mut export)
            .unwrap();
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let places = [
        ("answers", said),
        ("the upstream", text(scene.upstream.bytes())),
        ("the log", log::start().text()),
        ("the export", text(export)),
        ("the records", format!("{:?}", scene.gate.records())),
        ("the counts", scene.gate.gateway.metrics()),
    ];
    for (place, text) in places {
        assert!(
            !text.is_empty() && !text.contains(&token[3..]),
            "the token is in {place}: {text}"
        );
    }
    scene.honest_call_works().await;
}
from_http!(a66_the_agents_token_ends_here, {
    log::start();
    tools(json!({"add": {"action": "deny"}}))
});

/// With credentials of the server's own, and without.
async fn a67_the_agents_authorization_is_not_forwarded(scene: Scene) {
    assert!(!scene.upstream.saw("authorization") && !scene.upstream.saw("Authorization"));
    let fixture = Fixture::start(Options {
        authorization: Some("Bearer right".to_owned()),
        ..Options::default()
    });
    let headers = [("Authorization", "Bearer right")];
    scene
        .gate
        .http_server_with("guarded", &fixture.url(), &headers);
    scene.gate.put_policy("guarded", "open", &allow_all());
    let pass = scene.gate.mint_on("guarded", "open");
    let agent = match scene.face {
        Face::Http => scene.gate.http_agent(&pass),
        Face::Stdio => scene.gate.stdio_agent(&pass),
    };
    agent.connect().await;
    let identity: Value =
        serde_json::from_str(text(&agent.call("identity", json!({})).await)).unwrap();
    assert_eq!(identity["headers"]["authorization"], "Bearer right");
    assert!(!fixture.recorder.saw(&pass.token));
    scene.honest_call_works().await;
}
both_faces!(a67_the_agents_authorization_is_not_forwarded, allow_all());

/// What a client calls itself is not who it is.
async fn a68_a_borrowed_name_changes_nothing(scene: Scene) {
    scene.gate.put_policy("fixture", "open", &allow_all());
    let attachment = provost_store::Attachment {
        policy: Some("open".to_owned()),
        shadow: None,
    };
    let (server, label) = ("fixture".to_owned(), "boss".to_owned());
    let boss = scene.gate.mint(NewGrant {
        server,
        label,
        attachment,
        ..NewGrant::default()
    });
    for name in ["boss", boss.grant.as_str(), "provost", "admin"] {
        let agent = match scene.face {
            Face::Http => scene.gate.http_agent(&scene.pass),
            Face::Stdio => scene.gate.stdio_agent(&scene.pass),
        };
        let client = json!({"name": name, "version": "1", "grant": boss.grant.as_str()});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client, "_meta": {"grant": "boss"}});
        assert!(
            agent
                .request("initialize", params)
                .await
                .get("result")
                .is_some()
        );
        agent.notify("notifications/initialized", json!({})).await;
        let arguments = json!({"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": {"grant": "boss", "dev.provost/grant": "boss"}});
        assert_eq!(agent.request("ping", json!({})).await["result"], json!({}));
        let watch = Watch::on(&scene, name);
        assert_eq!(
            rule(&agent.request("tools/call", arguments).await),
            "/tools/add/action",
            "{name}"
        );
        watch
            .recorded("/tools/add/action", "tools/call", Some("add"))
            .await;
        watch.untouched();
        assert_eq!(scene.gate.records().last().unwrap().grant_label, "agent");
    }
    scene.honest_call_works().await;
}
mod a68_a_borrowed_name_changes_nothing {
    use super::*;

    async fn on(face: Face, kind: Kind) {
        let policy = tools(json!({"add": {"action": "deny"}}));
        super::a68_a_borrowed_name_changes_nothing(Scene::new(face, kind, policy).await).await;
    }

    #[tokio::test]
    async fn http_to_http() {
        on(Face::Http, Kind::Http).await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        on(Face::Stdio, Kind::Stdio).await;
    }
}

/// The shortest policy, and one that lists nothing: everything is refused.
async fn a69_an_empty_list_allows_nothing(scene: Scene) {
    for policy in [
        json!({"version": "1", "default": "deny"}),
        json!({"version": "1", "default": "deny", "tools": {}}),
        json!({"version": "1", "default": "deny", "tools": {}, "methods": {"allow": []}}),
    ] {
        scene.policy(policy);
        assert!(scene.agent.tools().await.is_empty());
        let watch = Watch::on(&scene, "an empty list");
        assert_eq!(
            rule(&scene.agent.call("echo", json!({})).await),
            "(default deny)"
        );
        watch
            .recorded("(default deny)", "tools/call", Some("echo"))
            .await;
        watch.untouched();
        let watch = Watch::on(&scene, "an empty list of methods");
        let read = scene
            .agent
            .request("resources/read", json!({"uri": "fixture://text"}))
            .await;
        assert_eq!(rule(&read), "(method)");
        watch.recorded("(method)", "resources/read", None).await;
        watch.untouched();
        scene.policy(allow_all());
        scene.honest_call_works().await;
    }
}
both_faces!(a69_an_empty_list_allows_nothing, allow_all());

/// What is no policy never becomes one, and a grant without one is denied everything.
async fn a69_no_policy_allows_nothing(scene: Scene) {
    for text in [
        "",
        " ",
        "{",
        "{}",
        "[]",
        "null",
        r#"{"version":"2","default":"allow"}"#,
        r#"{"version":"1","defualt":"allow"}"#,
    ] {
        scene.gate.put_nonsense("fixture", "rules", text);
        assert!(scene.agent.tools().await.is_empty());
        let watch = Watch::on(&scene, text);
        assert_eq!(
            rule(&scene.agent.call("echo", json!({})).await),
            "(no policy)"
        );
        watch
            .recorded("(no policy)", "tools/call", Some("echo"))
            .await;
        watch.untouched();
    }
    scene.policy(allow_all());
    let policy = Some(crate::harness::gate::POLICY.to_owned());
    scene.gate.attach(
        &scene.pass,
        provost_store::Attachment {
            policy,
            shadow: None,
        },
    );
    scene.honest_call_works().await;
}
both_faces!(a69_no_policy_allows_nothing, Setup::without_policy());

/// An expression and a text made for engines that go back and try again: it is
/// decided as quickly as any, and the gateway goes on.
async fn a70_no_rule_takes_forever(scene: Scene) {
    let text = "a".repeat(200_000) + "!";
    let watch = Watch::on(&scene, "a catastrophic expression");
    let answer = scene.agent.call("add", json!({"text": text})).await;
    assert_eq!(rule(&answer), "/tools/add/require/args.text-regex");
    watch
        .call_refused("/tools/add/require/args.text-regex", "add")
        .await;
}
both_faces!(
    a70_no_rule_takes_forever,
    tools(
        json!({"add": {"require": [{"conditions": [{"path": "args.text", "op": "regex", "value": "^((a+)+)+$"}]}]}})
    )
);

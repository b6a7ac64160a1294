//! J: hostile envelopes, refused before anybody judges them.

use super::*;
use crate::harness::*;
use serde_json::{Value, json};

/// A `tools/call` of `echo` with these members instead of `params`.
fn with(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{members}}}"#)
}

/// A `tools/call` with these params.
fn params(params: &str) -> String {
    with(&format!(r#""params":{params}"#))
}

const PARAMS_OF_ECHO: &str = r#""params":{"name":"echo","arguments":{}}"#;

async fn j19_malformed_json(scene: Scene) {
    let texts = [
        "{",
        "nonsense",
        r#"{"jsonrpc":"2.0","id":1,"method":"#,
        "{]",
        "'{}'",
        r#"{"jsonrpc":"2.0",}"#,
    ];
    refuse(&scene, PARSE, texts).await;
    assert_eq!(scene.raw("{").await.message["id"], Value::Null);
}
both_faces!(j19_malformed_json, allow_all());

async fn j20_batches(scene: Scene) {
    let one = call(1, "echo", "{}");
    let texts = [
        format!("[{one}]"),
        format!("[{one},{one}]"),
        format!("[{one},1]"),
        format!(" [ {one} ] "),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j20_batches, allow_all());

async fn j21_an_empty_batch(scene: Scene) {
    refuse(
        &scene,
        INVALID,
        ["[]", "1", "\"tools/call\"", "null", "true"],
    )
    .await;
}
both_faces!(j21_an_empty_batch, allow_all());

async fn j22_duplicate_members_of_the_envelope(scene: Scene) {
    let texts = [
        with(&format!(r#"{PARAMS_OF_ECHO},"method":"ping""#)),
        with(&format!(r#"{PARAMS_OF_ECHO},"id":2"#)),
        with(&format!("{PARAMS_OF_ECHO},{PARAMS_OF_ECHO}")),
        with(&format!(r#"{PARAMS_OF_ECHO},"jsonrpc":"2.0""#)),
        with(&format!(r#"{PARAMS_OF_ECHO},"\u006dethod":"ping""#)),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j22_duplicate_members_of_the_envelope, allow_all());

async fn j23_duplicate_name_or_arguments(scene: Scene) {
    let texts = [
        params(r#"{"name":"echo","name":"add","arguments":{}}"#),
        params(r#"{"name":"echo","arguments":{},"arguments":{"a":1}}"#),
        params(r#"{"name":"echo","\u006eame":"add","arguments":{}}"#),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j23_duplicate_name_or_arguments, allow_all());

async fn j24_duplicate_keys_in_arguments(scene: Scene) {
    let arguments = [
        r#"{"path":"/ok","path":"/etc/shadow"}"#,
        r#"{"a":{"b":[{"path":"/ok","path":"/etc/shadow"}]}}"#,
        r#"{"path":"/ok","p\u0061th":"/etc/shadow"}"#,
    ];
    refuse(
        &scene,
        INVALID,
        arguments.map(|arguments| call(1, "echo", arguments)),
    )
    .await;
}
both_faces!(j24_duplicate_keys_in_arguments, allow_all());

async fn j25_members_that_only_look_alike(scene: Scene) {
    let texts = [
        r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"echo"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"METHOD":"tools/call","params":{"name":"echo"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#.to_owned(),
        with(r#""param\u017f":{"name":"echo"}"#),
        with(r#""Params":{"name":"echo"}"#),
        with(&format!(r#"{PARAMS_OF_ECHO},"Params":{{"name":"add"}}"#)),
        params(r#"{"name":"echo","Name":"add","arguments":{}}"#),
        params(r#"{"Name":"echo","arguments":{}}"#),
        params(r#"{"name":"echo","arguments":{},"requestState\u0000":"x","TaskId":"1"}"#),
        params(r#"{"name":"echo","arguments":{},"taskid":"1"}"#),
        params(r#"{"name":"echo","argument\u017f":{}}"#),
        params(r#"{"name":"echo","arguments":{},"ARGUMENTS":{}}"#),
        params(r#"{"ｎａｍｅ":"echo","arguments":{}}"#),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j25_members_that_only_look_alike, allow_all());

async fn j25_arguments_that_only_look_alike(scene: Scene) {
    for arguments in [
        r#"{"Text":"secret"}"#,
        r#"{"text":"ok","TEXT":"secret"}"#,
        r#"{"ｔext":"secret"}"#,
    ] {
        let watch = Watch::on(&scene, arguments);
        let answer = scene.raw(call(1, "echo", arguments)).await.message;
        assert_eq!(rule(&answer), ENVELOPE, "{arguments}: {answer}");
        watch.call_refused(ENVELOPE, "echo").await;
    }
}
both_faces!(
    j25_arguments_that_only_look_alike,
    tools(
        json!({"echo": {"deny_if": [{"conditions": [{"path": "args.text", "op": "contains", "value": "secret"}]}]}})
    )
);

async fn j26_escaped_keys_mean_what_they_say(scene: Scene) {
    let texts = [
        (
            r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"tools\/call","params":{"n\u0061me":"\u0061dd","arguments":{}}}"#,
            "add",
            "/tools/add/action",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","p\u0061rams":{"name":"echo","argument\u0073":{"t\u0065xt":"se\u0063ret"}}}"#,
            "echo",
            "/tools/echo/deny_if/args.text-contains",
        ),
    ];
    for (text, tool, decided) in texts {
        let watch = Watch::on(&scene, text);
        assert_eq!(rule(&scene.raw(text).await.message), decided, "{text}");
        watch.call_refused(decided, tool).await;
    }
}
both_faces!(
    j26_escaped_keys_mean_what_they_say,
    tools(json!({
        "add": {"action": "deny"},
        "echo": {"deny_if": [{"conditions": [{"path": "args.text", "op": "contains", "value": "secret"}]}]},
    }))
);

async fn j27_unknown_members_of_the_envelope(scene: Scene) {
    let texts = [
        with(&format!(r#"{PARAMS_OF_ECHO},"extra":1"#)),
        with(&format!(r#"{PARAMS_OF_ECHO},"arguments":{{}}"#)),
        with(&format!(r#"{PARAMS_OF_ECHO},"":1"#)),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j27_unknown_members_of_the_envelope, allow_all());

async fn j28_neither_fish_nor_fowl(scene: Scene) {
    let texts = [
        with(&format!(r#"{PARAMS_OF_ECHO},"result":{{}}"#)),
        with(&format!(
            r#"{PARAMS_OF_ECHO},"error":{{"code":1,"message":""}}"#
        )),
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1}"#.to_owned(),
        "{}".to_owned(),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j28_neither_fish_nor_fowl, allow_all());

async fn j29_strange_ids(scene: Scene) {
    let million = "\"".to_owned() + &"x".repeat(1 << 20) + "\"";
    let huge = "1".to_owned() + &"0".repeat(30);
    let ids = [
        "null",
        "1.5",
        "{}",
        "[]",
        "true",
        "1e2",
        huge.as_str(),
        million.as_str(),
    ];
    refuse(&scene, INVALID, ids.map(|id| call(id, "echo", "{}"))).await;
}
both_faces!(j29_strange_ids, allow_all());

async fn j29_ids_come_back_as_they_were_sent(scene: Scene) {
    for id in [
        "0",
        "-7",
        "9007199254740993",
        "\"\"",
        r#""a\u0062\/\n""#,
        "\"é\"",
        "\"1\"",
    ] {
        let answer = scene.raw(call(id, "echo", "{}")).await;
        let expected: Value = serde_json::from_str(id).unwrap();
        assert_eq!(answer.message["id"], expected);
        assert!(answer.message.get("result").is_some(), "{answer:?}");
    }
}
everywhere!(j29_ids_come_back_as_they_were_sent, allow_all());

async fn j30_an_id_in_flight_is_not_used_twice(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let first = tokio::spawn(async move { agent.request_as(77, "tools/call", slow).await });
    scene.upstream.wait_for_calls(1).await;
    let watch = Watch::on(&scene, "the same id again");
    let second = raw_beside(&scene, call(77, "echo", "{}")).await;
    assert_eq!(second["error"]["code"], -32600);
    watch.call_refused(ENVELOPE, "echo").await;
    let watch = Watch::on(&scene, "the same id again, for a list");
    let text = r#"{"jsonrpc":"2.0","id":77,"method":"tools/list"}"#.to_owned();
    assert_eq!(raw_beside(&scene, text).await["error"]["code"], -32600);
    watch.refused(ENVELOPE, "tools/list").await;
    first.abort();
}
both_faces!(j30_an_id_in_flight_is_not_used_twice, allow_all());

async fn j31_another_version_of_json_rpc(scene: Scene) {
    let texts = [
        r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":null,"id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0 ","id":1,"method":"tools/call","params":{"name":"echo"}}"#,
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(j31_another_version_of_json_rpc, allow_all());

async fn j32_too_deep_and_too_many(scene: Scene) {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"{n}\":0")).collect();
    let many = format!("{{{}}}", keys.join(","));
    let texts = [
        call(1, "echo", &format!(r#"{{"a":{deep}}}"#)),
        call(1, "echo", &many),
    ];
    refuse(&scene, INVALID, texts).await;
}
both_faces!(
    j32_too_deep_and_too_many,
    Setup::from(allow_all()).settings(|settings| settings.body_limit = 32 << 20)
);

async fn j33_text_that_is_no_text(scene: Scene) {
    let bad = |bytes: &[u8]| {
        [
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":""#,
            bytes,
            br#""}}"#,
        ]
        .concat()
    };
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend_from_slice(call(1, "echo", "{}").as_bytes());
    let texts = [
        bad(b"\xff\xfe"),
        bad(b"\xc0\xaf"),
        bad(b"\xed\xa0\x80"),
        bad(br"\ud800"),
        bad(br"\udc00\ud800"),
        bad(b"\0"),
        bad(b"\t"),
        marked,
    ];
    refuse(&scene, PARSE, texts).await;
}
both_faces!(j33_text_that_is_no_text, allow_all());

async fn j34_trailing_data(scene: Scene) {
    let one = call(1, "echo", "{}");
    let texts = [
        format!("{one}{one}"),
        format!("{one} x"),
        format!("{one},"),
        format!("{one}}}"),
    ];
    refuse(&scene, PARSE, texts).await;
}
both_faces!(j34_trailing_data, allow_all());

async fn j35_numbers_that_are_none(scene: Scene) {
    let numbers = [
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "1e",
    ];
    refuse(
        &scene,
        PARSE,
        numbers.map(|n| call(1, "echo", &format!(r#"{{"n":{n}}}"#))),
    )
    .await;
}
both_faces!(j35_numbers_that_are_none, allow_all());

async fn j35_big_numbers_arrive_as_they_are(scene: Scene) {
    for number in [
        "9007199254740993",
        "-9007199254740993",
        "1000000000000000000000000000001",
        "-0",
        "1.10",
    ] {
        let answer = scene
            .raw(call(1, "echo", &format!(r#"{{"n":{number}}}"#)))
            .await;
        assert!(answer.message.get("result").is_some(), "{answer:?}");
        assert!(
            scene
                .upstream
                .saw(&format!(r#""arguments":{{"n":{number}}}"#)),
            "{number}"
        );
    }
    assert_eq!(scene.gate.history(), vec!["tools/call echo: allow, ok"; 5]);
    scene.honest_call_works().await;
}
everywhere!(j35_big_numbers_arrive_as_they_are, allow_all());

async fn j36_a_call_that_names_no_tool(scene: Scene) {
    let texts = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#.to_owned(),
        params("{}"),
        params(r#"{"arguments":{}}"#),
        params(r#"{"name":7}"#),
        params(r#"{"name":null}"#),
        params(r#"{"name":["echo"]}"#),
        params(r#"{"name":"echo","arguments":[]}"#),
        params(r#"{"name":"echo","arguments":"{}"}"#),
        params(r#"{"name":"echo","arguments":null}"#),
    ];
    refuse(&scene, PARAMS, texts).await;
    refuse(
        &scene,
        INVALID,
        [params("[]"), params("\"echo\""), params("null")],
    )
    .await;
}
both_faces!(j36_a_call_that_names_no_tool, allow_all());

/// The same for what opens a session.
async fn j36_an_opening_without_a_revision(scene: Scene) {
    for params in [
        "{}",
        r#"{"protocolVersion":7}"#,
        r#"{"protocolVersion":null}"#,
    ] {
        let watch = Watch::on(&scene, params);
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        let answer = scene.raw(text).await;
        assert_eq!(
            (
                answer.status.unwrap_or(200),
                &answer.message["error"]["code"]
            ),
            (200, &json!(-32602))
        );
        watch.recorded(ENVELOPE, "initialize", None).await;
        watch.untouched();
    }
    scene.agent.connect().await;
    scene.honest_call_works().await;
}
everywhere_before_initialize!(j36_an_opening_without_a_revision, allow_all());

async fn j37_vendor_methods(scene: Scene) {
    let watch = Watch::on(&scene, "vendor/echo");
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"vendor/echo"}"#;
    let answer = scene.raw(text).await;
    assert_eq!(answer.message["error"]["code"], -32601);
    assert_eq!(answer.status.unwrap_or(200), 200);
    watch.refused("(method)", "vendor/echo").await;
    scene
        .policy(json!({"version": "1", "default": "allow", "methods": {"allow": ["vendor/echo"]}}));
    assert!(
        scene.raw(text).await.message["result"]
            .get("vendor")
            .is_some()
    );
}
both_faces!(j37_vendor_methods, allow_all());

async fn j38_methods_that_only_look_alike(scene: Scene) {
    for method in [
        "tools/call ",
        "Tools/Call",
        " tools/call",
        "tools/call\0",
        "TOOLS/LIST",
        "Initialize",
    ] {
        let watch = Watch::on(&scene, method);
        let quoted = json!(method);
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":{quoted},"params":{{"name":"echo"}}}}"#);
        let answer = scene.raw(text).await.message;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
        watch.refused("(method)", method).await;
    }
}
both_faces!(j38_methods_that_only_look_alike, allow_all());

async fn j28_a_request_without_an_id_is_never_forwarded(scene: Scene) {
    let call = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
    refuse_silently(&scene, "tools/call", [call]).await;
    let read = r#"{"jsonrpc":"2.0","method":"resources/read","params":{"uri":"fixture://text"}}"#;
    refuse_silently(&scene, "resources/read", [read]).await;
    let unknown = r#"{"jsonrpc":"2.0","method":"notifications/unknown"}"#;
    refuse_silently(&scene, "notifications/unknown", [unknown]).await;
    let backwards =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":""}}"#;
    refuse_silently(&scene, "notifications/message", [backwards]).await;
}
both_faces!(j28_a_request_without_an_id_is_never_forwarded, allow_all());

async fn j28_an_answer_that_nobody_asked_for_is_never_forwarded(scene: Scene) {
    let texts = [
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":""}}"#,
    ];
    refuse_silently(&scene, "(answer)", texts).await;
}
both_faces!(
    j28_an_answer_that_nobody_asked_for_is_never_forwarded,
    allow_all()
);

/// Sends raw text while another request of the same agent is on its way.
async fn raw_beside(scene: &Scene, text: String) -> Value {
    match scene.face {
        Face::Http => scene.raw(text).await.message,
        Face::Stdio => {
            // The client hands the answer to whoever waits for that id; it stands among the lines.
            let agent = &scene.agent;
            agent.as_stdio().write(text).unwrap();
            let find = || {
                let lines = agent.as_stdio().lines();
                lines
                    .iter()
                    .rev()
                    .find(|line| line.contains("\"id\":77"))
                    .cloned()
            };
            provost_testkit::wait_until("the second is answered", || find().is_some()).await;
            serde_json::from_str(&find().unwrap()).unwrap()
        }
    }
}

//! Items of all groups that are of the modern era: a request stands alone and
//! says what it is, in its body and in its headers.

use super::*;
use provost_testkit::fixture::{Eras, Hostility, Options};
use provost_testkit::http::{self, Reply};
use provost_testkit::modern::{encode_always, meta, standard_headers};
use provost_testkit::wait::within;
use serde_json::{Value, json};

/// A server of the modern era.
fn server() -> Options {
    Options {
        eras: Eras::Modern,
        ..Options::default()
    }
}

/// A scene of the modern era whose agent has asked who is there, which tools
/// there are, and has called one: whatever the gateway wants to know of the
/// server by itself, it knows.
async fn scene(face: Face, kind: Kind, setup: Setup) -> Scene {
    let mut scene = Scene::before_initialize(face, kind, setup);
    let agent = match face {
        Face::Http => scene.gate.http_agent(&scene.pass),
        Face::Stdio => scene.gate.stdio_agent(&scene.pass),
    };
    scene.agent = agent.modern();
    scene.agent.connect().await;
    scene.agent.tools().await;
    scene.honest_call_works().await;
    scene
}

/// A promise of the modern era, on the faces and towards the servers named.
macro_rules! modern {
    ($promise:ident, $setup:expr, $($name:ident: $face:ident to $kind:ident),+) => {
        mod $promise {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                super::$promise(scene(Face::$face, Kind::$kind, $setup).await).await;
            })+
        }
    };
}

/// The same over HTTP, where there are headers.
macro_rules! modern_http {
    ($promise:ident, $setup:expr) => {
        modern!($promise, $setup, http_to_http: Http to Http, http_to_stdio: Http to Stdio);
    };
}

/// The same everywhere.
macro_rules! modern_everywhere {
    ($promise:ident, $setup:expr) => {
        modern!($promise, $setup, http_to_http: Http to Http, http_to_stdio: Http to Stdio,
            stdio_to_http: Stdio to Http, stdio_to_stdio: Stdio to Stdio);
    };
}

fn open() -> Setup {
    Setup::from(allow_all()).options(server())
}

/// A call as a modern agent writes it.
fn asked(scene: &Scene, tool: &str, arguments: Value) -> Value {
    scene.agent.wrapped(
        7,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
}

type Headers = Vec<(String, String)>;

/// Posts a message with the headers that belong to it, changed by the story.
async fn post(scene: &Scene, message: &Value, change: impl FnOnce(&mut Headers)) -> Reply {
    let mut headers = standard_headers(message);
    headers.push((
        "authorization".to_owned(),
        format!("Bearer {}", scene.pass.token),
    ));
    change(&mut headers);
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    http::post(&scene.gate.url("fixture"), &headers, message.to_string())
        .await
        .unwrap()
}

/// Another value for a header.
fn set(headers: &mut Headers, name: &str, value: &str) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
}

fn unset(headers: &mut Headers, name: &str) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
}

/// The headers contradict the body: 400, and nobody is asked.
async fn mismatch(scene: &Scene, message: &Value, what: &str, change: impl FnOnce(&mut Headers)) {
    let watch = Watch::on(scene, what);
    let reply = post(scene, message, change).await;
    let error = &reply.message()["error"];
    assert_eq!(
        (reply.status, &error["code"]),
        (400, &json!(-32020)),
        "{what}: {error}"
    );
    watch
        .refused(ENVELOPE, message["method"].as_str().unwrap())
        .await;
}

async fn t09_modern_requests_are_posted(scene: Scene) {
    let token = format!("Bearer {}", scene.pass.token);
    for method in ["GET", "DELETE", "PUT", "PATCH", "TRACE"] {
        let watch = Watch::on(&scene, method);
        let headers = [
            ("authorization", token.as_str()),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-session-id", "x"),
        ];
        let reply = http::send(method, &scene.gate.url("fixture"), &headers, "")
            .await
            .unwrap();
        assert_eq!(reply.status, 405, "{method}");
        watch.refused(ENVELOPE, &format!("({method})")).await;
    }
}
modern_http!(t09_modern_requests_are_posted, open());

async fn t15_a_modern_agent_that_goes_away_cancels_its_call(scene: Scene) {
    let before = scene.gate.records().len();
    let message = asked(&scene, "slow", json!({"ms": 60_000}));
    let link = scene.agent.as_http().clone();
    let stream = tokio::spawn(async move { link.post_stream(&message).await });
    scene.upstream.wait_for_calls(2).await;
    stream.abort();
    drop(stream.await);
    let ended = || scene.gate.history().get(before).cloned();
    wait_until("it is recorded", || {
        ended().as_deref() == Some("tools/call slow: allow, cancelled")
    })
    .await;
    scene.upstream.wait_for("cancelled").await;
    scene.honest_call_works().await;
}
modern_http!(t15_a_modern_agent_that_goes_away_cancels_its_call, open());

async fn j30_equal_ids_at_the_same_time_do_not_meet(scene: Scene) {
    let say = async |n: u64| {
        let message = asked(&scene, "echo", json!({"text": format!("said {n}")}));
        let reply = post(&scene, &message, |_| {}).await;
        assert_eq!(text(&reply.message()), format!("said {n}"));
    };
    for n in 0..50 {
        tokio::join!(say(4 * n), say(4 * n + 1), say(4 * n + 2), say(4 * n + 3));
    }
    scene.honest_call_works().await;
}
modern_http!(j30_equal_ids_at_the_same_time_do_not_meet, open());

async fn j37_unknown_methods_are_not_found(scene: Scene) {
    for method in [
        "vendor/other",
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "Tools/Call",
    ] {
        let message = scene.agent.wrapped(
            7,
            method,
            json!({"name": "echo", "uri": "fixture://text", "level": "info"}),
        );
        let watch = Watch::on(&scene, method);
        let error = match scene.face {
            Face::Http => {
                let reply = post(&scene, &message, |_| {}).await;
                assert_eq!(reply.status, 404, "{method}: {}", reply.text());
                reply.message()["error"].clone()
            }
            Face::Stdio => scene.raw(message.to_string()).await.message["error"].clone(),
        };
        assert_eq!(error["code"], -32601, "{method}: {error}");
        watch.refused("(method)", method).await;
    }
}
modern_everywhere!(j37_unknown_methods_are_not_found, open());

/// A message that says something twice, or nearly so, is refused as in the other era.
async fn j24_a_modern_message_says_nothing_twice(scene: Scene) {
    let whole = asked(&scene, "echo", json!({"path": "/ok"}));
    for (once, twice) in [
        (r#""path":"/ok""#, r#""path":"/ok","path":"/etc/shadow""#),
        (
            r#""path":"/ok""#,
            r#""a":[{"path":"/ok","p\u0061th":"/etc/shadow"}]"#,
        ),
        (r#""name":"echo""#, r#""name":"echo","name":"add""#),
        (r#""name":"echo""#, r#""name":"echo","Name":"add""#),
        (
            r#""method":"tools/call""#,
            r#""method":"tools/call","method":"tools/list""#,
        ),
        (
            r#""method":"tools/call""#,
            r#""method":"tools/call","Method":"tools/list""#,
        ),
        (r#""_meta":{"#, r#""_META":{},"_meta":{"#),
        (r#""_meta":{"#, r#""requeststate":"x","_meta":{"#),
        (r#""_meta":{"#, r#""inputResponse\u017f":{},"_meta":{"#),
    ] {
        let text = whole.to_string().replacen(once, twice, 1);
        assert_ne!(text, whole.to_string(), "{once}");
        let watch = Watch::on(&scene, twice);
        let answer = match scene.face {
            Face::Http => {
                let mut headers = standard_headers(&whole);
                headers.push((
                    "authorization".to_owned(),
                    format!("Bearer {}", scene.pass.token),
                ));
                let headers: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect();
                let reply = http::post(&scene.gate.url("fixture"), &headers, text)
                    .await
                    .unwrap();
                assert_eq!(reply.status, 400, "{twice}");
                reply.message()
            }
            Face::Stdio => scene.raw(text).await.message,
        };
        assert_eq!(answer["error"]["code"], -32600, "{twice}: {answer}");
        watch.refused(ENVELOPE, UNREADABLE).await;
    }
}
modern_everywhere!(j24_a_modern_message_says_nothing_twice, open());

async fn v39_header_and_body_name_one_revision(scene: Scene) {
    let message = asked(&scene, "echo", json!({}));
    for version in ["2025-11-25", "1900-01-01", "2026-07-2", ""] {
        mismatch(&scene, &message, version, |headers| {
            set(headers, "mcp-protocol-version", version)
        })
        .await;
    }
    mismatch(&scene, &message, "no header", |headers| {
        unset(headers, "mcp-protocol-version")
    })
    .await;
    let twice =
        |headers: &mut Headers| headers.push(("mcp-protocol-version".into(), "2026-07-28".into()));
    mismatch(&scene, &message, "two headers", twice).await;
    let mut other = message.clone();
    other["params"]["_meta"][meta::VERSION] = json!("2025-11-25");
    mismatch(&scene, &other, "another body", |headers| {
        set(headers, "mcp-protocol-version", "2026-07-28")
    })
    .await;
}
modern_http!(v39_header_and_body_name_one_revision, open());

async fn v40_the_method_stands_in_the_header(scene: Scene) {
    let message = asked(&scene, "echo", json!({}));
    for method in [
        "tools/list",
        "Tools/Call",
        "tools/call2",
        "ping",
        "resources/read",
    ] {
        mismatch(&scene, &message, method, |headers| {
            set(headers, "mcp-method", method)
        })
        .await;
    }
    let list = scene.agent.wrapped(7, "tools/list", json!({}));
    mismatch(&scene, &list, "a list that says it is a call", |headers| {
        set(headers, "mcp-method", "tools/call")
    })
    .await;
}
modern_http!(v40_the_method_stands_in_the_header, open());

async fn v41_the_name_stands_in_the_header(scene: Scene) {
    let message = asked(&scene, "add", json!({"a": 1, "b": 2}));
    for name in ["echo", "Add", "", "add2", "echo, add"] {
        mismatch(&scene, &message, name, |headers| {
            set(headers, "mcp-name", name)
        })
        .await;
    }
    let read = scene
        .agent
        .wrapped(7, "resources/read", json!({"uri": "fixture://text"}));
    mismatch(&scene, &read, "another resource", |headers| {
        set(headers, "mcp-name", "fixture://blob")
    })
    .await;
    let prompt = scene
        .agent
        .wrapped(7, "prompts/get", json!({"name": "plain"}));
    mismatch(&scene, &prompt, "another prompt", |headers| {
        set(headers, "mcp-name", "greeting")
    })
    .await;
}
modern_http!(v41_the_name_stands_in_the_header, open());

async fn v42_an_encoded_name_is_decoded_first(scene: Scene) {
    let message = asked(&scene, "add", json!({"a": 1, "b": 2}));
    let other = encode_always("echo");
    for name in [
        other.as_str(),
        "=?base64?YWRk",
        "=?base64?YW=Rk?=",
        "=?base64?!!!?=",
        "=?base64??=",
        "=?base64?YWRkCg==?=",
        "=?BASE64?/////w==?=",
        "=?base64?//79?=",
    ] {
        mismatch(&scene, &message, name, |headers| {
            set(headers, "mcp-name", name)
        })
        .await;
    }
    let reply = post(&scene, &message, |headers| {
        set(headers, "mcp-name", &encode_always("add"))
    })
    .await;
    assert!(
        reply.status == 200 && reply.message().get("result").is_some(),
        "{}",
        reply.text()
    );
}
modern_http!(v42_an_encoded_name_is_decoded_first, open());

async fn v43_a_header_stands_there_once(scene: Scene) {
    let message = asked(&scene, "add", json!({"a": 1, "b": 2}));
    for (header, value) in [
        ("mcp-name", "add"),
        ("mcp-name", "echo"),
        ("mcp-method", "tools/call"),
        ("mcp-method", "tools/list"),
    ] {
        let twice = |headers: &mut Headers| headers.push((header.to_owned(), value.to_owned()));
        mismatch(&scene, &message, &format!("{header} twice, {value}"), twice).await;
        let first =
            |headers: &mut Headers| headers.insert(0, (header.to_owned(), value.to_owned()));
        mismatch(
            &scene,
            &message,
            &format!("{header} twice, {value} first"),
            first,
        )
        .await;
    }
}
modern_http!(v43_a_header_stands_there_once, open());

async fn v44_no_header_is_left_out(scene: Scene) {
    let message = asked(&scene, "echo", json!({}));
    for header in ["mcp-method", "mcp-name"] {
        mismatch(&scene, &message, header, |headers| unset(headers, header)).await;
    }
}
modern_http!(v44_no_header_is_left_out, open());

async fn v45_arguments_that_stand_in_headers_agree(scene: Scene) {
    let message = asked(
        &scene,
        "located",
        json!({"region": "eu", "count": 3, "dry": true, "place": {"city": "Köln"}}),
    );
    let right: Headers = vec![
        ("mcp-param-region".into(), "eu".into()),
        ("mcp-param-count".into(), "3".into()),
        ("mcp-param-dry-run".into(), "true".into()),
        ("mcp-param-city".into(), encode_always("Köln")),
    ];
    let reply = post(&scene, &message, |headers| headers.extend(right.clone())).await;
    assert!(reply.message().get("result").is_some(), "{}", reply.text());
    for (header, value) in [
        ("mcp-param-region", "us"),
        ("mcp-param-region", ""),
        ("mcp-param-region", "=?base64?!?="),
        ("mcp-param-count", "4"),
        ("mcp-param-dry-run", "false"),
        ("mcp-param-city", "Koeln"),
    ] {
        let wrong = |headers: &mut Headers| {
            headers.extend(right.clone());
            set(headers, header, value);
        };
        mismatch_of_call(&scene, &message, &format!("{header}: {value}"), wrong).await;
    }
    for (header, _) in &right {
        let without = |headers: &mut Headers| {
            headers.extend(right.clone());
            unset(headers, header);
        };
        mismatch_of_call(&scene, &message, &format!("without {header}"), without).await;
        let twice = |headers: &mut Headers| {
            headers.extend(right.clone());
            headers.push((header.clone(), "other".to_owned()));
        };
        mismatch_of_call(&scene, &message, &format!("{header} twice"), twice).await;
    }
}
modern_http!(v45_arguments_that_stand_in_headers_agree, open());

/// The same, found out where the tool is known.
async fn mismatch_of_call(
    scene: &Scene,
    message: &Value,
    what: &str,
    change: impl FnOnce(&mut Headers),
) {
    let watch = Watch::on(scene, what);
    let reply = post(scene, message, change).await;
    let error = &reply.message()["error"];
    assert_eq!(
        (reply.status, &error["code"]),
        (400, &json!(-32020)),
        "{what}: {}",
        reply.text()
    );
    watch
        .call_refused(ENVELOPE, message["params"]["name"].as_str().unwrap())
        .await;
}

async fn v47_an_unknown_revision_is_refused_by_its_body(scene: Scene) {
    for version in ["1900-01-01", "2026-07-29", "", "2025-11-25x"] {
        let mut message = asked(&scene, "echo", json!({}));
        message["params"]["_meta"][meta::VERSION] = json!(version);
        let watch = Watch::on(&scene, version);
        let error = answer(&scene, &message, 400).await;
        assert_eq!(error["code"], -32022, "{version}: {error}");
        let supported = error["data"]["supported"].as_array().unwrap();
        assert!(supported.contains(&json!("2026-07-28")), "{error}");
        watch.refused(ENVELOPE, "tools/call").await;
    }
}
modern_everywhere!(v47_an_unknown_revision_is_refused_by_its_body, open());

/// The error that a message is answered with, on either face.
async fn answer(scene: &Scene, message: &Value, status: u16) -> Value {
    match scene.face {
        Face::Http => {
            let reply = post(scene, message, |_| {}).await;
            assert_eq!(reply.status, status, "{message}: {}", reply.text());
            reply.message()["error"].clone()
        }
        Face::Stdio => scene.raw(message.to_string()).await.message["error"].clone(),
    }
}

async fn v48_a_request_says_what_its_client_can_do(scene: Scene) {
    let whole = asked(&scene, "echo", json!({}));
    for capabilities in [
        None,
        Some(json!(null)),
        Some(json!([])),
        Some(json!("all")),
        Some(json!(true)),
    ] {
        let mut message = whole.clone();
        let own = message["params"]["_meta"].as_object_mut().unwrap();
        match &capabilities {
            None => drop(own.remove(meta::CAPABILITIES)),
            Some(value) => drop(own.insert(meta::CAPABILITIES.to_owned(), value.clone())),
        }
        let watch = Watch::on(&scene, format!("{capabilities:?}"));
        let error = answer(&scene, &message, 400).await;
        assert_eq!(error["code"], -32602, "{capabilities:?}: {error}");
        watch.refused(ENVELOPE, "tools/call").await;
    }
    let mut message = whole.clone();
    message["params"]["_meta"][meta::VERSION] = json!(["2026-07-28"]);
    let watch = Watch::on(&scene, "a revision that is not text");
    let error = answer(&scene, &message, 400).await;
    assert!(
        [json!(-32602), json!(-32020)].contains(&error["code"]),
        "{error}"
    );
    watch.refused(ENVELOPE, "tools/call").await;
}
modern_everywhere!(v48_a_request_says_what_its_client_can_do, open());

/// The first message decides, and nothing of the other era is taken after it.
async fn v51_a_modern_connection_stays_modern(scene: Scene) {
    let opening = crate::sessions::initialize(90).to_string();
    let watch = Watch::on(&scene, "initialize");
    let refused = scene.raw(opening).await.message;
    assert_eq!(refused["error"]["code"], -32022, "{refused}");
    watch.refused(ENVELOPE, "initialize").await;
    for text in [
        call(1, "echo", "{}"),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(),
    ] {
        let method = serde_json::from_str::<Value>(&text).unwrap()["method"]
            .as_str()
            .unwrap()
            .to_owned();
        let watch = Watch::on(&scene, text.clone());
        let refused = scene.raw(text).await.message;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        watch.refused(ENVELOPE, &method).await;
    }
}
modern!(v51_a_modern_connection_stays_modern, open(), stdio_to_http: Stdio to Http, stdio_to_stdio: Stdio to Stdio);

async fn v51_a_legacy_connection_stays_legacy(scene: Scene) {
    let envelope = provost_testkit::modern::envelope(json!({}));
    for (method, params) in [
        (
            "tools/call",
            json!({"name": "echo", "arguments": {}, "_meta": envelope}),
        ),
        ("tools/list", json!({"_meta": envelope})),
        ("server/discover", json!({"_meta": envelope})),
    ] {
        let watch = Watch::on(&scene, method);
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let refused = scene.raw(message.to_string()).await.message;
        assert_eq!(refused["error"]["code"], -32600, "{refused}");
        watch.refused(ENVELOPE, method).await;
    }
}

mod v51_a_legacy_connection_stays_legacy {
    use super::*;

    #[tokio::test]
    async fn stdio_to_http() {
        let both = Options {
            eras: Eras::Both,
            ..Options::default()
        };
        let setup = Setup::from(allow_all()).options(both);
        super::v51_a_legacy_connection_stays_legacy(
            Scene::new(Face::Stdio, Kind::Http, setup).await,
        )
        .await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        super::v51_a_legacy_connection_stays_legacy(
            Scene::new(Face::Stdio, Kind::Stdio, allow_all()).await,
        )
        .await;
    }
}

const BADLY_ANNOTATED: [&str; 16] = [
    "bad_empty",
    "bad_space",
    "bad_colon",
    "bad_newline",
    "bad_letter",
    "bad_name",
    "bad_number",
    "bad_object",
    "bad_null",
    "bad_union",
    "bad_untyped",
    "bad_twice",
    "bad_root",
    "bad_items",
    "bad_branch",
    "bad_defs",
];

/// Tools whose headers nobody could write are not in the list, nor callable.
async fn c81_a_badly_annotated_tool_is_none(scene: Scene) {
    let listed = scene.agent.tools().await;
    assert!(listed.iter().any(|name| name == "located"), "{listed:?}");
    for tool in BADLY_ANNOTATED {
        assert!(!listed.iter().any(|name| name == tool), "{tool} is listed");
        let watch = Watch::on(&scene, tool);
        let answer = scene.agent.call(tool, json!({})).await;
        assert_eq!(rule(&answer), ENVELOPE, "{tool}: {answer}");
        watch.call_refused(ENVELOPE, tool).await;
    }
}
modern_everywhere!(
    c81_a_badly_annotated_tool_is_none,
    Setup::from(allow_all()).options(Options {
        hostile: Some(Hostility::BadAnnotations),
        on: "tools/list".to_owned(),
        ..server()
    })
);

/// A habit on the tool `hostile`.
async fn hostile(scene: &Scene, habit: Hostility) -> Value {
    scene
        .agent
        .call("hostile", json!({"mode": habit.word()}))
        .await
}

/// What comes of the calls that were recorded since then.
fn since(scene: &Scene, before: usize) -> Vec<String> {
    scene.gate.history().split_off(before)
}

async fn u93_questions_in_results_that_no_policy_allows_are_refused(scene: Scene) {
    let before = scene.gate.records().len();
    let answer = scene.agent.call("two_rounds", json!({})).await;
    assert_eq!(rule(&answer), "(method)", "{answer}");
    assert!(!answer.to_string().contains("inputRequests"));
    let refused = "elicitation/create: deny by (method)";
    wait_until("it is recorded", || {
        since(&scene, before).iter().any(|line| line == refused)
    })
    .await;
    scene.honest_call_works().await;
}
modern_everywhere!(
    u93_questions_in_results_that_no_policy_allows_are_refused,
    Setup::from(
        json!({"version": "1", "default": "allow", "methods": {"deny": ["elicitation/create"]}})
    )
    .options(server())
);

async fn u93_questions_in_results_that_the_agent_does_not_know_are_refused(scene: Scene) {
    scene.agent.declare(json!({}));
    for habit in [Hostility::UndeclaredInput, Hostility::UnknownInput] {
        let before = scene.gate.records().len();
        let answer = hostile(&scene, habit).await;
        let text = answer.to_string();
        assert!(
            !text.contains("inputRequests") && !text.contains("input_required"),
            "{habit:?}: {answer}"
        );
        assert!(
            answer.get("error").is_some() || answer["result"]["isError"] == true,
            "{habit:?}: {answer}"
        );
        let refused =
            |line: &String| line.contains("deny by (method)") || line.contains("bad_answer");
        wait_until("it is recorded", || {
            since(&scene, before).iter().any(refused)
        })
        .await;
        scene.honest_call_works().await;
    }
}
modern_everywhere!(
    u93_questions_in_results_that_the_agent_does_not_know_are_refused,
    open()
);

/// There are none in this era: whoever sends one is not listened to any more.
async fn u95_a_request_of_a_server_breaks_the_protocol(scene: Scene) {
    let before = scene.gate.records().len();
    let answer = hostile(&scene, Hostility::AskDirectly).await;
    assert!(
        scene.agent.received("sampling/createMessage").is_empty(),
        "the agent was asked"
    );
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let ended = || since(&scene, before).first().cloned();
    wait_until("it is recorded", || {
        ended().is_some_and(|line| !line.ends_with("open"))
    })
    .await;
    assert!(
        [
            "tools/call hostile: allow, bad_answer",
            "tools/call hostile: allow, upstream_down"
        ]
        .contains(&ended().unwrap().as_str()),
        "{ended:?}",
        ended = ended()
    );
    scene.honest_call_works().await;
}
modern_everywhere!(u95_a_request_of_a_server_breaks_the_protocol, open());

async fn u96_a_result_of_an_unknown_type_is_none(scene: Scene) {
    let before = scene.gate.records().len();
    let answer = hostile(&scene, Hostility::UnknownResultType).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert!(answer.get("result").is_none());
    let ended = || since(&scene, before).first().cloned();
    wait_until("it is recorded", || {
        ended().as_deref() == Some("tools/call hostile: allow, bad_answer")
    })
    .await;
    if scene.face == Face::Http {
        let message = asked(
            &scene,
            "hostile",
            json!({"mode": Hostility::UnknownResultType.word()}),
        );
        assert_eq!(
            within("the answer", post(&scene, &message, |_| {}))
                .await
                .status,
            502
        );
    }
    scene.honest_call_works().await;
}
modern_everywhere!(u96_a_result_of_an_unknown_type_is_none, open());

modern_everywhere!(
    l110_ordinary_calls_are_allowed_in_the_modern_era,
    Setup::from(super::l::guarded()).options(server())
);

async fn l110_ordinary_calls_are_allowed_in_the_modern_era(scene: Scene) {
    let skip = |tool: &str| ["roots"].contains(&tool);
    let calls: Vec<_> = super::l::ordinary()
        .into_iter()
        .filter(|(method, params)| {
            *method != "resources/subscribe" && !skip(params["name"].as_str().unwrap_or_default())
        })
        .collect();
    super::l::available(&scene, "modern", &calls).await;
}

//! Headers: checked against the body at our door, and written anew from the body
//! that was judged for the server behind it. (The fixture refuses what differs.)

use super::*;
use provost_testkit::http::{post, send};
use provost_testkit::modern;

type Headers = Vec<(String, String)>;

/// What the HTTP requests of a method carried when they arrived at the server.
fn arrived(scene: &Scene, method: &str) -> Vec<Value> {
    let all = scene.upstream.events_of("http").into_iter();
    all.map(|request| request["headers"].clone())
        .filter(|headers| headers["mcp-method"] == method)
        .collect()
}

async fn headers_are_computed_for_the_server(scene: Scene) {
    let arguments = json!({
        "region": "Zürich", "count": 42, "dry": false, "place": {"city": " x "}, "query": "q",
    });
    scene.agent.tools().await;
    let answer = scene.agent.call("located", arguments.clone()).await;
    let echoed: Value = serde_json::from_str(text(&answer)).unwrap();
    assert_eq!(echoed, arguments);
    let headers = arrived(&scene, "tools/call").remove(0);
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-name", "located"),
        ("mcp-param-region", "=?base64?WsO8cmljaA==?="),
        ("mcp-param-count", "42"),
        ("mcp-param-dry-run", "false"),
        ("mcp-param-city", "=?base64?IHgg?="),
    ] {
        assert_eq!(headers[name], value, "{name}: {headers}");
    }
    assert!(headers.get("mcp-param-query").is_none());
    let read = json!({"uri": "fixture://item/ü"});
    scene.agent.request("resources/read", read).await;
    let name = &arrived(&scene, "resources/read").remove(0)["mcp-name"];
    assert_eq!(name, &json!(modern::encode("fixture://item/ü")));
    scene
        .agent
        .request("prompts/get", json!({"name": "plain"}))
        .await;
    assert_eq!(arrived(&scene, "prompts/get")[0]["mcp-name"], "plain");
    assert!(
        arrived(&scene, "tools/list")
            .iter()
            .all(|h| h.get("mcp-name").is_none())
    );
}
both_faces!(headers_are_computed_for_the_server, open());

/// Absent arguments and null have no header; numbers are written in full.
async fn only_what_is_there_is_repeated(scene: Scene) {
    for (arguments, region, count) in [
        (json!({}), None, None),
        (json!({"region": null, "count": null}), None, None),
        (json!({"region": ""}), Some("=?base64??="), None),
        (
            json!({"region": "=?base64?eA==?=", "count": -3}),
            Some("=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
            Some("-3"),
        ),
        (json!({"count": 1e2}), None, Some("100")),
        (json!({"count": 9_007_199_254_740_993_u64}), None, None),
        (json!({"region": ["x"]}), None, None),
    ] {
        let before = arrived(&scene, "tools/call").len();
        scene.agent.tools().await;
        let answer = scene.agent.call("located", arguments.clone()).await;
        assert!(answer.get("result").is_some(), "{arguments}: {answer}");
        let headers = arrived(&scene, "tools/call").remove(before);
        assert_eq!(
            headers.get("mcp-param-region").and_then(Value::as_str),
            region,
            "{arguments}"
        );
        assert_eq!(
            headers.get("mcp-param-count").and_then(Value::as_str),
            count,
            "{arguments}"
        );
    }
}
both_faces!(only_what_is_there_is_repeated, open());

/// Whoever never listed the tools over stdio has them repeated all the same.
#[tokio::test]
async fn a_stdio_agent_need_not_know_about_headers() {
    let scene = Scene::new(Face::Stdio, Kind::Http, open()).await;
    let answer = scene.agent.call("located", json!({"region": "x"})).await;
    assert_eq!(text(&answer), r#"{"region":"x"}"#);
    let headers = arrived(&scene, "tools/call").remove(0);
    assert_eq!(headers["mcp-param-region"], "x");
}

struct Door {
    scene: Scene,
}

impl Door {
    async fn new(kind: Kind) -> Door {
        let scene = Scene::new(Face::Http, kind, open()).await;
        scene.agent.tools().await;
        Door { scene }
    }

    fn message(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        self.scene.agent.wrapped(1, "tools/call", params)
    }

    /// Sends a message with headers that were changed, and returns status and code.
    async fn knock(&self, message: &Value, change: impl FnOnce(&mut Headers)) -> (u16, i64) {
        let link = self.scene.agent.as_http();
        let mut headers = link.headers_for(message);
        change(&mut headers);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let reply = post(link.url(), &headers, message.to_string())
            .await
            .unwrap();
        let answer = reply.message();
        assert_eq!(answer["id"], 1, "{answer}");
        (
            reply.status,
            answer["error"]["code"].as_i64().unwrap_or_default(),
        )
    }

    /// Refused at the door: not a byte goes on, there is a record, and the next
    /// honest call works.
    async fn refuses(&self, what: &str, message: &Value, change: impl FnOnce(&mut Headers)) {
        let (calls, records) = (
            self.scene.upstream.calls().len(),
            self.scene.gate.records().len(),
        );
        assert_eq!(self.knock(message, change).await, (400, -32020), "{what}");
        assert_eq!(self.scene.upstream.calls().len(), calls, "{what}");
        let now = self.scene.gate.history();
        assert_eq!(now.len(), records + 1, "{what}: {now:?}");
        assert!(
            now[records].contains("deny by (envelope)"),
            "{what}: {now:?}"
        );
        self.scene.honest_call_works().await;
    }
}

fn set(name: &'static str, value: impl Into<String>) -> impl FnOnce(&mut Headers) {
    let value = value.into();
    move |headers| {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value));
    }
}

fn without(name: &'static str) -> impl FnOnce(&mut Headers) {
    move |headers| headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name))
}

fn again(name: &'static str) -> impl FnOnce(&mut Headers) {
    move |headers| {
        let one = headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .cloned();
        headers.extend(one);
    }
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    for kind in Kind::ALL {
        let door = Door::new(kind).await;
        let echo = door.message("echo", json!({}));
        for name in ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"] {
            door.refuses(&format!("no {name}"), &echo, without(name))
                .await;
            door.refuses(&format!("{name} twice"), &echo, again(name))
                .await;
            door.refuses(&format!("no text in {name}"), &echo, set(name, ""))
                .await;
        }
        for (name, value) in [
            ("MCP-Protocol-Version", "2025-11-25"),
            ("MCP-Protocol-Version", "2026-07-29"),
            ("Mcp-Method", "tools/list"),
            ("Mcp-Method", "Tools/Call"),
            ("Mcp-Name", "add"),
            ("Mcp-Name", "ECHO"),
            ("Mcp-Name", "echo, echo"),
            ("Mcp-Name", "=?base64?YWRk?="),
            ("Mcp-Name", "=?base64?ZWNobw?="),
            ("Mcp-Name", "=?base64?ZWNo!!!bw==?="),
            ("Mcp-Name", "=?BASE64?ZWNobw==?="),
            ("Mcp-Name", "=?base64?ZWNobw=="),
        ] {
            door.refuses(&format!("{name}: {value}"), &echo, set(name, value))
                .await;
        }
    }
}

#[tokio::test]
async fn headers_may_be_written_in_more_than_one_way() {
    let door = Door::new(Kind::Http).await;
    let echo = door.message("echo", json!({}));
    for (name, value) in [
        ("Mcp-Name", "=?base64?ZWNobw==?="),
        ("MCP-NAME", "  echo\t"),
        ("mcp-method", " tools/call "),
        ("mcp-protocol-version", " 2026-07-28"),
    ] {
        assert_eq!(
            door.knock(&echo, set(name, value)).await,
            (200, 0),
            "{name}: {value}"
        );
    }
    let headers = arrived(&door.scene, "tools/call");
    assert!(
        headers.iter().all(|headers| headers["mcp-name"] == "echo"),
        "{headers:?}"
    );
}

#[tokio::test]
async fn v45_repeated_arguments_must_be_the_same_over_http() {
    for kind in Kind::ALL {
        let door = Door::new(kind).await;
        let located = door.message(
            "located",
            json!({"region": "Hello", "count": 42, "dry": true}),
        );
        for name in ["Mcp-Param-Region", "Mcp-Param-Count", "Mcp-Param-Dry-Run"] {
            door.refuses(&format!("no {name}"), &located, without(name))
                .await;
            door.refuses(&format!("{name} twice"), &located, again(name))
                .await;
        }
        for (name, value) in [
            ("Mcp-Param-Region", "hello"),
            ("Mcp-Param-Region", "SGVsbG8="),
            ("Mcp-Param-Region", "=?base64?SGVsbG8?="),
            ("Mcp-Param-Count", "43"),
            ("Mcp-Param-Count", "42.5"),
            ("Mcp-Param-Count", "0x2a"),
            ("Mcp-Param-Dry-Run", "false"),
            ("Mcp-Param-Dry-Run", "TRUE"),
        ] {
            door.refuses(&format!("{name}: {value}"), &located, set(name, value))
                .await;
        }
        for (name, value) in [
            ("Mcp-Param-Region", "=?base64?SGVsbG8=?="),
            ("Mcp-Param-Count", "42.0"),
            ("Mcp-Param-City", "nobody asked"),
            ("Mcp-Param-Unknown", "whatever"),
        ] {
            let knocked = door.knock(&located, set(name, value)).await;
            assert_eq!(knocked, (200, 0), "{name}: {value}");
        }
        if kind == Kind::Http {
            let last = arrived(&door.scene, "tools/call").pop().unwrap();
            assert!(last.get("mcp-param-unknown").is_none(), "{last}");
            assert!(last.get("mcp-param-city").is_none(), "{last}");
        }
    }
}

#[tokio::test]
async fn v47_unknown_versions_are_told_what_there_is_over_http() {
    for kind in Kind::ALL {
        let door = Door::new(kind).await;
        for version in ["1900-01-01", "2027-01-01", "draft"] {
            let mut message = door.message("echo", json!({}));
            message["params"]["_meta"][modern::meta::VERSION] = json!(version);
            let link = door.scene.agent.as_http();
            let reply = link.post_raw(message.to_string()).await.unwrap();
            assert_eq!(reply.status, 400);
            let error = &reply.message()["error"];
            assert_eq!(error["code"], -32022, "{error}");
            assert_eq!(error["data"]["requested"], version);
            let supported = error["data"]["supported"].as_array().unwrap();
            assert!(supported.contains(&json!("2026-07-28")), "{error}");
        }
        assert!(door.scene.upstream.calls().is_empty());
        door.scene.honest_call_works().await;
    }
}

#[tokio::test]
async fn v48_a_request_must_say_what_it_is_over_http() {
    for kind in Kind::ALL {
        let door = Door::new(kind).await;
        for key in [modern::meta::VERSION, modern::meta::CAPABILITIES] {
            for wrong in [None, Some(json!(7)), Some(Value::Null), Some(json!([]))] {
                let mut message = door.message("echo", json!({}));
                let meta = message["params"]["_meta"].as_object_mut().unwrap();
                match &wrong {
                    None => drop(meta.shift_remove(key)),
                    Some(wrong) => drop(meta.insert(key.to_owned(), wrong.clone())),
                }
                let knocked = door.knock(&message, |_| {}).await;
                assert_eq!(knocked, (400, -32602), "{key}: {wrong:?}");
            }
        }
        let mut message = door.message("echo", json!({}));
        message["params"]
            .as_object_mut()
            .unwrap()
            .shift_remove("_meta");
        assert_eq!(door.knock(&message, |_| {}).await, (400, -32602));
        let mut message = door.message("echo", json!({}));
        let meta = message["params"]["_meta"].as_object_mut().unwrap();
        meta.shift_remove(modern::meta::CLIENT);
        assert_eq!(
            door.knock(&message, |_| {}).await,
            (200, 0),
            "nobody has to say its name"
        );
        assert_eq!(door.scene.upstream.calls().len(), 1);
    }
}

#[tokio::test]
async fn t09_there_is_nothing_but_post_over_http() {
    let scene = Scene::new(Face::Http, Kind::Http, open()).await;
    let token = format!("Bearer {}", scene.pass.token);
    let headers = [
        ("authorization", token.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("accept", "text/event-stream"),
    ];
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let reply = send(method, scene.agent.as_http().url(), &headers, "")
            .await
            .unwrap();
        assert_eq!(reply.status, 405, "{method}");
    }
    scene.honest_call_works().await;
}

/// Clients post them when they give up a stream, with fewer headers.
#[tokio::test]
async fn a_posted_notification_is_taken_and_goes_nowhere() {
    let scene = Scene::new(Face::Http, Kind::Http, open()).await;
    let params = json!({"requestId": "listen:0", "_meta": modern::envelope(json!({}))});
    let message = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    let link = scene.agent.as_http();
    for headers in [&[][..], &[("mcp-protocol-version", "2026-07-28")][..]] {
        let reply = link.post_as(headers, message.to_string()).await.unwrap();
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
    assert!(scene.upstream.events_of("notification").is_empty());
}

/// What is no business of the server does not reach it.
#[tokio::test]
async fn headers_of_the_agent_stay_here() {
    let door = Door::new(Kind::Http).await;
    let echo = door.message("echo", json!({}));
    let knocked = door.knock(&echo, |headers| {
        for (name, value) in [
            ("cookie", "mine=1"),
            ("mcp-param-region", "made up"),
            ("mcp-session-id", "made-up"),
            ("x-forwarded-for", "1.2.3.4"),
        ] {
            headers.push((name.to_owned(), value.to_owned()));
        }
    });
    assert_eq!(knocked.await, (200, 0));
    let headers = arrived(&door.scene, "tools/call").remove(0);
    for name in [
        "authorization",
        "cookie",
        "mcp-param-region",
        "mcp-session-id",
        "x-forwarded-for",
    ] {
        assert!(headers.get(name).is_none(), "{name}: {headers}");
    }
    assert!(!door.scene.upstream.saw(&door.scene.pass.token));
}

/// What is no single request of the era is turned away.
#[tokio::test]
async fn what_is_no_request_is_turned_away() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Http, kind, open()).await;
        let one = call("1", "echo", "{}");
        let nameless = one.replacen(r#""id":1,"#, "", 1);
        let link = scene.agent.as_http();
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "echo"),
        ];
        let before = scene.upstream.bytes().len();
        for (body, codes) in [
            (format!("[{one}]"), [-32600, -32600]),
            (format!("[{one},{one}]"), [-32600, -32600]),
            ("[]".to_owned(), [-32600, -32600]),
            (
                one.replacen(r#""id":1"#, r#""id":null"#, 1),
                [-32600, -32600],
            ),
            (
                one.replacen(r#""id":1"#, r#""id":1.5"#, 1),
                [-32600, -32600],
            ),
            (nameless, [-32600, -32600]),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
                [-32600, -32600],
            ),
            (format!("{one}{one}"), [-32700, -32600]),
            (one.replacen(':', "", 1), [-32700, -32600]),
        ] {
            let reply = link.post_as(&headers, body.clone()).await.unwrap();
            assert_eq!(reply.status, 400, "{body}: {}", reply.text());
            let code = code(&reply.message());
            assert!(codes.contains(&code), "{body}: {}", reply.text());
        }
        assert_eq!(scene.upstream.bytes().len(), before, "not a byte");
        scene.honest_call_works().await;
    }
}

/// A handshake under the headers of an era that has none.
#[tokio::test]
async fn no_session_is_opened_under_modern_headers() {
    let scene = Scene::new(Face::Http, Kind::Http, open()).await;
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "initialize"),
    ];
    let link = scene.agent.as_http();
    let reply = link.post_as(&headers, initialize).await.unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(code(&reply.message()), -32020);
    assert_eq!(reply.header("mcp-session-id"), None);
    assert!(!scene.upstream.saw("initialize"));
}

//! Every bad habit shows, and passes: the next honest call works unless the process is gone.

use provost_testkit::client::Client;
use provost_testkit::fixture::{Fixture, Hostility, Options, Stdio};
use provost_testkit::tcp::{Scripted, Then, exchange, statuses};
use provost_testkit::wait_until;
use serde_json::json;
use std::time::Duration;

fn call(mode: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "hostile", "arguments": {"mode": mode}}})
        .to_string()
}

/// Calls the tool `hostile` over stdio and returns the lines that came besides the answer to `initialize`.
async fn stdio_lines(mode: Hostility, lines: usize) -> (Client, Stdio, Vec<String>) {
    let stdio = Stdio::new(&Options::default());
    let client = Client::stdio(&stdio.start);
    client.connect().await;
    client.as_stdio().write(call(mode.word())).unwrap();
    wait_until("the lines are there", || {
        client.as_stdio().ended() || client.as_stdio().lines().len() > lines
    })
    .await;
    let all = client.as_stdio().lines().split_off(1);
    (client, stdio, all)
}

#[tokio::test]
async fn stdio_lines_are_spoilt_as_told() {
    let (client, stdio, lines) = stdio_lines(Hostility::Garbage, 4).await;
    assert_eq!(
        (lines[0].as_str(), lines[3].as_str()),
        ("Listening on port 3000 ...", "bye")
    );
    assert_eq!(
        client.call("echo", json!({"text": "still here"})).await["result"]["isError"],
        false
    );
    assert_eq!(stdio.calls(), ["hostile", "echo"]);

    let (_, _, lines) = stdio_lines(Hostility::Twice, 2).await;
    assert_eq!(lines[0], lines[1]);
    let (_, _, lines) = stdio_lines(Hostility::UnknownId, 2).await;
    assert!(lines[0].contains("424242"));
    let (_, _, lines) = stdio_lines(Hostility::Smuggle, 8).await;
    assert!(lines.iter().any(|line| line.starts_with("{\"jsonrpc\"")
        && line.ends_with('}')
        && line.contains("smuggled")));
    let joined: serde_json::Value = serde_json::from_str(&lines.join("\n")).unwrap();
    assert_eq!(
        joined["id"], 5,
        "all lines together are one honest document"
    );
    let (_, _, lines) = stdio_lines(Hostility::Huge, 1).await;
    assert!(lines[0].len() > 100 << 20);
    let (_, _, lines) = stdio_lines(Hostility::BadUtf8, 1).await;
    assert!(lines[0].contains('\u{fffd}'));
}

#[tokio::test]
async fn a_process_ends_when_it_is_told_to() {
    for (mode, code) in [(Hostility::Exit, 5), (Hostility::PartialExit, 4)] {
        let (client, ..) = stdio_lines(mode, usize::MAX - 1).await;
        wait_until("it has ended", || {
            client.as_stdio().exit_code() == Some(code)
        })
        .await;
    }
    let stdio = Stdio::new(&Options::hostile(Hostility::CrashAtStart));
    let client = Client::stdio(&stdio.start);
    wait_until("it has ended", || client.as_stdio().exit_code() == Some(3)).await;
    wait_until("it said why", || {
        client.as_stdio().stderr().contains("moon")
    })
    .await;
}

#[tokio::test]
async fn a_stubborn_process_outlives_its_input() {
    let stdio = Stdio::new(&Options::hostile(Hostility::IgnoreEnd));
    let client = Client::stdio(&stdio.start);
    client.connect().await;
    client.close().await;
    wait_until("it has seen the end", || {
        !stdio.events_of("end of input").is_empty()
    })
    .await;
    assert_eq!(client.as_stdio().exit_code(), None);
}

#[tokio::test]
async fn http_answers_are_spoilt_as_told() {
    let fixture = Fixture::plain();
    let client = Client::http(&fixture.url(), None);
    client.connect().await;
    let ask = async |mode: Hostility| client.as_http().post_raw(call(mode.word())).await;

    let reply = ask(Hostility::BadHeaders).await.unwrap();
    assert_eq!(
        (reply.status, reply.header("set-cookie")),
        (200, Some("stolen=1; Path=/"))
    );
    assert_eq!(ask(Hostility::Redirect).await.unwrap().status, 307);
    assert_eq!(ask(Hostility::Unauthorized).await.unwrap().status, 401);
    assert_eq!(ask(Hostility::InternalError).await.unwrap().status, 500);
    assert!(
        ask(Hostility::Smuggle)
            .await
            .unwrap()
            .text()
            .contains("\n{\"jsonrpc\"")
    );
    assert_eq!(ask(Hostility::Twice).await.unwrap().messages().len(), 2);
    assert!(
        ask(Hostility::EndStream)
            .await
            .unwrap()
            .messages()
            .is_empty()
    );
    assert!(
        ask(Hostility::Decision)
            .await
            .unwrap()
            .text()
            .contains("dev.provost/decision")
    );
    assert!(ask(Hostility::Huge).await.unwrap().body.len() > 100 << 20);
    for mode in [Hostility::Cut, Hostility::Reset, Hostility::Exit] {
        assert!(ask(mode).await.is_err(), "{mode:?}");
    }
    for mode in [
        Hostility::Endless,
        Hostility::EndlessStream,
        Hostility::SlowBody,
    ] {
        let mut stream = client
            .as_http()
            .post_stream(&serde_json::from_str(&call(mode.word())).unwrap())
            .await
            .unwrap();
        if mode == Hostility::EndlessStream {
            assert_eq!(
                stream.message().await.unwrap()["method"],
                "notifications/message"
            );
        }
    }
    assert_eq!(
        client.call("echo", json!({})).await["result"]["isError"],
        false
    );
}

#[tokio::test]
async fn a_habit_can_be_tied_to_a_method_and_dropped() {
    let fixture = Fixture::plain();
    fixture.set_habit(Some((Hostility::InternalError, "tools/list")));
    let client = Client::http(&fixture.url(), None);
    client.connect().await;
    let list = r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#;
    assert_eq!(client.as_http().post_raw(list).await.unwrap().status, 500);
    fixture.set_habit(None);
    assert_eq!(client.as_http().post_raw(list).await.unwrap().status, 200);
}

#[test]
fn raw_requests_and_scripted_servers_meet() {
    let server = Scripted::start(
        vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec()],
        Then::Close,
    );
    let answer = exchange(
        server.address(),
        b"GET / HTTP/1.1\r\n\r\n",
        Duration::from_secs(5),
    )
    .unwrap();
    assert_eq!(
        (statuses(&answer), answer.ends_with(b"hi")),
        (vec![200], true)
    );
    assert_eq!(server.received(), b"GET / HTTP/1.1\r\n\r\n");
}

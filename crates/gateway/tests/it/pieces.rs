//! Where a message is cut makes no difference, and a part of a message is none.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::harness::*;
use crate::wire::{own, talk};
use provost_gateway::StdioAgent;
use provost_testkit::fixture::{Options, Stdio};
use provost_testkit::process::Start;
use provost_testkit::tcp::{self, Scripted, Then};
use provost_testkit::wait::within;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, DuplexStream, ReadBuf};

const ECHO: &str = r#"{"text":"caf\u00e9 \"{}[]\\"}"#;

async fn scene() -> Scene {
    Scene::new(Face::Http, Kind::Http, allow_all()).await
}

/// An input that comes in pieces, each for itself, and then ends.
struct Pieces {
    input: VecDeque<Vec<u8>>,
    pause: bool,
    output: DuplexStream,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.pause = !self.pause;
        if self.pause {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(piece) = self.input.pop_front() {
            buffer.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.output).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.output).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.output).poll_shutdown(context)
    }
}

/// Everything that a stdio agent is told for these pieces.
async fn told(scene: &Scene, input: Vec<Vec<u8>>) -> Vec<Value> {
    let (output, read) = tokio::io::duplex(1 << 20);
    let stream = Pieces {
        input: input.into(),
        pause: false,
        output,
    };
    let agent = StdioAgent {
        grant: scene.pass.grant.clone(),
        server: scene.pass.server.clone(),
        child: None,
    };
    let gateway = scene.gate.gateway.clone();
    let served = tokio::spawn(async move { gateway.serve_stdio(stream, agent).await });
    let mut lines = BufReader::new(read).lines();
    let mut told = Vec::new();
    while let Some(line) = within("a line or the end", lines.next_line())
        .await
        .unwrap()
    {
        told.push(serde_json::from_str(&line).unwrap());
    }
    within("the end of the agent", served).await.unwrap();
    told
}

#[tokio::test]
async fn a_request_in_two_chunks_is_the_same_request_wherever_it_is_cut() {
    let scene = scene().await;
    let length = call(1000, "echo", ECHO).len();
    let mut pipeline = String::new();
    for cut in 1..length {
        let body = call(1000 + cut, "echo", ECHO);
        let (one, two) = body.split_at(cut);
        let last = if cut + 1 == length {
            "connection: close\r\n"
        } else {
            ""
        };
        pipeline += &format!(
            "{}{last}transfer-encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            own(&scene),
            one.len(),
            two.len()
        );
    }
    let answer = talk(&scene, &[pipeline.as_bytes()]).await;
    assert_eq!(tcp::statuses(answer.as_bytes()), vec![200; length - 1]);
    let same = scene.upstream.requests("tools/call");
    assert_eq!(same.len(), length - 1);
    let arguments: Value = serde_json::from_str(ECHO).unwrap();
    assert!(
        same.iter().all(|params| params["arguments"] == arguments),
        "{same:?}"
    );
}

#[tokio::test]
async fn a_request_in_two_packets_is_the_same_request_wherever_it_is_cut() {
    let scene = scene().await;
    let body = call(7, "echo", ECHO);
    let whole = format!(
        "{}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        own(&scene),
        body.len()
    );
    let bytes = whole.as_bytes();
    for cut in 1..bytes.len() {
        let answer = talk(&scene, &[&bytes[..cut], &bytes[cut..]]).await;
        assert_eq!(tcp::statuses(answer.as_bytes()), [200], "cut at {cut}");
        assert!(
            answer.contains(r#""text":"café \"{}[]\\""#),
            "cut at {cut}: {answer}"
        );
    }
    assert_eq!(scene.upstream.calls().len(), bytes.len() - 1);
}

/// Answers of a server, each cut in two at another byte, and what the agent gets.
async fn answers_cut_everywhere(kind: &str, body: &[u8]) -> Vec<(Option<String>, Value)> {
    let wire = |cut: usize| {
        let (one, two) = body.split_at(cut);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n",
            one.len()
        );
        let middle = format!("\r\n{:x}\r\n", two.len());
        [
            head.as_bytes(),
            one,
            middle.as_bytes(),
            two,
            b"\r\n0\r\n\r\n",
        ]
        .concat()
    };
    let answers: Vec<Vec<u8>> = (1..body.len()).map(wire).collect();
    let scripted = Scripted::start(answers, Then::Close);
    let scene = scene().await;
    scene.gate.move_server("fixture", &scripted.url());
    let mut got = Vec::new();
    for _ in 1..body.len() {
        let reply = scene
            .agent
            .as_http()
            .post_raw(call(7, "echo", "{}"))
            .await
            .unwrap();
        assert_eq!(reply.status, 200);
        let last = reply
            .header("content-type")
            .unwrap()
            .starts_with("text/event-stream");
        let id = last
            .then(|| reply.events().into_iter().rev().find_map(|event| event.id))
            .flatten();
        got.push((id, reply.message()));
    }
    assert_eq!(scene.gate.records().len(), body.len() - 1);
    got
}

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"café \"x\""}],"n":1.50}}"#;

#[tokio::test]
async fn an_answer_in_two_chunks_is_the_same_answer_wherever_it_is_cut() {
    let expected: Value = serde_json::from_str(ANSWER).unwrap();
    for (id, message) in answers_cut_everywhere("application/json", ANSWER.as_bytes()).await {
        assert_eq!((id, &message), (None, &expected));
    }
}

#[tokio::test]
async fn a_stream_in_two_chunks_is_the_same_stream_wherever_it_is_cut() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"é"}}"#;
    let expected: Value = serde_json::from_str(ANSWER).unwrap();
    for end in ["\n", "\r\n", "\r"] {
        let stream = format!(
            "\u{feff}: hello{end}id: 1-1{end}event: message{end}data: {note}{end}{end}retry: 50{end}id: 1-2{end}data:{ANSWER}{end}{end}"
        );
        for (id, message) in answers_cut_everywhere("text/event-stream", stream.as_bytes()).await {
            assert_eq!(
                (id.as_deref(), &message),
                (Some("1-2"), &expected),
                "{end:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_line_in_two_pieces_is_the_same_line_wherever_it_is_cut() {
    let scene = scene().await;
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "p", "version": "1"}});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let mut input = vec![format!("{initialize}\n").into_bytes()];
    let length = call(1000, "echo", ECHO).len() + 1;
    for cut in 1..length {
        let line = call(1000 + cut, "echo", ECHO) + "\n";
        let (one, two) = line.as_bytes().split_at(cut);
        input.extend([one.to_vec(), two.to_vec()]);
    }
    let told = told(&scene, input).await;
    let answers: Vec<&Value> = told.iter().filter(|answer| answer["id"] != 0).collect();
    assert_eq!(answers.len(), length - 1);
    assert!(
        answers.iter().all(|answer| text(answer) == "café \"{}[]\\"),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_process_that_reads_and_writes_single_bytes_is_understood() {
    let stdio = Stdio::new(&Options::default());
    let scene = scene().await;
    let slowly = r#"dd bs=1 2>/dev/null | "$0" "$@" | dd bs=1 2>/dev/null"#;
    let mut start = Start::program("/bin/sh")
        .args(["-c", slowly])
        .args(stdio.start.command_line());
    start.env.clone_from(&stdio.start.env);
    scene.gate.stdio_server("bytes", &start, Processes::Session);
    scene.gate.put_policy("bytes", "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on("bytes", "open"));
    agent.connect().await;
    for number in 0..10 {
        let said = json!({"text": format!("café {number}")});
        assert_eq!(
            text(&agent.call("echo", said).await),
            format!("café {number}")
        );
    }
    let answer = agent.call("slow", json!({"ms": 20, "steps": 2})).await;
    assert!(answer.get("result").is_some(), "{answer}");
}

#[tokio::test]
async fn no_part_of_a_message_is_a_message_over_http() {
    let scene = scene().await;
    let before = scene.upstream.bytes().len();
    let body = call(7, "echo", ECHO);
    for end in 0..body.len() {
        let Some(part) = body.get(..end) else {
            continue;
        };
        let said = format!(
            "{}connection: close\r\ncontent-length: {end}\r\n\r\n{part}",
            own(&scene)
        );
        let answer = talk(&scene, &[said.as_bytes()]).await;
        assert_eq!(tcp::statuses(answer.as_bytes()), [400], "{part}");
        assert!(answer.contains("-32700"), "{answer}");
    }
    // The same part, from somebody who promised more and left.
    for end in (0..body.len()).step_by(7) {
        let said = format!(
            "{}content-length: {}\r\n\r\n{}",
            own(&scene),
            body.len(),
            &body[..end]
        );
        let address = scene.gate.address;
        let answer = tokio::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            socket.write_all(said.as_bytes()).unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            drop(socket.read_to_end(&mut answer));
            answer
        });
        let statuses = tcp::statuses(&answer.await.unwrap());
        assert!(statuses.is_empty() || statuses == [400], "{statuses:?}");
    }
    assert_eq!(scene.upstream.bytes().len(), before);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn no_part_of_a_message_is_a_message_over_stdio() {
    let scene = scene().await;
    let before = scene.upstream.bytes().len();
    let line = call(7, "echo", ECHO);
    for end in 1..=line.len() {
        let Some(part) = line.get(..end) else {
            continue;
        };
        // Without an end of line even a whole message is only a part of one.
        let told_of = told(&scene, vec![part.as_bytes().to_vec()]).await;
        assert_eq!(told_of.len(), 1, "{part}: {told_of:?}");
        assert_eq!(told_of[0]["error"]["code"], -32700, "{part}");
        if end < line.len() {
            let told_of = told(&scene, vec![format!("{part}\n").into_bytes()]).await;
            assert_eq!(told_of.len(), 1, "{part}: {told_of:?}");
            assert_eq!(told_of[0]["error"]["code"], -32700, "{part}");
        }
    }
    assert_eq!(scene.upstream.bytes().len(), before);
    scene.honest_call_works().await;
}

//! Frames that no library would send.

use std::time::Duration;

use crate::harness::*;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const CALM: u32 = 0xb;
const REFUSED: u32 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// Headers without any table: each name and value as it is.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "a length of one byte");
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The beginning of a request whose body is still to come.
fn beginning(scene: &Scene) -> Vec<u8> {
    let host = scene.gate.address.to_string();
    let token = format!("Bearer {}", scene.pass.token);
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", &host),
        (":path", "/mcp/fixture"),
        ("authorization", &token),
        ("content-type", "application/json"),
    ])
}

fn preface() -> Vec<u8> {
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &[]),
    ]
    .concat()
}

/// Sends all of it, and reads until the other side closes or `enough` frames of
/// the kind came: kind, stream and last four bytes of each frame.
async fn converse(scene: &Scene, bytes: Vec<u8>, enough: (u8, usize)) -> Vec<(u8, u32, u32)> {
    let socket = TcpStream::connect(scene.gate.address).await.unwrap();
    let (mut reads, mut writes) = socket.into_split();
    let writer = tokio::spawn(async move {
        // The other side may have had enough before all is sent.
        drop(writes.write_all(&bytes).await);
        writes
    });
    let mut frames = Vec::new();
    let conversation = async {
        let mut head = [0; 9];
        while reads.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            if reads.read_exact(&mut payload).await.is_err() {
                break;
            }
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let code = payload.get(..8).filter(|_| head[3] == GOAWAY).map_or_else(
                || {
                    payload
                        .last_chunk::<4>()
                        .map_or(0, |four| u32::from_be_bytes(*four))
                },
                |eight| u32::from_be_bytes([eight[4], eight[5], eight[6], eight[7]]),
            );
            frames.push((head[3], stream, code));
            if frames.iter().filter(|frame| frame.0 == enough.0).count() >= enough.1 {
                break;
            }
        }
    };
    within("the end of the conversation", conversation).await;
    drop(writer.await);
    frames
}

async fn scene() -> Scene {
    Scene::new(Face::Http, Kind::Http, allow_all()).await
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let scene = scene().await;
    let before = scene.upstream.bytes().len();
    let mut bytes = preface();
    for number in 0..20_000 {
        let stream = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &beginning(&scene)));
        bytes.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    let frames = converse(&scene, bytes, (GOAWAY, 1)).await;
    // A reset of the connection may swallow the last word.
    let last = frames.iter().find(|frame| frame.0 == GOAWAY);
    assert!(last.is_none_or(|goaway| goaway.2 == CALM), "{last:?}");
    wait_until("the connection is gone", || open_connections(&scene) == 0).await;
    assert_eq!(scene.upstream.bytes().len(), before);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let scene = scene().await;
    let mut bytes = preface();
    for number in 0..300 {
        bytes.extend(frame(
            HEADERS,
            END_HEADERS,
            2 * number + 1,
            &beginning(&scene),
        ));
    }
    let frames = converse(&scene, bytes, (RESET, 44)).await;
    let refused = frames.iter().filter(|frame| frame.0 == RESET);
    let refused: Vec<_> = refused.map(|frame| (frame.1, frame.2)).collect();
    assert_eq!(refused.len(), 44);
    assert!(
        refused
            .iter()
            .all(|(stream, code)| *stream > 512 && *code == REFUSED),
        "{refused:?}"
    );
    scene.honest_call_works().await;
}

#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let scene = scene().await;
    let mut bytes = preface();
    bytes.extend(frame(HEADERS, 0, 1, &beginning(&scene)));
    let more = block(&[("x-more", "a".repeat(120).as_str()); 100]);
    for _ in 0..2_000 {
        bytes.extend(frame(CONTINUATION, 0, 1, &more));
    }
    converse(&scene, bytes, (GOAWAY, 1)).await;
    wait_until("the connection is gone", || open_connections(&scene) == 0).await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_gone_and_its_call_goes_on() {
    let setup = Setup::from(allow_all()).settings(|s| s.dead_peer = Duration::from_millis(1200));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let scratch = tempfile::tempdir().unwrap();
    let until = scratch.path().join("until");
    let body = call(
        7,
        "slow",
        &json!({"ms": 60_000, "until": until}).to_string(),
    );
    let session = scene.agent.as_http().session().unwrap();
    let head = [beginning(&scene), block(&[("mcp-session-id", &session)])].concat();
    let bytes = [
        preface(),
        frame(HEADERS, END_HEADERS, 1, &head),
        frame(0, 1, 1, body.as_bytes()),
    ];
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket.write_all(&bytes.concat()).await.unwrap();
    scene.upstream.wait_for_calls(1).await;
    // It is connected and takes every byte, but says nothing any more.
    wait_until("the connection is gone", || open_connections(&scene) == 0).await;
    std::fs::write(until, "").unwrap();
    scene.records_become(&["tools/call slow: allow, ok"]).await;
    assert!(scene.upstream.events_of("cancelled").is_empty());
}

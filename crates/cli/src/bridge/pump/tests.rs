use super::*;
use tokio::io::AsyncReadExt;
use tokio::io::BufReader;
use tokio::net::UnixStream;

use crate::bridge::Hello;
use crate::environment::Environment;
use crate::locations::Places;

fn session() -> (Session, UnixStream) {
    let (ours, daemon) = UnixStream::pair().unwrap();
    (BufReader::new(ours), daemon)
}

/// Of an agent whose daemon is where `here` says.
fn sessions(here: &std::path::Path) -> Sessions {
    let (data, config) = (here.join("data"), here.join("config"));
    let places = Places::decide(&Environment::default(), Some(&data), Some(&config)).unwrap();
    let hello = Hello::Policy {
        run: provost_admin::WireSecret(provost_store::Secret::new("x")),
        text: String::new(),
    };
    Sessions::new(places, hello)
}

#[tokio::test]
async fn answers_still_come_after_stdin_has_ended() {
    let (ours, mut daemon) = session();
    let served = tokio::spawn(async move {
        let mut question = String::new();
        daemon.read_to_string(&mut question).await.unwrap();
        daemon.write_all(b"answer\n").await.unwrap();
        question
    });
    let here = tempfile::tempdir().unwrap();
    let (mut out, sessions) = (Vec::new(), sessions(here.path()));
    let mut signals = Signals::listen().unwrap();
    let ending = pump(&b"question\n"[..], &mut out, ours, &sessions, &mut signals).await;
    assert_eq!(ending.unwrap(), Ending::StdinEnded);
    assert_eq!(String::from_utf8(out).unwrap(), "answer\n");
    assert_eq!(served.await.unwrap(), "question\n");
}

#[tokio::test]
async fn d40_what_was_on_its_way_is_answered_when_the_daemon_goes() {
    let (ours, mut daemon) = session();
    let (agent, stdin) = tokio::io::duplex(1024);
    let (mut stdout, agent_out) = tokio::io::duplex(1024);
    let here = tempfile::tempdir().unwrap();
    let sessions = sessions(here.path());
    let bridge = async {
        let mut signals = Signals::listen().unwrap();
        pump(stdin, agent_out, ours, &sessions, &mut signals).await
    };
    let story = async {
        let mut agent = agent;
        let call = br#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"pay"}}"#;
        agent.write_all(call).await.unwrap();
        agent.write_all(b"\n").await.unwrap();
        let mut lines = Lines::new(&mut daemon);
        assert_eq!(lines.next().await.unwrap(), call);
        // Half an answer is none.
        daemon
            .write_all(br#"{"jsonrpc":"2.0","id":"a","re"#)
            .await
            .unwrap();
        drop(daemon);
        let told = Lines::new(&mut stdout).next().await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(
            (&told["id"], &told["error"]["code"]),
            (&"a".into(), &(-32603).into())
        );
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("outcome unknown: "), "{message}");
        drop(agent);
    };
    let (ending, ()) = tokio::join!(bridge, story);
    assert_eq!(ending.unwrap(), Ending::StdinEnded);
}

#[tokio::test]
async fn half_a_line_of_the_agent_goes_on_as_half_a_line() {
    let (ours, mut daemon) = session();
    let here = tempfile::tempdir().unwrap();
    let (mut out, sessions) = (Vec::new(), sessions(here.path()));
    let mut signals = Signals::listen().unwrap();
    let bridge = pump(&b"{\"json"[..], &mut out, ours, &sessions, &mut signals);
    let served = async {
        let mut all = String::new();
        daemon.read_to_string(&mut all).await.unwrap();
        drop(daemon);
        all
    };
    let (ending, all) = tokio::join!(bridge, served);
    assert_eq!(ending.unwrap(), Ending::StdinEnded);
    assert_eq!(all, "{\"json");
}

//! `provost log --follow`: what comes, once, in order, for as long as somebody looks.

use provost_testkit::client::Client;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::place::Place;

/// A follower, and the lines it prints.
struct Follower {
    lines: Lines<BufReader<ChildStdout>>,
    remarks: std::path::PathBuf,
    _child: Child,
}

impl Follower {
    fn start(place: &Place, words: &[&str]) -> Self {
        let remarks = place.path().join(format!("follow-{}.err", words.len()));
        let mut command = Command::from(place.command(&[&["log", "--follow"], words].concat()));
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::fs::File::create(&remarks).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Follower {
            lines,
            remarks,
            _child: child,
        }
    }

    async fn line(&mut self) -> String {
        let line = within("a line", self.lines.next_line()).await;
        line.unwrap().unwrap()
    }

    async fn record(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    async fn remarked(&self, text: &str) {
        let said = || std::fs::read_to_string(&self.remarks).unwrap();
        wait_until("it says so", || said().contains(text)).await;
    }
}

async fn agent(url: &str, token: &str) -> Client {
    let agent = Client::http(&format!("{url}/mcp/files"), Some(token));
    agent.connect().await;
    agent
}

#[tokio::test]
async fn d64_a_follower_waits_for_its_daemon_and_goes_on_with_the_next() {
    let place = Place::new();
    let token = place.furnish();
    let mut follower = Follower::start(&place, &["--json", "--tool", "echo"]);
    let mut told = Follower::start(&place, &["--tool", "echo"]);
    told.remarked("no daemon runs on").await;
    let mut up = place.up(&[]).await;
    let say = async |url: &str, text: &str| {
        let answer = agent(url, &token)
            .await
            .call("echo", json!({ "text": text }))
            .await;
        assert!(answer["result"].is_object(), "{answer}");
    };
    say(&up.url, "one").await;
    told.remarked("a daemon runs now").await;
    assert!(told.line().await.starts_with("TIME (UTC)"));
    told.line().await;
    let first = ended(&mut follower).await;

    up.signal(rustix::process::Signal::KILL);
    up.ended().await;
    drop(up);
    // What happens before it is there again is not lost either.
    let up = place.up(&[]).await;
    say(&up.url, "two").await;
    say(&up.url, "three").await;
    let second = ended(&mut follower).await;
    let third = ended(&mut follower).await;
    assert!(first < second && second < third);
}

/// The number of the next call that has ended; it may have been shown on its way before.
async fn ended(follower: &mut Follower) -> u64 {
    loop {
        let record = follower.record().await;
        if record["status"] != "unknown" {
            assert_eq!(record["status"], "ok", "{record}");
            return record["number"].as_u64().unwrap();
        }
    }
}

#[tokio::test]
async fn d64_a_call_that_was_shown_on_its_way_comes_again_when_it_has_ended() {
    let place = Place::new();
    let token = place.furnish();
    let open = place.file("open.json", r#"{"version":"1","default":"allow"}"#);
    place.ok(&["policy", "put", "files", "open", &open]);
    place.ok(&["policy", "attach", "laptop", "open"]);
    let up = place.up(&[]).await;
    let agent = agent(&up.url, &token).await;
    let mut follower = Follower::start(&place, &["--json", "--tool", "slow"]);
    let over = place.path().join("over");
    let call = agent.call("slow", json!({ "until": over.to_str().unwrap() }));
    let seen = async {
        let pending = follower.record().await;
        assert_eq!(pending["status"], "unknown", "{pending}");
        std::fs::write(&over, "").unwrap();
        let ended = follower.record().await;
        assert_eq!(ended["number"], pending["number"]);
        assert_eq!(ended["status"], "ok", "{ended}");
        assert!(ended["latency_us"].as_u64() > Some(0), "{ended}");
    };
    let (answer, ()) = tokio::join!(call, seen);
    assert!(answer["result"].is_object(), "{answer}");
}

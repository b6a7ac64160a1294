//! What was asked of the daemon is done and in force, whoever still listens; and who did what to
//! it is on record.

use std::io::Write;
use std::os::unix::net::UnixStream;

use provost_testkit::client::Client;
use provost_testkit::process::fixture_program;
use provost_testkit::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{POLICY, Place, lives, send};

/// Acts in the journal, as `who what detail`.
fn acts(place: &Place) -> Vec<String> {
    let text = place.ok(&["audit", "export"]);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let acts = lines.filter(|line| line["kind"] == "act");
    let word = |act: &Value, name: &str| act[name].as_str().unwrap_or_default().to_owned();
    acts.map(|act| {
        let words = [word(&act, "who"), word(&act, "what"), word(&act, "detail")];
        words.join(" ").trim().to_owned()
    })
    .collect()
}

/// Waits for a text in the journal without losing a moment.
fn spin_until_recorded(place: &Place, text: &str) {
    let journal = place.data().join("journal/00000001.log");
    let begun = std::time::Instant::now();
    while !std::fs::read_to_string(&journal).unwrap().contains(text) {
        assert!(begun.elapsed().as_secs() < 20, "`{text}` was not recorded");
        std::thread::yield_now();
    }
}

/// The connection is closed when the revoke is recorded, which is before it is committed.
#[tokio::test]
async fn d02_a_revoke_holds_although_whoever_asked_is_gone() {
    let place = Place::new();
    let token = place.furnish();
    let up = place.up(&[]).await;
    let agent = Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    agent.connect().await;
    let answer = agent.call("echo", json!({ "text": "x" })).await;
    assert!(answer["result"].is_object(), "{answer}");

    let body = r#"{"request":"grant_revoke","grant":{"name":"laptop","server":"files"}}"#;
    let request = format!(
        "POST /v1/command HTTP/1.1\r\nhost: provost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = UnixStream::connect(place.data().join("admin.sock")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    spin_until_recorded(&place, "grant.revoke");
    drop(stream);

    // What the store says is what holds: there is no moment in between.
    let revoked = || {
        let grants = place.json(&["grant", "list", "--all"]);
        grants[0]["state"] == "revoked"
    };
    wait_until("the grant is revoked", revoked).await;
    let reply = agent
        .as_http()
        .post_raw(r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#)
        .await
        .unwrap();
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn d10_listening_stopping_and_restoring_are_on_record_with_who_did_it() {
    let place = Place::new();
    place.furnish();
    place.ok(&["backup", "all.backup"]);
    let mut up = place.up(&[]).await;
    up.signal(Signal::TERM);
    assert_eq!(up.ended().await, Some(0));
    place.ok(&["restore", "all.backup", "--replace"]);
    let before = place.path().read_dir().unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.to_str()
            .unwrap()
            .contains("before-restore")
            .then_some(path)
    });

    let restored = acts(&place);
    let said = "admin restore epoch 2 begins; verified".to_owned();
    assert!(restored.contains(&said), "{restored:?}");
    assert!(
        restored.contains(&"admin backup".to_owned()),
        "{restored:?}"
    );
    // The directory that was put aside has the rest.
    std::fs::remove_dir_all(place.data()).unwrap();
    std::fs::rename(before.unwrap(), place.data()).unwrap();
    let acts = acts(&place);
    for act in [
        "admin daemon.listen loopback".to_owned(),
        format!("signal daemon.end signal {}", Signal::TERM.as_raw()),
    ] {
        assert!(acts.contains(&act), "{act}: {acts:?}");
    }
}

#[tokio::test]
async fn d16_a_revoked_run_stays_revoked_until_it_is_allowed_again() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let words = [
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let first = Client::stdio(&place.start(&words));
    first.connect().await;
    let grants = place.json(&["grant", "list"]);
    let server = grants[0]["server"].as_str().unwrap().to_owned();
    place.ok(&["grant", "revoke", "run", "--server", &server]);
    wait_until("the run ends", || first.as_stdio().ended()).await;

    let refused = place.run(&words);
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (1, ""),
        "{}",
        refused.stderr
    );
    let again = format!("provost grant mint {server} --label run --policy policy");
    for part in ["this run was revoked", again.as_str()] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let list = place.json(&["grant", "list", "--all"]);
    assert_eq!(
        list.as_array().unwrap().len(),
        1,
        "nothing was minted: {list}"
    );

    place.ok(&[
        "grant", "mint", &server, "--label", "run", "--policy", "policy",
    ]);
    let second = Client::stdio(&place.start(&words));
    second.connect().await;
    let answer = second.call("echo", json!({ "text": "x" })).await;
    assert!(answer["result"].is_object(), "{answer}");

    // What an admin took off is not put back.
    place.ok(&["policy", "detach", "run", "--server", &server]);
    let refused = place.run(&words);
    let again = format!("provost policy attach run policy --server {server}");
    for part in ["somebody detached the policy from", again.as_str()] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let list = place.json(&["grant", "list"]);
    assert_eq!(list[0]["policy"], Value::Null);
}

/// Started by `run`, taken over by `up`: nobody is left who would stop it.
#[tokio::test]
async fn d30_a_daemon_whose_data_directory_is_removed_ends_with_its_last_client() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let words = [
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let run = Client::stdio(&place.start(&words));
    run.connect().await;
    let pid = place.daemon_pid().unwrap();
    let up = place.up(&[]).await;
    assert_ne!(up.child.id(), pid, "it only follows");
    send(up.child.id(), Signal::KILL);
    std::fs::remove_dir_all(place.data()).unwrap();
    let answer = run.call("echo", json!({ "text": "x" })).await;
    assert!(
        answer["result"].is_object() && lives(pid),
        "a client is left: {answer}"
    );
    run.as_stdio().end_input();
    wait_until("the daemon ends", || !lives(pid)).await;
}

#[test]
fn d91_json_shows_what_an_agent_or_a_server_hides() {
    let place = Place::new();
    place.furnish();
    let label = "x\u{202e}y\u{200b}";
    place.ok(&["grant", "mint", "files", "--label", label]);
    let text = place.ok(&["grant", "list", "--json"]);
    assert!(text.contains("x\\u202ey\\u200b"), "{text}");
    let read: Value = serde_json::from_str(&text).unwrap();
    let labels: Vec<_> = read
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| &grant["label"])
        .collect();
    assert!(labels.iter().any(|found| *found == label), "{text}");
    let ran = place.run(&["grant", "show-nothing\u{9b}2J", "--json"]);
    assert!(!ran.stderr.contains('\u{9b}'), "{}", ran.stderr);
}

#[test]
fn d95_a_secret_in_a_url_is_pointed_out_and_shown_nowhere() {
    let place = Place::new();
    let url = "https://mcp.example.com/mcp?api_key=hunter2&region=eu";
    let added = place.run(&["server", "add", "maps", "--url", url]);
    assert_eq!(added.code, 0);
    assert!(
        added.stderr.contains("warning") && added.stderr.contains("--query"),
        "{}",
        added.stderr
    );
    let set = place.run(&["server", "set", "maps", "--url", url]);
    assert!(set.stderr.contains("warning"), "{}", set.stderr);
    let doctor = place.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("seems to hold a secret"),
        "{}",
        doctor.stdout
    );
    let mut all = vec![added, set, doctor];
    for words in [
        &["server", "list"][..],
        &["server", "show", "maps"],
        &["server", "show", "maps", "--json"],
        &["audit", "export"],
        &["server", "add", "bad", "--url", "ftp://x/?api_key=hunter2"],
    ] {
        all.push(place.run(words));
    }
    for ran in &all {
        assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"));
    }

    // Sealed instead.
    place.file("key", "hunter2\n");
    let plain = "https://mcp.example.com/mcp?region=eu";
    let words = [
        "server",
        "set",
        "maps",
        "--url",
        plain,
        "--query",
        "api_key=@key",
    ];
    let set = place.run(&words);
    assert_eq!((set.code, set.stderr.as_str()), (0, ""));
    assert!(
        set.stdout.contains("api_key (value sealed)"),
        "{}",
        set.stdout
    );
}

/// Changes one character of a sealed header in the database's file.
fn damage(place: &Place, header: &str) {
    let path = place.data().join("provost.db");
    let mut file = std::fs::read(&path).unwrap();
    let sealed = format!("{header}v1:").into_bytes();
    let found: Vec<usize> = (0..file.len() - sealed.len())
        .filter(|start| file[*start..].starts_with(&sealed))
        .collect();
    assert!(!found.is_empty());
    for start in found {
        let byte = &mut file[start + sealed.len() + 20];
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    std::fs::write(path, file).unwrap();
}

#[test]
fn d03_a_lost_secret_is_named_and_not_lost_by_the_way() {
    let place = Place::new();
    place.file("key", "hunter2\n");
    let url = "https://mcp.example.com/mcp";
    place.ok(&[
        "server",
        "add",
        "maps",
        "--url",
        url,
        "--header",
        "X-Lost=@key",
    ]);
    damage(&place, "X-Lost");

    let doctor = place.run(&["doctor"]);
    let named = "header `X-Lost` cannot be opened";
    assert!(doctor.stdout.contains(named), "{}", doctor.stdout);
    assert_ne!(doctor.code, 0);
    assert!(place.ok(&["server", "show", "maps"]).contains(named));
    let refused = place.run(&["server", "set", "maps", "--header", "Other=@key"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .stderr
            .contains("has a sealed value that can no longer be opened"),
        "{}",
        refused.stderr
    );

    place.ok(&["server", "set", "maps", "--header", "X-Lost=@key"]);
    assert!(
        !place
            .run(&["doctor"])
            .stdout
            .contains("its calls are refused")
    );
}

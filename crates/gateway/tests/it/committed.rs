//! What was committed is in force, whoever made the change; and what of the
//! store cannot be read stops only what it belongs to.

use std::os::unix::fs::FileExt;
use std::path::Path;

use provost_store::{Actor, Attachment, NewGrant, Secret, ServerChange};
use serde_json::json;

use crate::changes::is_locked_out;
use crate::harness::gate::settings;
use crate::harness::*;

fn somebody() -> Actor {
    Actor::new("somebody")
}

/// Nobody tells the gateway: the store does.
async fn d02_a_change_through_the_store_holds_for_the_next_message(scene: Scene) {
    scene.honest_call_works().await;
    let before = scene.upstream.calls().len();
    let (store, grant) = (scene.gate.store.clone(), scene.pass.grant.clone());
    // On a thread that knows nothing of the gateway.
    let revoking = std::thread::spawn(move || store.revoke_grant(&somebody(), &grant).unwrap());
    revoking.join().unwrap();
    is_locked_out(scene.face, &scene.agent).await;
    assert_eq!(scene.upstream.calls().len(), before);
}
both_faces!(
    d02_a_change_through_the_store_holds_for_the_next_message,
    allow_all()
);

async fn d02_a_policy_put_through_the_store_holds_for_the_next_message(scene: Scene) {
    scene.honest_call_works().await;
    let deny = json!({"version": "1", "default": "deny"}).to_string();
    let store = &scene.gate.store;
    store
        .put_policy(&somebody(), "fixture", "rules", &deny, None)
        .unwrap();
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "(default deny)");
}
both_faces!(
    d02_a_policy_put_through_the_store_holds_for_the_next_message,
    allow_all()
);

/// Changes one character of a sealed header in the database's file.
fn damage(data: &Path, header: &str) {
    let path = data.join("provost.db");
    let mut file = std::fs::read(&path).unwrap();
    let sealed = format!("{header}v1:");
    let mut found = 0;
    for start in 0..file.len() - sealed.len() {
        if file[start..].starts_with(sealed.as_bytes()) {
            let place = &mut file[start + sealed.len() + 20];
            *place = if *place == b'A' { b'B' } else { b'A' };
            found += 1;
        }
    }
    assert!(found > 0, "the header is in the database");
    std::fs::write(path, file).unwrap();
}

#[tokio::test]
async fn d03_a_server_whose_secret_is_lost_is_refused_alone_and_a_revoke_still_holds() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let url = scene.upstream.fixture().url();
    scene
        .gate
        .http_server_with("broken", &url, &[("X-Lost", "hunter2")]);
    scene.gate.put_policy("broken", "rules", &allow_all());
    let broken = scene.gate.mint_on("broken", "rules");
    let fine = scene.another_pass("other");
    let before = scene.upstream.calls().len();
    let (gate, upstream) = (scene.gate, scene.upstream);

    let gate = gate
        .restart_after(settings(), |data| damage(data, "X-Lost"))
        .await;
    let opening = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}});
    let refused = gate
        .http_agent(&broken)
        .request("initialize", opening)
        .await;
    assert_eq!(
        refused["error"]["message"],
        "server `broken` cannot be used: its settings are damaged, and whoever runs Provost has to repair them"
    );
    assert_eq!(upstream.calls().len(), before, "no byte went upstream");
    let agent = gate.http_agent(&fine);
    agent.connect().await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "honest"})).await),
        "honest"
    );

    gate.store.revoke_grant(&somebody(), &fine.grant).unwrap();
    is_locked_out(Face::Http, &agent).await;

    // Given anew, it works at once.
    let change = ServerChange {
        headers: Some(vec![("X-Lost".to_owned(), Secret::new("found"))]),
        ..ServerChange::default()
    };
    gate.store
        .set_server(&somebody(), "broken", change)
        .unwrap();
    let agent = gate.http_agent(&broken);
    agent.connect().await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "honest"})).await),
        "honest"
    );
}

/// Writes a text over another one of the same length, in the database's file.
fn overwrite(data: &Path, text: &str, by: &str) {
    assert_eq!(text.len(), by.len());
    let path = data.join("provost.db");
    let file = std::fs::read(&path).unwrap();
    let places = file.windows(text.len()).enumerate();
    let places: Vec<_> = places.filter(|(_, it)| *it == text.as_bytes()).collect();
    assert!(!places.is_empty(), "the text is in the database");
    let open = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    for (place, _) in places {
        open.write_all_at(by.as_bytes(), place as u64).unwrap();
    }
}

#[tokio::test]
async fn what_verification_finds_is_out_of_force_at_once_and_in_force_when_it_is_mended() {
    const DENIES: &str = r#"{"version":"1","description":"spare","default":"deny" }"#;
    const ALLOWS: &str = r#"{"version":"1","description":"spare","default":"allow"}"#;
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let (gate, upstream, pass) = (scene.gate, scene.upstream, scene.pass);
    gate.store
        .put_policy(&somebody(), "fixture", "spare", DENIES, None)
        .unwrap();
    // From here on all of it is in the database's file.
    let gate = gate.restart(settings()).await;
    overwrite(&gate.data(), DENIES, ALLOWS);
    let policy = |name: &str| Attachment {
        policy: Some(name.to_owned()),
        shadow: None,
    };
    gate.attach(&pass, policy("spare"));
    let agent = gate.http_agent(&pass);
    agent.connect().await;
    let echo = || agent.call("echo", json!({"text": "honest"}));
    // Nobody has held it against the journal yet.
    assert_eq!(text(&echo().await), "honest");
    let before = upstream.calls().len();

    let verified = gate.store.audit_verify(None).unwrap();
    assert_eq!(verified.refused, ["policy `fixture/spare` version 1"]);
    assert_eq!(rule(&echo().await), "(hidden)");
    assert!(agent.tools().await.is_empty());
    let history = gate.history();
    assert_eq!(history.last().unwrap(), "tools/call echo: deny by (hidden)");

    overwrite(&gate.data(), ALLOWS, DENIES);
    // The store reads the file again behind a change.
    gate.mint(NewGrant {
        server: "fixture".to_owned(),
        label: "later".to_owned(),
        ..NewGrant::default()
    });
    assert!(gate.store.audit_verify(None).unwrap().refused.is_empty());
    assert_eq!(rule(&echo().await), "(default deny)");
    assert_eq!(upstream.calls().len(), before, "no byte went upstream");
    gate.attach(&pass, policy("rules"));
    assert_eq!(text(&echo().await), "honest");
}

#[tokio::test]
async fn d95_a_sealed_query_goes_upstream_and_nowhere_else() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let query = vec![("api/key".to_owned(), Secret::new("hunter2&x=1"))];
    let change = ServerChange {
        query: Some(query),
        ..ServerChange::default()
    };
    scene
        .gate
        .store
        .set_server(&somebody(), "fixture", change)
        .unwrap();
    let pass = scene.gate.mint(NewGrant {
        server: "fixture".to_owned(),
        label: "query".to_owned(),
        attachment: Attachment {
            policy: Some("rules".to_owned()),
            shadow: None,
        },
        ..NewGrant::default()
    });
    let agent = scene.gate.http_agent(&pass);
    agent.connect().await;
    agent.call("echo", json!({})).await;
    let seen = scene.upstream.events_of("http");
    assert_eq!(seen.last().unwrap()["query"], "api%2Fkey=hunter2%26x%3D1");
    let journal = std::fs::read_to_string(scene.gate.data().join("journal/00000001.log")).unwrap();
    assert!(!journal.contains("hunter2"));
}

#[tokio::test]
async fn d62_whose_token_it_is_is_known_at_once_and_no_longer_than_it_holds() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let (gate, pass) = (&scene.gate, &scene.pass);
    let opens = |server: &str, pass: &Pass| gate.gateway.authenticate(server, &pass.token);
    let both = Some((pass.grant.clone(), pass.server.clone()));
    assert_eq!(opens("fixture", pass), both);
    assert_eq!(opens(pass.server.as_str(), pass), both);
    assert_eq!(opens("another", pass), None);
    gate.http_server("another", "http://127.0.0.1:9/mcp");
    assert_eq!(opens("another", pass), None);
    let rotated = gate.rotate(pass);
    assert_eq!(opens("fixture", pass), None);
    assert_eq!(opens("fixture", &rotated), both);
    gate.revoke(&rotated);
    assert_eq!(opens("fixture", &rotated), None);
}

//! What is refused: places, rates, configurations.

use provost_testkit::client::Client;
use provost_testkit::process::root;
use provost_testkit::wait::wait_for;
use provost_testkit::wait_until;
use serde_json::{Value, json};

use super::scene::{Scene, rule, words};
use crate::place::Place;

#[tokio::test]
async fn an_agent_works_below_the_roots_only() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let link = scene.work().join("link");
    std::os::unix::fs::symlink("/tmp", &link).unwrap();
    for (place, why) in [
        (
            "/",
            "the directory `/` is not in or below a directory that agents may work in",
        ),
        (
            link.to_str().unwrap(),
            "which is `/tmp`, is not in or below",
        ),
        ("work", "the directory `work` is not an absolute path"),
    ] {
        let asked = json!({"role": "manager", "workDir": place, "context": "c"});
        let answer = person.0.call("spawn", asked).await;
        assert_eq!(rule(&answer), "(fleet limit)", "{answer}");
        assert!(words(&answer).contains(why), "{answer}");
    }
    let asked =
        json!({"role": "manager", "workDir": scene.work(), "context": "c", "agent": "nothing"});
    let said = person.refused("spawn", asked).await;
    assert_eq!(
        said,
        "there is no agent `nothing`; there are `cat`, `script`; choose one of these, or leave `agent` out"
    );
    assert_eq!(
        person.refused("spawn", json!({})).await,
        "`spawn` was not called: `role`, `workDir` and `context` are missing"
    );
    assert_eq!(person.0.tools().await.len(), 13);
}

#[tokio::test]
async fn ten_a_minute_hold_for_a_person_and_everybody_below() {
    let policy = std::fs::read_to_string(root().join("examples/policies/spawn.json")).unwrap();
    let scene = Scene::under("spawning", Some(&policy)).await;
    let person = scene.person().await;
    // All they may do is spawn, so they are told with it what to do.
    let report = json!({"name": "report_result", "arguments": {"result": 1}});
    let asked = json!({
        "role": "specialist", "workDir": scene.work(), "context": "c", "instruction": format!("call {report}"),
    });
    let call = format!("call {}", json!({"name": "spawn", "arguments": asked}));
    let calls = vec![call; 10].join("\n");
    let manager = person
        .spawn(&scene, "manager", json!({"instruction": calls}))
        .await;
    let answers = wait_for("ten answers", || async {
        let answers = scene.written(&manager, "answers").await;
        (answers.lines().count() == 10).then_some(answers)
    })
    .await;
    let answers = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut answers: Vec<Value> = answers.collect();
    let eleventh = answers.pop().unwrap();
    for (answer, number) in answers.iter().zip(2..) {
        let made = &answer["result"]["structuredContent"]["instanceId"];
        assert_eq!(*made, format!("spec_1_{number}"), "{answer}");
    }
    let asked = json!({"role": "specialist", "workDir": scene.work(), "context": "c"});
    for answer in [eleventh, person.0.call("spawn", asked).await] {
        assert_eq!(rule(&answer), "/tools/spawn/limits/spawn_rate", "{answer}");
        let decision = &answer["result"]["_meta"]["dev.provost/decision"];
        let wait = decision["retryAfterMs"].as_u64().unwrap();
        assert!(wait > 0 && wait <= 60_000, "{decision}");
    }
    // What the person's policy denies is denied below too, but for saying that one is done.
    let answer = person.0.call("list", json!({})).await;
    assert_eq!(rule(&answer), "(default deny)");
    wait_until("nine reports", || scene.log("report_result").len() == 9).await;
    assert!(
        scene
            .log("report_result")
            .iter()
            .all(|row| row.ends_with("allow null"))
    );
}

#[tokio::test]
async fn without_its_table_there_is_no_fleet() {
    let place = Place::new();
    let up = place.up(&[]).await;
    let policy = place.file("policy.json", r#"{"version": "1", "default": "allow"}"#);
    place.ok(&["policy", "put", "fleet", "open", &policy]);
    let minted = place.json(&[
        "grant", "mint", "fleet", "--label", "alice", "--policy", "open",
    ]);
    let client = Client::http(&format!("{}/mcp/fleet", up.url), minted["token"].as_str());
    let asked = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let answer = client.request("initialize", asked).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains("was started without `fleet`"), "{said}");
    assert!(!place.data().join("fleet").exists());
}

#[tokio::test]
async fn the_fleets_own_limits_are_as_configured() {
    let mut scene = Scene::new().await;
    drop(scene.up.take());
    let config = std::fs::read_to_string(&scene.config).unwrap();
    let limited = format!("{config}[fleet.limits]\ntree = {{ living = 2 }}\n");
    std::fs::write(&scene.config, limited).unwrap();
    let config = scene.config.clone();
    scene.up = Some(scene.place.up(&["--config", &config]).await);
    let person = scene.person().await;
    person.spawn(&scene, "manager", json!({})).await;
    person.spawn(&scene, "manager", json!({})).await;
    let asked = json!({"role": "manager", "workDir": scene.work(), "context": "c"});
    let said = person.refused("spawn", asked).await;
    assert_eq!(
        said,
        "the limit `tree.living` of 2 is reached; give the work to an instance that is idle, or end some with \
         `terminate`"
    );
    assert!(!scene.work().join("mgr_3").exists());
}

#[test]
fn a_fleet_that_cannot_be_is_refused_with_words() {
    let place = Place::new();
    let refused = |text: &str| {
        let config = place.file("provost.toml", text);
        let ran = place.run(&["up", "--listen", "127.0.0.1:0", "--config", &config]);
        assert_ne!(ran.code, 0);
        ran.stderr
    };
    for (text, why) in [
        (
            "[fleet]\nroots = []\n[fleet.agents.a]\ncommand = [\"a\"]\n",
            "`roots` names no directory",
        ),
        (
            "[fleet]\nroots = [\"/nothing/there\"]\n[fleet.agents.a]\ncommand = [\"a\"]\n",
            "there is no directory `/nothing/there`",
        ),
        (
            "[fleet]\nroots = [\"/tmp\"]\n[fleet.agents.a]\ncommand = []\n",
            "`command` of agent `a` is empty",
        ),
        (
            "[fleet]\nroots = [\"/tmp\"]\nagent = \"b\"\n[fleet.agents.a]\ncommand = [\"a\"]\n",
            "there is no `[fleet.agents.b]`",
        ),
        (
            "[fleet]\nroots = [\"/tmp\"]\n[fleet.agents.a]\ncommand = [\"a\"]\n[fleet.agents.b]\ncommand = [\"a\"]\n",
            "`agent` has to say",
        ),
        (
            "[fleet]\nroots = [\"/tmp\"]\nroles = 1\n[fleet.agents.a]\ncommand = [\"a\"]\n",
            "unknown field `roles`",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(why), "{text}{said}");
    }
    let deep = place.path().join("a".repeat(100));
    let config = place.file(
        "provost.toml",
        "[fleet]\nroots = [\"/tmp\"]\n[fleet.agents.a]\ncommand = [\"a\"]\n",
    );
    let ran = place.run(&[
        "--data",
        deep.to_str().unwrap(),
        "up",
        "--listen",
        "127.0.0.1:0",
        "--config",
        &config,
    ]);
    assert!(
        ran.stderr
            .contains("the path of the terminal's socket is longer than"),
        "{}",
        ran.stderr
    );
}

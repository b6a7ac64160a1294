//! Instances are made, spoken to, read, listed and ended.

use serde_json::{Value, json};

use super::scene::{Scene, words};

#[tokio::test]
async fn an_agent_is_spawned_spoken_to_read_and_terminated() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    // Scenario 18.
    assert_eq!(person.ok("list", json!({})).await, json!({"instances": []}));
    assert!(!scene.place.data().join("fleet/tmux").exists());
    let made = person
        .spawn(&scene, "executive", json!({"context": "lead well"}))
        .await;
    let project = scene.work().join("exec_1");
    assert_eq!(
        made,
        json!({"instanceId": "exec_1", "paneId": "fleet:exec_1", "projectPath": project, "status": "ready"})
    );
    person.printed("exec_1", "ready").await;
    let sent = person
        .ok("send", json!({"instanceId": "exec_1", "text": "hello"}))
        .await;
    assert_eq!(
        sent,
        json!({"success": true, "messageId": "msg_1", "status": "delivered"})
    );
    let read = person.printed("exec_1", "got hello").await;
    assert_eq!(read["output"], "ready\ngot hello\n");
    assert_eq!(read["status"], "ready");
    let context = scene.place.data().join("fleet/instances/exec_1/context.md");
    assert_eq!(std::fs::read_to_string(context).unwrap(), "lead well");
    let ended = person
        .ok("terminate", json!({"instanceId": "exec_1"}))
        .await;
    assert_eq!(ended, json!({"success": true, "terminated": ["exec_1"]}));
    assert_eq!(person.states().await.len(), 0);
    // Scenario 20.
    let again = person
        .refused("terminate", json!({"instanceId": "exec_1"}))
        .await;
    assert!(
        again.contains("there is no instance `exec_1` among those you lead"),
        "{again}"
    );
    assert_eq!(scene.log("spawn"), ["alice allow null"]);
}

#[tokio::test]
async fn s13_a_text_arrives_exactly_once_as_it_is() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let made = person.spawn(&scene, "manager", json!({})).await;
    let long = "x".repeat(4_095);
    let lines: Vec<String> = (0..800)
        .map(|n| format!("line {n} of about 25 bytes"))
        .collect();
    let texts = [
        r#"it's "quoted" \ and \n"#,
        "$(touch /tmp/never) `id` $HOME ${x}",
        "ends with ;",
        "-l --flag",
        "Enter",
        "C-c",
        "Escape",
        "#{pane_id} %1 @2",
        "Grüße 👩‍👩‍👧 日本語",
        "tab\there",
        "one\ntwo\n\nfour",
        "  blanks  ",
        &long,
        &lines.join("\n"),
    ];
    for text in texts {
        let sent = person
            .ok("send", json!({"instanceId": "mgr_1", "text": text}))
            .await;
        assert_eq!(sent["status"], "delivered");
    }
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "last"}))
        .await;
    person.printed("mgr_1", "got last").await;
    let got = scene.written(&made, "got").await;
    assert_eq!(got, format!("{}\nlast\n", texts.join("\n")));
}

#[tokio::test]
async fn s13_what_a_terminal_would_take_for_a_key_is_refused() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "manager", json!({})).await;
    for (text, why) in [
        (
            "a\u{1b}[201~rm",
            "the text has a control character (U+001B) at byte 1",
        ),
        (
            "\u{3}",
            "the text has a control character (U+0003) at byte 0",
        ),
        (
            &format!("a\n{}", "x".repeat(4_096)),
            "line 2 of the text is longer than 4095 bytes",
        ),
    ] {
        let said = person
            .refused("send", json!({"instanceId": "mgr_1", "text": text}))
            .await;
        assert!(said.starts_with(why), "{said}");
    }
    let empty = person
        .refused("send", json!({"instanceId": "mgr_1", "text": ""}))
        .await;
    assert_eq!(empty, "`send` was not called: `text` is missing");
}

#[tokio::test]
async fn s14_ten_texts_at_once_arrive_as_ten() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let made = person.spawn(&scene, "manager", json!({})).await;
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..10 {
        let person = person.clone();
        sending.spawn(async move {
            person
                .ok(
                    "send",
                    json!({"instanceId": "mgr_1", "text": format!("text {n}")}),
                )
                .await
        });
    }
    for sent in sending.join_all().await {
        assert_eq!(sent["status"], "delivered");
    }
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "last"}))
        .await;
    person.printed("mgr_1", "got last").await;
    let got = scene.written(&made, "got").await;
    let mut lines: Vec<&str> = got.lines().filter(|line| *line != "last").collect();
    lines.sort_unstable();
    let expected: Vec<String> = (0..10).map(|n| format!("text {n}")).collect();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn s15_ids_of_nobody_are_refused() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    for id in [
        json!(""),
        json!(null),
        json!(7),
        json!("exec/1"),
        json!("exec_9"),
        json!("-x"),
    ] {
        for tool in ["read", "terminate", "restart", "send"] {
            let said = person
                .refused(tool, json!({"instanceId": id, "text": "x"}))
                .await;
            assert!(
                said.contains("instanceId") || said.contains("there is no instance"),
                "{id}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn s16_one_that_has_ended_gets_nothing_and_says_so() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "manager", json!({})).await;
    person.printed("mgr_1", "ready").await;
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "exit 3"}))
        .await;
    let waited = person.ok("wait", json!({"instanceId": "mgr_1"})).await;
    let waited = match waited["instance"]["status"] == "ready" {
        // It is idle until it has read the line.
        true => {
            provost_testkit::wait::wait_for("its end", || async {
                let waited = person.ok("wait", json!({"instanceId": "mgr_1"})).await;
                (waited["instance"]["status"] != "ready").then_some(waited)
            })
            .await
        }
        false => waited,
    };
    assert_eq!(waited["instance"]["status"], "exited");
    assert_eq!(waited["instance"]["exitCode"], 3);
    let said = person
        .refused("send", json!({"instanceId": "mgr_1", "text": "x"}))
        .await;
    assert_eq!(
        said,
        "`mgr_1` is exited, not running; `list` shows the states, `restart` starts what has ended"
    );
    assert_eq!(person.states().await, ["mgr_1 exited"]);
    let read = person.ok("read", json!({"instanceId": "mgr_1"})).await;
    assert_eq!(read["output"], "ready\n");
    assert_eq!(read["reason"], "its program ended with code 3");
    let restarted = person.ok("restart", json!({"instanceId": "mgr_1"})).await;
    assert_eq!(
        restarted,
        json!({"status": "restarted", "instanceId": "mgr_1"})
    );
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "again"}))
        .await;
    person.printed("mgr_1", "got again").await;
    let restarted = person.ok("restart", json!({"instanceId": "mgr_1"})).await;
    assert_eq!(restarted["status"], "already_running");
}

/// What an agent does to its own directory must not lead the next one elsewhere.
#[tokio::test]
async fn one_is_not_started_again_where_its_directory_leads_elsewhere() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let spawned = person.spawn(&scene, "manager", json!({})).await;
    person.printed("mgr_1", "ready").await;
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "exit 0"}))
        .await;
    provost_testkit::wait::wait_for("its end", || async {
        (person.states().await == ["mgr_1 exited"]).then_some(())
    })
    .await;
    let project = spawned["projectPath"].as_str().unwrap();
    std::fs::remove_dir_all(project).unwrap();
    std::os::unix::fs::symlink("/etc", project).unwrap();
    let said = person
        .refused("restart", json!({"instanceId": "mgr_1"}))
        .await;
    assert!(
        said.contains("is not in or below a directory that agents may work in"),
        "{said}"
    );
    assert_eq!(person.states().await, ["mgr_1 exited"]);
}

#[tokio::test]
async fn s17_reading_gives_so_many_lines_and_goes_on_from_a_cursor() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "manager", json!({})).await;
    person.printed("mgr_1", "ready").await;
    for n in 0..20 {
        person
            .ok(
                "send",
                json!({"instanceId": "mgr_1", "text": n.to_string()}),
            )
            .await;
    }
    person.printed("mgr_1", "got 19\n").await;
    let read = person
        .ok("read", json!({"instanceId": "mgr_1", "lines": 5}))
        .await;
    assert_eq!(read["output"], "got 15\ngot 16\ngot 17\ngot 18\ngot 19\n");
    let cursor = &read["cursor"];
    let more = person
        .ok("read", json!({"instanceId": "mgr_1", "cursor": cursor}))
        .await;
    assert_eq!((&more["output"], &more["cursor"]), (&json!(""), cursor));
    // Following goes on as progress until it ends.
    let follower = scene.person().await;
    let (client, cursor) = (follower.0.clone(), cursor.clone());
    let following = tokio::spawn(async move {
        let arguments = json!({"instanceId": "mgr_1", "cursor": cursor, "follow": true});
        let params =
            json!({"name": "read", "arguments": arguments, "_meta": {"progressToken": "t"}});
        client.request("tools/call", params).await
    });
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "new"}))
        .await;
    let said = follower.0.wait_for("notifications/progress").await;
    assert_eq!(said["message"], "got new\n");
    person.ok("terminate", json!({"instanceId": "mgr_1"})).await;
    let answer = following.await.unwrap();
    assert_eq!(
        answer["result"]["structuredContent"]["output"], "got new\n",
        "{answer}"
    );
    let wrong = person.spawn(&scene, "manager", json!({})).await;
    let arguments = json!({"instanceId": wrong["instanceId"], "cursor": "x"});
    let said = words(&person.0.call("read", arguments).await);
    assert_eq!(
        said,
        "`x` is no cursor; give the `cursor` of an answer of `read`, or none"
    );
}

#[tokio::test]
async fn s19_a_branch_ends_with_its_top() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "executive", json!({})).await;
    person
        .spawn(&scene, "manager", json!({"parentId": "exec_1"}))
        .await;
    person
        .spawn(&scene, "specialist", json!({"parentId": "mgr_1_2"}))
        .await;
    person.spawn(&scene, "executive", json!({})).await;
    assert_eq!(
        person.states().await,
        [
            "exec_1 ready",
            "mgr_1_2 ready",
            "spec_1_2_3 ready",
            "exec_4 ready"
        ]
    );
    let of = person.ok("list", json!({"parentId": "exec_1"})).await;
    assert_eq!(of["instances"].as_array().unwrap().len(), 1);
    let ended = person
        .ok(
            "terminate",
            json!({"instanceId": "exec_1", "cascade": true}),
        )
        .await;
    assert_eq!(
        ended["terminated"],
        json!(["spec_1_2_3", "mgr_1_2", "exec_1"])
    );
    assert_eq!(person.states().await, ["exec_4 ready"]);
    let listed = scene.place.json(&["grant", "list", "fleet"]);
    let live = |grant: &&Value| grant["revoked"].is_null();
    let live: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(live)
        .map(|grant| &grant["label"])
        .collect();
    assert_eq!(live, ["alice", "exec_4"], "{listed}");
}

#[tokio::test]
async fn without_cascade_those_below_go_on_under_whoever_is_above() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "manager", json!({})).await;
    let worker = person
        .spawn(
            &scene,
            "specialist",
            json!({"parentId": "mgr_1", "instruction": "work"}),
        )
        .await;
    let ended = person.ok("terminate", json!({"instanceId": "mgr_1"})).await;
    assert_eq!(ended["terminated"], json!(["mgr_1"]));
    let answer = scene
        .call_by(&person, &worker, "report_result", json!({"result": "done"}))
        .await;
    assert_eq!(
        answer["result"]["structuredContent"]["status"], "done",
        "{answer}"
    );
    person
        .ok("terminate", json!({"instanceId": "spec_1_2"}))
        .await;
    assert_eq!(person.states().await.len(), 0);
}

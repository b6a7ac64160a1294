//! Servers, policies, grants, records: the same with a daemon and without.

use crate::place::{POLICY, Place};
use provost_testkit::process::fixture_program;

/// Everything administration does, as one story.
fn tour(place: &Place) -> String {
    let fixture = fixture_program();
    let fixture = fixture.to_str().unwrap();
    let policy = place.file("policy.json", POLICY);
    let looser = place.file("looser.json", &POLICY.replace("\"max\": 3", "\"max\": 30"));
    let token = place.file("token.txt", "Bearer hunter2\n");
    let header = format!("Authorization=@{token}");
    let steps: Vec<Vec<&str>> = vec![
        vec!["server", "list"],
        vec!["server", "add", "files", "--", fixture, "stdio"],
        vec![
            "server",
            "add",
            "files",
            "--url",
            "https://mcp.example.com/mcp",
        ],
        vec![
            "server",
            "add",
            "far",
            "--url",
            "https://mcp.example.com/mcp",
            "--header",
            &header,
        ],
        vec!["server", "show", "far"],
        vec![
            "server",
            "set",
            "far",
            "--url",
            "https://mcp.example.com/other",
        ],
        vec!["server", "set", "far", "--unset", "X-Key"],
        vec!["server", "set", "far", "--unset", "Authorization"],
        vec!["server", "show", "nowhere"],
        vec!["policy", "list"],
        vec!["policy", "put", "files", "small", &policy],
        vec!["policy", "put", "files", "small", &policy],
        vec!["policy", "put", "files", "small", &looser],
        vec!["policy", "put", "nowhere", "small", &policy],
        vec!["policy", "history", "files", "small"],
        vec!["policy", "rollback", "files", "small"],
        vec!["policy", "show", "files", "small"],
        vec!["policy", "show", "files", "small", "9"],
        vec![
            "grant", "mint", "files", "--label", "laptop", "--policy", "small",
        ],
        vec!["grant", "mint", "files", "--label", "laptop"],
        vec![
            "grant",
            "mint",
            "files",
            "--label",
            "bare",
            "--expires",
            "30d",
        ],
        vec![
            "grant",
            "mint",
            "files",
            "--label",
            "watched",
            "--policy",
            "small",
            "--observe",
        ],
        vec!["policy", "delete", "files", "small"],
        vec!["policy", "attach", "bare", "small", "--shadow"],
        vec!["policy", "attach", "bare", "small"],
        vec!["policy", "attach", "bare", "small", "--shadow"],
        vec!["policy", "detach", "bare"],
        vec!["policy", "detach", "bare", "--shadow"],
        vec!["policy", "detach", "bare", "--shadow"],
        vec!["policy", "attach", "nobody", "small"],
        vec!["policy", "list"],
        vec!["grant", "list"],
        vec!["grant", "rotate", "laptop"],
        vec!["grant", "revoke", "laptop"],
        vec!["grant", "revoke", "laptop"],
        vec!["grant", "list", "files", "--all"],
        vec!["server", "list"],
        vec!["server", "remove", "far"],
        vec!["log"],
        vec!["log", "--server", "nowhere"],
        vec!["key", "rotate"],
        vec!["audit", "verify"],
    ];
    steps
        .iter()
        .map(|words| place.story(words) + "\n")
        .collect()
}

#[test]
fn administration_without_a_daemon() {
    insta::assert_snapshot!(tour(&Place::new()));
}

#[tokio::test]
async fn a_daemon_changes_nothing_about_the_answers() {
    let (alone, served) = (Place::new(), Place::new());
    let _up = served.up(&[]).await;
    let (alone, served) = (tour(&alone), tour(&served));
    assert_eq!(alone, served);
}

#[test]
fn json_is_what_scripts_read() {
    let place = Place::new();
    place.furnish();
    let minted = place.json(&[
        "grant",
        "mint",
        "files",
        "--label",
        "ci",
        "--policy",
        "small",
        "--expires",
        "1d",
    ]);
    assert!(minted["token"].as_str().unwrap().starts_with("pv_"));
    assert_eq!(minted["url"], "http://127.0.0.1:7300/mcp/files");
    assert_eq!(minted["grant"]["policy"], "small");
    let revealed = place.json(&["grant", "reveal", "ci"]);
    assert_eq!(revealed["token"], minted["token"]);
    assert_eq!(place.json(&["server", "show", "files"])["grants"], 2);
    assert_eq!(
        place.json(&["policy", "list"])[0]["enforced_on"],
        serde_json::json!(["laptop", "ci"])
    );
    assert_eq!(place.json(&["grant", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(place.json(&["audit", "verify"])["intact"], true);
    let failed = place.run(&["server", "show", "nowhere", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&failed.stderr).unwrap();
    assert_eq!(
        (error["error"]["kind"].as_str(), failed.code),
        (Some("not_found"), 3)
    );
}

#[test]
fn the_chain_is_proved_against_a_head_kept_elsewhere() {
    let place = Place::new();
    place.furnish();
    let head = place.ok(&["audit", "head"]);
    place.ok(&["grant", "revoke", "laptop"]);
    place.ok(&["audit", "verify", "--head", head.trim()]);
    assert_eq!(
        place.run(&["audit", "verify", "--head", "nonsense"]).code,
        2
    );
    let forged = format!("1:{}", "0".repeat(64));
    assert_eq!(place.run(&["audit", "verify", "--head", &forged]).code, 6);
}

#[test]
fn an_export_goes_to_a_file_or_to_stdout() {
    let place = Place::new();
    place.furnish();
    let lines = place.ok(&["audit", "export"]);
    assert!(lines.lines().count() >= 3);
    lines
        .lines()
        .for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap()));
    place.ok(&["audit", "export", "--format", "csv", "--output", "out.csv"]);
    assert_eq!(
        place.run(&["audit", "export", "--output", "out.csv"]).code,
        4
    );
}

#[test]
fn a_restore_says_which_grants_it_brings_back_and_what_is_gone() {
    let place = Place::new();
    place.furnish();
    place.ok(&["grant", "mint", "files", "--label", "ci"]);
    place.ok(&["backup", "all.backup"]);
    let nothing = place.json(&["restore", "all.backup", "--replace"]);
    assert_eq!(nothing["grants_in_force_again"], serde_json::json!([]));
    place.ok(&["grant", "revoke", "laptop"]);
    place.ok(&["grant", "rotate", "ci"]);
    let said = place.ok(&["restore", "all.backup", "--replace"]);
    for line in [
        "grant `laptop` on `files` was revoked after the backup and is in force again",
        "hint: `provost grant revoke laptop --server files`",
        "grant `ci` on `files` got a new token after the backup; its earlier token works again",
        "the journal ends earlier: ",
    ] {
        assert!(said.contains(line), "{said}");
    }
    place.ok(&["grant", "revoke", "laptop"]);
    let restored = place.json(&["restore", "all.backup", "--replace"]);
    assert_eq!(
        restored["grants_in_force_again"],
        serde_json::json!([{ "server": "files", "label": "laptop", "was": "revoked" }])
    );
    assert!(restored["entries_lost"]["entries"].as_u64().unwrap() >= 2);
}

#[test]
fn a_backup_comes_back_elsewhere_and_in_place() {
    let place = Place::new();
    let token = place.furnish();
    place.ok(&["backup", "all.backup", "--with-key"]);
    assert_eq!(place.run(&["backup", "all.backup"]).code, 4);
    place.ok(&["server", "remove", "files"]);
    assert_eq!(place.run(&["restore", "all.backup"]).code, 4);
    let restored = place.json(&["restore", "all.backup", "--replace"]);
    assert!(std::path::Path::new(restored["put_aside"].as_str().unwrap()).is_dir());
    assert_eq!(place.json(&["grant", "reveal", "laptop"])["token"], token);
    place.file("not.backup", "nonsense");
    let refused = place.run(&["restore", "not.backup", "--replace"]);
    assert_eq!(refused.code, 6, "{}", refused.stderr);
    assert_eq!(place.json(&["grant", "reveal", "laptop"])["token"], token);
    assert_eq!(place.run(&["restore", "missing.backup"]).code, 3);
}

#[tokio::test]
async fn usual_other_names_of_commands_work() {
    let place = Place::new();
    place.furnish();
    for words in [
        &["servers", "ls"][..],
        &["grants", "ls"],
        &["grant", "list", "--server", "files"],
        &["grant", "create", "files", "--label", "more"],
        &["grant", "rm", "more"],
        &["server", "get", "files"],
        &["logs"],
        &["server", "rm", "files"],
    ] {
        place.ok(words);
    }
    // A token is never shown by accident.
    assert_eq!(place.run(&["grant", "show", "laptop"]).code, 2);
}

#[tokio::test]
async fn who_comes_without_a_grant_that_works_is_counted_where_people_look() {
    let place = Place::new();
    let token = place.furnish();
    let up = place.up(&[]).await;
    place.ok(&["grant", "revoke", "laptop"]);
    let agent =
        provost_testkit::client::Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    let reply = agent.as_http().post_raw("{}").await.unwrap();
    assert_eq!(reply.status, 401);
    let status = place.ok(&["status"]);
    assert!(
        status.contains("refused  1 request without a valid token since the daemon started"),
        "{status}"
    );
}

#[test]
fn exports_can_be_of_a_part() {
    let place = Place::new();
    place.furnish();
    let lines = |words: &[&str]| {
        place
            .ok(&[&["audit", "export"][..], words].concat())
            .lines()
            .count()
    };
    let all = lines(&[]);
    assert!(all > 3);
    assert_eq!(lines(&["--since", "1h"]), all);
    assert_eq!(lines(&["--since", "2999-01-01"]), 0);
    // Changes belong to no single call.
    assert_eq!(lines(&["--server", "files"]), 0);
    let head = place.file("head.json", &place.ok(&["audit", "head", "--json"]));
    place.ok(&["audit", "verify", "--head", &format!("@{head}")]);
    assert_eq!(
        place.run(&["audit", "verify", "--head", "@nowhere"]).code,
        5
    );
}

/// What may be evidence is not changed by looking at it.
#[test]
fn looking_leaves_the_journal_as_it_is() {
    let place = Place::new();
    place.furnish();
    let segment = place.data().join("journal/00000001.log");
    let before = std::fs::read(&segment).unwrap();
    for words in [
        &["audit", "verify"][..],
        &["audit", "head"],
        &["audit", "export"],
        &["log"],
        &["server", "list"],
        &["policy", "history", "files", "small"],
        &["grant", "list"],
        &["doctor"],
    ] {
        place.ok(words);
        assert!(std::fs::read(&segment).unwrap() == before, "{words:?}");
    }
    place.ok(&["grant", "reveal", "laptop"]);
    assert!(std::fs::read(&segment).unwrap() != before);
    place.ok(&["audit", "verify"]);
}

#[test]
fn a_mistyped_grant_is_an_error_and_a_revoked_one_says_when() {
    let place = Place::new();
    place.furnish();
    for words in [["log", "--grant", "laptpo"], ["log", "--server", "flies"]] {
        let refused = place.run(&words);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("and no record of one"),
            "{}",
            refused.stderr
        );
        let meant = ["did you mean `laptop`?", "did you mean `files`?"];
        assert!(
            meant.iter().any(|hint| refused.stderr.contains(hint)),
            "{}",
            refused.stderr
        );
    }
    let refused = place.run(&["grant", "revoke", "laptpo"]);
    assert!(
        refused.stderr.contains("did you mean `laptop`?"),
        "{}",
        refused.stderr
    );
    place.ok(&["grant", "revoke", "laptop"]);
    for what in ["revoke", "reveal", "rotate"] {
        let refused = place.run(&["grant", what, "laptop"]);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        let said = "grant `laptop` on `files` was revoked at 2";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    // Its records, if there are any, can still be asked for.
    place.ok(&["log", "--grant", "laptop"]);
}

#[test]
fn a_grant_may_observe_without_a_policy_and_a_removed_server_says_what_went() {
    let place = Place::new();
    place.furnish();
    for label in ["watch", "again"] {
        let words = ["grant", "mint", "files", "--label", label, "--observe"];
        let minted = place.json(&words);
        assert_eq!(minted["grant"]["shadow"], "observe-all");
        assert_eq!(minted["grant"]["policy"], serde_json::Value::Null);
    }
    assert_eq!(
        place.json(&["policy", "show", "files", "observe-all"])["version"],
        1
    );
    let removed = place.ok(&["server", "remove", "files"]);
    assert_eq!(
        removed,
        "server `files` removed, 3 grants revoked: laptop, watch, again\n\
         2 policies deleted: observe-all, small (their texts are only in backups now)\n"
    );
}

#[test]
fn a_database_that_is_gone_is_one_place_of_damage() {
    let place = Place::new();
    place.furnish();
    for file in ["provost.db", "provost.db-wal", "provost.db-shm"] {
        drop(std::fs::remove_file(place.data().join(file)));
    }
    let ran = place.run(&["audit", "verify", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let damage = found["damage"].as_array().unwrap();
    let lines = damage.iter().map(|line| line.as_str().unwrap());
    let of_database: Vec<_> = lines.filter(|line| line.contains("provost.db")).collect();
    assert_eq!(of_database.len(), 1, "{}", ran.stdout);
    assert!(
        of_database[0].contains("was removed, emptied or replaced"),
        "{}",
        ran.stdout
    );
    assert_eq!(damage.len(), 1, "{}", ran.stdout);
}

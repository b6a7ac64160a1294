//! The policies that are shown to people fit the real servers that they are for.

use std::collections::BTreeSet;

use provost_testkit::client::Client;
use provost_testkit::process::root;
use provost_testkit::real;
use serde_json::{Value, json};

use super::world::World;

/// Every example, and the real server it is for. The others are for servers that somebody may have.
const EXAMPLES: [(&str, Option<&str>); 12] = [
    ("approvals", None),
    ("distribute-work", None),
    ("execute-parallel", None),
    ("fetch-allowlist", Some("fetch")),
    ("filesystem-read-only", Some("filesystem")),
    ("filesystem-sandbox", Some("filesystem")),
    ("git-review", Some("git")),
    ("native-tools", Some("native")),
    ("payments", None),
    ("shell", None),
    ("spawn", None),
    ("spend", None),
];

fn example(name: &str) -> String {
    let file = root().join("examples/policies").join(name);
    std::fs::read_to_string(file.with_extension("json")).unwrap()
}

/// The first policy of a page.
fn policy_of(page: &str) -> String {
    let page = std::fs::read_to_string(root().join(page)).unwrap();
    let blocks = page.split("```json\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let policy = blocks.find(|block| block.contains("\"version\": \"1\""));
    policy.expect("the page has a policy").to_owned()
}

/// What a server really answers to `tools/list`.
async fn real_list(name: &str) -> Value {
    let server = real::server(name);
    let client = Client::stdio(&server.start);
    client.connect().await;
    let answer = client.request("tools/list", json!({})).await;
    assert!(answer["result"]["tools"].is_array(), "{answer}");
    answer
}

/// `policy check --strict` with what the server offers: exit code and output.
fn check(world: &World, policy: &str, offer: &[&str]) -> (i32, String) {
    let file = world.write("checked.json", policy);
    let arguments = ["policy", "check", "--strict", file.to_str().unwrap()];
    let output = world.run(&[&arguments, offer].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), format!("{said}{failed}"))
}

#[test]
fn every_example_says_which_server_it_is_for() {
    let folder = std::fs::read_dir(root().join("examples/policies")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let names = files.filter_map(|file| {
        let name = file.file_name()?.to_str()?.strip_suffix(".json")?;
        Some(name.to_owned())
    });
    let known = EXAMPLES.map(|(name, _)| name.to_owned());
    assert_eq!(BTreeSet::from_iter(names), BTreeSet::from(known));
}

#[tokio::test]
async fn d43_examples_fit_the_real_servers_they_are_for() {
    for (name, server) in EXAMPLES {
        let world = World::new();
        let Some(server) = server else { continue };
        if server == "native" {
            let (code, said) = check(&world, &example(name), &["--server", server]);
            assert_eq!(code, 0, "{name}: {said}");
            continue;
        }
        let list = real_list(server).await;
        let list = world.write("tools.json", &list.to_string());
        let offer = ["--tools", list.to_str().unwrap()];
        let (code, said) = check(&world, &example(name), &offer);
        assert_eq!(code, 0, "{name}: {said}");
        // A registered server is asked instead.
        let server = real::server(server);
        world.add_program("asked", &server.start);
        let (code, said) = check(&world, &example(name), &["--server", "asked"]);
        assert_eq!(code, 0, "{name}: {said}");
    }
}

#[tokio::test]
async fn d43_what_a_server_does_not_have_is_named() {
    let world = World::new();
    let list = real_list("git").await;
    let list = world.write("tools.json", &list.to_string());
    let policy = example("git-review").replace("args.branch_name", "args.branch");
    let policy = policy.replace("\"git_log\"", "\"git_blame\"");
    let (code, said) = check(&world, &policy, &["--tools", list.to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    for wanted in [
        "the server has no tool `git_blame`",
        "`git_checkout` of the server has no argument `args.branch`",
        "`args` has `branch_name` and `repo_path`",
        " at /tools/git_checkout/require/0/conditions/0/path",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let server = real::server("git");
    world.add_program("asked", &server.start);
    let (code, said) = check(&world, &policy, &["--server", "asked"]);
    assert_eq!(code, 1, "{said}");
    for wanted in [
        "the server has no tool `git_blame`",
        "`git_checkout` of the server has no argument `args.branch`",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let (code, said) = check(&world, &policy, &["--server", "nowhere"]);
    assert_eq!(code, 3, "{said}");
}

/// The filesystem server asks for the roots as soon as it is open.
#[tokio::test]
async fn d49_a_server_that_asks_for_the_roots_is_not_refused() {
    let policies = [
        policy_of("README.md"),
        example("filesystem-sandbox"),
        include_str!("../../../../demo/src/files.json").replace("ROOT", "/srv/work"),
    ];
    for policy in policies {
        let mut world = World::new();
        world.up();
        let server = real::server("filesystem");
        world.add_program("files", &server.start);
        let token = world.grant("files", &policy);
        // Over stdio the question has a way from the first moment on.
        let bridge = world.start(&["connect", "files"]);
        let agent = Client::stdio(&bridge.env("PROVOST_GRANT", token));
        agent.connect().await;
        agent.wait_for("roots/list").await;
        assert!(agent.tools().await.contains(&"read_text_file".to_owned()));
        let log = world.run(&["log", "--json"]);
        let log = String::from_utf8(log.stdout).unwrap();
        let records = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let records: Vec<Value> = records.collect();
        let refused = records
            .iter()
            .filter(|record| record["decision"] != "allow");
        assert_eq!(refused.count(), 0, "{log}");
        let asked = |record: &&Value| record["method"] == "roots/list";
        assert_eq!(records.iter().filter(asked).count(), 1, "{log}");
    }
}

//! The demonstration, with the built-in server and, where it is installed, a real one.

use crate::place::Place;
use provost_testkit::process::root;

/// What the report must show, in this order.
const STORY: [&str; 12] = [
    "allowed read_text_file README.md",
    "refused read_text_file /etc/passwd only files of the project can be read",
    "refused write_file notes/today.md, a password no secrets in notes",
    "refused move_file README.md files stay where they are /tools/move_file/action",
    "refused edit_file, which is hidden",
    "allowed spawn, 10 times",
    "refused spawn, the 11th call retryAfterMs",
    "refused distributeWork, the 11th call retryAfterMs",
    "refused executeParallel, the 11th call retryAfterMs",
    "killed the daemon, with SIGKILL",
    "refused spawn: the counters are still there retryAfterMs",
    "intact:",
];

fn shows_everything(report: &str) {
    let report: String = report.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = report.as_str();
    for line in STORY {
        let (_, after) = rest
            .split_once(line)
            .unwrap_or_else(|| panic!("`{line}` is missing in {report}"));
        rest = after;
    }
    assert!(rest.contains("run --policy policy.json --"), "{rest}");
}

#[test]
fn the_demonstration_runs_on_its_own_server() {
    let place = Place::new();
    // Nothing from npm in sight.
    let demo = place
        .command(&["demo"])
        .env("PATH", "/usr/bin:/bin")
        .output();
    let report = String::from_utf8(demo.unwrap().stdout).unwrap();
    shows_everything(&report);
    assert!(!report.contains('\u{1b}') && report.contains("provost sample-server"));
    // Nothing of the user's was touched, and nothing is left.
    assert!(!place.data().exists() && !place.config().exists());
    let scratch = report
        .lines()
        .find_map(|line| line.split_once("for real, in "))
        .unwrap()
        .1;
    assert!(!std::path::Path::new(scratch).exists());
}

#[test]
fn the_demonstration_runs_on_a_real_server() {
    provost_testkit::real::require();
    let place = Place::new();
    let npm = root().join(".tools/npm");
    let report = place.ok(&["demo", "--npm", npm.to_str().unwrap()]);
    shows_everything(&report);
    assert!(report.contains("secure-filesystem-server"));
}

#[test]
fn scripts_get_the_steps() {
    let steps = Place::new().json(&["demo"]);
    let refused = steps
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["kind"] == "refused");
    assert!(refused.count() >= 10);
}

#[test]
fn d50_the_server_from_npm_is_taken_where_npx_has_put_it() {
    provost_testkit::real::require();
    let place = Place::new();
    let cache = place.path().join(".npm/_npx/0a1b");
    std::fs::create_dir_all(&cache).unwrap();
    std::os::unix::fs::symlink(
        root().join(".tools/npm/node_modules"),
        cache.join("node_modules"),
    )
    .unwrap();
    assert!(place.ok(&["demo"]).contains("secure-filesystem-server"));
}

#[test]
fn d50_a_folder_without_the_server_is_an_error_that_says_so() {
    let place = Place::new();
    for (folder, why) in [("nowhere", "no such folder"), (".", "no `node_modules`")] {
        let ran = place.run(&["demo", "--npm", folder]);
        assert_eq!(ran.code, 3);
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains("npm install"),
            "{}",
            ran.stderr
        );
    }
}

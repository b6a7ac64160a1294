//! Help, usage errors, completions.

use crate::place::Place;

/// Every command there is below these words, as the help lists them.
fn commands(place: &Place, words: &[String]) -> Vec<Vec<String>> {
    let mut asked: Vec<&str> = words.iter().map(String::as_str).collect();
    asked.push("-h");
    let help = place.ok(&asked);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut all = Vec::new();
    for line in listed.take_while(|line| line.starts_with("  ")) {
        let Some(name) = line.split_whitespace().next() else {
            continue;
        };
        if line.starts_with("   ") || name == "help" {
            continue;
        }
        let below = [words, &[name.to_owned()]].concat();
        all.extend(commands(place, &below));
        all.push(below);
    }
    all
}

#[test]
fn the_short_help_names_every_command() {
    let place = Place::new();
    insta::assert_snapshot!(place.story(&["-h"]));
}

#[test]
fn every_command_has_help_and_takes_the_global_options() {
    let place = Place::new();
    let all = commands(&place, &[]);
    assert!(all.len() > 40, "{all:?}");
    for command in all {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        words.push("--help");
        let help = place.ok(&words);
        for option in ["--data", "--config-dir", "--json", "--color"] {
            assert!(
                help.contains(option),
                "provost {command:?} --help does not name {option}"
            );
        }
        assert!(
            !help.contains("fortnight") && help.lines().count() > 5,
            "{help}"
        );
    }
}

#[test]
fn without_a_command_the_help_is_shown_and_the_exit_code_is_2() {
    let ran = Place::new().run(&[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("Usage: provost"), "{}", ran.stderr);
}

#[test]
fn unknown_commands_and_flags_are_usage_errors_with_a_tip() {
    let place = Place::new();
    insta::assert_snapshot!(place.story(&["policy", "lint", "policy.json"]));
    insta::assert_snapshot!(place.story(&["polcy", "list"]));
    insta::assert_snapshot!(place.story(&["up", "--lisen", "x"]));
    insta::assert_snapshot!(place.story(&["--json", "grant", "mint"]));
}

#[test]
fn completions_are_there_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&["completions", shell]);
        assert!(
            script.contains("provost") && script.contains("rollback"),
            "{shell}"
        );
    }
}

#[test]
fn d51_hidden_commands_are_not_offered() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&["completions", shell]);
        for hidden in ["sample-server", "The daemon that"] {
            assert!(!script.contains(hidden), "{shell} offers {hidden}");
        }
    }
}

#[tokio::test]
async fn d51_names_of_servers_and_grants_are_completed() {
    let place = Place::new();
    let completed = |words: &[&str]| {
        let script = place.file("provost.bash", &place.ok(&["completions", "bash"]));
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let ask = format!(
            "source {script}; COMP_WORDS=(provost {}); COMP_CWORD={}; _provost_with_names provost \"${{COMP_WORDS[COMP_CWORD]}}\" ''; echo \"${{COMPREPLY[*]}}\"",
            words.join(" "),
            words.len()
        );
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_provost"));
        let path = std::env::var("PATH").unwrap();
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &ask]).env("PROVOST_DATA", place.data());
        shell.env("PROVOST_CONFIG", place.config());
        shell.env(
            "PATH",
            format!("{}:{path}", binary.parent().unwrap().display()),
        );
        let output = shell.output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    // What is asked for a completion makes nothing.
    assert!(!completed(&["server", "test", ""]).contains("files"));
    assert!(!place.data().exists());
    place.furnish();
    place.ok(&["server", "add", "far", "--url", "http://127.0.0.1:9/mcp"]);
    place.ok(&["grant", "mint", "far", "--label", "$(touch x)"]);
    assert_eq!(completed(&["server", "test", ""]), "far files");
    assert_eq!(completed(&["server", "test", "fi"]), "files");
    assert_eq!(completed(&["log", "--grant", ""]), "laptop");
    let _up = place.up(&[]).await;
    assert_eq!(completed(&["grant", "mint", "fa"]), "far");
    assert_eq!(completed(&["gra"]), "grant");
}

#[test]
fn d51_a_forgotten_separator_gets_advice() {
    let place = Place::new();
    let words = [
        "run",
        "--policy",
        "policy.json",
        "npx",
        "-y",
        "server-files",
    ];
    insta::assert_snapshot!(place.story(&words));
    let ran = place.run(&["server", "add", "files", "npx", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(ran.code, 2);
    assert_eq!(
        error["error"]["hint"],
        "the command of the server comes after `--`: `provost server add files -- npx --json`"
    );
}

#[test]
fn nothing_is_coloured_unless_asked_for() {
    let place = Place::new();
    let coloured = |words: &[&str], variable: Option<&str>| {
        let mut command = place.command(words);
        variable.map(|name| command.env(name, "1"));
        let output = command.output().unwrap();
        output.stderr.contains(&0x1b) || output.stdout.contains(&0x1b)
    };
    let words = ["policy", "check", "missing.json"];
    assert!(!coloured(&words, None));
    assert!(coloured(&words, Some("CLICOLOR_FORCE")));
    assert!(coloured(
        &[&words[..], &["--color", "always"]].concat(),
        Some("NO_COLOR")
    ));
    assert!(!coloured(
        &[&words[..], &["--color", "never"]].concat(),
        Some("CLICOLOR_FORCE")
    ));
}

#[test]
fn options_of_every_command_are_a_line_on_the_pages_below_the_first() {
    let place = Place::new();
    let line = "Global options: --data, --config-dir, --json, --color, -v; see `provost help`";
    for words in [["log", "--help"], ["log", "-h"], ["help", "log"]] {
        let help = place.ok(&words);
        assert!(help.trim_end().ends_with(line), "{help}");
        assert!(!help.contains("Data directory"), "{help}");
    }
    let deep = place.ok(&["grant", "mint", "-h"]);
    assert_eq!(deep.matches(line).count(), 1, "{deep}");
    assert!(place.ok(&["help"]).contains("Data directory"));
    place.ok(&["server", "list", "--json"]);
    place.ok(&["--json", "server", "list"]);
}

use super::*;

fn native() -> Native {
    Native::guarding(
        vec![PathBuf::from("/home/me/.local/share/provost")],
        Some(Path::new("/home/me")),
    )
}

#[test]
fn programs_that_lead_past_the_gateway_are_not_started() {
    for command in [
        "provost grant mint files",
        "cd /tmp && tmux kill-server",
        "FOO=1 /usr/local/bin/provost stop",
        "sudo -u me provost stop",
        "echo hi | xargs claude -p",
        "timeout 5 gemini -p x",
        "bash -c 'provost stop'",
        "echo $(codex exec x)",
        "true; \"provost\" stop",
        "bash -lc 'provost stop'",
        "if true; then provost stop; fi",
        "! provost stop",
        "npx claude",
        "echo x >x provost; >y provost stop",
        "(provost stop)",
        "true\nprovost stop",
    ] {
        assert!(native().forbids(command).is_some(), "{command}");
    }
    for command in [
        "git commit -m 'fix claude and tmux'",
        "cat docs/provost.md",
        "grep -r provost .",
        "cargo build --bin provost",
        "npm install gemini",
        "cd src/gemini && git add docs/claude",
        "git commit -m \"fix (claude)\"",
        "ls ~/.config/tmux",
    ] {
        assert_eq!(native().forbids(command), None, "{command}");
    }
}

#[test]
fn directories_of_provost_are_not_touched() {
    let refused =
        "`/home/me/.local/share/provost` is Provost's own, and no policy opens it to an agent";
    for path in [
        "/home/me/.local/share/provost",
        "/home/me/.local/share/provost/provost.db",
        "/home/me/work/../.local//share/./provost/admin.sock",
    ] {
        assert_eq!(
            native().guards(path, false).as_deref(),
            Some(refused),
            "{path}"
        );
    }
    assert_eq!(
        native().guards("/home/me/.local/share/provost-notes", false),
        None
    );
    for command in [
        "cat /home/me/.local/share/provost/id",
        "cat ~/.local/share//provost/./id",
        "cat $HOME/.local/share/provost",
    ] {
        assert_eq!(
            native().forbids(command).as_deref(),
            Some(refused),
            "{command}"
        );
    }
    assert_eq!(
        native().forbids("cat /home/me/.local/share/provost-notes/a"),
        None
    );
    assert_eq!(native().guards("/home/me", true).as_deref(), Some(refused));
    assert_eq!(native().guards("/home/me", false), None);
    assert_eq!(
        native().guards("work/a", false).as_deref(),
        Some("the path has to be absolute")
    );
}

/// A link, and `/proc`, lead where they lead.
#[test]
fn links_into_directories_of_provost_are_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let own = scratch.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink(&own, scratch.path().join("link")).unwrap();
    let native = Native::guarding(vec![own.clone()], None);
    for path in [
        format!("{}/link/new/file", scratch.path().display()),
        format!("/proc/self/root{}/file", own.display()),
    ] {
        assert!(native.guards(&path, false).is_some(), "{path}");
    }
    let named = Native::guarding(vec![scratch.path().join("link")], None);
    assert!(
        named
            .guards(&own.join("file").to_string_lossy(), false)
            .is_some()
    );
}

/// Each `~` stands for a whole directory.
#[test]
fn a_command_that_no_shell_takes_is_not_looked_at() {
    let refused = native().forbids(&"~".repeat(LONGEST_COMMAND + 1));
    assert_eq!(
        refused.as_deref(),
        Some("a command has at most 131072 bytes")
    );
    assert_eq!(native().forbids(&"~".repeat(LONGEST_COMMAND)), None);
}

use super::*;

fn native() -> Native {
    Native::guarding(vec![PathBuf::from("/home/me/.local/share/provost")])
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
        "ls -l ~/bin/claude",
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
        assert_eq!(native().guards(path).as_deref(), Some(refused), "{path}");
    }
    assert_eq!(native().guards("/home/me/.local/share/provost-notes"), None);
    assert_eq!(
        native()
            .forbids("cat /home/me/.local/share/provost/id")
            .as_deref(),
        Some(refused)
    );
}

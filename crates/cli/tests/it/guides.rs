//! The commands of the guides are true: they run as they stand, in a scratch home, and print what the page shows.
//!
//! In a `console` block a line `$ …` is a command, `> …` goes on with it, and what follows is its output; `…` stands
//! for anything, on a line of its own for any number of lines. A command without output shown must only succeed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use provost_testkit::process::root;
use regex::Regex;
use rustix::process::{Pid, Signal, kill_process_group};

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn getting_started_is_true() {
    run("docs/guides/getting-started.md");
}

#[test]
fn a_first_policy_is_true() {
    run("docs/guides/first-policy.md");
}

#[test]
fn operating_is_true() {
    run("docs/guides/operating.md");
}

#[test]
fn evidence_is_true() {
    run("docs/guides/evidence.md");
}

#[test]
fn native_tools_is_true() {
    run("docs/guides/native-tools.md");
}

#[test]
fn fleet_is_true() {
    run("docs/guides/fleet.md");
}

#[expect(clippy::print_stdout, reason = "a test that cannot run here says so")]
fn run(page: &str) {
    if !cfg!(target_os = "linux") {
        return println!("not run: the page names the directories of Linux");
    }
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let scratch = tempfile::TempDir::with_prefix("pv").unwrap();
    let mut shell = Shell::start(scratch.path());
    let steps = steps(&text);
    assert!(
        steps.len() > 5,
        "{page}: only {} commands were found",
        steps.len()
    );
    for step in &steps {
        let (code, output) = shell.run(&step.command);
        let place = format!("{page}, line {}: {}", step.line, step.command);
        assert_eq!(code, 0, "{place}\n{output}");
        if !step.expected.is_empty() {
            let pattern = pattern(&step.expected);
            assert!(
                pattern.is_match(&output),
                "{place}\nexpected:\n{}\ngot:\n{output}",
                step.expected.join("\n")
            );
        }
    }
}

/// One command of a page.
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            inside = info == "console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            let (line, command) = (index + 1, command.to_owned());
            steps.push(Step {
                line,
                command,
                expected: Vec::new(),
            });
        } else {
            let step = steps.last_mut().expect("a block begins with a command");
            match line.strip_prefix('>') {
                Some(more) => {
                    step.command.push('\n');
                    step.command
                        .push_str(more.strip_prefix(' ').unwrap_or(more));
                }
                None => step.expected.push(line.to_owned()),
            }
        }
    }
    steps
}

fn pattern(expected: &[String]) -> Regex {
    let mut pattern = String::from("^");
    for line in expected {
        if line == "…" {
            pattern.push_str(r"(?:[^\n]*\n)*");
        } else {
            let parts: Vec<_> = line.split('…').map(regex::escape).collect();
            pattern.push_str(&parts.join(r"[^\n]*"));
            pattern.push_str(r"\n");
        }
    }
    pattern.push('$');
    Regex::new(&pattern).unwrap()
}

/// A shell with a home of its own, and everything that was started in it.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    /// What the page calls 7300.
    address: Option<String>,
    /// The socket of the fleet's tmux, if the page has one.
    terminals: PathBuf,
}

/// Ends the output of a command.
const MARK: &str = "@@ done";

// === impl Shell ===

impl Shell {
    fn start(scratch: &Path) -> Self {
        let (home, programs) = (scratch.join("home"), scratch.join("bin"));
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_provost"), programs.join("provost")).unwrap();
        npx(&programs.join("npx"));
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .env_clear()
            .env("PATH", path)
            .env("HOME", &home)
            .env("TZ", "UTC")
            // Any free port; the page's 7300 is replaced by it.
            .env("PROVOST_LISTEN", "127.0.0.1:0")
            .current_dir(&home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "exec 2>&1").unwrap();
        Self {
            child,
            input,
            output,
            address: None,
            terminals: home.join(".local/share/provost/fleet/tmux"),
        }
    }

    /// Exit code and output of a command.
    fn run(&mut self, command: &str) -> (i32, String) {
        if command.starts_with("provost up") {
            return self.up(command);
        }
        let command = match &self.address {
            Some(address) => command.replace("127.0.0.1:7300", address),
            None => command.to_owned(),
        };
        writeln!(self.input, "{command}\necho \"{MARK} $?\"").unwrap();
        let mut text = String::new();
        loop {
            let line = self.output.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("`{command}` did not end; so far:\n{text}"));
            // Output may lack its last line break.
            if let Some((before, code)) = line.split_once(MARK) {
                if !before.is_empty() {
                    text.push_str(before);
                    text.push('\n');
                }
                if let Some(address) = &self.address {
                    text = text.replace(address, "127.0.0.1:7300");
                }
                return (code.trim().parse().unwrap(), text);
            }
            text.push_str(&line);
            text.push('\n');
        }
    }

    /// What the page does in a terminal of its own happens in the background here.
    fn up(&mut self, command: &str) -> (i32, String) {
        let wait = "until grep -q '^ready' ~/.up; do kill -0 $! || break; sleep 0.05; done; cat ~/.up; kill -0 $!";
        let (code, text) = self.run(&format!("{{ {command}; }} > ~/.up 2>&1 &\n{wait}"));
        let address = Regex::new(r"127\.0\.0\.1:\d+").unwrap();
        self.address = address.find(&text).map(|found| found.as_str().to_owned());
        (code, text)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // Gone already is as good as gone now.
            let _ = kill_process_group(group, Signal::KILL);
        }
        drop(self.child.wait());
        // Agents of the fleet outlive the daemon.
        let mut tmux = Command::new("tmux");
        let end = tmux.arg("-S").arg(&self.terminals).arg("kill-server");
        drop(end.output());
    }
}

/// `npx -y @modelcontextprotocol/server-NAME …` without the network: what `scripts/setup` installed.
fn npx(path: &Path) {
    let installed = root().join(".tools/npm/node_modules/.bin");
    assert!(
        installed.is_dir(),
        "the real servers are not installed; run `scripts/setup` (`make test` does it)"
    );
    let script = format!(
        "#!/bin/sh\nshift\nname=${{1#@modelcontextprotocol/}}\nshift\nexec {}/mcp-\"$name\" \"$@\"\n",
        installed.display()
    );
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

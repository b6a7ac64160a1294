//! A scratch installation, and commands run on it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use provost_testkit::process::{Start, fixture_program, root};
use provost_testkit::wait_until;
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

/// A data directory, a configuration directory and a home of their own.
pub(crate) struct Place {
    scratch: TempDir,
}

/// What a command came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A daemon that is killed when it is dropped.
pub(crate) struct Up {
    pub(crate) child: Child,
    pub(crate) url: String,
    log: PathBuf,
}

// === impl Place ===

impl Place {
    pub(crate) fn new() -> Self {
        Place {
            scratch: TempDir::with_prefix("pv").unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A command with nothing of the test's environment but PATH.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("TZ", "UTC");
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// A command on this installation.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare();
        command
            .env("PROVOST_DATA", self.data())
            .env("PROVOST_CONFIG", self.config())
            .args(words);
        command
    }

    /// The same for a client of the test kit.
    pub(crate) fn start(&self, words: &[&str]) -> Start {
        let mut start = Start::program(env!("CARGO_BIN_EXE_provost"));
        start = start
            .args(words.iter().copied())
            .env("PROVOST_DATA", self.data().to_str().unwrap());
        start = start.env("PROVOST_CONFIG", self.config().to_str().unwrap());
        start.cwd = Some(self.path().to_owned());
        start
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().unwrap().into()
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(
            ran.code,
            0,
            "provost {}: {}{}",
            words.join(" "),
            ran.stdout,
            ran.stderr
        );
        ran.stdout
    }

    /// Runs a command that must succeed, with `--json`.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Command, exit code and output as one text, with what differs between runs replaced.
    pub(crate) fn story(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        self.tell(words, &ran)
    }

    pub(crate) fn tell(&self, words: &[&str], ran: &Ran) -> String {
        let mut story = format!("$ provost {}\n", words.join(" "));
        story.push_str(&ran.stdout);
        if !ran.stderr.is_empty() {
            write!(story, "--- stderr\n{}", ran.stderr).unwrap();
        }
        if ran.code != 0 {
            writeln!(story, "--- exit {}", ran.code).unwrap();
        }
        self.normal(&story)
    }

    /// Replaces paths, ids, tokens, times, ports and process ids.
    pub(crate) fn normal(&self, text: &str) -> String {
        let scratch = std::fs::canonicalize(self.path()).unwrap();
        let mut text = text
            .replace(self.path().to_str().unwrap(), "[SCRATCH]")
            .replace(scratch.to_str().unwrap(), "[SCRATCH]");
        text = text
            .replace(fixture_program().to_str().unwrap(), "[FIXTURE]")
            .replace(root().to_str().unwrap(), "[CHECKOUT]");
        for (pattern, name) in [
            (r"pv_[A-Za-z0-9_-]+", "[TOKEN]"),
            (r"\b[gs]-[0-9a-f]{16}\b", "[ID]"),
            (r"\b\d+:[0-9a-f]{64}\b", "[HEAD]"),
            (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "[TIME]"),
            (r"127\.0\.0\.1:\d+", "[ADDRESS]"),
            (r"\bkey-[0-9a-f]{16}\b", "[KEY]"),
            (r"\boffset \d+", "offset [N]"),
            (r"\b\d+ entries\b", "[N] entries"),
            (r"\bprocess \d+", "process [PID]"),
            (r"\b\d+ ms\b", "[MS] ms"),
            (r"\b1\d{15}\b", "[MICROS]"),
        ] {
            text = Regex::new(pattern)
                .unwrap()
                .replace_all(&text, name)
                .into_owned();
        }
        text
    }

    /// Registers the fixture as server `files`, a policy that allows `echo` and `add`, and a grant;
    /// returns the grant's token.
    pub(crate) fn furnish(&self) -> String {
        let fixture = fixture_program();
        self.ok(&[
            "server",
            "add",
            "files",
            "--",
            fixture.to_str().unwrap(),
            "stdio",
        ]);
        let policy = self.file("policy.json", POLICY);
        self.ok(&["policy", "put", "files", "small", &policy]);
        let minted = self.json(&[
            "grant", "mint", "files", "--label", "laptop", "--policy", "small",
        ]);
        minted["token"].as_str().unwrap().to_owned()
    }

    /// Starts `provost up` on any free port and waits until it is ready.
    pub(crate) async fn up(&self, words: &[&str]) -> Up {
        let log = self.path().join(format!("up-{}.log", words.len()));
        let mut command = self.command(&[&["up", "--listen", "127.0.0.1:0"], words].concat());
        let child = command
            .stderr(std::fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut up = Up {
            child,
            url: String::new(),
            log,
        };
        wait_until("the daemon is ready", || {
            let exited = up.child.try_wait().unwrap();
            assert!(exited.is_none(), "the daemon ended: {}", up.log());
            up.log().lines().any(|line| line == "ready")
        })
        .await;
        let url = Regex::new(r"https?://[0-9.:]+").unwrap();
        up.url = url.find(&up.log()).unwrap().as_str().to_owned();
        up
    }

    /// The process id of the daemon that runs here.
    pub(crate) fn daemon_pid(&self) -> Option<u32> {
        let ran = self.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&ran.stdout).ok()?;
        u32::try_from(status["pid"].as_u64()?).ok()
    }
}

/// Allows `echo`, and `add` three times a minute; hides `fail`.
pub(crate) const POLICY: &str = r#"{
  "version": "1",
  "default": "deny",
  "hide": ["fail"],
  "tools": {
    "echo": {},
    "add": { "limits": [{ "counter": "adds", "window": "minute", "max": 3 }] }
  }
}
"#;

// === impl Ran ===

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

// === impl Up ===

impl Up {
    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for its end and returns the exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the daemon ends", || match self.child.try_wait().unwrap() {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        })
        .await;
        code
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to a process.
pub(crate) fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process is there and not a zombie. As long as other threads of a zombie are
/// still ending, its sockets are open, and what is sent to it is neither taken nor refused.
pub(crate) fn lives(pid: u32) -> bool {
    let out = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    !state.is_empty() && (!state.starts_with('Z') || threads > 1)
}

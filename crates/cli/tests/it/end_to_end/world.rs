//! A scratch home with the shipped binary in it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use provost_testkit::client::Client;
use provost_testkit::process::Start;
use serde_json::Value;
use tempfile::TempDir;

/// Data, configuration and home of their own, and a daemon when one was started.
pub(super) struct World {
    home: TempDir,
    daemon: Option<Daemon>,
}

struct Daemon {
    child: Child,
    url: String,
}

impl World {
    pub(super) fn new() -> World {
        let home = tempfile::tempdir().unwrap();
        World { home, daemon: None }
    }

    pub(super) fn path(&self) -> &Path {
        self.home.path()
    }

    /// The binary with this world's directories, and nothing of the test's own.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.path())
            .env("PROVOST_DATA", self.path().join("data"))
            .env("PROVOST_CONFIG", self.path().join("config"));
        command
    }

    /// The same as something to start over stdio.
    pub(super) fn start(&self, args: &[&str]) -> Start {
        let base = Start::program(env!("CARGO_BIN_EXE_provost")).args(args.iter().copied());
        base.env("HOME", self.text(""))
            .env("PROVOST_DATA", self.text("data"))
            .env("PROVOST_CONFIG", self.text("config"))
    }

    fn text(&self, below: &str) -> String {
        self.path().join(below).to_str().unwrap().to_owned()
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a command that must succeed, and reads what it prints with `--json`.
    pub(super) fn json(&self, args: &[&str]) -> Value {
        let output = self.command().arg("--json").args(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Starts the daemon and waits until it is ready.
    pub(super) fn up(&mut self) {
        let mut command = self.command();
        command.args(["up", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut url = None;
        let mut told = Vec::new();
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(at) = line.find("http://") {
                url = Some(line[at..].trim_end_matches("/mcp/<server>").to_owned());
            }
            let ready = line.trim() == "ready";
            told.push(line);
            if ready {
                break;
            }
        }
        let url = url.unwrap_or_else(|| panic!("the daemon did not start: {told:?}"));
        // The log flows on; nobody may block on it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.daemon = Some(Daemon { child, url });
    }

    pub(super) fn url(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.daemon.as_ref().unwrap().url)
    }

    /// Ends the daemon as a crash would.
    pub(super) fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }

    /// Registers a server that is started as a program.
    pub(super) fn add_program(&self, name: &str, start: &Start) {
        let mut args = vec!["server".to_owned(), "add".to_owned(), name.to_owned()];
        for (key, value) in &start.env {
            let file = self.path().join(format!("{name}.{key}"));
            std::fs::write(&file, value).unwrap();
            args.extend(["--env".to_owned(), format!("{key}=@{}", file.display())]);
        }
        args.push("--".to_owned());
        args.extend(start.command_line());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.json(&args);
    }

    pub(super) fn add_url(&self, name: &str, url: &str) {
        self.json(&["server", "add", name, "--url", url]);
    }

    /// Puts a policy and mints a grant under it; returns the token.
    pub(super) fn grant(&self, server: &str, policy: &str) -> String {
        let file = self.write("policy.json", policy);
        self.json(&["policy", "put", server, "rules", file.to_str().unwrap()]);
        let minted = self.json(&[
            "grant", "mint", server, "--label", "agent", "--policy", "rules",
        ]);
        minted["token"].as_str().unwrap().to_owned()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// A client of a server, over HTTP.
    pub(super) fn client(&self, server: &str, token: &str) -> Client {
        Client::http(&self.url(server), Some(token))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // Gone already is as good.
            let _ = daemon.child.kill();
            let _ = daemon.child.wait();
        }
    }
}

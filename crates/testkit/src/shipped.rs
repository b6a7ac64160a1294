//! Provost as shipped: the binary, a daemon on a scratch directory, one server behind it, one grant, recording on.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

/// What stands behind the gateway.
#[derive(Debug, Clone, Copy)]
pub enum Upstream<'a> {
    /// A server that is there already.
    Url(&'a str),
    /// A program that the gateway starts, and its arguments.
    Program(&'a [&'a str]),
}

/// A running daemon in front of one upstream.
#[derive(Debug)]
pub struct Shipped {
    program: PathBuf,
    scratch: TempDir,
    child: Child,
    url: String,
    token: String,
}

impl Shipped {
    /// Starts the binary `program` with default settings, in front of `upstream` under the name `server`.
    ///
    /// # Errors
    /// When it does not start or refuses a command.
    pub fn start(
        program: &Path,
        server: &str,
        upstream: Upstream<'_>,
        policy: &Value,
    ) -> Result<Self> {
        Self::start_with(program, server, upstream, policy, &[])
    }

    /// The same with settings of the daemon, as variables.
    ///
    /// # Errors
    /// When it does not start or refuses a command.
    pub fn start_with(
        program: &Path,
        server: &str,
        upstream: Upstream<'_>,
        policy: &Value,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let run = |args: &[&str]| command(program, scratch.path(), args);
        let add = ["server", "add", server];
        match upstream {
            Upstream::Url(url) => run(&[&add[..], &["--url", url]].concat())?,
            Upstream::Program(line) => run(&[&add[..], &["--"], line].concat())?,
        };
        let file = scratch.path().join("policy.json");
        std::fs::write(&file, policy.to_string())?;
        let file = file.to_str().context("a path in UTF-8")?;
        run(&["policy", "put", server, "given", file])?;
        let minted = run(&[
            "grant", "mint", server, "--label", "test", "--policy", "given",
        ])?;
        let token = minted["token"].as_str().context("a token")?.to_owned();
        let (child, url) = daemon(program, scratch.path(), server, settings)?;
        Ok(Self {
            program: program.to_owned(),
            scratch,
            child,
            url,
            token,
        })
    }

    /// The endpoint of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token of the grant.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the daemon logged so far.
    ///
    /// # Errors
    /// When the file is gone.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(log_of(self.scratch.path()))?)
    }

    /// Runs a command of the same installation, and returns what it prints as JSON.
    ///
    /// # Errors
    /// When the command fails.
    pub fn command(&self, args: &[&str]) -> Result<Value> {
        command(&self.program, self.scratch.path(), args)
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        // Gone already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The daemon, and where it serves the server.
pub(crate) fn daemon(
    program: &Path,
    home: &Path,
    server: &str,
    settings: &[(&str, &str)],
) -> Result<(Child, String)> {
    let mut daemon = base(program, home);
    daemon.envs(settings.iter().copied());
    daemon.args(["up", "--listen", "127.0.0.1:0"]);
    // Whoever reads the output of the test must not wait for the daemon.
    daemon.stdin(Stdio::null()).stdout(Stdio::null());
    daemon.env("PROVOST_LOG", "warn").stderr(Stdio::piped());
    let mut child = daemon.spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("stderr")?).lines();
    let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let at = line.find("http://")?;
        Some(line.get(at..)?.replace("<server>", server))
    });
    let Some(url) = url else {
        drop(child.wait());
        bail!("the gateway did not say where it listens");
    };
    let mut log = std::fs::File::create(log_of(home))?;
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // Without a disk there is no log, and the test goes on.
            drop(writeln!(log, "{line}"));
        }
    });
    Ok((child, url))
}

fn log_of(home: &Path) -> PathBuf {
    home.join("gateway.log")
}

fn base(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("HOME", home)
        .env("PROVOST_DATA", home.join("data"))
        .env("PROVOST_CONFIG", home.join("config"));
    command
}

pub(crate) fn command(program: &Path, home: &Path, args: &[&str]) -> Result<Value> {
    let output = base(program, home).arg("--json").args(args).output()?;
    if !output.status.success() {
        bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

//! The shipped binary on a scratch directory, with servers behind it and grants for both kinds of agents.

use crate::fixture::{Eras, Fixture, Hostility, Options, Replies};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

use super::tee::Spoiler;

/// The daemon's `memory_limit`, in MiB.
pub(super) const MEMORY_LIMIT: u64 = 128;

/// What every grant is judged by: one tool is denied, one is limited, the rest goes.
const POLICY: &str = r#"{"version": "1", "default": "allow", "tools": {
    "add": {"action": "deny"},
    "big": {"require": [{"conditions": [{"path": "args.bytes", "op": "lte", "value": 1000000}]}]},
    "slow": {"limits": [{"counter": "slow", "window": "minute", "max": 200}]}
}}"#;

/// The servers: two over HTTP, two as programs, of each pair one whose answers are spoilt on their way; and one that
/// lies about its tools.
pub(super) const SERVERS: [&str; 5] = ["steady", "spoilt", "child", "sieve", "liar"];
/// Those whose answers arrive as they were given.
pub(super) const HONEST: [&str; 2] = ["steady", "child"];

/// A daemon, its servers, its grants.
pub(super) struct World {
    program: PathBuf,
    scratch: TempDir,
    daemon: Child,
    /// Where agents connect.
    pub(super) address: SocketAddr,
    fixtures: [Fixture; 3],
    /// What reached the servers that live in this process: all calls, and those of the denied tool.
    seen: Mutex<Seen>,
    panics: Arc<Mutex<Vec<String>>>,
    /// How often the hostile grants were minted anew.
    renewed: AtomicU64,
    _spoiler: Spoiler,
}

/// What reached one kind of upstream.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Calls of tools at `steady`.
    pub(super) steady: u64,
    /// Calls of tools at all servers.
    pub(super) all: u64,
    /// Calls of the denied tool.
    pub(super) denied: u64,
    /// What victims said who may say nothing any more, see `meddler`.
    victims: HashSet<String>,
}

/// Which of a server's two grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// For those who send nonsense.
    Hostile,
    /// For those who must always be answered.
    Honest,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Hostile => "hostile",
            Role::Honest => "honest",
        }
    }
}

// === impl World ===

impl World {
    /// Starts everything.
    ///
    /// # Errors
    /// When the daemon does not start or refuses a command.
    pub(super) async fn start(program: &Path, fixture: &Path, seed: u64) -> Result<World> {
        let scratch = tempfile::tempdir()?;
        let run = |args: &[&str]| command(program, scratch.path(), args);
        let plain = Options {
            eras: Eras::Both,
            ..Options::default()
        };
        let streams = Options {
            replies: Replies::Sse,
            ..plain.clone()
        };
        let liar = Options {
            on: "tools/list".to_owned(),
            hostile: Some(Hostility::LyingList),
            ..plain.clone()
        };
        let fixtures = [plain, streams, liar].map(Fixture::start);
        let spoiler = Spoiler::start(address_of(&fixtures[1].url())?, seed).await?;
        let spoilt = format!("http://{}/mcp", spoiler.address);
        run(&["server", "add", "steady", "--url", &fixtures[0].url()])?;
        run(&["server", "add", "spoilt", "--url", &spoilt])?;
        run(&["server", "add", "liar", "--url", &fixtures[2].url()])?;
        let fixture = fixture.to_str().context("a path in UTF-8")?;
        let events = |name: &str| format!("{}/{name}.events", scratch.path().display());
        let child = ["stdio", "--eras", "both", "--events", &events("child")].map(str::to_owned);
        let seed = seed.to_string();
        let sieve = ["sieve", "--seed", &seed, "--events", &events("sieve")].map(str::to_owned);
        for (name, arguments) in [("child", child.to_vec()), ("sieve", sieve.to_vec())] {
            let mut args = vec!["server", "add", name, "--", fixture];
            args.extend(arguments.iter().map(String::as_str));
            run(&args)?;
        }
        let policy = scratch.path().join("policy.json");
        std::fs::write(&policy, POLICY)?;
        let policy = policy.to_str().context("a path in UTF-8")?;
        for server in SERVERS {
            run(&["policy", "put", server, "soak", policy])?;
            for role in [Role::Hostile, Role::Honest] {
                let label = match role {
                    Role::Hostile => hostile_label(server, 0),
                    Role::Honest => format!("{server}-honest"),
                };
                let minted = run(&[
                    "grant", "mint", server, "--label", &label, "--policy", "soak",
                ])?;
                let token = minted["token"].as_str().context("a token")?;
                std::fs::write(token_file(scratch.path(), server, role), token)?;
            }
        }
        let panics = Arc::default();
        let (daemon, address) = up(program, scratch.path(), &panics)?;
        Ok(World {
            program: program.to_owned(),
            scratch,
            daemon,
            address,
            fixtures,
            seen: Mutex::default(),
            panics,
            renewed: AtomicU64::new(0),
            _spoiler: spoiler,
        })
    }

    /// Ends the grants of those who send nonsense, and with them all their sessions, and mints new
    /// ones: what the daemon holds then, it holds for nobody.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub(super) async fn renew(&self) -> Result<()> {
        let number = self.renewed.fetch_add(1, Ordering::Relaxed);
        for server in SERVERS {
            let (old, new) = (
                hostile_label(server, number),
                hostile_label(server, number + 1),
            );
            self.revoke(&old).await?;
            let token = self.mint(server, &new, "soak").await?;
            std::fs::write(
                token_file(self.scratch.path(), server, Role::Hostile),
                token,
            )?;
        }
        Ok(())
    }

    /// A command to the running daemon, while everybody else goes on.
    async fn ask(&self, args: &[&str]) -> Result<Value> {
        let mut command = base(&self.program, self.scratch.path());
        command.arg("--json").args(args);
        let output = tokio::process::Command::from(command).output().await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{args:?}: {told}");
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// The daemon's process id.
    pub(super) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// A grant's token.
    ///
    /// # Panics
    /// When it was not minted.
    pub(super) fn token(&self, server: &str, role: Role) -> String {
        std::fs::read_to_string(token_file(self.scratch.path(), server, role)).expect("a token")
    }

    /// The stdio bridge to a server.
    pub(super) fn connect(&self, server: &str, role: Role) -> Command {
        let mut command = base(&self.program, self.scratch.path());
        command.args(["connect", server, "--grant-file"]);
        command.arg(token_file(self.scratch.path(), server, role));
        command
    }

    /// What is wrong with the daemon, if anything.
    ///
    /// # Errors
    /// When it is gone, or a thread of it panicked.
    pub(super) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.daemon.try_wait()? {
            bail!("the daemon is gone: {status}");
        }
        let panics = self.panics.lock().unwrap();
        ensure!(panics.is_empty(), "the daemon panicked: {panics:?}");
        Ok(())
    }

    /// Counts what reached the servers in this process, and lets it go.
    pub(super) fn collect(&self) {
        let mut seen = self.seen.lock().unwrap();
        for (number, fixture) in self.fixtures.iter().enumerate() {
            for event in fixture.recorder.take() {
                let params = &event.detail["params"];
                if event.kind == "request" && event.detail["method"] == "tools/call" {
                    seen.all += 1;
                    seen.steady += u64::from(number == 0);
                    seen.denied += u64::from(params["name"] == "add");
                    let text = params["arguments"]["text"].as_str();
                    let victim = text.filter(|text| text.starts_with("victim-"));
                    seen.victims.extend(victim.map(str::to_owned));
                }
            }
        }
    }

    /// What victims said and what arrived, up to now.
    pub(super) fn victims(&self) -> HashSet<String> {
        self.collect();
        std::mem::take(&mut self.seen.lock().unwrap().victims)
    }

    /// Puts a policy, or a new version of it.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub(super) async fn put_policy(&self, server: &str, name: &str, text: &str) -> Result<()> {
        let file = self.scratch.path().join(format!("{name}.json"));
        std::fs::write(&file, text)?;
        let file = file.to_str().context("a path in UTF-8")?;
        self.ask(&["policy", "put", server, name, file]).await?;
        Ok(())
    }

    /// Mints a grant; returns its token.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub(super) async fn mint(&self, server: &str, label: &str, policy: &str) -> Result<String> {
        let minted = [
            "grant", "mint", server, "--label", label, "--policy", policy,
        ];
        let minted = self.ask(&minted).await?;
        Ok(minted["token"].as_str().context("a token")?.to_owned())
    }

    /// Revokes a grant.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub(super) async fn revoke(&self, label: &str) -> Result<()> {
        self.ask(&["grant", "revoke", label]).await?;
        Ok(())
    }

    /// What reached all servers, those that are programs included.
    pub(super) fn seen(&self) -> Seen {
        self.collect();
        let mut seen = self.seen.lock().unwrap().clone();
        for name in ["child", "sieve"] {
            let (calls, denied) = self.calls_of(name);
            seen.all += calls;
            seen.denied += denied;
        }
        seen
    }

    /// Calls that reached a program, and those of the denied tool.
    pub(super) fn calls_of(&self, name: &str) -> (u64, u64) {
        let path = self.scratch.path().join(format!("{name}.events"));
        let Ok(file) = std::fs::File::open(path) else {
            return (0, 0);
        };
        let (mut calls, mut denied) = (0, 0);
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            let Ok(event) = serde_json::from_slice::<Value>(&line) else {
                continue;
            };
            if event["kind"] == "request" && event["detail"]["method"] == "tools/call" {
                calls += 1;
                denied += u64::from(event["detail"]["params"]["name"] == "add");
            }
        }
        (calls, denied)
    }

    /// Stops the daemon in order, and fails when it does not stop so.
    ///
    /// # Errors
    /// When it ends otherwise, or too late.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let pid = self.daemon.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        for _ in 0..600 {
            if let Some(status) = self.daemon.try_wait()? {
                ensure!(status.success(), "the daemon ended with {status}");
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        bail!("the daemon does not stop");
    }

    /// Verifies the journal: how many entries it has.
    ///
    /// # Errors
    /// When it is not intact.
    pub(super) fn verify(&self) -> Result<u64> {
        let verified = command(&self.program, self.scratch.path(), &["audit", "verify"])?;
        ensure!(verified["intact"] == true, "the journal: {verified}");
        verified["entries"].as_u64().context("entries")
    }

    /// How many calls to a server were allowed, as recorded.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub(super) fn allowed(&self, server: &str) -> Result<u64> {
        let mut log = base(&self.program, self.scratch.path());
        log.args([
            "--json",
            "log",
            "--server",
            server,
            "--decision",
            "allow",
            "--since",
            "2h",
        ]);
        let mut child = log.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("stdout")?);
        let (needle, mut count, mut rest) = (b"\"decision\"", 0, Vec::new());
        let mut chunk = vec![0; 1 << 20];
        while let Ok(length @ 1..) = output.read(&mut chunk) {
            rest.extend_from_slice(&chunk[..length]);
            count += rest.windows(needle.len()).filter(|w| w == needle).count() as u64;
            let keep = rest.len().saturating_sub(needle.len() - 1);
            rest.drain(..keep);
        }
        ensure!(child.wait()?.success(), "the records cannot be read");
        Ok(count)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Gone already is as good.
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

fn hostile_label(server: &str, number: u64) -> String {
    format!("{server}-hostile-{number}")
}

fn token_file(home: &Path, server: &str, role: Role) -> PathBuf {
    home.join(format!("{server}.{}.token", role.word()))
}

/// The address in a URL like `http://127.0.0.1:1234/mcp`.
pub(super) fn address_of(url: &str) -> Result<SocketAddr> {
    let rest = url.trim_start_matches("http://");
    let host = rest.split('/').next().unwrap_or_default();
    host.parse()
        .with_context(|| format!("`{url}` has no address"))
}

fn up(
    program: &Path,
    home: &Path,
    panics: &Arc<Mutex<Vec<String>>>,
) -> Result<(Child, SocketAddr)> {
    let mut daemon = base(program, home);
    daemon.args(["up", "--listen", "127.0.0.1:0"]);
    // Spoilt answers leave calls without one; they must not wait for minutes.
    daemon.env("PROVOST_CALL_TIMEOUT", "5s");
    // Mutated agents open sessions and end none: they are to come and go within the run.
    daemon.env("PROVOST_IDLE_SESSION", "20s");
    daemon.env("PROVOST_MEMORY_LIMIT", format!("{MEMORY_LIMIT}MiB"));
    daemon.env("PROVOST_LOG", "error").stderr(Stdio::piped());
    let mut child = daemon.spawn().context("the daemon does not start")?;
    let mut lines = BufReader::new(child.stderr.take().context("stderr")?).lines();
    let mut address = None;
    for line in lines.by_ref().map_while(Result::ok) {
        if let Some(at) = line.find("http://") {
            address = address_of(&line[at..]).ok();
        }
        if line.trim() == "ready" {
            break;
        }
    }
    let panics = Arc::clone(panics);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("panicked") {
                panics.lock().unwrap().push(line);
            }
        }
    });
    Ok((
        child,
        address.context("the daemon did not say where it listens")?,
    ))
}

fn base(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("HOME", home)
        .env("PROVOST_DATA", home.join("data"))
        .env("PROVOST_CONFIG", home.join("config"));
    command
}

fn command(program: &Path, home: &Path, args: &[&str]) -> Result<Value> {
    let output = base(program, home).arg("--json").args(args).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {told}");
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

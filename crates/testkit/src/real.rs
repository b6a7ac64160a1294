//! Real MCP servers and real client libraries, as `scripts/setup` installs them into `.tools/`.
//!
//! A test drives a client through a scenario twice, directly and through the gateway, and compares the two reports.

use crate::process::{Start, root};
use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// The names of the servers; each has a scenario of that name.
pub const SERVERS: [&str; 6] = [
    "everything",
    "filesystem",
    "memory",
    "git",
    "sqlite",
    "time",
];

/// A real server with scratch data of its own: the same data every time, in another folder.
#[derive(Debug)]
pub struct RealServer {
    /// Its name.
    pub name: &'static str,
    /// How to start it on its data, over stdio.
    pub start: Start,
    scratch: TempDir,
}

/// A client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// The TypeScript SDK, version 1.
    TypeScript,
    /// The Python SDK, version 2, speaking the legacy era.
    Python,
}

/// Both libraries.
pub const LIBRARIES: [Library; 2] = [Library::TypeScript, Library::Python];

/// Whom a client talks to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A program, over stdio.
    Stdio(Start),
    /// A URL, with headers.
    Http {
        /// The endpoint.
        url: String,
        /// Headers of every request.
        headers: Vec<(String, String)>,
    },
}

fn tools() -> PathBuf {
    root().join(".tools")
}

/// Whether `scripts/setup` has run here.
pub fn available() -> bool {
    [
        "npm/node_modules/@modelcontextprotocol",
        "python/bin/python",
        "python-mcp1/bin/python",
    ]
    .iter()
    .all(|part| tools().join(part).exists())
}

/// Stops a test that cannot run.
///
/// # Panics
/// When the real servers are not installed.
pub fn require() {
    assert!(
        available(),
        "the real servers and clients are not installed; run `scripts/setup` (`make test` does it)"
    );
}

/// All real servers, each on fresh data.
///
/// # Panics
/// When they are not installed.
pub fn servers() -> Vec<RealServer> {
    SERVERS.iter().map(|name| server(name)).collect()
}

/// A real server on fresh data.
///
/// # Panics
/// When it is unknown or not installed.
pub fn server(name: &str) -> RealServer {
    require();
    let name = SERVERS
        .into_iter()
        .find(|known| *known == name)
        .expect("a known server");
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let folder = place(&scratch);
    let start = match name {
        "everything" => node("server-everything").args(["stdio"]),
        "filesystem" => {
            write(&folder, "hello.txt", "hello\n");
            node("server-filesystem").args([folder.as_str()])
        }
        "memory" => node("server-memory").env("MEMORY_FILE_PATH", format!("{folder}/memory.jsonl")),
        "git" => repository(&folder),
        "sqlite" => Start::program(tools().join("python-mcp1/bin/mcp-server-sqlite"))
            .args(["--db-path".to_owned(), format!("{folder}/data.db")]),
        _ => Start::program(tools().join("python/bin/mcp-server-time"))
            .args(["--local-timezone", "Etc/UTC"]),
    };
    RealServer {
        name,
        start,
        scratch,
    }
}

/// The Node to use: the one that `scripts/setup` fetched when the system's was too old, else the system's.
pub fn node_program() -> PathBuf {
    let own = tools().join("node/node_modules/node/bin/node");
    if own.exists() {
        own
    } else {
        PathBuf::from("node")
    }
}

fn node(package: &str) -> Start {
    let script = tools()
        .join("npm/node_modules/@modelcontextprotocol")
        .join(package)
        .join("dist/index.js");
    Start::program(node_program()).args([script.to_str().expect("UTF-8")])
}

/// A repository with a commit, and a change that is not committed. Fixed times make fixed commit ids.
fn repository(folder: &str) -> Start {
    const TIMES: [(&str, &str); 2] = [
        ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05+0000"),
        ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05+0000"),
    ];
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(folder)
            .envs(TIMES)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(arguments);
        let output = command.output().expect("git starts");
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&["config", "user.name", "Ada"]);
    git(&["config", "user.email", "ada@example.com"]);
    write(
        Path::new(folder).to_str().expect("UTF-8"),
        "hello.txt",
        "hello\n",
    );
    git(&["add", "hello.txt"]);
    git(&["commit", "--quiet", "--message", "first"]);
    write(folder, "hello.txt", "hello\nworld\n");
    let start =
        Start::program(tools().join("python/bin/mcp-server-git")).args(["--repository", folder]);
    TIMES.iter().fold(
        start.env("GIT_CONFIG_GLOBAL", "/dev/null"),
        |start, (name, value)| start.env(name, *value),
    )
}

fn write(folder: &str, name: &str, text: &str) {
    std::fs::write(Path::new(folder).join(name), text)
        .expect("the scratch directory can be written");
}

/// The real path: servers resolve links, and a scratch directory may stand behind one.
fn place(scratch: &TempDir) -> String {
    let path = scratch
        .path()
        .canonicalize()
        .expect("the scratch directory exists");
    path.to_str().expect("UTF-8").to_owned()
}

// === impl RealServer ===

impl RealServer {
    /// The folder of its data.
    pub fn folder(&self) -> String {
        place(&self.scratch)
    }

    /// Runs its scenario with a client library against a target, which leads to this server one way or another.
    ///
    /// # Errors
    /// When the client fails as a program; refused calls are part of the report.
    pub async fn run(&self, library: Library, target: &Target) -> Result<String> {
        run(library, self.name, target, Some(&self.folder())).await
    }
}

/// The real server "everything" over streamable HTTP, on a free port; it is killed when this is dropped.
pub struct EverythingHttp {
    url: String,
    _child: tokio::process::Child,
}

impl EverythingHttp {
    /// Starts it, and returns once it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> EverythingHttp {
        require();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener
            .local_addr()
            .expect("a listener has an address")
            .port();
        drop(listener);
        let start = node("server-everything")
            .args(["streamableHttp"])
            .env("PORT", port.to_string());
        let mut command = tokio::process::Command::from(start.command());
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = command.spawn().expect("node starts");
        crate::wait_until("the real server listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        EverythingHttp {
            url: format!("http://127.0.0.1:{port}/mcp"),
            _child: child,
        }
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The steps of a scenario, with the scratch folder filled in.
///
/// # Panics
/// When there is no such scenario.
pub fn steps(scenario: &str, folder: Option<&str>) -> Value {
    let file = root()
        .join("crates/testkit/clients/scenarios")
        .join(scenario)
        .with_extension("json");
    let text =
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("scenario `{scenario}`: {e}"));
    serde_json::from_str(&text.replace("{{scratch}}", folder.unwrap_or_default()))
        .expect("a scenario is JSON")
}

/// Runs a scenario with a client library, and returns its report with times and the scratch folder blotted out.
///
/// # Errors
/// When the client fails as a program; refused calls are part of the report.
pub async fn run(
    library: Library,
    scenario: &str,
    target: &Target,
    folder: Option<&str>,
) -> Result<String> {
    require();
    let clients = root().join("crates/testkit/clients");
    let mut command = match library {
        Library::TypeScript => {
            let mut command = tokio::process::Command::new(node_program());
            command
                .arg(clients.join("client.mjs"))
                .arg(tools().join("npm"));
            command
        }
        Library::Python => {
            let mut command = tokio::process::Command::new(tools().join("python/bin/python"));
            command.arg(clients.join("client.py"));
            command
        }
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .with_context(|| format!("the {library:?} client does not start"))?;
    let asked = json!({"target": target.to_json(), "steps": steps(scenario, folder)});
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(asked.to_string().as_bytes()).await?;
    drop(stdin);
    let Ok(output) = tokio::time::timeout(
        std::time::Duration::from_secs(120),
        child.wait_with_output(),
    )
    .await
    else {
        bail!("the {library:?} client did not finish `{scenario}` in two minutes");
    };
    let output = output?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the {library:?} client failed in `{scenario}`: {errors}"
    );
    Ok(blot(&String::from_utf8(output.stdout)?, folder))
}

/// Replaces what differs from run to run: the scratch folder, dates and times of day.
fn blot(report: &str, folder: Option<&str>) -> String {
    let report = match folder {
        Some(folder) => report.replace(folder, "<scratch>"),
        None => report.to_owned(),
    };
    let moment = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?";
    let moment = Regex::new(moment).expect("the pattern is fine");
    moment.replace_all(&report, "<time>").into_owned()
}

// === impl Target ===

impl Target {
    /// A URL with a grant.
    pub fn http(url: &str, token: Option<&str>) -> Target {
        let headers = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        Target::Http {
            url: url.to_owned(),
            headers: headers.into_iter().collect(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Target::Stdio(start) => {
                let env: serde_json::Map<String, Value> = start
                    .env
                    .iter()
                    .map(|(name, value)| (name.clone(), json!(value)))
                    .collect();
                let mut target = json!({"command": start.command_line(), "env": env});
                if let Some(cwd) = &start.cwd {
                    target["cwd"] = json!(cwd);
                }
                target
            }
            Target::Http { url, headers } => {
                let headers: serde_json::Map<String, Value> = headers
                    .iter()
                    .map(|(name, value)| (name.clone(), json!(value)))
                    .collect();
                json!({"url": url, "headers": headers})
            }
        }
    }
}

//! Real servers, each on scratch data of its own.

use super::page::Page;
use super::{modules, node_program, require, tools};
use crate::process::{Start, root};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The names of the servers; each has a scenario of that name.
pub const SERVERS: [&str; 14] = [
    "everything",
    "filesystem",
    "memory",
    "sequential-thinking",
    "playwright",
    "chrome-devtools",
    "context7",
    "kubernetes",
    "notion",
    "mongodb",
    "git",
    "time",
    "fetch",
    "sqlite",
];

/// Those that speak the modern era as well as the legacy one.
pub const MODERN_SERVERS: [&str; 5] = ["context7", "mongodb", "git", "time", "fetch"];

/// Nobody listens on port 9: what wants the network is refused, at once and always in the same words.
const NO_NETWORK: [(&str, &str); 5] = [
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("http_proxy", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
    ("NO_PROXY", ""),
];

const KUBECONFIG: &str = r#"apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: ada, user: {}}]
contexts: [{name: main, context: {cluster: here, user: ada}}]
current-context: main
"#;

/// A real server with scratch data of its own: the same data every time, in another folder.
#[derive(Debug)]
pub struct RealServer {
    /// Its name.
    pub name: &'static str,
    /// How to start it on its data, over stdio.
    pub start: Start,
    scratch: TempDir,
    page: Option<Page>,
}

/// A real server on fresh data.
///
/// # Panics
/// When it is unknown or not installed, or outside of an asynchronous runtime.
pub fn server(name: &str) -> RealServer {
    require();
    let name = SERVERS
        .into_iter()
        .find(|known| *known == name)
        .expect("a known server");
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let folder = place(&scratch);
    RealServer {
        name,
        start: start(name, &folder),
        page: (name == "fetch").then(Page::serve),
        scratch,
    }
}

/// The version of a server, as it is installed.
///
/// # Panics
/// When it is not.
pub fn version(name: &str) -> String {
    if let Some((folder, package, _)) = package(name) {
        let manifest = modules(folder).join(package).join("package.json");
        let text = std::fs::read_to_string(manifest).expect("the package is installed");
        let manifest: serde_json::Value = serde_json::from_str(&text).expect("a manifest is JSON");
        return manifest["version"].as_str().expect("a version").to_owned();
    }
    let wanted = format!("mcp-server-{name}==");
    let pinned = ["requirements.txt", "requirements-mcp1.txt"].map(|file| {
        let file = root().join("crates/testkit/clients").join(file);
        std::fs::read_to_string(file).expect("the requirements are there")
    });
    let mut lines = pinned.iter().flat_map(|text| text.lines());
    let found = lines.find_map(|line| line.strip_prefix(&wanted));
    found.expect("a pinned server").to_owned()
}

/// A server from npm: which of our folders it is in, its package, the file to run.
fn package(name: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let (folder, package, file) = match name {
        "everything" => (
            "npm",
            "@modelcontextprotocol/server-everything",
            "dist/index.js",
        ),
        "filesystem" => (
            "npm",
            "@modelcontextprotocol/server-filesystem",
            "dist/index.js",
        ),
        "memory" => (
            "npm",
            "@modelcontextprotocol/server-memory",
            "dist/index.js",
        ),
        "sequential-thinking" => (
            "npm-servers",
            "@modelcontextprotocol/server-sequential-thinking",
            "dist/index.js",
        ),
        "playwright" => ("npm-servers", "@playwright/mcp", "cli.js"),
        "chrome-devtools" => (
            "npm-servers",
            "chrome-devtools-mcp",
            "build/src/bin/chrome-devtools-mcp.js",
        ),
        "context7" => ("npm-servers", "@upstash/context7-mcp", "dist/index.js"),
        "kubernetes" => ("npm-servers", "mcp-server-kubernetes", "dist/index.js"),
        "notion" => ("npm-servers", "@notionhq/notion-mcp-server", "bin/cli.mjs"),
        "mongodb" => ("npm-servers", "mongodb-mcp-server", "dist/esm/index.js"),
        _ => return None,
    };
    Some((folder, package, file))
}

fn start(name: &str, folder: &str) -> Start {
    match name {
        "everything" => node(name).args(["stdio"]),
        "filesystem" => {
            write(folder, "hello.txt", "hello\n");
            node(name).args([folder])
        }
        "memory" => node(name).env("MEMORY_FILE_PATH", format!("{folder}/memory.jsonl")),
        "playwright" => node(name).args([
            "--headless",
            "--isolated",
            "--executable-path",
            &format!("{folder}/no-browser"),
        ]),
        "chrome-devtools" => node(name).args([
            "--headless",
            "--isolated",
            "--no-usage-statistics",
            "--executablePath",
            &format!("{folder}/no-browser"),
        ]),
        "kubernetes" => {
            write(folder, "kubeconfig", KUBECONFIG);
            offline(node(name)).env("KUBECONFIG", format!("{folder}/kubeconfig"))
        }
        "context7" => offline(node(name)),
        "notion" => offline(node(name)).env("NOTION_TOKEN", "none"),
        "mongodb" => offline(node(name))
            .env("MDB_MCP_TELEMETRY", "disabled")
            .env("MDB_MCP_LOG_PATH", format!("{folder}/logs"))
            .env("MDB_MCP_EXPORTS_PATH", format!("{folder}/exports")),
        "git" => repository(folder),
        "sqlite" => Start::program(tools().join("python-mcp1/bin/mcp-server-sqlite"))
            .args(["--db-path".to_owned(), format!("{folder}/data.db")]),
        "fetch" => Start::program(tools().join("python/bin/mcp-server-fetch"))
            .args(["--allow-private-ips", "--ignore-robots-txt"]),
        "time" => Start::program(tools().join("python/bin/mcp-server-time"))
            .args(["--local-timezone", "Etc/UTC"]),
        _ => node(name),
    }
}

fn offline(start: Start) -> Start {
    NO_NETWORK
        .iter()
        .fold(start, |start, (name, value)| start.env(name, *value))
}

fn node(name: &str) -> Start {
    let (folder, package, file) = package(name).expect("a server from npm");
    let script = modules(folder).join(package).join(file);
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
    write(folder, "hello.txt", "hello\n");
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
    /// What stands in scenarios, and what it is this time.
    pub fn names(&self) -> Vec<(&'static str, String)> {
        let page = self.page.as_ref().map(|page| ("{{page}}", page.url()));
        std::iter::once(("{{scratch}}", place(&self.scratch)))
            .chain(page)
            .collect()
    }
}

/// A real server over streamable HTTP, on a free port; it is killed when this is dropped.
pub struct HttpServer {
    url: String,
    _scratch: TempDir,
    _child: tokio::process::Child,
}

/// Those that can be started so, with what it takes.
pub const HTTP_SERVERS: [&str; 3] = ["everything", "context7", "mongodb"];

// === impl HttpServer ===

impl HttpServer {
    /// Starts it, and returns once it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(name: &str) -> HttpServer {
        require();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let port = address.port().to_string();
        drop(listener);
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let start = match name {
            "everything" => node(name).args(["streamableHttp"]).env("PORT", &port),
            "context7" => offline(node(name))
                .args(["--transport", "http", "--port", &port])
                // Measurements have a fixed port, which not every one of them can have.
                .env("OTEL_SDK_DISABLED", "true"),
            "mongodb" => start("mongodb", &place(&scratch)).args([
                "--transport",
                "http",
                "--httpPort",
                &port,
            ]),
            _ => panic!("`{name}` is not one of {HTTP_SERVERS:?}"),
        };
        let mut command = tokio::process::Command::from(start.command());
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let child = command.spawn().expect("node starts");
        crate::wait_until("the real server listens", || {
            std::net::TcpStream::connect(address).is_ok()
        })
        .await;
        HttpServer {
            url: format!("http://{address}/mcp"),
            _scratch: scratch,
            _child: child,
        }
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }
}

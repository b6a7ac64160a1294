//! The scratch directory of the demonstration, its daemon, and the commands run on it.

use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use provost_admin::{DaemonStatus, Failure, Outcome};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long the daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the demonstration plays with.
#[derive(Debug)]
pub struct Setting {
    /// The program that is shown.
    pub program: PathBuf,
    /// What its commands start with.
    pub environment: Vec<(String, String)>,
    /// Where the scratch directory is made.
    pub temporary: PathBuf,
    /// A real file server; without one, the program's own.
    pub server: Option<FileServer>,
}

/// An MCP server that takes the folder it serves as its last argument.
#[derive(Debug)]
pub struct FileServer {
    /// The command that starts it.
    pub command: Vec<String>,
    /// What it is called in the report.
    pub called: String,
}

/// Everything the demonstration owns; gone when this is dropped.
pub(crate) struct Stage {
    pub(crate) scratch: PathBuf,
    setting: Setting,
    daemon: Option<Child>,
}

// === impl Stage ===

impl Stage {
    /// Makes the scratch directory, with a small project in it.
    pub(crate) fn set(setting: Setting) -> Outcome<Self> {
        let fail = |error: std::io::Error| {
            Failure::unavailable("cannot create a temporary directory").because(error)
        };
        let within = std::fs::canonicalize(&setting.temporary).map_err(fail)?;
        let stage = Stage {
            scratch: private_directory(&within).map_err(fail)?,
            setting,
            daemon: None,
        };
        std::fs::create_dir_all(stage.project().join("notes")).map_err(fail)?;
        stage.write("project/README.md", "# A project\n\nOnly an example.\n")?;
        Ok(stage)
    }

    /// The folder the file server serves.
    pub(crate) fn project(&self) -> PathBuf {
        self.scratch.join("project")
    }

    /// The program that is shown.
    pub(crate) fn program(&self) -> &Path {
        &self.setting.program
    }

    /// The command of the file server, and what it is called.
    pub(crate) fn file_server(&self) -> (Vec<String>, &str) {
        match &self.setting.server {
            Some(server) => (server.command.clone(), &server.called),
            None => {
                let program = self.program().display().to_string();
                (
                    vec![program, "sample-server".into()],
                    "provost sample-server",
                )
            }
        }
    }

    /// Writes a file that only this user can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        use std::io::Write;
        let path = self.scratch.join(name);
        let mut options = std::fs::OpenOptions::new();
        let written = options
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            Failure::unavailable(format!("cannot write `{}`", path.display())).because(error)
        })?;
        Ok(path)
    }

    /// A `provost` command on the scratch directories.
    #[expect(
        clippy::disallowed_methods,
        reason = "the demonstration runs the program as its reader would"
    )]
    pub(crate) fn command<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = Command::new(&self.setting.program);
        command
            .arg("--data")
            .arg(self.scratch.join("data"))
            .arg("--config-dir")
            .arg(self.scratch.join("config"))
            .args(words);
        command
            .env_clear()
            .envs(self.setting.environment.iter().cloned())
            .current_dir(&self.scratch)
            .kill_on_drop(true);
        command
    }

    /// Runs a command and hands back what it printed.
    pub(crate) async fn run(&self, words: &[&str]) -> Outcome<String> {
        let fail = |detail: &dyn std::fmt::Display| {
            Failure::internal(format!("`provost {}` failed", words.join(" "))).because(detail)
        };
        let output = self
            .command(words)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| fail(&error))?;
        if !output.status.success() {
            return Err(fail(&String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) async fn start_daemon(&mut self) -> Outcome<DaemonStatus> {
        let fail =
            |error: std::io::Error| Failure::internal("the daemon did not start").because(error);
        let mut command = self.command(["up", "--listen", "127.0.0.1:0"]);
        let mut daemon = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let stderr = daemon.stderr.take().map(BufReader::new);
        self.daemon = Some(daemon);
        if let Some(mut lines) = stderr.map(AsyncBufReadExt::lines) {
            let ready = async {
                let mut log = String::new();
                while let Some(line) = lines.next_line().await.map_err(fail)? {
                    if line == "ready" {
                        return Ok(());
                    }
                    log.push_str(&line);
                    log.push('\n');
                }
                Err(Failure::internal("the daemon did not start").because(log.trim()))
            };
            let waited = tokio::time::timeout(PATIENCE, ready).await;
            waited
                .unwrap_or_else(|_| Err(Failure::internal("the daemon did not start in time")))?;
            // What it writes from here on is of no interest, and must not hold it up. Ends with it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        parse(&self.run(&["status", "--json"]).await?)
    }

    /// `kill -9`.
    pub(crate) async fn kill_daemon(&mut self) -> Outcome {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().await.map_err(|error| {
                Failure::internal("the daemon could not be killed").because(error)
            })?;
        }
        Ok(())
    }

    /// Ends the daemon in order.
    pub(crate) async fn stop_daemon(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        // One that cannot be stopped is killed below.
        drop(self.run(&["stop"]).await);
        // Whatever is still there after that is killed when it is dropped.
        drop(tokio::time::timeout(PATIENCE, daemon.wait()).await);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A scratch directory that stays behind does no harm.
        drop(std::fs::remove_dir_all(&self.scratch));
    }
}

/// A directory that only this user can enter.
fn private_directory(within: &Path) -> std::io::Result<PathBuf> {
    let own = std::process::id();
    for number in 0_u32.. {
        let scratch = within.join(format!("provost-demo-{own}-{number}"));
        match std::fs::DirBuilder::new().mode(0o700).create(&scratch) {
            // An earlier process of that number left it behind.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| scratch),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// An answer of a command with `--json`.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Outcome<T> {
    serde_json::from_str(text)
        .map_err(|error| Failure::internal("an answer of the daemon cannot be read").because(error))
}

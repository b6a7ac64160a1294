//! The scratch directory of the demonstration, its daemon, and the commands run on it.

use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::admin::{Control, DaemonStatus, connect_admin, post};
use crate::environment::Environment;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;

/// How long the daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything the demonstration owns; gone when this is dropped.
pub(super) struct Stage {
    pub(super) scratch: PathBuf,
    program: PathBuf,
    places: Places,
    daemon: Option<Child>,
}

// === impl Stage ===

impl Stage {
    /// Makes the scratch directory, with a small project in it.
    pub(super) fn set() -> Outcome<Self> {
        let fail = |error: std::io::Error| {
            Failure::unavailable("cannot make a scratch directory").because(error)
        };
        let program = std::env::current_exe().map_err(fail)?;
        let name = format!(
            "provost-demo-{}-{}",
            std::process::id(),
            crate::when::now() % 1_000_000
        );
        let scratch = std::fs::canonicalize(std::env::temp_dir())
            .map_err(fail)?
            .join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&scratch)
            .map_err(fail)?;
        let environment = Environment {
            data: Some(scratch.join("data")),
            config: Some(scratch.join("config")),
            ..Environment::default()
        };
        let stage = Stage {
            places: Places::decide(&environment, None, None)?,
            program,
            daemon: None,
            scratch,
        };
        std::fs::create_dir_all(stage.project().join("notes")).map_err(fail)?;
        stage.write("project/README.md", "# A project\n\nOnly an example.\n")?;
        Ok(stage)
    }

    /// The folder the file server serves.
    pub(super) fn project(&self) -> PathBuf {
        self.scratch.join("project")
    }

    /// This very program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Writes a file that only this user can read.
    pub(super) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
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
        reason = "`cli` starts its own daemon, and here itself as the reader would"
    )]
    pub(super) fn command<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--data")
            .arg(&self.places.data)
            .arg("--config-dir")
            .arg(&self.places.config)
            .args(words);
        command
            .env_clear()
            .envs(Environment::base_for_children())
            .current_dir(&self.scratch)
            .kill_on_drop(true);
        command
    }

    /// Runs a command and hands back what it printed.
    pub(super) async fn run(&self, words: &[&str]) -> Outcome<String> {
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
    pub(super) async fn start_daemon(&mut self) -> Outcome<DaemonStatus> {
        let fail =
            |error: std::io::Error| Failure::internal("the daemon did not start").because(error);
        let log = std::fs::File::create(self.scratch.join("daemon.log")).map_err(fail)?;
        let mut command = self.command(["up", "--listen", "127.0.0.1:0"]);
        let mut daemon = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(fail)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(stream) = connect_admin(&self.places).await?
                && let Ok(status) =
                    post::<DaemonStatus>(stream, "/v1/control", &Control::Status).await
            {
                self.daemon = Some(daemon);
                return Ok(status);
            }
            if Instant::now() >= deadline || daemon.try_wait().map_err(fail)?.is_some() {
                let log =
                    std::fs::read_to_string(self.scratch.join("daemon.log")).unwrap_or_default();
                return Err(Failure::internal("the daemon did not start").because(log.trim()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub(super) async fn kill_daemon(&mut self) -> Outcome {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().await.map_err(|error| {
                Failure::internal("the daemon could not be killed").because(error)
            })?;
        }
        Ok(())
    }

    /// Ends the daemon in order.
    pub(super) async fn stop_daemon(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        if let Ok(Some(stream)) = connect_admin(&self.places).await {
            drop(post::<DaemonStatus>(stream, "/v1/control", &Control::Stop).await);
        }
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

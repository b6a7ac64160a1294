//! Finding and starting the programs that tests talk to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// How to start a program: what a stdio server is registered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables besides those of the test.
    pub env: Vec<(String, String)>,
    /// Where it runs; the test's own directory when absent.
    pub cwd: Option<PathBuf>,
}

impl Start {
    /// A program without arguments.
    pub fn program(program: impl Into<PathBuf>) -> Start {
        Start {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Start {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Start {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Program and arguments in one list, as a command line has them.
    pub fn command_line(&self) -> Vec<String> {
        let program = self.program.to_str().expect("a path in UTF-8").to_owned();
        std::iter::once(program)
            .chain(self.args.iter().cloned())
            .collect()
    }

    /// As a command of the standard library.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
    }
}

/// The top of the checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("testkit lives in crates/testkit")
        .to_owned()
}

/// The program `provost-fixture`, built now if it is missing or older than its source.
///
/// Cargo builds the programs of a package only for that package's own tests; tests of the other rooms come here.
///
/// # Panics
/// When it cannot be built.
pub fn fixture_program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            built(
                "provost-testkit",
                "provost-fixture",
                &["crates/testkit/src"],
            )
        })
        .clone()
}

/// The program `provost-wrapper`, which servers and agents run under; built like the fixture.
///
/// # Panics
/// When it cannot be built.
pub fn wrapper_program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let launch = "crates/fleet/src/launch.rs";
            let sources = ["crates/wrapper/src", launch, "crates/fleet/src/exit.rs"];
            built("provost-testkit", "provost-wrapper", &sources)
        })
        .clone()
}

fn built(package: &str, name: &str, sources: &[&str]) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    // A test lives in target/PROFILE/deps/, a program in target/PROFILE/.
    let mut folder = test.parent().expect("a file has a folder").to_owned();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let age = std::fs::metadata(&program).and_then(|m| m.modified()).ok();
    let newest = sources.iter().map(|source| newest(&root().join(source)));
    if age >= newest.max() {
        return program;
    }
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "-p", package, "--bin", name]);
    cargo
        .arg("--target-dir")
        .arg(folder.parent().expect("target/PROFILE has a parent"));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "`{name}` could not be built");
    program
}

/// When something in a folder, or a file, was changed last.
fn newest(path: &Path) -> SystemTime {
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    match std::fs::read_dir(path) {
        Ok(entries) => {
            let inside = entries.flatten().map(|entry| newest(&entry.path()));
            inside.max().unwrap_or(SystemTime::UNIX_EPOCH)
        }
        Err(_) => changed(path).unwrap_or(SystemTime::UNIX_EPOCH),
    }
}

//! The suites, and the harness that plays them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::root;

/// A run that takes longer has gone wrong; a good one takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// All suites, in the order of the table.
pub const SUITES: [Suite; 6] = [
    Suite::new(Side::Server, Revision::Legacy),
    Suite::new(Side::Server, Revision::Modern),
    Suite::new(Side::Process, Revision::Legacy),
    Suite::new(Side::Process, Revision::Modern),
    Suite::new(Side::Client, Revision::Legacy),
    Suite::new(Side::Client, Revision::Modern),
];

/// What a revision requires of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suite {
    /// Which side is tested.
    pub side: Side,
    /// Which revision of the protocol.
    pub revision: Revision,
}

/// Which side is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The harness is the client.
    Server,
    /// The harness is the client, and behind the gateway the server is a child process that speaks over stdio.
    Process,
    /// The harness is the server.
    Client,
}

/// A revision with a list of requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// What a run said, scenario by scenario.
pub type Outcome = BTreeMap<String, Played>;

/// What a run said about one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Whether the revision requires it, or why it does not count.
    pub standing: Standing,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// Whether a scenario counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The revision requires it.
    Required,
    /// It is played and does not count: an extension, say.
    NotScored(String),
}

/// One check of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What is checked.
    pub id: String,
    /// How it went.
    pub status: Status,
    /// What went wrong.
    #[serde(default)]
    pub error_message: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// As required.
    Success,
    /// Not as required.
    Failure,
    /// Not as recommended.
    Warning,
    /// Only noted.
    Info,
    /// Not applicable.
    Skipped,
}

/// The harness, as `scripts/setup` installs it.
#[derive(Debug, Clone)]
pub struct Harness {
    node: PathBuf,
    package: PathBuf,
}

/// What a run of the harness left behind.
#[derive(Debug)]
struct Results {
    folder: TempDir,
    said: String,
}

/// The list of requirements of a revision, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Requirements {
    server: Vec<String>,
    client: Vec<String>,
    not_scored: Vec<NotScored>,
}

#[derive(Debug, Deserialize)]
struct NotScored {
    scenario: String,
    leg: String,
    reason: String,
}

// === impl Suite ===

impl Suite {
    const fn new(side: Side, revision: Revision) -> Self {
        Self { side, revision }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Server | Side::Client => self.side.word(),
            Side::Process => "process",
        };
        write!(f, "{side} {}", self.revision.word())
    }
}

impl Side {
    /// What the harness calls it.
    pub fn word(self) -> &'static str {
        match self {
            Side::Server | Side::Process => "server",
            Side::Client => "client",
        }
    }
}

impl Revision {
    /// What the protocol calls it.
    pub fn word(self) -> &'static str {
        match self {
            Revision::Legacy => "2025-11-25",
            Revision::Modern => "2026-07-28",
        }
    }
}

// === impl Harness ===

impl Harness {
    /// The harness in `.tools/`.
    ///
    /// # Errors
    /// When `scripts/setup` has not run.
    pub fn installed() -> Result<Self> {
        let tools = root().join(".tools");
        let harness = Self {
            node: tools.join("node/node_modules/node/bin/node"),
            package: tools.join("conformance/node_modules/@modelcontextprotocol/conformance"),
        };
        ensure!(
            harness.node.exists() && harness.package.exists(),
            "the conformance suite is not installed; run `scripts/setup` (`make conformance` does it)"
        );
        Ok(harness)
    }

    /// Plays a suite. `subject` is the URL of a server, or the command of a client.
    ///
    /// # Errors
    /// When the harness does not come to an end, or leaves a scenario out.
    pub async fn play(&self, suite: Suite, subject: &str) -> Result<Outcome> {
        let chosen = ["--requirements", suite.revision.word()];
        let results = self.run(suite, subject, &chosen).await?;
        collect(suite, &results, self.requirements(suite)?)
    }

    /// Plays some scenarios of a suite, one after the other: the harness starts all clients of a suite at once, and for
    /// those that bring a gateway along that is too much for a small machine.
    ///
    /// # Errors
    /// As [`Self::play`].
    pub async fn play_each(
        &self,
        suite: Suite,
        subject: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::new();
        for (scenario, standing) in self.requirements(suite)? {
            if wanted(&scenario) {
                let chosen = [
                    "--scenario",
                    &scenario,
                    "--spec-version",
                    suite.revision.word(),
                ];
                let results = self.run(suite, subject, &chosen).await?;
                outcome.extend(collect(suite, &results, vec![(scenario, standing)])?);
            }
        }
        Ok(outcome)
    }

    async fn run(&self, suite: Suite, subject: &str, chosen: &[&str]) -> Result<Results> {
        let folder = tempfile::tempdir()?;
        let option = match suite.side {
            Side::Server | Side::Process => "--url",
            Side::Client => "--command",
        };
        let mut command = Command::new(&self.node);
        command.arg(self.package.join("dist/index.js"));
        command
            .args([suite.side.word(), option, subject])
            .args(chosen);
        command.arg("-o").arg(folder.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let run = tokio::time::timeout(PATIENCE, command.output());
        let output = run.await.context("the harness never came to an end")??;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok(Results { folder, said })
    }

    fn requirements(&self, suite: Suite) -> Result<Vec<(String, Standing)>> {
        let name = format!("requirements/{}.yaml", suite.revision.word());
        let text = std::fs::read_to_string(self.package.join(name))?;
        let all: Requirements = serde_saphyr::from_str(&text)?;
        let required = match suite.side {
            Side::Server | Side::Process => all.server,
            Side::Client => all.client,
        };
        let not_scored = all.not_scored.into_iter();
        let not_scored = not_scored.filter(|entry| entry.leg == suite.side.word());
        Ok(required
            .into_iter()
            .map(|scenario| (scenario, Standing::Required))
            .chain(not_scored.map(|entry| (entry.scenario, Standing::NotScored(entry.reason))))
            .collect())
    }
}

/// What the results say about these scenarios.
fn collect(suite: Suite, results: &Results, scenarios: Vec<(String, Standing)>) -> Result<Outcome> {
    let mut files = BTreeMap::new();
    find(results.folder.path(), results.folder.path(), &mut files)?;
    let prefix = match suite.side {
        Side::Server | Side::Process => "server-",
        Side::Client => "",
    };
    let mut outcome = Outcome::new();
    for (scenario, standing) in scenarios {
        let file = files.get(&format!("{prefix}{scenario}"));
        let file = file.with_context(|| {
            format!(
                "no result of the scenario `{scenario}`; the harness said:\n{}",
                results.said
            )
        })?;
        let checks = serde_json::from_slice(&std::fs::read(file)?)?;
        outcome.insert(scenario, Played { standing, checks });
    }
    Ok(outcome)
}

/// Finds `checks.json` of every scenario. The folders are named after scenario and time.
fn find(top: &Path, folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let time = Regex::new(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d+Z$")?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(top, &path, files)?;
        } else if path.ends_with("checks.json") {
            let name = folder.strip_prefix(top)?.to_string_lossy().into_owned();
            files.insert(time.replace(&name, "").into_owned(), path);
        }
    }
    Ok(())
}

//! Comparing two runs of a suite, scenario by scenario and check by check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::suite::{Outcome, Played, Standing, Status, Suite};

/// Scenarios in which a client signs in. The gateway has no sign-in of its own for servers yet, so they are played
/// directly only.
const SIGN_IN: &str = "auth/";

/// A suite, played twice.
#[derive(Debug)]
pub struct Comparison {
    /// Which.
    pub suite: Suite,
    /// Without the gateway.
    pub direct: Outcome,
    /// Through the gateway.
    pub through: Outcome,
}

/// Checks of one scenario that went differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The suite.
    pub suite: Suite,
    /// The scenario.
    pub scenario: String,
    /// The check.
    pub check: String,
    /// How it went without the gateway.
    pub direct: Vec<Status>,
    /// How it went through the gateway.
    pub through: Vec<Status>,
    /// What the harness said about it.
    pub message: String,
    /// Why this is accepted, when it is.
    pub reason: Option<String>,
}

/// Differences that are accepted, each with its reason.
#[derive(Debug, Default)]
pub struct Exceptions(Vec<Exception>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    suite: String,
    scenario: String,
    /// The check, or `*` for all of the scenario.
    check: String,
    reason: String,
}

/// How many checks went well, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Scenarios.
    pub scenarios: usize,
    /// Checks that went well.
    pub passed: usize,
    /// Checks that did not.
    pub failed: usize,
    /// Recommendations that were not followed.
    pub warnings: usize,
}

/// Whether a scenario is about signing in.
pub fn signs_in(scenario: &str) -> bool {
    scenario.starts_with(SIGN_IN)
}

// === impl Comparison ===

impl Comparison {
    /// What went differently, of all scenarios that can be played through the gateway.
    pub fn differences(&self) -> Vec<Difference> {
        let comparable = self.direct.iter().filter(|(name, _)| !signs_in(name));
        comparable
            .flat_map(|(name, direct)| self.differences_of(name, direct))
            .collect()
    }

    fn differences_of(&self, scenario: &str, direct: &Played) -> Vec<Difference> {
        let nothing = Vec::new();
        let through = self.through.get(scenario);
        let through = through.map_or(&nothing, |played| &played.checks);
        let (before, after) = (by_check(&direct.checks), by_check(through));
        let ids: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        ids.into_iter()
            .filter(|id| before.get(id) != after.get(id))
            // What is only noted is the suite's log of what passed by, and no check.
            .filter(|id| !only_noted(before.get(id)) || !only_noted(after.get(id)))
            .map(|id| {
                let messages = through.iter().filter(|check| check.id == id);
                let messages = messages.filter_map(|check| check.error_message.clone());
                Difference {
                    suite: self.suite,
                    scenario: scenario.to_owned(),
                    check: id.to_owned(),
                    direct: before.get(id).cloned().unwrap_or_default(),
                    through: after.get(id).cloned().unwrap_or_default(),
                    message: messages.collect::<Vec<_>>().join("; "),
                    reason: None,
                }
            })
            .collect()
    }

    /// Required scenarios with a failure, without the gateway.
    pub fn required_failures(&self) -> Vec<&str> {
        let failing = self.direct.iter().filter(|(_, played)| {
            played.standing == Standing::Required
                && played
                    .checks
                    .iter()
                    .any(|check| check.status == Status::Failure)
        });
        failing.map(|(name, _)| name.as_str()).collect()
    }
}

fn only_noted(statuses: Option<&Vec<Status>>) -> bool {
    statuses.is_none_or(|all| all.iter().all(|status| *status == Status::Info))
}

/// How each check went, in no particular order: a check may be made several times.
fn by_check(checks: &[super::suite::Check]) -> BTreeMap<&str, Vec<Status>> {
    let mut all: BTreeMap<&str, Vec<Status>> = BTreeMap::new();
    for check in checks {
        all.entry(&check.id).or_default().push(check.status);
    }
    for statuses in all.values_mut() {
        statuses.sort();
    }
    all
}

// === impl Count ===

impl Count {
    /// Counts what is played of an outcome.
    pub fn of<'a>(played: impl IntoIterator<Item = &'a Played>) -> Self {
        let mut count = Count::default();
        for scenario in played {
            count.scenarios += 1;
            for check in &scenario.checks {
                match check.status {
                    Status::Success => count.passed += 1,
                    Status::Failure => count.failed += 1,
                    Status::Warning => count.warnings += 1,
                    Status::Info | Status::Skipped => {}
                }
            }
        }
        count
    }
}

// === impl Exceptions ===

impl Exceptions {
    /// Reads the checked-in list.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the list of exceptions `{}`", file.display()))?;
        Ok(Self(serde_json::from_str(&text)?))
    }

    /// Gives the differences their reasons, and returns the exceptions among those suites that are not needed any more.
    pub fn explain(&self, differences: &mut [Difference], suites: &[Suite]) -> Vec<String> {
        let mut stale = Vec::new();
        for exception in &self.0 {
            let mut used = !suites
                .iter()
                .any(|suite| suite.to_string() == exception.suite);
            for difference in differences.iter_mut().filter(|it| exception.covers(it)) {
                difference.reason = Some(exception.reason.clone());
                used = true;
            }
            if !used {
                let Exception {
                    suite,
                    scenario,
                    check,
                    ..
                } = exception;
                stale.push(format!("{suite}: {scenario}: {check}"));
            }
        }
        stale
    }
}

impl Exception {
    fn covers(&self, difference: &Difference) -> bool {
        self.suite == difference.suite.to_string()
            && (self.scenario == difference.scenario || self.scenario == "*")
            && (self.check == difference.check || self.check == "*")
    }
}

//! Tests of a policy: calls at simulated times and the decisions expected.
//!
//! A file of cases is YAML. Time begins at midnight UTC and moves only by `at`
//! and `every`; every suite begins with empty counters.
//!
//! ```yaml
//! cases:                       # or `suites:`, a list of {name, cases}
//!   - tool: spawn
//!     args: {role: specialist}
//!     times: 10                # so many calls in a row; each must do the same
//!     expect: allow
//!   - name: the eleventh has to wait
//!     at: 20s                  # since the suite began; default: when the last call happened
//!     tool: spawn
//!     expect: deny
//!     rule: /tools/spawn/limits/spawn_rate
//!     retry_after: 40s
//! ```
//!
//! | key | meaning |
//! | --- | --- |
//! | `name` | for the report |
//! | `at` | when, since the suite began: `0s`, `61s`, `2m30s`, `1h`, `500ms`; never earlier than the case before |
//! | `tool` or `method` | the tool called, or another method of the protocol such as `resources/read` |
//! | `args` | the arguments, a map; default: none |
//! | `times`, `every` | so many calls (default 1), so far apart (default `0s`) |
//! | `grant`, `session` | who calls; default: one grant and no session |
//! | `lasts` | how long each call is in flight (default `0s`), for `concurrent` limits |
//! | `outcome` | how it ends: `ok` (default), `failed` (the upstream answers with an error) or `not_sent` |
//! | `approved` | with `expect: ask`: `true` when a person says yes and the call goes on |
//! | `expect` | `allow`, `deny` or `ask`; required |
//! | `rule` | the id of the rule that decides |
//! | `message` | a part of the message the agent reads |
//! | `retry_after` | how long the agent is told to wait |

mod read;
mod run;

use std::fmt;

use serde::Serialize;

pub use read::KEYS;
pub use run::run;

/// How a file of cases went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The suites, in the order of the file.
    pub suites: Vec<SuiteReport>,
}

/// How one suite went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuiteReport {
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its cases, in order.
    pub cases: Vec<CaseReport>,
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The line it begins at.
    pub line: u32,
    /// Its name, or what it calls.
    pub name: String,
    /// The first difference from what was expected; none when it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A mistake in a file of cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}: {message}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct CaseError {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What may be written instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

// === impl Report ===

impl Report {
    /// Whether every case passed.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// How many cases there are.
    pub fn total(&self) -> usize {
        self.suites.iter().map(|suite| suite.cases.len()).sum()
    }

    /// How many cases failed.
    pub fn failed(&self) -> usize {
        let cases = self.suites.iter().flat_map(|suite| &suite.cases);
        cases.filter(|case| case.failure.is_some()).count()
    }
}

/// One line a case, and the reason below each that failed.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for suite in &self.suites {
            if let Some(name) = &suite.name {
                writeln!(f, "{name}")?;
            }
            for case in &suite.cases {
                let word = if case.failure.is_some() {
                    "FAIL"
                } else {
                    "ok  "
                };
                writeln!(f, "{word} line {}: {}", case.line, case.name)?;
                if let Some(failure) = &case.failure {
                    writeln!(f, "       {failure}")?;
                }
            }
        }
        write!(f, "{} cases, {} failed", self.total(), self.failed())
    }
}

#[cfg(test)]
mod tests;

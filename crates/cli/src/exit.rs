//! Exit codes: the one table that scripts may rely on.

use serde::{Deserialize, Serialize};

/// What kind of ending a command had; scripts see it as the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// 1: the request was understood and refused, or a check failed.
    Refused,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: a thing that was named does not exist.
    NotFound,
    /// 4: it exists already, or somebody else holds it.
    Conflict,
    /// 5: a daemon, a server, a disk or a file cannot be reached.
    Unavailable,
    /// 6: stored data is damaged.
    Damaged,
    /// 70: a defect of Provost itself.
    Internal,
}

impl Kind {
    /// The exit code of this kind.
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Conflict => 4,
            Kind::Unavailable => 5,
            Kind::Damaged => 6,
            Kind::Internal => 70,
        }
    }

    /// The word for this kind in `--json` errors.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Refused => "refused",
            Kind::Usage => "usage",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Unavailable => "unavailable",
            Kind::Damaged => "damaged",
            Kind::Internal => "internal",
        }
    }
}

/// The table as `provost --help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
  0   done
  1   refused, or a check failed
  2   wrong command line or configuration
  3   not found
  4   exists already, or is held by another process
  5   a daemon, server, file or disk cannot be reached
  6   stored data is damaged
  70  a defect of Provost itself";

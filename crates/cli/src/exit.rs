//! Exit codes: the one table that scripts may rely on.

use provost_admin::FailureKind;

/// The exit code of this kind of failure.
pub(crate) fn code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Refused => 1,
        FailureKind::Usage => 2,
        FailureKind::NotFound => 3,
        FailureKind::Conflict => 4,
        FailureKind::Unavailable => 5,
        FailureKind::Damaged => 6,
        FailureKind::Internal => 70,
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

//! The store's errors as failures: which exit code each one means, in one place.

use std::path::Path;

use provost_store::{BackupError, ChangeError, OpenError, RestoreError, StoreError};

use crate::{Failure, FailureKind as Kind};

impl From<ChangeError> for Failure {
    /// A change or a question was refused.
    fn from(error: ChangeError) -> Self {
        let kind = match &error {
            ChangeError::NoServer { .. }
            | ChangeError::NoPolicy { .. }
            | ChangeError::NoVersion { .. }
            | ChangeError::NoGrant { .. } => Kind::NotFound,
            ChangeError::ServerExists { .. }
            | ChangeError::PolicyInUse { .. }
            | ChangeError::GrantExists { .. } => Kind::Conflict,
            ChangeError::Builtin { .. }
            | ChangeError::Name { .. }
            | ChangeError::LabelLength { .. }
            | ChangeError::Expired
            | ChangeError::GrantUnclear { .. } => Kind::Usage,
            ChangeError::PolicyRefused { .. } => Kind::Refused,
            ChangeError::Differs { .. } => Kind::Damaged,
            ChangeError::Store(inner) => return inner.into(),
        };
        if let ChangeError::PolicyRefused { name, problems } = error {
            return problems.into_iter().fold(
                Failure::refused(format!("policy `{name}` was refused")),
                Failure::because,
            );
        }
        let failure = Failure::new(kind, error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<&StoreError> for Failure {
    /// The store failed.
    fn from(error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Sealed(_) | StoreError::Unexpected(_) | StoreError::DatabaseDamaged(_) => {
                Kind::Damaged
            }
            StoreError::NoRandomness => Kind::Internal,
            StoreError::Database(_)
            | StoreError::Read(_)
            | StoreError::Journal(_)
            | StoreError::KeyFile(_)
            | StoreError::Export(_) => Kind::Unavailable,
        };
        let failure =
            Failure::new(kind, "the stored data could not be read or written").because(error);
        match error {
        StoreError::Sealed(_) => failure
            .hint("the key file may belong to another data directory; `provost doctor` checks it"),
        StoreError::Journal(_) => failure.hint(
            "is the disk full? without the journal nothing is changed and no call is forwarded",
        ),
        StoreError::DatabaseDamaged(_) => failure.hint(
            "stop the daemon and restore a backup with `provost restore`; `provost audit verify` says more",
        ),
        StoreError::Database(_)
        | StoreError::Read(_)
        | StoreError::KeyFile(_)
        | StoreError::Export(_)
        | StoreError::NoRandomness
        | StoreError::Unexpected(_) => failure.hint("`provost doctor` checks disk and files"),
    }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

/// The store was not opened.
pub(crate) fn open_failure(error: &OpenError, data: &Path) -> Failure {
    let kind = match error {
        OpenError::Locked { .. } => Kind::Conflict,
        OpenError::Newer { .. }
        | OpenError::UnknownEntry { .. }
        | OpenError::KeyMode { .. }
        | OpenError::KeyOwner { .. } => Kind::Refused,
        OpenError::KeyMissing { .. }
        | OpenError::KeyFormat { .. }
        | OpenError::HistoryMissing { .. }
        | OpenError::DatabaseDamaged { .. } => Kind::Damaged,
        OpenError::Io { .. } | OpenError::Database { .. } => Kind::Unavailable,
        OpenError::Store(inner) => return inner.into(),
    };
    let failure = Failure::new(
        kind,
        format!("cannot open data directory `{}`", data.display()),
    )
    .because(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None if matches!(error, OpenError::Database { .. }) => {
            failure.hint("is another program using the database? is the disk full?")
        }
        None => failure.hint("`provost doctor` checks disk and files"),
    }
}

impl From<BackupError> for Failure {
    /// No archive was written.
    fn from(error: BackupError) -> Self {
        match &error {
            BackupError::Io { source, .. }
                if source.kind() == std::io::ErrorKind::AlreadyExists =>
            {
                Failure::conflict("the archive exists already")
                    .because(error)
                    .hint("archives are never overwritten; choose another name")
            }
            BackupError::Io { .. } => Failure::unavailable("no archive was written").because(error),
            BackupError::Unsound { .. } => {
                Failure::new(Kind::Damaged, "the archive that was written is damaged")
                    .because(error)
            }
            BackupError::Store(inner) => inner.into(),
        }
    }
}

impl From<RestoreError> for Failure {
    /// Nothing was restored.
    fn from(error: RestoreError) -> Self {
        let (kind, hint) = match &error {
            RestoreError::NotEmpty { .. } => (
                Kind::Conflict,
                "`--replace` moves what is there into another directory first",
            ),
            RestoreError::Unsound { .. } => {
                (Kind::Damaged, "use another archive; nothing was changed")
            }
            RestoreError::KeyMissing { .. } => (
                Kind::NotFound,
                "put the key file of that data directory back first, or use a backup made `--with-key`",
            ),
            RestoreError::OtherKey { .. } => (
                Kind::Conflict,
                "name another configuration directory with `--config-dir`",
            ),
            RestoreError::Unverified { .. } => (
                Kind::Refused,
                "`--unverified` restores it anyway; whoever could write the file may have put grants, policies and records of their own into it",
            ),
            RestoreError::Key(_) => (Kind::Refused, "`provost doctor` checks the key file"),
            RestoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                (Kind::NotFound, "is the path right?")
            }
            RestoreError::Io { .. } => {
                (Kind::Unavailable, "`provost doctor` checks disk and files")
            }
        };
        Failure::new(kind, "nothing was restored")
            .because(error)
            .hint(hint)
    }
}

/// What needs a daemon was asked for where none runs.
#[must_use]
pub fn no_daemon(data: &Path) -> Failure {
    Failure::unavailable(format!("no daemon runs on `{}`", data.display()))
        .hint("`run` and `connect` start one by themselves; `provost up` starts one for HTTP")
}

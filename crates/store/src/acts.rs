//! Every administrative act there is. Each leaves an entry in the journal with
//! who did it; one that is not here cannot be done.

/// What somebody did to the store or the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A server was added.
    ServerAdd,
    /// A server was changed.
    ServerSet,
    /// A server was removed.
    ServerRemove,
    /// A policy got a text.
    PolicyPut,
    /// A policy got the text of an older version.
    PolicyRollback,
    /// A policy was deleted.
    PolicyDelete,
    /// A grant was minted.
    GrantMint,
    /// A grant got a new token.
    GrantRotate,
    /// A grant's token was shown.
    GrantReveal,
    /// A grant was revoked.
    GrantRevoke,
    /// A grant's policies were replaced.
    GrantAttach,
    /// A grant's end was set.
    GrantExpire,
    /// Grants that were revoked long ago were forgotten.
    GrantPurge,
    /// Entries of runs that nobody uses any more were removed.
    RunClear,
    /// The keys were rotated.
    KeyRotate,
    /// Old segments and records were removed.
    AuditPrune,
    /// A backup was written.
    Backup,
    /// A backup was written that carries the key.
    BackupWithKey,
    /// The directory was restored from a backup.
    Restore,
    /// An older database was brought up to date.
    DatabaseUpdate,
    /// Segments of an older format were found.
    JournalFormat,
    /// The daemon opened its listener.
    DaemonListen,
    /// The daemon was told to stop, or had a reason of its own to.
    DaemonEnd,
}

/// Who makes a change; it is recorded with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub String);

// === impl Actor ===

impl Actor {
    /// Names who makes a change.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

// === impl Act ===

impl Act {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::ServerAdd,
        Self::ServerSet,
        Self::ServerRemove,
        Self::PolicyPut,
        Self::PolicyRollback,
        Self::PolicyDelete,
        Self::GrantMint,
        Self::GrantRotate,
        Self::GrantReveal,
        Self::GrantRevoke,
        Self::GrantAttach,
        Self::GrantExpire,
        Self::GrantPurge,
        Self::RunClear,
        Self::KeyRotate,
        Self::AuditPrune,
        Self::Backup,
        Self::BackupWithKey,
        Self::Restore,
        Self::DatabaseUpdate,
        Self::JournalFormat,
        Self::DaemonListen,
        Self::DaemonEnd,
    ];

    /// Its name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerAdd => "server.add",
            Self::ServerSet => "server.set",
            Self::ServerRemove => "server.remove",
            Self::PolicyPut => "policy.put",
            Self::PolicyRollback => "policy.rollback",
            Self::PolicyDelete => "policy.delete",
            Self::GrantMint => "grant.mint",
            Self::GrantRotate => "grant.rotate",
            Self::GrantReveal => "grant.reveal",
            Self::GrantRevoke => "grant.revoke",
            Self::GrantAttach => "grant.attach",
            Self::GrantExpire => "grant.expire",
            Self::GrantPurge => "grant.purge",
            Self::RunClear => "run.clear",
            Self::KeyRotate => "key.rotate",
            Self::AuditPrune => "audit.prune",
            Self::Backup => "backup",
            Self::BackupWithKey => "backup.with-key",
            Self::Restore => "restore",
            Self::DatabaseUpdate => "database.update",
            Self::JournalFormat => "journal.format",
            Self::DaemonListen => "daemon.listen",
            Self::DaemonEnd => "daemon.end",
        }
    }
}

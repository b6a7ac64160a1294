//! Every administrative act there is. Each leaves an entry in the journal with
//! who did it; one that is not here cannot be done.

use crate::words::words;

words! {
    /// What somebody did to the store or the daemon.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Act with name {
        /// A server was added.
        ServerAdd = "server.add",
        /// A server was changed.
        ServerSet = "server.set",
        /// A server was removed.
        ServerRemove = "server.remove",
        /// A policy got a text.
        PolicyPut = "policy.put",
        /// A policy got the text of an older version.
        PolicyRollback = "policy.rollback",
        /// A policy was deleted.
        PolicyDelete = "policy.delete",
        /// A grant was minted.
        GrantMint = "grant.mint",
        /// A grant got a new token.
        GrantRotate = "grant.rotate",
        /// A grant's token was shown.
        GrantReveal = "grant.reveal",
        /// A grant was revoked.
        GrantRevoke = "grant.revoke",
        /// A grant's policies were replaced.
        GrantAttach = "grant.attach",
        /// A grant's end was set.
        GrantExpire = "grant.expire",
        /// Grants that were revoked long ago were forgotten.
        GrantPurge = "grant.purge",
        /// Entries of runs that nobody uses any more were removed.
        RunClear = "run.clear",
        /// The keys were rotated.
        KeyRotate = "key.rotate",
        /// Old segments and records were removed.
        AuditPrune = "audit.prune",
        /// A backup was written.
        Backup = "backup",
        /// A backup was written that carries the key.
        BackupWithKey = "backup.with-key",
        /// The directory was restored from a backup.
        Restore = "restore",
        /// An older database was brought up to date.
        DatabaseUpdate = "database.update",
        /// Segments of an older format were found.
        JournalFormat = "journal.format",
        /// The daemon opened its listener.
        DaemonListen = "daemon.listen",
        /// The daemon was told to stop, or had a reason of its own to.
        DaemonEnd = "daemon.end",
    }
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

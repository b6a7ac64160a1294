//! Remember: the journal, and the only room with SQL.
//!
//! [`Store::open`] takes one data directory for one process. Its [`Journal`]
//! is the only part on the path of a call; everything else may take a lock
//! or wait for the disk.

mod acts;
mod audit;
mod backup;
mod change;
mod checkpoint;
mod clock;
mod continued;
mod control;
mod damage;
mod database;
mod directory;
mod error;
pub mod fleet;
mod fold;
mod follow;
mod grants;
mod guard;
mod ids;
mod journal;
mod keys;
mod locations;
mod lock;
mod names;
mod open;
mod policies;
mod private;
mod records;
mod runs;
mod seal;
mod sealed;
mod secret;
mod servers;
mod store;
mod timeline;
mod words;

pub use acts::{Act, Actor};
pub use audit::{ExportFormat, Head, HeadError, Pruned, Verified};
pub use backup::{
    BackupError, BackupReport, Ended, Lost, RestoreError, RestoreReport, Revived, Trust, Undone,
    WithKey, compare, restore,
};
pub use clock::Clock;
pub use continued::WentOn;
pub use damage::{Damage, DamageKind};
pub use directory::{
    Directory, Grant, PolicyVersion, Processes, Server, TokenHash, Touched, Transport, Unreadable,
    hash_token,
};
pub use error::{ChangeError, OpenError, StoreError};
pub use follow::Following;
pub use grants::{Attachment, GrantView, Minted, NewGrant};
pub use ids::{CallId, GrantId, ServerId};
pub use journal::{
    AdminAct, Decision, Entry, Intent, Journal, JournalError, Outcome, Position, Refund, Refused,
    Shadow, Status,
};
pub use locations::Locations;
pub use policies::{Deletion, PolicyPut};
pub use records::{Filter, Order, Record, ShadowRecord, Tally};
pub use sealed::SealedPairs;
pub use secret::Secret;
pub use servers::{NewServer, RemovedServer, ServerChange};
pub use store::{OpenReport, Store};

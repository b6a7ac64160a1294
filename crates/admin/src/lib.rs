//! Administration: every act is defined, allowed, executed and recorded here, whoever asks.
//!
//! A request is a struct whose [`Request::Answer`] is the type of its answer; [`Administration`]
//! holds it against the role of the [`Actor`] and executes it on the store. What only a running
//! daemon can do goes through the trait [`Daemon`]. Nothing here listens, prints or reads the
//! environment, and everything may block: whoever asks gives it a thread.

mod actor;
mod administration;
mod answer;
mod audit;
mod daemon;
mod failure;
mod grants;
mod inspect;
mod keeping;
mod opening;
mod page;
mod patience;
mod policies;
mod records;
mod refusal;
mod request;
mod restore;
mod running;
mod servers;
mod time;
mod trouble;
mod wire_secret;

pub use actor::{Actor, ActorKind, Role};
pub use administration::Administration;
pub use answer::restore;
pub use audit::{AuditExport, AuditHead, AuditVerify, AuditView, ExportFormat};
pub use daemon::{
    ArgumentView, Daemon, DaemonStatus, JournalStanding, LastMinute, Limits, Listen, Listener,
    Load, Metrics, Overview, OverviewView, ServerStanding, Status, Stop, TestServer, ToolView,
    Upstream,
};
pub use failure::{Failure, FailureKind, Outcome};
pub use grants::{
    GrantList, GrantMint, GrantName, GrantReveal, GrantRevoke, GrantRotate, GrantState, GrantView,
    Minted, Observe, PolicyAttach, PolicyDetach, Shadow,
};
pub use inspect::{Inspect, Inspection};
pub use keeping::{Backup, BackupView, KeyRotate, KeyView};
pub use opening::{open, open_for, open_now};
pub use page::{PAGE, Page, Paging};
pub use patience::{PATIENCE, wait_a_moment};
pub use policies::{
    PolicyDelete, PolicyHistory, PolicyList, PolicyPut, PolicyRollback, PolicyShow, PolicyView,
    VersionView,
};
pub use records::{CallStatus, Decision, Followed, Log, Record, Sequence};
pub use refusal::no_daemon;
pub use request::{AnyRequest, Listing, Reply, Request, RequestKind};
pub use restore::{Ended, Lost, Restoration, Restore, Restored, Revived, START_LOCK};
pub use servers::{
    ServerAdd, ServerList, ServerRemove, ServerSet, ServerShow, ServerView, Transport, furnish,
    stored_http,
};
pub use time::{Micros, Time, micros};
pub use trouble::Trouble;
pub use wire_secret::WireSecret;

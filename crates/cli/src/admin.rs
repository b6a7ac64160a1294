//! Administration: one list of requests, executed by one function, here or in the daemon.

mod client;
mod execute;
mod refusal;
mod request;
mod response;
mod restore;
mod wire_secret;

pub(crate) use client::{Admin, connect, connect_admin, get, post, send};
pub(crate) use execute::{PAGE, execute, select, stored_http};
pub(crate) use refusal::{change_failure, open_failure, restore_failure, store_failure};
pub(crate) use request::{
    AuditFormat, Control, GrantName, LogQuery, Observe, Reply, Request, Shadow, Transport,
};
pub(crate) use response::{
    ArgumentView, AuditView, DaemonStatus, GrantState, GrantView, Inspection, JournalStanding,
    LastMinute, Load, Minted, Overview, PolicyView, RecordView, Response, ServerStanding,
    ServerView, ShadowView, ToolView, Trouble, Upstream, VersionView,
};
pub(crate) use restore::{Restoration, Restored, restore};
pub(crate) use wire_secret::WireSecret;

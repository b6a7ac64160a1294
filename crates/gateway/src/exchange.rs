//! The exchange of messages between an agent and its server, there and back.

mod answered;
pub(crate) mod discovery;
pub(crate) mod ending;
pub(crate) mod filter;
pub(crate) mod inbound;
pub(crate) mod inbox;
pub(crate) mod probe;
mod processes;
pub(crate) mod questions;
pub(crate) mod relay;
mod reopen;
pub(crate) mod responder;
pub(crate) mod route;
pub(crate) mod stream;

//! The exchange of messages between an agent and its server, there and back.

pub(crate) mod discovery;
pub(crate) mod ending;
pub(crate) mod filter;
pub(crate) mod inbound;
pub(crate) mod inbox;
pub(crate) mod outlet;
pub(crate) mod probe;
pub(crate) mod relay;
pub(crate) mod route;
pub(crate) mod stream;

//! What is open between an agent and its server.

pub(crate) mod arrangements;
pub(crate) mod pending;
pub(crate) mod room;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod streams;

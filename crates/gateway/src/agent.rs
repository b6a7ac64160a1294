//! What is open between an agent and its server.

pub(crate) mod session;

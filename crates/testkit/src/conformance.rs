//! The conformance suite of the protocol's authors, and both ends it needs: a server and a client with everything its
//! scenarios ask for, on rmcp.
#![allow(
    deprecated,
    reason = "the scenarios of the legacy era call what the modern era has dropped"
)]

pub mod client;
pub mod server;

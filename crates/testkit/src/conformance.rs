//! The conformance suite of the protocol's authors, and both ends it needs: a server and a client with everything its
//! scenarios ask for, on rmcp. [`run`] plays it directly and through the gateway, [`report`] writes down what it said.
#![allow(
    deprecated,
    reason = "the scenarios of the legacy era call what the modern era has dropped"
)]

pub mod client;
pub mod compare;
pub mod forward;
pub mod report;
pub mod run;
pub mod server;
pub mod suite;

//! What the process has to work with, and how much of it is taken: settings, threads, sockets, memory, counts.

pub(crate) mod budget;
pub(crate) mod deadline;
pub(crate) mod machine;
pub(crate) mod metrics;
pub(crate) mod random;
pub(crate) mod rate_limit;
pub(crate) mod settings;
pub(crate) mod socket;
pub(crate) mod threads;
pub(crate) mod tls;
pub(crate) mod unidentified;

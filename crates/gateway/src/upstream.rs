//! The servers behind the gateway. A closed set: HTTP, and child processes.

mod allowance;
pub(crate) mod builtin;
pub(crate) mod child;
pub(crate) mod children;
pub(crate) mod connections;
mod events;
mod exchange;
pub(crate) mod http;
mod lines;
pub(crate) mod native;
pub(crate) mod process;
pub(crate) mod spec;
mod starts;
mod stderr;
mod witness;

use std::sync::Arc;

pub(crate) use builtin::Builtin;
pub(crate) use child::ProcessEnd;
pub(crate) use children::{Children, Use};
pub(crate) use events::Events;
pub(crate) use exchange::Exchange;
pub(crate) use http::HttpUpstream;
pub(crate) use lines::Lines;
pub(crate) use spec::{ChildBounds, ChildSpec, Holder, ProcessKey};
pub(crate) use starts::LONGEST_PAUSE;
pub(crate) use witness::{Witness, end_in_brief, end_in_words};

/// How one server is reached.
#[derive(Clone)]
pub(crate) enum Upstream {
    /// Streamable HTTP.
    Http(Arc<HttpUpstream>),
    /// A child process that speaks over its standard input and output.
    Stdio(Arc<ChildSpec>),
    /// A part of the daemon.
    Builtin(Arc<dyn Builtin>),
}

//! Where agents connect: streamable HTTP and stdio.

pub(crate) mod body;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod listener;
pub(crate) mod recorded;
mod response;
pub(crate) mod stdio;
pub(crate) mod stream;

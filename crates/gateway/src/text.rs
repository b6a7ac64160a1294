//! The bytes of messages: how they are framed, read strictly and replaced in part, and the tables of what the protocol knows.

pub(crate) mod asking;
pub(crate) mod brief;
pub(crate) mod client;
pub(crate) mod envelope;
pub(crate) mod era;
pub(crate) mod headers;
pub(crate) mod lines;
pub(crate) mod meta;
pub(crate) mod native;
pub(crate) mod protocol;
pub(crate) mod splice;
pub(crate) mod sse;

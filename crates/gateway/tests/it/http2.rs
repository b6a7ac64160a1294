//! HTTP/2 on both sides: the same answers as over HTTP/1.1, one connection for
//! many, and bounds for those who would use that.

mod agents;
mod frames;
mod front;
mod upstreams;

//! Given a call, policies and counts, decide. No I/O, no clock, no async.

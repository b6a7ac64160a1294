//! The agent's side of the agent socket: hello, then JSON-RPC lines in both directions.

mod conversation;
mod hello;
mod lines;
mod pump;
mod session;
mod watch;

pub(crate) use hello::{Child, Hello, MAX_LINE, RunHello, RunUpstream, Welcome, read_line};
pub(crate) use pump::{Ending, pump};
pub(crate) use session::{Sessions, TokenSource, ask};
pub(crate) use watch::{PolicyWatch, Saved};

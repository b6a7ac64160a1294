//! The demonstration, and the small server it plays with.
//!
//! Everything in it is real: the program's own commands on a scratch directory, a client of an MCP
//! library, a `kill -9`. It prints nothing and finds nothing: it is told what to play with, and
//! hands out [`Step`]s.

mod agent;
mod sample;
mod stage;
mod step;
mod story;

pub use sample::serve as serve_sample;
pub use stage::{FileServer, Setting};
pub use step::{Step, StepKind};
pub use story::run;

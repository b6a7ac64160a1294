//! `provost key`.

use super::Context;
use crate::admin::{Request, Response};
use crate::failure::Outcome;

/// Look after the key that seals secrets
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Key {
    /// Make a new key and seal all secrets with it; old segments of the journal keep theirs
    #[command(after_help = "\
Example:
  provost key rotate

Back up the key file afterwards: what is sealed with the new key cannot be read with the old one.")]
    Rotate,
}

// === impl Key ===

impl Key {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Key::Rotate => match context.admin()?.ask(Request::KeyRotate)? {
                Response::Key(key) => context.output.show(&key, |out| {
                    writeln!(out, "key version {} seals from now on", key.version)
                }),
                other => Err(super::unexpected(&other)),
            },
        }
    }
}

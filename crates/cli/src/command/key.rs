//! `provost key`.

use provost_admin::KeyRotate;

use crate::context::Context;
use crate::failure::Outcome;

/// Replace the key that encrypts secrets
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Key {
    /// Make a new key and seal all secrets with it; old segments of the journal keep theirs
    #[command(after_help = "\
Example:
  provost key rotate

Back up the key file afterwards: what is sealed with the new key cannot be read
with the old one.")]
    Rotate,
}

// === impl Key ===

impl Key {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        match self {
            Key::Rotate => {
                let key = context.admin()?.ask(KeyRotate {})?;
                context.output.show(&key, |out| {
                    writeln!(
                        out,
                        "secrets are sealed with key version {} from now on",
                        key.version
                    )
                })
            }
        }
    }
}

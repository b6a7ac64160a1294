//! What deserves a look.

use serde::{Deserialize, Serialize};

/// Something that `status` or `doctor` points out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// Whether it is broken, or only deserves a look.
    pub broken: bool,
    /// What it is about.
    pub about: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

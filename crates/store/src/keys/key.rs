//! One key.

use zeroize::Zeroizing;

use crate::ids::{NoRandomness, random};

/// One key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) version: u32,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

// === impl Key ===

impl Key {
    pub(super) fn random(version: u32) -> Result<Self, NoRandomness> {
        Ok(Self {
            version,
            bytes: Zeroizing::new(random()?),
        })
    }
}

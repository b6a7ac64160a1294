//! A secret on its way over the admin socket, which only this user can open.

use std::fmt;

use provost_store::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Wraps a [`Secret`] so that it can be sent, but still not printed.
#[derive(Clone)]
pub struct WireSecret(pub Secret);

// === impl WireSecret ===

impl fmt::Debug for WireSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for WireSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for WireSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(WireSecret(Secret::new(String::deserialize(deserializer)?)))
    }
}

//! Secrets at rest: AES-256-GCM, bound to the row they stand in.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use zeroize::Zeroizing;

use crate::ids::random;
use crate::keys::{Key, Keyring};
use crate::{Secret, StoreError};

const NONCE: usize = 12;

/// Where a sealed value stands. Moved to another place, it does not open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The row it belongs to.
    pub(crate) owner: &'a str,
    /// Which kind of secret of that row.
    pub(crate) field: &'a str,
    /// Its name, where there are several.
    pub(crate) name: &'a str,
}

/// A sealed value that does not open, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoesNotOpen(pub(crate) String);

/// Seals `secret` with the newest key: `v<version>:<base64 of nonce and ciphertext>`.
pub(crate) fn seal(
    keys: &Keyring,
    place: Place<'_>,
    secret: &Secret,
) -> Result<String, StoreError> {
    let key = keys
        .newest_seal()
        .ok_or_else(|| StoreError::Sealed("there is no key".to_owned()))?;
    let nonce: [u8; NONCE] = random()?;
    let payload = Payload {
        msg: secret.expose().as_bytes(),
        aad: &place.bound(),
    };
    let sealed = cipher(&key)?
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| StoreError::Sealed("it could not be sealed".to_owned()))?;
    let mut bytes = nonce.to_vec();
    bytes.extend_from_slice(&sealed);
    Ok(format!(
        "v{}:{}",
        key.version,
        BASE64_STANDARD_NO_PAD.encode(bytes)
    ))
}

/// Opens what [`seal`] made, with the key it names; tells why it does not open.
pub(crate) fn unseal(keys: &Keyring, place: Place<'_>, text: &str) -> Result<Secret, DoesNotOpen> {
    let broken = |why: &str| DoesNotOpen(why.to_owned());
    let version = sealed_version(text).ok_or_else(|| broken("it names no key"))?;
    let key = keys
        .seal(version)
        .ok_or_else(|| broken(&format!("key {version} is not in the key file")))?;
    let (_, bytes) = text
        .split_once(':')
        .ok_or_else(|| broken("it names no key"))?;
    let bytes = BASE64_STANDARD_NO_PAD
        .decode(bytes)
        .map_err(|_| broken("it is not base64"))?;
    let (nonce, sealed) = bytes
        .split_first_chunk::<NONCE>()
        .ok_or_else(|| broken("it is too short"))?;
    let payload = Payload {
        msg: sealed,
        aad: &place.bound(),
    };
    let plain = cipher(&key)
        .map_err(|_| broken("its key has a wrong length"))?
        .decrypt(&Nonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| broken("it was changed, or belongs elsewhere"))?;
    let plain = std::str::from_utf8(&plain).map_err(|_| broken("it is not text"))?;
    Ok(Secret::new(plain))
}

/// Which key a sealed value names.
pub(crate) fn sealed_version(text: &str) -> Option<u32> {
    text.split_once(':')?.0.strip_prefix('v')?.parse().ok()
}

fn cipher(key: &Key) -> Result<Aes256Gcm, StoreError> {
    Aes256Gcm::new_from_slice(key.bytes.as_slice())
        .map_err(|_| StoreError::Sealed("the key has a wrong length".to_owned()))
}

// === impl DoesNotOpen ===

impl DoesNotOpen {
    /// As an error of the store, with the place it stands in.
    pub(crate) fn at(self, place: Place<'_>) -> StoreError {
        StoreError::Sealed(format!("{} of `{}`: {}", place.field, place.owner, self.0))
    }
}

// === impl Place ===

impl Place<'_> {
    /// The bytes the value is bound to. Lengths come first, so that no two
    /// places give the same bytes.
    fn bound(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.owner, self.field, self.name] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests;

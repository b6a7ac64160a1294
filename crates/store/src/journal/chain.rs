//! The chain: each entry's mac covers the mac before it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::keys::Key;

/// The place of an entry in the chain.
pub(crate) type Mac = [u8; 32];

/// One version of the journal's key, with the key's part of the work done.
#[derive(Clone)]
pub(crate) struct ChainKey {
    pub(crate) version: u32,
    primed: Hmac<Sha256>,
}

/// 32 bytes that are written as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hex(pub(crate) Mac);

// === impl ChainKey ===

impl ChainKey {
    pub(crate) fn new(key: &Key) -> Self {
        // HMAC itself fills a key up to a whole block with zeros.
        let mut block = Zeroizing::new([0; 64]);
        for (place, byte) in block.iter_mut().zip(key.bytes.iter()) {
            *place = *byte;
        }
        Self {
            version: key.version,
            primed: <Hmac<Sha256> as KeyInit>::new((&*block).into()),
        }
    }

    /// The mac of `payload` after `previous`.
    pub(crate) fn link(&self, previous: &Mac, payload: &[u8]) -> Mac {
        let mut mac = self.primed.clone();
        mac.update(previous);
        mac.update(payload);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainKey")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Writes bytes as hexadecimal digits, two for each.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| match value {
        0..10 => b'0' + value,
        _ => b'a' + value - 10,
    };
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    push_hex(&mut text, bytes);
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads 64 lower-case hexadecimal digits.
pub(crate) fn parse_mac(text: &[u8]) -> Option<Mac> {
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut mac = [0; 32];
    for (byte, pair) in mac.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(mac)
}

// === impl Hex ===

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = parse_mac(text.as_bytes());
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

//! Calls that a server continues with questions (2026-07-28, multi round trips).
//!
//! A server that needs an answer first gives the agent a state to come back
//! with. The agent gets it sealed, bound to its grant and to the request: with
//! the seal it continues the same call, once; without it, it makes a new one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provost_policy::Text;
use provost_policy::json::Value;
use provost_store::CallId;
use sha2::{Digest, Sha256};

/// Marks a state as ours.
const PREFIX: &str = "pv1.";
/// How long an agent may take over its answers, in microseconds.
const LIFETIME: u64 = 60 * 60 * 1_000_000;
/// Seals that are remembered as used; further ones are refused until some expire.
const MOST_USED: usize = 100_000;

const NONCE: usize = 12;
const CALL: usize = 16;
const END: usize = 8;

/// Members of `params` that change while a call is continued.
const CHANGING: [&str; 3] = ["inputResponses", "requestState", "_meta"];

/// What is the same in each round of a call: its method and its parameters.
pub(crate) type Fingerprint = [u8; 32];

/// Seals states and opens them again. The key lives as long as the process: what
/// a server has to remember does not outlive its connection either.
pub(crate) struct Seals {
    cipher: Aes256Gcm,
    /// Used seals and when they expire. A std mutex: look-ups and inserts only.
    used: Mutex<HashMap<[u8; NONCE], u64>>,
}

/// What a valid seal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Continued {
    /// The call that is continued.
    pub(crate) call: CallId,
    /// The server's own state as JSON text; none when it gave none.
    pub(crate) state: Option<String>,
    nonce: [u8; NONCE],
    end: u64,
}

/// The fingerprint of a request.
pub(crate) fn fingerprint(method: &str, params: Option<Value<'_>>) -> Fingerprint {
    let mut members: Vec<_> = params
        .iter()
        .flat_map(|params| params.members())
        .map(|member| (member.name(), member.value.raw()))
        .filter(|(name, _)| !CHANGING.contains(&name.as_ref()))
        .collect();
    members.sort_unstable();
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        // With its length, so that no two sequences look alike.
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    };
    add(method);
    for (name, value) in members {
        add(&name);
        add(value);
    }
    hash.finalize().into()
}

// === impl Seals ===

impl Seals {
    /// Seals under a new key; `None` when the system gives no random numbers.
    pub(crate) fn new() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        Some(Self {
            cipher: Aes256Gcm::new(&key.into()),
            used: Mutex::default(),
        })
    }

    /// The state that the agent gets in place of the server's.
    pub(crate) fn seal(
        &self,
        call: CallId,
        state: Option<&str>,
        grant: &Text,
        print: &Fingerprint,
        wall: u64,
    ) -> Option<String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).ok()?;
        let mut said = call.number().to_be_bytes().to_vec();
        said.extend_from_slice(&wall.saturating_add(LIFETIME).to_be_bytes());
        said.extend_from_slice(state.unwrap_or_default().as_bytes());
        let payload = Payload {
            msg: &said,
            aad: &bound(grant, print),
        };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens a state that an agent brought back. `None` when it is not ours, was
    /// changed, is for another grant or another request, has expired or is used.
    pub(crate) fn open(
        &self,
        text: &str,
        grant: &Text,
        print: &Fingerprint,
        wall: u64,
    ) -> Option<Continued> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: sealed,
            aad: &bound(grant, print),
        };
        let said = self.cipher.decrypt(&Nonce::from(*nonce), payload).ok()?;
        let (call, rest) = said.split_first_chunk::<CALL>()?;
        let (end, state) = rest.split_first_chunk::<END>()?;
        let end = u64::from_be_bytes(*end);
        let state = std::str::from_utf8(state).ok()?;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        (wall < end && !used.contains_key(nonce)).then(|| Continued {
            call: CallId::new(u128::from_be_bytes(*call)),
            state: (!state.is_empty()).then(|| state.to_owned()),
            nonce: *nonce,
            end,
        })
    }

    /// Uses a seal up; `false` when somebody was faster.
    pub(crate) fn spend(&self, continued: &Continued, wall: u64) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST_USED {
            used.retain(|_, end| *end > wall);
        }
        used.len() < MOST_USED && used.insert(continued.nonce, continued.end).is_none()
    }
}

fn bound(grant: &Text, print: &Fingerprint) -> Vec<u8> {
    let mut bound = print.to_vec();
    bound.extend_from_slice(grant.as_bytes());
    bound
}

#[cfg(test)]
mod tests;

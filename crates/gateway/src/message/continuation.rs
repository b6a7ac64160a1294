//! Calls that a server continues with questions (2026-07-28, multi round trips).
//!
//! A server that needs an answer first gives the agent a state to come back
//! with. The agent gets it sealed, bound to its grant and to the request: with
//! the seal it continues the same call, once; without it, it makes a new one.
//!
//! Once holds across a restart, too: a seal says how many requests of its call
//! there were, and the journal knows whether there was another one.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provost_policy::Text;
use provost_policy::json::Value;
use provost_store::{CallId, Store, StoreError, WentOn};
use sha2::{Digest, Sha256};

use crate::text::asking::Print;

/// Marks a state as ours.
const PREFIX: &str = "pv1.";
/// How long an agent may take over its answers, in microseconds.
const LIFETIME: u64 = 60 * 60 * 1_000_000;
/// Seals of one grant that are remembered as used; further ones are refused until
/// some expire.
const MOST_USED: usize = 10_000;

/// A start waits for what continues in a journal of so many bytes.
const FEW_ENTRIES: u64 = 1 << 20;

const NONCE: usize = 12;
const CALL: usize = 16;
const ROUND: usize = 4;
const END: usize = 8;

/// Members of `params` that change while a call is continued.
const CHANGING: [&str; 3] = ["inputResponses", "requestState", "_meta"];

/// What is the same in each round of a call: its method and its parameters.
pub(crate) type Fingerprint = [u8; 32];

/// Seals states and opens them again.
pub(crate) struct Seals {
    /// The first one seals; what any of them sealed is opened.
    ciphers: Vec<Aes256Gcm>,
    /// How far continued calls had come before this process began. As long as that
    /// is not known, none is continued.
    before: OnceLock<HashMap<CallId, WentOn>>,
    // A std mutex: look-ups and inserts only.
    used: Mutex<Used>,
}

/// Used seals of each grant, and when they expire.
#[derive(Default)]
struct Used {
    of_grant: HashMap<Text, HashMap<[u8; NONCE], u64>>,
    swept: u64,
}

/// A seal that was used. Given back when nothing went upstream for it.
#[derive(Debug, Clone)]
pub(crate) struct Spent {
    grant: Text,
    nonce: [u8; NONCE],
}

/// Why a seal cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Somebody was faster.
    Used,
    /// The grant used too many of late.
    TooMany,
}

/// An answer that asks first, so that its call is continued.
pub(crate) struct Round<'r> {
    pub(crate) call: CallId,
    /// What the answered request continued, if it did.
    pub(crate) before: Option<&'r Continued>,
    /// The server's own state as JSON text; none when it gave none.
    pub(crate) state: Option<&'r str>,
    pub(crate) asked: &'r [Print],
}

/// What a valid seal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Continued {
    /// The call that is continued.
    pub(crate) call: CallId,
    /// The server's own state as JSON text; none when it gave none.
    pub(crate) state: Option<String>,
    /// How many requests of the call there were when it was sealed.
    round: u32,
    /// The questions that were asked with it, by what stands for their keys.
    pub(crate) asked: Vec<Print>,
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
    /// What continues calls of agents, those of before a restart included. Where
    /// looking for these would take a while, it is left to be done beside calls.
    pub(crate) fn of(store: &Store) -> Result<Self, StoreError> {
        let seals = Self::new(&store.continuation_keys());
        if store.journal_bytes()? <= FEW_ENTRIES {
            seals.learn(store)?;
        }
        Ok(seals)
    }

    /// Seals under the first of these keys.
    fn new(keys: &[impl Deref<Target = [u8; 32]>]) -> Self {
        Self {
            ciphers: keys
                .iter()
                .map(|key| Aes256Gcm::new((&**key).into()))
                .collect(),
            before: OnceLock::new(),
            used: Mutex::default(),
        }
    }

    /// Learns each call of more than one request whose last seal may still be good.
    ///
    /// A seal lives from the answer of one request to the next one. Both have to be
    /// seen, and the first is older than the seal, by as long as its call took: an
    /// hour is more than any call that asks takes.
    pub(crate) fn learn(&self, store: &Store) -> Result<(), StoreError> {
        let since = store.clock().now().wall.saturating_sub(2 * LIFETIME);
        // Once: the first word counts.
        drop(self.before.set(store.continued_since(since)?));
        Ok(())
    }

    pub(crate) fn are_known(&self) -> bool {
        self.before.get().is_some()
    }

    /// The state that the agent gets in place of the server's. `None` when the system
    /// gives no random numbers.
    pub(crate) fn seal(
        &self,
        round: Round<'_>,
        grant: &Text,
        print: &Fingerprint,
        wall: u64,
    ) -> Option<String> {
        let Round {
            call,
            before,
            state,
            asked,
        } = round;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).ok()?;
        let round = before.map_or(1, |before| before.round.saturating_add(1));
        let mut said = call.number().to_be_bytes().to_vec();
        said.extend_from_slice(&round.to_be_bytes());
        said.extend_from_slice(&wall.saturating_add(LIFETIME).to_be_bytes());
        said.push(u8::try_from(asked.len()).ok()?);
        said.extend(asked.iter().flatten());
        said.extend_from_slice(state.unwrap_or_default().as_bytes());
        let payload = Payload {
            msg: &said,
            aad: &bound(grant, print),
        };
        let sealed = self
            .ciphers
            .first()?
            .encrypt(&Nonce::from(nonce), payload)
            .ok()?;
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
        let aad = bound(grant, print);
        let said = self.ciphers.iter().find_map(|cipher| {
            let payload = Payload {
                msg: sealed,
                aad: &aad,
            };
            cipher.decrypt(&Nonce::from(*nonce), payload).ok()
        })?;
        let (call, rest) = said.split_first_chunk::<CALL>()?;
        let (round, rest) = rest.split_first_chunk::<ROUND>()?;
        let (end, rest) = rest.split_first_chunk::<END>()?;
        let end = u64::from_be_bytes(*end);
        let (asked, rest) = rest.split_first()?;
        let (asked, state) = rest.split_at_checked(usize::from(*asked) * size_of::<Print>())?;
        let (asked, _) = asked.as_chunks();
        let state = std::str::from_utf8(state).ok()?;
        let call = CallId::new(u128::from_be_bytes(*call));
        let round = u32::from_be_bytes(*round);
        let sealed = end.saturating_sub(LIFETIME);
        // The time alone would do if nobody ever set the clock back, the number
        // alone if every request of the call were known.
        let went_on = self.before.get()?.get(&call);
        let went_on = went_on.is_some_and(|it| it.requests > round || it.last > sealed);
        let used = went_on || self.is_used(grant, nonce);
        (wall < end && !used).then(|| Continued {
            call,
            state: (!state.is_empty()).then(|| state.to_owned()),
            round,
            asked: asked.to_vec(),
            nonce: *nonce,
            end,
        })
    }

    /// Uses a seal up, once.
    pub(crate) fn spend(
        &self,
        continued: &Continued,
        grant: &Text,
        wall: u64,
    ) -> Result<Spent, Unusable> {
        let mut used = self.used();
        if used.swept.saturating_add(LIFETIME) <= wall {
            used.swept = wall;
            used.of_grant.retain(|_, seals| {
                seals.retain(|_, end| *end > wall);
                !seals.is_empty()
            });
        }
        let seals = used.of_grant.entry(grant.clone()).or_default();
        if seals.contains_key(&continued.nonce) {
            return Err(Unusable::Used);
        }
        if seals.len() >= MOST_USED {
            seals.retain(|_, end| *end > wall);
        }
        if seals.len() >= MOST_USED {
            return Err(Unusable::TooMany);
        }
        seals.insert(continued.nonce, continued.end);
        Ok(Spent {
            grant: grant.clone(),
            nonce: continued.nonce,
        })
    }

    /// Nothing went upstream: the seal can be used again.
    pub(crate) fn give_back(&self, spent: &Spent) {
        if let Some(seals) = self.used().of_grant.get_mut(&spent.grant) {
            seals.remove(&spent.nonce);
        }
    }

    fn is_used(&self, grant: &Text, nonce: &[u8; NONCE]) -> bool {
        let used = self.used();
        let seals = used.of_grant.get(grant);
        seals.is_some_and(|seals| seals.contains_key(nonce))
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bound(grant: &Text, print: &Fingerprint) -> Vec<u8> {
    let mut bound = print.to_vec();
    bound.extend_from_slice(grant.as_bytes());
    bound
}

#[cfg(test)]
mod tests;

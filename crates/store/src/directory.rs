//! What the gateway needs to know of the control plane, at one moment.

use std::path::PathBuf;
use std::sync::Arc;

use provost_policy::Text;
use rpds::HashTrieMapSync;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

mod kept;
mod read;

use crate::control::DENIES_ALL;
use crate::{GrantId, Secret, ServerId};
pub(crate) use kept::Kept;
pub use kept::Touched;

/// A consistent snapshot of servers, grants and the policies in use. Cheap to
/// clone: clones share what is the same in them.
///
/// Only grants that were not revoked are in it; an expired grant is, because
/// time goes on while a snapshot stands still: ask [`Grant::live`].
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The [`crate::Store::generation`] it is of.
    pub generation: u64,
    servers: HashTrieMapSync<ServerId, Arc<Server>>,
    server_names: HashTrieMapSync<Text, ServerId>,
    grants: HashTrieMapSync<GrantId, Arc<Grant>>,
    tokens: HashTrieMapSync<TokenHash, GrantId>,
}

/// SHA-256 of a token: enough, because tokens are 256 random bits.
pub type TokenHash = [u8; 32];

/// One upstream MCP server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Its name: `[a-z0-9-]`.
    pub name: Text,
    /// How it is reached; nothing when that cannot be read.
    pub transport: Option<Transport>,
    /// Headers sent with every request (HTTP).
    pub headers: Vec<(String, Secret)>,
    /// What is added to the URL's query (HTTP).
    pub query: Vec<(String, Secret)>,
    /// Variables of its environment (child process).
    pub env: Vec<(String, Secret)>,
    /// What people say it is.
    pub description: Option<String>,
    /// When it was added, unix time in microseconds.
    pub created: u64,
    /// What of it cannot be read. As long as there is anything, its calls are
    /// refused; nothing else is touched by it.
    pub unreadable: Vec<Unreadable>,
}

/// Something of a server that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// How it is reached is not understood.
    #[error("its address or command cannot be read: {reason}")]
    Transport {
        /// Why not.
        reason: String,
    },
    /// It was changed past the journal.
    #[error("it differs from what the journal says")]
    Differs,
    /// A sealed value does not open.
    #[error("{kind} `{name}` cannot be opened: {reason}")]
    Sealed {
        /// Which kind of value: `header`, `query` or `env`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Transport {
    /// Streamable HTTP.
    Http {
        /// The MCP endpoint.
        url: String,
    },
    /// A child process that speaks on stdin and stdout.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its working directory.
        cwd: Option<PathBuf>,
        /// Who shares a process of it. Read from the member `shared`, too, in
        /// which directories of before say whether everybody does.
        #[serde(alias = "shared", deserialize_with = "Processes::read")]
        processes: Processes,
    },
    /// It is a part of the daemon itself.
    Builtin,
}

/// Who shares a process of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processes {
    /// Nobody: each session has one of its own, as it would without a gateway.
    /// Requests of the modern era, which have no session, share one per grant.
    #[default]
    Session,
    /// The sessions of one grant, because the operator says that is safe.
    Grant,
    /// Everybody, because the operator says that is safe.
    Shared,
}

/// One text of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// The server it stands on.
    pub server: ServerId,
    /// That server's name.
    pub server_name: Text,
    /// Its name on the server.
    pub name: Text,
    /// Its version, from 1.
    pub version: u32,
    /// The document.
    pub text: Arc<str>,
    /// What people say it is for.
    pub description: Option<String>,
    /// When this version was put, unix time in microseconds.
    pub created: u64,
    /// Who put it.
    pub by: String,
}

/// A labelled bearer token on one server.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The server it opens.
    pub server: ServerId,
    /// That server's name.
    pub server_name: Text,
    /// What people call it.
    pub label: Text,
    /// The policy that is enforced, in its current version.
    pub policy: Option<Arc<PolicyVersion>>,
    /// The draft that is judged and recorded, never enforced.
    pub shadow: Option<Arc<PolicyVersion>>,
    /// The grant it was minted below.
    pub parent: Option<GrantId>,
    /// When it ends, unix time in microseconds.
    pub expires: Option<u64>,
    /// When it was minted, unix time in microseconds.
    pub created: u64,
    /// Nothing when what is stored is no hash: it then opens nothing.
    pub(crate) token: Option<TokenHash>,
}

/// SHA-256 of a token.
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

// === impl Processes ===

impl Processes {
    fn read<'d, D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Now(Processes),
            Before(bool),
        }
        Ok(match Stored::deserialize(from)? {
            Stored::Now(processes) => processes,
            Stored::Before(true) => Self::Shared,
            Stored::Before(false) => Self::Session,
        })
    }
}

// === impl Directory ===

impl Directory {
    /// The server with this id.
    pub fn server(&self, id: &ServerId) -> Option<&Arc<Server>> {
        self.servers.get(id)
    }

    /// The server with this name.
    pub fn server_named(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.get(self.server_names.get(name)?)
    }

    /// All servers, in no order.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.values()
    }

    /// The grant with this id, if it was not revoked.
    pub fn grant(&self, id: &GrantId) -> Option<&Arc<Grant>> {
        self.grants.get(id)
    }

    /// All grants that were not revoked, in no order.
    pub fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.values()
    }

    /// The grant this token opens, if it is live at `wall`
    /// (unix time in microseconds), its parents included.
    pub fn authenticate(&self, token: &str, wall: u64) -> Option<&Arc<Grant>> {
        let grant = self.grants.get(self.holder(&hash_token(token))?)?;
        self.live(&grant.id, wall).then_some(grant)
    }

    /// Whose token has this hash, whether it is live or not.
    pub fn holder(&self, token: &TokenHash) -> Option<&GrantId> {
        self.tokens.get(token)
    }

    /// Whether a grant has another token than in an earlier snapshot.
    pub fn is_rotated_since(&self, before: &Self, id: &Text) -> bool {
        let token = |directory: &Self| Some(directory.grants.get(id)?.token);
        token(before).is_some_and(|then| token(self).is_some_and(|now| now != then))
    }

    /// When the grant ends, or one it was minted below: the first of them. At once,
    /// when one of those is not there any more.
    pub fn end(&self, id: &GrantId) -> Option<u64> {
        let mut end = None;
        let mut next = Some(id);
        while let Some(id) = next {
            let Some(grant) = self.grants.get(id) else {
                return Some(0);
            };
            end = end.into_iter().chain(grant.expires).min();
            next = grant.parent.as_ref();
        }
        end
    }

    /// Whether the grant and everything it was minted below are live.
    pub fn live(&self, id: &GrantId, wall: u64) -> bool {
        self.end(id).is_none_or(|end| wall < end)
    }

    /// The grant itself, then its ancestors upwards.
    pub fn chain(&self, id: &GrantId) -> impl Iterator<Item = &Arc<Grant>> {
        std::iter::successors(self.grants.get(id), |grant| {
            self.grants.get(grant.parent.as_ref()?)
        })
    }
}

// === impl PolicyVersion ===

impl PolicyVersion {
    /// What stands for it when its text is not what was put.
    fn denying(&self) -> Self {
        Self {
            text: DENIES_ALL.into(),
            ..self.clone()
        }
    }
}

// === impl Grant ===

impl Grant {
    /// Whether it has not expired at `wall` (unix time in microseconds).
    pub fn live(&self, wall: u64) -> bool {
        self.expires.is_none_or(|end| wall < end)
    }
}

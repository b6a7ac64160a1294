//! Who asks, and what that lets them do.

use serde::{Deserialize, Serialize};

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// How they are known.
    pub kind: ActorKind,
    /// Who they are, among those of their kind.
    pub id: String,
    /// What they may ask for.
    pub role: Role,
}

/// How somebody who asks is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// The user Provost runs as: over the administration socket, or in a process of their own.
    Local,
    /// A person who logged in.
    Person,
}

/// What somebody may ask for; each may also ask for what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Writes policies, and says which grants have them.
    PolicyManager,
    /// Does everything.
    Admin,
}

// === impl Actor ===

impl Actor {
    /// The user Provost runs as, who could do everything without it too.
    #[must_use]
    pub fn local() -> Self {
        Actor {
            kind: ActorKind::Local,
            id: "admin".to_owned(),
            role: Role::Admin,
        }
    }

    /// Their name in the journal.
    pub(crate) fn recorded(&self) -> provost_store::Actor {
        provost_store::Actor::new(match self.kind {
            ActorKind::Local => self.id.clone(),
            // Nobody can give themselves the name of somebody who needs no credentials.
            ActorKind::Person => format!("person:{}", self.id),
        })
    }
}

// === impl Role ===

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Role::Viewer, Role::PolicyManager, Role::Admin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::PolicyManager => "policy_manager",
            Role::Admin => "admin",
        }
    }
}

//! The directory that is kept: a change reads again what it reaches, and nothing
//! else.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};

use provost_policy::Text;

use super::{Directory, Grant, PolicyVersion, Server, Unreadable};
use crate::control::Distrust;
use crate::{GrantId, ServerId};

/// So many changes are remembered one by one.
const REMEMBERED: usize = 256;

/// Servers and grants that are others than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// Nobody knows which.
    All,
    /// These, whether they are still there or not. What a grant may do depends on
    /// its server, its policies and the grants above it: when these change, it is
    /// among them.
    These {
        /// The servers.
        servers: BTreeSet<ServerId>,
        /// The grants.
        grants: BTreeSet<GrantId>,
    },
}

/// What is kept of the control plane.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// None when it has to be read whole.
    pub(super) directory: Option<Directory>,
    /// The last changes, the newest last, each with its generation.
    changes: VecDeque<(u64, Touched)>,
    /// Texts that grants hold, so that all that have one share it.
    texts: HashMap<(ServerId, Text), Weak<PolicyVersion>>,
}

// === impl Touched ===

impl Touched {
    fn none() -> Self {
        Self::These {
            servers: BTreeSet::new(),
            grants: BTreeSet::new(),
        }
    }

    /// Whether a grant may be another than before.
    pub fn has_grant(&self, id: &Text) -> bool {
        match self {
            Self::All => true,
            Self::These { grants, .. } => grants.contains(id),
        }
    }

    fn and(self, other: &Self) -> Self {
        match (self, other) {
            (
                Self::These {
                    mut servers,
                    mut grants,
                },
                Self::These {
                    servers: more_servers,
                    grants: more_grants,
                },
            ) => {
                servers.extend(more_servers.iter().cloned());
                grants.extend(more_grants.iter().cloned());
                Self::These { servers, grants }
            }
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }
}

// === impl Kept ===

impl Kept {
    /// What became other after a generation.
    pub(super) fn touched_since(&self, generation: Option<u64>) -> Touched {
        let Some((before, newest)) = generation.zip(self.directory.as_ref()) else {
            return Touched::All;
        };
        let later: Vec<_> = self
            .changes
            .iter()
            .filter(|(changed, _)| *changed > before)
            .collect();
        // One of them may be forgotten.
        if newest.generation.checked_sub(before) != Some(later.len() as u64) {
            return Touched::All;
        }
        let all = later.into_iter().map(|(_, touched)| touched);
        all.fold(Touched::none(), Touched::and)
    }

    pub(super) fn note(&mut self, generation: u64, touched: Touched) {
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
        }
        self.changes.push_back((generation, touched));
    }

    /// The same text once, however many grants have it.
    fn share(&mut self, policy: &mut Arc<PolicyVersion>) {
        let place = (policy.server.clone(), policy.name.clone());
        match self.texts.get(&place).and_then(Weak::upgrade) {
            Some(known) if known == *policy => *policy = known,
            Some(_) | None => drop(self.texts.insert(place, Arc::downgrade(policy))),
        }
    }

    pub(super) fn put_grant(&mut self, mut grant: Grant, distrust: &Distrust) {
        if distrust.has_grant(grant.id.as_str()) {
            return;
        }
        for policy in [&mut grant.policy, &mut grant.shadow].into_iter().flatten() {
            if distrust.has_policy(policy.server.as_str(), &policy.name) {
                *policy = Arc::new(policy.denying());
            }
            self.share(policy);
        }
        if let Some(directory) = &mut self.directory {
            directory.put_grant(grant);
        }
    }

    pub(super) fn put_server(&mut self, mut server: Server, distrust: &Distrust) {
        let differs = distrust.has_server(server.id.as_str(), &server.name);
        if differs && server.unreadable.is_empty() {
            server.unreadable.push(Unreadable::Differs);
        }
        if let Some(directory) = &mut self.directory {
            directory.put_server(server);
        }
    }
}

// === impl Directory ===

impl Directory {
    pub(super) fn put_grant(&mut self, grant: Grant) {
        if let Some(token) = grant.token {
            self.tokens.insert_mut(token, grant.id.clone());
        }
        self.grants.insert_mut(grant.id.clone(), Arc::new(grant));
    }

    pub(super) fn put_server(&mut self, server: Server) {
        self.server_names
            .insert_mut(server.name.clone(), server.id.clone());
        self.servers.insert_mut(server.id.clone(), Arc::new(server));
    }

    pub(super) fn forget_grant(&mut self, id: &GrantId) {
        if let Some(token) = self.grants.get(id).and_then(|grant| grant.token) {
            self.tokens.remove_mut(&token);
        }
        self.grants.remove_mut(id);
    }

    pub(super) fn forget_server(&mut self, id: &ServerId) {
        let name = self.servers.get(id).map(|server| server.name.clone());
        // Another one may have the name by now.
        if let Some(name) = name.filter(|name| self.server_names.get(name) == Some(id)) {
            self.server_names.remove_mut(&name);
        }
        self.servers.remove_mut(id);
    }
}

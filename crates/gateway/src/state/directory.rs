//! Everything a call needs to know of servers, grants and policies, compiled,
//! as it was at one moment.

use std::sync::Arc;

use arc_swap::ArcSwap;
use provost_policy::Text;
use provost_policy::document::Policy;
use provost_store::{GrantId, PolicyVersion, ServerId, TokenHash, Touched};
use rpds::HashTrieMapSync;
use tracing::error;

use crate::message::principal::Principal;
use crate::state::backend::{Backend, Means};
use crate::state::rights::{Enforcement, Link, Rights};

/// The directory in force, which is replaced as a whole.
///
/// INVARIANT: it is only lent, to closures that cannot wait, and so are the grants
/// in it. So nobody can keep what a grant may do while something is awaited.
#[derive(Default)]
pub(crate) struct CurrentDirectory(ArcSwap<Directory>);

/// A compiled snapshot of the store's directory. One shares with the one before
/// what is the same in both.
#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) source: provost_store::Directory,
    /// The generation of `source`; none as long as it was not read.
    generation: Option<u64>,
    servers: HashTrieMapSync<ServerId, Arc<Backend>>,
    grants: HashTrieMapSync<GrantId, Arc<Rights>>,
    policies: HashTrieMapSync<PolicyKey, Compiled>,
}

/// The server of a policy, and its name.
type PolicyKey = (ServerId, Text);

/// A policy and the text it was compiled from.
#[derive(Clone)]
struct Compiled {
    version: u32,
    text: Arc<str>,
    /// None when the text is no policy.
    policy: Option<Arc<Policy>>,
}

// === impl CurrentDirectory ===

impl CurrentDirectory {
    /// Reads what is in force now.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Directory) -> R) -> R {
        read(&self.0.load())
    }

    /// Puts another one in force; `make` gets the one before, and `then` both.
    pub(crate) fn replace(
        &self,
        make: impl FnOnce(&Directory) -> Directory,
        then: impl FnOnce(&Directory, &Directory),
    ) {
        let before = self.0.load_full();
        let after = Arc::new(make(&before));
        self.0.store(Arc::clone(&after));
        then(&before, &after);
    }
}

// === impl Directory ===

impl Directory {
    /// Compiles what of the store's directory is other than before. The rest is
    /// taken over as it is, connections included.
    pub(crate) fn compile(
        source: provost_store::Directory,
        touched: &Touched,
        before: &Directory,
        means: &Means<'_>,
    ) -> Self {
        let mut next = Self {
            generation: Some(source.generation),
            source,
            ..Self::default()
        };
        match touched {
            Touched::All => {
                let all = next.source.clone();
                for server in all.servers() {
                    next.take_server(&server.id, before, means);
                }
                for grant in all.grants() {
                    next.take_grant(&grant.id, before, means);
                }
            }
            Touched::These { servers, grants } => {
                next.servers = before.servers.clone();
                next.grants = before.grants.clone();
                next.policies = before.policies.clone();
                for id in servers {
                    next.take_server(id, before, means);
                }
                for id in grants {
                    next.take_grant(id, before, means);
                }
            }
        }
        next
    }

    fn take_server(&mut self, id: &ServerId, before: &Directory, means: &Means<'_>) {
        let Some(server) = self.source.server(id).cloned() else {
            self.servers.remove_mut(id);
            return;
        };
        let known = before
            .servers
            .get(id)
            .filter(|backend| backend.is_of(&server));
        let backend = known.cloned();
        let backend = backend.unwrap_or_else(|| Arc::new(Backend::new(server, means)));
        self.servers.insert_mut(id.clone(), backend);
    }

    fn take_grant(&mut self, id: &GrantId, before: &Directory, means: &Means<'_>) {
        let grant = self.source.grant(id).cloned();
        let found = grant.and_then(|grant| {
            let backend = self.servers.get(&grant.server).cloned()?;
            Some((grant, backend))
        });
        let Some((grant, backend)) = found else {
            self.grants.remove_mut(id);
            return;
        };
        let enforcement = self.enforcement(id, before);
        let shadow = grant
            .shadow
            .as_ref()
            .and_then(|version| self.link(version, &grant, before))
            .map(Link::apart);
        let known = before.grants.get(id);
        let ended = known
            .filter(|_| !self.source.is_rotated_since(&before.source, &id.0))
            .map(|rights| rights.principal.ended.clone())
            // One that had expired may be live again.
            .filter(|ended| !ended.is_cancelled())
            .unwrap_or_default();
        let edition = known
            .filter(|known| {
                Arc::ptr_eq(&known.backend, &backend) && known.enforcement.are(&enforcement)
            })
            .map_or(self.source.generation, |known| known.edition);
        let principal = Arc::new(Principal {
            grant: grant.id.clone(),
            label: grant.label.clone(),
            server: grant.server.clone(),
            server_name: grant.server_name.clone(),
            counts: Arc::clone(&backend.counts),
            account: means.budget.grant(&grant.id.0),
            server_account: Arc::clone(&backend.account),
            ended,
        });
        let rights = Rights {
            principal,
            backend,
            enforcement,
            shadow,
            edition,
            end: self.source.end(id),
        };
        self.grants.insert_mut(grant.id.clone(), Arc::new(rights));
    }

    /// The directory that opens nothing to anybody: what is in the store is
    /// not known, so nobody is let through with what was there before.
    pub(crate) fn closed(&self) -> Self {
        Self {
            servers: self.servers.clone(),
            policies: self.policies.clone(),
            ..Self::default()
        }
    }

    /// The store's generation it is of; none as long as that was not read.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// Whom the token with this hash belongs to, if it is live.
    pub(crate) fn opened_by(&self, token: &TokenHash, wall: u64) -> Option<&Rights> {
        self.rights(&self.source.holder(token)?.0, wall)
    }

    /// The grant with this id, if it is live.
    pub(crate) fn rights(&self, id: &Text, wall: u64) -> Option<&Rights> {
        let rights = self.grants.get(id)?;
        let live = rights.end.is_none_or(|end| wall < end);
        live.then_some(&**rights)
    }

    /// The grants that a change may have reached, those included that have
    /// expired.
    pub(crate) fn principals<'d>(
        &'d self,
        touched: &'d Touched,
    ) -> Box<dyn Iterator<Item = &'d Principal> + 'd> {
        let principal = |rights: &'d Arc<Rights>| &*rights.principal;
        match touched {
            Touched::All => Box::new(self.grants.values().map(principal)),
            Touched::These { grants, .. } => {
                let known = grants.iter().filter_map(|id| self.grants.get(id));
                Box::new(known.map(principal))
            }
        }
    }

    /// Ends what was opened with grants that have expired since.
    pub(crate) fn end_expired(&self, wall: u64) {
        let expired = |rights: &&Arc<Rights>| rights.end.is_some_and(|end| end <= wall);
        let expired = self.grants.values().filter(expired);
        expired.for_each(|rights| rights.principal.ended.cancel());
    }

    /// The server with this id.
    pub(crate) fn backend(&self, id: &ServerId) -> Option<&Arc<Backend>> {
        self.servers.get(id)
    }

    fn enforcement(&mut self, id: &GrantId, before: &Directory) -> Enforcement {
        let chain: Vec<_> = self.source.chain(id).cloned().collect();
        let mut links = Vec::with_capacity(chain.len());
        for grant in &chain {
            match (&grant.policy, &grant.shadow) {
                (Some(version), _) => match self.link(version, grant, before) {
                    Some(link) => links.push(link),
                    None => return Enforcement::Nothing,
                },
                (None, Some(_)) => {}
                (None, None) => return Enforcement::Nothing,
            }
        }
        if links.is_empty() {
            Enforcement::ObserveOnly
        } else {
            Enforcement::Policies(links)
        }
    }

    fn link(
        &mut self,
        version: &Arc<PolicyVersion>,
        grant: &provost_store::Grant,
        before: &Directory,
    ) -> Option<Link> {
        let key = (version.server.clone(), version.name.clone());
        let known = [self.policies.get(&key), before.policies.get(&key)];
        let known = known.into_iter().flatten().find(|known| {
            // Another text stands for one that is not what was put.
            known.version == version.version && known.text == version.text
        });
        let compiled = known.cloned().unwrap_or_else(|| compile(version));
        let policy = compiled.policy.clone();
        self.policies.insert_mut(key, compiled);
        Some(Link {
            policy: policy?,
            name: version.name.clone(),
            version: version.version,
            grant: grant.id.0.clone(),
            server: version.server.0.clone(),
        })
    }
}

/// A text is compiled once for a version. One that does not compile (it was
/// checked when it was put) denies every call.
fn compile(version: &PolicyVersion) -> Compiled {
    let policy = match Policy::parse(&version.text) {
        Ok(policy) => Some(Arc::new(policy)),
        Err(problems) => {
            error!(policy.name = %version.name, policy.version = version.version,
                problems = problems.len(),
                "Policy `{}` cannot be read; every call under it is refused", version.name);
            None
        }
    };
    Compiled {
        version: version.version,
        text: Arc::clone(&version.text),
        policy,
    }
}

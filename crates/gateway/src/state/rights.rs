//! What a grant may do: the policies that are enforced for it, compiled.

use std::sync::Arc;

use provost_policy::Text;
use provost_policy::document::Policy;
use provost_policy::json::Folder;
use provost_policy::judge::Enforced;

use crate::message::principal::Principal;
use crate::state::backend::Backend;
use crate::upstream::Upstream;

/// One grant and what it may do.
pub(crate) struct Rights {
    pub(crate) principal: Arc<Principal>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) enforcement: Enforcement,
    pub(crate) shadow: Option<Link>,
    /// Another number as soon as other rules, or another server, are in force for
    /// it. It opens nothing, so it may be kept.
    pub(crate) edition: u64,
    /// When it ends, or what it was minted below.
    pub(super) end: Option<u64>,
}

/// What is enforced for a grant.
pub(crate) enum Enforcement {
    /// Its own policy, then those of the grants it was minted below. Never
    /// empty unless some grant of the chain has neither policy nor shadow.
    Policies(Vec<Link>),
    /// Only observed, because its owner said so.
    ObserveOnly,
    /// A grant of the chain has nothing, or a policy that cannot be read.
    Nothing,
}

/// One policy of a chain.
pub(crate) struct Link {
    pub(crate) policy: Arc<Policy>,
    pub(crate) name: Text,
    pub(crate) version: u32,
    pub(crate) grant: Text,
    pub(crate) server: Text,
}

// === impl Link ===

impl Link {
    /// The link of a shadow: its counters are its own, whatever their names.
    pub(super) fn apart(mut self) -> Self {
        self.server = Text::from(format!("shadow:{}", self.server));
        self.grant = Text::from(format!("shadow:{}", self.grant));
        self
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy)
            && (&self.name, self.version) == (&other.name, other.version)
            && (&self.grant, &self.server) == (&other.grant, &other.server)
    }

    /// The link as the judge takes it.
    pub(crate) fn enforced(&self) -> Enforced<'_> {
        Enforced {
            policy: &self.policy,
            name: &self.name,
            version: self.version,
            grant: &self.grant,
            server: &self.server,
        }
    }
}

// === impl Enforcement ===

impl Enforcement {
    /// Whether they are the same ones, not only alike.
    pub(super) fn are(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::Policies(these), Self::Policies(those)) => {
                these.len() == those.len() && these.iter().zip(those).all(|(a, b)| a.is(b))
            }
            (Self::ObserveOnly, Self::ObserveOnly) | (Self::Nothing, Self::Nothing) => true,
            (Self::Policies(_) | Self::ObserveOnly | Self::Nothing, _) => false,
        }
    }
}

// === impl Rights ===

impl Rights {
    /// Those of the enforced policies that are asked about a tool.
    pub(crate) fn asked_about<'l>(&self, links: &'l [Link], tool: Option<&str>) -> &'l [Link] {
        match (&self.backend.upstream, tool) {
            (Some(Upstream::Builtin(builtin)), Some(tool)) if builtin.is_own_affair(tool) => {
                links.get(..1).unwrap_or_default()
            }
            _ => links,
        }
    }

    /// Whether a tool is in the list this grant gets.
    pub(crate) fn lists_tool(&self, tool: &str, folder: &mut Folder) -> bool {
        match &self.enforcement {
            Enforcement::Policies(links) => self
                .asked_about(links, Some(tool))
                .iter()
                .all(|link| link.policy.tool_listed(tool, folder)),
            Enforcement::ObserveOnly => true,
            Enforcement::Nothing => false,
        }
    }

    /// Whether a list of resources or prompts has anything in it for this grant.
    pub(crate) fn lists_method(&self, method: &str) -> bool {
        match &self.enforcement {
            Enforcement::Policies(links) => {
                links.iter().all(|link| link.policy.method_listed(method))
            }
            Enforcement::ObserveOnly => true,
            Enforcement::Nothing => false,
        }
    }
}

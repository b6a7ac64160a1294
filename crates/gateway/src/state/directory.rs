//! Everything a call needs to know of servers, grants and policies, compiled,
//! as it was at one moment.

use std::ffi::OsString;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use provost_policy::Text;
use provost_policy::document::Policy;
use provost_policy::json::Folder;
use provost_policy::judge::Enforced;
use provost_store::{
    GrantId, PolicyVersion, Secret, Server, ServerId, TokenHash, Touched, Transport,
};
use rpds::HashTrieMapSync;
use tokio_rustls::TlsConnector;
use tracing::error;

use crate::host::budget::{Account, Budget};
use crate::host::metrics::{Counts, Metrics};
use crate::host::settings::Settings;
use crate::message::principal::Principal;
use crate::state::eras::Eras;
use crate::upstream::http::{HttpUpstream, Timeouts};
use crate::upstream::process::Program;
use crate::upstream::{ChildSpec, Upstream};

/// How long a connection to a server is kept that nobody uses, at most.
const IDLE_UPSTREAM: Duration = Duration::from_secs(30);

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

/// What is needed to make the way to a server, and accounts for all.
pub(crate) struct Means<'m> {
    pub(crate) settings: &'m Settings,
    pub(crate) metrics: &'m Metrics,
    pub(crate) budget: &'m Budget,
    pub(crate) tls: &'m dyn Fn() -> Option<TlsConnector>,
}

/// A policy and the text it was compiled from.
#[derive(Clone)]
struct Compiled {
    version: u32,
    text: Arc<str>,
    /// None when the text is no policy.
    policy: Option<Arc<Policy>>,
}

/// One server and the way to it.
pub(crate) struct Backend {
    pub(crate) server: Arc<Server>,
    /// None when its settings cannot be used; each call is then refused.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) eras: Eras,
    /// What it sends to nobody in particular, and calls on their way to it.
    pub(crate) account: Arc<Account>,
}

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
    end: Option<u64>,
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
            .filter(|backend| same(&backend.server, &server));
        let backend = known.cloned().unwrap_or_else(|| {
            Arc::new(Backend {
                upstream: upstream(&server, means.settings, means.tls),
                counts: means.metrics.server(&server.name),
                eras: Eras::default(),
                account: means.budget.server(&server.id.0),
                server,
            })
        });
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

fn same(old: &Server, new: &Server) -> bool {
    old.name == new.name
        && old.transport == new.transport
        && old.headers == new.headers
        && old.query == new.query
        && old.env == new.env
        && old.unreadable == new.unreadable
}

fn upstream(
    server: &Server,
    settings: &Settings,
    tls: &dyn Fn() -> Option<TlsConnector>,
) -> Option<Upstream> {
    for what in &server.unreadable {
        error!(server.name = %server.name, "Server `{}` cannot be used: {what}", server.name);
    }
    if !server.unreadable.is_empty() {
        return None;
    }
    match server.transport.as_ref()? {
        Transport::Http { url } => {
            let url = with_query(url, &server.query);
            let headers = match headers(server) {
                Ok(headers) => headers,
                Err(name) => {
                    error!(server.name = %server.name, header = %name, "A header cannot be sent");
                    return None;
                }
            };
            let timeouts = Timeouts {
                connect: settings.connect_timeout,
                answer: settings.call_timeout,
                idle: settings.idle_connection.min(IDLE_UPSTREAM),
                dead_peer: settings.dead_peer,
            };
            match HttpUpstream::new(&url, headers, settings.workers + 1, timeouts, tls) {
                Ok(upstream) => Some(Upstream::Http(Arc::new(upstream))),
                Err(error) => {
                    error!(server.name = %server.name, %error, "A server cannot be used");
                    None
                }
            }
        }
        Transport::Stdio {
            command,
            args,
            cwd,
            processes,
        } => {
            let mut environment = settings.base_environment.clone();
            let own = server.env.iter();
            environment.extend(own.map(|(k, v)| (OsString::from(k), v.expose().into())));
            Some(Upstream::Stdio(Arc::new(ChildSpec {
                server: server.id.0.clone(),
                name: server.name.clone(),
                program: Program {
                    command: command.into(),
                    args: args.iter().map(OsString::from).collect(),
                    directory: cwd.clone(),
                    environment,
                },
                processes: *processes,
            })))
        }
    }
}

/// The URL with what the operator sealed for its query behind what it says in
/// clear text. Characters that could mean something there are encoded.
fn with_query(url: &str, query: &[(String, Secret)]) -> String {
    let mut whole = url.to_owned();
    for (name, value) in query {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        encode(&mut whole, name);
        whole.push('=');
        encode(&mut whole, value.expose());
    }
    whole
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

fn headers(server: &Server) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, secret) in &server.headers {
        let key: HeaderName = name.parse().map_err(|_| name.clone())?;
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| name.clone())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

// === impl Link ===

impl Link {
    /// The link of a shadow: its counters are its own, whatever their names.
    fn apart(mut self) -> Self {
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
    fn are(&self, others: &Self) -> bool {
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
    /// Whether a tool is in the list this grant gets.
    pub(crate) fn lists_tool(&self, tool: &str, folder: &mut Folder) -> bool {
        match &self.enforcement {
            Enforcement::Policies(links) => links
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

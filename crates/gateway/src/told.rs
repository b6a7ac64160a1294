//! What operators are told of a running gateway.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use provost_store::{GrantId, Server};

use crate::Gateway;
use crate::agent::session::Session;
use crate::exchange::probe::{self, ServerFailed, ServerFault, ServerReport};
use crate::host::budget::Usage;
use crate::host::metrics::Gauges;
use crate::state::directory::Directory;
use crate::state::worker::Worker;
use crate::text::era::Era;
use crate::upstream::Upstream;

// === impl Gateway ===

impl Gateway {
    /// The tools that a grant's server has listed so far, those included that are hidden from the
    /// grant: to its agents on stdio, and in the modern era to anybody.
    #[must_use]
    pub fn listed_tools(&self, grant: &GrantId) -> Vec<String> {
        let shared = &self.0.shared;
        let mut names = HashSet::new();
        let wall = shared.clock.now().wall;
        shared.directory.read(|directory| {
            if let Some(rights) = directory.rights(&grant.0, wall) {
                rights.backend.eras.any_tool(|name| {
                    names.insert(name.to_owned());
                    false
                });
            }
        });
        for session in shared.stdio.sessions() {
            if session.grant == grant.0
                && let Some(tools) = &session.state().tools
            {
                names.extend(tools.iter().map(str::to_owned));
            }
        }
        names.into_iter().collect()
    }

    /// What went wrong since then with the server of a grant's agents on stdio, as `test_server`
    /// tells it: for the person who started it, and not for the agent.
    pub async fn trouble(&self, grant: &GrantId, since: Instant) -> Vec<String> {
        let shared = &self.0.shared;
        let of_agent = |session: Arc<Session>| {
            let agent = session.agent.filter(|_| session.grant == grant.0)?;
            shared.children.witness_of_agent(agent)
        };
        let programs = shared.stdio.sessions().into_iter().filter_map(of_agent);
        let mut seen = Vec::new();
        for (witness, runs) in programs.collect::<Vec<_>>() {
            seen.extend(match runs {
                true => witness.since(since),
                false => witness.to_the_end(since).await,
            });
        }
        let wall = shared.clock.now().wall;
        let endpoint = shared.directory.read(|directory| {
            let rights = directory.rights(&grant.0, wall)?;
            match rights.backend.upstream.as_ref()? {
                Upstream::Http(http) => Some(Arc::clone(&http.witness)),
                Upstream::Stdio(_) | Upstream::Builtin(_) => None,
            }
        });
        seen.extend(endpoint.iter().flat_map(|witness| witness.since(since)));
        seen
    }

    /// Connects to a server, lists its tools, and says what it found.
    ///
    /// # Errors
    /// When the server is not known, cannot be reached or does not speak MCP.
    pub async fn test_server(&self, server: &str) -> Result<ServerReport, ServerFailed> {
        let shared = Arc::clone(&self.0.shared);
        let worker = Worker::background(&shared);
        let server = server.to_owned();
        let probe = self
            .0
            .threads
            .background()
            .spawn(async move { probe::run(&worker, &server).await });
        probe
            .await
            .unwrap_or_else(|_| Err(ServerFault::Broken.into()))
    }

    /// The counts, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let shared = &self.0.shared;
        let gauges = Gauges {
            sessions: shared.sessions.len(),
            children: shared.children.running(),
            child_users: shared.children.users(),
            budget: shared.budget.usage(),
        };
        shared.metrics.render(&gauges)
    }

    /// How much memory is held for others, and how many calls are on their way.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.shared.budget.usage()
    }

    /// The servers by name, and the eras each is known to speak: those that
    /// somebody has used or tested since the gateway started.
    #[must_use]
    pub fn eras(&self) -> Vec<(String, Vec<&'static str>)> {
        let known = |directory: &Directory| {
            let servers = directory.source.servers();
            let known = |server: &Arc<Server>| {
                let eras = directory.backend(&server.id)?.eras.known();
                let words = eras.into_iter().map(Era::word).collect();
                Some((server.name.to_string(), words))
            };
            servers.filter_map(known).collect()
        };
        self.0.shared.directory.read(known)
    }

    /// Whether calls can be taken.
    ///
    /// # Errors
    /// Says in a sentence why not.
    pub fn ready(&self) -> Result<(), String> {
        if self.0.shared.stopping.is_cancelled() {
            return Err("the gateway is stopping".to_owned());
        }
        if self.0.closed.load(Ordering::Acquire) {
            return Err("servers, grants and policies cannot be read".to_owned());
        }
        Ok(())
    }
}

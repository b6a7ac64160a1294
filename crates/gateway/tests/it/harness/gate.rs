//! A gateway on a scratch store, and its control plane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provost_gateway::{Builtins, Gateway, Listen, Settings, StdioAgent, Wrapper};
use provost_store::{
    Actor, Attachment, Decision, Deletion, Filter, GrantId, Locations, NewGrant, NewServer, Order,
    Processes, Record, Secret, ServerChange, ServerId, Store, Transport,
};
use provost_testkit::client::Client;
use provost_testkit::process::{Start, wrapper_program};
use serde_json::Value;
use tempfile::TempDir;

/// A running gateway and everything it stands on.
pub(crate) struct TestGateway {
    pub(crate) gateway: Gateway,
    pub(crate) store: Store,
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

/// A grant and its token.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) grant: GrantId,
    pub(crate) server: ServerId,
    pub(crate) server_name: String,
    pub(crate) token: String,
}

/// The name of the policy that grants are minted with.
pub(crate) const POLICY: &str = "rules";

/// Settings with patience for a test instead of for people.
pub(crate) fn settings() -> Settings {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Settings {
        call_timeout: Duration::from_secs(15),
        connect_timeout: Duration::from_secs(5),
        stop_deadline: Duration::from_secs(5),
        workers: 2,
        base_environment: vec![("PATH".into(), path)],
        wrapper: wrapper(),
        ..Settings::default()
    }
}

/// What servers run under, as under the real daemon.
fn wrapper() -> Option<Wrapper> {
    cfg!(target_os = "linux").then(|| Wrapper {
        program: wrapper_program(),
        args: Vec::new(),
    })
}

fn who() -> Actor {
    Actor::new("test")
}

// === impl TestGateway ===

impl TestGateway {
    pub(crate) fn start(settings: Settings) -> TestGateway {
        TestGateway::with(settings, Builtins::new())
    }

    /// One with parts of its own behind it, each of which has a server.
    pub(crate) fn with(settings: Settings, builtins: Builtins) -> TestGateway {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&locations(&directory)).unwrap();
        for name in builtins.keys() {
            store.furnish_builtin(&who(), name).unwrap();
        }
        TestGateway::on(store, directory, settings, builtins)
    }

    fn on(store: Store, directory: TempDir, settings: Settings, builtins: Builtins) -> TestGateway {
        let gateway = Gateway::start(store.clone(), settings, builtins).unwrap();
        let address = gateway.listen(&Listen {
            address: ([127, 0, 0, 1], 0).into(),
            tls: None,
            behind_proxy: false,
            allowed_hosts: Vec::new(),
            allowed_origins: vec!["https://console.example".to_owned()],
        });
        TestGateway {
            gateway,
            store,
            address: address.unwrap(),
            directory,
        }
    }

    /// Stops the gateway and starts another one on the same data.
    pub(crate) async fn restart(self, settings: Settings) -> TestGateway {
        self.restart_after(settings, |_| {}).await
    }

    /// Stops the gateway, does something to the closed data directory, and starts another one on it.
    pub(crate) async fn restart_after(
        self,
        settings: Settings,
        between: impl FnOnce(&Path),
    ) -> TestGateway {
        let TestGateway {
            gateway,
            store,
            directory,
            ..
        } = self;
        gateway.stop().await;
        drop((gateway, store));
        between(&locations(&directory).data);
        let store = Store::open(&locations(&directory)).unwrap();
        TestGateway::on(store, directory, settings, Builtins::new())
    }

    pub(crate) fn data(&self) -> PathBuf {
        locations(&self.directory).data
    }

    /// Registers a server over HTTP.
    pub(crate) fn http_server(&self, name: &str, url: &str) {
        self.server(
            name,
            Transport::Http {
                url: url.to_owned(),
            },
            Vec::new(),
        );
    }

    /// Registers a server over HTTP with headers of its own.
    pub(crate) fn http_server_with(&self, name: &str, url: &str, headers: &[(&str, &str)]) {
        self.http_server(name, url);
        self.set_headers(name, headers);
    }

    pub(crate) fn set_headers(&self, name: &str, headers: &[(&str, &str)]) {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new(*value));
        let headers = Some(headers.iter().map(pair).collect());
        self.change(
            name,
            ServerChange {
                headers,
                ..ServerChange::default()
            },
        );
    }

    pub(crate) fn set_program(&self, name: &str, start: &Start) {
        self.set_program_for(name, start, Processes::Session);
    }

    pub(crate) fn set_program_for(&self, name: &str, start: &Start, processes: Processes) {
        let transport = Some(program(start, processes));
        self.change(
            name,
            ServerChange {
                transport,
                ..ServerChange::default()
            },
        );
    }

    fn change(&self, name: &str, change: ServerChange) {
        self.store.set_server(&who(), name, change).unwrap();
        self.gateway.reload().unwrap();
    }

    /// Registers a program as a server.
    pub(crate) fn stdio_server(&self, name: &str, start: &Start, processes: Processes) {
        let env = start
            .env
            .iter()
            .map(|(k, v)| (k.clone(), Secret::new(v.clone())))
            .collect();
        let transport = program(start, processes);
        self.server(name, transport, env);
    }

    /// How a server is reached, as it is registered.
    pub(crate) fn transport(&self, name: &str) -> Transport {
        let directory = self.store.directory().unwrap();
        let server = directory.server_named(name).unwrap();
        server.transport.clone().unwrap()
    }

    fn server(&self, name: &str, transport: Transport, env: provost_store::SealedPairs) {
        let server = NewServer {
            name: name.to_owned(),
            transport,
            headers: Vec::new(),
            query: Vec::new(),
            env,
            description: None,
        };
        self.store.add_server(&who(), server).unwrap();
        self.gateway.reload().unwrap();
    }

    /// Puts a policy: a new one, or a new version of it.
    pub(crate) fn put_policy(&self, server: &str, name: &str, policy: &Value) {
        self.store
            .put_policy(&who(), server, name, &policy.to_string(), None)
            .unwrap();
        self.gateway.reload().unwrap();
    }

    /// Puts a text that is no policy; it must be refused.
    pub(crate) fn put_nonsense(&self, server: &str, name: &str, text: &str) {
        assert!(
            self.store
                .put_policy(&who(), server, name, text, None)
                .is_err()
        );
        self.gateway.reload().unwrap();
    }

    /// Mints a grant.
    pub(crate) fn mint(&self, grant: NewGrant) -> Pass {
        let server_name = grant.server.clone();
        let minted = self.store.mint_grant(&who(), grant).unwrap();
        self.gateway.reload().unwrap();
        Pass {
            grant: minted.grant.id.clone(),
            server: minted.grant.server.clone(),
            server_name,
            token: minted.token.expose().to_owned(),
        }
    }

    /// Mints a grant with a policy, for the only agent of a server.
    pub(crate) fn mint_on(&self, server: &str, policy: &str) -> Pass {
        let attachment = Attachment {
            policy: Some(policy.to_owned()),
            shadow: None,
        };
        let (server, label) = (server.to_owned(), "agent".to_owned());
        self.mint(NewGrant {
            server,
            label,
            attachment,
            ..NewGrant::default()
        })
    }

    pub(crate) fn attach(&self, pass: &Pass, attachment: Attachment) {
        self.store
            .attach_policy(&who(), &pass.grant, attachment)
            .unwrap();
        self.gateway.reload().unwrap();
    }

    pub(crate) fn revoke(&self, pass: &Pass) {
        self.store.revoke_grant(&who(), &pass.grant).unwrap();
        self.gateway.reload().unwrap();
    }

    pub(crate) fn rotate(&self, pass: &Pass) -> Pass {
        let minted = self.store.rotate_grant(&who(), &pass.grant).unwrap();
        self.gateway.reload().unwrap();
        Pass {
            token: minted.token.expose().to_owned(),
            ..pass.clone()
        }
    }

    /// Lets a grant end at this very moment, without telling the gateway again.
    pub(crate) fn expire_in(&self, pass: &Pass, length: Duration) {
        let now = self.store.clock().now().wall;
        let end = now + u64::try_from(length.as_micros()).unwrap();
        self.store
            .expire_grant(&who(), &pass.grant, Some(end))
            .unwrap();
        self.gateway.reload().unwrap();
    }

    pub(crate) fn move_server(&self, name: &str, url: &str) {
        let transport = Some(Transport::Http {
            url: url.to_owned(),
        });
        self.change(
            name,
            ServerChange {
                transport,
                ..ServerChange::default()
            },
        );
    }

    /// Deletes a policy although grants use it.
    pub(crate) fn delete_policy(&self, server: &str, name: &str) {
        let how = Deletion::EvenIfUsed;
        self.store.delete_policy(&who(), server, name, how).unwrap();
        self.gateway.reload().unwrap();
    }

    pub(crate) fn remove_server(&self, name: &str) {
        self.store.remove_server(&who(), name).unwrap();
        self.gateway.reload().unwrap();
    }

    pub(crate) fn url(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.address)
    }

    /// An agent over HTTP.
    pub(crate) fn http_agent(&self, pass: &Pass) -> Client {
        Client::http(&self.url(&pass.server_name), Some(&pass.token))
    }

    /// An agent over stdio.
    pub(crate) fn stdio_agent(&self, pass: &Pass) -> Client {
        self.stdio_agent_as(StdioAgent {
            grant: pass.grant.clone(),
            server: pass.server.clone(),
            child: None,
        })
    }

    pub(crate) fn stdio_agent_as(&self, agent: StdioAgent) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let gateway = self.gateway.clone();
        tokio::spawn(async move { gateway.serve_stdio(theirs, agent).await });
        Client::over(ours)
    }

    /// All records, oldest first.
    pub(crate) fn records(&self) -> Vec<Record> {
        let filter = Filter {
            order: Order::OldestFirst,
            ..Filter::default()
        };
        self.store.records(&filter).unwrap()
    }

    /// All records as one line each, oldest first: `tools/call echo: allow, ok`,
    /// `tools/call echo: deny by (hidden)`.
    pub(crate) fn history(&self) -> Vec<String> {
        self.records().iter().map(line).collect()
    }

    /// How many processes run behind it.
    pub(crate) fn children(&self) -> u64 {
        let metrics = self.gateway.metrics();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("provost_server_processes "));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_default()
    }
}

fn program(start: &Start, processes: Processes) -> Transport {
    Transport::Stdio {
        command: start.program.to_str().unwrap().to_owned(),
        args: start.args.clone(),
        cwd: start.cwd.clone(),
        processes,
    }
}

fn locations(directory: &TempDir) -> Locations {
    Locations {
        data: directory.path().join("data"),
        config: directory.path().join("config"),
    }
}

fn line(record: &Record) -> String {
    let what = match &record.tool {
        Some(tool) => format!("{} {tool}", record.method),
        None => record.method.clone(),
    };
    match (record.decision, &record.rule, record.status) {
        (Decision::Allow, _, status) => {
            let status = status.map_or_else(|| "open".to_owned(), |status| status.to_string());
            format!("{what}: allow, {status}")
        }
        (decision, rule, _) => {
            format!(
                "{what}: {decision} by {}",
                rule.as_deref().unwrap_or("nobody")
            )
        }
    }
}

//! One gateway, one server, one agent: the scene most stories are played on.

use provost_gateway::Settings;
use provost_store::{Attachment, NewGrant, Processes};
use provost_testkit::client::Client;
use provost_testkit::fixture::{Eras, Options};
use provost_testkit::{wait_for, wait_until};
use serde_json::{Value, json};

use super::gate::{POLICY, settings};
use super::{Kind, Pass, TestGateway, TestUpstream, text};

/// How an agent connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Http,
    Stdio,
}

/// The era an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

/// What a scene is made of.
pub(crate) struct Setup {
    policy: Option<Value>,
    shadow: Option<Value>,
    options: Options,
    settings: Settings,
    processes: Processes,
    era: Era,
}

/// The server's name.
pub(crate) const SERVER: &str = "fixture";

/// A gateway, a server behind it, an agent in front of it.
pub(crate) struct Scene {
    pub(crate) gate: TestGateway,
    pub(crate) upstream: TestUpstream,
    pub(crate) pass: Pass,
    /// Connected, and the upstream knows.
    pub(crate) agent: Client,
    pub(crate) face: Face,
    pub(crate) kind: Kind,
    pub(crate) era: Era,
    attachment: Attachment,
}

/// What came back for raw text.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status; nothing over stdio.
    pub(crate) status: Option<u16>,
    /// The message; null when there was none.
    pub(crate) message: Value,
}

// === impl Setup ===

impl From<Value> for Setup {
    fn from(policy: Value) -> Setup {
        Setup {
            policy: Some(policy),
            ..Setup::without_policy()
        }
    }
}

impl Setup {
    /// A grant with neither policy nor shadow.
    pub(crate) fn without_policy() -> Setup {
        let (options, settings) = (Options::default(), settings());
        Setup {
            policy: None,
            shadow: None,
            options,
            settings,
            processes: Processes::Session,
            era: Era::Legacy,
        }
    }

    /// A grant that is only watched.
    pub(crate) fn observed(shadow: Value) -> Setup {
        Setup {
            shadow: Some(shadow),
            ..Setup::without_policy()
        }
    }

    /// Agent and server speak the modern era.
    pub(crate) fn modern(policy: Value) -> Setup {
        Setup::from(policy)
            .options(Options::modern())
            .agent(Era::Modern)
    }

    /// Which era the agent speaks.
    pub(crate) fn agent(mut self, era: Era) -> Setup {
        self.era = era;
        self
    }

    /// Which eras the server speaks.
    pub(crate) fn eras(mut self, eras: Eras) -> Setup {
        self.options.eras = eras;
        self
    }

    /// A draft beside the policy.
    pub(crate) fn shadow(mut self, shadow: Value) -> Setup {
        self.shadow = Some(shadow);
        self
    }

    /// How the server behaves.
    pub(crate) fn options(mut self, options: Options) -> Setup {
        self.options = options;
        self
    }

    /// How the gateway is set up.
    pub(crate) fn settings(mut self, set: impl FnOnce(&mut Settings)) -> Setup {
        set(&mut self.settings);
        self
    }

    /// One process for all grants.
    pub(crate) fn shared(self) -> Setup {
        self.processes(Processes::Shared)
    }

    /// Who shares a process of the server.
    pub(crate) fn processes(mut self, processes: Processes) -> Setup {
        self.processes = processes;
        self
    }
}

// === impl Scene ===

impl Scene {
    /// The scene with its agent connected.
    pub(crate) async fn new(face: Face, kind: Kind, setup: impl Into<Setup>) -> Scene {
        let scene = Scene::before_initialize(face, kind, setup);
        scene.agent.connect().await;
        if scene.era == Era::Modern {
            return scene;
        }
        // Over stdio nobody says that the agent's notification was taken.
        scene.upstream.wait_for("notification").await;
        if (face, kind) == (Face::Stdio, Kind::Http) {
            // The upstream's own stream is opened on behalf of a stdio agent.
            let http = || scene.upstream.events_of("http");
            let open = || http().iter().any(|request| request["method"] == "GET");
            wait_until("the upstream's stream is open", open).await;
        }
        scene
    }

    /// The scene with an agent that has said nothing yet.
    pub(crate) fn before_initialize(face: Face, kind: Kind, setup: impl Into<Setup>) -> Scene {
        let setup: Setup = setup.into();
        let gate = TestGateway::start(setup.settings);
        let upstream = TestUpstream::start(kind, setup.options);
        match &upstream {
            TestUpstream::Http(fixture) => gate.http_server(SERVER, &fixture.url()),
            TestUpstream::Stdio(stdio) => gate.stdio_server(SERVER, &stdio.start, setup.processes),
        }
        assert_eq!(Kind::of(&gate.transport(SERVER)), Some(kind));
        let mut attachment = Attachment::default();
        if let Some(policy) = &setup.policy {
            gate.put_policy(SERVER, POLICY, policy);
            attachment.policy = Some(POLICY.to_owned());
        }
        if let Some(shadow) = &setup.shadow {
            gate.put_policy(SERVER, "draft", shadow);
            attachment.shadow = Some("draft".to_owned());
        }
        let pass = gate.mint(NewGrant {
            server: SERVER.to_owned(),
            label: "agent".to_owned(),
            attachment: attachment.clone(),
            ..NewGrant::default()
        });
        let agent = agent(&gate, face, setup.era, &pass);
        Scene {
            gate,
            upstream,
            pass,
            agent,
            face,
            kind,
            era: setup.era,
            attachment,
        }
    }

    /// The same for a test that waits for its scene.
    pub(crate) async fn silent(face: Face, kind: Kind, setup: impl Into<Setup>) -> Scene {
        std::future::ready(Scene::before_initialize(face, kind, setup)).await
    }

    /// A further grant with the same policies.
    pub(crate) fn another_pass(&self, label: &str) -> Pass {
        self.gate.mint(NewGrant {
            server: SERVER.to_owned(),
            label: label.to_owned(),
            attachment: self.attachment.clone(),
            ..NewGrant::default()
        })
    }

    /// A further agent of a grant, on the same face, connected.
    pub(crate) async fn another_agent(&self, pass: &Pass) -> Client {
        let agent = self.silent_agent(pass);
        agent.connect().await;
        agent
    }

    /// A further agent of a grant, on the same face, that has said nothing yet.
    pub(crate) fn silent_agent(&self, pass: &Pass) -> Client {
        agent(&self.gate, self.face, self.era, pass)
    }

    /// Puts a new version of the policy.
    pub(crate) fn policy(&self, policy: Value) {
        self.gate.put_policy(SERVER, POLICY, &policy);
    }

    /// Sends text as it is, and returns what comes back for it.
    pub(crate) async fn raw(&self, message: impl Into<Vec<u8>>) -> Answer {
        raw(self.face, &self.agent, message.into()).await
    }

    /// An honest call works.
    pub(crate) async fn honest_call_works(&self) {
        let answer = self.agent.call("echo", json!({"text": "honest"})).await;
        assert_eq!(text(&answer), "honest");
    }

    /// The records become these (one line each, see [`TestGateway::history`]).
    pub(crate) async fn records_become(&self, lines: &[&str]) {
        self.gate.records_become(lines).await;
    }

    /// The server goes away, and its port is free.
    pub(crate) fn stop_upstream(&mut self) {
        match &mut self.upstream {
            TestUpstream::Http(fixture) => fixture.stop(),
            TestUpstream::Stdio(_) => panic!("this upstream is a child process"),
        }
    }

    /// Kills the server's process and waits until the gateway has noticed.
    pub(crate) async fn kill_process(&self) {
        kill_last(&self.upstream.events_of("started"));
        wait_until("the gateway knows", || self.gate.children() == 0).await;
    }
}

impl TestGateway {
    /// The records become these.
    pub(crate) async fn records_become(&self, lines: &[&str]) {
        let expected: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let started = std::time::Instant::now();
        wait_for("the records", async || {
            let history = self.history();
            let late = started.elapsed() > std::time::Duration::from_secs(5);
            (history == expected || late).then_some(())
        })
        .await;
        assert_eq!(self.history(), expected);
    }
}

/// Kills the process that was started last.
pub(crate) fn kill_last(started: &[Value]) {
    let pid = started.last().expect("a process was started")["pid"]
        .as_i64()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// An agent that has said nothing yet.
pub(crate) fn agent(gate: &TestGateway, face: Face, era: Era, pass: &Pass) -> Client {
    let agent = match face {
        Face::Http => gate.http_agent(pass),
        Face::Stdio => gate.stdio_agent(pass),
    };
    match era {
        Era::Legacy => agent,
        Era::Modern => agent.modern(),
    }
}

/// Sends text as it is, and returns what comes back for it.
pub(crate) async fn raw(face: Face, agent: &Client, message: Vec<u8>) -> Answer {
    match face {
        Face::Http => {
            let reply = agent.as_http().post_raw(message).await.unwrap();
            let message = if reply.body.is_empty() {
                Value::Null
            } else {
                reply.message()
            };
            Answer {
                status: Some(reply.status),
                message,
            }
        }
        Face::Stdio => {
            let link = agent.as_stdio();
            let before = link.strays().len();
            link.write_raw([message, b"\n".to_vec()].concat()).unwrap();
            let message = wait_for("an answer to raw text", async || {
                link.strays().get(before).cloned()
            });
            Answer {
                status: None,
                message: message.await,
            }
        }
    }
}

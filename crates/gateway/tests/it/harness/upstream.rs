//! The servers behind the gateway, in one form for both ways of reaching them.

use provost_store::Transport;
use provost_testkit::fixture::{Fixture, Hostility, Options, Stdio};
use provost_testkit::wait_until;
use serde_json::Value;

/// How an upstream is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Stdio,
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Http, Kind::Stdio];

    /// The kind of a transport: one that no scene is played on is asked for here.
    pub(crate) fn of(transport: &Transport) -> Option<Kind> {
        match transport {
            Transport::Http { .. } => Some(Kind::Http),
            Transport::Stdio { .. } => Some(Kind::Stdio),
            // There is nobody behind it whom a scene could watch: `builtin.rs` tries it.
            Transport::Builtin => None,
        }
    }
}

/// A fixture that remembers what it was sent.
pub(crate) enum TestUpstream {
    Http(Fixture),
    Stdio(Stdio),
}

// === impl TestUpstream ===

impl TestUpstream {
    pub(crate) fn start(kind: Kind, options: Options) -> TestUpstream {
        match kind {
            Kind::Http => TestUpstream::Http(Fixture::start(options)),
            Kind::Stdio => TestUpstream::Stdio(Stdio::new(&options)),
        }
    }

    /// The fixture in this process.
    pub(crate) fn fixture(&self) -> &Fixture {
        match self {
            TestUpstream::Http(fixture) => fixture,
            TestUpstream::Stdio(_) => panic!("this upstream is a child process"),
        }
    }

    /// Every byte it was sent so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            TestUpstream::Http(fixture) => fixture.recorder.bytes(),
            TestUpstream::Stdio(stdio) => stdio.bytes(),
        }
    }

    /// Whether a text arrived anywhere.
    pub(crate) fn saw(&self, text: &str) -> bool {
        match self {
            TestUpstream::Http(fixture) => fixture.recorder.saw(text),
            TestUpstream::Stdio(stdio) => stdio.saw(text),
        }
    }

    /// The details of all events of a kind.
    pub(crate) fn events_of(&self, kind: &str) -> Vec<Value> {
        match self {
            TestUpstream::Http(fixture) => fixture.recorder.events_of(kind),
            TestUpstream::Stdio(stdio) => stdio.events_of(kind),
        }
    }

    /// The names of all tools that were called, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        match self {
            TestUpstream::Http(fixture) => fixture.recorder.calls(),
            TestUpstream::Stdio(stdio) => stdio.calls(),
        }
    }

    /// The params of all requests of a method that arrived.
    pub(crate) fn requests(&self, method: &str) -> Vec<Value> {
        let all = self.events_of("request").into_iter();
        all.filter(|request| request["method"] == method)
            .map(|r| r["params"].clone())
            .collect()
    }

    /// Waits until a call has arrived.
    pub(crate) async fn wait_for_calls(&self, count: usize) {
        wait_until(&format!("{count} calls have arrived"), || {
            self.calls().len() >= count
        })
        .await;
    }

    /// Waits for an event.
    pub(crate) async fn wait_for(&self, kind: &str) {
        wait_until(&format!("`{kind}` in the upstream"), || {
            !self.events_of(kind).is_empty()
        })
        .await;
    }
}

/// Options with a bad habit on `tools/call`.
pub(crate) fn hostile(habit: Hostility) -> Options {
    Options::hostile(habit)
}

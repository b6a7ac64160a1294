//! The cast of the stories: a gateway on a scratch store ([`gate`]), the servers
//! behind it ([`upstream`]), agents in front of it, and all of them together
//! ([`scene`]).

pub(crate) mod gate;
pub(crate) mod log;
pub(crate) mod scene;
pub(crate) mod scripted;
pub(crate) mod upstream;

use serde_json::{Value, json};

pub(crate) use gate::{Pass, TestGateway};
pub(crate) use provost_store::Processes;
pub(crate) use scene::{Answer, Era, Face, Scene, Setup, raw};
pub(crate) use upstream::{Kind, TestUpstream};

/// Key of the member that explains a decision.
pub(crate) const DECISION: &str = "dev.provost/decision";

/// Tests of the function of that name, each on its way from a face to a kind of upstream.
macro_rules! scenes {
    (
        $promise:ident(Scene::$begin:ident($setup:expr)),
        $($test:ident: $face:ident to $kind:ident,)+
    ) => {
        mod $promise {
            use super::*;

            $(#[tokio::test]
            async fn $test() {
                let scene = Scene::$begin(Face::$face, Kind::$kind, $setup).await;
                super::$promise(scene).await;
            })+
        }
    };
}

/// Calls a macro with every way there is from a face to a kind of upstream.
macro_rules! on_all_ways {
    ($macro:ident!($($argument:tt)*)) => {
        $macro! {
            $($argument)*
            http_to_http: Http to Http,
            http_to_stdio: Http to Stdio,
            stdio_to_http: Stdio to Http,
            stdio_to_stdio: Stdio to Stdio,
        }
    };
}

/// One promise, kept on every face towards every kind of upstream.
macro_rules! everywhere {
    ($promise:ident, $setup:expr) => {
        on_all_ways! { scenes!($promise(Scene::new($setup)),) }
    };
}

/// One promise on both faces, towards an HTTP upstream.
macro_rules! both_faces {
    ($promise:ident, $setup:expr) => {
        scenes! {
            $promise(Scene::new($setup)),
            http: Http to Http,
            stdio: Stdio to Http,
        }
    };
}

/// One promise over HTTP, towards both kinds of upstream.
macro_rules! from_http {
    ($promise:ident, $setup:expr) => {
        scenes! {
            $promise(Scene::new($setup)),
            http_to_http: Http to Http,
            http_to_stdio: Http to Stdio,
        }
    };
}

/// One promise on both faces, towards a process.
macro_rules! to_stdio {
    ($promise:ident, $setup:expr) => {
        scenes! {
            $promise(Scene::new($setup)),
            http_to_stdio: Http to Stdio,
            stdio_to_stdio: Stdio to Stdio,
        }
    };
}

/// One promise everywhere, with an agent that has said nothing yet.
macro_rules! everywhere_before_initialize {
    ($promise:ident, $setup:expr) => {
        on_all_ways! { scenes!($promise(Scene::silent($setup)),) }
    };
}

/// One promise over HTTP, where the other face has nothing of the kind.
macro_rules! over_http {
    ($promise:ident, $setup:expr) => {
        scenes! {
            $promise(Scene::new($setup)),
            http: Http to Http,
        }
    };
}

/// The ways as values.
macro_rules! ways {
    ($($test:ident: $face:ident to $kind:ident,)+) => {
        [$((Face::$face, Kind::$kind)),+]
    };
}

#[test]
fn every_way_there_is_is_played() {
    let all = [Face::Http, Face::Stdio].map(|face| Kind::ALL.map(|kind| (face, kind)));
    assert_eq!(on_all_ways! { ways!() }, *all.as_flattened());
    // A kind more is asked for here, and belongs into the list.
    for kind in Kind::ALL {
        match kind {
            Kind::Http | Kind::Stdio => {}
        }
    }
}

/// A policy that allows what it does not name.
pub(crate) fn allow_all() -> Value {
    json!({"version": "1", "default": "allow"})
}

/// A policy with rules for some tools that allows everything else.
pub(crate) fn tools(rules: Value) -> Value {
    json!({"version": "1", "default": "allow", "tools": rules})
}

/// The first text of a result.
pub(crate) fn text(answer: &Value) -> &str {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {answer}"))
}

/// The decision that an answer carries, wherever it does.
pub(crate) fn decision(answer: &Value) -> &Value {
    let result = answer["result"]["_meta"].get(DECISION);
    let error = answer["error"]["data"].get(DECISION);
    result
        .or(error)
        .unwrap_or_else(|| panic!("no decision: {answer}"))
}

/// The rule that decided.
pub(crate) fn rule(answer: &Value) -> &str {
    decision(answer)["rule"]
        .as_str()
        .expect("a decision names its rule")
}

/// A `tools/call` as text, with arguments byte for byte.
pub(crate) fn call(id: impl std::fmt::Display, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

/// Connections of agents that the gateway serves now.
pub(crate) fn open_connections(scene: &Scene) -> u64 {
    gauge(scene, "provost_connections ")
}

/// A number of the gateway's metrics; `name` with the blank that follows it.
pub(crate) fn gauge(scene: &Scene, name: &str) -> u64 {
    let metrics = scene.gate.gateway.metrics();
    let line = metrics.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no `{name}`: {metrics}"))
}

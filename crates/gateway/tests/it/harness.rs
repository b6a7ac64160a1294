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

/// One promise, kept on every face towards every kind of upstream: four tests
/// of the function of that name.
macro_rules! everywhere {
    ($promise:ident, $setup:expr) => {
        mod $promise {
            use super::*;

            #[tokio::test]
            async fn http_to_http() {
                super::$promise(Scene::new(Face::Http, Kind::Http, $setup).await).await;
            }

            #[tokio::test]
            async fn http_to_stdio() {
                super::$promise(Scene::new(Face::Http, Kind::Stdio, $setup).await).await;
            }

            #[tokio::test]
            async fn stdio_to_http() {
                super::$promise(Scene::new(Face::Stdio, Kind::Http, $setup).await).await;
            }

            #[tokio::test]
            async fn stdio_to_stdio() {
                super::$promise(Scene::new(Face::Stdio, Kind::Stdio, $setup).await).await;
            }
        }
    };
}

/// One promise on both faces, towards an HTTP upstream.
macro_rules! both_faces {
    ($promise:ident, $setup:expr) => {
        mod $promise {
            use super::*;

            #[tokio::test]
            async fn http() {
                super::$promise(Scene::new(Face::Http, Kind::Http, $setup).await).await;
            }

            #[tokio::test]
            async fn stdio() {
                super::$promise(Scene::new(Face::Stdio, Kind::Http, $setup).await).await;
            }
        }
    };
}

/// One promise over HTTP, towards both kinds of upstream.
macro_rules! from_http {
    ($promise:ident, $setup:expr) => {
        mod $promise {
            use super::*;

            #[tokio::test]
            async fn http_to_http() {
                super::$promise(Scene::new(Face::Http, Kind::Http, $setup).await).await;
            }

            #[tokio::test]
            async fn http_to_stdio() {
                super::$promise(Scene::new(Face::Http, Kind::Stdio, $setup).await).await;
            }
        }
    };
}

/// One promise on both faces, towards a process.
macro_rules! to_stdio {
    ($promise:ident, $setup:expr) => {
        mod $promise {
            use super::*;

            #[tokio::test]
            async fn http_to_stdio() {
                super::$promise(Scene::new(Face::Http, Kind::Stdio, $setup).await).await;
            }

            #[tokio::test]
            async fn stdio_to_stdio() {
                super::$promise(Scene::new(Face::Stdio, Kind::Stdio, $setup).await).await;
            }
        }
    };
}

/// One promise everywhere, with an agent that has said nothing yet.
macro_rules! everywhere_before_initialize {
    ($promise:ident, $setup:expr) => {
        mod $promise {
            use super::*;

            #[tokio::test]
            async fn http_to_http() {
                super::$promise(Scene::before_initialize(Face::Http, Kind::Http, $setup)).await;
            }

            #[tokio::test]
            async fn http_to_stdio() {
                super::$promise(Scene::before_initialize(Face::Http, Kind::Stdio, $setup)).await;
            }

            #[tokio::test]
            async fn stdio_to_http() {
                super::$promise(Scene::before_initialize(Face::Stdio, Kind::Http, $setup)).await;
            }

            #[tokio::test]
            async fn stdio_to_stdio() {
                super::$promise(Scene::before_initialize(Face::Stdio, Kind::Stdio, $setup)).await;
            }
        }
    };
}

/// One promise over HTTP, where the other face has nothing of the kind.
macro_rules! over_http {
    ($promise:ident, $setup:expr) => {
        mod $promise {
            use super::*;

            #[tokio::test]
            async fn http() {
                super::$promise(Scene::new(Face::Http, Kind::Http, $setup).await).await;
            }
        }
    };
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

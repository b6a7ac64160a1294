//! The ways from an agent to a server through the shipped binary.

use provost_testkit::process::Start;
use provost_testkit::real::{Speaks, Target, wire};

use super::world::World;

pub(super) const ALLOW_ALL: &str = r#"{"version": "1", "default": "allow"}"#;

/// How an agent gets to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over HTTP, with a grant.
    Http,
    /// Over stdio, with a grant, on the bridge to a daemon.
    Connect,
    /// Over stdio, as the wrapper around the server.
    Run,
}

pub(super) const WAYS: [Way; 3] = [Way::Http, Way::Connect, Way::Run];

impl Way {
    pub(super) fn title(self) -> &'static str {
        match self {
            Way::Http => "HTTP",
            Way::Connect => "stdio, `connect`",
            Way::Run => "stdio, `run`",
        }
    }
}

/// Sets up a gateway in front of a program, with everything allowed; returns how to get through it.
pub(super) fn to_program(world: &mut World, way: Way, start: &Start) -> Target {
    if way == Way::Run {
        let policy = world.write("policy.json", ALLOW_ALL);
        let args = ["run", "--policy", policy.to_str().unwrap(), "--"];
        let wrapped = world.start(&args).args(start.command_line());
        let envs = start.env.iter();
        return Target::Stdio(envs.fold(wrapped, |run, (key, value)| run.env(key, value)));
    }
    world.up();
    world.add_program("real", start);
    with_grant(world, way)
}

/// Waits until a client in this era will find it at a server that has it.
pub(super) async fn warm(speaks: Speaks, modern: bool, target: &Target) -> Option<wire::Warm> {
    if speaks == Speaks::Legacy || !modern {
        return None;
    }
    Some(wire::warm(target).await.unwrap())
}

/// Sets up a gateway in front of a URL.
pub(super) fn to_url(world: &mut World, way: Way, url: &str) -> Target {
    if way == Way::Run {
        let policy = world.write("policy.json", ALLOW_ALL);
        let args = ["run", "--policy", policy.to_str().unwrap(), "--url", url];
        return Target::Stdio(world.start(&args));
    }
    world.up();
    world.add_url("real", url);
    with_grant(world, way)
}

fn with_grant(world: &World, way: Way) -> Target {
    let token = world.grant("real", ALLOW_ALL);
    if way == Way::Http {
        return Target::http(&world.url("real"), Some(&token));
    }
    let bridge = world.start(&["connect", "real"]);
    Target::Stdio(bridge.env("PROVOST_GRANT", token))
}

//! Whether each server works: its program is there, it can be reached, it speaks MCP.

use std::time::Duration;

use provost_admin::{
    FailureKind, PolicyList, PolicyShow, PolicyView, RequestKind, ServerList, ServerView,
    TestServer, Transport, Upstream, no_daemon,
};
use provost_authoring::uncharged;
use provost_policy::document::Policy;
use tokio::task::JoinSet;

use super::findings::{Findings, Health};
use crate::admin::{Admin, ask, connect_admin};
use crate::context::Context;
use crate::daemon::Engine;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;
use crate::programs;
use crate::runtime::block_on;
use crate::terminal::counted;

/// How long one server may take; `server test` waits longer.
const LONGEST: Duration = Duration::from_secs(5);
/// So many are looked at in parallel: each may be a program that starts.
const AT_ONCE: usize = 3;

/// Who asks a server.
#[derive(Clone)]
enum Tester {
    /// The daemon that runs.
    Daemon(Places),
    /// A gateway of this command's own.
    Own(Engine),
}

/// What a look came to; nothing when the server took too long.
type Looked = Option<Outcome<Upstream>>;

/// Looks at every server.
pub(super) fn look(findings: &mut Findings, context: &Context, admin: &Admin, daemon_runs: bool) {
    // Why the store does not open was said already.
    let Ok(servers) = admin.list(ServerList::default()) else {
        return;
    };
    // What cannot be read was said already, too.
    let readable = |server: &&ServerView| server.unreadable.is_empty() && !is_run(server);
    let mut there = Vec::new();
    for server in servers.iter().filter(readable) {
        let name = &server.name;
        match missing_program(context, server) {
            None => there.push(name.clone()),
            Some(program) => findings.add(
                Health::Broken,
                &about(name),
                format!("there is no program `{program}`"),
                format!(
                    "install it, or name another one: `provost server set {name} -- CMD ARGS…`"
                ),
            ),
        }
    }
    if there.is_empty() {
        return;
    }
    match test(admin, daemon_runs, &there) {
        Err(failure) => findings.failure("servers", failure),
        Ok(looked) => {
            for (name, looked) in looked {
                if let Some(Ok(report)) = &looked {
                    idle_limits(findings, admin, &name, report);
                }
                tell(findings, &name, looked);
            }
        }
    }
}

/// Limits that no tool of the server can charge: they may stand on another tool than was meant.
fn idle_limits(findings: &mut Findings, admin: &Admin, server: &str, report: &Upstream) {
    let tools: Vec<_> = report.tools.iter().map(|tool| tool.name.clone()).collect();
    let policies = admin.list(PolicyList {
        server: Some(server.to_owned()),
        ..PolicyList::default()
    });
    let enforced = |policy: &PolicyView| !policy.enforced_on.is_empty();
    for policy in policies.into_iter().flatten().filter(enforced) {
        let shown = admin.ask(PolicyShow {
            server: server.to_owned(),
            name: policy.name.clone(),
            version: None,
        });
        let text = shown.ok().and_then(|shown| shown.text);
        // One that cannot be read was said already.
        let Some(Ok(parsed)) = text.map(|text| Policy::parse(&text)) else {
            continue;
        };
        let idle = uncharged(&parsed, &tools).into_iter();
        let idle: Vec<_> = idle.map(|(counter, _)| format!("`{counter}`")).collect();
        if !idle.is_empty() {
            findings.add(
                Health::Warning,
                &format!("policy {server}/{}", policy.name),
                format!("no tool of the server counts towards {}", idle.join(", ")),
                format!(
                    "are these limits on the right tools? `provost server test {server}` lists the tools"
                ),
            );
        }
    }
}

fn about(name: &str) -> String {
    format!("server {name}")
}

/// The program of a run comes with its agent, which also says where and with what it starts.
fn is_run(server: &ServerView) -> bool {
    matches!(
        &server.transport,
        Some(Transport::Stdio {
            directory: None,
            ..
        })
    )
}

fn missing_program<'s>(context: &Context, server: &'s ServerView) -> Option<&'s str> {
    // A PATH of its own is sealed; the server itself is the test then.
    if server.environment.iter().any(|name| name == "PATH") {
        return None;
    }
    let transport = server.transport.as_ref()?;
    programs::missing(transport, context.environment.path.as_deref())
}

/// Tests these servers, several at once, in their order.
fn test(admin: &Admin, daemon_runs: bool, names: &[String]) -> Outcome<Vec<(String, Looked)>> {
    if daemon_runs {
        let tester = Tester::Daemon(admin.places().clone());
        return block_on(async { Ok(test_all(&tester, names).await) });
    }
    let engine = Engine::of_this_command(admin.open(RequestKind::TestServer)?)?;
    block_on(async {
        let looked = test_all(&Tester::Own(engine.clone()), names).await;
        engine.stop().await;
        Ok(looked)
    })
}

async fn test_all(tester: &Tester, names: &[String]) -> Vec<(String, Looked)> {
    let mut all = Vec::with_capacity(names.len());
    for some in names.chunks(AT_ONCE) {
        let mut tests = JoinSet::new();
        for (place, name) in some.iter().enumerate() {
            let (tester, name) = (tester.clone(), name.clone());
            tests.spawn(async move {
                let looked = tokio::time::timeout(LONGEST, tester.test(&name)).await;
                (place, name, looked.ok())
            });
        }
        let mut looked = tests.join_all().await;
        looked.sort_unstable_by_key(|(place, _, _)| *place);
        all.extend(looked.into_iter().map(|(_, name, looked)| (name, looked)));
    }
    all
}

fn tell(findings: &mut Findings, name: &str, looked: Looked) {
    let about = about(name);
    match looked {
        Some(Ok(report)) => findings.ok(
            &about,
            format!(
                "works: {} (protocol {}), {}",
                report.eras.join(" and "),
                report.protocols.join(" and "),
                counted(report.tools.len(), "tool")
            ),
        ),
        Some(Err(failure)) => broken(findings, &about, failure),
        None => findings.add(
            Health::Warning,
            &about,
            format!("no answer within {} seconds", LONGEST.as_secs()),
            format!("`provost server test {name}` waits longer"),
        ),
    }
}

/// A server that does not work, in the words of `server test`.
fn broken(findings: &mut Findings, about: &str, failure: Failure) {
    let causes = failure.causes.join("; ");
    let message = match failure.kind == FailureKind::Unavailable && !causes.is_empty() {
        true => causes,
        false => failure.message,
    };
    findings.add(
        Health::Broken,
        about,
        message,
        failure.hint.unwrap_or_default(),
    );
}

// === impl Tester ===

impl Tester {
    async fn test(&self, name: &str) -> Outcome<Upstream> {
        match self {
            Tester::Own(engine) => engine.test_server(name).await,
            Tester::Daemon(places) => {
                let stream = connect_admin(places).await?;
                let stream = stream.ok_or_else(|| no_daemon(&places.data))?;
                let name = name.to_owned();
                ask(stream, TestServer { name }).await
            }
        }
    }
}

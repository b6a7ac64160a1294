//! Real client libraries and real servers: through the gateway everything is as
//! it is without it, over HTTP and over stdio.

use provost_testkit::process::Start;
use provost_testkit::real::{self, EverythingHttp, LIBRARIES, Library, Target};

use serde_json::Value;

use super::world::World;

const ALLOW_ALL: &str = r#"{"version": "1", "default": "allow"}"#;

/// What must be equal. Two things may differ: the gateway always says that the
/// list of tools can change, because a policy can change it; and a library may
/// or may not see the last progress before the answer it comes with.
fn comparable(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).unwrap();
    if let Some(tools) = report.pointer_mut("/server/capabilities/tools") {
        tools["listChanged"] = Value::Bool(true);
    }
    for step in report["steps"].as_array_mut().unwrap() {
        if let Some(progress) = step.get_mut("progress").and_then(Value::as_array_mut) {
            progress.retain(|seen| seen["progress"] != seen["total"]);
        }
    }
    report
}

/// The three ways in: an agent over HTTP, one on the bridge, and the wrapper.
async fn the_same_through_the_gateway(name: &str) {
    for library in LIBRARIES {
        let server = real::server(name);
        let direct = Target::Stdio(server.start.clone());
        let expected = comparable(&server.run(library, &direct).await.unwrap());
        for way in ["http", "connect", "run"] {
            let server = real::server(name);
            let mut world = World::new();
            let target = target(&mut world, way, &server.start);
            let report = comparable(&server.run(library, &target).await.unwrap());
            assert_eq!(report, expected, "{name} with {library:?} by {way}");
        }
    }
}

fn target(world: &mut World, way: &str, start: &Start) -> Target {
    if way == "run" {
        let policy = world.write("policy.json", ALLOW_ALL);
        let args = ["run", "--policy", policy.to_str().unwrap(), "--"];
        let wrapped = world.start(&args).args(start.command_line());
        let envs = start.env.iter();
        return Target::Stdio(envs.fold(wrapped, |run, (key, value)| run.env(key, value)));
    }
    world.up();
    world.add_program("real", start);
    let token = world.grant("real", ALLOW_ALL);
    if way == "http" {
        let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        return Target::Http {
            url: world.url("real"),
            headers,
        };
    }
    Target::Stdio(
        world
            .start(&["connect", "real"])
            .env("PROVOST_GRANT", token),
    )
}

#[tokio::test]
async fn everything_is_the_same_through_the_gateway() {
    the_same_through_the_gateway("everything").await;
}

#[tokio::test]
async fn filesystem_is_the_same_through_the_gateway() {
    the_same_through_the_gateway("filesystem").await;
}

#[tokio::test]
async fn memory_is_the_same_through_the_gateway() {
    the_same_through_the_gateway("memory").await;
}

#[tokio::test]
async fn git_is_the_same_through_the_gateway() {
    the_same_through_the_gateway("git").await;
}

#[tokio::test]
async fn sqlite_is_the_same_through_the_gateway() {
    the_same_through_the_gateway("sqlite").await;
}

#[tokio::test]
async fn time_is_the_same_through_the_gateway() {
    the_same_through_the_gateway("time").await;
}

/// A real server over HTTP, with sessions, streams and resumption of its own.
#[tokio::test]
async fn everything_over_http_is_the_same_through_the_gateway() {
    for library in LIBRARIES {
        let upstream = EverythingHttp::start().await;
        let direct = Target::Http {
            url: upstream.url().to_owned(),
            headers: Vec::new(),
        };
        let expected = real::run(library, "everything", &direct, None).await;
        let expected = comparable(&expected.unwrap());
        let mut world = World::new();
        world.up();
        world.add_url("real", upstream.url());
        let token = world.grant("real", ALLOW_ALL);
        let through = http(&world, &token);
        let report = real::run(library, "everything", &through, None).await;
        let report = comparable(&report.unwrap());
        assert_eq!(report, expected, "with {library:?}");
    }
}

#[tokio::test]
async fn everything_over_http_is_the_same_for_a_wrapped_agent() {
    let upstream = EverythingHttp::start().await;
    let direct = Target::Http {
        url: upstream.url().to_owned(),
        headers: Vec::new(),
    };
    let library = Library::TypeScript;
    let expected = real::run(library, "everything", &direct, None).await;
    let expected = comparable(&expected.unwrap());
    let world = World::new();
    let policy = world.write("policy.json", ALLOW_ALL);
    let args = [
        "run",
        "--policy",
        policy.to_str().unwrap(),
        "--url",
        upstream.url(),
    ];
    let wrapped = Target::Stdio(world.start(&args));
    let report = real::run(library, "everything", &wrapped, None).await;
    assert_eq!(comparable(&report.unwrap()), expected);
}

fn http(world: &World, token: &str) -> Target {
    let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    Target::Http {
        url: world.url("real"),
        headers,
    }
}

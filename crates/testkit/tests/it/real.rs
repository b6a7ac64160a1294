//! The real servers and clients agree with themselves: the same scenario twice gives the same report.

use provost_testkit::fixture::{Fixture, Options, Stdio};
use provost_testkit::real::{self, EverythingHttp, LIBRARIES, Library, Target};
use serde_json::Value;

fn parsed(report: &str) -> Value {
    serde_json::from_str(report).unwrap()
}

/// Runs a real server's scenario twice, each time on fresh data.
async fn twice(name: &str) {
    for library in LIBRARIES {
        let mut reports = Vec::new();
        for _ in 0..2 {
            let server = real::server(name);
            reports.push(
                server
                    .run(library, &Target::Stdio(server.start.clone()))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(reports[0], reports[1], "{name} with {library:?}");
        let report = parsed(&reports[0]);
        let steps = report["steps"].as_array().unwrap();
        assert_eq!(
            steps.len(),
            real::steps(name, None).as_array().unwrap().len()
        );
        let fine = steps
            .iter()
            .filter(|step| step["error"].is_null() && step["result"]["isError"] != true)
            .count();
        assert!(
            fine * 2 > steps.len(),
            "{name} with {library:?}: most steps succeed: {report:#}"
        );
    }
}

#[tokio::test]
async fn everything_is_repeatable() {
    twice("everything").await;
}

#[tokio::test]
async fn filesystem_is_repeatable() {
    twice("filesystem").await;
}

#[tokio::test]
async fn memory_is_repeatable() {
    twice("memory").await;
}

#[tokio::test]
async fn git_is_repeatable() {
    twice("git").await;
}

#[tokio::test]
async fn sqlite_is_repeatable() {
    twice("sqlite").await;
}

#[tokio::test]
async fn time_is_repeatable() {
    twice("time").await;
}

#[tokio::test]
async fn everything_says_the_same_over_http() {
    let server = EverythingHttp::start().await;
    for library in LIBRARIES {
        let report = real::run(
            library,
            "everything",
            &Target::http(server.url(), None),
            None,
        )
        .await
        .unwrap();
        let again = real::run(
            library,
            "everything",
            &Target::http(server.url(), None),
            None,
        )
        .await
        .unwrap();
        assert_eq!(report, again);
    }
}

#[tokio::test]
async fn the_fixture_satisfies_real_clients_on_both_faces() {
    for library in [Library::TypeScript, Library::Python] {
        let fixture = Fixture::plain();
        let over_http = real::run(
            library,
            "fixture",
            &Target::http(&fixture.url(), Some("x")),
            None,
        )
        .await
        .unwrap();
        let stdio = Stdio::new(&Options::default());
        let over_stdio = real::run(
            library,
            "fixture",
            &Target::Stdio(stdio.start.clone()),
            None,
        )
        .await
        .unwrap();
        assert_eq!(over_http, over_stdio, "{library:?}");
        assert!(fixture.recorder.saw("uthorization: Bearer x"));
        assert!(
            fixture.sessions().is_empty(),
            "{library:?} ends its session"
        );
    }
}

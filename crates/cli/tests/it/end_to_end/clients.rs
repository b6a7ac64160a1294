//! Real client libraries and real servers: through the gateway everything is as
//! it is without it, over HTTP and over stdio.

use provost_testkit::fixture::{Eras, Fixture, Options, Stdio};
use provost_testkit::real::{self, Client, HttpServer, Library, Speaks, Target};
use provost_testkit::real::{compare, table};

use super::ways::{WAYS, Way, to_program, to_url, warm};
use super::world::World;

/// Around a program of the server's own.
async fn the_same_through_the_gateway(client: Client, name: &str, ways: &[Way]) {
    let server = real::server(name);
    let direct = Target::Stdio(server.start.clone());
    let expected = client.run(name, &server.names(), &direct).await.unwrap();
    for way in ways {
        let server = real::server(name);
        let mut world = World::new();
        let target = to_program(&mut world, *way, &server.start);
        let _warm = warm(client.speaks, real::is_modern(name), &target).await;
        let report = client.run(name, &server.names(), &target).await;
        confirm(client, *way, name, &expected, &report.unwrap());
    }
}

/// A real server over HTTP, with sessions, streams and resumption of its own.
async fn the_same_from_a_url(client: Client, name: &str, ways: &[Way]) {
    let upstream = HttpServer::start(name).await;
    let direct = Target::http(upstream.url(), None);
    let expected = client.run(name, &[], &direct).await.unwrap();
    for way in ways {
        let mut world = World::new();
        let target = to_url(&mut world, *way, upstream.url());
        let _warm = warm(client.speaks, real::is_modern(name), &target).await;
        let report = client.run(name, &[], &target).await.unwrap();
        let server = format!("{name} over HTTP");
        confirm(client, *way, &server, &expected, &report);
    }
}

/// What no real server does yet: questions in results, headers for arguments, subscriptions. Our own fixture does.
async fn the_same_of_the_fixture(client: Client) {
    const SCENARIO: &str = "fixture-modern";
    let options = || Options {
        eras: Eras::Modern,
        ..Options::default()
    };
    let program = Stdio::new(&options());
    let direct = Target::Stdio(program.start.clone());
    let expected = client.run(SCENARIO, &[], &direct).await.unwrap();
    for way in [Way::Http, Way::Run] {
        let program = Stdio::new(&options());
        let mut world = World::new();
        let target = to_program(&mut world, way, &program.start);
        let report = client.run(SCENARIO, &[], &target).await.unwrap();
        confirm(client, way, "the fixture", &expected, &report);
        let upstream = Fixture::start(options());
        let mut world = World::new();
        let target = to_url(&mut world, way, &upstream.url());
        let report = client.run(SCENARIO, &[], &target).await.unwrap();
        confirm(client, way, "the fixture over HTTP", &expected, &report);
    }
}

fn confirm(client: Client, way: Way, server: &str, expected: &str, report: &str) {
    let title = client.library.title();
    let era = client.speaks.word();
    let what = format!("{title}, {era}, {}, {server}", way.title());
    compare::reports(&what, expected, report);
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    let steps = report["steps"].as_array().unwrap().len();
    let spoken = report["server"]["version"].as_str().unwrap_or("2025-11-25");
    let result = format!("equal, {steps} steps");
    let cells = [title, era, way.title(), server, spoken, &result];
    table::confirm("Clients", &cells, 4);
}

macro_rules! clients {
    ($($test:ident: $library:ident $speaks:ident, $name:literal, $ways:expr;)*) => {$(
        #[tokio::test]
        async fn $test() {
            let client = Client::new(Library::$library, Speaks::$speaks);
            the_same_through_the_gateway(client, $name, &$ways).await;
        }
    )*};
}

clients! {
    typescript_1_sees_the_same_of_everything: TypeScript1 Legacy, "everything", WAYS;
    typescript_2_sees_the_same_of_everything: TypeScript2 Legacy, "everything", WAYS;
    python_1_sees_the_same_of_everything: Python1 Legacy, "everything", WAYS;
    python_2_sees_the_same_of_everything: Python2 Legacy, "everything", WAYS;
    typescript_1_sees_the_same_of_git: TypeScript1 Legacy, "git", [Way::Http];
    typescript_2_sees_the_same_of_git: TypeScript2 Legacy, "git", [Way::Http];
    python_1_sees_the_same_of_git: Python1 Legacy, "git", [Way::Http];
    python_2_sees_the_same_of_git: Python2 Legacy, "git", [Way::Http];
    typescript_2_sees_the_same_of_git_in_the_modern_era: TypeScript2 Modern, "git", WAYS;
    typescript_2_finds_the_era_of_git: TypeScript2 Auto, "git", [Way::Http, Way::Run];
    typescript_2_finds_the_era_of_everything: TypeScript2 Auto, "everything", [Way::Http, Way::Run];
    python_2_sees_the_same_of_git_in_the_modern_era: Python2 Modern, "git", WAYS;
    python_2_finds_the_era_of_git: Python2 Auto, "git", [Way::Http, Way::Run];
    python_2_finds_the_era_of_everything: Python2 Auto, "everything", [Way::Http, Way::Run];
}

macro_rules! urls {
    ($($test:ident: $library:ident $speaks:ident, $name:literal, $ways:expr;)*) => {$(
        #[tokio::test]
        async fn $test() {
            let client = Client::new(Library::$library, Speaks::$speaks);
            the_same_from_a_url(client, $name, &$ways).await;
        }
    )*};
}

urls! {
    typescript_1_sees_the_same_of_a_url: TypeScript1 Legacy, "everything", [Way::Http, Way::Run];
    typescript_2_sees_the_same_of_a_url: TypeScript2 Legacy, "everything", [Way::Http];
    python_1_sees_the_same_of_a_url: Python1 Legacy, "everything", [Way::Http];
    python_2_sees_the_same_of_a_url: Python2 Legacy, "everything", [Way::Http];
    typescript_2_finds_the_era_of_a_legacy_url: TypeScript2 Auto, "everything", [Way::Http];
    python_2_finds_the_era_of_a_legacy_url: Python2 Auto, "everything", [Way::Http];
    typescript_2_finds_the_era_of_a_url: TypeScript2 Auto, "context7", [Way::Http, Way::Run];
    python_2_finds_the_era_of_a_url: Python2 Auto, "context7", [Way::Http, Way::Run];
}

#[tokio::test]
async fn typescript_2_sees_the_same_of_all_the_modern_era_has() {
    the_same_of_the_fixture(Client::new(Library::TypeScript2, Speaks::Modern)).await;
}

#[tokio::test]
async fn python_2_sees_the_same_of_all_the_modern_era_has() {
    the_same_of_the_fixture(Client::new(Library::Python2, Speaks::Auto)).await;
}

//! Fourteen real servers: everything they list and answer is the same through the gateway, byte by byte where nothing
//! has to be changed.

use std::collections::BTreeSet;

use provost_testkit::real::compare::{self, Change, Outcome};
use provost_testkit::real::wire::{self, Said};
use provost_testkit::real::{self, HttpServer, Speaks, Target, table};

use super::ways::{Way, to_program, to_url};
use super::world::World;

/// Direct, over HTTP, and wrapped; the row says what was found.
async fn the_same_through_the_gateway(name: &'static str, speaks: Speaks) {
    let server = real::server(name);
    let direct = Target::Stdio(server.start.clone());
    let direct = wire::run(speaks, name, &server.names(), &direct).await;
    let direct = direct.unwrap();
    let mut outcomes = Vec::new();
    for way in [Way::Http, Way::Run] {
        let server = real::server(name);
        let mut world = World::new();
        let target = to_program(&mut world, way, &server.start);
        let through = wire::run(speaks, name, &server.names(), &target).await;
        let what = format!("{name}, {}, {}", speaks.word(), way.title());
        let through = through.unwrap_or_else(|e| panic!("{what}: {e:#}"));
        outcomes.push(compare::answers(&what, &direct, &through));
    }
    confirm((name, ""), speaks, &direct, &outcomes);
}

/// The same of a server that is reached over HTTP.
async fn the_same_from_a_url(name: &str, speaks: Speaks) {
    let upstream = HttpServer::start(name).await;
    let direct = Target::http(upstream.url(), None);
    let direct = wire::run(speaks, name, &[], &direct).await.unwrap();
    let mut outcomes = Vec::new();
    for way in [Way::Http, Way::Run] {
        let mut world = World::new();
        let target = to_url(&mut world, way, upstream.url());
        let through = wire::run(speaks, name, &[], &target).await;
        let what = format!("{name} over HTTP, {}, {}", speaks.word(), way.title());
        let through = through.unwrap_or_else(|e| panic!("{what}: {e:#}"));
        outcomes.push(compare::answers(&what, &direct, &through));
    }
    confirm((name, " over HTTP"), speaks, &direct, &outcomes);
}

fn confirm((name, how): (&str, &str), speaks: Speaks, direct: &[Said], outcomes: &[Outcome]) {
    let calls = direct
        .iter()
        .filter(|said| said.question.starts_with("tools/call"));
    let tools = direct
        .iter()
        .filter(|said| said.question == "tools/list")
        .map(|said| tools_in(&said.text));
    let cells = [
        format!("{name}{how}"),
        real::version(name),
        speaks.word().to_owned(),
        tools.sum::<usize>().to_string(),
        calls.count().to_string(),
        outcomes[0].answers.to_string(),
        outcomes[0].errors.to_string(),
        told(&outcomes[0]),
        told(&outcomes[1]),
    ];
    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
    table::confirm("Servers", &cells, 3);
}

fn tools_in(list: &str) -> usize {
    let list: serde_json::Value = serde_json::from_str(list).unwrap();
    list["tools"].as_array().unwrap().len()
}

fn told(outcome: &Outcome) -> String {
    let changes: BTreeSet<Change> = outcome.changes.clone();
    let changes: Vec<&str> = changes.into_iter().map(Change::word).collect();
    let exact = format!("equal, {} byte by byte", outcome.exact);
    if changes.is_empty() {
        return exact;
    }
    format!("{exact}; changed: {}", changes.join(", "))
}

macro_rules! servers {
    ($($test:ident: $name:literal, $speaks:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            the_same_through_the_gateway($name, Speaks::$speaks).await;
        }
    )*};
}

servers! {
    everything_is_the_same: "everything", Legacy;
    filesystem_is_the_same: "filesystem", Legacy;
    memory_is_the_same: "memory", Legacy;
    sequential_thinking_is_the_same: "sequential-thinking", Legacy;
    playwright_is_the_same: "playwright", Legacy;
    chrome_devtools_is_the_same: "chrome-devtools", Legacy;
    context7_is_the_same: "context7", Legacy;
    kubernetes_is_the_same: "kubernetes", Legacy;
    notion_is_the_same: "notion", Legacy;
    mongodb_is_the_same: "mongodb", Legacy;
    git_is_the_same: "git", Legacy;
    time_is_the_same: "time", Legacy;
    fetch_is_the_same: "fetch", Legacy;
    sqlite_is_the_same: "sqlite", Legacy;
    context7_is_the_same_in_the_modern_era: "context7", Modern;
    mongodb_is_the_same_in_the_modern_era: "mongodb", Modern;
    git_is_the_same_in_the_modern_era: "git", Modern;
    time_is_the_same_in_the_modern_era: "time", Modern;
    fetch_is_the_same_in_the_modern_era: "fetch", Modern;
}

macro_rules! urls {
    ($($test:ident: $name:literal, $speaks:ident;)*) => {$(
        #[tokio::test]
        async fn $test() {
            the_same_from_a_url($name, Speaks::$speaks).await;
        }
    )*};
}

urls! {
    everything_over_http_is_the_same: "everything", Legacy;
    context7_over_http_is_the_same: "context7", Legacy;
    context7_over_http_is_the_same_in_the_modern_era: "context7", Modern;
    mongodb_over_http_is_the_same: "mongodb", Legacy;
    mongodb_over_http_is_the_same_in_the_modern_era: "mongodb", Modern;
}

//! An agent of one era before a server of the other: nothing is translated, and the agent's person is told so.

use provost_testkit::fixture::{Eras, Options, Stdio};
use provost_testkit::process::Start;
use provost_testkit::real::{self, Client, Library, Speaks, Target, inspector, table};

use super::ways::{Way, to_program};
use super::world::World;

const LEGACY_ONLY: &str =
    "speaks no protocol newer than 2025-11-25; open a session with `initialize`";
const MODERN_ONLY: &str = "speaks only the protocol of 2026-07-28; use a client that speaks it";
/// What the library makes of a refused `server/discover` itself.
const PINNED: &str = "the server did not offer pinned protocol version 2026-07-28";
/// The first Python library shows nothing of an HTTP answer but its status.
const STATUS: &str = "Client error '400 Bad Request' for url";

const WAYS: [Way; 2] = [Way::Http, Way::Run];

async fn told(client: Client, server: &str, start: &Start, expected: &str) {
    for way in WAYS {
        let mute = client.library == Library::Python1 && way == Way::Http;
        let expected = if mute { STATUS } else { expected };
        let mut world = World::new();
        let target = to_program(&mut world, way, start);
        let report = client.run("time", &[], &target).await;
        let said = match report {
            Err(error) => format!("{error:#}"),
            Ok(report) => report,
        };
        confirm(
            (client.library.title(), client.speaks),
            way,
            server,
            &said,
            expected,
        );
    }
}

async fn inspector_told(speaks: Speaks, server: &str, start: &Start, expected: &str) {
    for way in WAYS {
        let mut world = World::new();
        let target: Target = to_program(&mut world, way, start);
        let question = ["--method", "tools/list"];
        let (code, printed) = inspector::ask(speaks, &target, &question, &[])
            .await
            .unwrap();
        assert_ne!(code, 0, "{printed}");
        let message = printed["error"]["message"].as_str().unwrap();
        confirm((inspector::TITLE, speaks), way, server, message, expected);
    }
}

fn confirm(client: (&str, Speaks), way: Way, server: &str, said: &str, expected: &str) {
    assert!(said.contains(expected), "{client:?}, {way:?}: {said}");
    let words = format!("… {expected} …");
    let cells = [client.0, client.1.word(), way.title(), server, &words];
    table::confirm("The other era", &cells, 4);
}

fn modern_only() -> Stdio {
    Stdio::new(&Options {
        eras: Eras::Modern,
        ..Options::default()
    })
}

#[tokio::test]
async fn legacy_clients_are_told_of_a_modern_server() {
    let clients = [
        Library::TypeScript1,
        Library::TypeScript2,
        Library::Python1,
        Library::Python2,
    ];
    let server = "a modern server";
    let program = modern_only();
    for library in clients {
        let client = Client::new(library, Speaks::Legacy);
        told(client, server, &program.start, MODERN_ONLY).await;
    }
    inspector_told(Speaks::Legacy, server, &program.start, MODERN_ONLY).await;
}

#[tokio::test]
async fn modern_clients_are_told_of_a_legacy_server() {
    let start = real::server("everything").start;
    let server = "everything";
    let client = Client::new(Library::TypeScript2, Speaks::Modern);
    told(client, server, &start, PINNED).await;
    let client = Client::new(Library::Python2, Speaks::Modern);
    told(client, server, &start, LEGACY_ONLY).await;
    inspector_told(Speaks::Modern, server, &start, PINNED).await;
}

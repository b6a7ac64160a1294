//! The real servers and clients agree with themselves, and a difference would be seen.

use provost_testkit::fixture::{Fixture, Options, Stdio};
use provost_testkit::real::{self, Client, Library, Speaks, Target};
use provost_testkit::real::{compare, wire};

const LEGACY: [Client; 4] = [
    Client::new(Library::TypeScript1, Speaks::Legacy),
    Client::new(Library::TypeScript2, Speaks::Legacy),
    Client::new(Library::Python1, Speaks::Legacy),
    Client::new(Library::Python2, Speaks::Legacy),
];

/// What an answer is compared with has to be sharp: another number, another order of keys, one space more.
#[tokio::test]
async fn a_comparison_sees_a_changed_answer() {
    let server = real::server("memory");
    let target = Target::Stdio(server.start.clone());
    let answers = wire::run(Speaks::Legacy, "memory", &server.names(), &target).await;
    let answers = answers.unwrap();
    let list = answers
        .iter()
        .position(|said| said.question == "tools/list");
    let list = list.unwrap();
    let same = compare::answers("itself", &answers, &answers);
    assert_eq!((same.exact, same.answers), (answers.len(), answers.len()));
    let mut spaced = answers.clone();
    spaced[list].text.push(' ');
    let found = compare::answers("a space more", &answers, &spaced);
    assert_eq!(found.exact, answers.len() - 1);
    let mut changed = answers.clone();
    changed[list].text = changed[list].text.replace("readOnlyHint", "readonlyHint");
    assert_ne!(changed, answers);
    let compared = std::panic::catch_unwind(|| compare::answers("a change", &answers, &changed));
    assert!(compared.is_err());
}

#[tokio::test]
async fn the_fixture_satisfies_real_clients_on_both_faces() {
    for client in LEGACY {
        let fixture = Fixture::plain();
        let target = Target::http(&fixture.url(), Some("x"));
        let over_http = client.run("fixture", &[], &target).await.unwrap();
        let stdio = Stdio::new(&Options::default());
        let target = Target::Stdio(stdio.start.clone());
        let over_stdio = client.run("fixture", &[], &target).await.unwrap();
        assert_eq!(over_http, over_stdio, "{client:?}");
        assert!(fixture.recorder.saw("uthorization: Bearer x"));
        assert!(fixture.sessions().is_empty(), "{client:?} ends its session");
    }
}

//! `server/discover`: what a server is, cut to what is spoken here.

use super::*;
use provost_testkit::fixture::{Eras, Options};
use provost_testkit::modern::meta;

async fn a_server_says_who_it_is(scene: Scene) {
    let found = scene.agent.discover().await;
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(found["instructions"], "A server for tests.");
    assert_eq!(
        found["capabilities"]["extensions"],
        json!({"dev.example/extension": {"kept": true}, provost_testkit::modern::TASKS: {}})
    );
    assert_eq!(found["capabilities"]["tools"], json!({"listChanged": true}));
    assert_eq!(found["dev.example/more"], 12_345_678_901_234_567_890_u64);
    assert_eq!(found["_meta"][meta::SERVER]["name"], "provost-fixture");
    assert!(scene.gate.records().is_empty(), "housekeeping");
}
everywhere!(a_server_says_who_it_is, open());

/// Whoever took such a revision would not get through.
async fn revisions_that_are_not_spoken_here_are_left_out(scene: Scene) {
    let found = scene.agent.discover().await;
    assert_eq!(
        found["supportedVersions"],
        json!([
            "2026-07-28",
            "2025-11-25",
            "2025-06-18",
            "2025-03-26",
            "2024-11-05"
        ])
    );
}
everywhere!(
    revisions_that_are_not_spoken_here_are_left_out,
    open().options(Options {
        eras: Eras::Both,
        further_versions: vec!["2027-03-14".to_owned(), "DRAFT-2028".to_owned()],
        ..Options::default()
    })
);

async fn even_a_grant_without_a_policy_may_look(scene: Scene) {
    assert_eq!(scene.agent.discover().await["resultType"], "complete");
    assert!(scene.agent.tools().await.is_empty());
}
everywhere!(
    even_a_grant_without_a_policy_may_look,
    Setup::without_policy()
        .options(Options::modern())
        .agent(Era::Modern)
);

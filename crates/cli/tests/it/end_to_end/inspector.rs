//! The Inspector's command line: it prints the same through the gateway as without it.

use provost_testkit::real::{self, Speaks, Target, inspector, table};

use super::ways::{Way, to_program, warm};
use super::world::World;

/// One start for each; the last of them is refused by the server.
fn questions(server: &str) -> Vec<Vec<&'static str>> {
    let list = vec!["--method", "tools/list"];
    match server {
        "everything" => vec![
            list,
            vec![
                "--method",
                "tools/call",
                "--tool-name",
                "get-sum",
                "--tool-args-json",
                r#"{"a": 2.5, "b": -40}"#,
            ],
            vec!["--method", "tools/call", "--tool-name", "no-such-tool"],
        ],
        _ => vec![
            list,
            vec![
                "--method",
                "tools/call",
                "--tool-name",
                "convert_time",
                "--tool-arg",
                "source_timezone=Asia/Tokyo",
                "time=16:30",
                "target_timezone=Asia/Kolkata",
            ],
            vec!["--method", "tools/call", "--tool-name", "no-such-tool"],
        ],
    }
}

async fn the_same_through_the_gateway(speaks: Speaks, name: &str) {
    let server = real::server(name);
    let direct = Target::Stdio(server.start.clone());
    let mut expected = Vec::new();
    for question in questions(name) {
        let printed = inspector::ask(speaks, &direct, &question, &server.names()).await;
        expected.push(printed.unwrap());
    }
    let printed = expected.iter().filter(|(code, _)| *code == 0).count();
    assert!(printed > 1, "most questions are answered: {expected:?}");
    for way in [Way::Http, Way::Run] {
        let server = real::server(name);
        let mut world = World::new();
        let target = to_program(&mut world, way, &server.start);
        let _warm = warm(speaks, real::is_modern(name), &target).await;
        for (question, expected) in questions(name).iter().zip(&expected) {
            let printed = inspector::ask(speaks, &target, question, &server.names()).await;
            let what = format!("{name}, {}, {}: {question:?}", speaks.word(), way.title());
            assert_eq!(printed.unwrap(), *expected, "{what}");
        }
        let result = format!("equal, {} starts", expected.len());
        let cells = [inspector::TITLE, speaks.word(), way.title(), name, &result];
        table::confirm("Inspector", &cells, 4);
    }
}

#[tokio::test]
async fn the_inspector_prints_the_same_of_everything() {
    the_same_through_the_gateway(Speaks::Legacy, "everything").await;
}

#[tokio::test]
async fn the_inspector_prints_the_same_of_time() {
    the_same_through_the_gateway(Speaks::Legacy, "time").await;
}

#[tokio::test]
async fn the_inspector_prints_the_same_of_time_in_the_modern_era() {
    the_same_through_the_gateway(Speaks::Modern, "time").await;
}

#[tokio::test]
async fn the_inspector_finds_the_era_of_time() {
    the_same_through_the_gateway(Speaks::Auto, "time").await;
}

#[tokio::test]
async fn the_inspector_finds_the_era_of_everything() {
    the_same_through_the_gateway(Speaks::Auto, "everything").await;
}

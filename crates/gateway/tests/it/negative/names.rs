//! Names that are too long, or too many to be compared.

use super::*;
use provost_policy::lengths;
use provost_testkit::fixture::Options;

/// Three bytes that become thirty-three when they are folded.
const GROWS: &str = "\u{fdfa}";

/// So many members whose names are not ASCII, of 48 bytes each.
fn growing(count: usize) -> String {
    let members: Vec<_> = (0..count)
        .map(|n| format!("\"{}{n:06}\":0", GROWS.repeat(14)))
        .collect();
    members.join(",")
}

/// So many members with plain names.
fn plain(count: usize) -> String {
    let members: Vec<_> = (0..count).map(|n| format!("\"k{n}\":0")).collect();
    members.join(",")
}

async fn d82_names_that_are_too_much_to_compare(scene: Scene) {
    let beyond = lengths::FOLDED / 48 + 1;
    let ping = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{{params}}}}}"#)
    };
    let texts = [
        ping(&growing(beyond)),
        ping(&growing(20_000)),
        ping(&plain(lengths::KEYS + 1)),
        ping(&format!("\"{}\":0", GROWS.repeat(1_000_000))),
        ping(&format!("\"{}\":0", "k".repeat(lengths::KEY + 1))),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
            "x".repeat(lengths::METHOD_NAME + 1)
        ),
    ];
    refuse(&scene, INVALID, texts).await;

    for arguments in [
        growing(beyond),
        growing(20_000),
        plain(lengths::KEYS + 1),
        format!("\"{}\":0", GROWS.repeat(1_000_000)),
        format!("\"{}\":0", "k".repeat(lengths::KEY + 1)),
    ] {
        let watch = Watch::on(&scene, arguments.chars().take(60).collect::<String>());
        let answer = scene
            .raw(call(1, "echo", &format!("{{{arguments}}}")))
            .await;
        assert_eq!(rule(&answer.message), ENVELOPE, "{answer:?}");
        watch.call_refused(ENVELOPE, "echo").await;
    }
}
both_faces!(d82_names_that_are_too_much_to_compare, allow_all());

async fn d82_the_name_of_a_tool_is_too_long(scene: Scene) {
    for name in [
        "_".repeat(lengths::TOOL_NAME + 1),
        GROWS.repeat(lengths::TOOL_NAME + 1),
        GROWS.repeat(1_000_000),
        "_".repeat(3_900_000),
    ] {
        let watch = Watch::on(&scene, name.chars().take(9).collect::<String>());
        let answer = scene.raw(call(1, &name, "{}")).await.message;
        assert_eq!(rule(&answer), ENVELOPE, "{}", answer["error"]["code"]);
        watch.refused(ENVELOPE, "tools/call").await;
    }
}
both_faces!(d82_the_name_of_a_tool_is_too_long, allow_all());

/// A name that some readers end at a NUL.
async fn names_with_control_characters_are_refused(scene: Scene) {
    let call = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#)
    };
    let texts = [
        call(r#""name":"echo","name\u0000":"add","arguments":{}"#),
        call(r#""name":"echo","arguments":{},"arguments\u0000":{"text":"x"}"#),
        call(r#""name":"echo","arguments":{},"_meta\u0000":{}"#),
    ];
    refuse(&scene, INVALID, texts).await;
    for arguments in [r#"{"text":"a","text\u0000":"b"}"#, r#"{"a\n":1}"#] {
        let watch = Watch::on(&scene, arguments);
        let answer = scene.raw(super::call(1, "echo", arguments)).await;
        assert_eq!(rule(&answer.message), ENVELOPE, "{answer:?}");
        watch.call_refused(ENVELOPE, "echo").await;
    }
}
both_faces!(names_with_control_characters_are_refused, allow_all());

/// A list is looked at up to a length: what a policy says of a name costs something.
#[tokio::test]
async fn d82_a_list_of_more_tools_than_anybody_has_is_cut_off() {
    let options = Options {
        generated_tools: 20_000,
        ..Options::default()
    };
    for face in [Face::Http, Face::Stdio] {
        let setup = Setup::from(allow_all()).options(options.clone());
        let scene = Scene::new(face, Kind::Http, setup).await;
        assert_eq!(scene.agent.tools().await.len(), 10_000);
        scene.honest_call_works().await;
    }
}

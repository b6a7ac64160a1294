//! A grant or a server that ends while the server is asked what it speaks: the agent is
//! told what happened, and nothing is remembered of a server that did not answer.

use super::d81::{AWAITED, changed_meanwhile, changed_while};
use super::*;
use crate::harness::scene::kill_last;

/// Over stdio no token comes with a request, so it is the session that tells.
async fn s7_a_grant_that_is_rotated_while_its_server_is_asked_calls_nothing(face: Face) {
    for kind in Kind::ALL {
        for method in AWAITED {
            let dam = Dam::new();
            let scene = held(face, kind, &dam, method, allow_all());
            let told = changed_meanwhile(&scene, &dam, method, |scene| {
                scene.gate.rotate(&scene.pass);
            });
            ended(&told.await.unwrap());
            scene
                .records_become(&["tools/call echo: deny by (revoked)"])
                .await;
            assert!(scene.upstream.calls().is_empty(), "{kind:?} {method}");
        }
    }
}
on_each_face!(s7_a_grant_that_is_rotated_while_its_server_is_asked_calls_nothing);

fn ended(told: &Value) {
    assert_eq!(
        (told["error"]["code"].as_i64(), rule(told)),
        (Some(1403), "(revoked)"),
        "{told}"
    );
}

async fn s7_a_grant_that_is_rotated_while_its_server_is_asked_lists_nothing(face: Face) {
    for kind in Kind::ALL {
        for listed in ["tools/list", "server/discover"] {
            let dam = Dam::new();
            let scene = held(face, kind, &dam, "server/discover", allow_all());
            let message = scene.agent.wrapped("held", listed, json!({}));
            let told = changed_while(&scene, &dam, "server/discover", &message, |scene| {
                scene.gate.rotate(&scene.pass);
            });
            ended(&told.await.unwrap());
            scene
                .records_become(&[&*format!("{listed}: deny by (revoked)")])
                .await;
            assert!(scene.upstream.requests("tools/list").is_empty());
        }
    }
}
on_each_face!(s7_a_grant_that_is_rotated_while_its_server_is_asked_lists_nothing);

async fn w7_a_server_that_is_removed_while_it_is_asked_has_ended(face: Face) {
    for kind in Kind::ALL {
        for method in AWAITED {
            let dam = Dam::new();
            let scene = held(face, kind, &dam, method, allow_all());
            let told = changed_meanwhile(&scene, &dam, method, |scene| {
                scene.gate.remove_server("fixture");
            });
            ended(&told.await.unwrap());
            scene
                .records_become(&["tools/call echo: deny by (revoked)"])
                .await;
            assert!(scene.upstream.calls().is_empty(), "{kind:?} {method}");
        }
    }
}
on_each_face!(w7_a_server_that_is_removed_while_it_is_asked_has_ended);

async fn w7_a_server_that_is_changed_while_it_is_asked_says_so(face: Face) {
    for method in AWAITED {
        let dam = Dam::new();
        let scene = held(face, Kind::Stdio, &dam, method, allow_all());
        let newer = provost_testkit::fixture::Stdio::new(&Options::modern());
        let told = changed_meanwhile(&scene, &dam, method, |scene| {
            scene.gate.set_program("fixture", &newer.start);
        });
        let told = told.await.unwrap();
        let words = "the settings of the server changed in the meantime; send the request again";
        assert_eq!(told["error"]["message"], words, "{told}");
        scene.honest_call_works().await;
        assert_eq!(newer.calls(), ["echo"]);
    }
}
on_each_face!(w7_a_server_that_is_changed_while_it_is_asked_says_so);

async fn r2_a_server_that_dies_while_it_is_asked_is_no_legacy_one(face: Face) {
    for method in AWAITED {
        let dam = Dam::new();
        let scene = held(face, Kind::Stdio, &dam, method, allow_all());
        let told = changed_meanwhile(&scene, &dam, method, |scene| {
            kill_last(&scene.upstream.events_of("started"));
        });
        let told = told.await.unwrap();
        assert_eq!(told["error"]["code"], -32603, "{told}");
        let words = "server `fixture` is not available";
        assert_eq!(told["error"]["message"], words, "{told}");
        scene
            .records_become(&["tools/call echo: deny by (upstream)"])
            .await;
        scene.honest_call_works().await;
        assert_eq!(scene.upstream.calls(), ["echo"]);
    }
}
on_each_face!(r2_a_server_that_dies_while_it_is_asked_is_no_legacy_one);

//! What a server answers makes it be asked again only so often, whatever it says.

use super::*;

fn times(scene: &Scene, method: &str) -> usize {
    scene.upstream.requests(method).len()
}

async fn fails_with(scene: &Scene, code: i64, calls: usize) {
    for _ in 0..calls {
        let answer = scene.agent.call("rpc_error", json!({"code": code})).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

async fn d26_codes_of_a_servers_own_cost_no_question(scene: Scene) {
    scene.honest_call_works().await;
    let before = (
        times(&scene, "server/discover"),
        times(&scene, "tools/list"),
    );
    for code in [-32000, -32001, -32010, -32019] {
        fails_with(&scene, code, 2).await;
    }
    scene.honest_call_works().await;
    let after = (
        times(&scene, "server/discover"),
        times(&scene, "tools/list"),
    );
    assert_eq!(after, before);
}
everywhere!(
    d26_codes_of_a_servers_own_cost_no_question,
    Setup::modern(allow_all())
);

async fn d26_codes_that_doubt_the_era_cost_few_questions(scene: Scene) {
    scene.honest_call_works().await;
    let before = times(&scene, "server/discover");
    fails_with(&scene, -32601, 12).await;
    scene.honest_call_works().await;
    assert_eq!(times(&scene, "server/discover"), before + 4);
}
everywhere!(
    d26_codes_that_doubt_the_era_cost_few_questions,
    Setup::modern(allow_all())
);

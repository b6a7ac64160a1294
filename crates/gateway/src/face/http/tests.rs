use super::*;
use crate::host::budget::{Bounds, Budget};

/// A policy engine that panics takes its task down, and nothing else.
#[tokio::test]
async fn a70_a_walk_that_panics_is_no_permission_over_http() {
    let (reply_to, reply) = oneshot::channel::<Reply>();
    let task = tokio::spawn(async move {
        let _held = reply_to;
        panic!("a fault of the engine");
    });
    assert!(task.await.is_err());
    let budget = Budget::new(Bounds::small(1 << 20));
    let account = budget.grant(&provost_policy::Text::from("g".to_owned()));
    let response = respond(reply.await, account);
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

use super::*;

#[test]
fn a_modern_result_asks_for_three_things_and_no_others() {
    for known in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        assert!(
            upstream_request(Era::Modern, known).flatten().is_some(),
            "{known}"
        );
        assert!(
            upstream_request(Era::Legacy, known).flatten().is_some(),
            "{known}"
        );
    }
    for legacy in [
        "ping",
        "tasks/get",
        "tasks/result",
        "tasks/list",
        "tasks/cancel",
    ] {
        assert_eq!(upstream_request(Era::Modern, legacy), None, "{legacy}");
        assert!(upstream_request(Era::Legacy, legacy).is_some(), "{legacy}");
    }
    assert_eq!(upstream_request(Era::Legacy, "tools/call"), None);
}

#[test]
fn each_era_has_requests_that_the_other_does_not_know() {
    let unknown = |era, method| request_kind(era, method) == RequestKind::Unknown;
    for legacy in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "tasks/list",
    ] {
        assert!(
            unknown(Era::Modern, legacy) && !unknown(Era::Legacy, legacy),
            "{legacy}"
        );
    }
    for modern in ["server/discover", "subscriptions/listen", "tasks/update"] {
        assert!(
            unknown(Era::Legacy, modern) && !unknown(Era::Modern, modern),
            "{modern}"
        );
    }
}

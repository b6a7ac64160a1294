use super::*;

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

use super::*;

#[test]
fn d45_a_counter_is_charged_by_any_tool_that_names_it() {
    let policy = Policy::parse(
        r#"{ "version": "1", "default": "deny",
            "all_tools": { "limits": [{ "counter": "all", "window": "day", "max": 9 }] },
            "tools": {
              "get": { "limits": [{ "counter": "shared", "window": "hour", "max": 5 }] },
              "put": { "limits": [{ "counter": "shared", "window": "hour", "max": 5 },
                                  { "counter": "puts", "window": "hour", "max": 5 }] },
              "del_*": { "rate_limit": { "max": 1, "window": 60 } } } }"#,
    )
    .unwrap();
    let uncharged = |called: &[&str]| {
        let called: Vec<String> = called.iter().map(|tool| (*tool).to_owned()).collect();
        let found = super::uncharged(&policy, &called);
        let words = found
            .iter()
            .map(|(counter, rule)| format!("{counter} {rule}"));
        words.collect::<Vec<_>>()
    };
    let puts = "puts /tools/put/limits/puts";
    let dels = "del_*_rate /tools/del_*/limits/del_*_rate";
    assert_eq!(uncharged(&["get"]), [puts, dels]);
    assert_eq!(uncharged(&["get", "del_x"]), [puts]);
    assert_eq!(uncharged(&["put", "del_x"]), [""; 0]);
    assert_eq!(
        uncharged(&["unlisted"]),
        [
            "shared /tools/get/limits/shared",
            puts,
            dels,
            "all /all_tools/limits/all"
        ]
    );
}

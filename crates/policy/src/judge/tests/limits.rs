//! What calls charge, and to whom.

use super::*;

fn charges(
    tool: &str,
    arguments: &str,
    session: Option<&'static str>,
) -> Result<Vec<Charge>, String> {
    let policy = policy(&tools(&format!(r#""T*":{tool}"#)));
    let document = read(arguments.as_bytes(), Bounds::default()).unwrap();
    let (name, server, grant) = (Text::fixed("p"), Text::fixed("srv"), Text::fixed("g"));
    let enforced = Enforced {
        policy: &policy,
        name: &name,
        version: 1,
        grant: &grant,
        server: &server,
    };
    let call = Call {
        method: "tools/call",
        tool: Some("Tool"),
        arguments: Some(document.root()),
    };
    let caller = Caller {
        grant: grant.clone(),
        server: server.clone(),
        session: session.map(Text::fixed),
    };
    match judge(&[enforced], &call, &caller) {
        Verdict::Allow(allowed) => Ok(allowed.charges),
        Verdict::Ask(asked) => Ok(asked.charges),
        Verdict::Deny(refusal) => Err(format!("{}: {}", refusal.rule, refusal.message)),
    }
}

fn limit(fields: &str) -> String {
    format!(r#"{{"limits":[{{"counter":"c",{fields}}}]}}"#)
}

#[test]
fn a_limit_says_what_is_counted() {
    let all = charges(
        &limit(
            r#""window":"90s","max":2.5,"increment":0.5,"alignment":"sliding","refund":"failed","scope":"server""#,
        ),
        "{}",
        None,
    );
    let [charge] = all.unwrap().try_into().unwrap();
    assert_eq!(
        charge.counter,
        CounterId {
            scope: "srv".into(),
            server: "srv".into(),
            counter: "c".into(),
            window: crate::limit::Window::Micros(90_000_000),
            alignment: crate::limit::Alignment::Sliding,
        }
    );
    assert_eq!(
        (charge.max.to_string(), charge.amount.to_string()),
        ("2.5".into(), "0.5".into())
    );
    assert_eq!(charge.refund, crate::limit::RefundRule::Failed);
    assert_eq!(charge.rule.as_str(), "/tools/T*/limits/c");
    assert_eq!(
        charge.policy,
        PolicyRef {
            name: "p".into(),
            version: 1,
            grant: "g".into()
        }
    );
}

#[test]
fn a_scope_says_whose_counter_it_is() {
    let scope = |scope: &str, session| {
        let fields = format!(r#""window":"day","max":1,"scope":"{scope}""#);
        charges(&limit(&fields), "{}", session).unwrap()[0]
            .counter
            .scope
            .to_string()
    };
    assert_eq!(scope("grant", Some("s1")), "g");
    assert_eq!(scope("server", Some("s1")), "srv");
    assert_eq!(scope("session", Some("s1")), "s1");
    assert_eq!(scope("session", None), "g");
}

#[test]
fn concurrent_limits_and_rate_limits_are_limits() {
    let [charge] = charges(&limit(r#""concurrent":3"#), "{}", None)
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(charge.counter.window, crate::limit::Window::Concurrent);
    assert_eq!((charge.max, charge.amount), (Amount::whole(3), Amount::ONE));

    let rate = r#"{"rate_limit":{"max":10,"window":60}}"#;
    let [charge] = charges(rate, "{}", None).unwrap().try_into().unwrap();
    assert_eq!(charge.counter.counter, "t*_rate");
    assert_eq!(
        charge.counter.window,
        crate::limit::Window::Micros(60_000_000)
    );
    assert_eq!(charge.rule.as_str(), "/tools/T*/limits/t*_rate");
    assert_eq!(charge.counter.scope, "g");
}

#[test]
fn an_argument_can_be_the_amount_if_it_is_one() {
    let text = limit(r#""window":"day","max":500,"increment_from":"args.order.amount""#);
    let amount = |arguments: &str| {
        charges(&text, arguments, None).map(|charges| charges[0].amount.to_string())
    };
    let is = |value: &str, expected: &str| {
        assert_eq!(
            amount(&format!(r#"{{"order":{{"amount":{value}}}}}"#)),
            Ok(expected.to_owned()),
            "{value}"
        );
    };
    is("12.50", "12.5");
    is("0", "0");
    is("1e2", "100");
    is("0.000000001", "0.000000001");
    is("1e18", "1000000000000000000");
    let refused = |value: &str, why: &str| {
        let expected = format!(
            "/tools/T*/limits/c: `args.order.amount` {why}, so it cannot be counted for the limit `c`"
        );
        assert_eq!(
            amount(&format!(r#"{{"order":{{"amount":{value}}}}}"#)),
            Err(expected),
            "{value}"
        );
    };
    refused("-1", "is a negative number");
    refused("-0", "is a negative number");
    refused("0.0000000001", "is more than 9 decimals");
    refused("1e19", "is more than 10^18");
    refused("1E400", "is more than 10^18");
    refused(r#""12""#, "is not a number");
    refused("[12]", "is not a number");
    refused("null", "is not a number");
    refused("true", "is not a number");
    assert!(amount("{}").unwrap_err().contains("is missing"));
    assert!(
        amount(r#"{"order":"12"}"#)
            .unwrap_err()
            .contains("is missing")
    );
}

#[test]
fn tool_limits_come_before_those_for_all_tools() {
    let text = r#"{"version":"1","default":"deny",
        "all_tools":{"limits":[{"counter":"all","window":"minute","max":60}]},
        "tools":{"t":{"limits":[{"counter":"b","window":"minute","max":1},{"counter":"a","concurrent":1}],"rate_limit":{"max":1,"window":1}}}}"#;
    let Verdict::Allow(allowed) = verdict(&[&policy(text)], "tools/call", Some("t"), "{}") else {
        panic!()
    };
    let rules: Vec<_> = allowed
        .charges
        .iter()
        .map(|charge| charge.rule.as_str())
        .collect();
    assert_eq!(
        rules,
        [
            "/tools/t/limits/t_rate",
            "/tools/t/limits/b",
            "/tools/t/limits/a",
            "/all_tools/limits/all"
        ]
    );
}

#[test]
fn one_counter_in_two_scopes_is_told_apart_by_index() {
    let text = tools(
        r#""t":{"limits":[{"counter":"c","window":"day","max":1},{"counter":"c","window":"day","max":9,"scope":"server"}]}"#,
    );
    let Verdict::Allow(allowed) = verdict(&[&policy(&text)], "tools/call", Some("t"), "{}") else {
        panic!()
    };
    let rules: Vec<_> = allowed
        .charges
        .iter()
        .map(|charge| charge.rule.as_str())
        .collect();
    assert_eq!(rules, ["/tools/t/limits/0", "/tools/t/limits/1"]);
}

#[test]
fn a_full_limit_is_refused_with_words() {
    let refused = |fields: &str, retry: u64| {
        let [charge] = charges(&limit(fields), r#"{"n":700}"#, None)
            .unwrap()
            .try_into()
            .unwrap();
        let refusal = Refusal::limit_reached(&charge, Some(retry));
        assert_eq!(
            (refusal.rule.as_str(), refusal.retry_after_ms),
            ("/tools/T*/limits/c", Some(retry))
        );
        refusal.message
    };
    let minute = r#""window":"minute","max":10"#;
    assert_eq!(
        refused(minute, 1),
        "the limit `c` of 10 per minute is reached; try again in 1 second"
    );
    assert_eq!(
        refused(minute, 41_001),
        "the limit `c` of 10 per minute is reached; try again in 42 seconds"
    );
    assert_eq!(
        refused(r#""window":"90s","max":10"#, 1),
        "the limit `c` of 10 per 90 seconds is reached; try again in 1 second"
    );
    assert_eq!(
        refused(r#""window":"7d","max":10"#, 150_000),
        "the limit `c` of 10 per 7 days is reached; try again in 3 minutes"
    );
    assert_eq!(
        refused(r#""window":"day","max":10"#, 80_000_000),
        "the limit `c` of 10 per day is reached; try again in 23 hours"
    );
    assert_eq!(
        refused(r#""concurrent":2"#, 0),
        "the limit `c` of 2 calls at the same time is reached; wait for one to end"
    );
    assert_eq!(
        refused(r#""window":"day","max":500,"increment_from":"args.n""#, 0),
        "this is more than the limit `c` ever allows: 500"
    );
}

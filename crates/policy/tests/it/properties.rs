//! What holds for every policy and every call.

use proptest::prelude::*;
use provost_policy::json::{self, Bounds, Folder};
use provost_policy::judge::judge_aloud;
use provost_policy::{Call, Caller, Enforced, Policy, Text, Verdict, judge};
use serde_json::Value;

use crate::generate::{arguments, policy, predicate, tool_name};

fn parse(document: &Value) -> Policy {
    Policy::parse(&document.to_string()).unwrap_or_else(|found| panic!("{found:?}"))
}

fn verdict(policies: &[Value], tool: &str, arguments: &str) -> Verdict {
    let policies: Vec<_> = policies.iter().map(parse).collect();
    let (name, server) = (Text::fixed("p"), Text::fixed("s"));
    let grants: Vec<_> = (0..policies.len())
        .map(|n| Text::from(format!("g{n}")))
        .collect();
    let chain: Vec<_> = policies
        .iter()
        .zip(&grants)
        .map(|(policy, grant)| Enforced {
            policy,
            name: &name,
            version: 1,
            grant,
            server: &server,
        })
        .collect();
    let document = json::read(arguments.as_bytes(), Bounds::default()).unwrap();
    let call = Call {
        method: "tools/call",
        tool: Some(tool),
        arguments: Some(document.root()),
    };
    let caller = Caller {
        grant: Text::fixed("g0"),
        server: server.clone(),
        session: None,
    };
    let verdict = judge(&chain, &call, &caller);
    assert_eq!(judge_aloud(&chain, &call, &caller).0, verdict);
    verdict
}

/// How much a decision forbids.
fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Allow(_) => 0,
        Verdict::Ask(_) => 1,
        Verdict::Deny(_) => 2,
    }
}

/// The policy with one more predicate in a list of `all_tools` and of every tool.
fn with(document: &Value, list: &str, predicate: &Value) -> Value {
    let mut document = document.clone();
    let add = |rules: &mut Value| {
        let rules = rules.as_object_mut().unwrap();
        let list = rules
            .entry(list)
            .or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().unwrap().push(predicate.clone());
    };
    add(&mut document["all_tools"]);
    document["tools"]
        .as_object_mut()
        .unwrap()
        .values_mut()
        .for_each(add);
    document
}

/// The same arguments in another spelling: members the other way round,
/// letters escaped, spaces between tokens.
fn respelled(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .rev()
                .map(|(key, value)| {
                    format!(
                        " {} : {}",
                        respelled(&key.as_str().into()),
                        respelled(value)
                    )
                })
                .collect();
            format!("{{{} }}", members.join(" ,\n"))
        }
        Value::Array(elements) => {
            format!(
                "[\t{} ]",
                elements.iter().map(respelled).collect::<Vec<_>>().join(",")
            )
        }
        Value::String(text) => {
            let escaped: String = text
                .chars()
                .map(|c| format!("\\u{:04x}", u32::from(c)))
                .collect();
            format!("\"{escaped}\"")
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn no_policy_denies(tool in tool_name(), arguments in arguments()) {
        prop_assert_eq!(rank(&verdict(&[], tool, &arguments.to_string())), 2);
    }

    #[test]
    fn one_more_rule_never_allows_more(
        document in policy(),
        extra in predicate(),
        list in prop::sample::select(vec!["require", "deny_if", "approve_if"]),
        tool in tool_name(),
        arguments in arguments(),
    ) {
        let arguments = arguments.to_string();
        let before = verdict(std::slice::from_ref(&document), tool, &arguments);
        let after = verdict(&[with(&document, list, &extra)], tool, &arguments);
        prop_assert!(rank(&after) >= rank(&before), "{before:?} became {after:?}");
    }

    #[test]
    fn hiding_a_tool_never_allows_it(document in policy(), tool in tool_name(), arguments in arguments()) {
        let mut hidden = document;
        hidden["hide"].as_array_mut().unwrap().retain(|name| name != tool);
        hidden["hide"].as_array_mut().unwrap().push(tool.into());
        let Verdict::Deny(refusal) = verdict(&[hidden], tool, &arguments.to_string()) else {
            return Err(TestCaseError::fail("allowed"));
        };
        prop_assert_eq!(refusal.rule.as_str(), "(hidden)");
    }

    #[test]
    fn several_policies_allow_what_each_of_them_allows(
        documents in prop::collection::vec(policy(), 1..4),
        tool in tool_name(),
        arguments in arguments(),
    ) {
        let arguments = arguments.to_string();
        let each: Vec<_> = documents.iter().map(|document| verdict(std::slice::from_ref(document), tool, &arguments)).collect();
        let all = verdict(&documents, tool, &arguments);
        prop_assert_eq!(rank(&all), each.iter().map(rank).max().unwrap());
        if let Verdict::Deny(refusal) = &all {
            let first = each.iter().position(|one| rank(one) == 2).unwrap();
            let Verdict::Deny(expected) = &each[first] else { unreachable!() };
            prop_assert_eq!(&refusal.rule, &expected.rule);
            prop_assert_eq!(refusal.policy.as_ref().unwrap().grant.to_string(), format!("g{first}"));
        }
        if let Verdict::Ask(asked) = &all {
            let single = each.iter().map(|one| if let Verdict::Ask(asked) = one { asked.rules.len() } else { 0 });
            prop_assert_eq!(asked.rules.len(), single.sum::<usize>());
        }
    }

    #[test]
    fn spelling_does_not_count(document in policy(), tool in tool_name(), arguments in arguments()) {
        let plain = verdict(std::slice::from_ref(&document), tool, &arguments.to_string());
        let other = verdict(&[document], tool, &respelled(&arguments));
        prop_assert_eq!(rank(&plain), rank(&other));
        if let (Verdict::Deny(plain), Verdict::Deny(other)) = (plain, other) {
            prop_assert_eq!(plain.rule, other.rule);
        }
    }

    #[test]
    fn what_is_not_listed_is_denied_by_name(document in policy(), tool in tool_name(), arguments in arguments()) {
        let listed = parse(&document).tool_listed(tool, &mut Folder::default());
        let by_name = match verdict(&[document], tool, &arguments.to_string()) {
            Verdict::Deny(refusal) => ["(hidden)", "(default deny)"].contains(&refusal.rule.as_str())
                || (refusal.rule.as_str() == "(envelope)" && refusal.message.contains("tool name")),
            Verdict::Allow(_) | Verdict::Ask(_) => false,
        };
        prop_assert_eq!(listed, !by_name);
    }
}

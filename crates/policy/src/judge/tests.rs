use super::*;
use crate::document::Policy;
use crate::json::{Bounds, read};

/// Judges `tool` with `arguments` under one policy and says how it went:
/// `allow`, `ask <rules>` or `deny <rule>`.
fn outcome(policy: &str, tool: &str, arguments: &str) -> String {
    let policy = Policy::parse(policy).unwrap_or_else(|found| panic!("{policy}: {found:?}"));
    verdict_words(&verdict(&[&policy], "tools/call", Some(tool), arguments))
}

fn verdict(chain: &[&Policy], method: &str, tool: Option<&str>, arguments: &str) -> Verdict {
    let document = read(arguments.as_bytes(), Bounds::default()).unwrap();
    let (name, server) = (Text::fixed("p"), Text::fixed("srv"));
    let grants = [Text::fixed("own"), Text::fixed("parent"), Text::fixed("grand")];
    let chain: Vec<_> = chain
        .iter()
        .zip(&grants)
        .map(|(&policy, grant)| Enforced { policy, name: &name, version: 3, grant, server: &server })
        .collect();
    let call = Call { method, tool, arguments: Some(document.root()) };
    let caller = Caller { grant: grants[0].clone(), server: server.clone(), session: None };
    judge(&chain, &call, &caller)
}

fn verdict_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Ask(asked) => {
            let rules: Vec<_> = asked.rules.iter().map(|(rule, _)| rule.to_string()).collect();
            format!("ask {}", rules.join(" "))
        }
        Verdict::Deny(refusal) => format!("deny {}", refusal.rule),
    }
}

#[test]
fn no_policy_denies() {
    assert_eq!(verdict_words(&verdict(&[], "tools/call", Some("x"), "{}")), "deny (no policy)");
    assert_eq!(verdict_words(&verdict(&[], "resources/read", None, "{}")), "deny (no policy)");
}

#[test]
fn the_seeds_policies_cap_their_tool_and_deny_the_rest() {
    let spawn = include_str!("../../../../examples/policies/spawn.json");
    assert_eq!(outcome(spawn, "spawn", "{}"), "allow");
    assert_eq!(outcome(spawn, "send", "{}"), "deny (default deny)");
    assert_eq!(outcome(spawn, "Spawn", "{}"), "deny (envelope)");
}

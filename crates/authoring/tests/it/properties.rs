//! What holds for every policy that is printed, and for the schema.

use std::sync::LazyLock;

use proptest::prelude::*;
use provost_authoring::{schema, to_json};
use provost_policy::json::{self, Bounds};
use provost_policy::{Call, Caller, Enforced, Policy, Text, Verdict, judge};
use serde_json::Value;

use crate::generate::{arguments, policy, tool_name};

fn parse(document: &Value) -> Policy {
    Policy::parse(&document.to_string()).unwrap_or_else(|found| panic!("{found:?}"))
}

fn verdict(policy: &Policy, tool: &str, arguments: json::Value<'_>) -> Verdict {
    let id = Text::fixed("x");
    let enforced = Enforced {
        policy,
        name: &id,
        version: 1,
        grant: &id,
        server: &id,
    };
    let call = Call {
        method: "tools/call",
        tool: Some(tool),
        arguments: Some(arguments),
    };
    let caller = Caller {
        grant: id.clone(),
        server: id.clone(),
        session: None,
    };
    judge(&[enforced], &call, &caller)
}

/// The language's own schema, compiled once.
static SCHEMA: LazyLock<(boon::Schemas, boon::SchemaIndex)> = LazyLock::new(|| {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler
        .add_resource("https://provost.test/policy.json", schema())
        .unwrap();
    let index = compiler
        .compile("https://provost.test/policy.json", &mut schemas)
        .unwrap();
    (schemas, index)
});

proptest! {
    #[test]
    fn reading_what_was_printed_gives_the_same_policy(document in policy()) {
        let policy = parse(&document);
        let printed = to_json(&policy);
        let again = Policy::parse(&printed).unwrap();
        prop_assert_eq!(&again, &policy);
        prop_assert_eq!(to_json(&again), printed);
    }

    #[test]
    fn a_printed_policy_judges_alike(document in policy(), tool in tool_name(), arguments in arguments()) {
        let policy = parse(&document);
        let printed = parse(&serde_json::from_str(&to_json(&policy)).unwrap());
        let arguments = arguments.to_string();
        let arguments = json::read(arguments.as_bytes(), Bounds::default()).unwrap();
        prop_assert_eq!(verdict(&policy, tool, arguments.root()), verdict(&printed, tool, arguments.root()));
    }

    #[test]
    fn the_schema_takes_what_the_reader_takes(document in policy()) {
        parse(&document);
        let (schemas, index) = &*SCHEMA;
        prop_assert!(schemas.validate(&document, *index).is_ok(), "{}", document);
    }
}

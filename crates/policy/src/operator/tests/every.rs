//! What holds of each operator there is: a new one is asked here.

use super::cost::cost;
use super::*;
use crate::words::Word;

/// A value that a policy may give it, and values of a call that are of no type it compares.
fn given(operator: Operator) -> (&'static str, &'static [&'static str]) {
    const NO_TEXT: &[&str] = &["{}", "[]", "1", "true", "null"];
    const NO_NUMBER: &[&str] = &["{}", "[]", "true", "null", r#""one""#];
    match operator {
        Operator::Eq | Operator::Neq => ("1", &["{}", "[]"]),
        Operator::In | Operator::NotIn => ("[1]", &["{}", "[]"]),
        Operator::Lt | Operator::Lte | Operator::Gt | Operator::Gte => ("1", NO_NUMBER),
        Operator::Regex => (r#""one""#, NO_TEXT),
        Operator::Contains => (r#""one""#, &["{}", "1", "true", "null"]),
        // It asks of no type.
        Operator::Exists => ("true", &[]),
        Operator::Under => (r#"["/srv"]"#, NO_TEXT),
        Operator::HostIn => (r#"["example.com"]"#, NO_TEXT),
        Operator::ArgvIn => (r#"["ls"]"#, &["{}", "[1]", "1", "true", "null"]),
    }
}

/// Whether its work grows with the text it is asked about.
fn reads_text(operator: Operator) -> bool {
    match operator {
        Operator::Eq
        | Operator::Neq
        | Operator::In
        | Operator::NotIn
        | Operator::Lt
        | Operator::Lte
        | Operator::Gt
        | Operator::Gte
        | Operator::Regex
        | Operator::Contains
        | Operator::Under
        | Operator::HostIn
        | Operator::ArgvIn => true,
        Operator::Exists => false,
    }
}

#[test]
fn what_has_the_wrong_type_cannot_be_told() {
    for operator in Operator::ALL {
        let (value, wrong) = given(*operator);
        let rows: Vec<_> = wrong.iter().map(|actual| (*actual, Unsure)).collect();
        check(operator.name(), value, &rows);
        assert_eq!(rows.is_empty(), *operator == Operator::Exists);
    }
}

#[test]
fn work_that_grows_with_a_text_is_paid() {
    let text = |length| format!(r#""/{}""#, "1".repeat(length));
    for operator in Operator::ALL {
        let name = operator.name();
        let (value, _) = given(*operator);
        let (few, many) = (text(10), text(4_000));
        let [(_, few), (_, many)] = [few, many].map(|text| cost(name, value, &text));
        match reads_text(*operator) {
            true => assert!(many - few >= 3_990, "`{name}` paid {few}, then {many}"),
            false => assert_eq!(many, few, "`{name}`"),
        }
    }
}

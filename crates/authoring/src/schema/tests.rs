//! The schema takes what the reader takes, and refuses what it can refuse.

use provost_policy::Policy;
use provost_policy::document::parts::{
    AllTools, Body, ConcurrentLimit, Condition, Methods, Predicate, RateLimit, Tool, WindowLimit,
};

use super::*;
use crate::print::tests::examples;

struct Compiled {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Compiled {
    fn new() -> Self {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        compiler
            .add_resource("https://provost.test/policy.json", schema())
            .unwrap();
        let index = compiler
            .compile("https://provost.test/policy.json", &mut schemas)
            .unwrap();
        Self { schemas, index }
    }

    fn accepts(&self, text: &str) -> bool {
        let value = serde_json::from_str(text).unwrap();
        self.schemas.validate(&value, self.index).is_ok()
    }
}

#[test]
fn says_which_draft_it_is() {
    assert_eq!(
        schema()["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}

#[test]
fn has_a_name_of_its_own() {
    assert_eq!(schema()["$id"], "urn:provost:policy:1");
}

#[test]
fn accepts_every_example() {
    let schema = Compiled::new();
    for (name, text) in examples() {
        assert!(schema.accepts(&text), "{name}");
    }
}

#[test]
fn accepts_everything_the_language_has() {
    let text = r#"{"$schema":"./policy.schema.json","version":"1","default":"allow","description":"d","hide":["a","b*"],
        "methods":{"allow":["x/*"],"deny":[]},
        "all_tools":{"require":[],"deny_if":[],"approve_if":[],"limits":[{"counter":"c","concurrent":1,"scope":"session"}]},
        "tools":{"t":{"description":"d","action":"require_approval","reason":"r","rate_limit":{"max":1.5,"window":60},
            "require":[{"conditions":[
                {"path":"args.a","op":"eq","value":{}},{"path":"args.a","op":"neq","value":null},
                {"path":"args.a","op":"in","value":[1]},{"path":"args.a","op":"not_in","value":[]},
                {"path":"args.a","op":"lt","value":1},{"path":"args.a","op":"lte","value":1},
                {"path":"args.a","op":"gt","value":1},{"path":"args.a","op":"gte","value":-1.5},
                {"path":"args.a","op":"regex","value":"x"},{"path":"args.a[*].b[0]","op":"contains","value":"x"},
                {"path":"args.a","op":"exists","value":true},{"path":"args.a","op":"under","value":["/a"]},
                {"path":"args.a","op":"host_in","value":["a.b"]},{"path":"args.a","op":"argv_in","value":["ls",["git","log"]]}
            ],"on_deny":"x"}],
            "limits":[{"counter":"d","window":"90s","max":1,"scope":"server","increment":2,"alignment":"sliding","refund":"failed"},
                {"counter":"e","window":"day","max":1,"scope":"grant","increment_from":"args.n","alignment":"calendar","refund":"not_sent"}]}}}"#;
    Policy::parse(text).unwrap();
    let schema = Compiled::new();
    assert!(schema.accepts(text));
    assert!(schema.accepts(&text.replace(r#"["a","b*"]"#, r#""*""#)));
}

#[test]
fn refuses_what_the_reader_refuses() {
    let schema = Compiled::new();
    let tool = |tool: &str| format!(r#"{{"version":"1","default":"deny","tools":{{"t":{tool}}}}}"#);
    let condition = |text: &str| tool(&format!(r#"{{"deny_if":[{{"conditions":[{text}]}}]}}"#));
    let limit = |text: &str| tool(&format!(r#"{{"limits":[{text}]}}"#));
    let refused = [
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"version":"1"}"#.to_owned(),
        r#"{"version":1,"default":"deny"}"#.to_owned(),
        r#"{"version":"2","default":"deny"}"#.to_owned(),
        r#"{"version":"1","default":"ask"}"#.to_owned(),
        r#"{"version":"1","default":"deny","x":1}"#.to_owned(),
        r#"{"version":"1","default":"deny","$schema":1}"#.to_owned(),
        r#"{"version":"1","default":"deny","$schema":null}"#.to_owned(),
        r#"{"version":"1","default":"deny","methods":{"$schema":"x"}}"#.to_owned(),
        r#"{"version":"1","default":"deny","hide":"x"}"#.to_owned(),
        r#"{"version":"1","default":"deny","hide":[""]}"#.to_owned(),
        r#"{"version":"1","default":"deny","hide":[1]}"#.to_owned(),
        r#"{"version":"1","default":"deny","methods":{"allowed":[]}}"#.to_owned(),
        r#"{"version":"1","default":"deny","all_tools":{"action":"deny"}}"#.to_owned(),
        r#"{"version":"1","default":"deny","tools":{"*":{}}}"#.to_owned(),
        r#"{"version":"1","default":"deny","tools":{"":{}}}"#.to_owned(),
        tool("[]"),
        tool(r#"{"action":"block"}"#),
        tool(r#"{"description":1}"#),
        tool(r#"{"reason":1}"#),
        tool(r#"{"reason":null}"#),
        tool(r#"{"action":null}"#),
        tool(r#"{"rate_limit":null}"#),
        tool(r#"{"require":null}"#),
        tool(r#"{"deny":[]}"#),
        tool(r#"{"rate_limit":{"max":1}}"#),
        tool(r#"{"rate_limit":{"max":1,"window":"60"}}"#),
        tool(r#"{"rate_limit":{"max":1,"window":0}}"#),
        tool(r#"{"require":[{}]}"#),
        tool(r#"{"require":[{"conditions":[],"x":1}]}"#),
        condition("{}"),
        condition(r#"{"path":"a.b","op":"eq","value":1}"#),
        condition(r#"{"path":"args.b","op":"is","value":1}"#),
        condition(r#"{"path":"args.b","op":"eq"}"#),
        condition(r#"{"path":"args.b","op":"eq","value":1,"x":1}"#),
        condition(r#"{"path":"args.b","op":"in","value":1}"#),
        condition(r#"{"path":"args.b","op":"gt","value":"1"}"#),
        condition(r#"{"path":"args.b","op":"exists","value":1}"#),
        condition(r#"{"path":"args.b","op":"regex","value":1}"#),
        condition(r#"{"path":"args.b","op":"under","value":"/a"}"#),
        condition(r#"{"path":"args.b","op":"argv_in","value":[[]]}"#),
        limit("{}"),
        limit(r#"{"counter":"c","concurrent":1,"scope":null}"#),
        limit(r#"{"counter":"c","window":"day","max":1,"increment":null}"#),
        limit(r#"{"counter":"","concurrent":1}"#),
        limit(r#"{"counter":"c","concurrent":-1}"#),
        limit(r#"{"counter":"c","concurrent":1,"max":1}"#),
        limit(r#"{"counter":"c","concurrent":1,"window":"day"}"#),
        limit(r#"{"counter":"c","window":"week","max":1}"#),
        limit(r#"{"counter":"c","window":"day","max":-1}"#),
        limit(r#"{"counter":"c","window":"day","max":1,"scope":"user"}"#),
        limit(r#"{"counter":"c","window":"day","max":1,"alignment":"rolling"}"#),
        limit(r#"{"counter":"c","window":"day","max":1,"increment_from":"amount"}"#),
    ];
    for text in refused {
        assert!(Policy::parse(&text).is_err(), "the reader takes {text}");
        assert!(!schema.accepts(&text), "the schema takes {text}");
    }
}

#[test]
fn d76_members_are_those_that_the_reader_knows() {
    let schema = schema();
    let known = [
        ("", Body::FIELDS),
        ("/$defs/Methods", Methods::FIELDS),
        ("/$defs/AllTools", AllTools::FIELDS),
        ("/$defs/Tool", Tool::FIELDS),
        ("/$defs/Predicate", Predicate::FIELDS),
        ("/$defs/WindowLimit", WindowLimit::FIELDS),
        ("/$defs/ConcurrentLimit", ConcurrentLimit::FIELDS),
        ("/$defs/RateLimit", RateLimit::FIELDS),
        ("/$defs/Condition/oneOf/0", Condition::FIELDS),
    ];
    for (pointer, fields) in known {
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object();
        let mut described: Vec<_> = properties.unwrap().keys().map(String::as_str).collect();
        let mut fields = fields.to_vec();
        described.sort_unstable();
        fields.sort_unstable();
        assert_eq!(described, fields, "{pointer}");
    }
}

#[test]
fn d76_reader_and_schema_take_the_same_values_of_each_operator() {
    let values = [
        "1",
        "true",
        "null",
        "{}",
        "[]",
        r#""x""#,
        r#"["/srv"]"#,
        r#"["a.b"]"#,
        r#"[["ls", "-l"]]"#,
        "[1]",
        "[[1]]",
    ];
    let compiled = Compiled::new();
    for operator in Operator::ALL {
        let takes = |value: &&&str| {
            let condition = format!(
                r#"{{"path":"args.a","op":"{}","value":{value}}}"#,
                operator.name()
            );
            let text = format!(
                r#"{{"version":"1","default":"allow","all_tools":{{"deny_if":[{{"conditions":[{condition}]}}]}}}}"#
            );
            let read = Policy::parse(&text).is_ok();
            // What a value says may be wrong although its form is right.
            assert!(compiled.accepts(&text) || !read, "{text}");
            read
        };
        let taken = values.iter().filter(takes).count();
        assert!(taken > 0, "no value of `{}` is tried", operator.name());
    }
}

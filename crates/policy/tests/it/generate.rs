//! Random policies and arguments that have something to do with each other.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Paths over few keys, so that rules and arguments meet.
fn path() -> impl Strategy<Value = &'static str> {
    select(vec![
        "args.a",
        "args.b",
        "args.a.b",
        "args.a[*]",
        "args.a[0]",
        "args.a[*].b",
        "args.b.a[*]",
    ])
}

fn scalar() -> impl Strategy<Value = Value> {
    select(vec![
        json!(0),
        json!(1),
        json!(1.0),
        json!(2.5),
        json!(-3),
        json!(100),
        json!("1"),
        json!("x"),
        json!("xy"),
        json!("/srv/x"),
        json!("/srv/../etc"),
        json!("https://a.b/"),
        json!("ls -l"),
        json!("ls; rm"),
        json!(true),
        json!(null),
    ])
}

/// Any value an argument may have.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(select(vec!["a", "b", "c"]), inner, 0..3).prop_map(object),
        ]
    })
}

/// Arguments of a call.
pub(crate) fn arguments() -> impl Strategy<Value = Value> {
    prop::collection::hash_map(select(vec!["a", "b", "c", "A"]), value(), 0..4).prop_map(object)
}

fn object(members: std::collections::HashMap<&'static str, Value>) -> Value {
    Value::Object(
        members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn condition() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(scalar(), 0..3).prop_map(Value::from);
    let number = || select(vec![json!(0), json!(1), json!(2.5), json!(50)]);
    let asked = prop_oneof![
        (select(vec!["eq", "neq", "contains"]), value()),
        (select(vec!["in", "not_in"]), list()),
        (select(vec!["lt", "lte", "gt", "gte"]), number()),
        (
            Just("regex"),
            select(vec![json!("^x"), json!("s"), json!("[0-9]")])
        ),
        (Just("exists"), any::<bool>().prop_map(Value::from)),
        (Just("under"), select(vec![json!(["/srv"]), json!([])])),
        (Just("host_in"), select(vec![json!(["a.b"]), json!(["c"])])),
        (
            Just("argv_in"),
            select(vec![json!([["ls"]]), json!(["ls -l", "git"])])
        ),
    ];
    (path(), asked)
        .prop_map(|(path, (op, value))| json!({ "path": path, "op": op, "value": value }))
}

/// A predicate of any list.
pub(crate) fn predicate() -> impl Strategy<Value = Value> {
    (
        prop::collection::vec(condition(), 0..3),
        prop::option::of("[a-z ]{0,8}"),
    )
        .prop_map(|(conditions, on_deny)| {
            let mut predicate = json!({ "conditions": conditions });
            if let Some(text) = on_deny {
                predicate["on_deny"] = text.into();
            }
            predicate
        })
}

/// Limits whose counters have names of their own.
fn limits(prefix: String) -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        (select(vec!["minute", "90s", "31d"]), 0..9_u32)
            .prop_map(|(window, max)| json!({ "window": window, "max": max })),
        Just(json!({ "concurrent": 2, "scope": "server" })),
        Just(
            json!({ "window": "day", "max": 2.5, "increment_from": "args.a", "alignment": "calendar" })
        ),
        Just(
            json!({ "window": "hour", "max": 9, "increment": 0.5, "refund": "failed", "scope": "session" })
        ),
    ];
    prop::collection::vec(one, 0..2).prop_map(move |mut limits| {
        for (index, limit) in limits.iter_mut().enumerate() {
            limit["counter"] = format!("{prefix}{index}").into();
        }
        Value::from(limits)
    })
}

fn lists(prefix: &str) -> impl Strategy<Value = Map<String, Value>> {
    let few = || prop::collection::vec(predicate(), 0..2).prop_map(Value::from);
    (few(), few(), few(), limits(prefix.to_owned())).prop_map(
        |(require, deny_if, approve_if, limits)| {
            let lists = [
                ("require", require),
                ("deny_if", deny_if),
                ("approve_if", approve_if),
                ("limits", limits),
            ];
            lists
                .into_iter()
                .map(|(name, list)| (name.to_owned(), list))
                .collect()
        },
    )
}

fn tool(key: &'static str) -> impl Strategy<Value = (String, Value)> {
    let action = prop::option::weighted(0.3, select(vec!["allow", "deny", "require_approval"]));
    (lists(key), action, prop::option::weighted(0.2, Just(()))).prop_map(
        move |(mut lists, action, rate)| {
            lists.extend(action.map(|action| ("action".to_owned(), action.into())));
            lists.extend(
                rate.map(|()| ("rate_limit".to_owned(), json!({ "max": 3, "window": 60 }))),
            );
            (key.to_owned(), Value::Object(lists))
        },
    )
}

/// A policy as a JSON document.
pub(crate) fn policy() -> impl Strategy<Value = Value> {
    let tools = (
        prop::option::of(tool("t")),
        prop::option::of(tool("u_*")),
        prop::option::of(tool("u_x")),
    );
    let hide = prop::collection::hash_set(select(vec!["t", "v", "u_*"]), 0..2);
    (select(vec!["allow", "deny"]), hide, lists("all"), tools).prop_map(|(default, hide, all, (t, u, ux))| {
        let mut hide: Vec<_> = hide.into_iter().filter(|_| default == "allow").collect();
        hide.sort_unstable();
        let tools: Map<String, Value> = [t, u, ux].into_iter().flatten().collect();
        json!({ "version": "1", "default": default, "hide": hide, "all_tools": all, "tools": tools })
    })
}

/// The name of a tool that some policies know.
pub(crate) fn tool_name() -> impl Strategy<Value = &'static str> {
    select(vec!["t", "t", "t", "u_x", "u_y", "v", "T", "other"])
}

//! The JSON Schema of the language.
//!
//! Its words come from the sets of the language, and what a value looks like from
//! [`ValueForm`]; tests hold its members against those that the reader knows.

use provost_policy::document::parts::{Action, Posture, Scope, Version};
use provost_policy::limit::{Alignment, Period, RefundRule, WINDOW_UNITS};
use provost_policy::operator::{Operator, ValueForm};
use provost_policy::words::{Word, names};
use serde_json::{Map, Value, json};

/// What the schema is called. It is a name and no address: nothing is fetched.
const ID: &str = "urn:provost:policy:1";

/// The schema (draft 2020-12) of a policy document.
pub fn schema() -> Value {
    let mut schema = object(
        "A Provost policy: which tools an agent may call, with which arguments, how often, and when a person is asked \
         first.",
        &["version", "default"],
        [
            (
                "$schema",
                text("Where an editor finds this schema; it has no effect."),
            ),
            ("version", refer("Version", "The version of the language.")),
            (
                "default",
                refer("Posture", "What happens to tools that are not listed."),
            ),
            (
                "description",
                text("What the policy is for; it has no effect."),
            ),
            (
                "hide",
                refer(
                    "Hidden",
                    "Tools removed from `tools/list` and refused when called. Names or globs; `\"*\"` hides all.",
                ),
            ),
            (
                "methods",
                refer(
                    "Methods",
                    "Which requests other than `tools/call` are allowed.",
                ),
            ),
            (
                "all_tools",
                refer(
                    "AllTools",
                    "Rules for every call. They do not allow a tool that is not listed.",
                ),
            ),
            ("tools", tools()),
        ],
    );
    if let Value::Object(members) = &mut schema {
        members.insert("title".to_owned(), "Policy".into());
        let draft = "https://json-schema.org/draft/2020-12/schema";
        members.insert("$schema".to_owned(), draft.into());
        members.insert("$id".to_owned(), ID.into());
        members.insert("$defs".to_owned(), definitions());
    }
    schema
}

fn tools() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "patternProperties": { "[^*]": { "$ref": "#/$defs/Tool" } },
        "description": "Rules for single tools, by exact name or by a glob in which only `*` is special; a bare `\"*\"` \
            is an error. The exact name wins, then the glob with the most literal characters.",
    })
}

fn definitions() -> Value {
    json!({
        "Version": words::<Version>("The version of the language."),
        "Posture": words::<Posture>("Allow or deny."),
        "Hidden": { "anyOf": [
            { "type": "string", "enum": ["*"] },
            { "type": "array", "items": { "$ref": "#/$defs/NonEmpty" } },
        ] },
        "NonEmpty": { "type": "string", "minLength": 1 },
        "Methods": object("Requests other than `tools/call`: names or globs. A denial wins.", &[], [
            ("allow", list("NonEmpty", "Let through; needed under `default: deny`, and for methods the protocol does not know.")),
            ("deny", list("NonEmpty", "Refused.")),
        ]),
        "AllTools": object("Rules for every call.", &[], [
            ("require", list("Predicate", "All of these must hold.")),
            ("deny_if", list("Predicate", "None of these may hold.")),
            ("approve_if", list("Predicate", "A person is asked when one of these holds.")),
            ("limits", list("Limit", "Limits over all tools together.")),
        ]),
        "Tool": object("Rules for one tool. `{}` allows it.", &[], [
            ("description", text("Text for people; it has no effect.")),
            ("action", refer("Action", "What happens to every call of the tool. Default: `allow`.")),
            ("reason", text("Shown to the agent with a denial or an approval by `action`.")),
            ("require", list("Predicate", "All of these must hold.")),
            ("deny_if", list("Predicate", "None of these may hold; empty conditions always do.")),
            ("approve_if", list("Predicate", "A person is asked when one of these holds.")),
            ("rate_limit", refer("RateLimit", "Short form of one limit per grant; its counter is named after the tool: the key in lower case with `_rate`.")),
            ("limits", list("Limit", "Limits of this tool.")),
        ]),
        "Action": words::<Action>("What happens to every call of a tool."),
        "Predicate": object("Conditions that hold together.", &["conditions"], [
            ("conditions", list("Condition", "All of these; an empty list always holds.")),
            ("on_deny", text("Shown to the agent.")),
        ]),
        "Condition": condition(),
        "Path": { "type": "string", "pattern": r"^args\.[^.\[\]]" },
        "Limit": {
            "anyOf": [{ "$ref": "#/$defs/WindowLimit" }, { "$ref": "#/$defs/ConcurrentLimit" }],
            "description": "A limit.",
        },
        "WindowLimit": object("At most so much in a length of time.", &["counter", "window", "max"], [
            ("counter", refer("NonEmpty", "The counter's name.")),
            ("window", window()),
            ("max", refer("Figure", "The most the counter may hold.")),
            ("scope", refer("Scope", "Who shares the counter. Default: `grant`.")),
            ("increment", refer("Figure", "What one call adds. Default: 1.")),
            ("increment_from", refer("Path", "The argument that says what one call adds.")),
            ("alignment", refer("Alignment", "Where windows begin. Default: `sliding`.")),
            ("refund", refer("Refund", "When a call is given back. Default: `not_sent`.")),
        ]),
        "ConcurrentLimit": object("At most so many calls at the same time.", &["counter", "concurrent"], [
            ("counter", refer("NonEmpty", "The counter's name.")),
            ("concurrent", json!({
                "type": "integer",
                "minimum": 0,
                "maximum": u32::MAX,
                "description": "The most calls in flight.",
            })),
            ("scope", refer("Scope", "Who shares the counter. Default: `grant`.")),
        ]),
        "RateLimit": object("At most `max` calls in `window` seconds, for each grant.", &["max", "window"], [
            ("max", refer("Figure", "The most calls.")),
            ("window", json!({
                "type": "integer",
                "minimum": 1,
                "maximum": 2_678_400,
                "description": "Seconds.",
            })),
        ]),
        "Figure": { "type": "number", "minimum": 0, "maximum": 1e18 },
        "Scope": words::<Scope>("Who shares the counter: the grant that enforces the policy, everybody on the server together, or the client's session, where the protocol has sessions."),
        "Alignment": words::<Alignment>("Where windows begin."),
        "Refund": words::<RefundRule>("When a call is given back: if nothing was sent to the server, or also if the server says that it failed."),
    })
}

fn window() -> Value {
    let letters: String = WINDOW_UNITS.iter().map(|unit| unit.letters()).collect();
    let periods = names::<Period>();
    let named: Vec<_> = periods.iter().map(|name| format!("`{name}`")).collect();
    json!({
        "type": "string",
        "pattern": format!("^({}|[1-9][0-9]*[{letters}])$", periods.join("|")),
        "description": format!("{}, or a length such as `90s`, `15m`, `12h`, `7d`, up to 31 days.", named.join(", ")),
    })
}

/// One case for each form that values have: which fits depends on the operator.
fn condition() -> Value {
    let mut forms: Vec<(ValueForm, Vec<&str>)> = Vec::new();
    for operator in Operator::ALL {
        let form = operator.value_form();
        match forms.iter_mut().find(|(known, _)| *known == form) {
            Some((_, operators)) => operators.push(operator.name()),
            None => forms.push((form, vec![operator.name()])),
        }
    }
    let case = |(form, operators): &(ValueForm, Vec<&str>)| {
        let (description, value) = value_of(*form);
        object(
            description,
            &["path", "op", "value"],
            [
                ("path", json!({ "$ref": "#/$defs/Path" })),
                ("op", json!({ "type": "string", "enum": operators })),
                ("value", value),
            ],
        )
    };
    json!({
        "description": "A condition on one argument.",
        "oneOf": forms.iter().map(case).collect::<Vec<_>>(),
    })
}

/// What a form is for, and its schema.
fn value_of(form: ValueForm) -> (&'static str, Value) {
    match form {
        ValueForm::Any => ("Equal by value; part of a text or of a list.", json!(true)),
        ValueForm::List => ("One of a list.", json!({ "type": "array" })),
        ValueForm::Number => ("Compared as exact decimals.", json!({ "type": "number" })),
        ValueForm::Pattern => (
            "A pattern found anywhere in a text.",
            json!({ "type": "string" }),
        ),
        ValueForm::Bool => ("Present and not null.", json!({ "type": "boolean" })),
        ValueForm::Texts => (
            "A path inside a directory; a URL of a host.",
            json!({ "type": "array", "items": { "type": "string" } }),
        ),
        ValueForm::Commands => (
            "A command that begins with these words.",
            json!({
                "type": "array",
                "items": { "anyOf": [
                    { "type": "string", "minLength": 1 },
                    { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } },
                ] },
            }),
        ),
    }
}

fn object<const N: usize>(
    description: &str,
    required: &[&str],
    members: [(&str, Value); N],
) -> Value {
    let named = |(name, schema): (&str, Value)| (name.to_owned(), schema);
    let mut object = json!({
        "type": "object",
        "description": description,
        "properties": members.into_iter().map(named).collect::<Map<_, _>>(),
        "additionalProperties": false,
    });
    if let (Value::Object(object), false) = (&mut object, required.is_empty()) {
        object.insert("required".to_owned(), required.into());
    }
    object
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn refer(definition: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": description })
}

fn list(definition: &str, description: &str) -> Value {
    let items = format!("#/$defs/{definition}");
    json!({ "type": "array", "items": { "$ref": items }, "description": description })
}

fn words<T: Word>(description: &str) -> Value {
    json!({ "type": "string", "enum": names::<T>(), "description": description })
}

#[cfg(test)]
mod tests;

//! What a server offers: its tools, and what their schemas say of arguments.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use provost_policy::path::{Path, Step};

/// The tools of a server, so that a policy can be held against them.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub(crate) tools: Vec<Offered>,
}

/// One tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offered {
    pub(crate) name: String,
    /// Its `inputSchema`; null where only the name is known.
    schema: Value,
}

/// What a schema says of an argument.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is described.
    Yes,
    /// Anything may stand there, as far as the schema tells.
    Open,
    /// There is no argument of that name.
    No {
        /// The path, up to the name that is not known.
        path: String,
        /// The names that are known in its place.
        names: BTreeSet<String>,
    },
}

/// Schemas inside of each other, references among them, are followed so deep.
const DEEPEST: usize = 64;
/// So many schemas are looked at for one path.
const MOST: usize = 10_000;

// === impl Offer ===

impl Offer {
    /// Reads a list of tools: what `tools/list` answers, wrapped or not; an
    /// array of tools, or of names alone; or what `provost server test` prints.
    /// `None` when it is none of them.
    pub fn read(list: &Value) -> Option<Self> {
        let tools = list
            .pointer("/result/tools")
            .or_else(|| list.get("tools"))
            .unwrap_or(list);
        let tools = tools.as_array()?.iter().map(Offered::read);
        Some(Self {
            tools: tools.collect::<Option<_>>()?,
        })
    }

    /// Tools of which nothing but the names is known.
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        let tools = names.into_iter().map(|name| Offered {
            name,
            schema: Value::Null,
        });
        Self {
            tools: tools.collect(),
        }
    }

    /// The names of the tools.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|tool| tool.name.as_str())
    }
}

// === impl Offered ===

impl Offered {
    fn read(tool: &Value) -> Option<Self> {
        let name = tool.as_str().or_else(|| tool.get("name")?.as_str())?;
        let schema = match (tool.get("inputSchema"), tool.get("arguments")) {
            (Some(schema), _) => schema.clone(),
            // No names at all may also mean that the schema does not say.
            (None, Some(Value::Array(arguments))) if !arguments.is_empty() => of_names(arguments)?,
            (None, _) => Value::Null,
        };
        Some(Self {
            name: name.to_owned(),
            schema,
        })
    }

    /// What its schema says of the argument at the path.
    pub(crate) fn knows(&self, path: &Path) -> Known {
        let walk = Walk {
            root: &self.schema,
            steps: path.steps(),
            left: Cell::new(MOST),
        };
        walk.at(&self.schema, 0, DEEPEST)
    }
}

/// A schema with these names, of which no more is known.
fn of_names(arguments: &[Value]) -> Option<Value> {
    let name = |argument: &Value| {
        let name = argument.as_str().or_else(|| argument.get("name")?.as_str());
        Some((name?.to_owned(), Value::Bool(true)))
    };
    let properties: Option<Map<String, Value>> = arguments.iter().map(name).collect();
    Some(serde_json::json!({ "properties": properties? }))
}

/// A way through a schema along a path.
struct Walk<'a> {
    root: &'a Value,
    steps: &'a [Step],
    /// How many schemas may still be looked at.
    left: Cell<usize>,
}

// === impl Walk ===

impl Walk<'_> {
    /// What the schema says of the steps from `index` on.
    fn at(&self, schema: &Value, index: usize, depth: usize) -> Known {
        let (Some(step), Some(depth), Some(left)) = (
            self.steps.get(index),
            depth.checked_sub(1),
            self.left.get().checked_sub(1),
        ) else {
            return Known::Yes;
        };
        self.left.set(left);
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(place) = reference.and_then(|text| text.strip_prefix('#')) {
            let schema = self.root.pointer(place);
            return schema.map_or(Known::Open, |schema| self.at(schema, index, depth));
        }
        let own = match step {
            Step::Key(key) => self.member(schema, key, index, depth),
            Step::Index(_) | Step::Every => match schema.get("items") {
                Some(items) if schema.get("prefixItems").is_none() => {
                    self.at(items, index + 1, depth)
                }
                Some(_) | None => Known::Open,
            },
        };
        let parts = ["allOf", "anyOf", "oneOf"].into_iter();
        let parts = parts.filter_map(|name| schema.get(name)?.as_array());
        parts
            .flatten()
            .fold(own, |known, part| known.or(self.at(part, index, depth)))
    }

    fn member(&self, schema: &Value, key: &str, index: usize, depth: usize) -> Known {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Known::Open;
        };
        if let Some(schema) = properties.get(key) {
            return match self.at(schema, index + 1, depth) {
                Known::Open => Known::Yes,
                known => known,
            };
        }
        // A schema that says nothing of further arguments lets them pass, but few tools look at them.
        let others = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) | None => false,
            Some(_) => true,
        };
        if others || schema.get("patternProperties").is_some() {
            return Known::Yes;
        }
        Known::No {
            path: self.written(index),
            names: properties.keys().cloned().collect(),
        }
    }

    /// The path up to this step, as it is written.
    fn written(&self, last: usize) -> String {
        let mut text = "args".to_owned();
        for step in self.steps.iter().take(last + 1) {
            match step {
                Step::Key(key) => text.extend([".", key.as_str()]),
                Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
                Step::Every => text.push_str("[*]"),
            }
        }
        text
    }
}

// === impl Known ===

impl Known {
    /// What two parts of a schema say together.
    fn or(self, other: Known) -> Known {
        match (self, other) {
            (Known::Yes, _) | (_, Known::Yes) => Known::Yes,
            (Known::Open, known) | (known, Known::Open) => known,
            (Known::No { path, mut names }, Known::No { names: more, .. }) => {
                names.extend(more);
                Known::No { path, names }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(schema: &str, path: &str) -> String {
        let tool = format!(r#"[{{"name":"t","inputSchema":{schema}}}]"#);
        let offer = Offer::read(&serde_json::from_str(&tool).unwrap()).unwrap();
        match offer.tools[0].knows(&Path::parse(path).unwrap()) {
            Known::Yes => "yes".to_owned(),
            Known::Open => "open".to_owned(),
            Known::No { path, names } => {
                format!("no {path} of {}", Vec::from_iter(names).join(" "))
            }
        }
    }

    #[test]
    fn arguments_are_looked_up_along_a_schema() {
        let schema = r##"{"type":"object","properties":{
            "a":{"type":"string"},
            "o":{"type":"object","properties":{"x":{},"y":{}},"additionalProperties":false},
            "l":{"type":"array","items":{"$ref":"#/$defs/item"}},
            "n":{"anyOf":[{"$ref":"#/$defs/item"},{"type":"null"}]},
            "free":{"type":"object","properties":{"x":{}},"additionalProperties":{"type":"string"}},
            "pattern":{"properties":{},"patternProperties":{"^x":{}}},
            "any":true
        },"$defs":{"item":{"properties":{"name":{},"next":{"$ref":"#/$defs/item"}}}}}"##;
        for (path, wanted) in [
            ("args.a", "yes"),
            ("args.b", "no args.b of a any free l n o pattern"),
            ("args.o.x", "yes"),
            ("args.o.z", "no args.o.z of x y"),
            ("args.l[*].name", "yes"),
            ("args.l[0].nam", "no args.l[0].nam of name next"),
            ("args.l[*].next.next.name", "yes"),
            (
                "args.l[*].next.names.x",
                "no args.l[*].next.names of name next",
            ),
            ("args.n.name", "yes"),
            ("args.n.nam", "no args.n.nam of name next"),
            ("args.free.whatever", "yes"),
            ("args.pattern.y", "yes"),
            ("args.any.thing", "yes"),
            ("args.a.b", "yes"),
        ] {
            assert_eq!(knows(schema, path), wanted, "{path}");
        }
    }

    #[test]
    fn what_a_schema_does_not_say_is_open() {
        assert_eq!(knows("{}", "args.a"), "open");
        assert_eq!(knows("true", "args.a"), "open");
        assert_eq!(knows("null", "args.a"), "open");
        assert_eq!(knows(r#"{"type":"object"}"#, "args.a"), "open");
        assert_eq!(knows(r##"{"$ref":"#/nowhere"}"##, "args.a"), "open");
        assert_eq!(knows(r#"{"$ref":"https://x.test/y"}"#, "args.a"), "open");
        assert_eq!(knows(r#"{"properties":{}}"#, "args.a"), "no args.a of ");
        // Conditions beside the properties describe nothing of their own.
        let schema = r#"{"properties":{"a":{}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#;
        assert_eq!(knows(schema, "args.b"), "no args.b of a");
        let schema = r#"{"properties":{"a":{}},"allOf":[{"properties":{"b":{}}}]}"#;
        assert_eq!(knows(schema, "args.b"), "yes");
        assert_eq!(knows(schema, "args.c"), "no args.c of a b");
    }

    #[test]
    fn a_schema_that_never_ends_does_no_harm() {
        assert_eq!(knows(r##"{"$ref":"#"}"##, "args.a"), "yes");
        let schema = r##"{"anyOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}"##;
        assert_eq!(knows(schema, "args.a"), "yes");
    }

    #[test]
    fn lists_of_tools_come_in_several_forms() {
        let read = |text: &str| Offer::read(&serde_json::from_str(text).unwrap());
        for text in [
            r#"["t"]"#,
            r#"[{"name":"t"}]"#,
            r#"{"tools":[{"name":"t","inputSchema":null}]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t"}]}}"#,
        ] {
            assert_eq!(Vec::from_iter(read(text).unwrap().names()), ["t"], "{text}");
        }
        let offer = read(r#"{"tools":[{"name":"t","arguments":[{"name":"a","required":true}]}]}"#);
        let tool = &offer.unwrap().tools[0];
        assert_eq!(tool.knows(&Path::parse("args.a.b").unwrap()), Known::Yes);
        assert_ne!(tool.knows(&Path::parse("args.b").unwrap()), Known::Yes);
        let offer = read(r#"{"tools":[{"name":"t","arguments":[]}]}"#).unwrap();
        let known = offer.tools[0].knows(&Path::parse("args.b").unwrap());
        assert_eq!(known, Known::Open);
        for text in ["{}", "1", "[1]", r#"[{"title":"t"}]"#, r#"{"tools":{}}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

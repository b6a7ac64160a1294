//! Reading arguments by the table of fields. Whatever is wrong is told at once, and members
//! that the tool does not know are let be: who calls is never read from them.

use std::fmt;

use provost_store::fleet::InstanceId;
use serde_json::{Map, Value};

use crate::tools::field::{self, Field, Kind};
use crate::tools::tool::Tool;

/// The arguments of a call cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadArguments {
    /// Of which tool.
    pub tool: Tool,
    /// What is required and was not given, or is empty.
    pub missing: Vec<&'static str>,
    /// What else is wrong, each in words.
    pub problems: Vec<String>,
}

/// The arguments of one call, as far as they were read.
pub(super) struct Arguments<'a> {
    given: &'a Map<String, Value>,
    found: BadArguments,
}

// === impl BadArguments ===

impl fmt::Display for BadArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was not called: ", self.tool.name())?;
        let missing: Vec<String> = self.missing.iter().map(|it| format!("`{it}`")).collect();
        let missing = match missing.as_slice() {
            [] => None,
            [one] => Some(format!("{one} is missing")),
            [most @ .., last] => Some(format!("{} and {last} are missing", most.join(", "))),
        };
        let all: Vec<String> = missing
            .into_iter()
            .chain(self.problems.iter().cloned())
            .collect();
        f.write_str(&all.join("; "))
    }
}

impl std::error::Error for BadArguments {}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    pub(super) fn new(tool: Tool, given: &'a Map<String, Value>) -> Self {
        let mut read = Self {
            given,
            found: BadArguments {
                tool,
                missing: Vec::new(),
                problems: Vec::new(),
            },
        };
        for field in field::of(tool) {
            read.check(field);
        }
        read
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }

    /// A word that something known has.
    pub(super) fn word<T>(&self, name: &str, known: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.value(name)?.as_str().and_then(known)
    }

    /// A whole number.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(whole)
    }

    /// True or false.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    /// Any value.
    pub(super) fn any(&self, name: &str) -> Option<Value> {
        self.value(name).cloned()
    }

    /// The id of an instance.
    pub(super) fn instance(&mut self, name: &str) -> Option<InstanceId> {
        self.named(name, "an instance; `list` shows their ids")
    }

    /// An id that is written in one way; `what` says of what, and where to find it.
    pub(super) fn named<T: std::str::FromStr>(&mut self, name: &str, what: &str) -> Option<T> {
        let text = self.value(name)?.as_str()?;
        let id = text.parse().ok();
        if id.is_none() {
            let shown: String = text.chars().take(80).collect();
            self.problem(format!(
                "`{}` in `{name}` is not the id of {what}",
                shown.escape_debug()
            ));
        }
        id
    }

    /// Something else that is wrong.
    pub(super) fn problem(&mut self, words: String) {
        self.found.problems.push(words);
    }

    /// What was asked for, if nothing is wrong.
    pub(super) fn end<T>(self, request: Option<T>) -> Result<T, BadArguments> {
        let is_sound = self.found.missing.is_empty() && self.found.problems.is_empty();
        request.filter(|_| is_sound).ok_or(self.found)
    }

    /// Null is as good as absent, and so is an empty text where one is optional.
    fn value(&self, name: &str) -> Option<&'a Value> {
        let value = self.given.get(name)?;
        match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            _ => Some(value),
        }
    }

    fn check(&mut self, field: &Field) {
        let name = field.name;
        let Some(value) = self.value(name) else {
            if field.is_required {
                self.found.missing.push(name);
            }
            return;
        };
        let wanted = match field.kind {
            Kind::Text if value.is_string() => return,
            Kind::Text => "a text".to_owned(),
            Kind::Word(words) if value.as_str().is_some_and(|it| words.contains(&it)) => return,
            Kind::Word(words) => format!("one of `{}`", words.join("`, `")),
            Kind::Count if whole(value).is_some() => return,
            Kind::Count => "a whole number, 0 or more".to_owned(),
            Kind::Flag if value.is_boolean() => return,
            Kind::Flag => "true or false".to_owned(),
            Kind::Object if value.is_object() => return,
            Kind::Object => "an object".to_owned(),
            Kind::Any => return,
        };
        self.problem(format!("`{name}` has to be {wanted}"));
    }
}

/// A whole number, also where it is written as `50.0`.
fn whole(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let number = value.as_f64().filter(|it| it.fract() == 0.0)?;
    format!("{number:.0}").parse().ok()
}

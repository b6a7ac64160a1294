//! YAML as a tree that knows its lines: test cases and Intercept's policies.
//!
//! Reading into plain types would stop at the first mistake and lose where a
//! value stood; people who fix a file want all of it at once.

use std::fmt;

use provost_policy::document::Literal;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Where something stands in a text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

/// What a value is. Numbers keep the text they were written with.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a member and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// A text that is not YAML, or not one document.
#[derive(Debug)]
pub(crate) struct NotYaml {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Deeper than anybody writes by hand.
const DEEPEST: usize = 100;

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Node, NotYaml> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
        with_snippet: false,
    };
    let raw: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let at = error.location();
            let place = at.map_or(Place::default(), |at| Place {
                line: u32::try_from(at.line()).unwrap_or(0),
                column: u32::try_from(at.column()).unwrap_or(0),
            });
            let message = error.without_snippet().to_string();
            // The place is told apart from the message.
            let message = message
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            NotYaml { place, message }
        })?;
    Ok(located(raw, text))
}

// === impl Node ===

impl Node {
    /// The text of a scalar, as written; `None` for null, lists and maps.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) | Content::Number(text) => Some(text),
            Content::Bool(true) => Some("true"),
            Content::Bool(false) => Some("false"),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The member of that name; `None` for what is no map.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(members) => members
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(_, node)| node),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::List(_) => None,
        }
    }

    /// Where the member of that name stands, or should.
    pub(crate) fn place_of(&self, name: &str) -> Place {
        self.member(name).map_or(self.place, |node| node.place)
    }

    /// The same value as JSON writes it.
    pub(crate) fn to_literal(&self) -> Literal {
        match &self.content {
            Content::Null => Literal::Null,
            Content::Bool(yes) => Literal::Bool(*yes),
            Content::Number(text) => Literal::Number(text.clone()),
            Content::Text(text) => Literal::String(text.clone()),
            Content::List(elements) => {
                Literal::Array(elements.iter().map(Self::to_literal).collect())
            }
            Content::Map(members) => {
                let member = |(key, value): &(Key, Self)| (key.name.clone(), value.to_literal());
                Literal::Object(members.iter().map(member).collect())
            }
        }
    }

    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

// === reading ===

/// What the parser says, before numbers got their text back.
enum Raw {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn located(raw: Spanned<Raw>, source: &str) -> Node {
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Bool(yes) => Content::Bool(yes),
        Raw::Number(number) => {
            let span = raw.defined.span();
            let written = span
                .byte_offset()
                .zip(span.byte_len())
                .and_then(|(from, len)| {
                    let from = usize::try_from(from).ok()?;
                    source.get(from..from.checked_add(usize::try_from(len).ok()?)?)
                });
            // Not every number of YAML is one of JSON: `0x10`, `+1`, `.5`.
            let exact =
                written.filter(|text| provost_policy::decimal::Decimal::parse(text).is_some());
            Content::Number(exact.map_or_else(|| number.to_string(), str::to_owned))
        }
        Raw::Text(text) => Content::Text(text),
        Raw::List(elements) => Content::List(
            elements
                .into_iter()
                .map(|element| located(element, source))
                .collect(),
        ),
        Raw::Map(members) => {
            let named = |key: Spanned<String>| Key {
                place: place_of(&key),
                name: key.value,
            };
            let members = members.into_iter();
            Content::Map(
                members
                    .map(|(key, value)| (named(key), located(value, source)))
                    .collect(),
            )
        }
    };
    Node {
        place: place_of_location(&raw.referenced),
        content,
    }
}

fn place_of<T>(spanned: &Spanned<T>) -> Place {
    place_of_location(&spanned.referenced)
}

fn place_of_location(location: &serde_saphyr::Location) -> Place {
    Place {
        line: u32::try_from(location.line()).unwrap_or(0),
        column: u32::try_from(location.column()).unwrap_or(0),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(yes))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Raw, E> {
        let number = serde_json::Number::from_f64(number);
        number
            .map(Raw::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests;

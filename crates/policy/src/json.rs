//! A strict one-pass JSON reader that borrows its text.
//!
//! It reads policies, every governed request and every reply. It refuses
//! whatever two readers could understand differently: duplicate keys, lone
//! surrogates, a byte order mark, trailing data. Numbers stay text.

mod error;
mod fold;
mod known;
mod reader;
mod string;

use std::borrow::Cow;
use std::ops::Range;

pub use error::{JsonError, Problem, line_column};
pub(crate) use fold::fold;
pub use fold::{Folder, KeyProblem, TooMuchToFold};
pub use known::KnownNames;
pub use reader::read;
pub use reader::read_collecting;

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Arrays and objects inside each other.
    pub depth: u32,
    /// Values and keys together.
    pub nodes: u32,
}

/// A document that was read: its text and one flat list of what is in it.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    text: &'a str,
    /// In the order of the text; an object's keys and values alternate.
    nodes: Vec<Node>,
}

/// One value of a document. Copying it copies a pointer.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    index: u32,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A key of an object and what it holds.
#[derive(Debug, Clone, Copy)]
pub struct Member<'d> {
    /// The key, a string value.
    pub key: Value<'d>,
    /// What it holds.
    pub value: Value<'d>,
}

/// An entry of the flat list.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// Index of the first node after this value. While an array or object is
    /// still open: index of the one around it, so that reading needs no stack.
    next: u32,
    /// Members or elements.
    count: u32,
    kind: Kind,
    /// Whether a backslash stands in the string.
    escaped: bool,
}

/// Stands in where an index leads nowhere, which no index handed out does.
const NOTHING: Node = Node {
    start: 0,
    end: 0,
    next: u32::MAX,
    count: 0,
    kind: Kind::Null,
    escaped: false,
};

// === impl Bounds ===

impl Default for Bounds {
    /// One level less than where `serde_json` gives up, so that a document
    /// accepted here is not refused later on its way.
    fn default() -> Self {
        Self {
            depth: 127,
            nodes: 100_000,
        }
    }
}

// === impl Document ===

impl<'a> Document<'a> {
    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value {
            document: self,
            index: 0,
        }
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// How much memory the list of what is in it takes, in bytes.
    pub fn footprint(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    /// The JSON pointer (RFC 6901) of what stands at a byte.
    pub fn pointer_at(&self, offset: usize) -> String {
        let mut pointer = String::new();
        let mut here = self.root();
        loop {
            let member = here
                .members()
                .find(|m| (m.key.span().start..m.value.span().end).contains(&offset));
            let element = || {
                here.elements()
                    .enumerate()
                    .find(|(_, e)| e.span().contains(&offset))
            };
            if let Some(member) = member {
                pointer.push('/');
                pointer.push_str(&member.name().replace('~', "~0").replace('/', "~1"));
                here = member.value;
            } else if let Some((index, element)) = element() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                here = element;
            } else {
                return pointer;
            }
        }
    }
}

// === impl Value ===

impl<'d> Value<'d> {
    /// What it is.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Its exact text.
    pub fn raw(self) -> &'d str {
        self.document.text.get(self.span()).unwrap_or_default()
    }

    /// Where its text stands, in bytes.
    pub fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The string without its escapes.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let inner = self.inner()?;
        Some(if self.node().escaped {
            Cow::Owned(string::unescape(inner).collect())
        } else {
            Cow::Borrowed(inner)
        })
    }

    /// The number as it was written.
    pub fn as_number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The truth value.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether it is exactly this string.
    pub fn is_str(self, text: &str) -> bool {
        match self.inner() {
            Some(inner) if self.node().escaped => string::unescape(inner).eq(text.chars()),
            Some(inner) => inner == text,
            None => false,
        }
    }

    /// The string, when it was written without escapes.
    pub(crate) fn as_written(self) -> Option<&'d str> {
        self.inner().filter(|_| !self.node().escaped)
    }

    /// What an object holds under a key.
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        self.members()
            .find(|member| member.key.is_str(key))
            .map(|member| member.value)
    }

    /// The number of members or elements; 0 for everything else.
    pub fn len(self) -> usize {
        self.node().count as usize
    }

    /// Whether it has no members and no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The members of an object in order; nothing for everything else.
    pub fn members(self) -> impl Iterator<Item = Member<'d>> {
        let mut rest = self.children(Kind::Object);
        std::iter::from_fn(move || {
            Some(Member {
                key: rest.next()?,
                value: rest.next()?,
            })
        })
    }

    /// The elements of an array in order; nothing for everything else.
    pub fn elements(self) -> impl Iterator<Item = Value<'d>> {
        self.children(Kind::Array)
    }

    fn node(self) -> Node {
        self.document
            .nodes
            .get(self.index as usize)
            .copied()
            .unwrap_or(NOTHING)
    }

    /// The text between the quotes of a string.
    fn inner(self) -> Option<&'d str> {
        let node = self.node();
        if node.kind != Kind::String {
            return None;
        }
        self.document
            .text
            .get(node.start as usize + 1..node.end as usize - 1)
    }

    fn children(self, kind: Kind) -> impl Iterator<Item = Value<'d>> {
        let node = self.node();
        let end = if node.kind == kind { node.next } else { 0 };
        let mut index = self.index + 1;
        std::iter::from_fn(move || {
            (index < end).then(|| {
                let value = Value {
                    document: self.document,
                    index,
                };
                index = value.node().next;
                value
            })
        })
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.raw())
    }
}

// === impl Member ===

impl<'d> Member<'d> {
    /// The key without its escapes.
    pub fn name(self) -> Cow<'d, str> {
        self.key.as_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

//! Reading entries back quickly, for folding: every call is read twice.
//!
//! It knows the form that `encode` writes, with its fields in any order, and
//! the entries of ordinary calls. At anything else it gives up, and serde
//! reads the entry; a test holds the two together.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::{memchr2, memmem};
use provost_policy::{Amount, CounterId};

use super::decode::{self, Charged, Line, Str};
use super::kind::Kind;

/// Counters that are remembered by their text; then it begins anew.
const REMEMBERED: usize = 10_000;

/// Reads entries, and remembers the counters it has seen.
#[derive(Debug, Default)]
pub(crate) struct QuickReader {
    counters: HashMap<Box<str>, CounterId>,
}

/// What is left of an entry.
struct Cursor<'a> {
    rest: &'a str,
}

// === impl QuickReader ===

impl QuickReader {
    /// Reads an entry's payload.
    pub(crate) fn line<'a>(&mut self, payload: &'a [u8]) -> Option<Line<'a>> {
        let text = std::str::from_utf8(payload).ok()?;
        self.quickly(text).or_else(|| decode::line(payload))
    }

    fn quickly<'a>(&mut self, text: &'a str) -> Option<Line<'a>> {
        let mut cursor = Cursor { rest: text };
        cursor.eat("{\"n\":")?;
        let number = cursor.number()?;
        cursor.eat(",\"t\":")?;
        let kind = [Kind::Intent, Kind::Refused, Kind::Outcome];
        let word = cursor.text()?.0;
        let kind = kind.into_iter().find(|kind| kind.word() == word)?;
        cursor.eat(",\"at\":[")?;
        let steady = cursor.number()?;
        cursor.eat(",")?;
        let wall = cursor.number()?;
        cursor.eat("]")?;
        let mut line = Line::new(number, kind, (steady, wall));
        loop {
            if cursor.rest == "}" {
                return Some(line);
            }
            cursor.eat(",\"")?;
            let (key, rest) = cursor.rest.split_once("\":")?;
            cursor.rest = rest;
            match key {
                "call" => line.call = Some(cursor.text()?.0.parse().ok()?),
                "grant" => line.grant = Some(cursor.text()?),
                "label" => line.label = Some(cursor.text()?),
                "client" => line.client = Some(cursor.text()?),
                "server" => line.server = Some(cursor.text()?),
                "method" => line.method = Some(cursor.text()?),
                "tool" => line.tool = Some(cursor.text()?),
                "policy" => line.policy = Some(cursor.text()?),
                "version" => line.version = Some(cursor.number()?.try_into().ok()?),
                "policy_grant" => line.policy_grant = Some(cursor.text()?),
                "rule" => line.rule = Some(cursor.text()?),
                "message" => line.message = Some(cursor.text()?),
                "decision" => line.decision = Some(cursor.text()?.0.parse().ok()?),
                "retry" => line.retry = Some(cursor.number()?),
                "status" => line.status = Some(cursor.text()?.0.parse().ok()?),
                "http" => line.http = Some(cursor.number()?.try_into().ok()?),
                "latency" => line.latency = Some(cursor.number()?),
                "keys" => line.keys = Some(Str(Cow::Borrowed(cursor.texts()?))),
                "charges" => line.charges = self.charges(&mut cursor)?,
                _ => return None,
            }
        }
    }

    fn charges(&mut self, cursor: &mut Cursor<'_>) -> Option<Vec<Charged>> {
        let mut charges = Vec::new();
        cursor.eat("[")?;
        loop {
            cursor.eat("{\"counter\":")?;
            let counter = self.counter(cursor)?;
            cursor.eat(",\"amount\":")?;
            let amount = cursor.amount()?;
            cursor.eat("}")?;
            charges.push(Charged { counter, amount });
            if cursor.eat("]").is_some() {
                return Some(charges);
            }
            cursor.eat(",")?;
        }
    }

    /// A counter by its text. The alignment stands last; quotes inside a name
    /// are escaped, so its key cannot be part of one.
    fn counter(&mut self, cursor: &mut Cursor<'_>) -> Option<CounterId> {
        let last = memmem::find(cursor.rest.as_bytes(), b",\"alignment\":\"")?;
        let end = last + memchr::memchr(b'}', cursor.rest.as_bytes().get(last..)?)? + 1;
        let (text, rest) = cursor.rest.split_at_checked(end)?;
        cursor.rest = rest;
        if let Some(counter) = self.counters.get(text) {
            return Some(counter.clone());
        }
        let counter: CounterId = serde_json::from_str(text).ok()?;
        if self.counters.len() >= REMEMBERED {
            self.counters.clear();
        }
        self.counters.insert(text.into(), counter.clone());
        Some(counter)
    }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    fn eat(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        digits.parse().ok()
    }

    fn amount(&mut self) -> Option<Amount> {
        let text = self.raw_text()?;
        match text.strip_prefix('"')?.strip_suffix('"')?.parse() {
            Ok(whole) => Some(Amount::whole(whole)),
            Err(_) => serde_json::from_str(text).ok(),
        }
    }

    fn text(&mut self) -> Option<Str<'a>> {
        let text = self.raw_text()?;
        let inner = text.get(1..text.len() - 1)?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Str(Cow::Borrowed(inner)));
        }
        serde_json::from_str(text)
            .ok()
            .map(|text: String| Str(Cow::Owned(text)))
    }

    /// A list of texts as it stands there.
    fn texts(&mut self) -> Option<&'a str> {
        let whole = self.rest;
        self.eat("[")?;
        loop {
            self.raw_text()?;
            if self.eat("]").is_some() {
                return whole.get(..whole.len() - self.rest.len());
            }
            self.eat(",")?;
        }
    }

    /// A text with its quotes and escapes.
    fn raw_text(&mut self) -> Option<&'a str> {
        let whole = self.rest;
        let bytes = whole.as_bytes();
        let mut place = 1;
        if !whole.starts_with('"') {
            return None;
        }
        loop {
            let found = place + memchr2(b'"', b'\\', bytes.get(place..)?)?;
            if bytes.get(found) == Some(&b'"') {
                let (text, rest) = whole.split_at_checked(found + 1)?;
                self.rest = rest;
                return Some(text);
            }
            place = found + 2;
        }
    }
}

#[cfg(test)]
mod tests;

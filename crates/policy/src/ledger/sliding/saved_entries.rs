//! Entries as one text, such as `1000 500+20*2`: there can be millions, and a
//! start waits until they are read. Lists of lists, as they were written before,
//! are read, too.

use std::fmt::{self, Write};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

use crate::amount::{Amount, read_back};

type Saved = (u64, u64, Amount);

/// Microseconds since the one before, `+` how long it spans unless that is
/// nothing, `*` the amount unless that is one.
pub(super) fn serialize<S: Serializer>(entries: &[Saved], to: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(entries.len() * 12);
    for (since, spans, amount) in entries {
        if !text.is_empty() {
            text.push(' ');
        }
        // Writing to a text does not fail.
        let _ = write!(text, "{since}");
        if *spans > 0 {
            let _ = write!(text, "+{spans}");
        }
        if *amount != Amount::ONE {
            let _ = write!(text, "*{amount}");
        }
    }
    to.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Saved>, D::Error> {
    from.deserialize_any(Entries)
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<Saved>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entries of a counter")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<Saved>, E> {
        read(text).ok_or_else(|| E::custom("not the entries of a counter"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Saved>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// Goes through the text once, byte by byte: there may be megabytes of it.
fn read(text: &str) -> Option<Vec<Saved>> {
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (since, after) = number(rest)?;
        rest = after;
        let mut entry = (since, 0, Amount::ONE);
        if let Some(after) = rest.strip_prefix('+') {
            (entry.1, rest) = number(after)?;
        }
        if let Some(after) = rest.strip_prefix('*') {
            let end = after.bytes().position(|byte| byte == b' ');
            let (amount, after) = after.split_at_checked(end.unwrap_or(after.len()))?;
            entry.2 = read_back(amount)?;
            rest = after;
        }
        entries.push(entry);
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(' ').filter(|rest| !rest.is_empty())?;
    }
    Some(entries)
}

/// The digits a text begins with, and what comes after them.
fn number(text: &str) -> Option<(u64, &str)> {
    let mut number = 0_u64;
    let mut length = 0;
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
        length += 1;
    }
    (length > 0).then_some((number, text.get(length..)?))
}

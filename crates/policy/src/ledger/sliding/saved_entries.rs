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
        let entries = text.split_ascii_whitespace().map(one);
        let entries: Option<_> = entries.collect();
        entries.ok_or_else(|| E::custom("not the entries of a counter"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Saved>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn one(text: &str) -> Option<Saved> {
    let (times, amount) = match text.split_once('*') {
        Some((times, amount)) => (times, read_back(amount)?),
        None => (text, Amount::ONE),
    };
    let (since, spans) = match times.split_once('+') {
        Some((since, spans)) => (since, spans.parse().ok()?),
        None => (times, 0),
    };
    Some((since.parse().ok()?, spans, amount))
}

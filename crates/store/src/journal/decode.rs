//! Entries read back.

use std::borrow::Cow;

use memchr::memmem;
use provost_policy::ledger::CounterState;
use provost_policy::{Amount, CounterId, Moment};
use serde::Deserialize;

use super::chain::{Hex, Mac, parse_mac};
use super::encode;
use super::entry::{Decision, Refund, Rows, Status};
use super::kind::Kind;
use crate::CallId;

/// Text that borrows from the line where it has no escapes.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Str<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Any entry: which fields are there depends on its kind.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(rename = "n")]
    pub(crate) number: u64,
    #[serde(rename = "t")]
    pub(crate) kind: Kind,
    pub(crate) at: (u64, u64),
    pub(crate) call: Option<CallId>,
    #[serde(borrow)]
    pub(crate) grant: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) label: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) client: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) server: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) method: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) tool: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) policy: Option<Str<'a>>,
    pub(crate) version: Option<u32>,
    /// The grant whose policy refused, if it is not the call's own.
    #[serde(borrow)]
    pub(crate) policy_grant: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) rule: Option<Str<'a>>,
    /// A JSON list of texts, as it is kept in the database.
    #[serde(default, deserialize_with = "list_as_text")]
    pub(crate) keys: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) charges: Vec<Charged>,
    #[serde(borrow)]
    pub(crate) shadow: Option<ShadowLine<'a>>,
    pub(crate) decision: Option<Decision>,
    #[serde(borrow)]
    pub(crate) message: Option<Str<'a>>,
    pub(crate) retry: Option<u64>,
    pub(crate) status: Option<Status>,
    pub(crate) http: Option<u16>,
    pub(crate) latency: Option<u64>,
    #[serde(default)]
    pub(crate) refund: Vec<Refund>,
    #[serde(borrow)]
    pub(crate) who: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) what: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) target: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) detail: Option<Str<'a>>,
    pub(crate) revision: Option<u64>,
    /// The rows that a change leaves behind.
    #[serde(default)]
    pub(crate) rows: Rows,
}

/// What was counted.
#[derive(Debug, Deserialize)]
pub(crate) struct Charged {
    pub(crate) counter: CounterId,
    pub(crate) amount: Amount,
}

/// What a shadow policy said.
#[derive(Debug, Deserialize)]
pub(crate) struct ShadowLine<'a> {
    #[serde(borrow)]
    pub(crate) policy: Str<'a>,
    pub(crate) version: u32,
    pub(crate) decision: Decision,
    #[serde(borrow)]
    pub(crate) rule: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) message: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) charges: Vec<Charged>,
}

/// The first entry of a segment. Its form stays in every format: who does not
/// know the format can still read that.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "n")]
    pub(crate) number: u64,
    #[serde(default = "first_format")]
    pub(crate) format: u32,
    /// Whose chain it is; before headers said it, the data directory's.
    #[serde(default)]
    pub(crate) node: Option<String>,
    /// Which timeline of the node: the next one begins with each restore.
    #[serde(default = "first_epoch")]
    pub(crate) epoch: u32,
    pub(crate) segment: u32,
    /// The version of the key the segment is chained with.
    pub(crate) key: u32,
    /// The last entry of the segment before.
    pub(crate) prev: Link,
}

/// An entry named by its number and its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Link {
    #[serde(rename = "n")]
    pub(crate) number: u64,
    #[serde(deserialize_with = "mac_from_text")]
    pub(crate) mac: Mac,
}

/// What a checkpoint's entry says.
#[derive(Debug, Deserialize)]
pub(crate) struct CheckpointLine {
    /// What retention removed, if it was made for that.
    pub(crate) pruned: Option<Link>,
    pub(crate) file: Option<String>,
    pub(crate) sha256: Option<Hex>,
}

/// A checkpoint as an entry names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Named {
    pub(crate) file: String,
    pub(crate) sha256: Hex,
}

/// A checkpoint of format 1, with the counters it carries.
#[derive(Debug, Deserialize)]
pub(crate) struct InlineCheckpoint {
    pub(crate) pruned: Link,
    /// The last entry that is counted in the counters.
    pub(crate) folded: u64,
    pub(crate) counters: Vec<CounterState>,
}

// === impl CheckpointLine ===

impl CheckpointLine {
    /// The file it names; format 1 had none.
    pub(crate) fn named(&self) -> Option<Named> {
        Some(Named {
            file: self.file.clone()?,
            sha256: self.sha256?,
        })
    }
}

// === impl Line ===

impl<'a> Line<'a> {
    /// An entry that has nothing yet but what every entry has.
    pub(super) fn new(number: u64, kind: Kind, at: (u64, u64)) -> Self {
        Self {
            number,
            kind,
            at,
            ..Self::default()
        }
    }

    /// When it was written.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            steady: self.at.0,
            wall: self.at.1,
        }
    }
}

impl Str<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads an entry's payload.
pub(crate) fn line(payload: &[u8]) -> Option<Line<'_>> {
    serde_json::from_slice(payload).ok()
}

/// Reads the header of a segment; `None` if the entry is no header.
pub(crate) fn header(payload: &[u8]) -> Option<Header> {
    let is_header = kind_word(payload) == Some(Kind::Segment.word());
    is_header
        .then(|| serde_json::from_slice(payload).ok())
        .flatten()
}

/// Whether an entry is a checkpoint.
pub(crate) fn is_checkpoint(payload: &[u8]) -> bool {
    kind_word(payload) == Some(Kind::Checkpoint.word())
}

/// The word for its kind that a payload carries, without reading the rest.
pub(crate) fn kind_word(payload: &[u8]) -> Option<&str> {
    let digits = payload.strip_prefix(b"{\"n\":")?;
    let end = memchr::memchr(b',', digits.get(..21.min(digits.len()))?)?;
    let rest = digits.get(end..)?.strip_prefix(b",\"t\":\"")?;
    let end = memchr::memchr(b'"', rest.get(..64.min(rest.len()))?)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

const fn first_format() -> u32 {
    1
}

const fn first_epoch() -> u32 {
    1
}

/// The number a payload carries, without reading the rest.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    let digits = payload.strip_prefix(b"{\"n\":")?;
    let end = memchr::memchr(b',', digits.get(..21.min(digits.len()))?)?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// The moment a payload carries, without reading the rest.
pub(crate) fn moment(payload: &[u8]) -> Option<Moment> {
    let start = payload.get(..96.min(payload.len()))?;
    let place = memmem::find(start, b"\"at\":[")? + 6;
    let rest = start.get(place..)?;
    let end = memchr::memchr(b']', rest)?;
    let (steady, wall) = std::str::from_utf8(rest.get(..end)?)
        .ok()?
        .split_once(',')?;
    Some(Moment {
        steady: steady.parse().ok()?,
        wall: wall.parse().ok()?,
    })
}

fn list_as_text<'de, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Str<'a>>, D::Error> {
    let list = Vec::<String>::deserialize(deserializer)?;
    let mut text = Vec::new();
    encode::texts(&mut text, &list);
    let text = String::from_utf8(text).map_err(serde::de::Error::custom)?;
    Ok(Some(Str(Cow::Owned(text))))
}

fn mac_from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Mac, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    parse_mac(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("not a mac"))
}

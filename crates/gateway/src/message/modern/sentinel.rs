//! Text in header values: as it is where HTTP can carry it, otherwise as
//! `=?base64?…?=` (2026-07-28, streamable HTTP).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;

const START: &str = "=?base64?";
const END: &str = "?=";

/// A header value that says `text`; `None` when no header can.
pub(crate) fn encode(text: &str) -> Option<HeaderValue> {
    let plain = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e | b'\t'));
    let padded = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    if plain && !padded && !text.is_empty() && !is_sentinel(text) {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::from_str(&format!("{START}{}{END}", STANDARD.encode(text))).ok()
}

/// What a header value says; `None` when it cannot be decoded.
pub(crate) fn decode(value: &HeaderValue) -> Option<String> {
    // Values are text of ours or nothing: bytes beyond ASCII have no meaning.
    let text = value.to_str().ok()?.trim_matches([' ', '\t']);
    if !is_sentinel(text) {
        return Some(text.to_owned());
    }
    let inner = text.strip_prefix(START)?.strip_suffix(END)?;
    String::from_utf8(STANDARD.decode(inner).ok()?).ok()
}

fn is_sentinel(text: &str) -> bool {
    text.len() >= START.len() + END.len() && text.starts_with(START) && text.ends_with(END)
}

//! Entries as JSON, written by hand: this is on the path of every call twice.
//!
//! A body is everything but the number, which is not known before the entry's
//! turn comes: `"t":"intent","at":[..],...}`. The writer puts `{"n":17,` in
//! front of it.

use std::borrow::Cow;

use provost_policy::invisible::{is_hidden, push_escaped};
use provost_policy::{Alignment, Amount, Charge, CounterId, Moment, Window};

use super::chain::push_hex;
use super::entry::{AdminAct, Entry, Intent, Outcome, Refund, Refused, Shadow};
use super::kind::Kind;
use crate::CallId;

const BILLION: u128 = 1_000_000_000;

/// Writes the body of an entry from the path of a call.
pub(super) fn body(out: &mut Vec<u8>, entry: &Entry<'_>) {
    match entry {
        Entry::Intent(intent) => write_intent(out, intent),
        Entry::Refused(refused) => write_refused(out, refused),
        Entry::Outcome(outcome) => write_outcome(out, outcome),
        Entry::Admin(act) => {
            write_act(out, Kind::Admin, act);
            out.push(b'}');
        }
    }
}

/// Begins a body: kind and time come first, so that both are found cheaply.
pub(super) fn begin(out: &mut Vec<u8>, kind: Kind, at: Moment) {
    out.extend_from_slice(b"\"t\":\"");
    out.extend_from_slice(kind.word().as_bytes());
    out.extend_from_slice(b"\",\"at\":[");
    number(out, at.steady);
    out.push(b',');
    number(out, at.wall);
    out.push(b']');
}

/// Writes an act without its closing brace: the store's own acts say more.
pub(super) fn write_act(out: &mut Vec<u8>, kind: Kind, act: &AdminAct<'_>) {
    begin(out, kind, act.at);
    text_field(out, "who", act.who);
    text_field(out, "what", act.what);
    text_field(out, "target", act.target);
    optional_text(out, "detail", act.detail);
}

fn write_intent(out: &mut Vec<u8>, intent: &Intent<'_>) {
    begin(out, Kind::Intent, intent.at);
    call_field(out, intent.call);
    text_field(out, "grant", intent.grant);
    text_field(out, "label", intent.grant_label);
    optional_text(out, "client", intent.client);
    text_field(out, "server", intent.server);
    text_field(out, "method", intent.method);
    optional_text(out, "tool", intent.tool);
    optional_text(out, "policy", intent.policy);
    optional_number(out, "version", intent.version.map(u64::from));
    optional_text(out, "rule", intent.rule);
    write_keys(out, intent.keys);
    write_charges(out, intent.charges);
    write_shadow(out, intent.shadow.as_ref());
    out.push(b'}');
}

fn write_refused(out: &mut Vec<u8>, refused: &Refused<'_>) {
    begin(out, Kind::Refused, refused.at);
    call_field(out, refused.call);
    text_field(out, "grant", refused.grant);
    text_field(out, "label", refused.grant_label);
    optional_text(out, "client", refused.client);
    text_field(out, "server", refused.server);
    text_field(out, "method", refused.method);
    optional_text(out, "tool", refused.tool);
    optional_text(out, "policy", refused.policy);
    optional_number(out, "version", refused.version.map(u64::from));
    // Mostly it is the call's own, which stands there already.
    let other = refused.policy_grant.filter(|grant| *grant != refused.grant);
    optional_text(out, "policy_grant", other);
    text_field(out, "rule", refused.rule);
    write_keys(out, refused.keys);
    text_field(out, "decision", refused.decision.as_str());
    text_field(out, "message", refused.message);
    optional_number(out, "retry", refused.retry_after_ms);
    write_shadow(out, refused.shadow.as_ref());
    out.push(b'}');
}

fn write_outcome(out: &mut Vec<u8>, outcome: &Outcome<'_>) {
    begin(out, Kind::Outcome, outcome.at);
    call_field(out, outcome.call);
    field(out, "status");
    out.push(b'"');
    outcome.status.write(out);
    out.push(b'"');
    optional_number(out, "http", outcome.upstream_status.map(u64::from));
    field(out, "latency");
    number(out, outcome.latency_us);
    if !outcome.refund.is_empty() {
        field(out, "refund");
        list(out, outcome.refund, write_refund);
    }
    out.push(b'}');
}

fn write_shadow(out: &mut Vec<u8>, shadow: Option<&Shadow<'_>>) {
    let Some(shadow) = shadow else { return };
    field(out, "shadow");
    out.extend_from_slice(b"{\"policy\":");
    text(out, shadow.policy);
    field(out, "version");
    number(out, u64::from(shadow.version));
    text_field(out, "decision", shadow.decision.as_str());
    optional_text(out, "rule", shadow.rule);
    optional_text(out, "message", shadow.message);
    write_charges(out, shadow.charges);
    out.push(b'}');
}

fn write_keys(out: &mut Vec<u8>, keys: &[Cow<'_, str>]) {
    if keys.is_empty() {
        return;
    }
    field(out, "keys");
    texts(out, keys);
}

/// Charges of one counter are one charge, the largest, as the ledger takes
/// them: replay must count what was counted.
fn write_charges(out: &mut Vec<u8>, charges: &[Charge]) {
    if charges.is_empty() {
        return;
    }
    field(out, "charges");
    out.push(b'[');
    let mut rest = charges;
    let mut seen: &[Charge] = &[];
    while let Some((charge, after)) = rest.split_first() {
        if !seen.iter().any(|other| other.counter == charge.counter) {
            let amount = after
                .iter()
                .filter(|other| other.counter == charge.counter)
                .fold(charge.amount, |most, other| most.max(other.amount));
            if !seen.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"counter\":");
            write_counter(out, &charge.counter);
            field(out, "amount");
            write_amount(out, amount);
            out.push(b'}');
        }
        seen = charges
            .get(..charges.len() - after.len())
            .unwrap_or(charges);
        rest = after;
    }
    out.push(b']');
}

fn write_refund(out: &mut Vec<u8>, refund: &Refund) {
    out.extend_from_slice(b"{\"counter\":");
    write_counter(out, &refund.counter);
    field(out, "amount");
    write_amount(out, refund.amount);
    out.extend_from_slice(b",\"at\":{\"steady\":");
    number(out, refund.at.steady);
    field(out, "wall");
    number(out, refund.at.wall);
    out.extend_from_slice(b"}}");
}

/// The same JSON that serde gives a counter; a test holds the two together.
fn write_counter(out: &mut Vec<u8>, counter: &CounterId) {
    out.extend_from_slice(b"{\"scope\":");
    text(out, &counter.scope);
    text_field(out, "server", &counter.server);
    text_field(out, "counter", &counter.counter);
    match counter.window {
        Window::Micros(length) => {
            out.extend_from_slice(b",\"window\":{\"micros\":");
            number(out, length);
            out.push(b'}');
        }
        Window::Concurrent => out.extend_from_slice(b",\"window\":\"concurrent\""),
    }
    out.extend_from_slice(match counter.alignment {
        Alignment::Sliding => b",\"alignment\":\"sliding\"}",
        Alignment::Calendar => b",\"alignment\":\"calendar\"}",
    });
}

fn write_amount(out: &mut Vec<u8>, amount: Amount) {
    let (whole, fraction) = (amount.units() / BILLION, amount.units() % BILLION);
    out.push(b'"');
    match u64::try_from(whole) {
        Ok(whole) if fraction == 0 => number(out, whole),
        _ => out.extend_from_slice(amount.to_string().as_bytes()),
    }
    out.push(b'"');
}

/// A list of texts.
pub(super) fn texts(out: &mut Vec<u8>, items: &[impl AsRef<str>]) {
    list(out, items, |out, item| text(out, item.as_ref()));
}

/// A list of things, with commas between them.
fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A comma and a key; our own keys need no escapes.
pub(super) fn field(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

pub(super) fn text_field(out: &mut Vec<u8>, key: &str, value: &str) {
    field(out, key);
    text(out, value);
}

pub(super) fn number_field(out: &mut Vec<u8>, key: &str, value: u64) {
    field(out, key);
    number(out, value);
}

fn optional_text(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        text_field(out, key, value);
    }
}

fn optional_number(out: &mut Vec<u8>, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        number_field(out, key, value);
    }
}

fn call_field(out: &mut Vec<u8>, call: CallId) {
    field(out, "call");
    out.push(b'"');
    push_hex(out, &call.number().to_be_bytes());
    out.push(b'"');
}

/// A JSON string. Whatever could move a cursor, end a line or turn the
/// reading direction is escaped: a journal is read with `less`, too.
pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        out.extend_from_slice(value.as_bytes());
    } else {
        for character in value.chars() {
            escaped(out, character);
        }
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        _ if is_hidden(character) => {
            let mut text = String::new();
            push_escaped(&mut text, character);
            out.extend_from_slice(text.as_bytes());
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// A number in decimal digits.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0_u8; 20];
    let mut rest = value;
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or(&digits));
}

#[cfg(test)]
mod tests;

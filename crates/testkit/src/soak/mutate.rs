//! What becomes of a recorded message: bytes, headers or the structure of its JSON are changed.

use super::dice::Dice;
use serde_json::{Value, json};

/// Largest piece that is doubled or taken out.
const PIECE: usize = 200;

/// A head and a body, where both can be told apart.
struct Parts {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// Changes a raw HTTP request in one to three ways. `others` are spliced in.
pub(super) fn request(dice: &mut Dice, recorded: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = recorded.to_vec();
    for _ in 0..once_or_more(dice) {
        bytes = match dice.roll(8) {
            0 => self::bytes(dice, bytes, others),
            1 | 2 => headers(dice, &bytes),
            3 => chunked(dice, &bytes),
            _ => body(dice, &bytes, others),
        };
    }
    bytes
}

/// Mostly once: what is changed in too many ways is turned away for the first.
fn once_or_more(dice: &mut Dice) -> usize {
    if dice.once_in(4) { 2 + dice.roll(2) } else { 1 }
}

/// Changes a line of JSON. It may become several.
pub(super) fn line(dice: &mut Dice, recorded: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    if dice.once_in(2) {
        structure(dice, recorded)
    } else {
        bytes(dice, recorded.to_vec(), others)
    }
}

/// Bytes are flipped, taken out, doubled, cut off, or replaced by a piece of something else.
pub(super) fn bytes(dice: &mut Dice, mut bytes: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let at = dice.roll(bytes.len());
    let end = (at + 1 + dice.roll(PIECE)).min(bytes.len());
    match dice.roll(8) {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => bytes[at] = u8::try_from(dice.roll(256)).unwrap_or_default(),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        4 => bytes.truncate(at),
        5 if !others.is_empty() => {
            let other = dice.pick(others);
            let from = dice.roll(other.len());
            let to = (from + 1 + dice.roll(PIECE)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        6 => {
            let odd = *dice.pick(b"\"{}[],:0\n\r\\\xff\0 \t-");
            bytes.insert(at, odd);
        }
        _ => {
            let other = dice.roll(bytes.len());
            bytes.swap(at, other);
        }
    }
    bytes
}

fn parts(request: &[u8]) -> Parts {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.map_or(request.len(), |at| at + 4);
    Parts {
        head: request[..end].to_vec(),
        body: request[end..].to_vec(),
    }
}

impl Parts {
    /// The request again, its length as it is now.
    fn joined(self) -> Vec<u8> {
        let head = String::from_utf8_lossy(&self.head).into_owned();
        let mut lines: Vec<&str> = head.trim_end_matches("\r\n").split("\r\n").collect();
        lines.retain(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
        let length = format!("content-length: {}", self.body.len());
        if !self.body.is_empty() {
            lines.push(&length);
        }
        [lines.join("\r\n").as_bytes(), b"\r\n\r\n", &self.body].concat()
    }
}

fn body(dice: &mut Dice, request: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let Parts { head, body } = parts(request);
    if body.is_empty() {
        return bytes(dice, request.to_vec(), others);
    }
    let body = line(dice, &body, others);
    Parts { head, body }.joined()
}

/// The body in chunks, some of which lie about themselves.
fn chunked(dice: &mut Dice, request: &[u8]) -> Vec<u8> {
    let Parts { head, body } = parts(request);
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut out = String::new();
    for line in head.trim_end_matches("\r\n").split("\r\n") {
        let length = line.to_ascii_lowercase().starts_with("content-length:");
        if !length || dice.once_in(4) {
            out += line;
            out += "\r\n";
        }
    }
    out += "transfer-encoding: chunked\r\n\r\n";
    let mut out = out.into_bytes();
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + dice.roll(64)).min(rest.len()));
        rest = after;
        let size = match dice.roll(40) {
            0 => "ffffffffffffffff".to_owned(),
            1 => "-1".to_owned(),
            2 => format!("{:x}", piece.len() + 1 + dice.roll(9)),
            3 => format!("{:x};{}", piece.len(), "x=y;".repeat(dice.roll(500))),
            _ => format!("{:x}", piece.len()),
        };
        out.extend_from_slice(format!("{size}\r\n").as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    match dice.roll(6) {
        0 => {}
        1 => out.extend_from_slice(b"0\r\nauthorization: Bearer x\r\nmcp-session-id: y\r\n\r\n"),
        2 => out.extend_from_slice(b"0\r\n"),
        _ => out.extend_from_slice(b"0\r\n\r\n"),
    }
    out
}

fn headers(dice: &mut Dice, request: &[u8]) -> Vec<u8> {
    let Parts { head, body } = parts(request);
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines: Vec<String> = head
        .trim_end_matches("\r\n")
        .split("\r\n")
        .map(str::to_owned)
        .collect();
    let at = dice.roll(lines.len());
    match dice.roll(9) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let changed = bytes(dice, lines[at].clone().into_bytes(), &[]);
            lines[at] = String::from_utf8_lossy(&changed).into_owned();
        }
        3 => lines.push(format!("x-long: {}", "a".repeat(dice.roll(100_000)))),
        4 => lines.extend((0..dice.roll(200)).map(|n| format!("x-many-{n}: {n}"))),
        5 => {
            let target = *dice.pick(&[
                "http://evil.example/mcp/steady",
                "//mcp/steady",
                "*",
                "/mcp/child?x=%00",
                "/mcp/steady/../child",
            ]);
            let mut words: Vec<&str> = lines[0].split(' ').collect();
            if words.len() > 1 {
                words[1] = target;
            }
            lines[0] = words.join(" ");
        }
        6 => {
            let method = *dice.pick(&["GET", "HEAD", "PUT", "CONNECT", "OPTIONS", "PRI", "post"]);
            let rest = lines[0].split_once(' ').map_or("", |(_, rest)| rest);
            lines[0] = format!("{method} {rest}");
        }
        7 => lines.push((*dice.pick(ODD_HEADERS)).to_owned()),
        _ => {
            let other = dice.roll(lines.len());
            lines.swap(at, other);
        }
    }
    [lines.join("\r\n").as_bytes(), b"\r\n\r\n", &body].concat()
}

const ODD_HEADERS: &[&str] = &[
    "host: evil.example",
    "content-length: 18446744073709551615",
    "content-length: 0",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding: chunked",
    "content-encoding: gzip",
    "content-type: text/plain",
    "expect: 100-continue",
    "upgrade: h2c",
    "connection: upgrade",
    "connection: close",
    "origin: http://evil.example",
    "mcp-session-id: ",
    "mcp-session-id: 0123456789abcdef",
    "mcp-protocol-version: 2026-07-28",
    "mcp-protocol-version: 1900-01-01",
    "mcp-method: tools/call",
    "mcp-name: =?base64?ZWNobw==?=",
    "last-event-id: 1-1",
    "last-event-id: \t",
    "authorization: Bearer nobody",
    " folded: line",
    "no colon",
    ": nameless",
];

/// The document is changed as a document: it is still JSON, but not the same.
fn structure(dice: &mut Dice, text: &[u8]) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(text) else {
        return bytes(dice, text.to_vec(), &[]);
    };
    for _ in 0..once_or_more(dice) {
        let mut places = 0;
        count(&document, &mut places);
        let mut at = dice.roll(places);
        change(dice, &mut document, &mut at);
    }
    let text = document.to_string();
    match dice.roll(12) {
        0 => format!("[{text}]"),
        1 => format!("{text}{text}"),
        2 => format!("{text}\n{text}"),
        // A key once more: two readers might read two things.
        3 if text.len() > 2 => {
            let again = *dice.pick(&[
                r#""method":"tools/call","#,
                r#""id":1,"#,
                r#""params":{"name":"add","arguments":{"a":1,"b":2}},"#,
                r#""Method":"ping","#,
            ]);
            format!("{{{again}{}", &text[1..])
        }
        _ => text,
    }
    .into_bytes()
}

fn count(value: &Value, places: &mut usize) {
    *places += 1;
    match value {
        Value::Array(items) => items.iter().for_each(|item| count(item, places)),
        Value::Object(members) => members.values().for_each(|item| count(item, places)),
        _ => {}
    }
}

fn change(dice: &mut Dice, value: &mut Value, at: &mut usize) {
    if *at == 0 {
        *at = usize::MAX;
        *value = changed(dice, value.take());
        return;
    }
    *at -= 1;
    match value {
        Value::Array(items) => {
            for item in items {
                change(dice, item, at);
                if *at == usize::MAX {
                    return;
                }
            }
        }
        Value::Object(members) => {
            for (_, item) in members.iter_mut() {
                change(dice, item, at);
                if *at == usize::MAX {
                    return;
                }
            }
        }
        _ => {}
    }
}

fn changed(dice: &mut Dice, value: Value) -> Value {
    match (dice.roll(6), value) {
        (0, Value::Object(mut members)) => {
            let keys: Vec<String> = members.keys().cloned().collect();
            if !keys.is_empty() {
                members.remove(dice.pick(&keys));
            }
            Value::Object(members)
        }
        (1, Value::Object(mut members)) => {
            let key = *dice.pick(&[
                "name",
                "NAME",
                "id",
                "method",
                "arguments",
                "_meta",
                "",
                "ｎame",
                "task",
                "taskId",
                "inputRequests",
                "inputResponses",
                "requestState",
                "Notifications",
                "resourceSubscriptions",
                "elicitations",
            ]);
            members.insert(key.to_owned(), odd(dice));
            Value::Object(members)
        }
        (2, Value::String(text)) => Value::String(format!("{text}{text}")),
        (3, Value::String(_)) => {
            let name = *dice.pick(&[
                "add",
                "ADD",
                "add\u{0}",
                "tools/call",
                "initialize",
                "ping",
                "notifications/cancelled",
                "server/discover",
                "tasks/get",
                "tasks/update",
                "notifications/tasks",
                "subscriptions/listen",
                "elicitation/create",
                "sampling/createMessage",
                "input_required",
                "\u{202e}dda",
            ]);
            json!(name)
        }
        (4, value) => json!([value]),
        _ => odd(dice),
    }
}

fn odd(dice: &mut Dice) -> Value {
    match dice.roll(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e308),
        4 => json!(u64::MAX),
        5 => json!(""),
        6 => json!("x".repeat(dice.roll(20_000))),
        7 => json!([]),
        8 => json!("\u{fdfa}".repeat(dice.roll(20_000))),
        9 => {
            let keys = 0..dice.roll(2_000);
            keys.map(|number| (format!("\u{fdfa}{number}"), json!(number)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        10 => {
            let mut deep = json!(0);
            for _ in 0..dice.roll(120) {
                deep = json!([deep]);
            }
            deep
        }
        _ => json!({}),
    }
}

//! Thousands of messages, each slightly wrong in its own way: whatever two
//! readers might take them for, a denied tool is never called, and nothing is
//! called without a record.

use crate::harness::*;
use provost_store::Decision;
use provost_testkit::tcp::{Scripted, Then};
use serde_json::{Value, json};

/// Numbers that come out the same in every run.
pub(crate) struct Dice {
    pub(crate) state: u64,
    pub(crate) messages: u64,
}

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % sides as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    /// Mostly the first, sometimes one of the others.
    pub(crate) fn mostly<'a>(&mut self, from: &[&'a str]) -> &'a str {
        if self.roll(12) > 0 {
            from[0]
        } else {
            self.pick(from)
        }
    }

    /// Mostly one, sometimes more.
    pub(crate) fn times(&mut self) -> usize {
        if self.roll(8) > 0 { 1 } else { 2 }
    }

    pub(crate) fn blank(&mut self) -> &'static str {
        match self.roll(100) {
            0 => self.pick(&["\u{a0}", "\u{feff}", "/**/", "\u{c}"]),
            _ => self.pick(&["", "", " ", "\n", "\r", "\r\n", "\t"]),
        }
    }

    pub(crate) fn tool(&mut self) -> &'static str {
        self.pick(&[
            r#""add""#,
            r#""echo""#,
            r#""echo""#,
            r#""\u0061dd""#,
            r#""ADD""#,
            r#""ａdd""#,
            r#""add ""#,
            r#""add\u0000""#,
            r#""a\u00addd""#,
            r#"["add"]"#,
            r#"{"name":"add"}"#,
            "null",
        ])
    }

    pub(crate) fn arguments(&mut self) -> String {
        let smuggled = call(9999, "add", r#"{"a":1,"b":2}"#);
        match self.roll(8) {
            0 => format!("{{\"x\":\n{smuggled}\n}}"),
            1 => format!("{{\"x\":\r{smuggled}\r}}"),
            2 => format!("\"}}\\n{}\\n\"", smuggled.replace('"', "\\\"")),
            3 => format!("{{\"text\":\"\n{}\n\"}}", smuggled.replace('"', "\\\"")),
            4 => r#"{"a":1,"a":2}"#.to_owned(),
            5 => "[]".to_owned(),
            _ => r#"{"text":"t"}"#.to_owned(),
        }
    }

    fn params(&mut self) -> String {
        let mut members = Vec::new();
        for _ in 0..self.times() {
            let key = self.mostly(&[
                "name",
                r"n\u0061me",
                "Name",
                "NAME",
                "ｎame",
                "tool",
                "_meta",
            ]);
            members.push(format!("\"{key}\":{}", self.tool()));
        }
        if self.roll(3) > 0 {
            let key = self.mostly(&[
                "arguments",
                "Arguments",
                r"\u0061rguments",
                "argument\u{17f}",
            ]);
            members.push(format!("\"{key}\":{}", self.arguments()));
        }
        self.object(members)
    }

    pub(crate) fn object(&mut self, mut members: Vec<String>) -> String {
        for at in (1..members.len()).rev() {
            let other = self.roll(at + 1);
            members.swap(at, other);
        }
        let mut text = String::from("{");
        for (number, member) in members.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            text += &format!("{comma}{}{member}{}", self.blank(), self.blank());
        }
        text + "}"
    }

    fn message(&mut self) -> String {
        self.messages += 1;
        let own = (100_000 + self.messages).to_string();
        let mut members = vec![format!(
            "\"jsonrpc\":{}",
            self.mostly(&[r#""2.0""#, r#""1.0""#, "2.0"])
        )];
        members.push(format!(
            "\"id\":{}",
            self.mostly(&[&own, "1", "\"x\"", "null", "1.0", "[1]"])
        ));
        let methods = [
            r#""tools/call""#,
            r#""tools\/call""#,
            r#""Tools/Call""#,
            r#""ping""#,
            r#""initialize""#,
            r#""tools/call ""#,
        ];
        let key = self.mostly(&["method", r"\u006dethod", "Method", "result"]);
        members.push(format!("\"{key}\":{}", self.mostly(&methods)));
        for _ in 0..self.times() {
            let key = self.mostly(&["params", "Params", "param\u{17f}", r"p\u0061rams"]);
            members.push(format!("\"{key}\":{}", self.params()));
        }
        if self.roll(12) == 0 {
            members.push(format!(
                "\"{}\":{}",
                self.pick(&["name", "extra", "method", "id"]),
                self.tool()
            ));
        }
        let text = self.object(members);
        match self.roll(40) {
            0 => format!("[{text}]"),
            1 => format!("{text}{text}"),
            2 => format!("\u{feff}{text}"),
            3 => format!("{text}\0"),
            4 => text.chars().take(self.roll(200)).collect(),
            _ => text,
        }
    }
}

async fn a_denied_tool_is_never_called(scene: Scene) {
    scene.agent.tools().await;
    let mut dice = Dice {
        state: 0x9e37_79b9_7f4a_7c15,
        messages: 0,
    };
    for turn in 0..3000 {
        if turn % 100 == 0 {
            // Over stdio nobody waits for each of them.
            scene.agent.request("ping", json!({})).await;
        }
        let message = dice.message();
        match scene.face {
            Face::Http => {
                let reply = scene
                    .agent
                    .as_http()
                    .post_raw(message.clone())
                    .await
                    .unwrap();
                assert!(
                    [200, 202, 400].contains(&reply.status),
                    "{}: {message}",
                    reply.status
                );
            }
            // A line feed would make two messages of it.
            Face::Stdio => {
                let line = message.replace('\n', " ");
                scene.agent.as_stdio().write(line).unwrap();
            }
        }
    }
    scene.honest_call_works().await;
    // What is neither, and looks like neither, is nobody's tool and may go.
    let arrived = scene.upstream.requests("tools/call");
    assert!(
        arrived.iter().all(|params| params["name"] != "add"),
        "{arrived:?}"
    );
    assert!(scene.upstream.calls().iter().all(|tool| tool != "add"));
    let allowed = |record: &provost_store::Record| record.decision == Decision::Allow;
    let records = scene.gate.records();
    let allowed = records.iter().filter(|record| allowed(record)).count();
    assert_eq!(arrived.len(), allowed, "each call has its record");
    assert!(
        allowed > 50 && records.len() > 2000,
        "{allowed} of {}",
        records.len()
    );
    assert!(scene.upstream.events_of("nonsense").is_empty());
    let again: Value = json!(scene.upstream.requests("initialize").len());
    assert_eq!(again, 1);
}
everywhere!(
    a_denied_tool_is_never_called,
    tools(json!({"add": {"action": "deny"}}))
);

/// An answer with some bytes taken out, put in, doubled or changed.
fn damaged(dice: &mut Dice) -> Vec<u8> {
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"caf\u00e9"}],"_meta":{"dev.provost/decision":{"decision":"allow"},"kept":[1,2.5e3,null]}}}"#;
    let mut bytes = answer.as_bytes().to_vec();
    for _ in 0..dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(5) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, b"\"{}[],:0\n\\\xff"[dice.roll(11)]),
            2 => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            3 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[tokio::test]
async fn a_damaged_answer_is_an_answer_or_a_failure() {
    let mut dice = Dice {
        state: 0x2545_f491_4f6c_dd1d,
        messages: 0,
    };
    let bodies: Vec<Vec<u8>> = (0..600).map(|_| damaged(&mut dice)).collect();
    let wire = |body: &Vec<u8>| {
        let kind =
            ["application/json", "text/event-stream"][usize::from(body.len().is_multiple_of(7))];
        let body = match kind {
            "application/json" => body.clone(),
            _ => [b"data: ", body.as_slice(), b"\n\n"].concat(),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        [head.into_bytes(), body].concat()
    };
    let scripted = Scripted::start(bodies.iter().map(wire).collect(), Then::Close);
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.gate.move_server("fixture", &scripted.url());
    let mut passed = 0;
    for body in &bodies {
        let reply = scene
            .agent
            .as_http()
            .post_raw(call(7, "echo", "{}"))
            .await
            .unwrap();
        let shown = String::from_utf8_lossy(body);
        assert!(
            [200, 502].contains(&reply.status),
            "{}: {shown}",
            reply.status
        );
        let message = reply.message();
        assert_eq!(message["id"], 7, "{shown}");
        let mark = message["result"]["_meta"].get(DECISION);
        assert_eq!(mark, None, "{shown}");
        passed += usize::from(message.get("result").is_some());
    }
    assert!(passed > 100 && passed < 550, "{passed}");
    assert_eq!(scene.gate.records().len(), 600);
    let ended = |line: &String| !line.ends_with("unknown");
    assert!(scene.gate.history().iter().all(ended));
}

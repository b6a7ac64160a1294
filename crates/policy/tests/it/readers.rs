//! Numbers as other programs read them: when a comparison is answered, every
//! reader agrees with the answer.
//!
//! JavaScript (`JSON.parse`) reads doubles. Python (`json.loads`) reads whole
//! numbers exactly and the rest as doubles. Go's `encoding/json` reads
//! `float64`, rounded to the nearest as here by `f64`; asked for `json.Number`
//! it keeps the text, from which `big.Rat` makes the exact number. `serde_json`
//! reads `u64`, `i64`, or a double that is a little off when there are many
//! digits. A reader that refuses a number does not disagree about it.

use std::cmp::Ordering;
use std::io::Write;
use std::process::{Command, Stdio};

use provost_policy::json::{self, Bounds};
use provost_policy::{Call, Caller, Enforced, Policy, Text, Verdict, judge};

/// What a reader makes of two numbers; none when it refuses one of them.
type Read = Option<Ordering>;

/// Numbers of all kinds, many of them close to each other, always the same.
struct Generated(u64);

// === impl Generated ===

impl Generated {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn digits(&mut self, count: u64) -> String {
        (0..count)
            .map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap()))
            .collect()
    }

    fn number(&mut self) -> String {
        const KNOWN: [&str; 14] = [
            "0",
            "1",
            "100",
            "19.99",
            "0.1",
            "0.3",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551615",
            "1e22",
            "1e23",
            "5e-324",
            "1.7976931348623157e308",
            "0.30000000000000004",
        ];
        let whole = match self.below(5) {
            0 => return (*KNOWN.get(usize::try_from(self.below(14)).unwrap()).unwrap()).to_owned(),
            1 => "0".to_owned(),
            _ => {
                let length = self.below(20);
                format!("{}{}", 1 + self.below(9), self.digits(length))
            }
        };
        let sign = if self.below(6) == 0 { "-" } else { "" };
        let fraction = match self.below(3) {
            0 => String::new(),
            _ => {
                let length = 1 + self.below(22);
                format!(".{}", self.digits(length))
            }
        };
        let exponent = match self.below(8) {
            0 => format!("e{}", self.below(40)),
            1 => format!("E-{}", self.below(40)),
            2 => format!("e{}", self.below(700)),
            3 => format!("e-{}", self.below(700)),
            _ => String::new(),
        };
        format!("{sign}{whole}{fraction}{exponent}")
    }

    /// The same number written otherwise, or one close to it.
    fn close_to(&mut self, number: &str) -> String {
        let (digits, exponent) = match number.find(['e', 'E']) {
            Some(at) => number.split_at(at),
            None => (number, ""),
        };
        let dotted = if digits.contains('.') {
            digits.to_owned()
        } else {
            format!("{digits}.0")
        };
        match self.below(5) {
            0 => number.to_owned(),
            1 => format!(
                "{dotted}{}{exponent}",
                "0".repeat(usize::try_from(self.below(20)).unwrap())
            ),
            2 => {
                let more = 1 + self.below(20);
                format!("{dotted}{}{exponent}", self.digits(more))
            }
            _ => {
                let mut changed: Vec<u8> = dotted.bytes().collect();
                let last = changed.len() - 1;
                let back = usize::try_from(self.below(6)).unwrap().min(last);
                let digit = changed.get_mut(last - back).unwrap();
                // A first digit of zero would be no number.
                if digit.is_ascii_digit() && last - back > 1 {
                    *digit = b'0' + (*digit - b'0' + 1) % 10;
                }
                format!("{}{exponent}", String::from_utf8(changed).unwrap())
            }
        }
    }
}

fn pairs() -> Vec<(String, String)> {
    let mut generated = Generated(0x2545_F491_4F6C_DD1D);
    (0..1200)
        .map(|_| {
            let left = generated.number();
            let right = match generated.below(3) {
                0 => generated.number(),
                _ => generated.close_to(&left),
            };
            (left, right)
        })
        .collect()
}

/// Runs a program that reads pairs, one a line, and says `<`, `=`, `>` or `?`
/// for each; none when the program is not installed.
#[expect(
    clippy::disallowed_methods,
    reason = "the readers that are compared with are other programs"
)]
fn ask(program: &str, arguments: &[&str], pairs: &[(String, String)]) -> Option<Vec<Read>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let lines: String = pairs
        .iter()
        .map(|(left, right)| format!("{left} {right}\n"))
        .collect();
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let answers: Vec<Read> = String::from_utf8(output.stdout)
        .unwrap()
        .chars()
        .filter_map(|sign| match sign {
            '<' => Some(Some(Ordering::Less)),
            '=' => Some(Some(Ordering::Equal)),
            '>' => Some(Some(Ordering::Greater)),
            '?' => Some(None),
            _ => None,
        })
        .collect();
    assert_eq!(answers.len(), pairs.len(), "{program} answered otherwise");
    Some(answers)
}

const JAVASCRIPT: &str = r"
const lines = require('fs').readFileSync(0, 'utf8').trim().split('\n');
const read = (l) => { const [a, b] = l.split(' ').map((t) => JSON.parse(t)); return a < b ? '<' : a > b ? '>' : '='; };
console.log(lines.map(read).join(''));
";

const PYTHON: &str = r"
import json, sys
def sign(a, b): return '<' if a < b else '>' if a > b else '='
print(''.join(sign(*[json.loads(t) for t in l.split()]) for l in sys.stdin))
";

const EXACT: &str = r"
import sys
from fractions import Fraction
def sign(a, b): return '<' if a < b else '>' if a > b else '='
print(''.join(sign(*[Fraction(t) for t in l.split()]) for l in sys.stdin))
";

fn nearest((left, right): &(String, String)) -> Read {
    let read = |text: &str| text.parse::<f64>().ok();
    read(left)?.partial_cmp(&read(right)?)
}

fn serde((left, right): &(String, String)) -> Read {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let (left, right) = (read(left)?, read(right)?);
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

trait AsI128 {
    fn as_i128(&self) -> Option<i128>;
}

impl AsI128 for serde_json::Value {
    fn as_i128(&self) -> Option<i128> {
        let signed = self.as_i64().map(i128::from);
        signed.or_else(|| self.as_u64().map(i128::from))
    }
}

/// A policy that wants one number to compare so with another.
fn policy(operator: &str, right: &str) -> Policy {
    let value = match operator {
        "in" | "not_in" => format!("[{right}]"),
        _ => right.to_owned(),
    };
    let text = format!(
        r#"{{"version":"1","default":"deny","tools":{{"t":{{"require":[{{"conditions":[{{"path":"args.n","op":"{operator}","value":{value}}}]}}]}}}}}}"#
    );
    Policy::parse(&text).unwrap()
}

/// What it says: yes, no, or none when it cannot tell.
fn ours(policy: &Policy, left: &str) -> Option<bool> {
    let arguments = format!(r#"{{"n":{left}}}"#);
    let document = json::read(arguments.as_bytes(), Bounds::default()).unwrap();
    let name = Text::fixed("x");
    let enforced = Enforced {
        policy,
        name: &name,
        version: 1,
        grant: &name,
        server: &name,
    };
    let call = Call {
        method: "tools/call",
        tool: Some("t"),
        arguments: Some(document.root()),
    };
    let caller = Caller {
        grant: name.clone(),
        server: name.clone(),
        session: None,
    };
    match judge(&[enforced], &call, &caller) {
        Verdict::Allow(_) => Some(true),
        Verdict::Deny(no) if no.message.contains("cannot be checked") => None,
        Verdict::Deny(_) => Some(false),
        Verdict::Ask(_) => panic!("nobody is asked"),
    }
}

#[test]
fn d86_every_reader_agrees_with_every_answer() {
    let pairs = pairs();
    let mut readers: Vec<(&str, Vec<Read>)> = vec![
        ("Go, float64", pairs.iter().map(nearest).collect()),
        ("serde", pairs.iter().map(serde).collect()),
    ];
    for (name, program, arguments) in [
        ("JavaScript", "node", ["-e", JAVASCRIPT]),
        ("Python", "python3", ["-c", PYTHON]),
        ("Go, json.Number as big.Rat", "python3", ["-c", EXACT]),
    ] {
        match ask(program, &arguments, &pairs) {
            Some(answers) => readers.push((name, answers)),
            None => eprintln!("{program} is not installed, so {name} was not asked"),
        }
    }
    type Holds = fn(Ordering) -> bool;
    let operators: [(&str, Holds); 8] = [
        ("eq", Ordering::is_eq),
        ("neq", Ordering::is_ne),
        ("in", Ordering::is_eq),
        ("not_in", Ordering::is_ne),
        ("lt", Ordering::is_lt),
        ("lte", Ordering::is_le),
        ("gt", Ordering::is_gt),
        ("gte", Ordering::is_ge),
    ];
    let (mut told, mut untold) = (0, 0);
    for (index, (left, right)) in pairs.iter().enumerate() {
        for (operator, holds) in operators {
            let policy = policy(operator, right);
            for left in [left.clone(), format!("\"{left}\"")] {
                let Some(answer) = ours(&policy, &left) else {
                    untold += 1;
                    continue;
                };
                told += 1;
                for (name, answers) in &readers {
                    let theirs = answers.get(index).copied().flatten().map(holds);
                    assert!(
                        theirs.is_none_or(|theirs| theirs == answer),
                        "{left} {operator} {right}: we say {answer}, {name} does not"
                    );
                }
            }
        }
    }
    // It is told wherever it can be.
    assert!(told > 2 * untold, "{told} told, {untold} not");
    assert!(untold > 400, "{untold}");
}

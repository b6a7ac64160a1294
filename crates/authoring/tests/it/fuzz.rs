//! Mutated policies and calls: no panic, no disagreement, no long wait.
//!
//! Runs on stable Rust and without an environment; `examples/fuzz.rs` runs the
//! same for as long as one likes.

use std::time::{Duration, Instant};

use provost_authoring::explain::{Decision, explain};
use provost_authoring::{Offer, to_json, warnings};
use provost_policy::json::{self, Bounds, Folder};
use provost_policy::{Call, Caller, Enforced, Policy, Text, Verdict, judge};

/// What mutations begin with.
const POLICIES: &[&str] = &[
    include_str!("../../../../examples/policies/approvals.json"),
    include_str!("../../../../examples/policies/fetch-allowlist.json"),
    include_str!("../../../../examples/policies/filesystem-sandbox.json"),
    include_str!("../../../../examples/policies/git-review.json"),
    include_str!("../../../../examples/policies/payments.json"),
    include_str!("../../../../examples/policies/shell.json"),
    include_str!("../../../../examples/policies/spawn.json"),
    include_str!("../../../../examples/policies/spend.json"),
];

const CALLS: &[(&str, &str)] = &[
    (
        "vm_bulk_create",
        r#"{"count":3,"machines":[{"type":"small"},{"type":"huge"}]}"#,
    ),
    ("fetch", r#"{"url":"https://docs.rs/regex/latest?x=1#y"}"#),
    (
        "read_multiple_files",
        r#"{"paths":["/srv/work/a","/srv/docs/b/../c"]}"#,
    ),
    (
        "git_checkout",
        r#"{"repo_path":"/srv/work/a","branch_name":"review/x"}"#,
    ),
    (
        "refund",
        r#"{"amount":100.000000001,"currency":"EUR","reason":"\u0062roken"}"#,
    ),
    (
        "run_command",
        r#"{"command":"git log -n5 --oneline","cwd":"/srv/work"}"#,
    ),
    (
        "spawn",
        r#"{"role":"manager","workDir":"/srv/work","context":"do \"it\""}"#,
    ),
    (
        "create_refund",
        r#"{"amount":1e2,"currency":"USD","reason":"x"}"#,
    ),
];

/// Pieces that mean something to the reader, the language or an operator.
const SPICE: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-",
    "0",
    "1e400",
    "1E-400",
    "\\u0000",
    "\\ud800",
    "\\u0061",
    "\u{0}",
    "\n",
    " ",
    "\u{feff}",
    "é",
    "ſ",
    "\u{200b}",
    "*",
    "**",
    "[*]",
    "[0]",
    "args.",
    "args.a[*].b",
    "..",
    "/",
    "%2e",
    "~",
    "~1",
    "@",
    "127.1",
    "[::1]",
    "http://",
    ";",
    "$(",
    "`",
    "\"op\"",
    "\"regex\"",
    "\"under\"",
    "\"value\"",
    "(a|b)*",
    "(",
    "{1000}",
    "\\\\d",
    "\"*\"",
    "\"tools\"",
    "\"limits\"",
    "\"window\"",
    "31d",
    "9s",
    "\"hide\":[\"*x\"],",
    "\"deny_if\":[{\"conditions\":[]}],",
    "\"max\":0.1,",
    "\"scope\":\"session\",",
];

/// A source of mutations that depends on nothing but its seed.
pub(crate) struct Fuzzer {
    state: u64,
}

impl Fuzzer {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    pub(crate) fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.round();
        }
    }

    pub(crate) fn round(&mut self) {
        let policy = self.pick(POLICIES);
        let policy = self.mutated(policy, POLICIES[0]);
        let (tool, arguments) = self.pick(CALLS);
        let arguments = self.mutated(arguments, POLICIES[1]);
        let tool = if self.one_in(4) {
            self.mutated(tool, "*_push")
        } else {
            tool.into()
        };
        let start = Instant::now();
        check_json(&policy);
        check_json(&arguments);
        let tool = String::from_utf8_lossy(&tool).into_owned();
        let policy = String::from_utf8_lossy(&policy).into_owned();
        check_policy(&policy, &tool, &arguments);
        check_policy(self.pick(POLICIES), &tool, &arguments);
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(20),
            "{took:?} for\n{policy}\n{}",
            String::from_utf8_lossy(&arguments)
        );
    }

    /// A few small changes; one time in eight none.
    fn mutated(&mut self, text: &str, other: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        for _ in 0..self.below(8) {
            let at = self.below(text.len() + 1);
            let end = (at + self.below(30)).min(text.len());
            match self.below(7) {
                0 => drop(text.drain(at..end)),
                1 | 2 => drop(text.splice(at..at, self.pick(SPICE).bytes())),
                3 => drop(text.splice(at..end, self.pick(SPICE).bytes())),
                4 => {
                    let piece = text[at..end].to_vec();
                    let to = self.below(text.len() + 1);
                    text.splice(to..to, piece);
                }
                5 => {
                    let from = self.below(other.len());
                    let to = (from + self.below(60)).min(other.len());
                    text.splice(at..at, other.as_bytes()[from..to].iter().copied());
                }
                _ => {
                    if let Some(byte) = text.get_mut(at) {
                        *byte = self.state as u8;
                    }
                }
            }
        }
        text
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*: small, and good enough to wander about.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

/// What we take, `serde_json` takes, except for numbers it has no room for.
fn check_json(text: &[u8]) {
    let Ok(document) = json::read(text, Bounds::default()) else {
        return;
    };
    assert_eq!(
        document.root().raw(),
        document.text().trim_matches([' ', '\t', '\n', '\r'])
    );
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(text) {
        assert!(
            error.to_string().contains("number out of range"),
            "{error}: {}",
            document.text()
        );
    }
}

fn check_policy(text: &str, tool: &str, arguments: &[u8]) {
    if let Some(policy) = check_document(text, tool) {
        check_call(&policy, tool, arguments);
    }
}

fn check_document(text: &str, tool: &str) -> Option<Policy> {
    let policy = match Policy::parse(text) {
        Ok(policy) => policy,
        Err(found) => {
            assert!(!found.is_empty());
            for diagnostic in found {
                assert!(
                    diagnostic.line as usize <= text.lines().count() + 1,
                    "{diagnostic}"
                );
            }
            return None;
        }
    };
    let printed = to_json(&policy);
    let again = Policy::parse(&printed).unwrap_or_else(|found| panic!("{found:?}\n{printed}"));
    assert_eq!(again, policy);
    assert_eq!(to_json(&again), printed);
    let offer = Offer::read(&serde_json::json!([
        {"name": "spawn", "inputSchema": {"properties": {"role": {}}}},
        {"name": tool, "inputSchema": {"properties": {}}},
    ]));
    for warning in warnings(&policy, offer.as_ref()) {
        assert!(!warning.to_string().is_empty());
    }
    Some(policy)
}

fn check_call(policy: &Policy, tool: &str, arguments: &[u8]) {
    let Ok(document) = json::read(arguments, Bounds::default()) else {
        return;
    };
    let id = Text::fixed("g");
    let enforced = Enforced {
        policy,
        name: &id,
        version: 1,
        grant: &id,
        server: &id,
    };
    let call = Call {
        method: "tools/call",
        tool: Some(tool),
        arguments: Some(document.root()),
    };
    let caller = Caller {
        grant: id.clone(),
        server: id.clone(),
        session: None,
    };
    let explanation = explain(&[enforced], &call, &caller);
    let decision = match judge(&[enforced], &call, &caller) {
        Verdict::Allow(_) => Decision::Allow,
        Verdict::Ask(_) => Decision::Ask,
        Verdict::Deny(_) => Decision::Deny,
    };
    assert_eq!(explanation.decision, decision);
    assert!(
        policy.tool_listed(tool, &mut Folder::default()) || decision == Decision::Deny,
        "{tool} is not listed and not denied"
    );
}

/// Texts that cost a careless reader quadratic or exponential time.
pub(crate) fn long_texts() {
    let n = 5_000;
    let with_tool =
        |tool: &str| format!(r#"{{"version":"1","default":"deny","tools":{{"t":{tool}}}}}"#);
    let policies = [
        with_tool(&format!(
            r#"{{"deny_if":[{}0]}}"#,
            r#"{"conditions":[]},"#.repeat(n)
        )),
        with_tool(&format!(r#"{{"reason":"{}"}}"#, "\\u0061".repeat(n))),
        with_tool(&format!(r#"{{"{}":1}}"#, "limits".repeat(n))),
        format!(
            r#"{{"version":"1","default":"deny","tools":{{{}"z":{{}}}}}}"#,
            (0..n)
                .map(|i| format!(r#""t{i}":{{"rate_limit":{{"max":1,"window":1}}}},"#))
                .collect::<String>()
        ),
        format!(
            r#"{{"version":"1","default":"deny","tools":{{{}"z":{{}}}}}}"#,
            (0..250)
                .map(|i| format!(r#""*{i:03}{}*":{{}},"#, "a*".repeat(60)))
                .collect::<String>()
        ),
        format!(
            r#"{{"version":"1","default":"deny","hide":[{}"z"]}}"#,
            (0..n).map(|i| format!(r#""h{i}*","#)).collect::<String>()
        ),
        format!(
            r#"{{"version":"1","default":"deny","tools":{{{}"z":{{}}}}}}"#,
            r#""a":{"#.repeat(n)
        ),
    ];
    let list = |element: &str| {
        format!(
            r#"{{"paths":[{}"/srv/work"],"a":1}}"#,
            format!("{element},").repeat(n)
        )
    };
    let calls = [
        ("t", list("\"/srv/work/x\"")),
        ("read_multiple_files", list("\"/srv/work/x\"")),
        ("read_multiple_files", list("[]")),
        (
            "read_file",
            format!(r#"{{"path":"/srv/work/{}"}}"#, "./a".repeat(n)),
        ),
        (
            "read_file",
            format!(r#"{{"path":"/srv/work/{}"}}"#, "\\u002e\\u002e/".repeat(n)),
        ),
        (
            "run_command",
            format!(
                r#"{{"cwd":"/srv/work","command":"git log {}"}}"#,
                "-a ".repeat(n)
            ),
        ),
        (
            "fetch",
            format!(r#"{{"url":"https://{}docs.rs/"}}"#, "a.".repeat(n)),
        ),
        (
            "refund",
            format!(
                r#"{{"amount":1{},"currency":"EUR","reason":1}}"#,
                "0".repeat(n)
            ),
        ),
        (
            "refund",
            format!(
                r#"{{"amount":1.{}1e{n},"currency":"EUR","reason":1}}"#,
                "0".repeat(n)
            ),
        ),
        (
            "spawn",
            format!(
                "{{{}\"z\":0}}",
                (0..n).map(|i| format!("\"K{i}\":0,")).collect::<String>()
            ),
        ),
    ];
    for text in policies {
        within_a_minute(&text, || check_policy(&text, "t", br#"{"a":1}"#));
    }
    for text in POLICIES {
        let policy = Policy::parse(text).unwrap();
        for (tool, arguments) in &calls {
            within_a_minute(arguments, || {
                check_call(&policy, tool, arguments.as_bytes())
            });
        }
        check_call(&policy, &"git_diff".repeat(n), b"{}");
    }
}

/// Far above what linear time takes on a busy machine.
fn within_a_minute(what: &str, check: impl FnOnce()) {
    let start = Instant::now();
    check();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?} for\n{what:.300}");
}

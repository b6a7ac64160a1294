//! Reads a file of cases; every mistake comes back at once, with its line.

use crate::explain::Decision;
use crate::yaml::{self, Content, Node, Place};

use provost_policy::duration::{self, Unit};

use super::CaseError;

/// Cases that share counters.
pub(super) struct Suite {
    pub(super) name: Option<String>,
    pub(super) cases: Vec<Case>,
}

/// One case.
pub(super) struct Case {
    pub(super) line: u32,
    pub(super) name: Option<String>,
    /// Microseconds since the suite began; `None`: when the last call happened.
    pub(super) at: Option<u64>,
    pub(super) target: Target,
    /// The arguments as JSON.
    pub(super) args: Option<String>,
    pub(super) times: u64,
    pub(super) every: u64,
    pub(super) grant: String,
    pub(super) session: Option<String>,
    pub(super) lasts: u64,
    pub(super) outcome: Outcome,
    pub(super) approved: Approved,
    pub(super) expect: Decision,
    pub(super) rule: Option<String>,
    pub(super) message: Option<String>,
    /// In milliseconds.
    pub(super) retry_after: Option<u64>,
}

/// What is called.
pub(super) enum Target {
    Tool(String),
    Method(String),
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Failed,
    NotSent,
}

/// What a person says when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approved {
    No,
    Yes,
}

/// What may stand in a case.
pub const KEYS: &[&str] = &[
    "name",
    "at",
    "tool",
    "method",
    "args",
    "times",
    "every",
    "grant",
    "session",
    "lasts",
    "outcome",
    "approved",
    "expect",
    "rule",
    "message",
    "retry_after",
];
/// More repetitions than a limit needs to be tested with.
const MOST_TIMES: u64 = 100_000;
/// The units of a length of time.
const UNITS: &[Unit] = &[
    Unit::Day,
    Unit::Hour,
    Unit::Minute,
    Unit::Second,
    Unit::Millisecond,
];
/// Longer than any test needs, and far from overflowing.
const LONGEST: u64 = 10 * 366 * Unit::Day.micros();
const DURATION_HINT: &str = "such as `0s`, `61s`, `2m30s`, `1h` or `500ms`";

/// Reads a file.
pub(super) fn suites(text: &str) -> Result<Vec<Suite>, Vec<CaseError>> {
    let root = yaml::read(text).map_err(|error| {
        let Place { line, column } = error.place;
        vec![CaseError {
            line,
            column,
            message: error.message,
            hint: None,
        }]
    })?;
    let mut reader = Reader { errors: Vec::new() };
    let suites = reader.root(&root);
    let mut errors = reader.errors;
    errors.sort_by_key(|error| (error.line, error.column));
    if errors.is_empty() {
        Ok(suites)
    } else {
        Err(errors)
    }
}

struct Reader {
    errors: Vec<CaseError>,
}

// === impl Reader ===

impl Reader {
    fn root(&mut self, root: &Node) -> Vec<Suite> {
        self.check_keys(root, &["cases", "suites"]);
        match (root.member("cases"), root.member("suites")) {
            (Some(cases), None) => vec![Suite {
                name: None,
                cases: self.cases(cases),
            }],
            (None, Some(suites)) => self
                .elements(suites)
                .iter()
                .map(|suite| self.suite(suite))
                .collect(),
            (None, None) | (Some(_), Some(_)) => {
                self.error(root.place, "there must be either `cases` or `suites`", None);
                Vec::new()
            }
        }
    }

    fn suite(&mut self, node: &Node) -> Suite {
        self.check_keys(node, &["name", "cases"]);
        let cases = self.required(node, "cases").map(|cases| self.cases(cases));
        Suite {
            name: self.text(node, "name"),
            cases: cases.unwrap_or_default(),
        }
    }

    fn cases(&mut self, node: &Node) -> Vec<Case> {
        let elements = self.elements(node);
        if elements.is_empty() {
            self.error(node.place, "there must be at least one case", None);
        }
        let mut latest = 0;
        let mut cases = Vec::new();
        for element in elements {
            let case = self.case(element);
            if let Some(at) = case.at {
                if at < latest {
                    let message = format!(
                        "`at` goes back: the case before is at `{}`",
                        duration::display(latest)
                    );
                    self.error(element.place, &message, None);
                }
                latest = latest.max(at);
            }
            latest = latest.saturating_add(case.every.saturating_mul(case.times - 1));
            cases.push(case);
        }
        cases
    }

    fn case(&mut self, node: &Node) -> Case {
        self.check_keys(node, KEYS);
        Case {
            line: node.place.line,
            name: self.text(node, "name"),
            at: self.duration(node, "at"),
            target: self.target(node),
            args: self.args(node),
            times: self.times(node),
            every: self.duration(node, "every").unwrap_or(0),
            grant: self
                .text(node, "grant")
                .unwrap_or_else(|| "grant".to_owned()),
            session: self.text(node, "session"),
            lasts: self.duration(node, "lasts").unwrap_or(0),
            outcome: self.outcome(node),
            approved: self.approved(node),
            expect: self.expect(node),
            rule: self.text(node, "rule"),
            message: self.text(node, "message"),
            retry_after: self
                .duration(node, "retry_after")
                .map(|micros| micros / 1_000),
        }
    }

    fn target(&mut self, case: &Node) -> Target {
        match (self.text(case, "tool"), self.text(case, "method")) {
            (Some(tool), None) => Target::Tool(tool),
            (None, Some(method)) if method == "tools/call" => {
                let hint = "write `tool: name`";
                self.error(
                    case.place_of("method"),
                    "`tools/call` needs a tool",
                    Some(hint),
                );
                Target::Method(method)
            }
            (None, Some(method)) => Target::Method(method),
            (tool, method) => {
                let message = "a case needs either `tool` or `method`";
                self.error(case.place, message, None);
                Target::Method(tool.or(method).unwrap_or_default())
            }
        }
    }

    fn args(&mut self, case: &Node) -> Option<String> {
        let node = case.member("args")?;
        if !matches!(node.content, Content::Map(_)) {
            self.error(
                node.place,
                &format!("`args` must be a map, not {}", node.what()),
                None,
            );
        }
        Some(node.to_literal().to_line())
    }

    fn times(&mut self, case: &Node) -> u64 {
        let Some(node) = case.member("times") else {
            return 1;
        };
        let times = match &node.content {
            Content::Number(number) => number.parse().ok(),
            _ => None,
        };
        times
            .filter(|times| (1..=MOST_TIMES).contains(times))
            .unwrap_or_else(|| {
                let message = format!("`times` must be a whole number from 1 to {MOST_TIMES}");
                self.error(node.place, &message, None);
                1
            })
    }

    fn expect(&mut self, case: &Node) -> Decision {
        self.required(case, "expect");
        let words = [
            ("allow", Decision::Allow),
            ("deny", Decision::Deny),
            ("ask", Decision::Ask),
        ];
        self.one_of(case, "expect", &words)
            .unwrap_or(Decision::Allow)
    }

    fn outcome(&mut self, case: &Node) -> Outcome {
        let words = [
            ("ok", Outcome::Ok),
            ("failed", Outcome::Failed),
            ("not_sent", Outcome::NotSent),
        ];
        self.one_of(case, "outcome", &words).unwrap_or(Outcome::Ok)
    }

    fn approved(&mut self, case: &Node) -> Approved {
        let words = [("true", Approved::Yes), ("false", Approved::No)];
        let approved = self.one_of(case, "approved", &words);
        if approved.is_some() && self.text(case, "expect").as_deref() != Some("ask") {
            let place = case.place_of("approved");
            self.error(place, "`approved` stands only beside `expect: ask`", None);
        }
        approved.unwrap_or(Approved::No)
    }

    fn one_of<T: Copy>(&mut self, case: &Node, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(case, name)?;
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("unknown `{name}: {text}`");
            let hint = format!("one of {}", known.join(", "));
            self.error(case.place_of(name), &message, Some(&hint));
        }
        found
    }

    fn duration(&mut self, case: &Node, name: &str) -> Option<u64> {
        let text = self.text(case, name)?;
        let micros = duration::parse_sum(&text, UNITS).filter(|micros| *micros <= LONGEST);
        if micros.is_none() {
            let message = format!("`{name}: {text}` is not a length of time");
            self.error(case.place_of(name), &message, Some(DURATION_HINT));
        }
        micros
    }

    fn text(&mut self, case: &Node, name: &str) -> Option<String> {
        let node = case.member(name)?;
        let text = node.as_text();
        // The same member may be read twice; its mistake is told once.
        let known =
            |error: &CaseError| (error.line, error.column) == (node.place.line, node.place.column);
        if text.is_none() && !self.errors.iter().any(known) {
            let message = format!("`{name}` must be text, not {}", node.what());
            self.error(node.place, &message, None);
        }
        text.map(str::to_owned)
    }

    fn required<'a>(&mut self, case: &'a Node, name: &str) -> Option<&'a Node> {
        let node = case.member(name);
        if node.is_none() {
            self.error(case.place, &format!("`{name}` is missing"), None);
        }
        node
    }

    fn check_keys(&mut self, node: &Node, known: &[&str]) {
        let Content::Map(members) = &node.content else {
            self.error(
                node.place,
                &format!("must be a map, not {}", node.what()),
                None,
            );
            return;
        };
        for (key, _) in members
            .iter()
            .filter(|(key, _)| !known.contains(&key.name.as_str()))
        {
            let hint = format!("known ones are {}", known.join(", "));
            self.error(
                key.place,
                &format!("unknown key `{}`", key.name),
                Some(&hint),
            );
        }
    }

    fn elements<'a>(&mut self, node: &'a Node) -> &'a [Node] {
        let Content::List(elements) = &node.content else {
            self.error(
                node.place,
                &format!("must be a list, not {}", node.what()),
                None,
            );
            return &[];
        };
        elements
    }

    fn error(&mut self, place: Place, message: &str, hint: Option<&str>) {
        self.errors.push(CaseError {
            line: place.line,
            column: place.column,
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        });
    }
}

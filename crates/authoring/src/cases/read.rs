//! Reads a file of cases; every mistake comes back at once, with its line.

use crate::yaml::{self, Content, Key, Node, Place};

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
    pub(super) expect: Expect,
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

/// The decision expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Allow,
    Deny,
    Ask,
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

/// The members of one map.
#[derive(Clone, Copy)]
struct Fields<'a> {
    place: Place,
    members: &'a [(Key, Node)],
}

// === impl Reader ===

impl Reader {
    fn root(&mut self, root: &Node) -> Vec<Suite> {
        let fields = self.fields(root, &["cases", "suites"]);
        match (fields.get("cases"), fields.get("suites")) {
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
        let fields = self.fields(node, &["name", "cases"]);
        let cases = self
            .required(fields, "cases")
            .map(|cases| self.cases(cases));
        Suite {
            name: self.text(fields, "name"),
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
        let fields = self.fields(node, KEYS);
        Case {
            line: node.place.line,
            name: self.text(fields, "name"),
            at: self.duration(fields, "at"),
            target: self.target(fields),
            args: self.args(fields),
            times: self.times(fields),
            every: self.duration(fields, "every").unwrap_or(0),
            grant: self
                .text(fields, "grant")
                .unwrap_or_else(|| "grant".to_owned()),
            session: self.text(fields, "session"),
            lasts: self.duration(fields, "lasts").unwrap_or(0),
            outcome: self.outcome(fields),
            approved: self.approved(fields),
            expect: self.expect(fields),
            rule: self.text(fields, "rule"),
            message: self.text(fields, "message"),
            retry_after: self
                .duration(fields, "retry_after")
                .map(|micros| micros / 1_000),
        }
    }

    fn target(&mut self, fields: Fields<'_>) -> Target {
        match (self.text(fields, "tool"), self.text(fields, "method")) {
            (Some(tool), None) => Target::Tool(tool),
            (None, Some(method)) if method == "tools/call" => {
                let hint = "write `tool: name`";
                self.error(
                    fields.place_of("method"),
                    "`tools/call` needs a tool",
                    Some(hint),
                );
                Target::Method(method)
            }
            (None, Some(method)) => Target::Method(method),
            (tool, method) => {
                let message = "a case needs either `tool` or `method`";
                self.error(fields.place, message, None);
                Target::Method(tool.or(method).unwrap_or_default())
            }
        }
    }

    fn args(&mut self, fields: Fields<'_>) -> Option<String> {
        let node = fields.get("args")?;
        if !matches!(node.content, Content::Map(_)) {
            self.error(
                node.place,
                &format!("`args` must be a map, not {}", node.what()),
                None,
            );
        }
        Some(node.to_literal().to_line())
    }

    fn times(&mut self, fields: Fields<'_>) -> u64 {
        let Some(node) = fields.get("times") else {
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

    fn expect(&mut self, fields: Fields<'_>) -> Expect {
        self.required(fields, "expect");
        let words = [
            ("allow", Expect::Allow),
            ("deny", Expect::Deny),
            ("ask", Expect::Ask),
        ];
        self.one_of(fields, "expect", &words)
            .unwrap_or(Expect::Allow)
    }

    fn outcome(&mut self, fields: Fields<'_>) -> Outcome {
        let words = [
            ("ok", Outcome::Ok),
            ("failed", Outcome::Failed),
            ("not_sent", Outcome::NotSent),
        ];
        self.one_of(fields, "outcome", &words)
            .unwrap_or(Outcome::Ok)
    }

    fn approved(&mut self, fields: Fields<'_>) -> Approved {
        let words = [("true", Approved::Yes), ("false", Approved::No)];
        let approved = self.one_of(fields, "approved", &words);
        if approved.is_some() && self.text(fields, "expect").as_deref() != Some("ask") {
            let place = fields.place_of("approved");
            self.error(place, "`approved` stands only beside `expect: ask`", None);
        }
        approved.unwrap_or(Approved::No)
    }

    fn one_of<T: Copy>(
        &mut self,
        fields: Fields<'_>,
        name: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(fields, name)?;
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("unknown `{name}: {text}`");
            let hint = format!("one of {}", known.join(", "));
            self.error(fields.place_of(name), &message, Some(&hint));
        }
        found
    }

    fn duration(&mut self, fields: Fields<'_>, name: &str) -> Option<u64> {
        let text = self.text(fields, name)?;
        let micros = duration::parse_sum(&text, UNITS).filter(|micros| *micros <= LONGEST);
        if micros.is_none() {
            let message = format!("`{name}: {text}` is no length of time");
            self.error(fields.place_of(name), &message, Some(DURATION_HINT));
        }
        micros
    }

    fn text(&mut self, fields: Fields<'_>, name: &str) -> Option<String> {
        let node = fields.get(name)?;
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

    fn required<'a>(&mut self, fields: Fields<'a>, name: &str) -> Option<&'a Node> {
        let node = fields.get(name);
        if node.is_none() {
            self.error(fields.place, &format!("`{name}` is missing"), None);
        }
        node
    }

    fn fields<'a>(&mut self, node: &'a Node, known: &[&str]) -> Fields<'a> {
        let Content::Map(members) = &node.content else {
            self.error(
                node.place,
                &format!("must be a map, not {}", node.what()),
                None,
            );
            return Fields {
                place: node.place,
                members: &[],
            };
        };
        for (key, _) in members
            .iter()
            .filter(|(key, _)| !known.contains(&key.name.as_str()))
        {
            let hint = format!("known are {}", known.join(", "));
            self.error(
                key.place,
                &format!("unknown key `{}`", key.name),
                Some(&hint),
            );
        }
        Fields {
            place: node.place,
            members,
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

// === impl Fields ===

impl<'a> Fields<'a> {
    fn get(self, name: &str) -> Option<&'a Node> {
        self.members
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    fn place_of(self, name: &str) -> Place {
        self.get(name).map_or(self.place, |node| node.place)
    }
}

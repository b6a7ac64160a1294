//! The table, as Markdown.

use std::fmt::Write;

use super::compare::{Comparison, Count, Difference, signs_in};
use super::suite::{Outcome, Played, Side, Standing, Status};

const HEAD: &str = "\
# Conformance

What the [conformance suite](https://www.npmjs.com/package/@modelcontextprotocol/conformance) of the protocol's authors
says about the test server and the test client of this project, directly and through the gateway. Written by
`make conformance`, which fails when the two differ.

";

const TAIL: &str = "\
## How it is played

- The gateway is the shipped binary with default settings, recording on, and a policy that is judged for every call: it
  allows what the protocol knows, has one condition that never applies, and counts every call. There is no mode in which
  the gateway steps aside.
- *Server*: the suite is the client of `provost-conformance-server`, and then of the gateway in front of it. It cannot
  send a token, so a small forwarder stands between the two. It adds the header `Authorization` and touches nothing else.
- *Process*: the same, but the gateway starts the server as a child process and speaks with it over stdio. The suite has
  no stdio mode, so *direct* is the server over HTTP.
- *Client*: the suite is the server of `provost-conformance-client`, and then of a gateway that is set up with the URL of
  the scenario; the client talks to the gateway. Where a server wants the client to sign in (OAuth) there is nothing to
  compare yet: the gateway sends servers the headers that it was given, and does not sign in by itself.
- Compared is every check of every scenario, not only the sums. What is accepted as different stands in
  `crates/testkit/conformance/exceptions.json` with its reason.
";

/// The whole document.
pub fn document(comparisons: &[Comparison], differences: &[Difference]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "Checks that passed / failed. Warnings (recommendations that were not followed) are counted beside.\n\n\
         | suite | scenarios | direct | through the gateway | differences |\n\
         | --- | ---: | ---: | ---: | --- |\n",
    );
    for comparison in comparisons {
        rows(&mut text, comparison, differences);
    }
    section_differences(&mut text, differences);
    section_failures(&mut text, comparisons);
    text.push_str(TAIL);
    text
}

/// A part of a suite that has a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Required,
    SignIn,
    NotScored,
}

impl Part {
    fn of(scenario: &str, played: &Played) -> Part {
        match played.standing {
            Standing::NotScored(_) => Part::NotScored,
            Standing::Required if signs_in(scenario) => Part::SignIn,
            Standing::Required => Part::Required,
        }
    }

    fn words(self, side: Side) -> &'static str {
        match (self, side) {
            (Part::Required, Side::Server | Side::Process) => "required",
            (Part::Required, Side::Client) => "required, without sign-in",
            (Part::SignIn, _) => "required, sign-in (OAuth)",
            (Part::NotScored, _) => "not scored",
        }
    }
}

fn rows(text: &mut String, comparison: &Comparison, differences: &[Difference]) {
    let suite = comparison.suite;
    for part in [Part::Required, Part::SignIn, Part::NotScored] {
        let wanted = |name: &str, played: &Played| Part::of(name, played) == part;
        let direct = counted(&comparison.direct, wanted);
        if direct.scenarios == 0 {
            continue;
        }
        let comparable = |name: &str, played: &Played| wanted(name, played) && !signs_in(name);
        let through = counted(&comparison.through, comparable);
        let named = differences.iter().filter(|difference| {
            difference.suite == suite
                && comparison
                    .direct
                    .get(&difference.scenario)
                    .is_some_and(|played| wanted(&difference.scenario, played))
        });
        let (through, named) = match (through.scenarios, named.count()) {
            (0, _) => ("–".to_owned(), "upstream OAuth comes later".to_owned()),
            (_, 0) => (numbers(through), "none".to_owned()),
            (_, count) => (numbers(through), format!("{count}, below")),
        };
        let left_out = direct.scenarios - through_scenarios(comparison, comparable);
        let scenarios = match (part, left_out) {
            (Part::NotScored, 1..) if through != "–" => {
                format!("{} ({left_out} of them direct only)", direct.scenarios)
            }
            _ => direct.scenarios.to_string(),
        };
        let _ = writeln!(
            text,
            "| {suite}, {} | {scenarios} | {} | {through} | {named} |",
            part.words(suite.side),
            numbers(direct),
        );
    }
}

fn through_scenarios(comparison: &Comparison, wanted: impl Fn(&str, &Played) -> bool) -> usize {
    counted(&comparison.through, wanted).scenarios
}

fn counted(outcome: &Outcome, wanted: impl Fn(&str, &Played) -> bool) -> Count {
    let wanted = outcome.iter().filter(|(name, played)| wanted(name, played));
    Count::of(wanted.map(|(_, played)| played))
}

fn numbers(count: Count) -> String {
    match count.warnings {
        0 => format!("{} / {}", count.passed, count.failed),
        warnings => format!("{} / {} ({warnings} warned)", count.passed, count.failed),
    }
}

fn section_differences(text: &mut String, differences: &[Difference]) {
    text.push_str("\n## Differences\n\n");
    if differences.is_empty() {
        text.push_str("None.\n\n");
        return;
    }
    text.push_str(
        "| suite | scenario | check | direct | through the gateway | why |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for difference in differences {
        let why = difference.reason.as_deref();
        let why = why
            .unwrap_or(&difference.message)
            .replace('|', "\\|")
            .replace('\n', " ");
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {why} |",
            difference.suite,
            difference.scenario,
            difference.check,
            words(&difference.direct),
            words(&difference.through),
        );
    }
    text.push('\n');
}

fn words(statuses: &[Status]) -> String {
    if statuses.is_empty() {
        return "not made".to_owned();
    }
    let words = statuses.iter().map(|status| match status {
        Status::Success => "passed",
        Status::Failure => "failed",
        Status::Warning => "warned",
        Status::Info => "noted",
        Status::Skipped => "skipped",
    });
    words.collect::<Vec<_>>().join(", ")
}

fn section_failures(text: &mut String, comparisons: &[Comparison]) {
    text.push_str("## What fails directly\n\n");
    let mut none = true;
    for comparison in comparisons {
        let failing: Vec<String> = comparison
            .direct
            .iter()
            .filter(|(_, played)| Count::of([*played]).failed > 0)
            .map(|(name, played)| match &played.standing {
                Standing::Required => format!("{name} (required)"),
                Standing::NotScored(reason) => format!("{name} ({reason})"),
            })
            .collect();
        if !failing.is_empty() {
            none = false;
            let _ = writeln!(text, "- {}: {}", comparison.suite, failing.join(", "));
        }
    }
    if none {
        text.push_str("Nothing.\n");
    }
    text.push('\n');
}

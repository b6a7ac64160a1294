//! The page: a row for each item, in the list's own order.

use crate::junit::Ran;
use provost_testkit::negative::{Item, face};
use std::collections::BTreeSet;
use std::fmt::Write;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) item: Item,
    pub(crate) faces: Vec<String>,
    pub(crate) tests: usize,
    pub(crate) result: String,
    /// What keeps the run from being a good one.
    pub(crate) problem: Option<String>,
    /// What its tests reported.
    pub(crate) reports: Vec<String>,
}

const GROUPS: [(char, &str); 10] = [
    ('T', "the HTTP face"),
    ('J', "the envelope"),
    ('V', "versions, headers, eras"),
    ('S', "sessions"),
    ('A', "who may"),
    ('C', "tools and their names"),
    ('P', "arguments"),
    ('U', "servers"),
    ('L', "what is left behind"),
    ('D', "found by attacking and reading"),
];

const INTRODUCTION: &str = "\
# Bad input, and what comes of it

The numbered list of bad input that Provost is tested with, and how the tests ended. `make negative` makes this page from
a test run; nothing in it is written by hand.

Each test asserts four things: no byte reached the server; the right answer came back; it left its trace; the next honest
call works. Where a server itself is the hostile side (group U), the first is that the caller gets a bounded answer in our
words. The column *trace* says what is left behind:

* *record*: one record in the journal, with grant, rule and method;
* *count*: whoever sends it is unknown, and nobody may fill the journal without a grant. It is counted in
  `provost_unidentified_total` and logged (at most once a second for each reason);
* *call*: the call is recorded as such, with how it ended;
* *none*: nothing was refused, or nothing can be left behind.

*Faces* are where agents connect; *elsewhere* is a test inside of a room or on the command line. Tests run against
servers over HTTP and as child processes, and in both eras of the protocol, where that could make a difference.

Choices that are ours:

* 8: an agent that does not say what it accepts is served.
* 20: batches are refused in every revision, also in the one that had them.
* 30: ids are told apart for each session, or connection over stdio; in the modern era each request stands alone.
* 54: with `Last-Event-ID` the same grant takes a stream over; without it, 409.
* 56: a grant has 1,024 sessions at most; the one that is idle longest makes room.
* 74: two underscores are part of a name; `/`, `..` and control characters are not.
* 82, 83: what the text of a path or address says; links, DNS and redirects are the server's business.
* 87: what is missing fails a `require` and counts as true in `approve_if`.
";

/// A row for each item.
pub(crate) fn rows(items: &[Item], ran: &[Ran]) -> Vec<Row> {
    items.iter().map(|item| row(item, ran)).collect()
}

fn row(item: &Item, ran: &[Ran]) -> Row {
    let own: Vec<&Ran> = ran.iter().filter(|ran| item.owns(&ran.path)).collect();
    let faces: BTreeSet<&str> = own.iter().map(|ran| face(&ran.path)).collect();
    let failed: Vec<&str> = own
        .iter()
        .filter(|ran| !ran.passed)
        .map(|ran| ran.path.as_str())
        .collect();
    let missing: Vec<&str> = item
        .faces
        .iter()
        .map(String::as_str)
        .filter(|face| !faces.contains(face))
        .collect();
    let name = format!("{} {}, {}", item.group, item.number, item.what);
    let (result, problem) = match &item.exception {
        _ if !failed.is_empty() => (
            "**failed**".to_owned(),
            Some(format!("{name}: failed: {}", failed.join(", "))),
        ),
        Some(reason) if !item.is_due() && own.is_empty() => (format!("exception: {reason}"), None),
        Some(reason) if !item.is_due() => {
            (format!("ok as far as it goes; exception: {reason}"), None)
        }
        _ if own.is_empty() => (
            "**not tested**".to_owned(),
            Some(format!("{name}: no test, and no exception")),
        ),
        _ if !missing.is_empty() => (
            format!("**not over {}**", missing.join(", ")),
            Some(format!("{name}: not over {}", missing.join(", "))),
        ),
        Some(reason) => (format!("ok; exception {reason}"), None),
        None => ("ok".to_owned(), None),
    };
    let reported: BTreeSet<String> = own.iter().flat_map(|ran| ran.reports.clone()).collect();
    Row {
        item: item.clone(),
        faces: faces.into_iter().map(str::to_owned).collect(),
        tests: own.len(),
        result,
        problem,
        reports: reported.into_iter().collect(),
    }
}

/// The whole page.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (group, title) in GROUPS {
        let _ = write!(
            page,
            "\n## {group}: {title}\n\n| # | what | faces | trace | tests | result |\n| --: | --- | --- | --- | --: | --- |\n"
        );
        for row in rows.iter().filter(|row| row.item.group == group) {
            let Row {
                item,
                faces,
                tests,
                result,
                ..
            } = row;
            let faces = if faces.is_empty() {
                "–".to_owned()
            } else {
                faces.join(", ")
            };
            let _ = writeln!(
                page,
                "| {} | {} | {faces} | {} | {tests} | {result} |",
                item.number, item.what, item.trace
            );
        }
    }
    let (tested, tests) = (
        rows.iter()
            .filter(|row| row.tests > 0 && row.problem.is_none())
            .count(),
        rows.iter().map(|row| row.tests).sum::<usize>(),
    );
    let excepted = rows
        .iter()
        .filter(|row| row.item.exception.is_some())
        .count();
    let _ = write!(
        page,
        "\n## In numbers\n\n{} items: {tested} with tests that pass, {excepted} with an exception; {tests} tests.\n",
        rows.len()
    );
    let reports: Vec<&String> = rows.iter().flat_map(|row| &row.reports).collect();
    if !reports.is_empty() {
        page.push_str("\nA gateway that refuses everything would refuse all of this, too. So item 110 makes ordinary calls under a policy with\nrules of every kind, and bad ones under the same policy:\n\n");
        for report in reports {
            let _ = writeln!(page, "* {report}");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use provost_testkit::negative::items;

    fn ran(path: &str, passed: bool) -> Ran {
        Ran {
            path: path.to_owned(),
            passed,
            reports: Vec::new(),
        }
    }

    #[test]
    fn an_item_is_tested_on_all_its_faces_or_excepted() {
        let all = items().unwrap();
        let result = |number: usize, ran: &[Ran]| row(&all[number - 1], ran).result;
        assert_eq!(result(1, &[ran("a::t01_x::http", true)]), "ok");
        assert_eq!(result(1, &[]), "**not tested**");
        assert_eq!(
            result(19, &[ran("a::j19_x::http", true)]),
            "**not over stdio**"
        );
        assert_eq!(
            result(
                19,
                &[ran("a::j19_x::http", true), ran("a::j19_x::stdio", false)]
            ),
            "**failed**"
        );
        assert!(result(58, &[]).starts_with("exception: "));
        assert!(
            result(
                89,
                &[ran("a::p89_x::http", true), ran("a::p89_x::stdio", true)]
            )
            .starts_with("ok; exception")
        );
    }
}

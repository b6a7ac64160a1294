//! The list of bad input: every item has a test with its number in its name, or an exception, and a row in the table.

use crate::finding::Finding;
use crate::tree::Tree;
use provost_testkit::negative::{EXCEPTIONS, ITEMS, Item, items};

const LIST: &str = "crates/testkit/src/negative/items.txt";
const PAGE: &str = "docs/negative-tests.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    match items() {
        Ok(items) => check_items(tree, &items),
        Err(error) => {
            let hint = format!(
                "{} and {} lines are read",
                ITEMS.lines().count(),
                EXCEPTIONS.lines().count()
            );
            vec![Finding::error(LIST, 0, format!("{error:#}"), hint)]
        }
    }
}

fn check_items(tree: &Tree, items: &[Item]) -> Vec<Finding> {
    let page = tree.file(PAGE).map_or("", |page| page.text.as_str());
    let mut findings = Vec::new();
    for item in items {
        let name = format!("fn {}", item.prefix());
        if item.is_due() && !tree.rust().any(|file| file.text.contains(&name)) {
            let problem = format!(
                "no test is called `{}…`, and there is no exception",
                item.prefix()
            );
            findings.push(Finding::error(LIST, 0, problem, "write the test"));
        }
        if !page.contains(&format!("\n| {} | {} |", item.number, item.what)) {
            let problem = format!("no row for item {}", item.number);
            findings.push(Finding::error(
                PAGE,
                0,
                problem,
                "`make negative` makes the page",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn an_item_needs_a_test_and_a_row() {
        let items = &items().unwrap()[..2];
        let page = "# x\n\n| 1 | a foreign `Host` | http |\n";
        let tree = Tree::of(
            &[("a.rs", "async fn t01_x() {}"), (PAGE, page)],
            Value::Null,
        );
        let findings = check_items(&tree, items);
        let problems: Vec<_> = findings
            .iter()
            .map(|finding| finding.problem.as_str())
            .collect();
        assert_eq!(
            problems,
            [
                "no test is called `t02_…`, and there is no exception",
                "no row for item 2"
            ]
        );
    }
}

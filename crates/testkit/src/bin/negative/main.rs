//! `negative`: makes `docs/negative-tests.md` from a run of the numbered tests. Run by `make negative`.
//!
//! Reads what nextest wrote about the run (JUnit), and the checked-in list with its exceptions. Fails when a test
//! failed, or when an item was tested neither on all its faces nor excepted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's tool: it reads this checkout and stops when it cannot"
)]

mod junit;
mod table;

use anyhow::{Context, Result};
use provost_testkit::negative::items;
use provost_testkit::process::root;
use std::process::ExitCode;

const PAGE: &str = "docs/negative-tests.md";

fn main() -> ExitCode {
    match run() {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in problems {
                eprintln!("error: {problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the page, and says what is wrong with the run.
fn run() -> Result<Vec<String>> {
    let file = std::env::args()
        .nth(1)
        .context("which file? `negative target/nextest/negative/junit.xml`")?;
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("`{file}` cannot be read"))?;
    let ran = junit::read(&text)?;
    let rows = table::rows(&items()?, &ran);
    let page = table::page(&rows);
    std::fs::write(root().join(PAGE), page)
        .with_context(|| format!("`{PAGE}` cannot be written"))?;
    let tests: usize = rows.iter().map(|row| row.tests).sum();
    println!("{PAGE}: {} items, {tests} tests", rows.len());
    Ok(rows.iter().filter_map(|row| row.problem.clone()).collect())
}

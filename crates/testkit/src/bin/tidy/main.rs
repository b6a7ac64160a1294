//! `tidy`: what no compiler checks. Run by `make check`.
//!
//! Each check is a function from the [`tree::Tree`] to findings; a finding names file and line and says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's tool: it reads this checkout and stops when it cannot"
)]

mod arrows;
mod dependencies;
mod files;
mod finding;
mod layers;
mod licences;
mod links;
mod negative;
mod tree;
mod words;

use finding::{Finding, Severity};
use std::process::ExitCode;
use tree::Tree;

fn main() -> ExitCode {
    let tree = match Tree::read() {
        Ok(tree) => tree,
        Err(e) => {
            eprintln!("error: the checkout cannot be read: {e:#}");
            return ExitCode::FAILURE;
        }
    };
    let checks = [
        licences::check,
        arrows::check,
        layers::check,
        dependencies::check,
        files::check_sizes,
        files::check_names,
        files::check_docs,
        words::check_forbidden,
        words::check_todos,
        links::check,
        negative::check,
    ];
    let findings: Vec<Finding> = checks.iter().flat_map(|check| check(&tree)).collect();
    for finding in &findings {
        eprintln!("{finding}");
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    print!("{}", layers::shown(&tree));
    println!(
        "tidy: {} files, {errors} errors, {} warnings",
        tree.files.len(),
        findings.len() - errors
    );
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

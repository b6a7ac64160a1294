use std::path::{Path, PathBuf};

use clap::Command as Clap;

use super::*;

/// Every visible command, as the words that call it.
fn commands(at: &Clap, before: &str, all: &mut Vec<(String, Clap)>) {
    for command in at
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let words = format!("{before} {}", command.get_name());
        commands(command, &words, all);
        all.push((words, command.clone()));
    }
}

fn all() -> Vec<(String, Clap)> {
    let mut all = Vec::new();
    commands(&Arguments::command(), "provost", &mut all);
    assert!(all.len() > 40);
    all
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What people read: the README, the guides and the reference of the language.
fn documents() -> String {
    let guides = std::fs::read_dir(root().join("docs/guides")).unwrap();
    let mut pages: Vec<PathBuf> = guides.map(|entry| entry.unwrap().path()).collect();
    pages.extend(
        ["README.md", "docs/policy-language.md", "docs/demo.md"].map(|page| root().join(page)),
    );
    let texts = pages
        .iter()
        .map(|page| std::fs::read_to_string(page).unwrap());
    texts.collect::<Vec<_>>().concat()
}

#[test]
fn d78_every_command_says_what_it_is_for_and_stands_in_a_document() {
    let documents = documents();
    for (words, command) in all() {
        assert!(command.get_about().is_some(), "{words}");
        assert!(documents.contains(&words), "no document names `{words}`");
    }
}

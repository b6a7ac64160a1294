//! The reference of the language is true: its documents parse, its cases hold, its refusals read as printed.

use provost_authoring::{cases, import, warnings};
use provost_policy::Policy;

const REFERENCE: &str = include_str!("../../../../docs/policy-language.md");
const README: &str = include_str!("../../../../README.md");
const MIGRATING: &str = include_str!("../../../../docs/guides/migrating-from-intercept.md");

/// One fenced block of a page.
struct Block {
    /// What stands behind the fence.
    info: String,
    /// The line of the fence, from 1.
    line: usize,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                open = true;
                let (info, line) = (info.to_owned(), index + 1);
                blocks.push(Block {
                    info,
                    line,
                    text: String::new(),
                });
            }
            None if open => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "a block is not closed");
    blocks
}

fn words(problems: &[provost_policy::Diagnostic]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

#[test]
fn every_document_of_the_reference_parses_and_decides_as_its_cases_say() {
    let mut policy: Option<Policy> = None;
    let mut failures = String::new();
    let mut ran = 0;
    for block in blocks(REFERENCE) {
        let place = format!("docs/policy-language.md, block at line {}", block.line);
        match block.info.as_str() {
            "json" => match Policy::parse(&block.text) {
                Ok(parsed) => policy = Some(parsed),
                Err(problems) => {
                    policy = None;
                    failures.push_str(&format!("{place} is refused:\n{}", words(&problems)));
                }
            },
            "yaml" => {
                let Some(policy) = &policy else { continue };
                match cases::run(policy, &block.text) {
                    Ok(report) if report.passed() => ran += report.total(),
                    Ok(report) => failures.push_str(&format!("{place}:\n{report}\n")),
                    Err(errors) => failures.push_str(&format!("{place}: {errors:#?}\n")),
                }
            }
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(
        ran > 80,
        "only {ran} cases were found: is the page still read as it is written?"
    );
}

#[test]
fn the_policy_of_the_readme_decides_as_it_says() {
    let blocks = blocks(README);
    let policy = blocks
        .iter()
        .find(|block| block.text.contains("\"version\""))
        .unwrap();
    let policy = Policy::parse(&policy.text).unwrap();
    let cases = "
cases:
  - { tool: read_text_file, args: { path: /etc/hosts }, expect: allow }
  - { tool: write_file, args: { path: /srv/work/a }, times: 10, expect: allow }
  - { tool: write_file, args: { path: /srv/work/a }, expect: deny, rule: /tools/write_file/limits/writes }
  - { tool: write_file, args: { path: /etc/hosts }, expect: deny, message: below /srv/work only }
  - { tool: move_file, expect: deny, rule: (hidden) }
  - { tool: edit_file, expect: deny, rule: (default deny) }
";
    let report = cases::run(&policy, cases).unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn refused_documents_of_the_reference_are_refused_with_the_words_below_them() {
    let blocks = blocks(REFERENCE);
    let refused = blocks
        .iter()
        .zip(blocks.iter().skip(1))
        .filter(|(block, _)| block.info == "json refused");
    let mut count = 0;
    for (block, report) in refused {
        let problems = Policy::parse(&block.text).unwrap_err();
        assert_eq!(report.info, "text", "the report follows the document");
        assert_eq!(
            words(&problems),
            report.text,
            "block at line {}",
            report.line
        );
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn documents_of_the_reference_that_are_warned_about_get_the_words_below_them() {
    let blocks = blocks(REFERENCE);
    let place = blocks.iter().position(|block| block.info == "json warned");
    let [document, report, ..] = &blocks[place.unwrap()..] else {
        panic!("the warnings follow the document");
    };
    let policy = Policy::parse(&document.text).unwrap();
    assert_eq!(report.text, words(&warnings(&policy, None)));
}

#[test]
fn the_imported_policy_of_the_guide_is_what_the_import_makes() {
    let blocks = blocks(MIGRATING);
    let place = blocks
        .iter()
        .position(|block| block.info == "yaml intercept");
    let [source, policy, notes, ..] = &blocks[place.unwrap()..] else {
        panic!("the policy and the notes follow their source");
    };
    let imported = import::intercept(&source.text, import::Unclear::Fails).unwrap();
    assert_eq!(policy.info, "json imported");
    assert_eq!(
        Policy::parse(&policy.text).unwrap(),
        Policy::parse(&imported.policy_json).unwrap()
    );
    let told: String = imported
        .notes
        .iter()
        .map(|note| format!("note: {note}\n"))
        .collect();
    assert_eq!(notes.text, told);
}

#[test]
fn every_operator_of_the_language_is_in_the_reference() {
    let schema = provost_authoring::schema().to_string();
    for operator in [
        "eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists",
        "under", "host_in", "argv_in",
    ] {
        assert!(
            schema.contains(&format!("\"{operator}\"")),
            "`{operator}` is not in the schema"
        );
        assert!(
            REFERENCE.contains(&format!("\"op\": \"{operator}\""))
                || REFERENCE.contains(&format!("`{operator}`")),
            "{operator}"
        );
    }
}

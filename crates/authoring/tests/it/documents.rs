//! The reference of the language is true: its documents parse, its cases hold, its refusals read as printed.

use provost_authoring::{cases, import, warnings};
use provost_policy::Policy;
use provost_policy::limit::Period;
use provost_policy::operator::Operator;
use provost_policy::words::names;
use serde_json::Value;

const REFERENCE: &str = include_str!("../../../../docs/policy-language.md");
const README: &str = include_str!("../../../../README.md");
const CASES: &str = include_str!("../../../../docs/guides/policy-tests.md");
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

/// Every word that the schema knows, with the names of members.
fn words_of(schema: &Value, found: &mut Vec<String>) {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        found.extend(words.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(members) => members.values().for_each(|below| words_of(below, found)),
        Value::Array(elements) => elements.iter().for_each(|below| words_of(below, found)),
        _ => {}
    }
}

#[test]
fn d76_every_word_of_the_schema_is_in_the_reference() {
    let mut words = Vec::new();
    words_of(&provost_authoring::schema(), &mut words);
    words.extend(names::<Period>().into_iter().map(str::to_owned));
    assert!(words.len() > 50, "{words:?}");
    for word in words {
        let told = [format!("`{word}`"), format!("`\"{word}\"`")];
        assert!(
            told.iter().any(|word| REFERENCE.contains(word)),
            "docs/policy-language.md does not speak of `{word}`"
        );
    }
}

#[test]
fn d76_every_key_of_a_case_is_in_the_guide() {
    let rows = CASES.lines().filter(|line| line.starts_with("| `"));
    let first_cells: String = rows.filter_map(|line| line.split('|').nth(1)).collect();
    for key in cases::KEYS {
        assert!(
            first_cells.contains(&format!("`{key}`")),
            "`{key}` has no row in docs/guides/policy-tests.md"
        );
    }
}

#[test]
fn d76_every_operator_has_a_row_and_a_document_that_decides_by_it() {
    let first_cells: String = REFERENCE
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .collect();
    let blocks = blocks(REFERENCE);
    let decided: String = blocks
        .iter()
        .zip(blocks.iter().skip(1))
        .filter(|(document, cases)| document.info == "json" && cases.info == "yaml")
        .map(|(document, _)| document.text.as_str())
        .collect();
    for operator in names::<Operator>() {
        assert!(
            first_cells.contains(&format!("`{operator}`")),
            "`{operator}` has no row in docs/policy-language.md"
        );
        assert!(
            decided.contains(&format!("\"op\": \"{operator}\"")),
            "no document of docs/policy-language.md with cases below it uses `{operator}`"
        );
    }
}

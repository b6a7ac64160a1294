//! Links between Markdown files: the file must be there, and so must the heading. And the files that
//! ARCHITECTURE.md names, because its recipes are followed.

use crate::finding::Finding;
use crate::tree::{TextFile, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&file.text) {
            if let Some((problem, hint)) = broken(tree, file, &target) {
                findings.push(Finding::error(&file.path, line, problem, hint));
            }
        }
    }
    findings.extend(tree.file(MAP).into_iter().flat_map(|map| lost(tree, map)));
    findings
}

/// The page that says where everything is.
const MAP: &str = "ARCHITECTURE.md";

/// Where the paths begin that it names.
const BEGINNINGS: [&str; 3] = ["", "crates/", "crates/gateway/src/"];

/// The paths in backticks that are not there.
fn lost(tree: &Tree, map: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in map.text.lines().enumerate() {
        fenced ^= line.starts_with("```");
        for path in line.split('`').skip(1).step_by(2) {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
            let is_path = path.ends_with(".rs")
                || path.ends_with('/') && path.starts_with(char::is_alphabetic)
                || path.starts_with("crates/");
            if fenced || !is_path || !path.chars().all(plain) {
                continue;
            }
            let known = |beginning: &&str| {
                let whole = format!("{beginning}{path}");
                let folder = format!("{}/", whole.trim_end_matches('/'));
                tree.paths.contains(&whole)
                    || tree.paths.iter().any(|known| known.starts_with(&folder))
            };
            if !BEGINNINGS.iter().any(known) {
                let problem = format!("there is no `{path}`");
                let hint = "paths begin below `crates/`, or `crates/gateway/src/`";
                findings.push(Finding::error(&map.path, index + 1, problem, hint));
            }
        }
    }
    findings
}

fn broken(tree: &Tree, file: &TextFile, target: &str) -> Option<(String, String)> {
    let (path, heading) = target
        .split_once('#')
        .map_or((target, None), |(path, heading)| (path, Some(heading)));
    let Some(path) = (if path.is_empty() {
        Some(file.path.clone())
    } else {
        resolve(&file.path, path)
    }) else {
        return Some((
            format!("link `{target}` leaves the project"),
            "link to something inside".to_owned(),
        ));
    };
    let folder = format!("{}/", path.trim_end_matches('/'));
    if !tree.paths.contains(&path) && !tree.paths.iter().any(|known| known.starts_with(&folder)) {
        return Some((
            format!("link `{target}` leads nowhere"),
            format!("there is no `{path}`"),
        ));
    }
    let (heading, linked) = (heading?, tree.file(&path)?);
    if path.ends_with(".md") && !headings(&linked.text).iter().any(|known| known == heading) {
        let known = headings(&linked.text).join(", ");
        return Some((
            format!("`{path}` has no heading `#{heading}`"),
            format!("its headings are: {known}"),
        ));
    }
    None
}

/// The relative targets of inline links, outside of code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line.as_str();
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end]
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .trim_matches(['<', '>']);
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !elsewhere {
                found.push((number, target.to_owned()));
            }
            rest = &rest[end..];
        }
    }
    found
}

/// The lines outside of code blocks, without what stands between backticks.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let outside: String = line.split('`').step_by(2).collect();
            lines.push((index + 1, outside));
        }
    }
    lines
}

/// The anchors of a file's headings, as code hosts make them.
fn headings(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut anchors: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let twins = anchors.iter().filter(|known| **known == anchor).count();
            anchors.push(if twins == 0 {
                anchor
            } else {
                format!("{anchor}-{twins}")
            });
        }
    }
    anchors
}

/// A target relative to a file, from the top; nothing when it leaves the project.
fn resolve(file: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn links_must_lead_somewhere() {
        let guide = "# Guide\n[a](../README.md) [b](other.md#second-part) [c](other.md#third)\n`[d](none.md)`\n\
                     ```\n[e](none.md)\n```\n[f](none.md) [g](https://example.com) [h](#guide) [i](../../x.md) [j](.)\n";
        let tree = Tree::of(
            &[
                ("README.md", ""),
                ("docs/guide.md", guide),
                ("docs/other.md", "# Other\n## Second: part\n"),
            ],
            Value::Null,
        );
        let problems: Vec<(usize, String)> = check(&tree)
            .into_iter()
            .map(|f| (f.line, f.problem))
            .collect();
        let expected = [
            (2, "`docs/other.md` has no heading `#third`".to_owned()),
            (7, "link `none.md` leads nowhere".to_owned()),
            (7, "link `../../x.md` leaves the project".to_owned()),
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn files_that_the_map_names_must_be_there() {
        let map = "`path.rs` `store/src/open.rs` `text/asking/` `other.rs` `a/` `read.rs#L1` `{a,b}.rs`\n```\nnone.rs\n`none.rs`\n```\n";
        let files = [
            (MAP, map),
            ("crates/gateway/src/path.rs", ""),
            ("crates/store/src/open.rs", ""),
            ("crates/gateway/src/text/asking/read.rs", ""),
        ];
        let findings = check(&Tree::of(&files, Value::Null));
        let problems: Vec<_> = findings.iter().map(|f| f.problem.as_str()).collect();
        assert_eq!(problems, ["there is no `other.rs`", "there is no `a/`"]);
    }
}

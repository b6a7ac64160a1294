//! Dependencies: each has its reason in the workspace manifest, is used, and is versioned there only.

use crate::finding::Finding;
use crate::tree::{TextFile, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(workspace) = tree.file("Cargo.toml") else {
        return findings;
    };
    let entries = entries(workspace, &["workspace.dependencies"]);
    let manifests: Vec<&TextFile> = tree
        .files
        .iter()
        .filter(|f| f.path.starts_with("crates/") && f.path.ends_with("/Cargo.toml"))
        .collect();
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let asked: Vec<(&TextFile, Entry)> = manifests
        .iter()
        .flat_map(|file| entries_of(file, &KINDS))
        .collect();

    for entry in &entries {
        let ours = entry.text.contains("path =");
        if !ours && entry.reason().is_none() {
            let problem = format!("dependency `{}` has no reason", entry.name);
            findings.push(Finding::error(
                "Cargo.toml",
                entry.line,
                problem,
                "add `# why it is here` to its line",
            ));
        }
        if !ours && !asked.iter().any(|(_, used)| used.name == entry.name) {
            let problem = format!("nobody depends on `{}`", entry.name);
            findings.push(Finding::warning(
                "Cargo.toml",
                entry.line,
                problem,
                "remove it",
            ));
        }
    }
    for (file, entry) in asked {
        if !entry.text.contains("workspace = true") {
            let problem = format!(
                "dependency `{}` is not taken from the workspace",
                entry.name
            );
            let hint =
                "name version and reason in the top Cargo.toml, and write `.workspace = true` here";
            findings.push(Finding::error(&file.path, entry.line, problem, hint));
        }
    }
    findings
}

fn entries_of<'t>(file: &'t TextFile, tables: &[&str]) -> Vec<(&'t TextFile, Entry<'t>)> {
    entries(file, tables)
        .into_iter()
        .map(|entry| (file, entry))
        .collect()
}

struct Entry<'t> {
    name: &'t str,
    line: usize,
    text: &'t str,
}

impl Entry<'_> {
    /// The comment at the end of the line. No value of a manifest contains ` # `.
    fn reason(&self) -> Option<&str> {
        let (_, reason) = self.text.split_once(" # ")?;
        let reason = reason.trim();
        (reason.len() >= 4).then_some(reason)
    }
}

/// The entries of some tables; each stands on one line here.
fn entries<'t>(file: &'t TextFile, tables: &[&str]) -> Vec<Entry<'t>> {
    let mut inside = false;
    let mut found = Vec::new();
    for (index, text) in file.text.lines().enumerate() {
        let trimmed = text.trim();
        if let Some(table) = trimmed.strip_prefix('[') {
            let table = table.split(']').next().unwrap_or_default();
            inside = tables
                .iter()
                .any(|wanted| table == *wanted || table.ends_with(&format!(".{wanted}")));
            continue;
        }
        if !inside || trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Some((name, _)) = trimmed.split_once(['.', '=', ' ']) {
            found.push(Entry {
                name: name.trim(),
                line: index + 1,
                text,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use serde_json::Value;

    #[test]
    fn reasons_versions_and_use_are_checked() {
        let top = "[workspace.dependencies]\nours = { path = \"crates/ours\" }\nserde = \"1\" # the ecosystem's\nbare = \"1\"\n\
                   idle = \"1\" # nobody needs it\n\n[profile.dev]\ndebug = 1\n";
        let room = "[package]\nname = \"a\"\n[dependencies]\nserde.workspace = true\nbare = { workspace = true }\n\
                    [dev-dependencies]\nrand = \"0.9\"\n";
        let findings = check(&Tree::of(
            &[("Cargo.toml", top), ("crates/a/Cargo.toml", room)],
            Value::Null,
        ));
        let short: Vec<_> = findings
            .iter()
            .map(|f| (f.severity, f.file.as_str(), f.line))
            .collect();
        let expected = [
            (Severity::Error, "Cargo.toml", 4),
            (Severity::Warning, "Cargo.toml", 5),
            (Severity::Error, "crates/a/Cargo.toml", 7),
        ];
        assert_eq!(short, expected);
    }
}

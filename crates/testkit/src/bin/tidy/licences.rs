//! Licences: everything that is linked must be under a permissive licence.

use crate::finding::Finding;
use crate::tree::Tree;
use serde_json::Value;

/// Permissive licences approved by the Open Source Initiative.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Packages under another licence, with the reason why that is fine.
const EXCEPTIONS: [(&str, &str); 1] = [
    ("notify", "CC0-1.0"), // a dedication to the public domain: asks for less than any licence above
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let packages = tree.metadata["packages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        let licence = text(package, "license");
        if acceptable(&licence) || EXCEPTIONS.contains(&(name.as_str(), licence.as_str())) {
            continue;
        }
        let line = line_of(tree, &name, &version);
        findings.push(Finding::error(
            "Cargo.lock",
            line,
            format!("package `{name}` {version} is under `{licence}`, which is not on the list"),
            "use another package, or add an exception with its reason to `licences.rs` of tidy",
        ));
    }
    findings
}

/// Where a package stands in the lock file.
fn line_of(tree: &Tree, name: &str, version: &str) -> usize {
    let Some(lock) = tree.file("Cargo.lock") else {
        return 0;
    };
    let lines: Vec<&str> = lock.text.lines().collect();
    let wanted = [
        format!("name = \"{name}\""),
        format!("version = \"{version}\""),
    ];
    lines
        .windows(2)
        .position(|pair| pair[0] == wanted[0] && pair[1] == wanted[1])
        .map_or(0, |index| index + 1)
}

/// Whether one may use something under this SPDX expression: of an `OR` one side is enough, of an `AND` both count.
fn acceptable(expression: &str) -> bool {
    // Old manifests write a slash where `OR` is meant.
    let expression = expression.replace('/', " OR ");
    let tokens: Vec<String> = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut rest = tokens.as_slice();
    any(&mut rest) && rest.is_empty()
}

fn any(tokens: &mut &[String]) -> bool {
    let mut fine = all(tokens);
    while let [or, rest @ ..] = *tokens
        && or == "OR"
    {
        *tokens = rest;
        fine |= all(tokens);
    }
    fine
}

fn all(tokens: &mut &[String]) -> bool {
    let mut fine = one(tokens);
    while let [and, rest @ ..] = *tokens
        && and == "AND"
    {
        *tokens = rest;
        fine &= one(tokens);
    }
    fine
}

fn one(tokens: &mut &[String]) -> bool {
    match *tokens {
        [open, rest @ ..] if open == "(" => {
            *tokens = rest;
            let fine = any(tokens);
            let [close, rest @ ..] = *tokens else {
                return false;
            };
            *tokens = rest;
            fine && close == ")"
        }
        [name, with, exception, rest @ ..] if with == "WITH" => {
            *tokens = rest;
            ALLOWED.contains(&format!("{name} WITH {exception}").as_str())
        }
        [name, rest @ ..] => {
            *tokens = rest;
            ALLOWED.contains(&name.as_str())
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let fine = [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ];
        let bad = [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND AGPL-3.0",
            "(MIT",
            "MIT )",
            "SSPL-1.0",
        ];
        assert!(fine.iter().all(|expression| acceptable(expression)));
        assert!(!bad.iter().any(|expression| acceptable(expression)));
    }

    #[test]
    fn a_bad_licence_is_named_with_its_place() {
        let metadata = json!({"packages": [
            {"name": "good", "version": "1.0.0", "license": "MIT"},
            {"name": "bad", "version": "2.0.0", "license": "GPL-3.0"},
            {"name": "none", "version": "3.0.0", "license": null},
        ]});
        let lock = "[[package]]\nname = \"bad\"\nversion = \"2.0.0\"\n";
        let findings = check(&Tree::of(&[("Cargo.lock", lock)], metadata));
        assert_eq!(findings.len(), 2);
        assert_eq!(
            (
                findings[0].line,
                findings[0].problem.contains("`bad` 2.0.0")
            ),
            (2, true)
        );
    }
}

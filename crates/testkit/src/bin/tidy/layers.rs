//! Layers inside a room: its files import downwards only, and never in a circle.
//!
//! What a file imports is read from its `use` declarations and its paths, tests left out. Methods are not seen: an
//! `impl` stands in the layer of what it does, which is that of the type or a higher one.

mod source;

use crate::finding::Finding;
use crate::tree::Tree;
use source::{Arrow, Crate};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

/// The rooms that have layers, lowest first. Whatever stands beside the folders wires them together.
const LAYERS: [(&str, &[&str]); 2] = [
    (
        "crates/gateway/src",
        &[
            "host", "text", "message", "agent", "upstream", "state", "stage", "exchange", "path",
            "face",
        ],
    ),
    (
        "crates/fleet/src",
        &[
            "farewell", "place", "exit", "launch", "output", "terminal", "tmux", "windows",
            "tools", "role", "id", "places", "refusal", "rules", "failure", "mail", "survey",
            "tasks", "schema", "settings", "fleet", "pass", "delivery", "lives", "reading", "work",
            "call",
        ],
    ),
];

const DOWNWARDS: &str =
    "files import downwards only: move the type down, or pass in what is called";
const NO_CIRCLE: &str = "move what both need into a file below them, or pass in what is called";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in source::crates(tree) {
        if let Some((_, layers)) = LAYERS.iter().find(|(root, _)| *root == krate.root) {
            for arrow in &krate.arrows {
                upwards(&krate, layers, arrow, &mut findings);
            }
        }
        findings.extend(circles(&krate));
    }
    findings
}

/// A line for each layer: lowest first, with its files and lines.
pub(crate) fn shown(tree: &Tree) -> String {
    let mut out = String::new();
    let crates = source::crates(tree);
    for (root, layers) in LAYERS {
        let Some(krate) = crates.iter().find(|krate| krate.root == root) else {
            continue;
        };
        let _ = writeln!(out, "layers of {root}, lowest first:");
        for layer in layers {
            let of = krate
                .files
                .iter()
                .filter(|file| krate.layer(&file.path) == *layer);
            let (files, lines) = of.fold((0, 0), |(files, lines), file| {
                (files + 1, lines + file.lines)
            });
            let _ = writeln!(out, "  {layer:<10} {files:>3} files {lines:>6} lines");
        }
    }
    out
}

/// An arrow from a layer to a higher one.
fn upwards(krate: &Crate, layers: &[&str], arrow: &Arrow, findings: &mut Vec<Finding>) {
    // What is in no layer wires them together, so it is above all of them.
    let height = |file: &str| {
        layers
            .iter()
            .position(|layer| *layer == krate.layer(file))
            .unwrap_or(layers.len())
    };
    if height(&arrow.to) > height(&arrow.from) {
        let (below, above) = (krate.layer(&arrow.from), krate.layer(&arrow.to));
        let problem = format!(
            "`{below}` is below `{above}` and must not import {}",
            arrow.to
        );
        findings.push(Finding::error(&arrow.from, arrow.line, problem, DOWNWARDS));
    }
}

/// A finding for each set of files that import each other, with the shortest way round.
fn circles(krate: &Crate) -> Vec<Finding> {
    let mut ways: BTreeMap<&str, Vec<&Arrow>> = BTreeMap::new();
    for arrow in &krate.arrows {
        ways.entry(&arrow.from).or_default().push(arrow);
    }
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    for start in ways.keys() {
        if told.contains(start) {
            continue;
        }
        let Some(round) = way_back(&ways, start) else {
            continue;
        };
        let whole = all_around(&ways, start);
        let others = whole.len() - round.len();
        told.extend(whole);
        let steps: Vec<String> = round
            .iter()
            .map(|arrow| format!("{}:{} → {}", arrow.from, arrow.line, arrow.to))
            .collect();
        let mut problem = format!("files import each other in a circle: {}", steps.join(", "));
        if others > 0 {
            let _ = write!(problem, " (and {others} more files)");
        }
        findings.push(Finding::error(
            &round[0].from,
            round[0].line,
            problem,
            NO_CIRCLE,
        ));
    }
    findings
}

/// The shortest way from a file back to itself.
fn way_back<'a>(ways: &BTreeMap<&'a str, Vec<&'a Arrow>>, start: &str) -> Option<Vec<&'a Arrow>> {
    let mut came: BTreeMap<&str, &Arrow> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for arrow in ways.get(file).into_iter().flatten().copied() {
            if came.contains_key(arrow.to.as_str()) {
                continue;
            }
            came.insert(&arrow.to, arrow);
            if arrow.to == start {
                let mut round = vec![arrow];
                while round[0].from != start {
                    round.insert(0, came[round[0].from.as_str()]);
                }
                return Some(round);
            }
            open.push_back(&arrow.to);
        }
    }
    None
}

/// All files that a file reaches and that reach it.
fn all_around<'a>(ways: &BTreeMap<&'a str, Vec<&'a Arrow>>, start: &'a str) -> Vec<&'a str> {
    let there = reached(ways, start).into_iter();
    there
        .filter(|file| reached(ways, file).contains(start))
        .collect()
}

fn reached<'a>(ways: &BTreeMap<&'a str, Vec<&'a Arrow>>, from: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        let next = ways.get(file).into_iter().flatten();
        open.extend(
            next.map(|arrow| arrow.to.as_str())
                .filter(|to| seen.insert(*to)),
        );
    }
    seen
}

#[cfg(test)]
mod tests;

//! Arrows between the rooms, and walls: packages that a room must not contain.

use crate::finding::Finding;
use crate::tree::Tree;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Who may know whom. A room that is not here is not known yet; adding it is a decision with a note in
/// `docs/decisions/`.
const ARROWS: [(&str, &[&str]); 13] = [
    ("provost-policy", &[]),
    ("provost-authoring", &["provost-policy"]),
    ("provost-catalog", &["provost-policy"]),
    ("provost-store", &["provost-policy"]),
    ("provost-admin", &["provost-store", "provost-policy"]),
    ("provost-demo", &["provost-admin"]),
    ("provost-registry", &["provost-store", "provost-catalog"]),
    (
        "provost-gateway",
        &["provost-store", "provost-catalog", "provost-policy"],
    ),
    ("provost-wrapper", &[]),
    ("provost-fleet", &["provost-store"]),
    (
        "provost-console",
        &[
            "provost-admin",
            "provost-gateway",
            "provost-fleet",
            "provost-registry",
        ],
    ),
    ("provost", EVERY_ROOM),
    ("provost-testkit", EVERY_ROOM),
];

/// `cli` wires all rooms together, and the test kit may start any of them.
const EVERY_ROOM: &[&str] = &[
    "provost-policy",
    "provost-authoring",
    "provost-catalog",
    "provost-store",
    "provost-admin",
    "provost-demo",
    "provost-registry",
    "provost-gateway",
    "provost-wrapper",
    "provost-fleet",
    "provost-console",
];

/// What a room must not contain, directly or through others.
const WALLS: [(&str, &[&str], &str); 4] = [
    (
        "provost-policy",
        IMPURE,
        "the room decides; time, counts and bytes come in as arguments",
    ),
    (
        "provost-policy",
        FOR_AUTHORS,
        "what helps people write policies stands in `authoring`, off the way of a call",
    ),
    (
        "provost-authoring",
        IMPURE,
        "the room reads and writes texts that are given to it",
    ),
    (
        "provost-catalog",
        IMPURE,
        "the room judges; what it needs comes in as arguments",
    ),
];

const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "rusqlite",
    "rustls",
    "mio",
    "async-std",
    "smol",
    "reqwest",
    "ureq",
];

const FOR_AUTHORS: &[&str] = &["serde-saphyr", "schemars", "serde_json"];

/// What only one room may ask for.
const OWNERS: [(&str, &str); 1] = [("rusqlite", "provost-store")];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let rooms = rooms(&tree.metadata);
    let mut findings = Vec::new();
    for room in rooms.values() {
        direct(tree, &rooms, room, &mut findings);
    }
    let graph = graph(&tree.metadata);
    for (name, forbidden, why) in WALLS {
        let Some(room) = rooms.get(name) else {
            continue;
        };
        for (found, chain) in reachable(&graph, &room.id) {
            if forbidden.contains(&found.as_str()) {
                let problem = format!("`{name}` contains `{found}` ({})", chain.join(" → "));
                findings.push(Finding::error(&room.manifest, 0, problem, why));
            }
        }
    }
    findings
}

struct Room {
    name: String,
    id: String,
    manifest: String,
    /// Names and kinds; the kind of a normal dependency is empty.
    dependencies: Vec<(String, String)>,
}

fn direct(tree: &Tree, rooms: &BTreeMap<String, Room>, room: &Room, findings: &mut Vec<Finding>) {
    let mut report = |dependency: &str, problem: String, hint: &str| {
        let line = line_of(tree, &room.manifest, dependency);
        findings.push(Finding::error(&room.manifest, line, problem, hint));
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room.name) else {
        report(
            &room.name,
            format!("room `{}` is unknown", room.name),
            "add its arrows to `arrows.rs` of tidy",
        );
        return;
    };
    for (dependency, kind) in &room.dependencies {
        if let Some((_, owner)) = OWNERS.iter().find(|(package, _)| package == dependency)
            && *owner != room.name
        {
            let problem = format!("only `{owner}` may depend on `{dependency}`");
            report(dependency, problem, "ask that room for what you need");
        }
        if !rooms.contains_key(dependency) || dependency == &room.name {
            continue;
        }
        let tests_only = kind == "dev";
        if dependency == "provost-testkit" && !tests_only {
            let problem = format!("`{}` depends on the test kit outside of tests", room.name);
            report(dependency, problem, "move it to [dev-dependencies]");
        } else if dependency != "provost-testkit" && !allowed.contains(&dependency.as_str()) {
            let problem = format!("`{}` must not know `{dependency}`", room.name);
            report(
                dependency,
                problem,
                "the arrows stand in ARCHITECTURE.md; a new one needs a note in docs/decisions/",
            );
        }
    }
}

fn rooms(metadata: &Value) -> BTreeMap<String, Room> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let top = format!("{}/", text(&metadata["workspace_root"]));
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| {
            package["id"]
                .as_str()
                .is_some_and(|id| members.contains(id))
        })
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let room = Room {
                name: text(&package["name"]),
                id: text(&package["id"]),
                manifest: text(&package["manifest_path"])
                    .trim_start_matches(&top)
                    .to_owned(),
                dependencies: dependencies
                    .map(|d| (text(&d["name"]), text(&d["kind"])))
                    .collect(),
            };
            (room.name.clone(), room)
        })
        .collect()
}

/// Package id to the ids and names of its dependencies outside of tests and build scripts.
fn graph(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten();
    let normal = |edge: &&Value| {
        let kinds = edge["dep_kinds"].as_array().map_or(&[][..], Vec::as_slice);
        kinds.iter().any(|kind| kind["kind"].is_null())
    };
    nodes
        .map(|node| {
            let edges = node["deps"].as_array().into_iter().flatten().filter(normal);
            let to = edges
                .filter_map(|edge| edge["pkg"].as_str().map(str::to_owned))
                .collect();
            (node["id"].as_str().unwrap_or_default().to_owned(), to)
        })
        .collect()
}

/// All packages below an id, each with one way to it.
fn reachable(graph: &BTreeMap<String, Vec<String>>, from: &str) -> Vec<(String, Vec<String>)> {
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut open = vec![(from.to_owned(), vec![package_name(from)])];
    let mut found = Vec::new();
    while let Some((id, chain)) = open.pop() {
        for next in graph.get(&id).into_iter().flatten() {
            if seen.insert(next.clone()) {
                let mut chain = chain.clone();
                chain.push(package_name(next));
                found.push((package_name(next), chain.clone()));
                open.push((next.clone(), chain));
            }
        }
    }
    found
}

/// The name in a package id: `…#name@1.0.0`, or the folder before `#1.0.0`.
fn package_name(id: &str) -> String {
    let (place, tail) = id.rsplit_once('#').unwrap_or(("", id));
    let name = match tail.split_once('@') {
        Some((name, _)) => name,
        None => place.rsplit('/').next().unwrap_or(tail),
    };
    name.to_owned()
}

fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let starts = |line: &str| {
        line.trim_start()
            .strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    let file = tree.file(manifest);
    file.and_then(|file| file.text.lines().position(starts))
        .map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A room and its dependencies: (name, [(dependency, kind)]).
    type Made<'m> = (&'m str, &'m [(&'m str, Option<&'m str>)]);

    fn workspace(rooms: &[Made<'_>]) -> Value {
        let id = |name: &str| format!("path+file:///top/crates/x#{name}@0.1.0");
        let packages: Vec<Value> = rooms
            .iter()
            .map(|(name, dependencies)| {
                let dependencies: Vec<Value> =
                    dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
                let manifest = format!("/top/crates/{name}/Cargo.toml");
                json!({"name": name, "id": id(name), "manifest_path": manifest, "dependencies": dependencies})
            })
            .collect();
        let nodes: Vec<Value> = rooms
            .iter()
            .map(|(name, dependencies)| {
                let deps: Vec<Value> = dependencies
                    .iter()
                    .map(|(name, kind)| json!({"pkg": id(name), "dep_kinds": [{"kind": kind}]}))
                    .collect();
                json!({"id": id(name), "deps": deps})
            })
            .collect();
        let members: Vec<String> = rooms.iter().map(|(name, _)| id(name)).collect();
        json!({"workspace_root": "/top", "workspace_members": members, "packages": packages, "resolve": {"nodes": nodes}})
    }

    fn problems(rooms: &[Made<'_>]) -> Vec<String> {
        check(&Tree::of(&[], workspace(rooms)))
            .into_iter()
            .map(|finding| finding.problem)
            .collect()
    }

    #[test]
    fn the_arrows_of_the_house_are_fine() {
        let rooms: &[(&str, &[_])] = &[
            ("provost-policy", &[]),
            (
                "provost-store",
                &[("provost-policy", None), ("rusqlite", None)],
            ),
            (
                "provost-gateway",
                &[
                    ("provost-store", None),
                    ("provost-policy", None),
                    ("provost-testkit", Some("dev")),
                ],
            ),
            (
                "provost",
                &[("provost-gateway", None), ("provost-store", None)],
            ),
            ("provost-testkit", &[("tokio", None)]),
        ];
        assert!(problems(rooms).is_empty());
    }

    #[test]
    fn a_wrong_arrow_is_named() {
        let rooms: &[(&str, &[_])] = &[
            ("provost-policy", &[]),
            ("provost-store", &[]),
            (
                "provost-gateway",
                &[("rusqlite", None), ("provost-testkit", None)],
            ),
            ("provost-fleet", &[("provost-gateway", None)]),
            ("provost-testkit", &[]),
            ("provost-utils", &[]),
        ];
        let problems = problems(rooms);
        let expected = [
            "`provost-fleet` must not know `provost-gateway`",
            "only `provost-store` may depend on `rusqlite`",
            "`provost-gateway` depends on the test kit outside of tests",
            "room `provost-utils` is unknown",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_wall_holds_through_others_but_not_in_tests() {
        let rooms: &[(&str, &[_])] = &[
            (
                "provost-policy",
                &[("harmless", None), ("hyper", Some("dev"))],
            ),
            ("harmless", &[("tokio", None)]),
        ];
        let walls: Vec<String> = problems(rooms)
            .into_iter()
            .filter(|p| p.contains("contains"))
            .collect();
        assert_eq!(
            walls,
            ["`provost-policy` contains `tokio` (provost-policy → harmless → tokio)"]
        );
    }
}

//! Whether what came through the gateway is what the server said, and what may differ.

use super::wire::Said;
use serde_json::Value;
use std::collections::BTreeSet;

/// What two runs had in common. Whatever differs beyond [`Change`] fails the test instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How many answers were compared.
    pub answers: usize,
    /// How many of them were the same byte by byte.
    pub exact: usize,
    /// How many were errors, of the protocol or of a tool.
    pub errors: usize,
    /// What the gateway changed in the others.
    pub changes: BTreeSet<Change>,
}

/// What the gateway changes on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It always says that the list of tools can change, because a policy can change it.
    ListChanged,
    /// What it filters may not be kept by others, nor for long: `cacheScope` private, `ttlMs` at most a minute.
    Cache,
    /// It names the revisions that it speaks itself.
    Versions,
}

/// The longest time for which a list may be kept.
const LONGEST: u64 = 60_000;

/// Compares all answers, one by one.
///
/// # Panics
/// When they differ in something else than a [`Change`]; the message shows the first difference.
pub fn answers(what: &str, direct: &[Said], through: &[Said]) -> Outcome {
    let questions =
        |said: &[Said]| -> Vec<String> { said.iter().map(|said| said.question.clone()).collect() };
    assert_eq!(questions(direct), questions(through), "{what}");
    let mut outcome = Outcome {
        answers: direct.len(),
        exact: 0,
        errors: 0,
        changes: BTreeSet::new(),
    };
    for (direct, through) in direct.iter().zip(through) {
        let what = format!("{what}: {}", direct.question);
        assert_eq!(direct.kind, through.kind, "{what}: {}", through.text);
        let expected = parsed(&direct.text);
        let failed = direct.kind == "error" || expected["isError"] == true;
        outcome.errors += usize::from(failed);
        if direct.text == through.text {
            outcome.exact += 1;
            continue;
        }
        let (expected, found) = same(&direct.question, expected, parsed(&through.text));
        outcome.changes.extend(found.1);
        assert_eq!(
            expected.0, found.0,
            "{what}\n direct:  {}\n through: {}",
            direct.text, through.text
        );
    }
    outcome
}

/// Compares two reports of a client library, which have lost the bytes already.
///
/// # Panics
/// When they differ in something else than a [`Change`].
pub fn reports(what: &str, direct: &str, through: &str) -> BTreeSet<Change> {
    let (mut direct, mut through) = (parsed(direct), parsed(through));
    let mut changes = BTreeSet::new();
    for (name, report) in [("direct", &mut direct), ("through", &mut through)] {
        let mut found = capabilities(&mut report["server"]);
        for step in report["steps"].as_array_mut().into_iter().flatten() {
            found.extend(cache(&mut step["result"]));
            // The last progress may come together with the answer, and then a library sees it or not.
            if let Some(progress) = step.get_mut("progress").and_then(Value::as_array_mut) {
                progress.retain(|seen| seen["progress"] != seen["total"]);
            }
        }
        if name == "through" {
            changes = found;
        }
    }
    assert_eq!(direct, through, "{what}");
    changes
}

type Told = (Value, BTreeSet<Change>);

/// Both results as they have to be equal.
fn same(question: &str, direct: Value, through: Value) -> (Told, Told) {
    let adjust = |mut result: Value| {
        let mut changes = BTreeSet::new();
        if question == "initialize" || question == "server/discover" {
            changes.extend(capabilities(&mut result));
        }
        if question == "server/discover" {
            result["supportedVersions"] = Value::from("those of both");
            changes.insert(Change::Versions);
        }
        changes.extend(cache(&mut result));
        (result, changes)
    };
    (adjust(direct), adjust(through))
}

fn capabilities(server: &mut Value) -> BTreeSet<Change> {
    let Some(tools) = server.pointer_mut("/capabilities/tools") else {
        return BTreeSet::new();
    };
    tools["listChanged"] = Value::Bool(true);
    BTreeSet::from([Change::ListChanged])
}

fn cache(result: &mut Value) -> BTreeSet<Change> {
    let (Some(_), Some(ttl)) = (result.get("cacheScope"), result.get("ttlMs")) else {
        return BTreeSet::new();
    };
    let ttl = ttl.as_u64().unwrap_or(0).min(LONGEST);
    result["ttlMs"] = Value::from(ttl);
    result["cacheScope"] = Value::from("private");
    BTreeSet::from([Change::Cache])
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("no JSON ({e}): {text}"))
}

// === impl Change ===

impl Change {
    /// In a word, as a table says it.
    pub fn word(self) -> &'static str {
        match self {
            Change::ListChanged => "`listChanged`",
            Change::Cache => "cache",
            Change::Versions => "versions",
        }
    }
}

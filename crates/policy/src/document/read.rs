//! Reads a document, and notices everything that is wrong with it at once.

use super::diagnostic::Diagnostic;
use super::literal::Literal;
use super::parts::{AllTools, Body, Condition, Methods, Posture, Predicate, Tool, Version};
use super::place::{Place, Problems};
use super::{check, read_limits};
use crate::glob::Names;
use crate::json::{self, Bounds, Kind};
use crate::operator::{Matcher, Operator};
use crate::text::Text;
use crate::words::Word;

/// The parts of a document, or everything that is wrong with it.
pub(super) fn body(text: &str) -> Result<Body, Vec<Diagnostic>> {
    let mut problems = Problems::new(text);
    let (document, duplicates) = match json::read_collecting(text.as_bytes(), Bounds::default()) {
        Ok(read) => read,
        Err(error) => {
            problems.error_at(error.offset, "", error.problem.to_string(), None);
            return Err(problems.into_found());
        }
    };
    let root = Place::root(document.root());
    for duplicate in duplicates {
        let pointer = document.pointer_at(duplicate.offset);
        let hint = Some("only one of the two would count".to_owned());
        problems.error_at(
            duplicate.offset,
            &pointer,
            duplicate.problem.to_string(),
            hint,
        );
    }
    let body = document_body(&mut problems, &root);
    if let Some(body) = &body {
        check::whole(&mut problems, &root, body);
    }
    match body {
        Some(body) if problems.is_empty() => Ok(body),
        _ => Err(problems.into_found()),
    }
}

/// `None` only where a part is missing that nothing can stand in for.
fn document_body(problems: &mut Problems<'_>, root: &Place<'_>) -> Option<Body> {
    if !problems.object(root, Body::FIELDS) {
        return None;
    }
    let version = problems.required(root, "version");
    let version = version.and_then(|place| {
        if place.value.is_str(Version::One.name()) {
            return Some(Version::One);
        }
        let hint = "the version is `\"1\"`, as text".to_owned();
        problems.error(
            &place,
            format!("unknown version `{}`", place.value.raw()),
            Some(hint),
        );
        None
    });
    let posture = problems.required(root, "default");
    let posture = posture.and_then(|place| problems.word(&place, "default"));
    Some(Body {
        schema: root
            .get("$schema")
            .and_then(|place| problems.string(&place)),
        // What stands in here is never used: a problem was noted.
        version: version.unwrap_or(Version::One),
        default: posture.unwrap_or(Posture::Deny),
        description: root
            .get("description")
            .and_then(|place| problems.string(&place)),
        hide: root
            .get("hide")
            .map(|place| hide(problems, place))
            .unwrap_or_default(),
        methods: root
            .get("methods")
            .map(|place| methods(problems, &place))
            .unwrap_or_default(),
        all_tools: root
            .get("all_tools")
            .map(|place| all_tools(problems, &place))
            .unwrap_or_default(),
        tools: root
            .get("tools")
            .map(|place| tools(problems, &place))
            .unwrap_or_default(),
    })
}

fn hide(problems: &mut Problems<'_>, place: Place<'_>) -> Names {
    if place.value.is_str("*") {
        return Names::new(vec![Text::fixed("*")]);
    }
    if place.value.kind() == Kind::String {
        let hint = "only `\"*\"` may stand alone; names stand in a list".to_owned();
        problems.error(&place, "expected a list, found text", Some(hint));
        return Names::default();
    }
    names(problems, Some(place))
}

/// A list of different names.
fn names(problems: &mut Problems<'_>, place: Option<Place<'_>>) -> Names {
    let mut seen = std::collections::HashSet::new();
    Names::new(problems.list(place, |problems, place| {
        let name = problems.name(&place)?;
        if !seen.insert(name.clone()) {
            problems.error(
                &place,
                format!("`{}` is listed twice", name.escape_debug()),
                None,
            );
        }
        Some(name)
    }))
}

fn methods(problems: &mut Problems<'_>, place: &Place<'_>) -> Methods {
    if !problems.object(place, Methods::FIELDS) {
        return Methods::default();
    }
    Methods {
        allow: method_names(problems, place.get("allow")),
        deny: method_names(problems, place.get("deny")),
    }
}

fn method_names(problems: &mut Problems<'_>, place: Option<Place<'_>>) -> Names {
    if let Some(place) = &place {
        for element in place
            .elements()
            .filter(|element| element.value.is_str("tools/call"))
        {
            let hint = "tool calls are governed by `default`, `tools` and `all_tools`".to_owned();
            problems.error(
                &element,
                "`tools/call` is not governed by `methods`",
                Some(hint),
            );
        }
    }
    names(problems, place)
}

fn all_tools(problems: &mut Problems<'_>, place: &Place<'_>) -> AllTools {
    if !problems.object(place, AllTools::FIELDS) {
        return AllTools::default();
    }
    AllTools {
        require: predicates(problems, place.get("require")),
        deny_if: predicates(problems, place.get("deny_if")),
        approve_if: predicates(problems, place.get("approve_if")),
        limits: problems.list(place.get("limits"), |problems, place| {
            read_limits::limit(problems, &place)
        }),
    }
}

fn tools(problems: &mut Problems<'_>, place: &Place<'_>) -> Vec<(Text, Tool)> {
    if !problems.kind(place, Kind::Object, "an object") {
        return Vec::new();
    }
    place
        .members()
        .map(|(key, place)| (key, tool(problems, &place)))
        .collect()
}

fn tool(problems: &mut Problems<'_>, place: &Place<'_>) -> Tool {
    if !problems.object(place, Tool::FIELDS) {
        return Tool::default();
    }
    Tool {
        description: place
            .get("description")
            .and_then(|place| problems.string(&place)),
        action: place
            .get("action")
            .and_then(|place| problems.word(&place, "action")),
        reason: place
            .get("reason")
            .and_then(|place| problems.string(&place)),
        require: predicates(problems, place.get("require")),
        deny_if: predicates(problems, place.get("deny_if")),
        approve_if: predicates(problems, place.get("approve_if")),
        rate_limit: place
            .get("rate_limit")
            .and_then(|place| read_limits::rate_limit(problems, &place)),
        limits: problems.list(place.get("limits"), |problems, place| {
            read_limits::limit(problems, &place)
        }),
    }
}

fn predicates(problems: &mut Problems<'_>, place: Option<Place<'_>>) -> Vec<Predicate> {
    problems.list(place, |problems, place| {
        if !problems.object(&place, Predicate::FIELDS) {
            return None;
        }
        let conditions = problems.required(&place, "conditions");
        Some(Predicate {
            conditions: problems.list(conditions, |problems, place| condition(problems, &place)),
            on_deny: place
                .get("on_deny")
                .and_then(|place| problems.string(&place)),
        })
    })
}

fn condition(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Condition> {
    if !problems.object(place, Condition::FIELDS) {
        return None;
    }
    let path_place = problems.required(place, "path");
    let op_place = problems.required(place, "op");
    let value_place = problems.required(place, "value");
    let path = path_place.and_then(|place| problems.path(&place));
    let op = op_place.and_then(|place| problems.word::<Operator>(&place, "operator"));
    let value_place = value_place?;
    let (op, value) = (op?, Literal::from(value_place.value));
    match Matcher::new(op, &value) {
        Ok(matcher) => Some(Condition {
            path: path?,
            op,
            value,
            matcher,
        }),
        Err(bad) => {
            problems.error(&value_place, bad.message, bad.hint.map(str::to_owned));
            None
        }
    }
}

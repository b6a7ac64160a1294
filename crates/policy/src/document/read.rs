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
    problems.object(root, Body::FIELDS)?;
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
    let posture = problems.needed(root, "default", |problems, place| {
        problems.word(place, "default")
    });
    Some(Body {
        schema: problems.member(root, "$schema", Problems::string),
        // What stands in here is never used: a problem was noted.
        version: version.unwrap_or(Version::One),
        default: posture.unwrap_or(Posture::Deny),
        description: problems.member(root, "description", Problems::string),
        hide: hide(problems, root.get("hide")),
        methods: problems
            .member(root, "methods", methods)
            .unwrap_or_default(),
        all_tools: problems
            .member(root, "all_tools", all_tools)
            .unwrap_or_default(),
        tools: problems.member(root, "tools", tools).unwrap_or_default(),
    })
}

fn hide(problems: &mut Problems<'_>, place: Option<Place<'_>>) -> Names {
    match place {
        Some(place) if place.value.is_str("*") => Names::new(vec![Text::fixed("*")]),
        Some(place) if place.value.kind() == Kind::String => {
            let hint = "only `\"*\"` may stand alone; names stand in a list".to_owned();
            problems.error(&place, "expected a list, found text", Some(hint));
            Names::default()
        }
        place => names(problems, place),
    }
}

/// A list of different names.
fn names(problems: &mut Problems<'_>, place: Option<Place<'_>>) -> Names {
    let mut seen = std::collections::HashSet::new();
    Names::new(problems.list(place, |problems, place| {
        let name = problems.name(place)?;
        if !seen.insert(name.clone()) {
            let message = format!("`{}` is listed twice", name.escape_debug());
            problems.error(place, message, None);
        }
        Some(name)
    }))
}

fn methods(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Methods> {
    problems.object(place, Methods::FIELDS)?;
    Some(Methods {
        allow: method_names(problems, place.get("allow")),
        deny: method_names(problems, place.get("deny")),
    })
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

fn all_tools(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<AllTools> {
    problems.object(place, AllTools::FIELDS)?;
    Some(AllTools {
        require: predicates(problems, place.get("require")),
        deny_if: predicates(problems, place.get("deny_if")),
        approve_if: predicates(problems, place.get("approve_if")),
        limits: problems.list(place.get("limits"), read_limits::limit),
    })
}

fn tools(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Vec<(Text, Tool)>> {
    problems.kind(place, Kind::Object, "an object")?;
    let members = place.members();
    let tools = members.map(|(key, place)| (key, tool(problems, &place).unwrap_or_default()));
    Some(tools.collect())
}

fn tool(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Tool> {
    problems.object(place, Tool::FIELDS)?;
    Some(Tool {
        description: problems.member(place, "description", Problems::string),
        action: problems.choice(place, "action"),
        reason: problems.member(place, "reason", Problems::string),
        require: predicates(problems, place.get("require")),
        deny_if: predicates(problems, place.get("deny_if")),
        approve_if: predicates(problems, place.get("approve_if")),
        rate_limit: problems.member(place, "rate_limit", read_limits::rate_limit),
        limits: problems.list(place.get("limits"), read_limits::limit),
    })
}

fn predicates(problems: &mut Problems<'_>, place: Option<Place<'_>>) -> Vec<Predicate> {
    problems.list(place, |problems, place| {
        problems.object(place, Predicate::FIELDS)?;
        let conditions = problems.required(place, "conditions");
        Some(Predicate {
            conditions: problems.list(conditions, condition),
            on_deny: problems.member(place, "on_deny", Problems::string),
        })
    })
}

fn condition(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Condition> {
    problems.object(place, Condition::FIELDS)?;
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

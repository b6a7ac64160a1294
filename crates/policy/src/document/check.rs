//! Errors that show only when parts of a document are seen together.

use std::collections::{HashMap, HashSet};

use super::parts::{Body, Limit, Tool};
use super::place::{Place, Problems, escape_pointer};
use super::rules::rate_counter;
use crate::glob::Glob;
use crate::limit::{Alignment, RefundRule, Window};
use crate::text::Text;

/// What must be the same wherever a counter's name stands.
type Shape = (Window, Alignment, RefundRule);

/// So many globs are compared in pairs.
const MOST_GLOBS: usize = 256;

pub(super) fn whole(problems: &mut Problems<'_>, root: &Place<'_>, body: &Body) {
    let Some(tools) = root.get("tools") else {
        counters(problems, root, body);
        return;
    };
    for (key, place) in tools.members() {
        if key.is_empty() {
            problems.error(&place, "the name of a tool is empty", None);
        } else if key.bytes().all(|byte| byte == b'*') {
            let hint = "rules for every call stand in `all_tools`; `default` says what happens to the rest";
            problems.error(
                &place,
                format!("a bare `{key}` cannot be the name of a tool"),
                Some(hint.to_owned()),
            );
        }
    }
    globs(problems, &tools, body);
    counters(problems, root, body);
}

/// Two globs with equally many literal characters must not share a name.
fn globs(problems: &mut Problems<'_>, tools: &Place<'_>, body: &Body) {
    let globs: Vec<_> = body
        .tools
        .iter()
        .filter_map(|(key, _)| Glob::new(key).map(|glob| (key, glob)))
        .filter(|(_, glob)| glob.literals() > 0)
        .collect();
    if globs.len() > MOST_GLOBS {
        problems.error(tools, format!("more than {MOST_GLOBS} globs"), None);
        return;
    }
    for (index, (key, glob)) in globs.iter().enumerate() {
        let tie = globs
            .iter()
            .take(index)
            .find(|(_, earlier)| earlier.literals() == glob.literals() && earlier.meets(glob));
        if let (Some((earlier, _)), Some(place)) = (tie, tools.get(key)) {
            let message = format!("`{key}` and `{earlier}` cover the same names and neither wins");
            let hint = "the glob with the most literal characters wins: make one longer".to_owned();
            problems.error(&place, message, Some(hint));
        }
    }
}

/// One name, one shape, and within a list one limit per counter.
fn counters(problems: &mut Problems<'_>, root: &Place<'_>, body: &Body) {
    let mut shapes: HashMap<Text, (Shape, String)> = HashMap::new();
    let mut see = |problems: &mut Problems<'_>, place: &Place<'_>, counter: &Text, shape: Shape| {
        let (first, pointer) = shapes
            .entry(counter.clone())
            .or_insert_with(|| (shape, place.pointer.clone()));
        if *first != shape {
            let message = format!(
                "counter `{}` has another window, alignment or refund at {pointer}",
                counter.escape_debug()
            );
            let hint =
                "give it the same window, alignment and refund everywhere, or another name here";
            problems.error(place, message, Some(hint.to_owned()));
        }
    };
    let mut lists: Vec<(Option<Place<'_>>, &[Limit])> = Vec::new();
    if let Some(all_tools) = root.get("all_tools") {
        lists.push((all_tools.get("limits"), &body.all_tools.limits));
    }
    let places = root.get("tools");
    let places = places
        .iter()
        .flat_map(Place::members)
        .map(|(_, place)| place);
    for ((key, tool), place) in body.tools.iter().zip(places) {
        if let (Some(rate), Some(place)) = (&tool.rate_limit, place.get("rate_limit")) {
            let window = Window::Micros(u64::from(rate.window) * 1_000_000);
            let shape = (window, Alignment::Sliding, RefundRule::NotSent);
            see(problems, &place, &rate_counter(key), shape);
            rate_beside_limit(problems, &place, key, tool);
        }
        lists.push((place.get("limits"), &tool.limits));
    }
    for (place, limits) in lists {
        let Some(place) = place.filter(|place| place.value.len() == limits.len()) else {
            continue;
        };
        let mut seen = HashSet::new();
        for (place, limit) in place.elements().zip(limits) {
            see(problems, &place, limit.counter(), shape(limit));
            if !seen.insert((limit.counter(), limit.scope())) {
                let message = format!(
                    "counter `{}` is limited twice here",
                    limit.counter().escape_debug()
                );
                problems.error(
                    &place,
                    message,
                    Some("only the smaller `max` would count".to_owned()),
                );
            }
        }
    }
}

fn rate_beside_limit(problems: &mut Problems<'_>, place: &Place<'_>, key: &Text, tool: &Tool) {
    let counter = rate_counter(key);
    if tool.limits.iter().any(|limit| *limit.counter() == counter) {
        let message = format!("counter `{}` is limited twice here", counter.escape_debug());
        let hint = format!(
            "`rate_limit` counts as `{}`; write one of the two",
            escape_pointer(&counter)
        );
        problems.error(place, message, Some(hint));
    }
}

fn shape(limit: &Limit) -> Shape {
    match limit {
        Limit::Concurrent(_) => (Window::Concurrent, Alignment::Sliding, RefundRule::NotSent),
        Limit::Window(limit) => (
            limit.window.window,
            limit.alignment.unwrap_or_default(),
            limit.refund.unwrap_or_default(),
        ),
    }
}

//! Names that the server does not offer.

use provost_policy::document::{did_you_mean, escape_pointer};
use provost_policy::glob::Glob;
use provost_policy::{Policy, Text};

use super::found::Warnings;
use crate::offer::Offer;

pub(super) fn check(policy: &Policy, offer: &Offer, warnings: &mut Warnings) {
    named(policy).for_each(|(pointer, name)| unknown(pointer, name, offer, warnings));
}

/// The same for names that are no globs: one of these covers nothing by mistake only.
pub(super) fn exact(policy: &Policy, offer: &Offer, warnings: &mut Warnings) {
    named(policy)
        .filter(|(_, name)| Glob::new(name).is_none())
        .for_each(|(pointer, name)| unknown(pointer, name, offer, warnings));
}

/// Where a policy names tools.
fn named(policy: &Policy) -> impl Iterator<Item = (String, &Text)> {
    let body = policy.body();
    let tools = body.tools.iter();
    let tools = tools.map(|(key, _)| (format!("/tools/{}", escape_pointer(key)), key));
    let hidden = body.hide.written().iter().enumerate();
    let hidden = hidden.filter(|(_, name)| name.as_str() != "*");
    tools.chain(hidden.map(|(index, name)| (format!("/hide/{index}"), name)))
}

fn unknown(pointer: String, name: &Text, offer: &Offer, warnings: &mut Warnings) {
    let shown = name.escape_debug();
    if let Some(glob) = Glob::new(name) {
        if !offer.names().any(|tool| glob.matches(tool)) {
            warnings.add(
                pointer,
                format!("`{shown}` covers no tool of the server"),
                "",
            );
        }
    } else if !offer.names().any(|tool| tool == name.as_str()) {
        let meant = did_you_mean(name, offer.names());
        let hint = meant
            .map(|meant| format!("did you mean `{meant}`?"))
            .unwrap_or_default();
        warnings.add(pointer, format!("the server has no tool `{shown}`"), &hint);
    }
}

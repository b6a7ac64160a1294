//! Names that the server does not offer.

use provost_policy::document::{did_you_mean, escape_pointer};
use provost_policy::glob::Glob;
use provost_policy::{Policy, Text};

use super::found::Warnings;
use crate::offer::Offer;

pub(super) fn check(policy: &Policy, offer: &Offer, warnings: &mut Warnings) {
    for (key, _) in &policy.body().tools {
        unknown(
            format!("/tools/{}", escape_pointer(key)),
            key,
            offer,
            warnings,
        );
    }
    for (index, name) in policy.body().hide.written().iter().enumerate() {
        if name.as_str() != "*" {
            unknown(format!("/hide/{index}"), name, offer, warnings);
        }
    }
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

//! Names that the server does not offer.

use super::Warnings;
use crate::document::Policy;
use crate::document::diagnostic::did_you_mean;
use crate::document::offer::Offer;
use crate::document::place::escape_pointer;
use crate::glob::Glob;
use crate::text::Text;

pub(super) fn check(policy: &Policy, offer: &Offer, warnings: &mut Warnings) {
    for (key, _) in &policy.body.tools {
        unknown(
            format!("/tools/{}", escape_pointer(key)),
            key,
            offer,
            warnings,
        );
    }
    for (index, name) in policy.body.hide.written().iter().enumerate() {
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

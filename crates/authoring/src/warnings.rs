//! What works in a policy, but perhaps not as meant.

mod arguments;
mod found;
mod rules;
mod tools;
mod values;

use provost_policy::document::parts::Posture;
use provost_policy::document::{did_you_mean, escape_pointer};
use provost_policy::lengths;
use provost_policy::method::{GOVERNED, HOUSEKEEPING, MethodKind, method_kind};
use provost_policy::{Diagnostic, Policy};

use found::Warnings;

use crate::offer::Offer;

/// What works, but perhaps not as meant: rules that an agent can get past,
/// that are never reached, or that name tools and arguments which the
/// server (given its `offer`) does not have.
pub fn warnings(policy: &Policy, offer: Option<&Offer>) -> Vec<Diagnostic> {
    let mut warnings = Warnings::default();
    defaults(policy, &mut warnings);
    methods(policy, &mut warnings);
    names(policy, &mut warnings);
    rules::check(policy, &mut warnings);
    if let Some(offer) = offer {
        tools::check(policy, offer, &mut warnings);
        arguments::check(policy, offer, &mut warnings);
    }
    warnings.located(policy.text())
}

/// The tools that a policy names, other than by globs, and that the server does not have.
pub fn unknown_tools(policy: &Policy, offer: &Offer) -> Vec<Diagnostic> {
    let mut warnings = Warnings::default();
    tools::exact(policy, offer, &mut warnings);
    warnings.located(policy.text())
}

fn defaults(policy: &Policy, warnings: &mut Warnings) {
    let body = policy.body();
    let hides_all = body
        .hide
        .written()
        .iter()
        .any(|name| name.bytes().all(|byte| byte == b'*'));
    if hides_all {
        warnings.add("/hide", "every tool is hidden and refused", "");
    } else if body.default == Posture::Deny && body.tools.is_empty() {
        let hint = "list them in `tools`; `{}` allows one as it is";
        warnings.add(
            "/default",
            "no tool is allowed: nothing is listed and the default is deny",
            hint,
        );
    }
}

/// Keys of `tools` that are, or cover, no name of a tool.
fn names(policy: &Policy, warnings: &mut Warnings) {
    for (key, _) in &policy.body().tools {
        let possible = match key.contains('*') {
            true => key.split('*').all(lengths::stands_in_tool_name),
            false => lengths::is_tool_name(key),
        };
        if !possible {
            let shown = key.escape_debug();
            warnings.add(
                format!("/tools/{}", escape_pointer(key)),
                format!("no tool is called `{shown}`: calls of it are refused"),
                "names have no `/`, no `..` and no control character in them",
            );
        }
    }
}

fn methods(policy: &Policy, warnings: &mut Warnings) {
    let methods = &policy.body().methods;
    for (list, names) in [("allow", &methods.allow), ("deny", &methods.deny)] {
        for (index, name) in names.written().iter().enumerate() {
            let pointer = format!("/methods/{list}/{index}");
            let shown = name.escape_debug();
            if method_kind(name) == MethodKind::Housekeeping {
                warnings.add(
                    pointer,
                    format!("`{shown}` always passes, whatever a policy says"),
                    "",
                );
            } else if list == "allow" && !name.contains('*') && methods.deny.matches(name) {
                warnings.add(
                    pointer,
                    format!("`{shown}` is denied by `methods.deny`"),
                    "",
                );
            } else if method_kind(name) == MethodKind::Unknown && !name.contains('*') {
                let known = GOVERNED.iter().chain(HOUSEKEEPING).copied();
                if let Some(meant) = did_you_mean(name, known) {
                    let message = format!("the protocol does not know `{shown}`");
                    warnings.add(pointer, message, &format!("did you mean `{meant}`?"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

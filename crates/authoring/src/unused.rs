//! Limits that nothing has charged yet.

use provost_policy::json::Folder;
use provost_policy::{Policy, RuleId, Text};

/// The counters that calls of these tools never charge, each with the first
/// limit that names it: perhaps the limit stands on another tool than was
/// meant.
pub fn uncharged(policy: &Policy, called: &[String]) -> Vec<(Text, RuleId)> {
    let mut folder = Folder::default();
    let mut charged: Vec<&Text> = Vec::new();
    for tool in called {
        let counters = policy.counters_of(tool, &mut folder).into_iter();
        charged.extend(counters.map(|(counter, _)| counter));
    }
    let mut uncharged: Vec<(Text, RuleId)> = Vec::new();
    for (counter, limit) in policy.counters() {
        let known = uncharged.iter().any(|(known, _)| known == counter);
        if !known && !charged.contains(&counter) {
            uncharged.push((counter.clone(), limit.clone()));
        }
    }
    uncharged
}

#[cfg(test)]
mod tests;

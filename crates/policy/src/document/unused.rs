//! Limits that nothing has charged yet.

use super::Policy;
use super::rules::{Limit, Standing};
use crate::json::Folder;
use crate::limit::RuleId;
use crate::text::Text;

impl Policy {
    /// The counters that calls of these tools never charge, each with the first
    /// limit that names it: perhaps the limit stands on another tool than was
    /// meant.
    pub fn uncharged(&self, called: &[String]) -> Vec<(Text, RuleId)> {
        let mut folder = Folder::default();
        let mut charged: Vec<&Text> = Vec::new();
        for tool in called {
            let of_tool = match self.rules.standing(tool, &mut folder) {
                Standing::Listed(block) => block.rules.limits.as_slice(),
                Standing::Open => &[],
                Standing::Hidden | Standing::Lookalike | Standing::Unlisted => continue,
            };
            let limits = of_tool.iter().chain(&self.rules.all_tools.limits);
            charged.extend(limits.map(|limit| &limit.counter));
        }
        let mut uncharged: Vec<(Text, RuleId)> = Vec::new();
        for Limit { counter, id, .. } in self.rules.limits() {
            let known = uncharged.iter().any(|(known, _)| known == counter);
            if !known && !charged.contains(&counter) {
                uncharged.push((counter.clone(), id.clone()));
            }
        }
        uncharged
    }
}

#[cfg(test)]
mod tests;

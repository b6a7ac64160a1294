//! The argument keys that rules name, and keys that only look like them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::json::{KeyProblem, Kind, Value, fold};
use crate::lengths;
use crate::path::{Path, Step};
use crate::text::Text;
use crate::work::Work;

/// What looking at one key costs.
const MEMBER: usize = 8;

/// The keys that paths name, level by level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NamedKeys {
    keys: HashMap<Text, NamedKeys>,
    /// The same keys after folding.
    folded: HashSet<String>,
    indexes: BTreeMap<u32, NamedKeys>,
    every: Option<Box<NamedKeys>>,
}

// === impl NamedKeys ===

impl NamedKeys {
    pub(crate) fn add(&mut self, path: &Path) {
        self.add_steps(path.steps());
    }

    /// Whether a rule names this key at the top.
    pub(crate) fn names_key(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Refuses a key beside or instead of one that a rule names, which a
    /// careless reader could take for it. That `arguments` has no keys that
    /// fold to each other was looked at once for all rules.
    pub(crate) fn exact_keys(
        &self,
        arguments: Value<'_>,
        work: &mut Work,
    ) -> Result<(), KeyProblem> {
        if self.keys.is_empty() {
            return Ok(());
        }
        work.use_up(MEMBER * arguments.len());
        for member in arguments.members() {
            let key = member.name();
            if let Some(below) = self.keys.get(key.as_ref()) {
                below.exact_keys_in(member.value, work)?;
            } else if key.len() > lengths::KEY {
                return Err(KeyProblem::TooLong);
            } else if self.folded.contains(work.names.fold(&key)?.as_ref()) {
                return Err(KeyProblem::Lookalike(key.into_owned()));
            }
        }
        Ok(())
    }

    fn exact_keys_in(&self, value: Value<'_>, work: &mut Work) -> Result<(), KeyProblem> {
        match value.kind() {
            Kind::Object if !self.keys.is_empty() => {
                work.names.distinct_keys(value)?;
                self.exact_keys(value, work)
            }
            Kind::Array => {
                work.use_up((1 + self.indexes.len()) * value.len());
                for (index, level) in &self.indexes {
                    if let Some(element) = value.elements().nth(*index as usize) {
                        level.exact_keys_in(element, work)?;
                    }
                }
                let Some(every) = &self.every else {
                    return Ok(());
                };
                let mut elements = value.elements();
                elements.try_for_each(|element| every.exact_keys_in(element, work))
            }
            _ => Ok(()),
        }
    }

    fn add_steps(&mut self, steps: &[Step]) {
        let Some((step, rest)) = steps.split_first() else {
            return;
        };
        match step {
            Step::Key(key) => {
                self.folded.insert(fold(key).into_owned());
                self.keys.entry(key.clone()).or_default().add_steps(rest);
            }
            Step::Index(index) => self.indexes.entry(*index).or_default().add_steps(rest),
            Step::Every => self.every.get_or_insert_default().add_steps(rest),
        }
    }
}

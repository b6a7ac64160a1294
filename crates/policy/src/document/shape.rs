//! The argument keys that rules name, and keys that only look like them.

use crate::json::{Kind, Value, folded_duplicate, same_folded};
use crate::path::{Path, Step};
use crate::text::Text;

/// The keys that paths name, level by level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    keys: Vec<(Text, Shape)>,
    indexes: Vec<(u32, Shape)>,
    every: Option<Box<Shape>>,
}

// === impl Shape ===

impl Shape {
    pub(crate) fn add(&mut self, path: &Path) {
        self.add_steps(path.steps());
    }

    /// Whether a rule names this key at the top.
    pub(crate) fn names_key(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| name.as_str() == key)
    }

    /// A key beside or instead of one that a rule names, which a careless
    /// reader could take for it. `arguments` has no keys that fold to each
    /// other: that is looked at once for all rules.
    pub(crate) fn lookalike(&self, arguments: Value<'_>) -> Option<String> {
        let below = |(key, shape): &(Text, Self)| shape.lookalike_in(arguments.get(key)?);
        self.stranger(arguments)
            .or_else(|| self.keys.iter().find_map(below))
    }

    fn lookalike_in(&self, value: Value<'_>) -> Option<String> {
        match value.kind() {
            Kind::Object if !self.keys.is_empty() => {
                folded_duplicate(value).or_else(|| self.lookalike(value))
            }
            Kind::Array => {
                let one = |(index, shape): &(u32, Self)| {
                    shape.lookalike_in(value.elements().nth(*index as usize)?)
                };
                self.indexes.iter().find_map(one).or_else(|| {
                    let every = self.every.as_ref()?;
                    value
                        .elements()
                        .find_map(|element| every.lookalike_in(element))
                })
            }
            _ => None,
        }
    }

    /// A key that folds to a named one without being named itself.
    fn stranger(&self, object: Value<'_>) -> Option<String> {
        object
            .members()
            .map(|member| member.name())
            .find(|key| {
                !self.names_key(key) && self.keys.iter().any(|(name, _)| same_folded(key, name))
            })
            .map(std::borrow::Cow::into_owned)
    }

    fn add_steps(&mut self, steps: &[Step]) {
        let Some((step, rest)) = steps.split_first() else {
            return;
        };
        match step {
            Step::Key(key) => entry(&mut self.keys, key).add_steps(rest),
            Step::Index(index) => entry(&mut self.indexes, index).add_steps(rest),
            Step::Every => self.every.get_or_insert_default().add_steps(rest),
        }
    }
}

fn entry<'s, K: PartialEq + Clone>(list: &'s mut Vec<(K, Shape)>, key: &K) -> &'s mut Shape {
    let index = list
        .iter()
        .position(|(known, _)| known == key)
        .unwrap_or(list.len());
    if index == list.len() {
        list.push((key.clone(), Shape::default()));
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "the index was found or pushed just above"
    )]
    &mut list[index].1
}

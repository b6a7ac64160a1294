//! Names that only look alike: NFKC, full case folding, and no invisible
//! characters.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::Value;
use crate::invisible::is_ignorable;
use crate::lengths;

/// Above this many keys a hash set finds duplicates, below it comparing pairs.
pub(super) const FEW_KEYS: usize = 16;

/// Folds the names of one message: each different one once, ASCII never, and
/// no more bytes than its budget. Whoever looks at names is handed one.
#[derive(Debug, Clone)]
pub struct Folder {
    left: usize,
    known: HashMap<Box<str>, Arc<str>>,
}

/// More names would have to be folded than one message may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "has more than {} KiB of names that are not plain ASCII",
    lengths::FOLDED / 1024
)]
pub struct TooMuchToFold;

/// Why the keys of an object are refused, in words that follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// A key equals an earlier one after folding.
    #[error("has two members that read as `{}`", .0.escape_debug())]
    Duplicate(String),
    /// A key folds to a known name without being it.
    #[error("has a member `{}` that only looks like a known one", .0.escape_debug())]
    Lookalike(String),
    /// A key has a control character in it, at which some readers end a name.
    #[error("has a member `{}` with a control character in its name", .0.escape_debug())]
    Control(String),
    /// A key is longer than [`lengths::KEY`].
    #[error("has a member whose name is longer than {} bytes", lengths::KEY)]
    TooLong,
    /// There are more keys than [`lengths::KEYS`].
    #[error("has more than {} members", lengths::KEYS)]
    TooMany,
    /// The keys would cost too much.
    #[error(transparent)]
    TooMuch(#[from] TooMuchToFold),
}

/// The form in which look-alikes are equal. Lower-case ASCII costs nothing.
///
/// For names out of policies and for short ones; names out of messages go
/// through a [`Folder`], which knows when it is enough.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return lower(text);
    }
    let visible = text.chars().filter(|&character| !is_ignorable(character));
    // Folding may undo the normal form, so it is made twice.
    Cow::Owned(visible.nfkc().default_case_fold().nfkc().collect())
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

// === impl Folder ===

impl Default for Folder {
    /// The budget of one message.
    fn default() -> Self {
        Self::with_budget(lengths::FOLDED)
    }
}

impl Folder {
    /// Folds up to so many bytes of different names that are not ASCII.
    pub fn with_budget(bytes: usize) -> Self {
        Self {
            left: bytes,
            known: HashMap::new(),
        }
    }

    /// How many bytes it may still fold.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The form in which look-alikes are equal.
    pub fn fold<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, TooMuchToFold> {
        if text.is_ascii() {
            return Ok(lower(text));
        }
        if let Some(folded) = self.known.get(text) {
            return Ok(Cow::Owned(folded.to_string()));
        }
        self.left = self.left.checked_sub(text.len()).ok_or(TooMuchToFold)?;
        let folded = fold(text);
        self.known.insert(text.into(), folded.as_ref().into());
        Ok(folded)
    }

    /// Whether two names are equal after folding.
    pub fn same(&mut self, left: &str, right: &str) -> Result<bool, TooMuchToFold> {
        if left.is_ascii() && right.is_ascii() {
            return Ok(left.eq_ignore_ascii_case(right));
        }
        Ok(self.fold(left)? == self.fold(right)?)
    }

    /// Refuses keys that equal each other after folding, and keys that are too
    /// long, or too many, to be looked at. That no two are exactly equal is the reader's
    /// promise.
    pub fn distinct_keys(&mut self, object: Value<'_>) -> Result<(), KeyProblem> {
        few_enough(object)?;
        let (mut ascii, mut as_folded) = (true, true);
        for member in object.members() {
            let name = member.name();
            if name.len() > lengths::KEY {
                return Err(KeyProblem::TooLong);
            }
            if name.chars().any(char::is_control) {
                return Err(KeyProblem::Control(name.into_owned()));
            }
            ascii &= name.is_ascii();
            as_folded &= ascii && !name.bytes().any(|byte| byte.is_ascii_uppercase());
        }
        if as_folded {
            return Ok(());
        }
        if ascii && object.len() <= FEW_KEYS {
            return few_distinct(object);
        }
        let mut seen = HashSet::with_capacity(object.len());
        for member in object.members() {
            let name = member.name();
            if !seen.insert(self.fold(&name)?.into_owned()) {
                return Err(KeyProblem::Duplicate(name.into_owned()));
            }
        }
        Ok(())
    }

    /// Refuses a key that folds to one of these names without being one.
    pub fn exact_keys(&mut self, object: Value<'_>, exact: &[&str]) -> Result<(), KeyProblem> {
        few_enough(object)?;
        for member in object.members() {
            let key = member.name();
            if key.len() > lengths::KEY {
                return Err(KeyProblem::TooLong);
            }
            if exact.contains(&key.as_ref()) {
                continue;
            }
            if key.chars().any(char::is_control) {
                return Err(KeyProblem::Control(key.into_owned()));
            }
            let folded = self.fold(&key)?;
            let reads_as = |name: &&str| match name.is_ascii() {
                true => folded.eq_ignore_ascii_case(name),
                false => folded == fold(name),
            };
            if exact.iter().any(reads_as) {
                return Err(KeyProblem::Lookalike(key.into_owned()));
            }
        }
        Ok(())
    }
}

/// Refuses more keys than anybody means.
fn few_enough(object: Value<'_>) -> Result<(), KeyProblem> {
    match object.len() > lengths::KEYS {
        true => Err(KeyProblem::TooMany),
        false => Ok(()),
    }
}

/// For a few ASCII keys, where a hash set would cost more than it saves.
fn few_distinct(object: Value<'_>) -> Result<(), KeyProblem> {
    let twin = object.members().enumerate().find(|(index, later)| {
        let earlier = object.members().take(*index);
        let later = later.name();
        earlier
            .map(|member| member.name())
            .any(|name| name.eq_ignore_ascii_case(&later))
    });
    match twin {
        Some((_, member)) => Err(KeyProblem::Duplicate(member.name().into_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

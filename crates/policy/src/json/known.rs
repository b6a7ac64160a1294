//! Names that are known, to find the one that another only looks like.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::fold::{Folder, TooMuchToFold};

/// A list of names, each folded once: when it was added.
#[derive(Debug, Clone, Default)]
pub struct KnownNames {
    exact: HashSet<Arc<str>>,
    folded: HashMap<Arc<str>, Arc<str>>,
}

// === impl KnownNames ===

impl KnownNames {
    /// Adds a name. One that would cost too much to fold is not added.
    pub fn insert(&mut self, name: &str, folder: &mut Folder) -> Result<(), TooMuchToFold> {
        if self.exact.contains(name) {
            return Ok(());
        }
        let folded = folder.fold(name)?;
        let name: Arc<str> = name.into();
        let folded = if *folded == *name {
            Arc::clone(&name)
        } else {
            folded.as_ref().into()
        };
        self.folded
            .entry(folded)
            .or_insert_with(|| Arc::clone(&name));
        self.exact.insert(name);
        Ok(())
    }

    /// The known name that this one only looks like; none for a known name.
    pub fn twin(&self, name: &str, folder: &mut Folder) -> Result<Option<&str>, TooMuchToFold> {
        if self.exact.contains(name) {
            return Ok(None);
        }
        let folded = folder.fold(name)?;
        Ok(self.folded.get(folded.as_ref()).map(AsRef::as_ref))
    }

    /// Whether the name is known, exactly so.
    pub fn contains(&self, name: &str) -> bool {
        self.exact.contains(name)
    }

    /// The names, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(AsRef::as_ref)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.exact.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.exact.clear();
        self.folded.clear();
    }
}

//! Which lines must not be used.

use std::collections::BTreeMap;

/// Stretches of segments: where each begins, and where it ends. A segment can
/// hold millions of bad lines; most of them follow one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unusable(BTreeMap<(u32, u64), u64>);

// === impl Unusable ===

impl Unusable {
    /// Adds a line. They are added in order.
    pub(super) fn add(&mut self, segment: u32, begin: u64, end: u64) {
        if let Some(mut last) = self.0.last_entry()
            && last.key().0 == segment
            && *last.get() == begin
        {
            *last.get_mut() = end;
            return;
        }
        self.0.insert((segment, begin), end);
    }

    /// Whether the line that begins there is one.
    pub(crate) fn has(&self, segment: u32, begin: u64) -> bool {
        let before = self.0.range(..=(segment, begin)).next_back();
        before.is_some_and(|((found, _), end)| *found == segment && begin < *end)
    }

    #[cfg(test)]
    pub(crate) fn stretches(&self) -> usize {
        self.0.len()
    }
}

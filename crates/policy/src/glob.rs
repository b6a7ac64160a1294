//! Names with `*` in them.

use crate::json::fold;
use crate::text::Text;

/// A pattern in which only `*` is special: it stands for any text, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: Text,
    folded: Text,
    literals: usize,
}

/// A list of names and globs, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    written: Vec<Text>,
    exact: std::collections::HashSet<Text>,
    globs: Vec<Glob>,
}

// === impl Glob ===

impl Glob {
    /// `None` when the text has no `*` and so is a plain name.
    pub fn new(text: &Text) -> Option<Self> {
        text.contains('*').then(|| Self {
            text: text.clone(),
            folded: Text::from(fold(text).as_ref()),
            literals: text.chars().filter(|&character| character != '*').count(),
        })
    }

    /// How many characters are not `*`: the glob with the most wins.
    pub(crate) fn literals(&self) -> usize {
        self.literals
    }

    /// Whether it covers the name.
    pub fn matches(&self, name: &str) -> bool {
        covers(self.text.as_bytes(), name.as_bytes())
    }

    /// Whether it covers the name when both are folded.
    pub(crate) fn matches_folded(&self, folded: &str) -> bool {
        covers(self.folded.as_bytes(), folded.as_bytes())
    }

    /// Whether folding leaves it as it is.
    pub(crate) fn is_folded(&self) -> bool {
        self.text == self.folded
    }

    /// Whether some name is covered by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        meet(self.text.as_bytes(), other.text.as_bytes())
    }
}

// === impl Names ===

impl Names {
    pub(crate) fn new(written: Vec<Text>) -> Self {
        let globs: Vec<_> = written.iter().filter_map(Glob::new).collect();
        let exact = written
            .iter()
            .filter(|name| !name.contains('*'))
            .cloned()
            .collect();
        Self {
            written,
            exact,
            globs,
        }
    }

    /// The list as it was written.
    pub fn written(&self) -> &[Text] {
        &self.written
    }

    /// Whether the list has the name, or a glob that covers it.
    pub fn matches(&self, name: &str) -> bool {
        self.exact.contains(name) || self.globs.iter().any(|glob| glob.matches(name))
    }

    /// Whether a glob covers the name when both are folded.
    pub(crate) fn matches_folded(&self, folded: &str) -> bool {
        self.globs.iter().any(|glob| glob.matches_folded(folded))
    }

    pub(crate) fn exact(&self) -> impl Iterator<Item = &Text> {
        self.exact.iter()
    }
}

/// Goes back only to the last `*`, so it takes at most length times length.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut last_star = None;
    while let Some(&byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, n));
                p += 1;
            }
            Some(&literal) if literal == byte => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, from)) = last_star else {
                    return false;
                };
                last_star = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

/// Whether two patterns have a name in common: row by row over one pattern,
/// remembering which beginnings of the other can stand beside it.
fn meet(left: &[u8], right: &[u8]) -> bool {
    let start_of = |pattern: &[u8]| pattern.iter().take_while(|&&byte| byte != b'*').count();
    let shared = start_of(left).min(start_of(right));
    if left.get(..shared) != right.get(..shared) {
        return false;
    }
    // `row` answers for the beginning of `left` so far and each beginning of
    // `right`, the empty one first.
    let mut row: Vec<bool> = std::iter::once(true)
        .chain(right.iter().scan(true, |all, &byte| {
            *all &= byte == b'*';
            Some(*all)
        }))
        .collect();
    for &l in left {
        let mut next = Vec::with_capacity(row.len());
        let mut before = row.first().copied().unwrap_or(false) && l == b'*';
        next.push(before);
        for (&r, pair) in right.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            before = match (l, r) {
                // A star beside anything: it stands for nothing, or for one more.
                (b'*', _) | (_, b'*') => above || before || diagonal,
                (l, r) => diagonal && l == r,
            };
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests;

//! Long lists come in pages.

use serde::{Deserialize, Serialize};

use crate::{Failure, Outcome};

/// The most of one page; whoever wants more asks again.
pub const PAGE: u32 = 1_000;

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Where the page before ended: its [`Page::next`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// At most so many, and never more than [`PAGE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// Where the next one begins, if there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

// === impl Paging ===

impl Paging {
    /// How many a page has.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE).clamp(1, PAGE) as usize
    }

    /// The part of a sorted list; `key` says where an item stands in it, so that what is added or
    /// removed between two pages moves nothing.
    pub(crate) fn cut<T, K: Ord>(
        &self,
        all: Vec<T>,
        key: impl Fn(&T) -> K,
        read: impl Fn(&str) -> Option<K>,
        write: impl Fn(&T) -> String,
    ) -> Outcome<Page<T>> {
        let after = match &self.cursor {
            None => None,
            Some(cursor) => Some(read(cursor).ok_or_else(|| {
                Failure::usage(format!("`{cursor}` is not a place in this list"))
                    .hint("begin without a cursor, and go on with the one in each answer")
            })?),
        };
        let mut rest = all
            .into_iter()
            .skip_while(|item| after.as_ref().is_some_and(|after| key(item) <= *after));
        let items: Vec<T> = rest.by_ref().take(self.limit()).collect();
        let next = rest.next().and_then(|_| items.last()).map(write);
        Ok(Page { items, next })
    }
}

// === impl Page ===

impl<T> Page<T> {
    /// The page with each item as something else, unless one cannot be.
    pub(crate) fn try_map<U>(self, map: impl FnMut(T) -> Outcome<U>) -> Outcome<Page<U>> {
        Ok(Page {
            items: self.items.into_iter().map(map).collect::<Outcome<_>>()?,
            next: self.next,
        })
    }

    /// The page with each item as something else.
    pub(crate) fn map<U>(self, map: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(map).collect(),
            next: self.next,
        }
    }
}

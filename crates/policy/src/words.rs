//! Closed sets of words: each has one list, and whatever needs the set is made from it.

/// A closed set whose members have a word of the language each.
pub trait Word: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The word for it in a document.
    fn name(self) -> &'static str;
}

/// Declares such a set: a member cannot be left out of the list, nor lack its word.
#[macro_export]
macro_rules! words {
    (
        $(#[$about:meta])*
        $vis:vis enum $name:ident { $($(#[$member_about:meta])* $member:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        $vis enum $name { $($(#[$member_about])* $member,)+ }

        impl $crate::words::Word for $name {
            const ALL: &'static [Self] = &[$(Self::$member),+];

            fn name(self) -> &'static str {
                match self { $(Self::$member => $word),+ }
            }
        }
    };
}

pub(crate) use words;

/// The member with this word.
pub fn named<T: Word>(word: &str) -> Option<T> {
    T::ALL.iter().copied().find(|member| member.name() == word)
}

/// All words of a set, in order.
pub fn names<T: Word>() -> Vec<&'static str> {
    T::ALL.iter().map(|member| member.name()).collect()
}

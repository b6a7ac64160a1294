//! Closed sets of words that stand in the journal or the database: each has one list, and whatever needs the set is
//! made from it.

/// Declares such a set: a member cannot be left out of the list, nor lack its word.
macro_rules! words {
    (
        $(#[$about:meta])*
        $vis:vis enum $name:ident with $word:ident {
            $($(#[$member_about:meta])* $member:ident = $text:literal,)+
        }
    ) => {
        $(#[$about])*
        $vis enum $name { $($(#[$member_about])* $member,)+ }

        impl $name {
            /// All of them.
            $vis const ALL: [Self; [$($text),+].len()] = [$(Self::$member),+];

            /// Its word there.
            $vis const fn $word(self) -> &'static str {
                match self { $(Self::$member => $text),+ }
            }
        }
    };
}

pub(crate) use words;

//! Names that only look alike: NFKC, full case folding, and no invisible
//! characters.

use std::borrow::Cow;
use std::collections::HashSet;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::Value;

/// Above this many keys a hash set finds duplicates, below it comparing pairs.
pub(super) const FEW_KEYS: usize = 16;

/// The form in which look-alikes are equal. Lower-case ASCII costs nothing.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let visible = text.chars().filter(|&character| !is_invisible(character));
    // Folding may undo the normal form, so it is made twice.
    Cow::Owned(visible.nfkc().default_case_fold().nfkc().collect())
}

/// Whether two names are equal after folding.
pub fn same_folded(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        left.eq_ignore_ascii_case(right)
    } else {
        fold(left) == fold(right)
    }
}

/// A key of the object that equals an earlier key after folding.
pub fn folded_duplicate(object: Value<'_>) -> Option<String> {
    let names = || object.members().map(|member| member.name());
    if object.len() <= FEW_KEYS {
        return names()
            .enumerate()
            .find(|(index, name)| {
                names()
                    .take(*index)
                    .any(|earlier| same_folded(&earlier, name))
            })
            .map(|(_, name)| name.into_owned());
    }
    let mut seen = HashSet::with_capacity(object.len());
    names()
        .find(|name| !seen.insert(fold(name).into_owned()))
        .map(Cow::into_owned)
}

/// A key of the object that folds to one of these names without being one.
pub fn lookalike(object: Value<'_>, exact: &[&str]) -> Option<String> {
    object
        .members()
        .map(|member| member.name())
        .find(|key| {
            !exact.contains(&key.as_ref()) && exact.iter().any(|name| same_folded(key, name))
        })
        .map(Cow::into_owned)
}

/// Characters that readers drop or do not show (Unicode's default ignorables).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

//! The one list of characters that people do not see as what they are.

/// Characters that readers drop or do not show: Unicode's default ignorables.
/// Two names that differ in these alone look the same.
pub fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character moves a cursor, ends a line, turns the reading
/// direction or cannot be seen: never shown raw.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
        || is_ignorable(character)
}

/// Appends a character as JSON escapes it: `\u` and four digits, twice beyond
/// the first plane.
pub fn push_escaped(out: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d91_what_steers_or_hides_is_on_the_list_and_letters_are_not() {
        for hidden in [
            '\0',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\u{ad}',
            '\u{200b}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{feff}',
            '\u{fffb}',
            '\u{e0041}',
        ] {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        for seen in ['a', ' ', 'ß', '日', '🎉', '\\', '"'] {
            assert!(!is_hidden(seen), "{seen:?}");
        }
    }

    #[test]
    fn d91_escapes_are_those_of_json() {
        let escaped = |character| {
            let mut out = String::new();
            push_escaped(&mut out, character);
            out
        };
        assert_eq!(escaped('\u{9b}'), "\\u009b");
        assert_eq!(escaped('\u{e0041}'), "\\udb40\\udc41");
    }
}

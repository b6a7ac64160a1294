//! `argv_in`: a command that starts with one of the given words.
//!
//! A grammar of what is harmless, not a list of what is harmful: whatever a
//! shell could read as more than plain words is *cannot tell*. What a listed
//! program does with its own arguments cannot be seen from here.

use super::{Answer, BadValue};
use crate::document::literal::Literal;
use crate::json::{Folder, Kind, Value};

/// First words of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefixes(Vec<Vec<String>>);

const SHELL: &str = "has shell syntax in it";

// === impl Prefixes ===

impl Prefixes {
    /// Each prefix is a list of words, or one text with spaces between them.
    pub(super) fn new(value: &Literal) -> Result<Self, BadValue> {
        let needed = || BadValue {
            message: "`argv_in` needs a list of commands".to_owned(),
            hint: Some("a command is a list of words, such as `[\"git\", \"status\"]`"),
        };
        let Literal::Array(commands) = value else {
            return Err(needed());
        };
        commands
            .iter()
            .map(|command| {
                let words: Vec<String> = match command {
                    Literal::String(text) => text.split(' ').map(str::to_owned).collect(),
                    Literal::Array(words) => words
                        .iter()
                        .map(|word| match word {
                            Literal::String(word) => Ok(word.clone()),
                            _ => Err(needed()),
                        })
                        .collect::<Result<_, _>>()?,
                    _ => return Err(needed()),
                };
                if words.is_empty() || !words.iter().all(|word| is_plain(word)) {
                    return Err(BadValue {
                        message: format!(
                            "the command `{}` is not made of plain words",
                            words.join(" ").escape_debug()
                        ),
                        hint: Some("words have no quotes, spaces or shell syntax"),
                    });
                }
                Ok(words)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn ask(&self, value: Value<'_>) -> Answer {
        match value.kind() {
            Kind::String => {
                let text = value.as_str().unwrap_or_default();
                self.ask_words(text.split(' ').filter(|word| !word.is_empty()), is_plain)
            }
            Kind::Array => {
                if value
                    .elements()
                    .any(|element| element.kind() != Kind::String)
                {
                    return Answer::CannotTell("is a list of something else than texts");
                }
                let words: Vec<_> = value.elements().filter_map(Value::as_str).collect();
                // Nobody splits these again, but a tool may hand them to a shell.
                self.ask_words(words.iter().map(AsRef::as_ref), |word| {
                    word.split(' ')
                        .all(|part| part.is_empty() || is_plain(part))
                        && !word.is_empty()
                })
            }
            _ => Answer::CannotTell("is neither a command nor a list of words"),
        }
    }

    fn ask_words<'w>(
        &self,
        words: impl Iterator<Item = &'w str> + Clone,
        plain: impl Fn(&str) -> bool,
    ) -> Answer {
        let Some(program) = words.clone().next() else {
            return Answer::CannotTell("is empty");
        };
        if !words.clone().all(plain) || program.contains('=') {
            return Answer::CannotTell(SHELL);
        }
        let begins = |same: &mut dyn FnMut(&str, &str) -> bool| {
            self.0.iter().any(|prefix| {
                let mut words = words.clone();
                prefix
                    .iter()
                    .all(|wanted| words.next().is_some_and(|word| same(word, wanted)))
            })
        };
        if begins(&mut |word, wanted| word == wanted) {
            return Answer::Yes;
        }
        // `/bin/rm` or `RM` may well be `rm`, and so may what cannot be folded.
        let mut folder = Folder::default();
        let mut loosely = |word: &str, wanted: &str| {
            let same = folder.same(program_name(word), program_name(wanted));
            same.unwrap_or(true)
        };
        if begins(&mut loosely) {
            return Answer::CannotTell("differs from a listed command only in its spelling");
        }
        Answer::No
    }
}

/// A program without the directory it stands in.
fn program_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

/// Letters, digits and signs that mean nothing to any shell.
fn is_plain(word: &str) -> bool {
    let harmless = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | ':' | '@' | ',' | '+' | '=' | '-')
    };
    // zsh reads `=ls` as the path of `ls`.
    !word.is_empty() && word.chars().all(harmless) && !word.starts_with('=')
}

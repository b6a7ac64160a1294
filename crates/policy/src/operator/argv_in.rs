//! `argv_in`: a command that starts with one of the given words.
//!
//! A grammar of what is harmless, not a list of what is harmful: whatever a
//! shell could read as more than plain words is *cannot tell*. What a listed
//! program does with its own arguments cannot be seen from here.

use std::borrow::Cow;

use super::{Answer, Asked, BadValue, Operator, bad, fold_cost};
use crate::document::Literal;
use crate::json::{Kind, Value, fold};
use crate::work::{Exhausted, Work};

/// First words of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefixes {
    listed: Vec<Vec<Listed>>,
    /// Words of the longest one.
    longest: usize,
}

/// A word of a listed command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    text: String,
    /// Without a directory, and folded.
    name: String,
}

/// A word of a command that is asked about.
struct Word<'w> {
    text: &'w str,
    name: Cow<'w, str>,
}

/// How a command stands to a listed one.
enum Begins {
    Yes,
    No,
    Perhaps(&'static str),
}

const SHELL: &str = "has shell syntax in it";
const SPACE: &str = "has a space inside a word that a listed command is compared with";
/// What taking a word out of a list costs.
const WORD: usize = 16;
/// What comparing with a listed word costs.
const LISTED: usize = 4;

// === impl Prefixes ===

impl Prefixes {
    /// Each prefix is a list of words, or one text with spaces between them.
    pub(super) fn new(operator: Operator, value: &Literal) -> Result<Self, BadValue> {
        let needed = || BadValue {
            hint: Some("a command is a list of words, such as `[\"git\", \"status\"]`"),
            ..bad(operator)
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
                Ok(words.into_iter().map(Listed::new).collect())
            })
            .collect::<Result<_, _>>()
            .map(Self::of)
    }

    fn of(listed: Vec<Vec<Listed>>) -> Self {
        let longest = listed.iter().map(Vec::len).max().unwrap_or_default();
        Self { listed, longest }
    }

    pub(super) fn ask(&self, value: Value<'_>, work: &mut Work) -> Asked {
        // Its text, of all words together.
        work.spend(value.raw().len())?;
        match value.kind() {
            Kind::String => {
                let text = work.words(value)?;
                let text = text.as_deref().unwrap_or_default();
                let words = text.split(' ').filter(|word| !word.is_empty());
                self.ask_words(words, is_plain, work)
            }
            Kind::Array => {
                let text = |element: Value<'_>| element.kind() == Kind::String;
                if !value.elements().all(text) {
                    return Ok(Answer::CannotTell(
                        "is a list in which not everything is text",
                    ));
                }
                work.spend(WORD * value.len())?;
                let words: Vec<_> = value.elements().filter_map(Value::as_str).collect();
                // Nobody splits these again, but a tool may hand them to a shell.
                let plain = |word: &str| {
                    let mut parts = word.split(' ');
                    !word.is_empty() && parts.all(|part| part.is_empty() || is_plain(part))
                };
                self.ask_words(words.iter().map(AsRef::as_ref), plain, work)
            }
            _ => Ok(Answer::CannotTell(
                "is neither a command nor a list of words",
            )),
        }
    }

    fn ask_words<'w>(
        &self,
        words: impl Iterator<Item = &'w str> + Clone,
        plain: impl Fn(&str) -> bool,
        work: &mut Work,
    ) -> Asked {
        let Some(program) = words.clone().next() else {
            return Ok(Answer::CannotTell("is empty"));
        };
        if !words.clone().all(plain) || program.contains('=') {
            return Ok(Answer::CannotTell(SHELL));
        }
        let first = words.take(self.longest).map(|word| Word::new(word, work));
        let first = first.collect::<Result<Vec<_>, _>>()?;
        work.spend(LISTED * self.listed.iter().map(Vec::len).sum::<usize>())?;
        let mut together = Answer::No;
        for prefix in &self.listed {
            match begins(prefix, &first) {
                Begins::Yes => return Ok(Answer::Yes),
                Begins::Perhaps(why) => together = Answer::CannotTell(why),
                Begins::No => {}
            }
        }
        Ok(together)
    }
}

// === impl Listed ===

impl Listed {
    fn new(text: String) -> Self {
        let name = fold(program_name(&text)).into_owned();
        Self { text, name }
    }
}

// === impl Word ===

impl<'w> Word<'w> {
    fn new(text: &'w str, work: &mut Work) -> Result<Self, Exhausted> {
        work.spend(fold_cost(text))?;
        let name = fold(program_name(text));
        Ok(Self { text, name })
    }
}

/// Word by word; a word that surely is another one decides.
fn begins(prefix: &[Listed], words: &[Word<'_>]) -> Begins {
    let mut all = Begins::Yes;
    let mut words = words.iter();
    for wanted in prefix {
        let Some(word) = words.next() else {
            return Begins::No;
        };
        if word.text.contains(' ') {
            // A tool that joins the words and has them read again finds others.
            return Begins::Perhaps(SPACE);
        }
        if word.text != wanted.text {
            // `/bin/rm` or `RM` may well be `rm`.
            if word.name != wanted.name {
                return Begins::No;
            }
            all = Begins::Perhaps("differs from a listed command only in its spelling");
        }
    }
    all
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

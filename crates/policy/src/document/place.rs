//! Walking a document while remembering where one is, and collecting
//! everything that is wrong.

use crate::json::{Kind, Value, line_column};
use crate::path::Path;
use crate::text::Text;
use crate::words::{self, Word};

use super::diagnostic::{Diagnostic, Severity, did_you_mean};

/// A value and its JSON pointer.
#[derive(Debug, Clone)]
pub(super) struct Place<'d> {
    pub(super) value: Value<'d>,
    pub(super) pointer: String,
}

/// Everything that is wrong with a document.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
}

/// More findings than this help nobody.
const MOST_FINDINGS: usize = 100;

// === impl Place ===

impl<'d> Place<'d> {
    pub(super) fn root(value: Value<'d>) -> Self {
        Self {
            value,
            pointer: String::new(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Self> {
        self.value.get(key).map(|value| self.below(key, value))
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (Text, Self)> {
        self.value.members().map(|member| {
            let name = member.name();
            (Text::from(name.as_ref()), self.below(&name, member.value))
        })
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = Self> {
        self.value
            .elements()
            .enumerate()
            .map(|(index, value)| self.below(&index.to_string(), value))
    }

    fn below(&self, segment: &str, value: Value<'d>) -> Self {
        Self {
            value,
            pointer: format!("{}/{}", self.pointer, escape_pointer(segment)),
        }
    }
}

// === impl Problems ===

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    /// All that was found, in the order of the text.
    pub(super) fn into_found(mut self) -> Vec<Diagnostic> {
        self.found
            .sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        self.found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn error(
        &mut self,
        place: &Place<'_>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.error_at(place.value.span().start, &place.pointer, message, hint);
    }

    pub(super) fn error_at(
        &mut self,
        offset: usize,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.found.len() < MOST_FINDINGS {
            let (line, column) = line_column(self.text.as_bytes(), offset);
            let (pointer, message) = (pointer.to_owned(), message.into());
            self.found.push(Diagnostic {
                severity: Severity::Error,
                pointer,
                line,
                column,
                message,
                hint,
            });
        }
    }

    /// An object without members that nobody knows.
    pub(super) fn object(&mut self, place: &Place<'_>, known: &[&str]) -> Option<()> {
        self.kind(place, Kind::Object, "an object")?;
        for member in place.value.members() {
            let name = member.name();
            if !known.contains(&name.as_ref()) {
                let pointer = format!("{}/{}", place.pointer, escape_pointer(&name));
                let hint = suggestion(&name, known);
                let message = format!("unknown field `{}`", name.escape_debug());
                self.error_at(member.key.span().start, &pointer, message, Some(hint));
            }
        }
        Some(())
    }

    /// What `read` makes of a member, where there is one.
    pub(super) fn member<'d, T>(
        &mut self,
        place: &Place<'d>,
        key: &str,
        read: impl FnOnce(&mut Self, &Place<'d>) -> Option<T>,
    ) -> Option<T> {
        read(self, &place.get(key)?)
    }

    /// The same for one that must be there.
    pub(super) fn needed<'d, T>(
        &mut self,
        place: &Place<'d>,
        key: &str,
        read: impl FnOnce(&mut Self, &Place<'d>) -> Option<T>,
    ) -> Option<T> {
        let place = self.required(place, key)?;
        read(self, &place)
    }

    /// A member that must be there.
    pub(super) fn required<'d>(&mut self, place: &Place<'d>, key: &str) -> Option<Place<'d>> {
        let found = place.get(key);
        if found.is_none() {
            self.error(place, format!("`{key}` is missing"), None);
        }
        found
    }

    pub(super) fn kind(&mut self, place: &Place<'_>, kind: Kind, words: &str) -> Option<()> {
        let found = place.value.kind();
        if found == kind {
            return Some(());
        }
        let message = format!("expected {words}, found {}", kind_words(found));
        self.error(place, message, None);
        None
    }

    pub(super) fn string(&mut self, place: &Place<'_>) -> Option<Text> {
        self.kind(place, Kind::String, "text")?;
        Some(Text::from(place.value.as_str()?.as_ref()))
    }

    /// Text that is not empty.
    pub(super) fn name(&mut self, place: &Place<'_>) -> Option<Text> {
        let text = self.string(place)?;
        if text.is_empty() {
            self.error(place, "the name is empty", None);
            return None;
        }
        Some(text)
    }

    /// A path into the arguments.
    pub(super) fn path(&mut self, place: &Place<'_>) -> Option<Path> {
        let text = self.string(place)?;
        match Path::parse(&text) {
            Ok(path) => Some(path),
            Err(why) => {
                let hint =
                    "paths look like `args.user.name`, `args.items[0]` or `args.items[*].id`"
                        .to_owned();
                self.error(
                    place,
                    format!("invalid path `{}`: {why}", text.escape_debug()),
                    Some(hint),
                );
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Word>(&mut self, place: &Place<'_>, what: &str) -> Option<T> {
        let text = self.string(place)?;
        let found = words::named(&text);
        if found.is_none() {
            let hint = suggestion(&text, &words::names::<T>());
            self.error(
                place,
                format!("unknown {what} `{}`", text.escape_debug()),
                Some(hint),
            );
        }
        found
    }

    /// The same of a member.
    pub(super) fn choice<T: Word>(&mut self, place: &Place<'_>, key: &str) -> Option<T> {
        self.member(place, key, |problems, place| problems.word(place, key))
    }

    /// Every element of a list, each read by `read`.
    pub(super) fn list<'d, T>(
        &mut self,
        place: Option<Place<'d>>,
        mut read: impl FnMut(&mut Self, &Place<'d>) -> Option<T>,
    ) -> Vec<T> {
        let is_list = |place: &Place<'_>| self.kind(place, Kind::Array, "a list").is_some();
        let Some(place) = place.filter(is_list) else {
            return Vec::new();
        };
        let elements = place.elements();
        elements
            .filter_map(|element| read(self, &element))
            .collect()
    }
}

/// A segment of a JSON pointer, escaped (RFC 6901).
pub fn escape_pointer(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn suggestion(written: &str, known: &[&str]) -> String {
    match did_you_mean(written, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known ones are {}", in_words(known)),
    }
}

/// "`a`, `b` and `c`".
pub fn in_words(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool => "true or false",
        Kind::Number => "a number",
        Kind::String => "text",
        Kind::Array => "a list",
        Kind::Object => "an object",
    }
}

//! A strict JSON reader.

/// A document that was read.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
}

/// One value of a document.
#[derive(Debug, Clone, Copy)]
pub struct Value<'d> {
    #[expect(dead_code, reason = "the reader follows")]
    document: &'d Document<'d>,
}

impl<'a> Document<'a> {
    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }
}

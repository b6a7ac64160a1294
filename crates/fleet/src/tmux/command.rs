//! What tmux is told, as one line. Words are data whatever they contain.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

/// Commands that are done together, in order, until one fails.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    line: Vec<u8>,
    count: usize,
}

// === impl Commands ===

impl Commands {
    /// Begins with a command and its flags, as tmux writes them.
    pub(super) fn new(command: &'static str) -> Self {
        Self {
            line: command.into(),
            count: 1,
        }
    }

    /// Goes on with another command.
    pub(super) fn then(mut self, command: &'static str) -> Self {
        self.line.extend_from_slice(b" ; ");
        self.line.extend_from_slice(command.as_bytes());
        self.count += 1;
        self
    }

    /// Adds a flag of the command.
    pub(super) fn flag(mut self, flag: &'static str) -> Self {
        self.line.push(b' ');
        self.line.extend_from_slice(flag.as_bytes());
        self
    }

    /// Adds a word of text.
    pub(super) fn word(self, word: impl Display) -> Self {
        self.data(OsStr::new(&word.to_string()))
    }

    /// Adds a word of any bytes.
    pub(super) fn data(mut self, word: &OsStr) -> Self {
        self.line.extend_from_slice(b" \"");
        for &byte in word.as_bytes() {
            match byte {
                // tmux reads three octal digits as a byte, inside of double quotes too. A
                // tilde behind the quote would be somebody's home.
                0..=0x1f | 0x7f | b'"' | b'\\' | b'$' | b'~' => {
                    let digits = [byte >> 6, byte >> 3, byte].map(|digit| b'0' + (digit & 7));
                    self.line.push(b'\\');
                    self.line.extend_from_slice(&digits);
                }
                _ => self.line.push(byte),
            }
        }
        self.line.push(b'"');
        self
    }

    /// How many answers come when none fails.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The line, with its end.
    pub(super) fn into_line(mut self) -> Vec<u8> {
        self.line.push(b'\n');
        self.line
    }
}

//! The text in what a terminal was sent: escape sequences are left out, lines end in
//! LF, and what a carriage return goes back over is gone.

use anstyle_parse::state::{Action, State, state_change};

/// What of some bytes is text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) text: String,
    /// So many of the bytes were read: what follows is the beginning of a character or
    /// of an escape sequence whose end is not there yet.
    pub(super) read: usize,
}

const LF: u8 = b'\n';
const CR: u8 = b'\r';
const TAB: u8 = b'\t';

/// Reads bytes that begin between two characters.
pub(super) fn plain(bytes: &[u8]) -> Plain {
    let mut out = Plain::default();
    let mut state = State::Ground;
    // Where the line began that is written at present, and whether a CR came last.
    let (mut line, mut back) = (0, false);
    let (mut at, mut whole) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        let (next, action) = state_change(state, byte);
        let mut width = 1;
        match (state, action) {
            (State::Ground, Action::Print) if byte != 0x7f => {
                going_back(&mut out.text, line, &mut back);
                out.text.push(char::from(byte));
            }
            (State::Ground, Action::BeginUtf8) => {
                match character(bytes.get(at..).unwrap_or_default()) {
                    Character::Whole(character) => {
                        going_back(&mut out.text, line, &mut back);
                        out.text.push(character);
                        width = character.len_utf8();
                    }
                    Character::Broken(bytes) => {
                        going_back(&mut out.text, line, &mut back);
                        out.text.push(char::REPLACEMENT_CHARACTER);
                        width = bytes;
                    }
                    Character::Unfinished => break,
                }
            }
            // In the middle of a sequence too, as terminals do.
            (_, Action::Execute) => match byte {
                LF => {
                    out.text.push('\n');
                    (line, back) = (out.text.len(), false);
                }
                CR => back = true,
                TAB => {
                    going_back(&mut out.text, line, &mut back);
                    out.text.push('\t');
                }
                _ => {}
            },
            _ => {}
        }
        // A character was read as a whole.
        if next != State::Anywhere && action != Action::BeginUtf8 {
            state = next;
        }
        at += width;
        // What follows a CR says whether the line is written again or ends.
        if state == State::Ground && !back {
            (out.read, whole) = (at, out.text.len());
        }
    }
    out.text.truncate(whole);
    out
}

/// Takes the line back when something is written after a CR.
fn going_back(text: &mut String, line: usize, back: &mut bool) {
    if std::mem::take(back) {
        text.truncate(line);
    }
}

enum Character {
    Whole(char),
    /// So many bytes are no character.
    Broken(usize),
    /// Its end is not there yet.
    Unfinished,
}

/// The character at the beginning of bytes of which the first begins one.
fn character(bytes: &[u8]) -> Character {
    let longest = bytes.get(..4).unwrap_or(bytes);
    let valid = match std::str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() == 0 => {
            return error
                .error_len()
                .map_or(Character::Unfinished, Character::Broken);
        }
        Err(error) => {
            let (valid, _) = longest.split_at(error.valid_up_to());
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    let first = valid.chars().next();
    first.map_or(Character::Broken(1), Character::Whole)
}

#[cfg(test)]
mod tests;

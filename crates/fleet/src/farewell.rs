//! The last thing a wrapper says to its terminal, when the program has ended and nothing
//! is left of it. Whoever reads it has read all output, and closes the window.
//!
//! A terminal that closes a window because its process ended may drop what it has not
//! passed on yet, and the last words of a program that fails at once are what matters.

/// An operating system command that no terminal knows, so that none shows it. It names
/// the wrapper, which the program can do, too: then it has ended itself.
#[must_use]
pub fn farewell(wrapper: u32) -> Vec<u8> {
    format!("\x1b]provost;ended;{wrapper}\x07").into_bytes()
}

/// Looks for the farewell of one wrapper in what comes in pieces.
pub(crate) struct Listener {
    farewell: Vec<u8>,
    /// So much of it has come.
    heard: usize,
}

// === impl Listener ===

impl Listener {
    pub(crate) fn new(wrapper: u32) -> Self {
        Self {
            farewell: farewell(wrapper),
            heard: 0,
        }
    }

    /// Whether it ends in these bytes.
    pub(crate) fn hears(&mut self, bytes: &[u8]) -> bool {
        let Some(&first) = self.farewell.first() else {
            return false;
        };
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.heard == 0 && byte != first {
                // Its first byte does not come again in it.
                let next = memchr::memchr(first, rest).unwrap_or(rest.len());
                rest = rest.get(next..).unwrap_or_default();
                continue;
            }
            self.heard = match self.farewell.get(self.heard) == Some(&byte) {
                true => self.heard + 1,
                false => usize::from(byte == first),
            };
            if self.heard == self.farewell.len() {
                self.heard = 0;
                return true;
            }
            rest = after;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_however_it_is_divided() {
        let mut said = b"output \x1b]pro\x1b[0m\x1b\x1b]provost;ended;7\x07".to_vec();
        said.extend(farewell(71));
        for cut in 0..said.len() {
            let (first, second) = said.split_at(cut);
            let mut listener = Listener::new(71);
            assert!(!listener.hears(first), "{cut}");
            assert!(listener.hears(second), "{cut}");
            assert!(!listener.hears(b"\x07"));
        }
    }
}

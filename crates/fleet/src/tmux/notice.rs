//! The lines that tmux writes to a control client besides answers.

/// The number of a pane (`%3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PaneId(pub(super) u32);

/// The number of a window (`@3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WindowId(pub(super) u32);

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice<'a> {
    /// A pane printed something.
    Output { pane: PaneId, escaped: &'a [u8] },
    /// We are so far behind that a pane is not told of any more until we ask.
    Paused(PaneId),
    /// Some window may be gone.
    WindowsChanged,
    /// Somebody came, went, or looks at another window.
    ClientsChanged,
    /// Anything else.
    Other,
}

// === impl Notice ===

impl<'a> Notice<'a> {
    /// Reads a line without its end.
    pub(super) fn read(line: &'a [u8]) -> Self {
        let (word, rest) = split(line, b' ');
        match word {
            b"%output" => {
                let (pane, escaped) = split(rest, b' ');
                pane_of(pane).map_or(Self::Other, |pane| Self::Output { pane, escaped })
            }
            b"%extended-output" => {
                let (pane, rest) = split(rest, b' ');
                // Between the two stand an age and what later versions may add.
                let escaped = memchr::memmem::find(rest, b" : ").map(|at| at + 3);
                let escaped = escaped.and_then(|at| rest.get(at..));
                match (pane_of(pane), escaped) {
                    (Some(pane), Some(escaped)) => Self::Output { pane, escaped },
                    _ => Self::Other,
                }
            }
            b"%pause" => pane_of(rest).map_or(Self::Other, Self::Paused),
            // Windows are told to be gone, too, that only left somebody's view.
            b"%window-close" | b"%unlinked-window-close" => Self::WindowsChanged,
            b"%client-session-changed" | b"%client-detached" | b"%session-window-changed" => {
                Self::ClientsChanged
            }
            _ => Self::Other,
        }
    }
}

/// Divides a text at the first such byte, which is left out.
pub(super) fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(at, text) {
        Some(found) => {
            let (word, rest) = text.split_at(found);
            (word, rest.get(1..).unwrap_or_default())
        }
        None => (text, &[]),
    }
}

/// Reads `%3`.
pub(super) fn pane_of(text: &[u8]) -> Option<PaneId> {
    number(text, b'%').map(PaneId)
}

/// Reads `@3`.
pub(super) fn window_of(text: &[u8]) -> Option<WindowId> {
    number(text, b'@').map(WindowId)
}

fn number(text: &[u8], sign: u8) -> Option<u32> {
    let digits = text.strip_prefix(&[sign])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Adds the bytes that were printed: tmux writes controls and backslashes as `\ooo`.
pub(super) fn unescape(escaped: &[u8], out: &mut Vec<u8>) {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let digits = escape.get(1..4).unwrap_or_default();
        let octal = digits.iter().try_fold(0u32, |value, digit| {
            matches!(digit, b'0'..=b'7').then(|| value * 8 + u32::from(digit - b'0'))
        });
        match octal.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) if digits.len() == 3 => {
                out.push(byte);
                rest = escape.get(4..).unwrap_or_default();
            }
            _ => {
                out.push(b'\\');
                rest = escape.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest);
}

impl std::fmt::Display for PaneId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl std::fmt::Display for WindowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}", self.0)
    }
}

#[cfg(test)]
mod tests;

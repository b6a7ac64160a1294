//! Random ids that nobody can guess.

use std::fmt::Write;

/// 128 random bits as 32 hexadecimal digits.
///
/// Without the operating system's randomness there are no unguessable ids; the
/// text is then empty, and an empty id never matches anything.
pub(crate) fn hex() -> String {
    let mut bytes = [0_u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    bytes
        .iter()
        .fold(String::with_capacity(32), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

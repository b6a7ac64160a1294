//! Strings: finding their end fast, and taking escapes out.

use super::Problem;

/// Where scanning a string stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Bytes up to and including the closing quote.
    pub(super) length: usize,
    /// Whether there was a backslash.
    pub(super) escaped: bool,
}

/// Bytes at which plain scanning stops: the quote, the backslash, and raw
/// control characters.
const STOPS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::indexing_slicing,
            reason = "the loop runs over the table's own length"
        )]
        {
            table[byte] = byte < 0x20 || byte == b'"' as usize || byte == b'\\' as usize;
        }
        byte += 1;
    }
    table
};

/// Scans a string whose opening quote was already taken. An error comes with
/// the number of bytes before it.
pub(super) fn scan(text: &[u8]) -> Result<Scanned, (usize, Problem)> {
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += plain(text.get(at..).unwrap_or_default());
        match text.get(at) {
            Some(b'"') => {
                return Ok(Scanned {
                    length: at + 1,
                    escaped,
                });
            }
            Some(b'\\') => {
                escaped = true;
                at +=
                    escape(text.get(at..).unwrap_or_default()).map_err(|problem| (at, problem))?;
            }
            Some(_) => return Err((at, Problem::Control)),
            None => return Err((at, Problem::End)),
        }
    }
}

/// The number of bytes before the next stop.
fn plain(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| !has_stop(**word)).count() * 8;
    let rest = text.get(skipped..).unwrap_or_default();
    // The table covers every byte, so the fallback is never taken.
    skipped
        + rest
            .iter()
            .position(|&byte| STOPS.get(usize::from(byte)).copied().unwrap_or(true))
            .unwrap_or(rest.len())
}

/// Eight bytes at once: is there a stop among them? May say yes for a byte
/// above 0x7f that is none; then the table looks closer.
fn has_stop(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    let zero_in = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    let quote = zero_in(word ^ (ONES * b'"' as u64));
    let backslash = zero_in(word ^ (ONES * b'\\' as u64));
    control | quote | backslash != 0
}

/// The length of the escape that begins here.
fn escape(text: &[u8]) -> Result<usize, Problem> {
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match unit(text, 2)? {
            0xdc00..=0xdfff => Err(Problem::Surrogate),
            0xd800..=0xdbff => match (text.get(6), text.get(7)) {
                (Some(b'\\'), Some(b'u')) if matches!(unit(text, 8)?, 0xdc00..=0xdfff) => Ok(12),
                (None, _) | (Some(b'\\'), None) => Err(Problem::End),
                _ => Err(Problem::Surrogate),
            },
            _ => Ok(6),
        },
        Some(_) => Err(Problem::Escape),
        None => Err(Problem::End),
    }
}

/// Four hexadecimal digits.
fn unit(text: &[u8], at: usize) -> Result<u32, Problem> {
    let digits = text.get(at..at + 4).ok_or(Problem::End)?;
    digits.iter().try_fold(0, |unit, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(Problem::Escape)?;
        Ok(unit << 4 | digit)
    })
}

/// The characters of a string that was scanned before.
pub(super) fn unescape(inner: &str) -> impl Iterator<Item = char> {
    let mut rest = inner.chars();
    std::iter::from_fn(move || {
        let plain = rest.next()?;
        if plain != '\\' {
            return Some(plain);
        }
        Some(match rest.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match four(&mut rest)? {
                high @ 0xd800..=0xdbff => {
                    // Past the `\u` of the other half, which `scan` has seen.
                    rest.nth(1)?;
                    let low = four(&mut rest)?.checked_sub(0xdc00)?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
                }
                unit => char::from_u32(unit)?,
            },
            itself => itself,
        })
    })
}

/// The value of four hexadecimal digits.
fn four(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | rest.next()?.to_digit(16)?))
}

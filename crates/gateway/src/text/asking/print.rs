//! What stands for texts of any length where they are only compared.

use sha2::{Digest, Sha256};

/// What stands for a text of any length.
pub(crate) type Print = [u8; 16];

/// The print of some texts, one after the other.
pub(crate) fn print(texts: &[&str]) -> Print {
    let mut hash = Sha256::new();
    for text in texts {
        // With its length, so that no two sequences look alike.
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut print = Print::default();
    for (to, from) in print.iter_mut().zip(whole) {
        *to = from;
    }
    print
}

//! The hash that names a bundle.

use sha2::{Digest, Sha256};

/// The hash of `bytes` in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Whether this is such a hash.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A hash in groups of four, to be read out over the phone.
#[must_use]
pub fn grouped(hash: &str) -> String {
    let mut text = String::with_capacity(hash.len() * 5 / 4);
    for (place, letter) in hash.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_out_in_groups_of_four() {
        assert_eq!(grouped("0123456789abcdef"), "0123 4567 89ab cdef");
        assert_eq!(grouped("01234"), "0123 4");
    }
}

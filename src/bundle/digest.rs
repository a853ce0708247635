//! The SHA-256 hash that identifies a bundle.

use sha2::{Digest, Sha256};

/// The hash of `bytes` in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Whether `text` has the form that [`sha256`] returns.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A hash in groups of four digits, easy to read out over the phone.
#[must_use]
pub fn grouped(hash: &str) -> String {
    let digits: Vec<char> = hash.chars().collect();
    let groups: Vec<String> = digits
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_lower_case_hexadecimal() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert!(is_sha256(empty) && !is_sha256(&empty.to_uppercase()));
    }

    #[test]
    fn hashes_are_grouped_by_four_digits() {
        assert_eq!(grouped("0123456789abcdef"), "0123 4567 89ab cdef");
        assert_eq!(grouped("01234"), "0123 4");
    }
}

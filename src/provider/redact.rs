//! Keys, and how they stay out of everything that is printed.

use std::borrow::Cow;
use std::fmt;

/// What stands in place of a key.
const STARS: &str = "***";

/// A vendor's key. It never prints: not by `Debug`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key of `typed`, trimmed; `None` where nothing is left.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let key = typed.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// Sixteen hexadecimal digits that tell this key from others, and do not lead back to it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.0.as_bytes());
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The key itself, for the header and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with stars wherever the key stands in it: a server may echo what it was sent.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.contains(&self.0) {
            Cow::Owned(text.replace(&self.0, STARS))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The first `bytes` of a body as one printable line, without the key.
    pub(crate) fn excerpt(&self, body: &[u8], bytes: usize) -> String {
        // A key that straddles the cut is redacted whole, so more than `bytes` is looked at first; one that straddles
        // the end of that look loses its head.
        let looked = body.len().min(bytes + self.0.len());
        let text = String::from_utf8_lossy(&body[..looked]);
        let mut text = self.redact(&text).into_owned();
        if looked < body.len()
            && let Some((head, _)) = (self.0.char_indices().skip(1))
                .map(|(at, _)| self.0.split_at(at))
                .filter(|(head, _)| text.ends_with(head))
                .last()
        {
            text.truncate(text.len() - head.len());
        }
        let mut line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let cut = (0..=bytes.min(line.len()))
            .rev()
            .find(|&at| line.is_char_boundary(at));
        line.truncate(cut.unwrap_or(0));
        line.trim().to_owned()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echoed_key_is_starred_even_across_the_cut() {
        let key = ApiKey::new(" s3cret\n").unwrap();
        assert_eq!(key.redact("a s3cret b"), "a *** b");
        assert_eq!(key.excerpt(b"xx s3cret yy", 6), "xx ***");
        assert_eq!(key.excerpt(b"xxxx s3cret", 8), "xxxx ***");
        assert_eq!(key.excerpt(b"s3crets3crets3cret", 7), "******");
        assert_eq!(key.excerpt("é\né".as_bytes(), 4), "é");
        assert_eq!(format!("{key:?}"), "ApiKey(***)");
        assert!(ApiKey::new("  ").is_none());
    }
}

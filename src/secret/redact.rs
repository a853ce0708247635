//! The secrets that a text from outside may repeat, in any encoding.

use std::borrow::Cow;

use super::{STARS, Secret};

/// The longest encoding of one byte that [`spellings`] knows: `\u0041` and `&quot;`.
const SPELLING_BYTES_MAX: usize = 6;

/// The secrets that were sent to a server, which may repeat them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn of(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(secrets.into_iter().collect())
    }

    /// Replaces each secret in `text` by stars, also if encoded as in URLs, JSON or HTML.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_start(text, text.len())
    }

    /// The first `bytes` bytes of a body as one printable line, without the secrets.
    pub(crate) fn excerpt(&self, body: &[u8], bytes: usize) -> String {
        // A secret that begins before the cut may end after it.
        let longest = self
            .0
            .iter()
            .map(|secret| secret.expose().len())
            .max()
            .unwrap_or(0);
        let searched = body.len().min(bytes + longest * SPELLING_BYTES_MAX);
        let text = String::from_utf8_lossy(&body[..searched]);
        let text = self.redact_start(&text, bytes);
        let cut = text.floor_char_boundary(bytes);
        let line = text[..cut].replace(char::is_control, " ");
        line.trim().to_owned()
    }

    /// Redacts the secrets that begin in the first `bytes` bytes of `text`, and drops the rest.
    fn redact_start<'a>(&self, text: &'a str, bytes: usize) -> Cow<'a, str> {
        let mut redacted = String::new();
        let (mut at, mut kept) = (0, 0);
        while at < bytes.min(text.len()) {
            let spelled = |secret: &Secret| spelled_at(secret.expose(), &text[at..]);
            match self.0.iter().filter_map(spelled).max() {
                Some(length) => {
                    redacted += &text[kept..at];
                    redacted += STARS;
                    at += length;
                    kept = at;
                }
                None => at += text[at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        if kept == 0 {
            return Cow::Borrowed(&text[..at.min(text.len())]);
        }
        redacted += &text[kept..at.max(kept)];
        Cow::Owned(redacted)
    }
}

/// The length of the prefix of `text` that spells `secret` in any encoding.
fn spelled_at(secret: &str, text: &str) -> Option<usize> {
    // Each offset at which the secret's beginning can end: a character has several encodings.
    let mut ends = vec![0];
    for c in secret.chars() {
        let mut next = Vec::new();
        for at in ends {
            spellings(c, &text[at..], |bytes| next.push(at + bytes));
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return None;
        }
        ends = next;
    }
    ends.last().copied()
}

/// Calls `found` with the length of each encoding of `c` that `text` begins with.
fn spellings(c: char, text: &str, mut found: impl FnMut(usize)) {
    if text.starts_with(c) {
        found(c.len_utf8());
    }
    let mut utf8 = [0; 4];
    let bytes = c.encode_utf8(&mut utf8).bytes().map(u32::from);
    let mut utf16 = [0; 2];
    let units = c
        .encode_utf16(&mut utf16)
        .iter()
        .map(|unit| u32::from(*unit));
    let in_url = encoded("%", 2, bytes, text);
    let in_json = encoded("\\u", 4, units, text);
    in_url.into_iter().chain(in_json).for_each(&mut found);
    let escaped = match c {
        ' ' => &["+"][..],
        '"' => &["\\\"", "&quot;", "&#34;"],
        '\'' => &["&#39;", "&#x27;", "&apos;"],
        '\\' => &["\\\\"],
        '/' => &["\\/"],
        '&' => &["&amp;"],
        '<' => &["&lt;"],
        '>' => &["&gt;"],
        _ => &[],
    };
    for form in escaped.iter().filter(|form| text.starts_with(**form)) {
        found(form.len());
    }
}

/// The length of the prefix of `text` that is `units`, each as `prefix` and hexadecimal digits.
fn encoded(
    prefix: &str,
    digits: usize,
    units: impl Iterator<Item = u32>,
    text: &str,
) -> Option<usize> {
    let mut at = 0;
    for unit in units {
        let form = text.get(at..at + prefix.len() + digits)?;
        let hex = form.strip_prefix(prefix)?;
        if u32::from_str_radix(hex, 16) != Ok(unit) {
            return None;
        }
        at += form.len();
    }
    Some(at)
}

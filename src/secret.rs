//! Secrets, and what can be printed of settings that contain one.
//!
//! A password can contain any character, so any part of a mistyped URL may be part of a password.
//! **A URL that can be parsed in more than one way isn't printed at all.** Text from outside that
//! may repeat a secret (a server's response, a mistyped command line) is cleaned here before it is
//! printed.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// Printed in place of a secret.
const STARS: &str = "***";
/// Printed in place of a setting that can't be parsed safely.
pub(crate) const HIDDEN: &str = "…";
/// The longest encoding of one byte that [`spellings`] knows: `\u0041` and `&quot;`.
const SPELLING_BYTES_MAX: usize = 6;

/// A key or a password. `Debug` doesn't print it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Trims `typed`; `None` if nothing is left.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let secret = typed.trim();
        (!secret.is_empty()).then(|| Self(secret.to_owned()))
    }

    /// Sixteen hexadecimal digits of the secret's hash. Equal secrets have the same.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        format!("{:x}", Sha256::digest(self.0.as_bytes()))[..16].to_owned()
    }

    /// The secret itself. Only for its use; never print it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The length of the prefix of `text` that spells this secret in any encoding.
    fn spelled_at(&self, text: &str) -> Option<usize> {
        // Each offset at which the secret's beginning can end: a character has several encodings.
        let mut ends = vec![0];
        for c in self.0.chars() {
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
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

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
            .map(|secret| secret.0.len())
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
            let spelled = |secret: &Secret| secret.spelled_at(&text[at..]);
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

/// A URL as typed, possibly with a user, password or key. It prints without them, and as `…` if it
/// isn't plain (`is_plain`).
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The URL as typed. Only for its use; never print it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretUrl {
    fn from(typed: String) -> Self {
        Self(typed)
    }
}

impl From<&str> for SecretUrl {
    fn from(typed: &str) -> Self {
        Self(typed.to_owned())
    }
}

impl FromStr for SecretUrl {
    type Err = Infallible;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        Ok(typed.into())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(self.0.trim()) {
            Ok(url) if is_plain(&url) => f.write_str(&shown(&url)),
            _ => f.write_str(HIDDEN),
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// Whether a web URL can be parsed in one way only. With a `?`, `#` or `/` in a password, the host
/// ends too early and the `@` that ends the password is in a later part.
pub(crate) fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && !url.path().contains('@')
}

/// A URL that was built on a [plain](is_plain) one, without user and password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if !url.username().is_empty() || url.password().is_some() {
        // Both fail only for URLs without a host; http URLs have one.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    url.to_string()
}

/// Whether a value may be a URL with a password, or a part of one.
pub(crate) fn may_hold_password(value: &str) -> bool {
    let has_user = |(before, _): (&str, &str)| before.contains(':');
    value.contains("://")
        || value.contains("password=")
        || value.rsplit_once('@').is_some_and(has_user)
}

/// Replaces the user part of each URL with a password by stars, in text that a user typed or
/// another program printed.
#[must_use]
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let Some((before, after)) = word.rsplit_once('@') else {
            out += word;
            continue;
        };
        let start = before.find("://").map_or(0, |at| at + 3);
        // An opening quote or bracket isn't part of the URL.
        let start = match start {
            0 => before.find(|c: char| c.is_alphanumeric()).unwrap_or(0),
            start => start,
        };
        match before[start..].contains(':') {
            true => {
                out += &before[..start];
                out += STARS;
                out.push('@');
                out += after;
            }
            false => out += word,
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(secret: &str) -> Secrets {
        Secrets::of(Secret::new(secret))
    }

    #[test]
    fn an_echoed_secret_is_starred_even_across_the_cut() {
        let key = secrets(" s3cret\n");
        assert_eq!(key.redact("a s3cret b"), "a *** b");
        assert_eq!(key.redact("a s3cre b"), "a s3cre b");
        assert_eq!(key.excerpt(b"xx s3cret yy", 6), "xx ***");
        assert_eq!(key.excerpt(b"xxxx s3cret", 8), "xxxx ***");
        assert_eq!(key.excerpt(b"s3crets3crets3cret", 7), "******");
        assert_eq!(key.excerpt(b"%733cret", 2), "**");
        assert_eq!(key.excerpt("é\né".as_bytes(), 4), "é");
        assert_eq!(format!("{key:?}"), "Secrets([Secret(***)])");
        assert!(Secret::new("  ").is_none());
        let two = Secrets::of(["ab", "abc"].iter().filter_map(|one| Secret::new(one)));
        assert_eq!(two.redact("abcab"), "******", "the longer one first");
    }

    #[test]
    fn encoded_forms_are_found() {
        let key = secrets("a/b c\"é&<");
        for form in [
            "a/b c\"é&<",
            "a%2Fb%20c%22%C3%A9%26%3C",
            "a%2fb+c%22%c3%a9&%3c",
            r#"a\/b c\"\u00e9&<"#,
            "a/b c&quot;é&amp;&lt;",
        ] {
            assert_eq!(key.redact(&format!("x{form}y")), "x***y", "{form}");
        }
    }

    #[test]
    fn ambiguous_urls_are_hidden() {
        for (typed, shown) in [
            ("https://host/stable", "https://host/stable"),
            (" https://me:hunter2@host:8/x ", "https://host:8/x"),
            ("https://me:hun@ter2@host/x", "https://host/x"),
            ("me:hunter2@proxy:8080/stable", HIDDEN),
            ("me:hunter2@proxy", HIDDEN),
            ("ftp://me:hunter2@host/x", HIDDEN),
            ("http://me:12?hunter2@host/x", HIDDEN),
            ("http://me:12#hunter2@host/x", HIDDEN),
            ("http://me:12/hunter2@host/x", HIDDEN),
            ("http://me:12\\hunter2@host/x", HIDDEN),
            ("http://me:hun/ter2@host/x", HIDDEN),
            ("https://host/x?apikey=hunter2", HIDDEN),
            ("postgres://me:hunter2@host/x", HIDDEN),
            ("", HIDDEN),
        ] {
            let url = SecretUrl::from(typed);
            assert_eq!(url.to_string(), shown, "{typed}");
            assert_eq!(format!("{url:?}"), format!("SecretUrl({shown})"));
        }
    }

    #[test]
    fn urls_with_a_password_are_redacted_in_sentences() {
        for (text, clean) in [
            ("no address", "no address"),
            (
                "postgresql://me@db:5432/bars is",
                "postgresql://me@db:5432/bars is",
            ),
            ("'postgres://me:a@b@db/x' is", "'postgres://***@db/x' is"),
            (
                "unexpected 'me:hunter2@db' found",
                "unexpected '***@db' found",
            ),
            ("garbage@TSLA at 12:30", "garbage@TSLA at 12:30"),
        ] {
            assert_eq!(without_passwords(text), clean);
        }
    }

    /// A password of two unusual words with special characters around them.
    pub(crate) fn password() -> impl Strategy<Value = String> {
        let special = "[-?@/#:%&= '\"\\\\+.,;!\\[\\]a0é]{0,4}";
        (special, "(hunter2|4711)", special, "(Zebra|0815)", special)
            .prop_map(|(a, b, c, d, e)| a + &b + &c + &d + &e)
    }

    pub(crate) fn holds_part(text: &str) -> bool {
        ["hunter2", "4711", "Zebra", "0815"]
            .iter()
            .any(|part| text.to_lowercase().contains(&part.to_lowercase()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_encoding_of_a_secret_is_left(
            secret in "[ -~é€😀]{4,12}",
            before in "[ -~]{0,8}",
            kinds in proptest::collection::vec(0..3_u8, 12),
            cut in 0..40_usize,
        ) {
            prop_assume!(!secret.trim().is_empty());
            let secret = secret.trim();
            let mut spelled = String::new();
            for (c, kind) in secret.chars().zip(kinds) {
                let mut utf8 = [0; 4];
                let mut utf16 = [0; 2];
                match kind {
                    0 => spelled.push(c),
                    1 => c.encode_utf8(&mut utf8).bytes().for_each(|b| spelled += &format!("%{b:02X}")),
                    _ => c.encode_utf16(&mut utf16).iter().for_each(|u| spelled += &format!("\\u{u:04x}")),
                }
            }
            let text = format!("{before}{spelled}");
            let secrets = secrets(secret);
            let redacted = secrets.redact(&text);
            prop_assert!(redacted.ends_with(STARS) || redacted.contains(STARS), "{text} -> {redacted}");
            prop_assert!(!redacted.contains(&spelled), "{text} -> {redacted}");
            // An excerpt shows the text before the secret, and nothing of the secret.
            let excerpt = secrets.excerpt(text.as_bytes(), cut);
            let shows = redacted.replace(char::is_control, " ");
            prop_assert!(shows.trim().starts_with(excerpt.trim()), "{text} -> {excerpt}");
        }

        #[test]
        fn no_part_of_a_password_is_shown(
            password in password(),
            form in 0..6_usize,
        ) {
            let typed = [
                format!("https://me:{password}@host/stable"),
                format!("me:{password}@host:8080/stable"),
                format!("http://me:{password}@host"),
                format!("https://host/stable?apikey={password}"),
                format!("https:me:{password}@host/"),
                format!("http://me:12/{password}@host/"),
            ];
            let shown = SecretUrl::from(typed[form].as_str()).to_string();
            prop_assert!(!holds_part(&shown), "{} -> {shown}", typed[form]);
        }
    }
}

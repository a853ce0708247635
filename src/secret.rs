//! Secrets, and what may be printed of the settings that hold one.
//!
//! A password can hold any character, so that a URL with a mistake in it can be misread, and any
//! part of it can be part of the password. **Whatever can't be read without doubt isn't printed at
//! all.** All that comes from outside and may repeat a secret (a server's answer, a mistyped
//! command line) goes through here before it is printed.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// What is printed in place of a secret.
const STARS: &str = "***";
/// What is printed in place of a setting that can't be read.
pub(crate) const HIDDEN: &str = "…";
/// The longest spelling of one byte of a secret that [`spellings`] knows: `\u0041` and `&quot;`.
const SPELLING_BYTES_MAX: usize = 6;

/// A key or a password. It never prints: not by `Debug`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret of `typed`, trimmed; `None` where nothing is left.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let secret = typed.trim();
        (!secret.is_empty()).then(|| Self(secret.to_owned()))
    }

    /// Sixteen hexadecimal digits that differ from those of other secrets, and don't lead back to
    /// this one.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        format!("{:x}", Sha256::digest(self.0.as_bytes()))[..16].to_owned()
    }

    /// The secret itself, for where it is used and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The bytes of `text` from its start that spell this secret.
    fn spelled_at(&self, text: &str) -> Option<usize> {
        // Every place at which the part of the secret so far can end: one character can be spelled
        // in several ways.
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

/// The secrets that a server was sent, and may repeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn of(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(secrets.into_iter().collect())
    }

    /// `text` with stars wherever one of the secrets is in it, plain or encoded as in URLs, JSON or
    /// HTML.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_start(text, text.len())
    }

    /// The first `bytes` of a body as one printable line, without the secrets.
    pub(crate) fn excerpt(&self, body: &[u8], bytes: usize) -> String {
        // A secret that begins before the cut is redacted whole, and may end after it.
        let longest = self
            .0
            .iter()
            .map(|secret| secret.0.len())
            .max()
            .unwrap_or(0);
        let looked = body.len().min(bytes + longest * SPELLING_BYTES_MAX);
        let text = String::from_utf8_lossy(&body[..looked]);
        let text = self.redact_start(&text, bytes);
        let cut = text.floor_char_boundary(bytes);
        let line = text[..cut].replace(char::is_control, " ");
        line.trim().to_owned()
    }

    /// What is left of `text`, where only what begins in its first `bytes` counts.
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

/// Calls `found` with the length of each spelling of `c` with which `text` begins.
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

/// The bytes of `text` from its start that are `units`, each as a prefix and hexadecimal digits.
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

/// An address as it was typed, with whatever user, password or key is in it. It prints without
/// them, and as `…` where it can't be read as a web address without doubt.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The address as it was typed, for where it is used and nothing else.
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

/// Whether a web address can be read in one way alone. A `?`, `#` or `/` in a password ends the
/// host too early, and what follows has the `@` that should have ended the password.
pub(crate) fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && !url.path().contains('@')
}

/// A web address that was built on a [plain](is_plain) one, without user and password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if !url.username().is_empty() || url.password().is_some() {
        // Both fail only for URLs without a host, which http has not.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    url.to_string()
}

/// Whether a value may be an address with a password in it, or part of one.
pub(crate) fn may_hold_password(value: &str) -> bool {
    let has_user = |(before, _): (&str, &str)| before.contains(':');
    value.contains("://")
        || value.contains("password=")
        || value.rsplit_once('@').is_some_and(has_user)
}

/// `text` without the user parts of addresses that hold a password: whatever a person typed in the
/// wrong place, or another program says, may hold one.
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
        // An opening quote or bracket is not part of it.
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
    fn what_can_be_read_in_two_ways_is_hidden() {
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
    fn user_parts_with_a_password_are_taken_out_of_sentences() {
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

    /// A password of two words that nothing else holds, with special characters around them.
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
        fn no_spelling_of_a_secret_is_left(
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
            // A cut shows what is before the secret, and nothing of it.
            let excerpt = secrets.excerpt(text.as_bytes(), cut);
            let shows = redacted.replace(char::is_control, " ");
            prop_assert!(shows.trim().starts_with(excerpt.trim()), "{text} -> {excerpt}");
        }

        #[test]
        fn no_part_of_a_password_is_shown_of_an_address(
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

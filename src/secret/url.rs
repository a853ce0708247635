//! URLs that may contain a password, and what can be printed of them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use super::STARS;

/// Printed in place of a setting that can't be parsed safely.
pub(crate) const HIDDEN: &str = "…";

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

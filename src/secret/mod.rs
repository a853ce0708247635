//! Secrets, and what can be printed of settings that contain one.
//!
//! A password can contain any character, so any part of a mistyped URL may be part of a password.
//! **A URL that can be parsed in more than one way isn't printed at all.** Text from outside that
//! may repeat a secret (a server's response, a mistyped command line) is cleaned here before it is
//! printed.

mod redact;
#[cfg(test)]
pub(crate) mod tests;
mod url;

use std::fmt;

pub(crate) use redact::Secrets;
pub(crate) use url::{HIDDEN, is_plain, may_hold_password, shown};
pub use url::{SecretUrl, without_passwords};

/// Printed in place of a secret.
const STARS: &str = "***";

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
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

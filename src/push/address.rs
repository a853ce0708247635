//! Where a table is: a folder, or a prefix of a bucket.

use std::fmt;
use std::path::PathBuf;

use object_store::path::Path;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::error::{Error, ErrorKind};
use crate::advice::PushAdvice;
use crate::secret::may_hold_password;

/// The address of a table. It can be printed: neither form contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Objects below a prefix of a bucket, over the S3 protocol.
    S3 { bucket: String, prefix: Path },
}

impl Address {
    /// Reads what was typed: `s3://bucket/prefix`, `file:///path`, or a folder.
    pub fn parse(typed: &str) -> Result<Self, Error> {
        let typed = typed.trim();
        let Some((scheme, rest)) = typed.split_once("://") else {
            if typed.is_empty() {
                return Err(usage("the URL is empty"));
            }
            if may_hold_password(typed) || starts_with_scheme(typed) {
                return Err(usage(
                    "the URL isn't s3://bucket/prefix, file:///path or a folder",
                ));
            }
            return Ok(Self::Folder(typed.into()));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => Self::s3(rest),
            "file" => {
                let url = Url::parse(typed).ok();
                let folder = url.and_then(|url| url.to_file_path().ok());
                let folder = folder.ok_or_else(|| usage("a file URL needs an absolute path"))?;
                Ok(Self::Folder(folder))
            }
            _ => Err(usage(
                "the URL isn't s3://bucket/prefix, file:///path or a folder",
            )),
        }
    }

    fn s3(rest: &str) -> Result<Self, Error> {
        // A user with a password isn't part of such an address, and must not be printed.
        if rest.contains(['@', '?', '#']) {
            let error = usage("an s3 URL has a bucket and a prefix, without keys and parameters");
            return Err(error.with_hint(PushAdvice::SetCredentials));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if bucket.is_empty() || !bucket.chars().all(is_part) {
            return Err(usage("the URL has no valid bucket: s3://bucket/prefix"));
        }
        let prefix = percent_decode_str(prefix).decode_utf8();
        let prefix = prefix.map_err(|_| usage("the prefix of the URL isn't valid UTF-8"))?;
        let prefix = Path::parse(prefix.trim_matches('/'))
            .map_err(|error| usage(&format!("the prefix of the URL isn't valid: {error}")))?;
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::S3 { bucket, prefix } if prefix.as_ref().is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// Whether a path is an address with a typing mistake, such as `s3:/bucket/prefix`. Else its bars
/// would go into a folder of that name. A drive of Windows has one letter.
fn starts_with_scheme(typed: &str) -> bool {
    let before = typed.split_once(':').map(|(before, _)| before);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    before.is_some_and(|before| before.len() > 1 && before.chars().all(is_part))
}

fn usage(message: &str) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_buckets_and_folders() {
        for (typed, shown) in [
            ("s3://lake/delta/bars/", "s3://lake/delta/bars"),
            ("S3://lake", "s3://lake"),
            ("s3a://lake/a%20b", "s3://lake/a b"),
            ("file:///data/bars%20x", "/data/bars x"),
            (" data/bars ", "data/bars"),
            ("./s3:x", "./s3:x"),
        ] {
            assert_eq!(Address::parse(typed).unwrap().to_string(), shown, "{typed}");
        }
    }

    #[test]
    fn what_may_have_a_key_is_refused_without_being_printed() {
        for typed in [
            "s3://AKIA:hunter2@lake/bars",
            "s3://lake/bars?key=hunter2",
            "https://me:hunter2@host/lake",
            "me:hunter2@host/lake",
            "s3:///hunter2",
            "",
            "s3://lake/a/../b",
            "s3:/lake/bars",
            "s3:lake",
            "file:bars",
        ] {
            let error = Address::parse(typed).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

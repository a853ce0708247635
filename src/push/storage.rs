//! The storage of a table, and the messages of its failed requests.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;

use super::error::{Error, ErrorKind};
use crate::advice::{Advice, PushAdvice};
use crate::causes;
use crate::secret::Secrets;

/// The most bytes of a server's response in a message.
const MESSAGE_BYTES_MAX: usize = 600;

/// The storage of a table. Requests are those of [`ObjectStore`]; [`failed`](Self::failed) turns
/// their errors into ones that can be printed.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<dyn ObjectStore>,
    /// What a server was sent, and may repeat.
    secrets: Secrets,
    /// Where the objects are files.
    folder: Option<PathBuf>,
}

impl Storage {
    /// Storage that needs no keys.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self::with_secrets(inner, Secrets::default())
    }

    pub(super) fn with_secrets(inner: Arc<dyn ObjectStore>, secrets: Secrets) -> Self {
        Self {
            inner,
            secrets,
            folder: None,
        }
    }

    pub(super) fn in_folder(inner: Arc<dyn ObjectStore>, folder: &Path) -> Self {
        Self {
            folder: Some(folder.to_owned()),
            ..Self::new(inner)
        }
    }

    /// The folder whose files the objects are; `None` on a server.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The error of a request, without the keys.
    #[must_use]
    pub fn failed(&self, doing: &str, error: &object_store::Error) -> Error {
        use object_store::Error as E;
        let hint = match error {
            E::NotImplemented { .. } => PushAdvice::ConditionalWrites,
            _ if self.folder.is_some() => {
                return Error::new(ErrorKind::Target, self.words(doing, error));
            }
            E::Unauthenticated { .. } | E::PermissionDenied { .. } => PushAdvice::CheckCredentials,
            E::Generic { .. } => PushAdvice::CheckEndpoint,
            _ => return Error::new(ErrorKind::Target, self.words(doing, error)),
        };
        Error::new(ErrorKind::Target, self.words(doing, error)).with_hint(Advice::from(hint))
    }

    fn words(&self, doing: &str, error: &object_store::Error) -> String {
        let text = causes::with_causes(error);
        let text = reason(&text);
        let line = self.secrets.excerpt(text.as_bytes(), MESSAGE_BYTES_MAX);
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{doing} failed: {line}")
    }
}

/// The part of an error that says why: the code and message of a server's response, else what follows the
/// client's words about the request.
fn reason(text: &str) -> Cow<'_, str> {
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(value, _)| value)
    };
    if let (Some(code), Some(message)) = (tag("Code"), tag("Message")) {
        return Cow::Owned(format!("{message} ({code})"));
    }
    let text = match text.split_once(" - ") {
        Some((before, rest)) if before.contains("Error performing") => rest,
        _ => text,
    };
    let text = text.trim_start_matches("Generic LocalFileSystem error: ");
    Cow::Borrowed(text.trim_start_matches("HTTP error: "))
}

impl Deref for Storage {
    type Target = Arc<dyn ObjectStore>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Hint;

    #[test]
    fn a_failure_is_the_reason_alone() {
        for (text, why) in [
            (
                "Generic S3 error: Error performing GET http://h/b in 1ms - Server returned 404: <Error><Code>NoSuchBucket</Code><Message>There is none</Message></Error>",
                "There is none (NoSuchBucket)",
            ),
            (
                "Generic S3 error: Error performing GET http://h in 1ms, after 6 retries - HTTP error: error sending request",
                "error sending request",
            ),
            (
                "Generic LocalFileSystem error: Unable to copy data to file: No space left on device",
                "Unable to copy data to file: No space left on device",
            ),
            ("a - b", "a - b"),
        ] {
            assert_eq!(reason(text), why);
        }
    }

    #[test]
    fn only_a_server_gets_the_advice_for_servers() {
        let memory = || Arc::new(object_store::memory::InMemory::new());
        let error = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: "No space left on device".into(),
        };
        let folder = Storage::in_folder(memory(), Path::new("bars"));
        assert_eq!(folder.failed("writing a", &error).hint(), None);
        let hint = Storage::new(memory()).failed("writing a", &error).hint();
        assert_eq!(hint, Some(PushAdvice::CheckEndpoint.into()));
    }
}

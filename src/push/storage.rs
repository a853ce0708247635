//! The storage of a table, and what a failed request of it is in words.

use std::ops::Deref;
use std::sync::Arc;

use object_store::ObjectStore;

use super::error::{Error, ErrorKind};
use crate::advice::{Advice, PushAdvice};
use crate::causes;
use crate::secret::Secrets;

/// The most bytes of a server's response in a message.
const MESSAGE_BYTES_MAX: usize = 600;

/// The storage of a table. Requests are those of [`ObjectStore`]; [`failed`](Self::failed) makes an error of
/// theirs one that can be printed.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<dyn ObjectStore>,
    /// What a server was sent, and may repeat.
    secrets: Secrets,
}

impl Storage {
    /// Storage that needs no keys.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self::with_secrets(inner, Secrets::default())
    }

    pub(super) fn with_secrets(inner: Arc<dyn ObjectStore>, secrets: Secrets) -> Self {
        Self { inner, secrets }
    }

    /// The error of a request, without the keys.
    #[must_use]
    pub fn failed(&self, doing: &str, error: &object_store::Error) -> Error {
        use object_store::Error as E;
        let hint = match error {
            E::Unauthenticated { .. } | E::PermissionDenied { .. } => PushAdvice::CheckCredentials,
            E::NotImplemented { .. } => PushAdvice::ConditionalWrites,
            E::Generic { .. } => PushAdvice::CheckEndpoint,
            _ => return Error::new(ErrorKind::Target, self.words(doing, error)),
        };
        Error::new(ErrorKind::Target, self.words(doing, error)).with_hint(Advice::from(hint))
    }

    fn words(&self, doing: &str, error: &object_store::Error) -> String {
        let text = causes::with_causes(error);
        let line = self.secrets.excerpt(text.as_bytes(), MESSAGE_BYTES_MAX);
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{doing} failed: {line}")
    }
}

impl Deref for Storage {
    type Target = Arc<dyn ObjectStore>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

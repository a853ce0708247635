//! How to reach a provider: a key of one or more parts, and the address.

use std::sync::Arc;

use crate::model::Timestamp;
use crate::secret::{Secret, SecretUrl};

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The parts of a key, in the order of [`ProviderEntry::keys`](super::ProviderEntry::keys).
#[derive(Clone, Debug, Default)]
pub struct Credentials(Vec<Secret>);

impl Credentials {
    /// A key of these parts.
    #[must_use]
    pub fn new(parts: Vec<Secret>) -> Self {
        Self(parts)
    }

    /// All parts.
    #[must_use]
    pub fn parts(&self) -> &[Secret] {
        &self.0
    }

    /// The fingerprint under which requests of a day are counted; without a key, `name`.
    #[must_use]
    pub fn fingerprint(&self, name: &str) -> String {
        self.0
            .first()
            .map_or_else(|| name.to_owned(), Secret::fingerprint)
    }
}

/// How to reach a provider.
pub struct Access {
    /// The key, with as many parts as the provider has.
    pub credentials: Credentials,
    /// The base URL, if it isn't the provider's own.
    pub base_url: Option<SecretUrl>,
    /// The current time.
    pub clock: Clock,
}

//! All providers by name: the only list that a new provider must be added to.

use super::entry::ProviderEntry;
use super::{fmp, massive};

/// All providers, the default first.
pub const PROVIDERS: &[&ProviderEntry] = &[
    &fmp::ENTRY,
    &massive::ENTRY,
    &fmp::demo::ENTRY,
    #[cfg(feature = "crash-points")]
    &super::toy::ENTRY,
];

/// The provider of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ProviderEntry> {
    PROVIDERS.iter().find(|entry| entry.name == name).copied()
}

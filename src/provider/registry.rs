//! All providers by name. A new provider is added here; help, settings and lists follow from its entry.
//! ARCHITECTURE.md (Recipes) names what else it needs.

use super::entry::ProviderEntry;
use super::{alpaca, binance, fmp, massive};

/// All providers, the default first.
pub const PROVIDERS: &[&ProviderEntry] = &[
    &fmp::ENTRY,
    &alpaca::ENTRY,
    &massive::ENTRY,
    &binance::ENTRY,
    &fmp::demo::ENTRY,
    #[cfg(feature = "crash-points")]
    &super::toy::ENTRY,
];

/// The provider of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ProviderEntry> {
    PROVIDERS.iter().find(|entry| entry.name == name).copied()
}

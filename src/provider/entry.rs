//! What the registry lists about a provider.

use std::sync::Arc;

use super::credentials::Access;
use super::error::Error;
use super::info::ProviderInfo;
use super::request::Provider;

/// A provider as the command line offers it.
pub struct ProviderEntry {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    /// Whether help leaves it out.
    pub hidden: bool,
    /// The parts of its key. Each is read from the first of its environment variables that is set.
    pub keys: &'static [&'static [&'static str]],
    /// The environment variable with its base URL; `None` if it has no other address than its own.
    pub base_url_env: Option<&'static str>,
    /// Its feeds by name, the usual one first; empty if it has only one. Bars of different feeds
    /// differ, so each is a provider of its own with the same key.
    pub feeds: &'static [(&'static str, &'static ProviderEntry)],
    /// What it offers, known without a key.
    pub info: fn() -> ProviderInfo,
    /// Makes a client. Sends nothing yet.
    pub open: fn(Access) -> Result<Arc<dyn Provider>, Error>,
}

//! Where bars come from: providers with one small trait, and what their requests have in common.
//!
//! ```text
//! Request ─> RetryingClient ──(permit, pause, pace)──> Provider::fetch ─> Reply ─(permit returned)─> Provider::parse ─> Page
//!                  └──────────────── retries of one page ───────────────────────────────────────────────┘
//! ```
//!
//! The command line finds a provider in [`registry`]; its facts are data ([`ProviderInfo`]). What
//! is the same for all providers is outside of them: the [`Gate`] (requests in flight, rate,
//! pauses, quota), the [`RetryingClient`], and the HTTP client. **Nothing here knows the store, the
//! sessions or the command line.**

pub mod alpaca;
mod bad_row;
mod bar_object;
pub mod binance;
mod credentials;
mod entry;
mod error;
pub mod fmp;
mod gate;
mod http;
mod info;
mod json_number;
pub mod massive;
mod pace;
mod plain_time;
pub mod registry;
mod request;
mod retry;
#[cfg(feature = "crash-points")]
mod toy;
mod withheld;

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod mutate;
#[cfg(test)]
pub(crate) mod wrap;

pub use bad_row::BadRow;
use bad_row::NotBar;
pub use credentials::{Access, Clock, Credentials};
pub use entry::ProviderEntry;
pub use error::{Error, ErrorKind, Retry, Scope};
pub use gate::{Daily, Gate, GateOptions, Spent};
pub use info::{ProviderInfo, Truncation};
pub use request::{Page, PageToken, Provider, Reply, Request, Rows};
pub use retry::{FetchError, RetryOptions, RetryingClient};

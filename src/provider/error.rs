//! Everything that can fail between a request and its bars.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bad_row::BadRow;

/// Whether to send the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After the time that the server named.
    After(Duration),
    /// After a wait that grows with each attempt.
    Backoff,
    /// Not at all: the answer would be the same.
    Never,
}

/// How much an error stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This window; the ticker's others may still be answered.
    Window,
    /// This ticker; the others may still be answered.
    Ticker,
    Run,
}

/// What failed, as far as callers react to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The base URL can't be used.
    BaseUrl,
    /// The client can't be set up.
    Client,
    /// The server's certificate isn't trusted.
    Certificate,
    /// The key is missing, wrong or expired.
    Key,
    /// The key is valid and doesn't allow any request of the run.
    Forbidden,
    /// Too many requests. The gate pauses all workers, because the limit is the key's.
    Limit,
    /// A quota is spent that no wait of this run restores.
    Quota,
    /// The provider refuses this ticker.
    Ticker,
    /// The request is beyond what [`ProviderInfo`](super::ProviderInfo) offers.
    BadRequest,
    /// No connection.
    Connect,
    /// A failure that another attempt may not have: a server error, a timeout, a torn answer.
    Transient,
    /// An answer that isn't bars and isn't a known error either.
    Unexpected,
    /// Rows came, but most of them aren't bars: the provider may have changed its format.
    Rejects,
}

use ErrorKind as K;

/// A failed request. Neither the error nor its source holds a key.
#[derive(Clone, Debug)]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    kind: ErrorKind,
    message: String,
    window: Option<String>,
    said: Option<String>,
    retry_after: Option<Duration>,
    hint: Option<&'static str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// How much of a row a message shows.
const ROW_BYTES: usize = 200;

impl Error {
    /// An error with a message: a lower-case fragment.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            window: None,
            said: None,
            retry_after: None,
            hint: None,
            source: None,
        }))
    }

    /// Most of `rows` rows of `window` are these `rejects`.
    #[must_use]
    pub fn of_rejects<'a>(
        window: &str,
        rows: usize,
        mut rejects: impl Iterator<Item = &'a BadRow>,
    ) -> Self {
        let first = rejects.next().map(|row| &row.reject);
        let count = rejects.count() + usize::from(first.is_some());
        let reason = first.map_or("", |reject| reject.reason.as_str());
        let raw = first.map_or("", |reject| &reject.raw);
        let raw = raw[..raw.floor_char_boundary(ROW_BYTES)].replace(char::is_control, " ");
        Self::new(K::Rejects, format!("{count} of {rows} rows are not bars"))
            .in_window(window)
            .saying(format!("the first because of {reason}: {raw}"))
    }

    /// The same error, with the request that failed.
    #[must_use]
    pub fn in_window(mut self, window: impl fmt::Display) -> Self {
        self.0.window = Some(window.to_string());
        self
    }

    /// The same error, with the server's words. They must not hold a secret.
    #[must_use]
    pub fn saying(mut self, said: impl Into<String>) -> Self {
        self.0.said = Some(said.into());
        self
    }

    /// The same error, with the wait that the server named.
    #[must_use]
    pub fn after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// The same error, with the provider's own hint instead of the usual one.
    #[must_use]
    pub fn hinting(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The server's words.
    #[must_use]
    pub fn said(&self) -> &str {
        self.0.said.as_deref().unwrap_or_default()
    }

    /// The wait that the server named.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether to send the request again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.0.kind {
            K::Limit | K::Connect | K::Transient => {
                self.0.retry_after.map_or(Retry::Backoff, Retry::After)
            }
            _ => Retry::Never,
        }
    }

    /// How much this stops.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self.0.kind {
            K::BaseUrl
            | K::Client
            | K::Certificate
            | K::Key
            | K::Forbidden
            | K::Limit
            | K::Quota => Scope::Run,
            K::Ticker | K::BadRequest => Scope::Ticker,
            K::Connect | K::Transient | K::Unexpected | K::Rejects => Scope::Window,
        }
    }

    /// Whether a quota is spent, so that the run can continue another day.
    #[must_use]
    pub fn is_quota(&self) -> bool {
        matches!(self.0.kind, K::Limit | K::Quota)
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.0.hint.or(match self.0.kind {
            K::BaseUrl => Some(
                "write the base URL as http(s)://host/path, with %-codes for special characters in user and password",
            ),
            K::Key => Some("check the provider's key; `--provider demo` needs none"),
            K::Forbidden => Some("check the state of the account on the provider's site"),
            K::Quota => Some("--resume continues when the quota allows"),
            K::Limit => {
                Some("--resume continues when the quota allows; a lower --rate spends less of it")
            }
            K::Connect => Some("check the network and --provider-url, then continue with --resume"),
            K::Certificate => Some(
                "check the clock and --provider-url; SSL_CERT_FILE=FILE.pem names the certificates to trust instead of the system's",
            ),
            K::Transient => Some("--resume requests again what failed"),
            K::Rejects => {
                Some("look at the rows in the rejects file; --resume requests again what failed")
            }
            K::Client | K::Ticker | K::BadRequest | K::Unexpected => None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(window) = &self.0.window {
            write!(f, " at {window}")?;
        }
        match &self.0.said {
            Some(said) => write!(f, ": {said}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

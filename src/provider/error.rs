//! Everything that can fail between a request and its bars.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bad_row::BadRow;
use crate::advice::Advice;
use crate::model::Ticker;

/// Whether to send a failed request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After the time that the server named.
    After(Duration),
    /// After a wait that grows with each attempt.
    Backoff,
    /// Not at all: the response would be the same.
    Never,
}

/// How much an error stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This window. The ticker's other windows may still return bars.
    Window,
    /// This ticker. Others may still return bars.
    Ticker,
    Run,
}

/// What failed. Callers handle each kind in its own way.
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
    /// Too many requests. The gate pauses all requests: the provider counts them by key.
    Limit,
    /// A quota is spent that isn't restored within minutes.
    Quota,
    /// The plan of the key doesn't include the dates: they are too old, or too new. Nothing is known
    /// of them, and the response would be the same for any ticker.
    Withheld,
    /// The provider refuses this ticker.
    Ticker,
    /// The request is beyond what [`ProviderInfo`](super::ProviderInfo) offers.
    BadRequest,
    /// No connection.
    Connect,
    /// The server's machine refuses connections: no program listens at the address.
    Refused,
    /// A failure that may not occur again: a server error, a timeout, a response that breaks off.
    Transient,
    /// A response that is neither bars nor a known error.
    Unexpected,
    /// Rows came, but most of them aren't bars: the provider may have changed its format.
    Rejects,
}

use ErrorKind as K;

/// A failed request. Neither the error nor its source contains a key.
#[derive(Clone, Debug)]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    kind: ErrorKind,
    message: String,
    window: Option<String>,
    ticker: Option<Ticker>,
    detail: Option<String>,
    retry_after: Option<Duration>,
    hint: Option<Advice>,
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
            ticker: None,
            detail: None,
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
            .with_detail(format!("the first because of {reason}: {raw}"))
    }

    /// The same error, with the request that failed.
    #[must_use]
    pub fn in_window(mut self, window: impl fmt::Display) -> Self {
        self.0.window = Some(window.to_string());
        self
    }

    /// The same error, with the ticker of the request that it is about, if it is about one.
    #[must_use]
    pub fn about(mut self, ticker: Option<Ticker>) -> Self {
        self.0.ticker = ticker;
        self
    }

    /// The same error, with details such as the server's error text. They must not contain a secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same error, with the wait that the server named.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// The same error, with the provider's own hint instead of the usual one.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Advice>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The only ticker of the request that the error is about.
    #[must_use]
    pub fn ticker(&self) -> Option<&Ticker> {
        self.0.ticker.as_ref()
    }

    /// Details such as the server's error text.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.0.detail.as_deref().unwrap_or_default()
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
            K::Limit | K::Connect | K::Refused | K::Transient => {
                self.0.retry_after.map_or(Retry::Backoff, Retry::After)
            }
            _ => Retry::Never,
        }
    }

    /// How much this error stops.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self.0.kind {
            K::BaseUrl
            | K::Client
            | K::Certificate
            | K::Key
            | K::Forbidden
            | K::Refused
            | K::Limit
            | K::Quota => Scope::Run,
            K::Ticker | K::BadRequest => Scope::Ticker,
            K::Withheld | K::Connect | K::Transient | K::Unexpected | K::Rejects => Scope::Window,
        }
    }

    /// Whether a quota is spent, so that the run can continue another day.
    #[must_use]
    pub fn is_quota(&self) -> bool {
        matches!(self.0.kind, K::Limit | K::Quota)
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<Advice> {
        self.0.hint.clone().or(match self.0.kind {
            K::BaseUrl => Some(Advice::from(
                "write the base URL as http(s)://host/path, with %-codes for special characters in user and password",
            )),
            K::Key => Some(Advice::SetKey { variables: None }),
            K::Forbidden => Some("check the state of the account on the provider's site".into()),
            K::Quota => Some(Advice::ResumeLater { lower_rate: false }),
            K::Limit => Some(Advice::ResumeLater { lower_rate: true }),
            K::Connect | K::Refused => Some(Advice::CheckConnection),
            K::Certificate => Some(Advice::CheckCertificate),
            K::Transient => Some(Advice::ResumeFailed),
            K::Rejects => Some(Advice::CheckRejects),
            K::Client | K::Withheld | K::Ticker | K::BadRequest | K::Unexpected => None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(window) = &self.0.window {
            write!(f, " at {window}")?;
        }
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
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

//! Everything that can go wrong between a question and its bars, and what to do about it.

use std::time::Duration;

use super::BadRow;
use crate::model::Ticker;

/// Whether to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The server said when.
    After(Duration),
    /// Later, and later still each time.
    Backoff,
    /// Asking again changes nothing.
    Never,
}

/// How much an error stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This window; the ticker's others may still be answered.
    Window,
    /// This ticker; the others may still be answered.
    Ticker,
    /// The run.
    Run,
}

/// What can go wrong. No variant, and no source of one, holds a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is missing, wrong or expired.
    #[error("the provider refuses the key (status {status}): {said}")]
    Key {
        /// HTTP status.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// The plan behind the key does not hold what the run asks for.
    #[error("the plan behind the key does not allow this request: {said}")]
    Plan {
        /// What the server said.
        said: String,
    },
    /// The account may ask nothing at all, or nothing here.
    #[error("the provider forbids the request (status 403): {said}")]
    Forbidden {
        /// What the server said.
        said: String,
    },
    /// The plan behind the key does not hold this symbol.
    #[error("the plan behind the key does not hold {ticker}: {said}")]
    PlanTicker {
        /// The symbol.
        ticker: Ticker,
        /// What the server said.
        said: String,
    },
    /// The server cannot make sense of this symbol.
    #[error("the provider refuses {ticker} (status {status}): {said}")]
    RefusedTicker {
        /// The symbol.
        ticker: Ticker,
        /// HTTP status.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// Too many requests: the rate of a minute, or the quota of a day under the same words.
    #[error("too many requests: {said}")]
    Limit {
        /// How long to wait, where the server said so.
        retry_after: Option<Duration>,
        /// What the server said.
        said: String,
    },
    /// The bytes of a month are spent.
    #[error("the bandwidth of the plan is spent: {said}")]
    Bandwidth {
        /// What the server said.
        said: String,
    },
    /// The server failed.
    #[error("the provider failed with status {status} at {window}: {said}")]
    Server {
        /// HTTP status.
        status: u16,
        /// How long to wait, where the server said so.
        retry_after: Option<Duration>,
        /// Ticker, interval and dates asked.
        window: String,
        /// What the server said.
        said: String,
    },
    /// A status that the provider is not known to send.
    #[error("an unexpected status {status} at {window}: {said}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Ticker, interval and dates asked.
        window: String,
        /// What the server said.
        said: String,
    },
    /// No connection came about.
    #[error("no connection to the provider at {window}")]
    Connect {
        /// Ticker, interval and dates asked.
        window: String,
        /// Why, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The server shows a certificate that is not trusted.
    #[error("the certificate of the provider's server is not trusted at {window}")]
    Certificate {
        /// Ticker, interval and dates asked.
        window: String,
        /// Why, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The server let us wait too long.
    #[error("the provider took too long at {window}")]
    Timeout {
        /// Ticker, interval and dates asked.
        window: String,
        /// Why, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke, or the body ended early.
    #[error("the answer broke off at {window}")]
    Broken {
        /// Ticker, interval and dates asked.
        window: String,
        /// Why, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The body is no JSON: cut short, or a page of HTML.
    #[error("the answer is not JSON at {window}: {said}")]
    NotJson {
        /// Ticker, interval and dates asked.
        window: String,
        /// First bytes of the body.
        said: String,
        /// Where reading stopped.
        #[source]
        source: serde_json::Error,
    },
    /// The body is JSON, but no bars and no error that is known.
    #[error("the answer is not an array of bars at {window}: {said}")]
    NotBars {
        /// Ticker, interval and dates asked.
        window: String,
        /// First bytes of the body.
        said: String,
    },
    /// Rows came, but most of them are not bars: the provider may have changed its format.
    #[error(
        "{rejects} of {rows} rows are not bars at {window}, the first because of {reason}: {said}"
    )]
    Rejects {
        /// Ticker, interval and dates asked.
        window: String,
        /// Rows that came.
        rows: usize,
        /// How many of them are not bars.
        rejects: usize,
        /// The word for what is wrong with the first.
        reason: &'static str,
        /// The first, as it came.
        said: String,
    },
    /// The body is longer than any answer can be.
    #[error("the answer is longer than {limit_bytes} bytes at {window}")]
    TooLong {
        /// Ticker, interval and dates asked.
        window: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The base URL cannot be one.
    #[error("the base URL of the provider cannot be used: {why}")]
    BaseUrl {
        /// What is wrong with it. The URL itself may hold a password that nothing can tell from the
        /// rest.
        why: &'static str,
    },
    /// The key holds what no header can carry.
    #[error("the key holds a character that no HTTP header can carry")]
    KeyCharacters,
    /// The query asks for more than the vendor's [`Capabilities`](super::Capabilities) say.
    #[error("the provider cannot be asked for {window}: {why}")]
    BadQuery {
        /// Ticker, interval and dates asked.
        window: String,
        /// What it cannot do.
        why: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}

/// How much of a row a message shows.
const ROW_BYTES: usize = 200;

impl Error {
    /// Most of so many `rows` at `window` are these `rejects`.
    #[must_use]
    pub fn of_rejects<'a>(
        window: &str,
        rows: usize,
        mut rejects: impl Iterator<Item = &'a BadRow>,
    ) -> Self {
        let first = rejects.next().map(|row| &row.reject);
        let said = first.map_or("", |reject| &reject.raw);
        Self::Rejects {
            window: window.to_owned(),
            rows,
            rejects: rejects.count() + usize::from(first.is_some()),
            reason: first.map_or("", |reject| reject.reason.as_str()),
            said: said[..said.floor_char_boundary(ROW_BYTES)].replace(char::is_control, " "),
        }
    }

    /// Whether to ask again. A [`Limit`](Self::Limit) is everybody's: the gate pauses all workers for it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Limit { retry_after, .. } | Self::Server { retry_after, .. } => {
                retry_after.map_or(Retry::Backoff, Retry::After)
            }
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::NotJson { .. } => Retry::Backoff,
            _ => Retry::Never,
        }
    }

    /// How much this stops.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Key { .. }
            | Self::Plan { .. }
            | Self::Forbidden { .. }
            | Self::Limit { .. }
            | Self::Bandwidth { .. }
            | Self::BaseUrl { .. }
            | Self::Certificate { .. }
            | Self::KeyCharacters
            | Self::Client(_)
            | Self::Tls(_) => Scope::Run,
            Self::PlanTicker { .. }
            | Self::RefusedTicker { .. }
            | Self::Status { .. }
            | Self::BadQuery { .. } => Scope::Ticker,
            Self::Server { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::NotJson { .. }
            | Self::NotBars { .. }
            | Self::Rejects { .. }
            | Self::TooLong { .. } => Scope::Window,
        }
    }

    /// Whether this says that a quota is spent, so that going on is a matter of another day.
    #[must_use]
    pub fn is_quota(&self) -> bool {
        matches!(self, Self::Limit { .. } | Self::Bandwidth { .. })
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Key { .. } | Self::KeyCharacters => {
                Some("set FMP_API_KEY in the environment or in .env; `--provider demo` needs none")
            }
            Self::Plan { .. } => {
                Some("intraday bars need a larger plan; `backfill check` asks what yours allows")
            }
            Self::Forbidden { .. } => Some("look at the account's state on the provider's site"),
            Self::PlanTicker { .. } => Some("leave the ticker out, or take a larger plan"),
            Self::Bandwidth { .. } => {
                Some("the quota counts the last 30 days; --resume goes on when it allows")
            }
            Self::Limit { .. } => {
                Some("--resume goes on when the quota allows, a lower --rate spares it")
            }
            Self::Connect { .. } => {
                Some("check the network and --provider-url, then go on with --resume")
            }
            Self::Certificate { .. } => Some(
                "is the clock right, and --provider-url? SSL_CERT_FILE=FILE.pem names the certificates to trust in place of the system's",
            ),
            Self::Server { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::NotJson { .. } => Some("--resume asks again for what failed"),
            Self::Rejects { .. } => {
                Some("look at the rows in the rejects file; --resume asks again for what failed")
            }
            Self::BaseUrl { .. } => Some(
                "give --provider-url or FMP_BASE_URL as http(s)://host/path, with %-codes for special characters in user and password",
            ),
            _ => None,
        }
    }
}

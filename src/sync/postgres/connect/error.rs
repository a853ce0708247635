//! Why an address is wrong, or a server can't be reached.

use std::path::PathBuf;

use crate::advice::{Advice, Hint, SyncAdvice};
use crate::sync::error::{Error, ErrorKind, Retry};
use crate::sync::postgres::error::{describe, hint, retry};

/// The address is wrong: an error of the command line, not of the server.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Neither the URL nor variables name a database.
    #[error("no database is named")]
    Unnamed,
    /// The URL of something else.
    #[error("the database URL does not begin with postgres:// or postgresql://")]
    NotPostgres,
    /// Neither a URL nor a list.
    #[error("the database address is neither a URL nor a list of key=value")]
    Unreadable,
    /// The part after the `?` can't be read.
    #[error("the part of the database URL after its ? is not key=value&key=value")]
    Query,
    /// For example a host in brackets that don't close.
    #[error("the host in the database URL can't be read")]
    Host,
    /// Percent codes that don't decode to text.
    #[error("the {0} of the database address is not UTF-8 once decoded")]
    NotUtf8(String),
    /// A key that libpq doesn't know. It may be part of a password, so the message doesn't name it.
    #[error("the database address has an unknown key")]
    UnknownKey,
    /// A key that libpq knows and this program doesn't support.
    #[error("{0} in a database address is not supported")]
    Unsupported(&'static str),
    /// A wrong value.
    #[error("the {0} of the database address isn't valid")]
    Value(&'static str),
    /// A mode that libpq doesn't know.
    #[error("sslmode is one of disable, prefer, require, verify-ca and verify-full")]
    SslMode,
    /// No trusted root certificates.
    #[error("there are no trusted root certificates to check the server's certificate against")]
    NoRoots,
    /// A certificate file can't be read.
    #[error("{path} can't be read as PEM: {source}")]
    Pem {
        path: PathBuf,
        source: rustls::pki_types::pem::Error,
    },
    /// TLS can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(rustls::Error),
}

impl Hint for AddressError {
    fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Unnamed => SyncAdvice::NameDatabase.into(),
            Self::NoRoots => "sslrootcert=FILE names the certificate to trust".into(),
            Self::UnknownKey => {
                "keys are as in libpq (host, port, user, password, dbname, sslmode, …); special \
                 characters of a password need %-codes in a URL, and '' around the password in a list"
                    .into()
            }
            Self::Query | Self::Value(_) | Self::Unreadable | Self::NotUtf8(_) | Self::Host => {
                "postgresql://user:password@host:5432/database, with %-codes for special characters"
                    .into()
            }
            _ => return None,
        })
    }
}

/// The server can't be reached, or refuses the connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The connection failed.
    #[error("{label} can't be reached: {}", describe(cause))]
    Failed {
        label: String,
        /// Why. It isn't a source of this error: the message has all of it.
        cause: tokio_postgres::Error,
    },
    /// It took too long.
    #[error("{label} did not respond within {seconds} s")]
    TimedOut { label: String, seconds: u64 },
    /// The server's name has no address.
    #[error("{label} can't be reached: its name can't be resolved: {why}")]
    Unresolved { label: String, why: String },
    /// None of several servers can be reached.
    #[error("no server of {label} can be reached: {}", list(each))]
    None {
        label: String,
        each: Vec<ConnectError>,
    },
}

impl ConnectError {
    /// The errors of single servers.
    fn single(&self) -> &[Self] {
        match self {
            Self::None { each, .. } => each,
            one => std::slice::from_ref(one),
        }
    }

    /// What the servers responded, and the client library's errors for those that didn't.
    fn causes(&self) -> impl Iterator<Item = &tokio_postgres::Error> {
        self.single().iter().filter_map(|error| match error {
            Self::Failed { cause, .. } => Some(cause),
            _ => None,
        })
    }

    /// Whether another attempt may succeed, at one of the servers.
    fn may_pass(&self) -> bool {
        self.single().iter().any(|error| match error {
            Self::Failed { cause, .. } => retry(cause) == Retry::NewConnection,
            Self::TimedOut { .. } => true,
            Self::Unresolved { .. } | Self::None { .. } => false,
        })
    }

    /// Whether a server responded that it isn't ready yet, or has no free connection.
    pub(in crate::sync::postgres) fn is_starting(&self) -> bool {
        self.causes()
            .any(|cause| cause.as_db_error().is_some() && retry(cause) == Retry::NewConnection)
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let hint = error.causes().find_map(hint);
        let retry = match error.may_pass() {
            true => Retry::NewConnection,
            false => Retry::Never,
        };
        Self::new(ErrorKind::Connect, error.to_string())
            .maybe_hint(hint)
            .with_retry(retry)
            .with_cause(error)
    }
}

/// `a:1 did not respond within 10 s; b:2 can't be reached: connection refused`.
fn list(each: &[ConnectError]) -> String {
    let each: Vec<_> = each.iter().map(ToString::to_string).collect();
    each.join("; ")
}

//! Why a server cannot be reached.

use std::path::PathBuf;

use crate::sync::errors::{Class, classify_source, describe};

/// An address cannot be used as it is written. Wrong on the command line, not on the server.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Neither a URL nor variables name a database.
    #[error("no database is named")]
    Unnamed,
    /// A URL of something else.
    #[error("the database URL does not begin with postgres:// or postgresql://")]
    NotPostgres,
    /// Neither of the two forms.
    #[error("the database address is neither a URL nor a list of key=value")]
    Unreadable,
    /// What follows the `?` cannot be read.
    #[error("the part of the database URL after its ? is not key=value&key=value")]
    Query,
    /// A host in brackets without an end, and the like.
    #[error("the host in the database URL cannot be read")]
    Host,
    /// Percent signs that do not decode to text.
    #[error("the {0} of the database address is not UTF-8 once decoded")]
    NotUtf8(String),
    /// A key that libpq does not know. It may be part of a password, and is not named.
    #[error("the database address has a key that is not known")]
    UnknownKey,
    /// A key that libpq knows and that is not supported here.
    #[error("{0} in a database address is not supported")]
    Unsupported(&'static str),
    /// A value that cannot be used.
    #[error("the {0} of the database address cannot be used")]
    Value(&'static str),
    /// A mode that libpq does not know.
    #[error("sslmode is one of disable, prefer, require, verify-ca and verify-full")]
    SslMode,
    /// No trusted root to check against.
    #[error("there are no trusted root certificates to check the server's against")]
    NoRoots,
    /// A certificate file cannot be read.
    #[error("{path} cannot be read as PEM: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

impl AddressError {
    /// What would mend it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unnamed => Some(
                "give --database-url, or set DATABASE_URL or libpq's variables (PGHOST, PGDATABASE, …)",
            ),
            Self::NoRoots => Some("sslrootcert=FILE names the certificate to trust"),
            Self::UnknownKey => Some(
                "keys are as in libpq (host, port, user, password, dbname, sslmode, …); a password with special characters needs %-codes in a URL, and '' around it in a list",
            ),
            Self::Query | Self::Value(_) | Self::Unreadable | Self::NotUtf8(_) | Self::Host => {
                Some(
                    "postgresql://user:password@host:5432/database, with %-codes for special characters",
                )
            }
            _ => None,
        }
    }
}

/// The server could not be reached, or would not let us in.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The connection failed.
    #[error("{label} cannot be reached: {}", describe(answer))]
    Failed {
        /// Where to, without a password.
        label: String,
        /// Why. No source of this error: the message has all of it already.
        answer: tokio_postgres::Error,
    },
    /// It took too long.
    #[error("{label} did not answer within {seconds} s")]
    TimedOut {
        /// Where to, without a password.
        label: String,
        /// The limit.
        seconds: u64,
    },
    /// The server's name means no address.
    #[error("{label} cannot be reached: its name cannot be resolved: {why}")]
    Unresolved {
        /// Where to, without a password.
        label: String,
        /// Why.
        why: String,
    },
    /// None of several servers could be reached.
    #[error("no server of {label} can be reached: {}", list(each))]
    None {
        /// Where to, without a password.
        label: String,
        /// Why, for each of them; the labels are of one server each.
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

    /// What the servers answered, and what the client library says of those that did not.
    pub(in crate::sync) fn answers(&self) -> impl Iterator<Item = &tokio_postgres::Error> {
        self.single().iter().filter_map(|error| match error {
            Self::Failed { answer, .. } => Some(answer),
            _ => None,
        })
    }

    /// Whether another attempt may fare better: at one of the servers is enough.
    pub(in crate::sync) fn class(&self) -> Class {
        let may_pass = self.single().iter().any(|error| match error {
            Self::Failed { answer, .. } => classify_source(answer) == Class::Reconnect,
            Self::TimedOut { .. } => true,
            Self::Unresolved { .. } | Self::None { .. } => false,
        });
        if may_pass {
            Class::Reconnect
        } else {
            Class::Never
        }
    }

    /// Whether a server answered that it is not ready yet, or not for one more.
    pub(in crate::sync) fn is_starting(&self) -> bool {
        self.answers().any(|answer| {
            answer.as_db_error().is_some() && classify_source(answer) == Class::Reconnect
        })
    }
}

/// `a:1 did not answer within 10 s; b:2 cannot be reached: connection refused`.
fn list(each: &[ConnectError]) -> String {
    let each: Vec<_> = each.iter().map(ToString::to_string).collect();
    each.join("; ")
}

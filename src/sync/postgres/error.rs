//! What Postgres and its client library return, as errors of a sync.

use std::error::Error as StdError;

use tokio_postgres::error::SqlState;

use crate::advice::{Advice, SyncAdvice};
use crate::causes;
use crate::sync::error::{Error, ErrorKind, Retry};

/// What the user can do if row-level security hides rows.
pub(super) const SEES_ALL_ROWS: &str =
    "sync as the owner of the table, or as a role that has BYPASSRLS";

/// The error of a statement that was refused, or in which the connection was lost. `doing` is
/// what the statement was for.
pub(super) fn failed(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |cause| {
        Error::new(
            ErrorKind::Database,
            format!("{doing}: {}", describe(&cause)),
        )
        .maybe_hint(hint(&cause))
        .with_retry(retry(&cause))
        .with_cause(cause)
    }
}

/// The server's code for the error, if the server sent it.
pub(super) fn sql_state(error: &Error) -> Option<&SqlState> {
    error.cause::<tokio_postgres::Error>()?.code()
}

/// Whether another connection created the same thing at the same time.
pub(super) fn is_lost_race(error: &Error) -> bool {
    sql_state(error).is_some_and(|code| {
        [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_OBJECT,
            SqlState::DUPLICATE_COLUMN,
        ]
        .contains(code)
    })
}

/// The server's own words, or the chain of causes: the client library's message alone is
/// `db error`.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        return causes::with_causes(error);
    };
    let detail = db.detail().map_or_else(String::new, |d| format!("; {d}"));
    format!("{} (SQLSTATE {}){detail}", db.message(), db.code().code())
}

/// What the user can do about a response of the server.
pub(super) fn hint(error: &tokio_postgres::Error) -> Option<Advice> {
    let code = error.code()?;
    if *code == SqlState::TOO_MANY_CONNECTIONS {
        return Some(SyncAdvice::FewerConnections.into());
    }
    let words = if *code == SqlState::DISK_FULL {
        "the server's disk is full"
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        "the user needs SELECT, INSERT and UPDATE on the table"
    } else if *code == SqlState::QUERY_CANCELED {
        "the server cancelled it: is statement_timeout too short for this user?"
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        "the server doesn't accept writes: is it a standby? With several hosts, \
         target_session_attrs=read-write finds the primary"
    } else {
        return None;
    };
    Some(words.into())
}

/// Whether another attempt may succeed.
pub(super) fn retry(error: &tokio_postgres::Error) -> Retry {
    const NEW_CONNECTION: [&SqlState; 12] = [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::CONNECTION_EXCEPTION,
        &SqlState::CONNECTION_DOES_NOT_EXIST,
        &SqlState::CONNECTION_FAILURE,
        &SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        &SqlState::SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
        &SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        &SqlState::TOO_MANY_CONNECTIONS,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        &SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    const SAME_CONNECTION: [&SqlState; 7] = [
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
        &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        &SqlState::DISK_FULL,
        &SqlState::OUT_OF_MEMORY,
        &SqlState::LOCK_NOT_AVAILABLE,
        &SqlState::IN_FAILED_SQL_TRANSACTION,
    ];
    match error.code() {
        Some(code) if NEW_CONNECTION.contains(&code) => Retry::NewConnection,
        Some(code) if SAME_CONNECTION.contains(&code) => Retry::SameConnection,
        Some(_) => Retry::Never,
        None => retry_without_code(error),
    }
}

/// The server sent no code: the connection is closed or failed. Another attempt doesn't help
/// against a bad certificate or a missing password.
fn retry_without_code(error: &tokio_postgres::Error) -> Retry {
    const PERMANENT: [&str; 4] = [
        "certificate",
        "password missing",
        "does not support tls",
        "authentication",
    ];
    let text = describe(error).to_lowercase();
    let has_io_cause = causes::of(error).any(<dyn StdError>::is::<std::io::Error>);
    let is_permanent = PERMANENT.iter().any(|word| text.contains(word));
    match (error.is_closed() || has_io_cause) && !is_permanent {
        true => Retry::NewConnection,
        false => Retry::Never,
    }
}

//! What can go wrong on the way to Postgres, and what would mend it.

use std::error::Error as StdError;

use tokio_postgres::error::SqlState;

use super::connect::ConnectError;
use super::target::{self, TargetError};
use crate::causes;
use crate::model::{SeriesKey, Timestamp};

/// A sync, or the sync of one series, could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused a statement, or the connection was lost in it.
    #[error("{doing}: {}", describe(answer))]
    Database {
        /// What was being done, in a few words.
        doing: &'static str,
        /// What came back. No source of this error: the message has all of it already.
        answer: tokio_postgres::Error,
    },
    /// The server did not answer in time.
    #[error("{doing}: no answer within {seconds} s{}", waiting(waits_for.as_deref()))]
    NoAnswer {
        /// What was being done, in a few words.
        doing: &'static str,
        /// The limit.
        seconds: u64,
        /// Which sessions of the server it waited for, where that is known.
        waits_for: Option<String>,
    },
    /// A connection pooler hands out its connections statement by statement.
    #[error("{label} is a connection pooler in statement mode, and a sync needs transactions")]
    NoTransactions {
        /// Where to, without a password.
        label: String,
    },
    /// The target table cannot take the bars.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// `backfill_sync` is missing and may not be made.
    #[error("{table} is missing, and the user has no right to create it")]
    NoProgressTable {
        /// Its qualified name.
        table: String,
        /// The statement that would mend it.
        grant: String,
    },
    /// `backfill_sync` may not be read or written.
    #[error("the user may not read and write {table}")]
    ProgressRights {
        /// Its qualified name.
        table: String,
        /// The statement that would mend it.
        grant: String,
    },
    /// Some other table has the name.
    #[error("{table} is another program's table: it has no column {}", missing.join(", "))]
    ForeignProgress {
        /// Its qualified name.
        table: String,
        /// The columns that it lacks.
        missing: Vec<String>,
    },
    /// Row-level security hides rows of `backfill_sync`.
    #[error("row-level security of {table} hides rows from the user")]
    HiddenProgress {
        /// Its qualified name.
        table: String,
    },
    /// `backfill_sync` is of an older version, and the user may not change it.
    #[error("{table} has no column time_zone yet, and the user may not add it: {why}")]
    OldProgress {
        /// Its qualified name.
        table: String,
        /// The statement that would mend it.
        ddl: String,
        /// What the server says.
        why: String,
    },
    /// The bars of the table were written in another time zone.
    #[error("the times in {table} are of {}, and not of {given}", remembered.join(" and of "))]
    OtherZone {
        /// The target table.
        table: String,
        /// The zones that are recorded for it.
        remembered: Vec<String>,
        /// The zone that was asked for.
        given: String,
    },
    /// An older version did not record the zone, and what it recorded is not as in UTC.
    #[error(
        "no time zone is recorded for the times in {table}, and those of {ticker} don't look like UTC"
    )]
    UnknownZone {
        /// The target table.
        table: String,
        /// The first ticker whose times differ.
        ticker: String,
    },
    /// The staged bars cannot be read.
    #[error("the staged bars of {series} cannot be read: {source}")]
    Source {
        /// Of which series.
        series: SeriesKey,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The list of staged series cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(Box<dyn StdError + Send + Sync>),
    /// Bars of the simulator.
    #[error("{ticker} holds demo bars, which no market ever saw")]
    DemoBars {
        /// The first such ticker.
        ticker: String,
    },
    /// One table for bars of several intervals.
    #[error("bars of more than one interval are staged, and one table takes one of them")]
    ManyIntervals,
    /// A value does not fit its column.
    #[error(
        "{series} {timestamp}: {column} {value} does not fit the column's type {column_type}; nothing of its chunk was written"
    )]
    Overflow {
        /// Of which series.
        series: SeriesKey,
        /// Of which bar.
        timestamp: Timestamp,
        /// The column's name in the table.
        column: String,
        /// The value.
        value: String,
        /// The column's type.
        column_type: String,
    },
    /// The ticker does not fit its column.
    #[error("{series}: column {column} takes {max} characters, which the ticker is longer than")]
    TickerTooLong {
        /// Of which series.
        series: SeriesKey,
        /// The column's name in the table.
        column: String,
        /// The most characters that it takes.
        max: usize,
    },
    /// A fraction does not fit an integer column.
    #[error(
        "{series} {timestamp}: {column} {value} has a fraction, and the column is {column_type}; nothing of its chunk was written"
    )]
    Fraction {
        /// Of which series.
        series: SeriesKey,
        /// Of which bar.
        timestamp: Timestamp,
        /// The column's name in the table.
        column: String,
        /// The value.
        value: f64,
        /// The column's type.
        column_type: String,
        /// Whether `--round-volume` would help.
        is_volume: bool,
    },
    /// The hour that a clock change repeats cannot stand twice in a column without a time zone.
    #[error(
        "{series} {timestamp} falls into the hour that {zone} has twice, which a timestamp column without time zone cannot tell apart"
    )]
    RepeatedHour {
        /// Of which series.
        series: SeriesKey,
        /// Of which bar.
        timestamp: Timestamp,
        /// The zone of the column.
        zone: String,
    },
    /// The target holds other values, and the mode is `fail`.
    #[error(
        "{restated} of {rows} rows stand in {table} with other values, the first {series} {first}"
    )]
    Restated {
        /// Of which series.
        series: SeriesKey,
        /// The target table.
        table: String,
        /// How many rows of the chunk.
        restated: u64,
        /// Rows in the chunk.
        rows: u64,
        /// The first of them.
        first: Timestamp,
    },
    /// The server's own count is not what was sent.
    #[error(
        "{series}: {sent} rows were sent to {table} from {first} on, and the server took {took}"
    )]
    Receipt {
        /// Of which series.
        series: SeriesKey,
        /// The target table.
        table: String,
        /// Rows sent.
        sent: u64,
        /// Rows that the server says it took.
        took: u64,
        /// The chunk's first bar.
        first: Timestamp,
    },
    /// The server's checksum is not ours.
    #[error(
        "{series}: the checksum of {rows} rows from {first} to {last} in {table} is not that of the staged bars"
    )]
    Checksum {
        /// Of which series.
        series: SeriesKey,
        /// The target table.
        table: String,
        /// Rows summed.
        rows: u64,
        /// The first of them.
        first: Timestamp,
        /// The last of them.
        last: Timestamp,
    },
    /// The target's COPY stream is not what its catalog promised.
    #[error("{table} sent rows that cannot be read: {what}")]
    Unreadable {
        /// The target table.
        table: String,
        /// What was wrong.
        what: &'static str,
    },
    /// The table was dropped and made anew while the sync ran.
    #[error("table {table} was replaced by another one while the sync ran")]
    Replaced {
        /// The target table.
        table: String,
    },
    /// Another sync keeps undoing this one.
    #[error(
        "{series} is being synced at the same time by a store that shares its id but not its commits"
    )]
    Contended {
        /// The series.
        series: SeriesKey,
    },
    /// The run was told to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Wraps what the client library says.
    pub(super) fn database(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |answer| Self::Database { doing, answer }
    }

    /// Whether the run cannot go on: no other ticker would fare better.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, Self::NoAnswer { .. }) || classify(self) == Class::Reconnect
    }

    /// Whether the server answered, or at least is known not to.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(self, Self::NoAnswer { .. } | Self::Interrupted)
    }

    /// What would mend it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Target(error) => error.hint(),
            Self::NoProgressTable { grant, .. } | Self::ProgressRights { grant, .. } => {
                Some(grant.clone())
            }
            Self::DemoBars { .. } => {
                Some("--allow-demo syncs them all the same, to a database of no consequence".into())
            }
            Self::Fraction {
                is_volume: true, ..
            } => Some("--round-volume rounds volumes to whole numbers".into()),
            Self::RepeatedHour { .. } => {
                Some("a timestamp with time zone column holds both hours".into())
            }
            Self::Restated { .. } => Some(
                "--on-conflict ignore leaves the target's values, --on-conflict update takes the staged ones"
                    .into(),
            ),
            Self::Receipt { .. } => Some("does a trigger or a rule of the table drop rows?".into()),
            Self::Checksum { .. } => {
                Some("does a trigger or a rule of the table change values?".into())
            }
            Self::ManyIntervals => Some("--interval N says which".into()),
            Self::Replaced { .. } => Some("sync again: all goes into the new one".into()),
            Self::Contended { .. } => {
                Some("sync one copy of the store at a time; `backfill verify --repair` gives a copy an id of its own".into())
            }
            Self::NoAnswer { .. } => Some(
                "--statement-timeout SECONDS waits longer; the next sync continues where this one stopped"
                    .into(),
            ),
            Self::NoTransactions { .. } => Some(
                "set pool_mode of this database to transaction or session, or connect to the server itself"
                    .into(),
            ),
            Self::ForeignProgress { .. } => Some(
                "a sync keeps its progress in a table of that name next to its target: rename the other table, or choose a target in another schema with --table SCHEMA.NAME"
                    .into(),
            ),
            Self::HiddenProgress { .. } => Some(target::SEES_ALL_ROWS.into()),
            Self::OldProgress { ddl, .. } => Some(format!("its owner has to run: {ddl}")),
            Self::OtherZone { remembered, .. } => Some(match remembered.as_slice() {
                [zone] => format!(
                    "leave out --target-timezone, or give --target-timezone {zone}; an empty table takes any"
                ),
                _ => "the table has times of several zones: empty it and sync again".into(),
            }),
            Self::UnknownZone { .. } => Some(
                "give the zone that they were written in, once: --target-timezone UTC, or another; it is recorded then"
                    .into(),
            ),
            Self::Connect(error) => error.answers().find_map(database_hint),
            Self::Database { answer, .. } => database_hint(answer),
            _ => None,
        }
    }

    /// What the server answered to a statement, or why it did not.
    pub(super) fn database_source(&self) -> Option<&tokio_postgres::Error> {
        match self {
            Self::Database { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// What a wait was for, as the end of a message.
fn waiting(waits_for: Option<&str>) -> String {
    waits_for.map_or_else(String::new, |blockers| format!(", waiting for {blockers}"))
}

fn database_hint(error: &tokio_postgres::Error) -> Option<String> {
    let code = error.code()?;
    Some(if *code == SqlState::TOO_MANY_CONNECTIONS {
        "lower --threads, or raise the server's max_connections".into()
    } else if *code == SqlState::DISK_FULL {
        "the server's disk is full".into()
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        "the user needs SELECT, INSERT and UPDATE on the table".into()
    } else if *code == SqlState::QUERY_CANCELED {
        "the server cancelled it: is statement_timeout too short for this user?".into()
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        "the server takes no writes: is it a standby? target_session_attrs=read-write seeks the primary among several hosts".into()
    } else {
        return None;
    })
}

/// The server's own words, or the chain of causes: the client library's message alone is `db error`.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        if let Some(detail) = db.detail() {
            text.push_str("; ");
            text.push_str(detail);
        }
        return text;
    }
    causes::with_causes(error)
}

/// What an error of the database is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Again, on a new connection: it was lost, or the server is going down or coming up.
    Reconnect,
    /// Again, on the same connection, once rolled back: a deadlock, a serialization failure, a full disk.
    Again,
    /// Never: it would fail in the same way.
    Never,
}

/// Classifies `error`.
pub(super) fn classify(error: &Error) -> Class {
    match error {
        Error::Connect(error) => error.class(),
        _ => error
            .database_source()
            .map_or(Class::Never, classify_source),
    }
}

pub(super) fn classify_source(error: &tokio_postgres::Error) -> Class {
    let Some(code) = error.code() else {
        // Not the server's words: the connection is closed, or an I/O error; but a certificate does not get better.
        let text = describe(error).to_lowercase();
        let hopeless = [
            "certificate",
            "password missing",
            "does not support tls",
            "authentication",
        ];
        let closed = error.is_closed() || has_io_source(error);
        return if closed && !hopeless.iter().any(|word| text.contains(word)) {
            Class::Reconnect
        } else {
            Class::Never
        };
    };
    const RECONNECT: [&SqlState; 12] = [
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
    const AGAIN: [&SqlState; 7] = [
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
        &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        &SqlState::DISK_FULL,
        &SqlState::OUT_OF_MEMORY,
        &SqlState::LOCK_NOT_AVAILABLE,
        &SqlState::IN_FAILED_SQL_TRANSACTION,
    ];
    if RECONNECT.contains(&code) {
        Class::Reconnect
    } else if AGAIN.contains(&code) {
        Class::Again
    } else {
        Class::Never
    }
}

fn has_io_source(error: &tokio_postgres::Error) -> bool {
    causes::of(error).any(<dyn StdError>::is::<std::io::Error>)
}

//! Errors of the store, with what can be done about them.

use super::error::CliError;
use crate::report::ExitStatus;
use crate::store::Error;

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for CliError {
    fn from(error: &Error) -> Self {
        let hint = match error {
            Error::Missing { .. } => Some(
                "--store names another folder; inject-csv, specific and concurrent make a store",
            ),
            Error::NotAFolder { .. } => Some("--store names the folder of a store"),
            Error::NoEntry { .. } => Some(
                "run this as the user who owns the store, or let this user read the folder and all in it",
            ),
            Error::BadPath { .. } => Some("move the store to a folder with another name"),
            Error::NoLock { .. } => Some(
                "copy the store to a folder where this user may write, or put an empty file store.lock into it",
            ),
            Error::Newer { .. } => Some("update the program"),
            Error::Damaged { .. } => {
                Some("backfill verify --repair lists what is lost and mends the rest")
            }
            Error::Unreadable { .. } => Some("verify checks the whole store"),
            Error::ReadersStay { .. } => Some(
                "an export, a query or a sync may still be running; try again when it has ended",
            ),
            Error::WriterRuns { .. } | Error::CatalogBusy { .. } => {
                Some("try again when it has ended")
            }
            _ => None,
        };
        let hint = match error {
            Error::Catalog { source, .. } | Error::InDoubt { source, .. }
                if source.to_string().contains("Out of Memory Error") =>
            {
                Some("the system or ulimit -v gives the program too little memory")
            }
            _ => hint,
        };
        Self::of(ExitStatus::Failed, error).maybe_hint(hint.map(str::to_owned))
    }
}

//! Errors of exports and outputs, with hints.

use super::error::CliError;
use crate::export::{BadOutput, Error};
use crate::report::ExitStatus;

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::UnknownFormat { .. } => (ExitStatus::Usage, None),
            Error::Foreign { .. } => (
                ExitStatus::Failed,
                Some("export to another folder, or move the file away"),
            ),
            Error::InsideExport { .. } => (
                ExitStatus::Usage,
                Some("export into another folder, or remove the files of the other export first"),
            ),
            Error::Busy { .. } => (
                ExitStatus::Failed,
                Some("wait until it has ended, or export to another folder"),
            ),
            Error::Output(_) => (ExitStatus::Usage, None),
            Error::Interrupted => (ExitStatus::Interrupted, None),
            _ => (ExitStatus::Failed, None),
        };
        Self::of(code, &error).maybe_hint(hint)
    }
}

impl From<BadOutput> for CliError {
    fn from(error: BadOutput) -> Self {
        Error::Output(error).into()
    }
}

//! Errors of the ways out, with what can be done about them.

use super::error::CliError;
use super::exit_codes;
use crate::export::{BadOutput, Error};

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::UnknownFormat { .. } => (exit_codes::USAGE, None),
            Error::Foreign { .. } => (
                exit_codes::FAILED,
                Some("export into another folder, or move the file away"),
            ),
            Error::Busy { .. } => (
                exit_codes::FAILED,
                Some("wait until it has ended, or export into another folder"),
            ),
            Error::Output(_) => (exit_codes::USAGE, None),
            Error::Interrupted => (exit_codes::INTERRUPTED, None),
            _ => (exit_codes::FAILED, None),
        };
        Self::of(code, &error).maybe_hint(hint.map(str::to_owned))
    }
}

impl From<BadOutput> for CliError {
    fn from(error: BadOutput) -> Self {
        Error::Output(error).into()
    }
}

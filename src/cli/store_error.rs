//! Errors of the store as errors of a command.

use super::error::CliError;
use crate::advice::Hint;
use crate::report::ExitStatus;
use crate::store::Error;

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for CliError {
    fn from(error: &Error) -> Self {
        Self::of(ExitStatus::Failed, error).maybe_hint(error.hint())
    }
}

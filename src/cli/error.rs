//! The error that ends a command: one line for the reason, one for what the user can do.

use std::error::Error;
use std::fmt;

use crate::advice::{Advice, Hint};
use crate::causes;
use crate::export::{self, BadOutput};
use crate::model::{BadDate, BadTicker};
use crate::report::{ExitStatus, Fatal};
use crate::secret::without_passwords;
use crate::store;

/// An error that ends a command.
#[derive(Debug)]
pub struct CliError {
    /// How the command ends.
    pub status: ExitStatus,
    /// The reason, a lower-case fragment on one line.
    pub message: String,
    /// What the user can do.
    pub hint: Option<Advice>,
    /// The causes, outermost first, shown at DEBUG.
    pub causes: Vec<String>,
}

impl CliError {
    /// The command line is wrong.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// The command can't continue.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Failed, message)
    }

    /// An error that ends the command with `status`.
    #[must_use]
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: without_passwords(&message.into()).into_owned(),
            hint: None,
            causes: Vec::new(),
        }
    }

    /// An error of a module: its message, then those of its causes that it doesn't repeat.
    #[must_use]
    pub fn of(status: ExitStatus, error: &(dyn Error + 'static)) -> Self {
        let words = |cause: &(dyn Error + 'static)| without_advice(&cause.to_string()).to_owned();
        Self {
            causes: causes::of(error).map(words).collect(),
            ..Self::new(status, causes::joined(error, without_advice))
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Advice>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with a hint if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<impl Into<Advice>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }
}

/// A message without DuckDB's advice on settings, which a user can't change here.
pub(super) fn without_advice(text: &str) -> &str {
    let end = text.find("Possible solutions:").unwrap_or(text.len());
    text[..end].trim_end()
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CliError {}

impl From<&CliError> for Fatal {
    fn from(error: &CliError) -> Self {
        Self {
            error: error.message.clone(),
            hint: error.hint.clone(),
        }
    }
}

/// Writing to standard output failed. (If its reader closed it, the error isn't reported: see
/// `exit`.)
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(format!("standard output could not be written: {error}"))
    }
}

impl From<BadDate> for CliError {
    fn from(error: BadDate) -> Self {
        Self::of(ExitStatus::Usage, &error)
    }
}

impl From<BadTicker> for CliError {
    fn from(error: BadTicker) -> Self {
        Self::of(ExitStatus::Usage, &error)
    }
}

impl From<store::Error> for CliError {
    fn from(error: store::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&store::Error> for CliError {
    fn from(error: &store::Error) -> Self {
        Self::of(ExitStatus::Failed, error).maybe_hint(error.hint())
    }
}

impl From<export::Error> for CliError {
    fn from(error: export::Error) -> Self {
        use export::Error as E;
        let status = match &error {
            E::UnknownFormat { .. } | E::InsideExport { .. } | E::Output(_) => ExitStatus::Usage,
            E::Interrupted => ExitStatus::Interrupted,
            _ => ExitStatus::Failed,
        };
        let hint = match &error {
            E::Foreign { .. } => Some("export to another folder, or move the file away"),
            E::InsideExport { .. } => {
                Some("export to another folder, or remove the files of the other export first")
            }
            E::Busy { .. } => Some("wait until it has ended, or export to another folder"),
            _ => None,
        };
        Self::of(status, &error).maybe_hint(hint)
    }
}

impl From<BadOutput> for CliError {
    fn from(error: BadOutput) -> Self {
        export::Error::Output(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a.csv could not be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("permission denied")]
    struct Inner;

    #[test]
    fn advice_on_settings_is_left_out() {
        let text =
            "Out of Memory Error: failed to pin block\n\nPossible solutions:\n* SET threads=X";
        assert_eq!(
            without_advice(text),
            "Out of Memory Error: failed to pin block"
        );
        assert_eq!(without_advice("no\n"), "no");
    }

    #[test]
    fn causes_are_shown_once() {
        let error = CliError::of(ExitStatus::Failed, &Outer(Inner)).hint("chmod +r a.csv");
        assert_eq!(error.message, "a.csv could not be read: permission denied");
        assert_eq!(error.causes, ["permission denied"]);
        assert_eq!(error.hint, Some("chmod +r a.csv".into()));
    }
}

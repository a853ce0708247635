//! How a command can end: the one table of exit codes, with their words, meanings and precedence.

/// How a command ended. The variants are in order of precedence: if several apply, the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// Stopped by the user.
    Interrupted,
    /// The command could not continue.
    Failed,
    /// A quota is spent.
    Quota,
    /// Some units failed, or completeness is too low.
    Partial,
    /// Conflicts under the policy `fail`.
    Conflict,
    /// The command line is wrong; nothing was done.
    Usage,
    /// Nothing new to request yet.
    NotDue,
    /// Done.
    Ok,
}

// `Ok` is the last variant: this doesn't compile if `ALL` lacks one.
const _: () = assert!(ExitStatus::ALL.len() == ExitStatus::Ok as usize + 1);

impl ExitStatus {
    /// Every status, sorted by code.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Partial,
        Self::Conflict,
        Self::Quota,
        Self::NotDue,
        Self::Interrupted,
    ];

    /// The exit code of the process, the word in the summary JSON, and the meaning for the help.
    const fn row(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Ok => (0, "ok", "done, even if some tickers had no data"),
            Self::Failed => (1, "failed", "could not continue, or a verification failed"),
            Self::Usage => (2, "failed", "the command line is wrong"),
            Self::Partial => (
                3,
                "partial",
                "some tickers or files failed, or completeness is too low",
            ),
            Self::Conflict => (4, "conflict", "bars conflict with stored bars"),
            Self::Quota => (5, "quota", "a quota is spent"),
            Self::NotDue => (75, "not_due", "not due yet: only from due"),
            Self::Interrupted => (130, "interrupted", "interrupted; committed bars stay"),
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.row().0
    }

    /// The word in the summary JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Whether it can apply to a run together with others, so that the order decides.
    #[must_use]
    pub const fn is_ranked(self) -> bool {
        match self {
            Self::Interrupted | Self::Failed | Self::Quota | Self::Partial | Self::Conflict => true,
            Self::Usage | Self::NotDue | Self::Ok => false,
        }
    }

    /// What the code means, for the help and the manual page.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_each_code_once_in_order() {
        let codes: Vec<u8> = ExitStatus::ALL.map(ExitStatus::code).into();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 75, 130]);
    }

    #[test]
    fn the_order_of_precedence_is_130_1_5_3_4() {
        let mut all = ExitStatus::ALL;
        all.sort();
        assert_eq!(all.map(ExitStatus::code), [130, 1, 5, 3, 4, 2, 75, 0]);
    }
}

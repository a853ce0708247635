//! The report of a run: its units, totals and status.

use std::time::Duration;

use super::{Counts, ExitStatus, ReadAs};
use crate::advice::Advice;

/// How a ticker or file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitStatus {
    /// All its bars are stored.
    Ok,
    /// It had no data.
    Empty,
    /// A batch was refused because of conflicts under `fail`.
    Conflict,
    /// It failed, at least in part.
    Failed,
}

impl UnitStatus {
    /// The word in the summary JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }
}

/// The report of one ticker or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitReport {
    /// The ticker, or the file's path as shown to the user.
    pub name: String,
    /// How it ended.
    pub status: UnitStatus,
    pub counts: Counts,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed, a lower-case fragment.
    pub error: Option<String>,
    /// What the user can do.
    pub hint: Option<Advice>,
    /// What a file was read as.
    pub read_as: Option<ReadAs>,
    /// What the user should check, although the unit may be right.
    pub warnings: Vec<String>,
}

impl UnitStatus {
    /// The status of a unit after the store refused one of its batches. `conflicts` is the number of
    /// rows that conflict, or `None` if the batch was refused for another reason.
    #[must_use]
    pub const fn refused(conflicts: Option<u64>) -> Self {
        match conflicts {
            Some(_) => Self::Conflict,
            None => Self::Failed,
        }
    }
}

impl UnitReport {
    /// A unit without errors; empty if nothing was fetched.
    #[must_use]
    pub fn done(name: impl Into<String>, counts: Counts, elapsed: Duration) -> Self {
        let status = if counts.fetched == 0 {
            UnitStatus::Empty
        } else {
            UnitStatus::Ok
        };
        Self {
            name: name.into(),
            status,
            counts,
            elapsed,
            error: None,
            hint: None,
            read_as: None,
            warnings: Vec::new(),
        }
    }
}

/// Why a run could not continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    /// Why, a lower-case fragment.
    pub error: String,
    /// What the user can do.
    pub hint: Option<Advice>,
}

/// The report of a run.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    pub tickers: Vec<UnitReport>,
    /// The files, if the run reads files.
    pub files: Vec<UnitReport>,
    /// The run's counts. Requests are counted only here.
    pub totals: Counts,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Whether a quota was spent.
    pub quota: bool,
    /// Whether fewer sessions are complete than the user required.
    pub incomplete: bool,
    /// The version of the table that it pushed to.
    pub version: Option<u64>,
    /// Why it could not continue.
    pub fatal: Option<Fatal>,
    /// What the user can do next; printed after the Summary line.
    pub hints: Vec<Advice>,
}

impl UnitReport {
    /// Adds the report of a later job on the same unit. A failure of the later job replaces a
    /// success, but not another failure.
    fn absorb(&mut self, later: Self) {
        self.counts += later.counts;
        self.elapsed += later.elapsed;
        match (self.status, later.status) {
            (UnitStatus::Ok | UnitStatus::Empty, UnitStatus::Failed | UnitStatus::Conflict) => {
                self.status = later.status;
                self.error = later.error;
                self.hint = later.hint;
            }
            (UnitStatus::Empty, UnitStatus::Ok) => self.status = UnitStatus::Ok,
            _ => {}
        }
    }
}

impl RunReport {
    /// Adds the report of a later job on other units.
    pub fn append(&mut self, later: Self) {
        self.tickers.extend(later.tickers);
        self.files.extend(later.files);
        self.totals += later.totals;
        self.interrupted |= later.interrupted;
        self.quota |= later.quota;
        self.incomplete |= later.incomplete;
        self.version = later.version.or(self.version);
        self.fatal = self.fatal.take().or(later.fatal);
        self.hints.extend(later.hints);
    }

    /// Adds the report of a later job that requested more for the same tickers: each keeps one
    /// entry.
    pub fn absorb(&mut self, mut later: Self) {
        for unit in std::mem::take(&mut later.tickers) {
            match self
                .tickers
                .iter_mut()
                .find(|known| known.name == unit.name)
            {
                Some(known) => known.absorb(unit),
                None => self.tickers.push(unit),
            }
        }
        self.append(later);
    }

    /// How the run ended.
    #[must_use]
    pub fn status(&self) -> ExitStatus {
        let units = self.tickers.iter().chain(&self.files);
        let of_units = units.map(|unit| match unit.status {
            UnitStatus::Ok | UnitStatus::Empty => ExitStatus::Ok,
            UnitStatus::Conflict => ExitStatus::Conflict,
            UnitStatus::Failed => ExitStatus::Partial,
        });
        let of_run = [
            (self.interrupted, ExitStatus::Interrupted),
            (self.fatal.is_some(), ExitStatus::Failed),
            (self.quota, ExitStatus::Quota),
            (self.incomplete, ExitStatus::Partial),
        ];
        let of_run = of_run.into_iter().filter(|(applies, _)| *applies);
        let all = of_run.map(|(_, status)| status).chain(of_units);
        all.min().unwrap_or(ExitStatus::Ok)
    }

    /// Whether there were tickers and none of them had data.
    #[must_use]
    pub fn all_empty(&self) -> bool {
        !self.tickers.is_empty()
            && self
                .tickers
                .iter()
                .all(|unit| unit.status == UnitStatus::Empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(status: UnitStatus) -> UnitReport {
        UnitReport {
            status,
            ..UnitReport::done("T", Counts::default(), Duration::ZERO)
        }
    }

    #[test]
    fn the_worst_thing_decides_in_the_order_130_1_5_3_4() {
        let mut report = RunReport::default();
        assert_eq!(report.status().code(), 0);
        report.tickers.push(unit(UnitStatus::Empty));
        assert_eq!(report.status(), ExitStatus::Ok);
        report.tickers.push(unit(UnitStatus::Conflict));
        assert_eq!(report.status().code(), 4);
        report.files.push(unit(UnitStatus::Failed));
        assert_eq!(report.status().code(), 3);
        report.quota = true;
        assert_eq!(report.status().code(), 5);
        report.fatal = Some(Fatal {
            error: "the disk is full".into(),
            hint: None,
        });
        assert_eq!(report.status().code(), 1);
        report.interrupted = true;
        assert_eq!(report.status().code(), 130);
    }

    #[test]
    fn incomplete_is_partial() {
        let report = RunReport {
            incomplete: true,
            ..RunReport::default()
        };
        assert_eq!(report.status(), ExitStatus::Partial);
    }

    #[test]
    fn no_tickers_are_not_all_empty() {
        let mut report = RunReport::default();
        assert!(!report.all_empty());
        report.tickers.push(unit(UnitStatus::Empty));
        assert!(report.all_empty());
        report.tickers.push(unit(UnitStatus::Ok));
        assert!(!report.all_empty());
    }
}

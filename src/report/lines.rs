//! The log lines of a run, exactly as they are printed.

use std::fmt::Write;
use std::time::Duration;

use super::{Counts, RunKind, RunReport, UnitReport, UnitStatus};
use crate::advice::Advice;

/// What the words of a run's lines depend on.
#[derive(Clone, Copy, Debug)]
pub struct Wording {
    pub kind: RunKind,
    /// Whether it writes nothing.
    pub dry_run: bool,
}

impl Wording {
    /// The line of a ticker or file that has ended: `[AAPL] Inserted in 3.27s (ins=12345 skip=0)`.
    #[must_use]
    pub fn unit(&self, unit: &UnitReport) -> String {
        let mut line = format!("[{}] ", unit.name);
        let counts = &unit.counts;
        let seconds = unit.elapsed.as_secs_f64();
        let _ = match unit.status {
            UnitStatus::Failed | UnitStatus::Conflict => {
                let why = unit.error.as_deref().unwrap_or("no reason was given");
                return line + &format!("Failed in {seconds:.2}s: {}", one_line(why));
            }
            UnitStatus::Empty => {
                let _ = write!(line, "No data in {seconds:.2}s");
                if counts.rejected > 0 {
                    let _ = write!(line, " (rejects={})", counts.rejected);
                }
                return line;
            }
            UnitStatus::Ok if self.kind == RunKind::Push => {
                let verb = if self.dry_run { "Prepared" } else { "Pushed" };
                let _ = write!(
                    line,
                    "{verb} in {seconds:.2}s (files={} bytes={} unchanged={}",
                    counts.files, counts.bytes, counts.unchanged
                );
                if counts.held > 0 {
                    let _ = write!(line, " hot={}", counts.held);
                }
                Ok(())
            }
            UnitStatus::Ok if self.dry_run => {
                write!(line, "Prepared in {seconds:.2}s (rows={}", counts.prepared)
            }
            UnitStatus::Ok => {
                let verb = match self.kind {
                    RunKind::Sync => "Synced",
                    _ => "Inserted",
                };
                write!(
                    line,
                    "{verb} in {seconds:.2}s (ins={} skip={}",
                    counts.committed,
                    counts.skipped()
                )
            }
        };
        self.append_extra(&mut line, counts, self.kind == RunKind::Files);
        line.push(')');
        line
    }

    /// The last line of a run: `Summary: tickers=5 inserted=56789 skipped=12 elapsed=0:01:42`.
    #[must_use]
    pub fn summary(&self, report: &RunReport, elapsed: Duration) -> String {
        let totals = &report.totals;
        let files = self.kind == RunKind::Files;
        let mut line = String::from("Summary:");
        if files {
            let _ = write!(line, " files={}", report.files.len());
        }
        let _ = write!(line, " tickers={}", report.tickers.len());
        if self.kind == RunKind::Push {
            let _ = write!(
                line,
                " files={} unchanged={}",
                totals.files, totals.unchanged
            );
            if let Some(version) = report.version {
                let _ = write!(line, " version={version}");
            }
            let _ = write!(line, " elapsed={}", clock(elapsed));
            if totals.restated() > 0 {
                let _ = write!(line, " restated={}", totals.restated());
            }
            if totals.held > 0 {
                let _ = write!(line, " hot={}", totals.held);
            }
            return line;
        }
        let _ = if self.dry_run {
            write!(line, " prepared={}", totals.prepared)
        } else {
            write!(line, " inserted={}", totals.committed)
        };
        let _ = write!(line, " skipped={}", totals.skipped());
        if files {
            let _ = write!(line, " rejects={}", totals.rejected);
        }
        let _ = write!(line, " elapsed={}", clock(elapsed));
        if totals.restated() > 0 {
            let _ = write!(line, " restated={}", totals.restated());
        }
        if !files && totals.rejected > 0 {
            let _ = write!(line, " rejects={}", totals.rejected);
        }
        line
    }

    /// What the user can do next, in the order of printing.
    #[must_use]
    pub fn hints(&self, report: &RunReport) -> Vec<Advice> {
        let mut hints = report.hints.clone();
        if self.kind == RunKind::Fetch && report.all_empty() {
            hints.insert(0, Advice::CheckRange);
        }
        hints
    }

    fn append_extra(&self, line: &mut String, counts: &Counts, rejects_always: bool) {
        if counts.restated() > 0 {
            let _ = write!(line, " restated={}", counts.restated());
        }
        if rejects_always || counts.rejected > 0 {
            let _ = write!(line, " rejects={}", counts.rejected);
        }
    }
}

/// Hours, minutes and seconds, to the nearest second: `0:01:42`.
#[must_use]
pub fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs() + u64::from(elapsed.subsec_millis() >= 500);
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A message on one line, even if a server sent line breaks.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FETCH: Wording = Wording {
        kind: RunKind::Fetch,
        dry_run: false,
    };
    const DRY: Wording = Wording {
        kind: RunKind::Fetch,
        dry_run: true,
    };
    const FILES: Wording = Wording {
        kind: RunKind::Files,
        dry_run: false,
    };

    fn unit(name: &str, millis: u64, counts: Counts) -> UnitReport {
        UnitReport::done(name, counts, Duration::from_millis(millis))
    }

    fn rows(prepared: u64, committed: u64) -> Counts {
        Counts {
            fetched: prepared,
            prepared,
            committed,
            ..Counts::default()
        }
    }

    #[test]
    fn a_ticker_has_one_line() {
        let done = unit("AAPL", 3270, rows(12345, 12345));
        assert_eq!(
            FETCH.unit(&done),
            "[AAPL] Inserted in 3.27s (ins=12345 skip=0)"
        );
        assert_eq!(DRY.unit(&done), "[AAPL] Prepared in 3.27s (rows=12345)");
        let sync = Wording {
            kind: RunKind::Sync,
            dry_run: false,
        };
        assert_eq!(
            sync.unit(&unit("AAPL", 1200, rows(12345, 12345))),
            "[AAPL] Synced in 1.20s (ins=12345 skip=0)"
        );
        assert_eq!(
            FETCH.unit(&unit("AAPL", 210, Counts::default())),
            "[AAPL] No data in 0.21s"
        );
    }

    #[test]
    fn the_lines_of_a_push_count_files() {
        let push = Wording {
            kind: RunKind::Push,
            dry_run: false,
        };
        let counts = Counts {
            fetched: 9,
            files: 1,
            bytes: 1_234_567,
            unchanged: 3,
            ..Counts::default()
        };
        assert_eq!(
            push.unit(&unit("AAPL", 520, counts)),
            "[AAPL] Pushed in 0.52s (files=1 bytes=1234567 unchanged=3)"
        );
        let report = RunReport {
            tickers: vec![unit("AAPL", 520, counts); 5],
            totals: Counts {
                files: 5,
                unchanged: 12,
                ..Counts::default()
            },
            version: Some(7),
            ..RunReport::default()
        };
        assert_eq!(
            push.summary(&report, Duration::from_secs(3)),
            "Summary: tickers=5 files=5 unchanged=12 version=7 elapsed=0:00:03"
        );
    }

    #[test]
    fn restated_and_rejects_appear_if_there_are_any() {
        let counts = Counts {
            fetched: 20,
            rejected: 3,
            prepared: 17,
            committed: 10,
            skipped_identical: 5,
            skipped_restated: 2,
            ..Counts::default()
        };
        assert_eq!(
            FETCH.unit(&unit("AAPL", 0, counts)),
            "[AAPL] Inserted in 0.00s (ins=10 skip=7 restated=2 rejects=3)"
        );
        assert_eq!(
            DRY.unit(&unit(
                "AAPL",
                0,
                Counts {
                    committed: 0,
                    skipped_restated: 0,
                    ..counts
                }
            )),
            "[AAPL] Prepared in 0.00s (rows=17 rejects=3)"
        );
        let updated = Counts {
            updated: 4,
            skipped_restated: 0,
            rejected: 0,
            ..counts
        };
        assert_eq!(
            FETCH.unit(&unit("AAPL", 0, updated)),
            "[AAPL] Inserted in 0.00s (ins=10 skip=5 restated=4)"
        );
    }

    #[test]
    fn the_line_of_a_file_always_has_its_rejects() {
        assert_eq!(
            FILES.unit(&unit("SPY.csv", 40, rows(5786, 5786))),
            "[SPY.csv] Inserted in 0.04s (ins=5786 skip=0 rejects=0)"
        );
    }

    #[test]
    fn a_failure_is_one_line_despite_line_breaks() {
        let failed = UnitReport {
            status: UnitStatus::Failed,
            error: Some("HTTP 500:\n<html>\n  oops".into()),
            ..unit("AAPL", 400, Counts::default())
        };
        assert_eq!(
            FETCH.unit(&failed),
            "[AAPL] Failed in 0.40s: HTTP 500: <html> oops"
        );
    }

    #[test]
    fn the_summary_has_all_counts() {
        let mut report = RunReport {
            tickers: vec![unit("T", 0, Counts::default()); 5],
            totals: Counts {
                prepared: 56801,
                committed: 56789,
                skipped_identical: 12,
                ..Counts::default()
            },
            ..RunReport::default()
        };
        let elapsed = Duration::from_millis(102_400);
        assert_eq!(
            FETCH.summary(&report, elapsed),
            "Summary: tickers=5 inserted=56789 skipped=12 elapsed=0:01:42"
        );
        assert_eq!(
            DRY.summary(&report, elapsed),
            "Summary: tickers=5 prepared=56801 skipped=12 elapsed=0:01:42"
        );
        report.totals.skipped_restated = 2;
        report.totals.rejected = 1;
        assert_eq!(
            FETCH.summary(&report, elapsed),
            "Summary: tickers=5 inserted=56789 skipped=14 elapsed=0:01:42 restated=2 rejects=1"
        );
        report.totals = rows(5786, 5786);
        report.tickers.truncate(1);
        report.files = vec![unit("SPY.csv", 40, report.totals)];
        assert_eq!(
            FILES.summary(&report, Duration::from_millis(600)),
            "Summary: files=1 tickers=1 inserted=5786 skipped=0 rejects=0 elapsed=0:00:01"
        );
    }

    #[test]
    fn a_run_without_any_data_gets_a_hint_first() {
        let report = RunReport {
            tickers: vec![unit("T", 0, Counts::default())],
            hints: vec!["second".into()],
            ..RunReport::default()
        };
        let hints = FETCH.hints(&report);
        assert_eq!(hints[0], Advice::CheckRange);
        assert_eq!(hints[1], "second".into());
        assert_eq!(FILES.hints(&report), ["second".into()]);
    }

    #[test]
    fn clocks_have_no_days() {
        assert_eq!(clock(Duration::from_secs(0)), "0:00:00");
        assert_eq!(clock(Duration::from_secs(90_061)), "25:01:01");
    }
}

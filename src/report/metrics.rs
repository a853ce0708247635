//! The figures of a run for a monitoring system, as OpenMetrics text that is valid Prometheus text,
//! too.

use std::fmt::Write;
use std::time::Duration;

use super::{ExitStatus, RunReport};
use crate::model::Timestamp;

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a> {
    /// The value of the label `name` of each metric. It differs between files that are read by the
    /// same collector, which refuses a metric that it finds twice with the same labels.
    pub name: &'a str,
    pub report: &'a RunReport,
    pub status: ExitStatus,
    /// Incomplete sessions in the store after the run; `None` if that isn't known.
    pub gaps: Option<u64>,
    pub finished_at: Timestamp,
    pub elapsed: Duration,
}

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Grows with each run.
    Counter,
    /// A value of the last run.
    Gauge,
}

impl Metrics<'_> {
    /// The text. Counters and the time of the last success continue those in `before`, the text of
    /// the run before this one. What isn't one of our metrics in `before` is ignored.
    #[must_use]
    pub fn to_text(&self, before: &str) -> String {
        let totals = &self.report.totals;
        let is_success = self.status == ExitStatus::Ok;
        let count = |n: u64| Some(n as f64);
        // A millisecond is enough.
        let seconds = |at: Timestamp| (at.micros() / 1000) as f64 / 1000.0;
        let finished = seconds(self.finished_at);
        let success = "backfill_last_success_timestamp_seconds";
        let metrics = [
            ("backfill_runs", Kind::Counter, "Runs that ended", count(1)),
            (
                "backfill_bars",
                Kind::Counter,
                "Bars that runs committed",
                count(totals.committed),
            ),
            (
                "backfill_requests",
                Kind::Counter,
                "Requests to the provider, with retries",
                count(totals.requests),
            ),
            (
                "backfill_rejects",
                Kind::Counter,
                "Rows that are not valid bars",
                count(totals.rejected),
            ),
            (
                "backfill_gaps",
                Kind::Gauge,
                "Incomplete sessions in the store",
                self.gaps.and_then(count),
            ),
            (
                "backfill_last_run_duration_seconds",
                Kind::Gauge,
                "How long the last run took",
                Some((self.elapsed.as_secs_f64() * 1000.0).round() / 1000.0),
            ),
            (
                "backfill_last_run_exit_code",
                Kind::Gauge,
                "Exit code of the last run",
                count(self.status.code().into()),
            ),
            (
                "backfill_last_run_timestamp_seconds",
                Kind::Gauge,
                "When the last run ended",
                Some(finished),
            ),
            (
                success,
                Kind::Gauge,
                "When the last run ended that succeeded",
                if is_success {
                    Some(finished)
                } else {
                    value(before, success)
                },
            ),
        ];
        let mut text = String::new();
        for (name, kind, help, run) in metrics {
            let Some(run) = run else { continue };
            let (kind, sample, total) = match kind {
                Kind::Counter => {
                    let sample = format!("{name}_total");
                    let total = value(before, &sample).unwrap_or(0.0) + run;
                    ("counter", sample, total)
                }
                Kind::Gauge => ("gauge", name.to_owned(), run),
            };
            let label = escaped(self.name);
            // Writing to a string can't fail.
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{sample}{{name=\"{label}\"}} {total}\n"
            );
        }
        text.push_str("# EOF\n");
        text
    }
}

/// The value of a metric in a text that this module wrote; `None` if it isn't there, or can't be a
/// value of ours.
fn value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        let labels = line.strip_prefix(name);
        labels.is_some_and(|labels| labels.starts_with('{'))
    })?;
    let (_, value) = line.rsplit_once("} ")?;
    let value = value.parse::<f64>().ok()?;
    // A larger one would lose whole numbers.
    (0.0..9e15).contains(&value).then_some(value)
}

/// The value of a label.
fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counts;

    fn text(status: ExitStatus, gaps: Option<u64>, at: i64, before: &str) -> String {
        let report = RunReport {
            totals: Counts {
                committed: 780,
                requests: 3,
                rejected: 2,
                ..Counts::default()
            },
            ..RunReport::default()
        };
        Metrics {
            name: "a \"b\"\\c\n",
            report: &report,
            status,
            gaps,
            finished_at: Timestamp::from_micros(at),
            elapsed: Duration::from_micros(1_234_567),
        }
        .to_text(before)
    }

    #[test]
    fn the_text_has_the_figures_of_the_run() {
        let first = text(ExitStatus::Ok, Some(4), 1_738_404_102_400_000, "");
        let expected = r#"# HELP backfill_runs Runs that ended
# TYPE backfill_runs counter
backfill_runs_total{name="a \"b\"\\c\n"} 1
# HELP backfill_bars Bars that runs committed
# TYPE backfill_bars counter
backfill_bars_total{name="a \"b\"\\c\n"} 780
# HELP backfill_requests Requests to the provider, with retries
# TYPE backfill_requests counter
backfill_requests_total{name="a \"b\"\\c\n"} 3
# HELP backfill_rejects Rows that are not valid bars
# TYPE backfill_rejects counter
backfill_rejects_total{name="a \"b\"\\c\n"} 2
# HELP backfill_gaps Incomplete sessions in the store
# TYPE backfill_gaps gauge
backfill_gaps{name="a \"b\"\\c\n"} 4
# HELP backfill_last_run_duration_seconds How long the last run took
# TYPE backfill_last_run_duration_seconds gauge
backfill_last_run_duration_seconds{name="a \"b\"\\c\n"} 1.235
# HELP backfill_last_run_exit_code Exit code of the last run
# TYPE backfill_last_run_exit_code gauge
backfill_last_run_exit_code{name="a \"b\"\\c\n"} 0
# HELP backfill_last_run_timestamp_seconds When the last run ended
# TYPE backfill_last_run_timestamp_seconds gauge
backfill_last_run_timestamp_seconds{name="a \"b\"\\c\n"} 1738404102.4
# HELP backfill_last_success_timestamp_seconds When the last run ended that succeeded
# TYPE backfill_last_success_timestamp_seconds gauge
backfill_last_success_timestamp_seconds{name="a \"b\"\\c\n"} 1738404102.4
# EOF
"#;
        assert_eq!(first, expected);
    }

    #[test]
    fn counters_and_the_last_success_survive_a_failed_run() {
        let first = text(ExitStatus::Ok, Some(4), 1_000_000, "");
        let second = text(ExitStatus::Partial, None, 2_000_000, &first);
        let of = |name: &str| value(&second, name);
        assert_eq!(of("backfill_runs_total"), Some(2.0));
        assert_eq!(of("backfill_bars_total"), Some(1560.0));
        assert_eq!(of("backfill_last_run_exit_code"), Some(3.0));
        assert_eq!(of("backfill_last_run_timestamp_seconds"), Some(2.0));
        assert_eq!(of("backfill_last_success_timestamp_seconds"), Some(1.0));
        assert_eq!(of("backfill_gaps"), None);
        // Without an earlier success there is no such time.
        let failed = text(ExitStatus::Failed, None, 2_000_000, "");
        assert_eq!(
            value(&failed, "backfill_last_success_timestamp_seconds"),
            None
        );
    }

    #[test]
    fn a_damaged_file_starts_the_counters_again() {
        let first = text(ExitStatus::Ok, Some(4), 1_000_000, "");
        for end in 0..first.len() {
            let next = text(ExitStatus::Failed, None, 2_000_000, &first[..end]);
            let runs = value(&next, "backfill_runs_total").unwrap();
            assert!(runs == 1.0 || runs == 2.0, "{end}: {next}");
        }
        for damaged in [
            "not metrics",
            &first[..first.len() / 2],
            &first.replace("} 780", "} NaN"),
            &first.replace("} 780", "} -1"),
            &first.replace("} 780", "} 1e300"),
            &first.replace("} 780", "780"),
        ] {
            let next = text(ExitStatus::Ok, None, 2_000_000, damaged);
            let bars = value(&next, "backfill_bars_total").unwrap();
            assert!(bars == 780.0 || bars == 1560.0, "{next}");
            assert!(next.ends_with("# EOF\n"));
        }
    }
}

//! The run's summary as JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Counts, ExitStatus, ReadAs, RunReport, UnitReport};
use crate::model::{DateRange, Interval, OnConflict, Timestamp};

/// The name and version of the summary's schema. Keys are added, never changed.
pub const SCHEMA: &str = "backfill.summary/1";

/// The kinds of runs that differ in their lines and summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunKind {
    /// A download: one line per ticker.
    #[default]
    Fetch,
    /// A fill: like a download, but without a hint if there was no data.
    Fill,
    /// An injection of files: one line per file, and `files` in the summary.
    Files,
    /// A sync: `target` in the summary.
    Sync,
    /// A push: `target`, `version`, and files instead of a sync's rows in the log lines.
    Push,
}

/// What the summary has about a run besides its report.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// The command's name.
    pub command: String,
    pub kind: RunKind,
    pub started_at: Timestamp,
    /// The store's folder.
    pub store: Option<PathBuf>,
    /// Length of its bars, if all have the same.
    pub interval: Option<Interval>,
    pub dates: Option<DateRange>,
    /// Whether it writes nothing.
    pub dry_run: bool,
    /// Its policy for conflicts.
    pub on_conflict: Option<OnConflict>,
    /// The database it syncs to, as a URL without password.
    pub target: Option<String>,
    /// The bundle that it makes, checks or applies.
    pub bundle: Option<BundleInfo>,
}

/// What the summary has about a bundle.
#[derive(Clone, Debug, Serialize)]
pub struct BundleInfo {
    /// The file, as the user named it.
    pub file: String,
    /// Its manifest's hash, in hexadecimal.
    pub manifest_sha256: String,
    /// The manifest's hash of its base.
    pub base_manifest_sha256: Option<String>,
    /// The store it was created from.
    pub store_id: String,
    /// How many partitions it holds.
    pub partitions: u64,
    /// How many bars it holds.
    pub rows: u64,
    /// Bytes of its partitions.
    pub bytes: u64,
}

impl RunInfo {
    /// A run with these, and nothing else yet.
    #[must_use]
    pub fn new(command: impl Into<String>, started_at: Timestamp) -> Self {
        Self {
            command: command.into(),
            kind: RunKind::default(),
            started_at,
            store: None,
            interval: None,
            dates: None,
            dry_run: false,
            on_conflict: None,
            target: None,
            bundle: None,
        }
    }
}

/// The summary of one run.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// About the run.
    pub info: &'a RunInfo,
    pub report: &'a RunReport,
    /// How the command ended.
    pub status: ExitStatus,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How long it took.
    pub elapsed: Duration,
}

impl Summary<'_> {
    /// The summary as one line of JSON, without a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Self { info, report, .. } = *self;
        let document = Document {
            schema: SCHEMA,
            command: &info.command,
            status: self.status.as_str(),
            exit_code: self.status.code(),
            started_at: whole_second(info.started_at),
            finished_at: whole_second(self.finished_at),
            elapsed_seconds: seconds(self.elapsed),
            store: info.store.as_ref().map(|dir| dir.display().to_string()),
            interval_minutes: info.interval.map(Interval::minutes),
            start: info.dates.map(|dates| dates.first().to_string()),
            end: info.dates.map(|dates| dates.last().to_string()),
            dry_run: info.dry_run,
            on_conflict: info.on_conflict.map(OnConflict::as_str),
            target: matches!(info.kind, RunKind::Sync | RunKind::Push)
                .then_some(info.target.as_deref()),
            version: (info.kind == RunKind::Push).then_some(report.version),
            bundle: info.bundle.as_ref(),
            error: report.fatal.as_ref().map(|fatal| fatal.error.as_str()),
            totals: Totals {
                tickers: report.tickers.len(),
                files: report.files.len(),
                counts: report.totals,
                pushed: (info.kind == RunKind::Push).then(|| (&report.totals).into()),
                requests: report.totals.requests,
                retries: report.totals.retries,
            },
            tickers: report
                .tickers
                .iter()
                .map(|unit| TickerEntry {
                    ticker: &unit.name,
                    rest: Rest::of(unit),
                    pushed: (info.kind == RunKind::Push).then(|| (&unit.counts).into()),
                })
                .collect(),
            files: (info.kind == RunKind::Files).then(|| {
                report
                    .files
                    .iter()
                    .map(|unit| FileEntry {
                        file: &unit.name,
                        rest: Rest::of(unit),
                        read_as: unit.read_as.as_ref(),
                        warnings: &unit.warnings,
                    })
                    .collect()
            }),
        };
        // Strings, numbers and lists of them alone: this can't fail.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    command: &'a str,
    status: &'static str,
    exit_code: u8,
    started_at: String,
    finished_at: String,
    elapsed_seconds: f64,
    store: Option<String>,
    interval_minutes: Option<u16>,
    start: Option<String>,
    end: Option<String>,
    dry_run: bool,
    on_conflict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<&'a BundleInfo>,
    error: Option<&'a str>,
    totals: Totals,
    tickers: Vec<TickerEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileEntry<'a>>>,
}

#[derive(Serialize)]
struct Totals {
    tickers: usize,
    files: usize,
    #[serde(flatten)]
    counts: Counts,
    requests: u64,
    retries: u64,
    #[serde(flatten)]
    pushed: Option<PushedFiles>,
}

/// The files of a push.
#[derive(Serialize)]
struct PushedFiles {
    pushed_files: u64,
    pushed_bytes: u64,
    unchanged_files: u64,
}

impl From<&Counts> for PushedFiles {
    fn from(counts: &Counts) -> Self {
        Self {
            pushed_files: counts.files,
            pushed_bytes: counts.bytes,
            unchanged_files: counts.unchanged,
        }
    }
}

#[derive(Serialize)]
struct TickerEntry<'a> {
    ticker: &'a str,
    #[serde(flatten)]
    rest: Rest<'a>,
    #[serde(flatten)]
    pushed: Option<PushedFiles>,
}

#[derive(Serialize)]
struct FileEntry<'a> {
    file: &'a str,
    #[serde(flatten)]
    rest: Rest<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_as: Option<&'a ReadAs>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Rest<'a> {
    status: &'static str,
    #[serde(flatten)]
    counts: Counts,
    #[serde(serialize_with = "as_seconds")]
    elapsed_seconds: Duration,
    error: Option<&'a str>,
}

impl<'a> Rest<'a> {
    fn of(unit: &'a UnitReport) -> Self {
        Self {
            status: unit.status.as_str(),
            counts: unit.counts,
            elapsed_seconds: unit.elapsed,
            error: unit.error.as_deref(),
        }
    }
}

/// An instant without its fraction of a second.
fn whole_second(instant: Timestamp) -> String {
    let micros = instant.micros();
    Timestamp::from_micros(micros - micros.rem_euclid(1_000_000)).to_string()
}

/// Seconds to the millisecond.
fn seconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}

fn as_seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Fatal;

    fn info(command: &str) -> RunInfo {
        RunInfo::new(command, Timestamp::from_micros(1_738_404_000_000_000))
    }

    fn json(info: &RunInfo, report: &RunReport) -> String {
        Summary {
            info,
            report,
            status: report.status(),
            finished_at: Timestamp::from_micros(1_738_404_102_400_000),
            elapsed: Duration::from_millis(102_400),
        }
        .to_json()
    }

    #[test]
    fn the_keys_stand_in_the_order_of_the_documentation() {
        let counts = Counts {
            fetched: 12345,
            prepared: 12345,
            committed: 12345,
            requests: 40,
            retries: 1,
            ..Counts::default()
        };
        let report = RunReport {
            tickers: vec![UnitReport::done(
                "AAPL",
                counts,
                Duration::from_millis(3270),
            )],
            totals: counts,
            ..RunReport::default()
        };
        let date = |day| chrono::NaiveDate::from_ymd_opt(2025, 1, day).unwrap();
        let info = RunInfo {
            store: Some("data/staging".into()),
            interval: Some(Interval::M1),
            dates: Some(DateRange::new(date(1), date(31)).unwrap()),
            on_conflict: Some(OnConflict::Ignore),
            ..info("concurrent")
        };
        assert_eq!(
            json(&info, &report),
            concat!(
                r#"{"schema":"backfill.summary/1","command":"concurrent","status":"ok","exit_code":0,"#,
                r#""started_at":"2025-02-01T10:00:00Z","finished_at":"2025-02-01T10:01:42Z","elapsed_seconds":102.4,"#,
                r#""store":"data/staging","interval_minutes":1,"start":"2025-01-01","end":"2025-01-31","dry_run":false,"on_conflict":"ignore","#,
                r#""error":null,"totals":{"tickers":1,"files":0,"fetched":12345,"held":0,"rejected":0,"prepared":12345,"committed":12345,"updated":0,"#,
                r#""skipped_identical":0,"skipped_restated":0,"conflicts":0,"requests":40,"retries":1},"#,
                r#""tickers":[{"ticker":"AAPL","status":"ok","fetched":12345,"held":0,"rejected":0,"prepared":12345,"committed":12345,"updated":0,"#,
                r#""skipped_identical":0,"skipped_restated":0,"conflicts":0,"elapsed_seconds":3.27,"error":null}]}"#,
            )
        );
    }

    #[test]
    fn files_and_targets_stand_where_they_belong() {
        let mut info = RunInfo {
            kind: RunKind::Files,
            ..info("inject-csv")
        };
        let report = RunReport {
            files: vec![UnitReport::done("a.csv", Counts::default(), Duration::ZERO)],
            ..RunReport::default()
        };
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let inject = read(&json(&info, &report));
        assert_eq!(inject["files"][0]["file"], "a.csv");
        assert_eq!(inject["totals"]["files"], 1);
        assert!(inject.get("target").is_none());
        info.kind = RunKind::Sync;
        info.target = Some("postgres://me@db/bars".into());
        let sync = read(&json(&info, &RunReport::default()));
        assert_eq!(sync["target"], "postgres://me@db/bars");
        assert!(sync.get("files").is_none());
    }

    #[test]
    fn a_failed_run_says_why() {
        let report = RunReport {
            fatal: Some(Fatal {
                error: "no key".into(),
                hint: None,
            }),
            ..RunReport::default()
        };
        let value: serde_json::Value =
            serde_json::from_str(&json(&info("specific"), &report)).unwrap();
        assert_eq!(value["status"], "failed");
        assert_eq!(value["exit_code"], 1);
        assert_eq!(value["error"], "no key");
        assert_eq!(value["start"], serde_json::Value::Null);
    }
}

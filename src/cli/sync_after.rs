//! `--sync` and `--push`: send what a run stored elsewhere when it ends; and what `--sync` shares with the
//! `sync` command.
//!
//! **A sync never holds the store's write lock**: a database can keep it waiting for hours.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use super::lines_after::Lines;
use super::push_after::PushAfterRun;
use crate::advice::Hint;
use crate::model::{Interval, OnConflict, Ticker};
use crate::report::{ExitStatus, Fatal, RunKind, RunReport};
use crate::secret::SecretUrl;
use crate::store::{OpenOptions, RunId, Store};
use crate::sync::postgres::{Address, Options, Postgres};
use crate::sync::{self, Error, ErrorKind, Seen, Settings, StoreSource};

/// The options, for commands that store bars.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SyncAfterArgs {
    /// Sync to Postgres when the run ends
    ///
    /// It goes to the database of DATABASE_URL, with the run's --on-conflict.
    #[arg(long, help_heading = "Output")]
    pub sync: bool,

    /// Publish to the Delta table at URL when the run ends
    ///
    /// Does what the command push does, with the run's --on-conflict.
    ///
    /// Example: --push s3://bucket/bars
    #[arg(long, value_name = "URL", help_heading = "Output")]
    pub push: Option<SecretUrl>,
}

/// A run that has ended.
pub struct StoredRun<'a> {
    /// The store's folder.
    pub dir: &'a Path,
    /// The options that it is opened with.
    pub options: &'a OpenOptions,
    /// The run.
    pub run: &'a RunId,
    /// What was stored.
    pub interval: Option<Interval>,
}

/// What follows a run: a sync, a push, or both.
pub struct SyncAfterRun {
    sync: Option<(Settings, Address)>,
    push: Option<PushAfterRun>,
}

impl SyncAfterRun {
    /// Checks the addresses before the run, and refuses demo bars.
    pub fn resolve(
        context: &Context,
        args: &SyncAfterArgs,
        on_conflict: OnConflict,
        demo: bool,
    ) -> Result<Option<Self>, CliError> {
        let push = args.push.as_ref();
        let push = push.map(|url| PushAfterRun::resolve(context, url, on_conflict, demo));
        let push = push.transpose()?;
        if !args.sync {
            return Ok(push.map(|push| Self {
                sync: None,
                push: Some(push),
            }));
        }
        if demo {
            return Err(
                CliError::usage("--sync doesn't send demo bars, which are simulated")
                    .hint("`backfill sync --store data/demo --allow-demo` does"),
            );
        }
        let settings = Settings {
            on_conflict,
            ..Settings::default()
        };
        let address = address(context, None)?;
        let sync = Some((settings, address));
        Ok(Some(Self { sync, push }))
    }

    /// Records the run's end, closes the store, and sends the stored bars of the report's tickers.
    /// If that fails, the run failed, and the bars stay stored. The outcome is recorded afterwards.
    pub fn run(
        self,
        context: &Context,
        store: Arc<Store>,
        stored: &StoredRun<'_>,
        mut report: RunReport,
    ) -> RunReport {
        let (status, summary) = (report.status().as_str(), context.summary_so_far(&report));
        let recorded = store.finish_run(stored.run, context.now(), status, &summary);
        drop(store);
        if let Err(error) = recorded
            && report.fatal.is_none()
        {
            report.fatal = Some((&CliError::from(error)).into());
        }
        let tickers: Vec<Ticker> = report
            .tickers
            .iter()
            .filter_map(|unit| unit.name.parse().ok())
            .collect();
        if report.interrupted || report.fatal.is_some() || tickers.is_empty() {
            return report;
        }
        let synced = self.sync.map(|(settings, address)| {
            let settings = Settings {
                tickers: tickers.clone(),
                interval: stored.interval,
                ..settings
            };
            sync(context, settings, address, stored.dir, &mut report)
        });
        let pushed = self.push.map(|push| {
            let (dir, interval) = (stored.dir, stored.interval);
            let seen = push.run(context, dir, tickers, interval, &mut report);
            (push.name(), seen)
        });
        let reopened = context.reopen_store(stored.dir, stored.options);
        let recorded = reopened.and_then(|store| {
            if let Some((label, seen)) = &synced {
                sync::record(&store, label, seen, context.now())?;
            }
            if let Some((name, seen)) = &pushed {
                let rows: Vec<_> = seen
                    .iter()
                    .map(|seen| (name.clone(), &seen.series, seen.base_seq))
                    .collect();
                store.record_targets_seen(&rows, context.now())?;
            }
            let (status, summary) = (report.status().as_str(), context.summary_json(&report));
            Ok(store.finish_run(stored.run, context.now(), status, &summary)?)
        });
        if let Err(error) = recorded {
            tracing::debug!("the result of the sync or push was not recorded: {error}");
        }
        report
    }
}

/// Syncs the stored bars. Returns the database's name, and how far it is.
fn sync(
    context: &Context,
    settings: Settings,
    address: Address,
    dir: &Path,
    report: &mut RunReport,
) -> (String, Vec<Seen>) {
    let settings = Settings {
        threads: connections(&address),
        ..settings
    };
    let label = address.label().to_owned();
    let target = Postgres::new(Options::new(address));
    let synced = context.open_detached_reader(dir).and_then(|reader| {
        let source = StoreSource::new(reader);
        let (target, stop) = ((&target, label.as_str()), context.stop());
        let lines = Lines(RunKind::Sync);
        sync::after_run(&source, target, &settings, &stop, &lines, report).map_err(error)
    });
    let seen = synced.unwrap_or_else(|error| {
        report.fatal = Some(Fatal {
            error: format!("the stored bars were not synced: {error}"),
            hint: error.hint,
        });
        Vec::new()
    });
    (label, seen)
}

/// The database's address: the option, else `DATABASE_URL`, else libpq's variables.
pub(super) fn address(context: &Context, typed: Option<&SecretUrl>) -> Result<Address, CliError> {
    let variable = |name: &str| context.env(name);
    let set = || variable("DATABASE_URL").map(SecretUrl::from);
    let url = typed.cloned().or_else(set);
    Address::resolve(url.as_ref(), &variable)
        .map_err(|error| CliError::of(ExitStatus::Usage, &error).maybe_hint(error.hint()))
}

/// The default number of connections. If the server is on this machine, they share its processors:
/// more connections than processors only wait for each other.
pub(super) fn connections(address: &Address) -> usize {
    let most = Settings::default().threads;
    match std::thread::available_parallelism() {
        Ok(processors) if address.is_socket() => most.min(processors.get()),
        _ => most,
    }
}

/// The error of a sync that could not start.
#[allow(clippy::needless_pass_by_value)] // as map_err gives it
pub(super) fn error(error: Error) -> CliError {
    let code = match error.kind() {
        ErrorKind::ManyIntervals => ExitStatus::Usage,
        _ => ExitStatus::Failed,
    };
    CliError::of(code, &error).maybe_hint(error.hint())
}

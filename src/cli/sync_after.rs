//! `--sync`: sends what a run stored to Postgres when it ends; and what it shares with the `sync`
//! command.
//!
//! **A sync never holds the store's write lock**: a database can keep it waiting for hours.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use crate::advice::Hint;
use crate::model::{Interval, OnConflict, Ticker};
use crate::report::{Event, ExitStatus, Fatal, Observer, RunKind, RunReport, Wording};
use crate::secret::SecretUrl;
use crate::store::{OpenOptions, RunId, Store};
use crate::sync::postgres::{Address, Options, Postgres};
use crate::sync::{self, Error, ErrorKind, Settings, StoreSource};

/// The option, for commands that store bars.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct SyncAfterArgs {
    /// Sync to Postgres when the run ends
    ///
    /// The database is that of DATABASE_URL, the policy the run's --on-conflict.
    #[arg(long, help_heading = "Output")]
    pub sync: bool,
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

/// A sync that is to follow a run.
pub struct SyncAfterRun {
    settings: Settings,
    address: Address,
}

impl SyncAfterRun {
    /// Checks the address before the run, and refuses demo bars.
    pub fn resolve(
        context: &Context,
        args: SyncAfterArgs,
        on_conflict: OnConflict,
        demo: bool,
    ) -> Result<Option<Self>, CliError> {
        if !args.sync {
            return Ok(None);
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
        Ok(Some(Self { settings, address }))
    }

    /// Records the run's end, closes the store, and syncs the stored bars of the report's tickers.
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
        let settings = Settings {
            tickers,
            interval: stored.interval,
            threads: connections(&self.address),
            ..self.settings
        };
        let label = self.address.label().to_owned();
        let target = Postgres::new(Options::new(self.address));
        let synced = context.open_detached_reader(stored.dir).and_then(|reader| {
            let source = StoreSource::new(reader);
            let (target, stop) = ((&target, label.as_str()), context.stop());
            sync::after_run(&source, target, &settings, &stop, &Lines, &mut report).map_err(error)
        });
        let seen = synced.unwrap_or_else(|error| {
            report.fatal = Some(Fatal {
                error: format!("the stored bars were not synced: {error}"),
                hint: error.hint,
            });
            Vec::new()
        });
        let reopened = context.reopen_store(stored.dir, stored.options);
        let recorded = reopened.and_then(|store| {
            sync::record(&store, &label, &seen, context.now())?;
            let (status, summary) = (report.status().as_str(), context.summary_json(&report));
            Ok(store.finish_run(stored.run, context.now(), status, &summary)?)
        });
        if let Err(error) = recorded {
            tracing::debug!("the result of the sync was not recorded: {error}");
        }
        report
    }
}

/// Prints the tickers' lines like `sync`, without a progress bar.
struct Lines;

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        let wording = Wording {
            kind: RunKind::Sync,
            dry_run: false,
        };
        match event {
            Event::TickerDone(unit) if unit.error.is_some() => {
                tracing::error!(target: super::log::LINE, "{}", wording.unit(unit));
            }
            Event::TickerDone(unit) if unit.counts.fetched > 0 => {
                tracing::info!(target: super::log::LINE, "{}", wording.unit(unit));
            }
            Event::Warning(text) => tracing::warn!("{text}"),
            _ => {}
        }
    }
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

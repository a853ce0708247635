//! `--sync`: what a run staged is sent to Postgres when it ends; and what that shares with the `sync` command.
//!
//! **A sync never holds the store's write lock**: a database can keep it waiting for hours.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use crate::model::{Interval, OnConflict, Ticker};
use crate::report::{Event, ExitStatus, Fatal, Observer, RunKind, RunReport, Wording};
use crate::secret::SecretUrl;
use crate::store::{OpenOptions, Reader, RunId, Store};
use crate::sync::postgres::{Address, Options, Postgres};
use crate::sync::{self, Error, ErrorKind, Seen, Settings, StoreSource};

/// The option, for commands that stage bars.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct PushArgs {
    /// Sync to Postgres when the run ends
    ///
    /// The database is that of DATABASE_URL, the policy the run's --on-conflict.
    #[arg(long, help_heading = "Output")]
    pub sync: bool,
}

/// A run that staged bars and is over.
pub struct Staged<'a> {
    /// The store's folder.
    pub dir: &'a Path,
    /// How it is opened.
    pub options: &'a OpenOptions,
    /// The run.
    pub run: &'a RunId,
    /// What was staged.
    pub interval: Option<Interval>,
}

/// A sync that waits for the run's end.
pub struct Push {
    settings: Settings,
    address: Address,
}

impl Push {
    /// Checks before the run what can be checked: an address, and no demo bars.
    pub fn resolve(
        context: &Context,
        args: PushArgs,
        on_conflict: OnConflict,
        demo: bool,
    ) -> Result<Option<Self>, CliError> {
        if !args.sync {
            return Ok(None);
        }
        if demo {
            return Err(CliError::usage(
                "--sync does not push demo bars, which no market ever saw",
            )
            .hint("`backfill sync --store data/demo --allow-demo` does"));
        }
        let settings = Settings {
            on_conflict,
            ..Settings::default()
        };
        let address = address(context, None)?;
        Ok(Some(Self { settings, address }))
    }

    /// Records the run's end, closes the store, and sends what is staged of the report's tickers. Where that fails the run
    /// failed; staged bars stay.
    ///
    /// Other processes may read meanwhile; one that writes waits for the sync, up to its limit for readers. The result is
    /// recorded afterwards.
    pub fn run(
        self,
        context: &Context,
        store: Arc<Store>,
        staged: &Staged<'_>,
        mut report: RunReport,
    ) -> RunReport {
        let (status, summary) = (report.status().as_str(), context.summary_so_far(&report));
        let recorded = store.finish_run(staged.run, context.now(), status, &summary);
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
            interval: staged.interval,
            ..self.settings
        };
        let label = self.address.label().to_owned();
        let target = Postgres::new(Options::new(self.address));
        let outcome = context.open_detached_reader(staged.dir).and_then(|reader| {
            let source = StoreSource::new(reader);
            let outcome = sync::run(&source, &target, &settings, &context.stop(), &Lines);
            outcome.map_err(error)
        });
        let mut seen = Vec::new();
        match outcome {
            Ok(outcome) => {
                seen = outcome.seen;
                report.interrupted |= outcome.report.interrupted;
                report.hints.extend(outcome.report.hints.iter().cloned());
                report.fatal = fatal(&label, &outcome.report);
            }
            Err(error) => {
                report.fatal = Some(Fatal {
                    error: format!("what was staged was not synced: {error}"),
                    hint: error.hint,
                });
            }
        }
        let reopened = context.reopen_store(staged.dir, staged.options);
        let recorded = reopened.and_then(|store| {
            note(context, &store, &label, &seen);
            let (status, summary) = (report.status().as_str(), context.summary_json(&report));
            Ok(store.finish_run(staged.run, context.now(), status, &summary)?)
        });
        if let Err(error) = recorded {
            tracing::debug!("the result of the sync was not recorded: {error}");
        }
        report
    }
}

/// Why the run failed, where its sync did not end well.
fn fatal(label: &str, report: &RunReport) -> Option<Fatal> {
    if let Some(fatal) = &report.fatal {
        return Some(fatal.clone());
    }
    let failed = report.tickers.iter().filter(|unit| unit.error.is_some());
    let first = failed.clone().next()?;
    Some(Fatal {
        error: format!(
            "{} of {} tickers were not synced to {}, the first {}: {}",
            failed.count(),
            report.tickers.len(),
            label,
            first.name,
            first.error.as_deref().unwrap_or_default()
        ),
        hint: first.hint.clone(),
    })
}

/// Prints the tickers' lines as `sync` does, without a progress bar.
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

/// The database's address: as typed, else `DATABASE_URL`, else libpq's variables.
pub(super) fn address(context: &Context, typed: Option<&SecretUrl>) -> Result<Address, CliError> {
    let variable = |name: &str| context.env(name);
    let set = || variable("DATABASE_URL").map(SecretUrl::from);
    let url = typed.cloned().or_else(set);
    Address::resolve(url.as_ref(), &variable)
        .map_err(|error| CliError::of(ExitStatus::Usage, &error).maybe_hint(error.hint()))
}

/// A sync that could not begin.
#[allow(clippy::needless_pass_by_value)] // as map_err gives it
pub(super) fn error(error: Error) -> CliError {
    let code = match error.kind() {
        ErrorKind::ManyIntervals => ExitStatus::Usage,
        _ => ExitStatus::Failed,
    };
    let hint = error.hint().map(str::to_owned);
    CliError::of(code, &error).maybe_hint(hint)
}

/// What was seen of the target and is not noted in the store yet.
pub(super) fn news(reader: &Reader, label: &str, seen: &[Seen]) -> Vec<Seen> {
    let known: HashMap<_, _> = reader
        .targets()
        .unwrap_or_default()
        .into_iter()
        .map(|row| ((row.target, row.series), row.base_seq))
        .collect();
    seen.iter()
        .filter(|seen| {
            let key = (name(label, seen), seen.series.clone());
            known.get(&key) != Some(&seen.base_seq)
        })
        .cloned()
        .collect()
}

/// Notes how far the target is. It is for `status` alone: failing here fails nothing.
pub(super) fn note(context: &Context, store: &Store, label: &str, seen: &[Seen]) {
    for seen in seen {
        let target = name(label, seen);
        let noted = store.record_target_seen(&target, &seen.series, seen.base_seq, context.now());
        if let Err(error) = noted {
            tracing::debug!("how far the target is was not noted: {error}");
            return;
        }
    }
}

/// A target's name in the store: where the database is, without a password, and the table.
fn name(label: &str, seen: &Seen) -> String {
    format!("{label} {}", seen.table)
}

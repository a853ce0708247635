//! `--sync`: what a run staged goes on to Postgres when it ends; and what that shares with the `sync` command.

use std::collections::HashMap;

use super::context::Context;
use super::error::CliError;
use super::exit_codes;
use crate::model::{Interval, OnConflict, Ticker};
use crate::report::{Event, Fatal, Observer, RunKind, RunReport, Wording};
use crate::secret::SecretUrl;
use crate::store::{Reader, Store};
use crate::sync::{self, Address, Error, Seen, Settings, StoreSource};

/// The option, for commands that stage bars.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct PushArgs {
    /// Push what was staged to Postgres when the run ends, by DATABASE_URL and with the run's --on-conflict. Example: --sync
    #[arg(long, help_heading = "Output")]
    pub sync: bool,
}

/// A sync that waits for the run's end.
pub struct Push {
    settings: Settings,
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
            ..Settings::new(address(context, None)?)
        };
        Ok(Some(Self { settings }))
    }

    /// Pushes what stands in `store` of the report's tickers. Where that fails the run failed; staged bars stay.
    pub fn run(
        self,
        context: &Context,
        store: &Store,
        interval: Option<Interval>,
        report: &mut RunReport,
    ) {
        if report.interrupted || report.fatal.is_some() {
            return;
        }
        let tickers: Vec<Ticker> = report
            .tickers
            .iter()
            .filter_map(|unit| unit.name.parse().ok())
            .collect();
        if tickers.is_empty() {
            return;
        }
        let settings = Settings {
            tickers,
            interval,
            ..self.settings
        };
        let observer = Lines;
        let outcome = store.reader().map_err(CliError::from).and_then(|reader| {
            let source = StoreSource::new(reader);
            let outcome = sync::run(&source, &settings, &context.stop(), &observer);
            outcome.map_err(error)
        });
        match outcome {
            Ok(outcome) => {
                note(context, store, &settings, &outcome.seen);
                report.interrupted |= outcome.report.interrupted;
                report.fatal = fatal(&settings, &outcome.report);
            }
            Err(error) => {
                report.fatal = Some(Fatal {
                    error: format!("what was staged was not synced: {error}"),
                    hint: error.hint,
                });
            }
        }
    }
}

/// Why the run failed, where its sync did not end well.
fn fatal(settings: &Settings, report: &RunReport) -> Option<Fatal> {
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
            settings.address.label(),
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
    Address::resolve(url.as_ref(), &variable).map_err(|error| {
        CliError::of(exit_codes::USAGE, &error).maybe_hint(error.hint().map(str::to_owned))
    })
}

/// A sync that could not begin.
#[allow(clippy::needless_pass_by_value)] // as map_err gives it
pub(super) fn error(error: Error) -> CliError {
    let code = match error {
        Error::ManyIntervals => exit_codes::USAGE,
        _ => exit_codes::FAILED,
    };
    let hint = error.hint();
    CliError::of(code, &error).maybe_hint(hint)
}

/// What was seen of the target and is not noted in the store yet.
pub(super) fn news(reader: &Reader, settings: &Settings, seen: &[Seen]) -> Vec<Seen> {
    let known: HashMap<_, _> = reader
        .targets()
        .unwrap_or_default()
        .into_iter()
        .map(|row| ((row.target, row.series), row.base_seq))
        .collect();
    seen.iter()
        .filter(|seen| {
            let key = (name(settings, seen), seen.series.clone());
            known.get(&key) != Some(&seen.base_seq)
        })
        .cloned()
        .collect()
}

/// Notes how far the target is. It is for `status` alone: failing here fails nothing.
pub(super) fn note(context: &Context, store: &Store, settings: &Settings, seen: &[Seen]) {
    for seen in seen {
        let target = name(settings, seen);
        let noted = store.record_target_seen(&target, &seen.series, seen.base_seq, context.now());
        if let Err(error) = noted {
            tracing::debug!("how far the target is was not noted: {error}");
            return;
        }
    }
}

/// A target's name in the store: where the database is, without a password, and the table.
fn name(settings: &Settings, seen: &Seen) -> String {
    format!("{} {}", settings.address.label(), seen.table)
}

//! `--push URL`: publishes what a run stored when it ends.

use std::path::Path;

use super::clock;
use super::context::Context;
use super::error::CliError;
use super::lines_after::Lines;
use super::push_target::{self, Target, TargetArgs};
use crate::model::{Interval, OnConflict, Ticker};
use crate::push::{self, Seen, Settings};
use crate::report::{Fatal, RunKind, RunReport, UnitReport};
use crate::secret::SecretUrl;

/// A push that follows a run.
pub struct PushAfterRun {
    target: Target,
    on_conflict: OnConflict,
}

impl PushAfterRun {
    /// Checks the target before the run, and refuses demo bars.
    pub fn resolve(
        context: &Context,
        url: &SecretUrl,
        on_conflict: OnConflict,
        demo: bool,
    ) -> Result<Self, CliError> {
        if demo {
            return Err(
                CliError::usage("--push doesn't publish demo bars, which are simulated")
                    .hint("`backfill push URL --store data/demo --allow-demo` does"),
            );
        }
        let target = push_target::resolve(context, url, &TargetArgs::default())?;
        Ok(Self {
            target,
            on_conflict,
        })
    }

    /// The target's name in the store.
    pub fn name(&self) -> String {
        push_target::target_name(&self.target.address.to_string())
    }

    /// Publishes the stored bars of `tickers`, and adds the outcome to the run's report: a push that fails
    /// fails the run, and the bars stay stored. Returns how far the table is.
    pub fn run(
        &self,
        context: &Context,
        dir: &Path,
        tickers: Vec<Ticker>,
        interval: Option<Interval>,
        report: &mut RunReport,
    ) -> Vec<Seen> {
        let settings = Settings {
            tickers,
            interval,
            on_conflict: self.on_conflict,
            clock: clock::now,
            ..Settings::default()
        };
        let pushed = context.open_detached_reader(dir).and_then(|reader| {
            let storage = self.target.open(true)?;
            let lines = Lines(RunKind::Push);
            push::run(
                &reader,
                storage.as_ref(),
                &settings,
                &context.stop(),
                &lines,
            )
            .map_err(push_target::error)
        });
        let pushed = match pushed {
            Ok(pushed) => pushed,
            Err(error) => {
                report.fatal = Some(Fatal {
                    error: format!("the stored bars were not pushed: {error}"),
                    hint: error.hint,
                });
                return Vec::new();
            }
        };
        report.append(RunReport {
            interrupted: pushed.report.interrupted,
            fatal: failure(&self.target, &pushed.report),
            hints: pushed.report.hints,
            ..RunReport::default()
        });
        pushed.seen
    }
}

/// Why the run failed, if its push did.
fn failure(target: &Target, pushed: &RunReport) -> Option<Fatal> {
    if pushed.fatal.is_some() {
        return pushed.fatal.clone();
    }
    let is_failed = |unit: &&UnitReport| unit.error.is_some();
    let failed: Vec<_> = pushed.tickers.iter().filter(is_failed).collect();
    let first = failed.first()?;
    Some(Fatal {
        error: format!(
            "{} of {} tickers were not pushed to {}, the first {}: {}",
            failed.len(),
            pushed.tickers.len(),
            target.address,
            first.name,
            first.error.as_deref().unwrap_or_default()
        ),
        hint: first.hint.clone(),
    })
}

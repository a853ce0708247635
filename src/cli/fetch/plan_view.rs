//! `--plan`: what a run would ask.

use std::io::Write;
use std::num::NonZeroU32;

use super::settings::Settings;
use crate::backfill::Plan;
use crate::cli::context::Outcome;
use crate::cli::error::CliError;
use crate::cli::log::HINT;
use crate::report::clock;

/// Prints the plan, and says what coverage takes off.
pub(super) fn print(
    out: impl Write,
    plan: &Plan,
    without_coverage: &Plan,
    settings: &Settings,
) -> Result<Outcome, CliError> {
    windows(out, plan, settings.service.rate)?;
    let (all, left) = (without_coverage.windows(), plan.windows());
    if all > left && !settings.resume {
        tracing::info!(
            target: HINT,
            "what the store shows as answered is taken off; a run does so with --resume, and asks {all} requests without"
        );
    }
    Ok(Outcome::Done)
}

/// Prints the windows, a line each, and what they cost at so many requests a minute.
pub(super) fn windows(mut out: impl Write, plan: &Plan, rate: NonZeroU32) -> Result<(), CliError> {
    for ticker in &plan.tickers {
        for window in ticker.windows.iter() {
            let again = if window.again { " (again)" } else { "" };
            writeln!(out, "[{}] {}{again}", ticker.ticker, window.ask)?;
        }
    }
    let windows = plan.windows();
    let least = clock(plan.least_time(rate.get()));
    writeln!(
        out,
        "Plan: tickers={} windows={windows} requests={windows} least={least}",
        plan.tickers.len()
    )?;
    Ok(out.flush()?)
}

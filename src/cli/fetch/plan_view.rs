//! `--plan`: what a run would ask.

use std::io::Write;

use super::settings::Settings;
use crate::backfill::Plan;
use crate::cli::context::Outcome;
use crate::cli::error::CliError;
use crate::cli::log::HINT;
use crate::report::clock;

/// Prints the windows, a line each, and what they cost.
pub(super) fn print(
    mut out: impl Write,
    plan: &Plan,
    without_coverage: &Plan,
    settings: &Settings,
) -> Result<Outcome, CliError> {
    for ticker in &plan.tickers {
        for window in ticker.windows.iter() {
            let again = if window.again { " (again)" } else { "" };
            writeln!(out, "[{}] {}{again}", ticker.ticker, window.ask)?;
        }
    }
    let windows = plan.windows();
    let least = clock(plan.least_time(settings.rate.get()));
    writeln!(
        out,
        "Plan: tickers={} windows={windows} requests={windows} least={least}",
        plan.tickers.len()
    )?;
    out.flush()?;
    let all = without_coverage.windows();
    if all > windows && !settings.resume {
        tracing::info!(
            target: HINT,
            "what the store shows as answered is taken off; a run does so with --resume, and asks {all} requests without"
        );
    }
    Ok(Outcome::Done)
}

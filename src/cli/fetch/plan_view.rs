//! `--plan`: prints what a run would request.

use std::io::Write;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::settings::Settings;
use crate::backfill::{Plan, Window};
use crate::cli::context::Outcome;
use crate::cli::error::CliError;
use crate::cli::log::HINT;
use crate::report::clock;

/// Prints the plan, and a hint if dates are left out because they are answered.
pub(super) fn print(
    out: impl Write,
    plan: &Plan,
    without_coverage: &Plan,
    settings: &Settings,
    quota_left: Option<u64>,
) -> Result<Outcome, CliError> {
    windows(out, plan, settings.service.rate, quota_left)?;
    let (all, left) = (without_coverage.requests, plan.requests);
    if all > left && !settings.resume {
        tracing::info!(
            target: HINT,
            "dates that are answered already are left out, as with --resume; without it the run sends {all} requests"
        );
    }
    Ok(Outcome::Done)
}

/// Prints one line per window, then a line with the totals and the least time at `rate` requests
/// per minute. `quota_left` is what is left of the day's quota, if there is one.
pub(super) fn windows(
    mut out: impl Write,
    plan: &Plan,
    rate: NonZeroU32,
    quota_left: Option<u64>,
) -> Result<(), CliError> {
    // Thousands of tickers share their windows: the common part of their lines is formatted once.
    let mut shared: Option<(Arc<[Window]>, Vec<String>)> = None;
    for ticker in &plan.tickers {
        if !(shared.as_ref()).is_some_and(|(windows, _)| Arc::ptr_eq(windows, &ticker.windows)) {
            let lines = ticker.windows.iter().map(|window| {
                let note = match window {
                    _ if window.is_comparison() => " (to compare the price basis)",
                    _ if window.refetch => " (again)",
                    _ => "",
                };
                format!("] {}{note}\n", window.request)
            });
            shared = Some((ticker.windows.clone(), lines.collect()));
        }
        let name = format!("[{}", ticker.ticker);
        for line in shared.iter().flat_map(|(_, lines)| lines) {
            out.write_all(name.as_bytes())?;
            out.write_all(line.as_bytes())?;
        }
    }
    let windows = plan.windows();
    let least = clock(plan.least_time(rate.get()));
    let quota = quota_left.map_or_else(String::new, |left| format!(" quota_left={left}"));
    writeln!(
        out,
        "Plan: tickers={} windows={windows} requests={} least={least}{quota}",
        plan.tickers.len(),
        plan.requests
    )?;
    Ok(out.flush()?)
}

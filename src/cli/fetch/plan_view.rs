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

/// Prints one line per ticker that has windows, then a line with the totals and the least time at
/// `rate` requests per minute. `quota_left` is what is left of the day's quota, if there is one.
/// The log has each window at level DEBUG.
pub(super) fn windows(
    mut out: impl Write,
    plan: &Plan,
    rate: Option<NonZeroU32>,
    quota_left: Option<u64>,
) -> Result<(), CliError> {
    // Thousands of tickers share their windows: the common part of their lines is formatted once.
    let mut shared: Option<(Arc<[Window]>, String)> = None;
    for ticker in &plan.tickers {
        for window in ticker.windows.iter() {
            let note = match window {
                _ if window.is_comparison() => " (to compare the price basis)",
                _ if window.refetch => " (again)",
                _ => "",
            };
            tracing::debug!("[{}] {}{note}", ticker.ticker, window.request);
        }
        if !(shared.as_ref()).is_some_and(|(windows, _)| Arc::ptr_eq(windows, &ticker.windows)) {
            shared = Some((ticker.windows.clone(), summary(&ticker.windows)));
        }
        if let Some((_, summary)) = shared.as_ref().filter(|(windows, _)| !windows.is_empty()) {
            writeln!(out, "[{}] {summary}", ticker.ticker)?;
        }
    }
    let windows = plan.windows();
    let least = clock(plan.least_time(rate));
    let quota = quota_left.map_or_else(String::new, |left| format!(" quota_left={left}"));
    writeln!(
        out,
        "Plan: tickers={} windows={windows} requests={} least={least}{quota}",
        plan.tickers.len(),
        plan.requests
    )?;
    Ok(out.flush()?)
}

/// The windows of one ticker in a few words.
fn summary(windows: &[Window]) -> String {
    let again = windows.iter().filter(|window| window.refetch).count();
    let comparing = (windows.iter())
        .filter(|window| window.is_comparison())
        .count();
    let first = windows.iter().map(|window| window.request.first()).min();
    let last = windows.iter().map(|window| window.request.last()).max();
    let dates = match (first, last) {
        (Some(first), Some(last)) if first == last => format!(", {first}"),
        (Some(first), Some(last)) => format!(", {first}..{last}"),
        _ => String::new(),
    };
    let plural = if windows.len() == 1 { "" } else { "s" };
    let mut text = format!("{} window{plural}{dates}", windows.len());
    if again > 0 {
        text.push_str(&format!(", {again} again"));
    }
    if comparing > 0 {
        text.push_str(&format!(", {comparing} to compare the price basis"));
    }
    text
}

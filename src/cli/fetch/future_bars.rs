//! Stored bars in the future, such as after a typing error in a CSV file.

use std::collections::HashSet;

use super::settings::Settings;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::log::HINT;
use crate::model::{DAY_MICROS, Timestamp};
use crate::store::Reader;

/// Warns of each ticker of a `--since-last` run whose last stored bar is more than a day in the
/// future. The run continues from its last session that isn't.
pub(super) fn warn(
    context: &Context,
    settings: &Settings,
    known: Option<&Reader>,
) -> Result<(), CliError> {
    let Some(reader) = known.filter(|_| settings.since_last) else {
        return Ok(());
    };
    let now = context.now();
    let latest = Timestamp::from_micros(now.micros() + DAY_MICROS);
    let tickers: HashSet<_> = settings.tickers.iter().collect();
    let series = reader.series()?;
    let is_ahead = |row: &&crate::store::SeriesRow| {
        row.key.interval == settings.interval
            && row.last > latest
            && tickers.contains(&row.key.ticker)
    };
    let mut ahead = series.iter().filter(is_ahead).peekable();
    if ahead.peek().is_none() {
        return Ok(());
    }
    for row in ahead {
        tracing::warn!(
            "[{}] the last stored bar, {}, is in the future; continuing from the last session that isn't",
            row.key.ticker,
            row.last
        );
    }
    let tomorrow = settings.calendar.session_date(now) + chrono::Days::new(1);
    tracing::warn!(
        target: HINT,
        "`backfill drop --tickers TICKER --interval {} --start {tomorrow} --end 2199-12-31` removes such bars",
        settings.interval.minutes()
    );
    Ok(())
}

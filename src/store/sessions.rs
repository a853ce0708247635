//! Counts a session, kept by the commits so that status and gaps never scan bars.

use crate::calendar::Calendar;

use super::catalog::SessionRow;
use crate::model::Timestamp;

/// The counts that sorted, new timestamps add. Without a calendar, a session is a UTC date and every bar is regular.
pub(crate) fn count(
    series_id: i32,
    timestamps: &[i64],
    calendar: Option<&Calendar>,
) -> Vec<SessionRow> {
    let Some(calendar) = calendar else {
        return count_utc(series_id, timestamps);
    };
    calendar
        .session_runs(timestamps)
        .map(|(session, range)| {
            let run = &timestamps[range];
            // Outside the calendar's span nothing says what was regular: then all of it counts.
            let regular = match calendar.session_on(session) {
                Ok(Some(hours)) => hours
                    .parts()
                    .map(|(open, close)| within(run, open.micros(), close.micros()))
                    .sum(),
                Ok(None) => 0,
                Err(_) => run.len(),
            };
            row(series_id, session, run, regular)
        })
        .collect()
}

fn count_utc(series_id: i32, timestamps: &[i64]) -> Vec<SessionRow> {
    timestamps
        .chunk_by(|a, b| {
            a.div_euclid(crate::model::DAY_MICROS) == b.div_euclid(crate::model::DAY_MICROS)
        })
        .map(|run| {
            row(
                series_id,
                Timestamp::from_micros(run[0]).to_utc().date_naive(),
                run,
                run.len(),
            )
        })
        .collect()
}

fn row(series_id: i32, session: chrono::NaiveDate, run: &[i64], regular: usize) -> SessionRow {
    SessionRow {
        series_id,
        session,
        bars: run.len() as u32,
        regular: regular as u32,
        first: Timestamp::from_micros(run[0]),
        last: Timestamp::from_micros(run[run.len() - 1]),
    }
}

fn within(run: &[i64], start: i64, end: i64) -> usize {
    run.partition_point(|ts| *ts < end) - run.partition_point(|ts| *ts < start)
}

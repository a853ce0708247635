//! The years of a ticker as grids of days.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{Datelike, NaiveDate};

use crate::status::SessionState;
use crate::store::SeriesRow;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Draws a line per month and a column per day: `#` a complete session, `+` a short one, `.` a
/// missing one, a blank if there is no session.
pub(super) fn draw(
    out: &mut impl Write,
    row: &SeriesRow,
    marks: &[(NaiveDate, SessionState)],
) -> io::Result<()> {
    writeln!(
        out,
        "{} {}   # complete   + short   . missing",
        row.key, row.provenance.exchange
    )?;
    let mut years: BTreeMap<i32, [[char; 31]; 12]> = BTreeMap::new();
    for (date, mark) in marks {
        let months = years.entry(date.year()).or_insert([[' '; 31]; 12]);
        months[date.month0() as usize][date.day0() as usize] = match mark {
            SessionState::Complete => '#',
            SessionState::Short => '+',
            SessionState::Missing => '.',
        };
    }
    for (year, months) in &years {
        writeln!(out, "\n{year}  1   5    10   15   20   25   30")?;
        for (name, days) in MONTHS.iter().zip(months) {
            let days: String = days.iter().collect();
            writeln!(out, "{}", format!("{name}   {days}").trim_end())?;
        }
    }
    Ok(())
}

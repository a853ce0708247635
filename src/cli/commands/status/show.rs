//! The list of series.

use std::io::{self, Write};

use bytesize::ByteSize;
use indicatif::HumanCount;

use super::running;
use crate::cli::listing::{self, Kind};
use crate::cli::output::Stdout;
use crate::cli::rows::RowFormat;
use crate::cli::seal_after::rows_are;
use crate::cli::table::{Column, Table};
use crate::documents;
use crate::model::Timestamp;
use crate::status::{Overview, Sessions};

fn table(out: &mut impl Write, overview: &Overview) -> io::Result<()> {
    let mut columns = vec![
        Column::text("interval"),
        Column::text("ticker"),
        Column::text("exchange"),
        Column::number("rows"),
        Column::text("first"),
        Column::text("last"),
        Column::number("sessions"),
    ];
    for _ in &overview.targets {
        columns.push(Column::number("unsynced"));
    }
    let mut table = Table::new(&mut *out, columns);
    for series in &overview.series {
        let row = &series.row;
        let mut values = vec![
            row.key.interval.to_string(),
            row.key.ticker.to_string(),
            row.provenance.exchange.clone(),
            count(row.rows),
            date(row.first),
            date(row.last),
            series.sessions.map_or_else(|| "-".to_owned(), ratio),
        ];
        for unsynced in &series.unsynced {
            values.push(unsynced.map_or_else(|| "-".to_owned(), |unsynced| count(unsynced.rows)));
        }
        table.row(values)?;
    }
    table.finish()?;
    let (rows, hot, sessions) = overview.totals();
    writeln!(
        out,
        "\n{} series, {} rows ({} hot), {} sessions complete, {} in {}",
        HumanCount(overview.series.len() as u64),
        HumanCount(rows),
        HumanCount(hot),
        ratio(sessions),
        ByteSize::b(overview.bytes),
        overview.store.display()
    )?;
    if hot > 0 {
        let series = overview.series.iter();
        let series = series.filter(|series| series.row.hot_rows > 0).count() as u64;
        let rows_are = rows_are(hot, Some(series));
        writeln!(out, "{rows_are} not in the lake yet; run backfill seal")?;
    }
    for (index, target) in overview.targets.iter().enumerate() {
        let series = overview.series.iter();
        let seen = series.filter_map(|series| series.unsynced[index]);
        let rows: u64 = seen.clone().map(|unsynced| unsynced.rows).sum();
        write!(out, "{} rows unsynced in {target}", HumanCount(rows))?;
        if let Some(at) = seen.map(|unsynced| unsynced.seen_at.micros()).max() {
            let second = Timestamp::from_micros(at - at.rem_euclid(1_000_000));
            write!(out, ", last seen {second}")?;
        }
        writeln!(out)?;
    }
    for line in overview.writer.iter().flat_map(running::lines) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// The UTC date: instants would make the table wider than a terminal.
fn date(at: Timestamp) -> String {
    at.to_utc().date_naive().to_string()
}

fn ratio(sessions: Sessions) -> String {
    format!(
        "{}/{}",
        HumanCount(sessions.complete),
        HumanCount(sessions.expected)
    )
}

/// The columns of the flat formats.
fn columns() -> Vec<listing::Column> {
    listing::columns([
        ("interval", "/interval_minutes", Kind::Integer),
        ("ticker", "/ticker", Kind::Text),
        ("exchange", "/exchange", Kind::Text),
        ("basis", "/basis", Kind::Text),
        ("hours", "/hours", Kind::Text),
        ("rows", "/rows", Kind::Integer),
        ("hot_rows", "/hot_rows", Kind::Integer),
        ("first", "/first", Kind::Timestamp),
        ("last", "/last", Kind::Timestamp),
        ("sessions_complete", "/sessions_complete", Kind::Integer),
        ("sessions_expected", "/sessions_expected", Kind::Integer),
        ("unsynced", "/unsynced", Kind::Json),
    ])
}

pub(super) fn write(out: Stdout, format: RowFormat, overview: &Overview) -> io::Result<()> {
    let document = documents::status(overview);
    listing::write(out, format, &document, "series", &columns(), |out| {
        table(out, overview)
    })
}

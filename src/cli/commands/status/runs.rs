//! The list of runs.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::HumanCount;

use crate::cli::listing::{self, Kind};
use crate::cli::output::Stdout;
use crate::cli::rows::RowFormat;
use crate::cli::table::{Column, Table};
use crate::documents::{self, run_summary};
use crate::report::clock;
use crate::store::RunRow;

/// The table has no column for the start: a run's name begins with it.
fn table(out: &mut impl Write, runs: &[RunRow]) -> io::Result<()> {
    let columns = vec![
        Column::text("run"),
        Column::text("command"),
        Column::text("status"),
        Column::number("elapsed"),
        Column::number("inserted"),
        Column::number("skipped"),
    ];
    let mut table = Table::new(out, columns);
    for run in runs {
        let summary = run_summary(run);
        let total = |key: &str| summary["totals"][key].as_u64();
        let skipped = total("skipped_identical").zip(total("skipped_restated"));
        let count = |number: Option<u64>| {
            number.map_or_else(|| "-".to_owned(), |number| HumanCount(number).to_string())
        };
        table.row(vec![
            run.run.clone(),
            run.command.clone(),
            run.status.clone(),
            elapsed(run).map_or_else(|| "-".to_owned(), clock),
            count(total("committed")),
            count(skipped.map(|(identical, restated)| identical + restated)),
        ])?;
    }
    table.finish()
}

fn elapsed(run: &RunRow) -> Option<Duration> {
    let micros = run.finished_at?.micros() - run.started_at.micros();
    Some(Duration::from_micros(u64::try_from(micros).ok()?))
}

/// The columns of the flat formats.
fn columns() -> Vec<listing::Column> {
    listing::columns([
        ("run", "/run", Kind::Text),
        ("command", "/command", Kind::Text),
        ("started_at", "/started_at", Kind::Timestamp),
        ("finished_at", "/finished_at", Kind::Timestamp),
        ("status", "/status", Kind::Text),
        ("committed", "/summary/totals/committed", Kind::Integer),
        ("summary", "/summary", Kind::Json),
    ])
}

pub(super) fn write(out: Stdout, format: RowFormat, runs: &[RunRow]) -> io::Result<()> {
    let document = documents::runs(runs);
    listing::write(out, format, &document, "runs", &columns(), |out| {
        table(out, runs)
    })
}

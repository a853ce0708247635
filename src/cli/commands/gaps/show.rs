//! The list of gaps.

use std::io::{self, Write};

use indicatif::HumanCount;

use crate::cli::listing::{self, Kind};
use crate::cli::output::Stdout;
use crate::cli::rows::RowFormat;
use crate::cli::table::{Column, Table};
use crate::documents;
use crate::gaps::{Reason, Survey};

/// Reasons in the order of their totals.
const REASONS: [Reason; 5] = [
    Reason::NeverAsked,
    Reason::Empty,
    Reason::Partial,
    Reason::Failed,
    Reason::Short,
];

fn table(out: &mut impl Write, survey: &Survey) -> io::Result<()> {
    let mut table = Table::new(
        &mut *out,
        vec![
            Column::text("interval"),
            Column::text("ticker"),
            Column::text("session"),
            Column::number("bars"),
            Column::text("reason"),
            Column::text("first missing"),
            Column::text("last missing"),
        ],
    );
    let mut any = false;
    for gap in survey.gaps() {
        any = true;
        table.row(vec![
            gap.series.interval.to_string(),
            gap.series.ticker.to_string(),
            gap.session.to_string(),
            format!("{}/{}", gap.bars, gap.expected),
            gap.reason.to_string(),
            gap.first_missing.to_string(),
            gap.last_missing.to_string(),
        ])?;
    }
    if any {
        table.finish()?;
        writeln!(out)?;
    }
    writeln!(out, "{}", totals(survey))
}

/// `3 gaps in 1 of 2 series (2 empty, 1 short), 247/250 sessions complete`.
fn totals(survey: &Survey) -> String {
    let (complete, expected) = survey.completeness();
    let sessions = format!(
        "{}/{} sessions complete",
        HumanCount(complete),
        HumanCount(expected)
    );
    let gaps = survey.gaps().count() as u64;
    if gaps == 0 {
        return format!("no gaps in {} series, {sessions}", survey.series.len());
    }
    let of = |reason| survey.gaps().filter(|gap| gap.reason == reason).count() as u64;
    let reasons: Vec<String> = (REASONS.iter())
        .filter(|reason| of(**reason) > 0)
        .map(|reason| format!("{} {reason}", HumanCount(of(*reason))))
        .collect();
    let with = (survey.series.iter())
        .filter(|series| !series.gaps.is_empty())
        .count();
    format!(
        "{} {} in {with} of {} series ({}), {sessions}",
        HumanCount(gaps),
        if gaps == 1 { "gap" } else { "gaps" },
        survey.series.len(),
        reasons.join(", ")
    )
}

/// The columns of the flat formats.
fn columns() -> Vec<listing::Column> {
    listing::columns([
        ("interval", "/interval_minutes", Kind::Integer),
        ("ticker", "/ticker", Kind::Text),
        ("session", "/session", Kind::Date),
        ("expected", "/expected", Kind::Integer),
        ("bars", "/bars", Kind::Integer),
        ("first_missing", "/first_missing", Kind::Timestamp),
        ("last_missing", "/last_missing", Kind::Timestamp),
        ("reason", "/reason", Kind::Text),
    ])
}

pub(super) fn write(out: Stdout, format: RowFormat, survey: &Survey) -> io::Result<()> {
    let document = documents::gaps(survey);
    listing::write(out, format, &document, "gaps", &columns(), |out| {
        table(out, survey)
    })
}

//! The list of gaps.

use std::io::{self, Write};

use indicatif::HumanCount;

use crate::cli::listing::{self, Kind};
use crate::cli::output::Stdout;
use crate::cli::rows::RowFormat;
use crate::cli::table::{Column, Table};
use crate::documents;
use crate::gaps::{Gap, Reason, Shortage, Survey};
use crate::model::Timestamp;

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
            Column::text("missing (UTC)"),
            Column::text("reason"),
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
            format!("{} to {}", time(gap.first_missing), time(gap.last_missing)),
            reason(gap),
        ])?;
    }
    if any {
        table.finish()?;
        writeln!(out)?;
    }
    writeln!(out, "{}", totals(survey))
}

/// Without the date: a session has each time of day once.
fn time(at: Timestamp) -> String {
    at.to_utc().format("%H:%M").to_string()
}

/// `short: starts late`, `partial: 3 rows rejected`.
fn reason(gap: &Gap) -> String {
    let rows = |count: u32| match count {
        1 => "1 row".to_owned(),
        _ => format!("{} rows", HumanCount(count.into())),
    };
    let detail = match gap.shortage {
        _ if gap.rejected > 0 => format!("{} rejected", rows(gap.rejected)),
        Some(Shortage::FewBars) => "few bars".to_owned(),
        Some(Shortage::LateStart) => "starts late".to_owned(),
        Some(Shortage::EarlyEnd) => "ends early".to_owned(),
        Some(Shortage::RejectedRows) | None => return gap.reason.to_string(),
    };
    format!("{}: {detail}", gap.reason)
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
        ("shortage", "/shortage", Kind::Text),
        ("rejected", "/rejected", Kind::Integer),
    ])
}

pub(super) fn write(out: Stdout, format: RowFormat, survey: &Survey) -> io::Result<()> {
    let document = documents::gaps(survey);
    listing::write(out, format, &document, "gaps", &columns(), |out| {
        table(out, survey)
    })
}

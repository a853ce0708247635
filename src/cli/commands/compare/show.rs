//! The list of series, and the columns of sessions.

use std::io::{self, Write};

use indicatif::HumanCount;

use crate::cli::listing::{self, Column, Kind};
use crate::cli::rows::{Out, RowFormat};
use crate::cli::table::{self, Table};
use crate::compare::{Compared, SeriesComparison};
use crate::documents;

/// Writes the series in any format.
pub(super) fn write(out: Out, format: RowFormat, compared: &Compared) -> io::Result<()> {
    let document = documents::comparison(compared);
    listing::write(out, format, &document, "series", &columns(), |out| {
        table(out, compared)
    })
}

/// The columns of counts, which series and sessions have.
const COUNTS: [(&str, &str, Kind); 8] = [
    ("both", "/both", Kind::Integer),
    ("identical", "/identical", Kind::Integer),
    ("within", "/within", Kind::Integer),
    ("different", "/different", Kind::Integer),
    ("only_here", "/only_here", Kind::Integer),
    ("only_there", "/only_there", Kind::Integer),
    ("agreement", "/agreement", Kind::Float),
    ("close_factor", "/close_factor", Kind::Float),
];

/// The columns of the flat formats.
fn columns() -> Vec<Column> {
    let mut columns = listing::columns([
        ("interval", "/interval", Kind::Integer),
        ("ticker", "/ticker", Kind::Text),
    ]);
    columns.extend(listing::columns(COUNTS));
    columns.extend(listing::columns([
        ("volume_ratio", "/volume_ratio", Kind::Float),
        ("shift_minutes", "/shift_minutes", Kind::Integer),
        ("factor_bars", "/factor_bars", Kind::Integer),
        ("factor_first", "/factor_first", Kind::Date),
        ("factor_last", "/factor_last", Kind::Date),
        ("shift_sessions", "/shift_sessions", Kind::Integer),
        ("shift_first", "/shift_first", Kind::Date),
        ("shift_last", "/shift_last", Kind::Date),
        ("here_exchange", "/here/exchange", Kind::Text),
        ("here_basis", "/here/basis", Kind::Text),
        ("here_hours", "/here/hours", Kind::Text),
        ("there_exchange", "/there/exchange", Kind::Text),
        ("there_basis", "/there/basis", Kind::Text),
        ("there_hours", "/there/hours", Kind::Text),
    ]));
    columns
}

/// The columns of sessions.
pub(super) fn session_columns() -> Vec<Column> {
    let mut columns = listing::columns([
        ("interval", "/interval", Kind::Integer),
        ("ticker", "/ticker", Kind::Text),
        ("session", "/session", Kind::Date),
    ]);
    columns.extend(listing::columns(COUNTS));
    columns.extend(listing::columns([
        ("volume_ratio", "/volume_ratio", Kind::Float),
        ("shift_minutes", "/shift_minutes", Kind::Integer),
    ]));
    columns
}

fn table(out: &mut impl Write, compared: &Compared) -> io::Result<()> {
    let mut table = Table::new(
        &mut *out,
        vec![
            table::Column::text("interval"),
            table::Column::text("ticker"),
            table::Column::number("both"),
            table::Column::number("identical"),
            table::Column::number("within"),
            table::Column::number("different"),
            table::Column::number("only here"),
            table::Column::number("only there"),
            table::Column::number("agreement"),
            table::Column::number("volume ratio"),
            table::Column::text("notes"),
        ],
    );
    for one in &compared.series {
        let counts = one.counts;
        let number = |value: Option<f64>| value.map(rounded).unwrap_or_default();
        table.row(vec![
            one.series.interval.to_string(),
            one.series.ticker.to_string(),
            counts.both.to_string(),
            counts.identical.to_string(),
            counts.within.to_string(),
            counts.different.to_string(),
            counts.only_here.to_string(),
            counts.only_there.to_string(),
            number(counts.agreement()),
            number(counts.volume_ratio()),
            notes(one),
        ])?;
    }
    if compared.series.is_empty() {
        return writeln!(out, "no bars to compare");
    }
    table.finish()?;
    let totals = compared.totals();
    writeln!(
        out,
        "\n{} series, {} bars in both ({} identical, {} within, {} different), {} only here, {} only there",
        compared.series.len(),
        HumanCount(totals.both),
        HumanCount(totals.identical),
        HumanCount(totals.within),
        HumanCount(totals.different),
        HumanCount(totals.only_here),
        HumanCount(totals.only_there),
    )
}

/// What is known about the differences, in words.
fn notes(one: &SeriesComparison) -> String {
    let mut notes = Vec::new();
    if let Some(found) = one.close_factor {
        notes.push(format!(
            "closes there are {} times those here in {} bars from {} to {}",
            rounded(found.factor),
            HumanCount(found.bars),
            found.first,
            found.last
        ));
    }
    if let Some(found) = one.shift {
        notes.push(format!(
            "bars there are {} min {} in {} {} from {} to {}",
            found.minutes.abs(),
            if found.minutes < 0 {
                "earlier"
            } else {
                "later"
            },
            HumanCount(found.sessions),
            if found.sessions == 1 {
                "session"
            } else {
                "sessions"
            },
            found.first,
            found.last
        ));
    }
    notes.extend(one.notes());
    notes.join("; ")
}

/// Four decimals at most. Never rounded up to 1, which would hide a difference.
fn rounded(value: f64) -> String {
    let near = (value * 10_000.0).round() / 10_000.0;
    let shown = match near == 1.0 && value < 1.0 {
        true => 0.9999,
        false => near,
    };
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_never_rounded_away() {
        let cases = [
            (1.0, "1"),
            (0.999_999, "0.9999"),
            (0.5, "0.5"),
            (4.000_01, "4"),
        ];
        for (value, text) in cases {
            assert_eq!(rounded(value), text);
        }
    }
}

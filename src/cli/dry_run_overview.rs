//! The overview at the end of a dry run over CSV files.
//!
//! Files that were read alike are one line of a table. What a person should check follows, each with
//! its files: first the warnings, then why files can't be stored.

use std::collections::{BTreeMap, BTreeSet};

use super::table::{Column, Table};
use crate::model::{Interval, Ticker, Timestamp};
use crate::report::{ReadAs, UnitReport};

/// Names in a list, of tickers and of files.
const TICKERS_MAX: usize = 2;
const FILES_MAX: usize = 4;
/// Longer lines are broken.
const WIDTH: usize = 98;

/// What files have in common that were read alike: layout, interval, zone, exchange, label.
type Form<'r> = (&'r str, Interval, &'r str, &'r str, &'r str);

/// The files that were read alike.
#[derive(Default)]
struct Alike<'r> {
    files: usize,
    tickers: BTreeSet<&'r Ticker>,
    /// Whether a file has more tickers than it names.
    has_more: bool,
    span: Option<(Timestamp, Timestamp)>,
}

/// The lines of the overview.
pub(super) fn overview(files: &[UnitReport]) -> Vec<String> {
    let mut lines = Vec::new();
    let read: Vec<&ReadAs> = files
        .iter()
        .filter(|file| file.error.is_none())
        .filter_map(|file| file.read_as.as_ref())
        .collect();
    lines.push(format!(
        "{} of {} files can be stored",
        read.len(),
        files.len()
    ));
    if !read.is_empty() {
        lines.extend(table(&read));
    }
    let mut warnings: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for file in files {
        for warning in &file.warnings {
            warnings.entry(vec![warning]).or_default().push(&file.name);
        }
    }
    let hints: Vec<String> = files
        .iter()
        .map(|file| {
            file.hint
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        })
        .collect();
    let mut refused: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for (file, hint) in files.iter().zip(&hints) {
        if let Some(error) = &file.error {
            let texts = [error.as_str(), hint];
            let texts = texts.into_iter().filter(|text| !text.is_empty());
            refused.entry(texts.collect()).or_default().push(&file.name);
        }
    }
    lines.extend(findings("to check", &warnings));
    lines.extend(findings("can't be stored", &refused));
    lines
}

fn table(read: &[&ReadAs]) -> Vec<String> {
    let mut groups: BTreeMap<Form<'_>, Alike<'_>> = BTreeMap::new();
    for read_as in read {
        let form = &*read_as.form;
        let key = (
            &*form.layout,
            read_as.interval,
            &*form.timezone,
            form.exchange.as_str(),
            form.timestamp_label,
        );
        let alike = groups.entry(key).or_default();
        alike.files += 1;
        alike.tickers.extend(read_as.tickers());
        alike.has_more |= read_as.ticker_count() > read_as.tickers().len();
        alike.span = match (alike.span, read_as.span()) {
            (Some(before), Some(span)) => Some((before.0.min(span.0), before.1.max(span.1))),
            (before, span) => before.or(span),
        };
    }
    let mut out = Vec::new();
    let mut table = Table::new(
        &mut out,
        vec![
            Column::number("files"),
            Column::text("layout"),
            Column::number("bars"),
            Column::text("zone"),
            Column::text("exchange"),
            Column::text("tickers"),
            Column::text("dates"),
        ],
    );
    for ((layout, interval, zone, exchange, label), alike) in &groups {
        let label = if *label == "close" { ", closes" } else { "" };
        let dates = alike.span.map(|(first, last)| {
            let date = |at: Timestamp| at.to_utc().date_naive();
            format!("{} to {}", date(first), date(last))
        });
        // Writing to memory can't fail.
        let _ = table.row(vec![
            alike.files.to_string(),
            format!("{layout}{label}"),
            format!("{}m", interval.minutes()),
            (*zone).to_owned(),
            (*exchange).to_owned(),
            tickers(alike),
            dates.unwrap_or_default(),
        ]);
    }
    let _ = table.finish();
    let text = String::from_utf8_lossy(&out);
    text.lines().map(|line| format!("  {line}")).collect()
}

/// `AAPL`, `AAPL, MSFT`, `AAPL to ZION (120)`
fn tickers(alike: &Alike<'_>) -> String {
    let tickers = &alike.tickers;
    let (Some(first), Some(last)) = (tickers.first(), tickers.last()) else {
        return String::new();
    };
    if alike.has_more || tickers.len() > TICKERS_MAX {
        let more = if alike.has_more { "more than " } else { "" };
        return format!("{first} to {last} ({more}{})", tickers.len());
    }
    let names: Vec<&str> = tickers.iter().map(|ticker| ticker.as_str()).collect();
    names.join(", ")
}

/// What was found, each with its files.
fn findings(title: &str, found: &BTreeMap<Vec<&str>, Vec<&str>>) -> Vec<String> {
    let files: BTreeSet<&str> = found.values().flatten().copied().collect();
    if files.is_empty() {
        return Vec::new();
    }
    let of = if files.len() == 1 { "file" } else { "files" };
    let mut lines = vec![format!("{title}: {} {of}", files.len())];
    for (texts, files) in found {
        for text in texts {
            lines.extend(wrap(text, "  "));
        }
        let mut names = files[..files.len().min(FILES_MAX)].join(", ");
        if files.len() > FILES_MAX {
            names += &format!(" and {} more", files.len() - FILES_MAX);
        }
        lines.extend(wrap(&names, "    "));
    }
    lines
}

/// The text in lines with this indent.
fn wrap(text: &str, indent: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

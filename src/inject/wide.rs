//! Tables with columns of several tickers next to each other, as pandas and yfinance write them.

use super::columns::{ChosenColumns, ColumnAt, Role, normalise, role_of};
use super::decide::without_suffix;
use super::error::FileError;
use super::file_ticker::is_other;
use super::layouts::{Columns, Excerpt, columns_by_header};
use super::preamble::{Table, are_two_levels};
use super::sample::{FieldKind, Fields};
use super::settings::Settings;
use crate::model::Ticker;

/// One ticker's columns, among them the time.
#[derive(Clone, Debug)]
pub(super) struct WideSeries {
    pub(super) ticker: Ticker,
    pub(super) columns: Vec<(usize, Role)>,
}

/// The names of a table's columns, and the ticker of each if the header has a line of tickers. The
/// first column is the time then.
pub(super) struct Names {
    pub(super) names: Vec<String>,
    pub(super) tickers: Vec<String>,
    /// Whether yfinance wrote the header.
    pub(super) is_yfinance: bool,
}

impl Names {
    pub(super) fn of(table: &Table, records: &[Fields<'_>]) -> Self {
        let line = |at: Option<usize>| -> Vec<String> {
            let fields = at.and_then(|at| records.get(at)).into_iter().flatten();
            fields
                .map(|field| String::from_utf8_lossy(field.trim_ascii()).into_owned())
                .collect()
        };
        let (mut names, tickers) = (line(table.header), line(table.tickers));
        let mut is_yfinance = false;
        if tickers.is_empty()
            && let Some((names, tickers)) = split_names(&names)
        {
            return Self {
                names,
                tickers,
                is_yfinance,
            };
        }
        if let (Some(name), Some(ticker)) = (names.first_mut(), tickers.first()) {
            is_yfinance = name == "Price" || ticker == "Ticker";
            let index = table
                .rows
                .checked_sub(1)
                .filter(|at| Some(*at) != table.header && Some(*at) != table.tickers);
            let index = line(index).into_iter().next().unwrap_or_default();
            // A column without a name is the time if it has times.
            *name = if role_of(&normalise(&index)).is_time() {
                index
            } else {
                String::new()
            };
        }
        Self {
            names,
            tickers,
            is_yfinance,
        }
    }

    /// Whether the columns are of several tickers.
    pub(super) fn has_several_tickers(&self) -> bool {
        !self.tickers.is_empty() && self.ticker().is_none()
    }

    /// The only ticker.
    pub(super) fn ticker(&self) -> Option<&str> {
        let (first, rest) = self.tickers.get(1..)?.split_first()?;
        rest.iter().all(|ticker| ticker == first).then_some(first)
    }
}

/// Names such as `BTC:open`, `open_BTC` or `('open', 'BTC')`, split into those of columns and
/// tickers. `None` unless all but the first are so, with all prices of at least two tickers.
fn split_names(header: &[String]) -> Option<(Vec<String>, Vec<String>)> {
    let (index, rest) = header.split_first()?;
    let pairs: Option<Vec<(&str, &str)>> = rest.iter().map(|name| split_name(name)).collect();
    let (names, tickers): (Vec<&str>, Vec<&str>) = pairs?.into_iter().unzip();
    let with_index = |rest: Vec<&str>| -> Vec<String> {
        let all = [index.as_str()].into_iter().chain(rest);
        all.map(str::to_owned).collect()
    };
    let is_several = tickers.iter().any(|ticker| ticker != &tickers[0]);
    let (names, tickers) = (with_index(names), with_index(tickers));
    let fields = |line: &[String]| -> Fields<'static> {
        let bytes = line.iter().map(|field| field.clone().into_bytes().into());
        bytes.collect()
    };
    (is_several && are_two_levels(&fields(&names), &fields(&tickers))).then_some((names, tickers))
}

/// The name of a column and its ticker, which is in upper case.
fn split_name(name: &str) -> Option<(&str, &str)> {
    let is_ticker = |text: &str| {
        let has_upper = text.bytes().any(|b| b.is_ascii_uppercase());
        has_upper && !text.bytes().any(|b| b.is_ascii_lowercase()) && !is_other(text)
    };
    let is_name = |text: &str| {
        let normalised = normalise(text);
        matches!(role_of(&normalised), Role::Number(_)) || normalised == "adjclose"
    };
    let in_order = |first, second| match () {
        () if is_name(second) && is_ticker(first) => Some((second, first)),
        () if is_name(first) && is_ticker(second) => Some((first, second)),
        () => None,
    };
    if let Some(pair) = name
        .strip_prefix("('")
        .and_then(|rest| rest.strip_suffix("')"))
    {
        let (first, second) = pair.split_once("', '")?;
        return in_order(first, second);
    }
    [':', '_', '.', ' ', '-'].into_iter().find_map(|mark| {
        let first = name.split_once(mark).and_then(|(a, b)| in_order(a, b));
        first.or_else(|| name.rsplit_once(mark).and_then(|(a, b)| in_order(a, b)))
    })
}

/// What the columns of each ticker hold: the roles of all columns, and the columns by ticker.
pub(super) fn wide_columns(
    settings: &Settings,
    names: &Names,
    file: &Excerpt<'_>,
) -> Result<(Columns, Vec<WideSeries>), FileError> {
    let by_number = |columns: &ChosenColumns| {
        let mut columns = columns.iter();
        columns.any(|(_, at)| matches!(at, ColumnAt::Number(_)))
    };
    if settings.ticker.is_some() || by_number(&settings.columns) {
        return Err(FileError::SeveralTickers);
    }
    let mut tickers: Vec<&str> = names.tickers[1..].iter().map(String::as_str).collect();
    tickers.sort_unstable();
    tickers.dedup();
    let mut all: Option<Columns> = None;
    let mut series: Vec<WideSeries> = Vec::with_capacity(tickers.len());
    for ticker in tickers {
        let own: Vec<usize> = (0..names.names.len())
            .filter(|at| *at == 0 || names.tickers[*at] == ticker)
            .collect();
        let header: Vec<String> = own.iter().map(|at| names.names[*at].clone()).collect();
        let normalised: Vec<String> = header.iter().map(|name| normalise(name)).collect();
        let rows: Vec<Fields<'_>> = file
            .rows
            .iter()
            .map(|row| own.iter().filter_map(|at| row.get(*at).cloned()).collect())
            .collect();
        let kinds: Vec<FieldKind> = own
            .iter()
            .filter_map(|at| file.kinds.get(*at).copied())
            .collect();
        let part = Excerpt {
            names: &normalised,
            rows: &rows,
            kinds: &kinds,
            ..*file
        };
        let columns = columns_by_header(&header, &part, &settings.columns)?;
        let roles = own.iter().copied().zip(columns.roles.iter().copied());
        let roles: Vec<(usize, Role)> = roles.filter(|(_, role)| *role != Role::Skip).collect();
        let all = all.get_or_insert_with(|| Columns {
            roles: vec![Role::Skip; names.names.len()],
            ..columns
        });
        for (at, role) in &roles {
            all.roles[*at] = *role;
        }
        let ticker = without_suffix(ticker, settings.strip_suffix.as_deref())?;
        if series.iter().any(|known| known.ticker == ticker) {
            return Err(FileError::SeveralTickers);
        }
        series.push(WideSeries {
            ticker,
            columns: roles,
        });
    }
    let all = all.ok_or(FileError::Unrecognised)?;
    Ok((all, series))
}
